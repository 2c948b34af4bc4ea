//! Where a daemon reads the estate: `/etc/pve`, or the API where that cannot be read.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tokio::runtime::Handle;

use crate::estate::part::Part;
use crate::estate::{Api, Fetch, Refused, Source, Survey, Tree, Unread};
use crate::pve::{Client, Methods, Path, Read};

/// Both ways. Each survey chooses anew: pmxcfs may come back.
pub struct Sources {
    tree: Tree,
    api: Option<Api<Getter>>,
    by_api: AtomicBool,
}

impl Sources {
    /// The API is asked by this client's identity, only where a runtime is there to carry it, and only of a product that has
    /// guests.
    pub fn new(etc_pve: impl Into<PathBuf>, client: &Client) -> Self {
        let getter = |runtime| Getter { client: client.limited_to(Methods::Reads), runtime };
        let api = Handle::try_current().ok().filter(|_| client.product().has_guests());
        let api = api.map(|runtime| Api::new(getter(runtime)));
        Self { tree: Tree::new(etc_pve), api, by_api: AtomicBool::new(false) }
    }
}

impl Source for Sources {
    fn survey(&self, last: Option<&Survey>) -> Survey {
        let was_api = self.by_api.load(Ordering::Relaxed);
        let survey = self.tree.survey(last.filter(|_| !was_api));
        // Without the nodes' folder nothing is known of anything.
        let is_blind = survey.findings.iter().any(|one| Part::hidden_by(&one.file) == Part::ALL);
        let Some(api) = self.api.as_ref().filter(|_| is_blind) else {
            self.by_api.store(false, Ordering::Relaxed);
            return survey;
        };
        self.by_api.store(true, Ordering::Relaxed);
        api.survey(None)
    }

    fn is_verbatim(&self) -> bool {
        !self.by_api.load(Ordering::Relaxed)
    }

    fn read(&self, file: &str, into: &mut Vec<u8>) -> Result<(), Unread> {
        match &self.api {
            Some(api) if self.by_api.load(Ordering::Relaxed) => api.read(file, into),
            _ => self.tree.read(file, into),
        }
    }
}

/// GETs for a thread that is none of the runtime's.
struct Getter {
    client: Client,
    runtime: Handle,
}

impl Fetch for Getter {
    fn get(&self, path: &str) -> Result<Value, Refused> {
        let failed = |error: String| Refused::Failed(error);
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut read = Read::new(Path::parse(path).map_err(|error| failed(error.to_string()))?);
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            read = read.with(name, value).map_err(|error| failed(error.to_string()))?;
        }
        match self.runtime.block_on(self.client.get(&read)) {
            Ok(answer) => answer.data().map_err(|error| failed(error.to_string())),
            Err(error) => Err(match error.status() {
                Some(401 | 403) => Refused::Denied,
                Some(404 | 501) => Refused::Absent,
                _ => failed(error.to_string()),
            }),
        }
    }
}
