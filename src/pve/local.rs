//! Which node this is. Found out when first needed, and remembered: a node keeps its name while it runs.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::OnceCell;

use super::answer::Answer;
use super::call::{Call, Path, Read};
use super::daemon::Unanswered;
use super::error::PveError;
use super::loose;
use crate::product::Product;

/// pmxcfs may hang.
const PATIENCE: Duration = Duration::from_secs(2);

/// What became of asking the API.
pub type Asked = Result<Result<Answer, PveError>, Unanswered>;

pub struct Local {
    product: Product,
    known: OnceCell<String>,
    etc_pve: PathBuf,
}

#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    name: String,
    #[serde(default, deserialize_with = "loose::optional::bool")]
    local: Option<bool>,
}

impl Local {
    pub fn new(product: Product, given: Option<String>, etc_pve: PathBuf) -> Self {
        Self { product, known: OnceCell::new_with(given), etc_pve }
    }

    /// Where it was found out before.
    pub fn known(&self) -> Option<&str> {
        self.known.get().map(String::as_str)
    }

    /// By pmxcfs's own link, else by asking the API, else by the host's name, which PVE takes too. Of the other products each
    /// host is by itself, and its name is the host's.
    pub async fn name(&self, ask: impl AsyncFnOnce(&Call) -> Asked) -> String {
        if let Some(known) = self.known.get() {
            return known.clone();
        }
        if self.product != Product::Pve {
            return hostname();
        }
        let (name, certain) = match self.linked().await {
            Some(name) => (name, true),
            None => match asked(ask).await {
                Ok(Some(name)) => (name, true),
                // A token may not be allowed to know; asking again would not change that.
                Ok(None) => (hostname(), true),
                Err(_) => (hostname(), false),
            },
        };
        if certain {
            let _ = self.known.set(name.clone());
        }
        name
    }

    /// `/etc/pve/local` is a link to `nodes/NAME`.
    async fn linked(&self) -> Option<String> {
        let etc_pve = self.etc_pve.clone();
        let read = tokio::task::spawn_blocking(move || linked(&etc_pve));
        tokio::time::timeout(PATIENCE, read).await.ok()?.ok()?
    }
}

/// Without asking the API, for who has no token yet: by pmxcfs's own link, else by the host's name.
pub fn here(etc_pve: &std::path::Path) -> String {
    linked(etc_pve).unwrap_or_else(hostname)
}

fn linked(etc_pve: &std::path::Path) -> Option<String> {
    let target = std::fs::read_link(etc_pve.join("local")).ok()?;
    let name = target.strip_prefix("nodes").ok()?.to_str()?;
    (!name.is_empty() && !name.contains('/')).then(|| name.to_owned())
}

async fn asked(ask: impl AsyncFnOnce(&Call) -> Asked) -> Result<Option<String>, Unanswered> {
    let Ok(path) = Path::of(["cluster", "status"]) else { return Ok(None) };
    let read = Read::new(path);
    let rows: Vec<Row> = ask(&read.0).await?.and_then(|answer| answer.data()).unwrap_or_default();
    Ok(rows.into_iter().find(|row| row.local == Some(true) && !row.name.is_empty()).map(|row| row.name))
}

/// Without its domain.
fn hostname() -> String {
    let full = nix::unistd::gethostname().unwrap_or_default();
    full.to_string_lossy().split('.').next().unwrap_or_default().to_owned()
}
