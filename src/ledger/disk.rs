//! Every touch of the disk that the log makes.
//!
//! In: open files and directories. Out: done and, where it says so, there after a power cut. It must never leave a file
//! half replaced: what is not appended is written beside, synced, and renamed over.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A failure, and what was tried on what.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {path}: {source}", path = path.display())]
pub struct DiskError {
    pub what: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

pub type Result<T> = std::result::Result<T, DiskError>;

pub trait During<T> {
    fn during(self, what: &'static str, path: &Path) -> Result<T>;
}

impl<T> During<T> for io::Result<T> {
    fn during(self, what: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| DiskError { what, path: path.to_owned(), source })
    }
}

/// What a small file may hold at most: keys, heads, state.
const MOST: u64 = 1 << 20;

/// A small file, whole; none where there is none.
pub fn read_small(path: &Path) -> Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(DiskError { what: "open", path: path.to_owned(), source }),
    };
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes).during("read", path)?;
    Ok(Some(bytes))
}

/// The file is as it was or holds all of `bytes`, whatever happens meanwhile.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    // One that a crash left behind may have another mode.
    let _ = std::fs::remove_file(&beside);
    let written = (|| {
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create_new(true).mode(mode).open(&beside).during("create", &beside)?;
        file.write_all(bytes).during("write", &beside)?;
        file.sync_all().during("sync", &beside)?;
        std::fs::rename(&beside, path).during("rename onto", path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written?;
    sync_parent(path)
}

/// Makes names in the file's directory durable.
pub fn sync_parent(path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|dir| dir.sync_all()).during("sync the directory", parent)
}

/// A file that only grows, whose true length is known: what lies behind it is cut off before anything is added.
#[derive(Debug)]
pub struct Growing {
    file: File,
    path: PathBuf,
    /// Bytes that stand, in the file or on their way to the disk.
    length: u64,
    /// Whether something may lie behind `length`.
    torn: bool,
}

impl Growing {
    /// Opens, or makes, the file; what it holds behind `length` is cut off.
    pub fn open(path: PathBuf, length: u64, mode: u32) -> Result<Self> {
        let existed = path.exists();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(mode)
            .open(&path)
            .during("open", &path)?;
        if !existed {
            sync_parent(&path)?;
        }
        let held = file.metadata().during("look at", &path)?.len();
        let mut growing = Self { file, path, length, torn: held != length };
        growing.mend()?;
        Ok(growing)
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    /// Adds `bytes`; on failure the file is as long as before, or is made so before the next.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.mend()?;
        // Whatever ends this early leaves something behind.
        self.torn = true;
        self.file.write_all_at(bytes, self.length).during("write", &self.path)?;
        self.length += bytes.len() as u64;
        self.torn = false;
        Ok(())
    }

    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().during("sync", &self.path)
    }

    /// Takes back what stands behind `length`.
    pub fn cut(&mut self, length: u64) {
        self.length = length;
        self.torn = true;
    }

    fn mend(&mut self) -> Result<()> {
        if self.torn {
            self.file.set_len(self.length).during("shorten", &self.path)?;
            self.file.sync_data().during("sync", &self.path)?;
            self.torn = false;
        }
        Ok(())
    }
}
