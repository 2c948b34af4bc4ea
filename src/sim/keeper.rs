//! Keeps a simulated cluster on disk as it changes, as a node does: what was answered is there after a power cut.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::estate::Estate;

const FILE: &str = "kept";

pub struct Keeper {
    path: PathBuf,
    /// What the file holds.
    bytes: Vec<u8>,
}

impl Keeper {
    /// Puts into the estate what one before it left in `dir`, if there is any.
    pub fn take_up(dir: &Path, estate: &mut Estate) -> io::Result<Self> {
        let path = dir.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => estate.take_up(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut keeper = Self { path, bytes: Vec::new() };
        keeper.keep(estate)?;
        Ok(keeper)
    }

    pub fn keep(&mut self, estate: &Estate) -> io::Result<()> {
        let bytes = estate.keep()?;
        if bytes == self.bytes {
            return Ok(());
        }
        // There are tokens in it.
        let mut file = tempfile::NamedTempFile::new_in(self.path.parent().unwrap_or(Path::new(".")))?;
        file.write_all(&bytes)?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        self.bytes = bytes;
        Ok(())
    }
}
