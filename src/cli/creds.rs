//! systemd-creds: what is encrypted by it opens on this host alone, for root and for units that root names it to.
//!
//! systemd makes the host's key at the first encryption, in /var/lib/systemd, and takes the TPM in where there is one.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::cli::program;

const PATIENCE: Duration = Duration::from_secs(30);

/// The bytes, or what systemd-creds said instead.
pub type Said = Result<Zeroizing<Vec<u8>>, String>;

#[derive(Debug, Clone)]
pub struct Creds {
    pub program: PathBuf,
}

impl Creds {
    /// Whether systemd runs here, and would give its units what is encrypted.
    #[cfg(feature = "agent")]
    pub fn are_there(&self) -> bool {
        Path::new("/run/systemd/system").is_dir() && self.program.exists()
    }

    #[cfg(feature = "agent")]
    pub fn encrypt(&self, name: &Path, plain: &[u8]) -> io::Result<Said> {
        self.run(&["encrypt", &named(name), "-", "-"], plain)
    }

    pub fn decrypt(&self, name: &Path, place: &Path) -> io::Result<Said> {
        self.run(&["decrypt", &named(name), &place.display().to_string(), "-"], b"")
    }

    fn run(&self, words: &[&str], input: &[u8]) -> io::Result<Said> {
        let ran = program::run(&self.program, words, input, PATIENCE)?;
        Ok(match ran.status.success() {
            true => Ok(ran.stdout),
            false => Err(ran.stderr.trim().to_owned()),
        })
    }
}

/// It opens under this name alone.
fn named(name: &Path) -> String {
    format!("--name={}", name.display())
}
