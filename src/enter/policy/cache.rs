//! Compiled policies by the file they came from, so that only a container's first command waits for one.

use std::collections::HashMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Compiled, MAX_POLICY_BYTES, PolicyError, compile};

/// How many policies are kept: beyond it, all are forgotten. On a node each container may have its own.
const CAPACITY: usize = 1024;

/// A file that changed this recently is read again the next time: two writes within one tick of its file
/// system's clock (a second, at the worst) cannot be told apart.
const SETTLED: Duration = Duration::from_secs(2);

/// Policies compiled so far.
#[derive(Debug)]
pub struct PolicyCache {
    compiled: HashMap<Identity, Rc<Compiled>>,
    /// Who must own a policy file: root, but in tests.
    owner: u32,
    /// [`SETTLED`], but in tests.
    settled: Duration,
}

/// A policy, ready.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub compiled: Rc<Compiled>,
    /// Whether it was compiled just now: the time to log what was skipped.
    pub fresh: bool,
}

/// Why a policy file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyFileError {
    #[error("seccomp policy {path}: cannot be read: {source}", path = path.display())]
    Read { path: PathBuf, source: io::Error },

    #[error("seccomp policy {path}: is no regular file", path = path.display())]
    NotAFile { path: PathBuf },

    #[error(
        "seccomp policy {path}: belongs to user {owner} with mode {mode:04o}; only root may be able to change it \
         (chown root, chmod go-w)",
        path = path.display()
    )]
    Untrusted { path: PathBuf, owner: u32, mode: u32 },

    #[error("seccomp policy {path}: has {bytes} bytes; at most {MAX_POLICY_BYTES} are read", path = path.display())]
    TooLong { path: PathBuf, bytes: u64 },

    #[error("seccomp policy {path}: changed while it was read; try again", path = path.display())]
    Changed { path: PathBuf },

    #[error("seccomp policy {path}: {source}", path = path.display())]
    Policy { path: PathBuf, source: PolicyError },
}

/// What tells one state of one file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Identity {
    dev: u64,
    ino: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl PolicyCache {
    #[must_use]
    pub fn new() -> Self {
        Self { compiled: HashMap::new(), owner: 0, settled: SETTLED }
    }

    /// One that trusts the files of `owner` and takes them for settled after `settled`.
    #[cfg(test)]
    pub(super) fn trusting(owner: u32, settled: Duration) -> Self {
        Self { compiled: HashMap::new(), owner, settled }
    }

    /// The compiled policy of the file at `path`, which may be a symlink. The file is opened each time, and
    /// read and compiled only when it is not the one that was seen before.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is no regular file, could be written by somebody other than root, is too
    /// long, or is no policy. Nothing is remembered of a failure.
    pub fn load(&mut self, path: &Path) -> Result<Loaded, PolicyFileError> {
        let mut file = open(path).map_err(read_error(path))?;
        let identity = self.vouch(path, &file.metadata().map_err(read_error(path))?)?;
        if let Some(compiled) = self.compiled.get(&identity) {
            return Ok(Loaded { compiled: Rc::clone(compiled), fresh: false });
        }
        let text = read(&mut file).map_err(read_error(path))?;
        if Identity::of(&file.metadata().map_err(read_error(path))?) != identity {
            return Err(PolicyFileError::Changed { path: path.to_owned() });
        }
        let compiled = compile(&text)
            .map_err(|source| PolicyFileError::Policy { path: path.to_owned(), source })
            .map(Rc::new)?;
        if identity.age().is_some_and(|age| age > self.settled) {
            if self.compiled.len() >= CAPACITY {
                self.compiled.clear();
            }
            self.compiled.insert(identity, Rc::clone(&compiled));
        }
        Ok(Loaded { compiled, fresh: true })
    }

    /// Checks that the open file is one that only root decides about.
    fn vouch(&self, path: &Path, file: &Metadata) -> Result<Identity, PolicyFileError> {
        const OTHERS_WRITE: u32 = 0o022;
        let path = || path.to_owned();
        if !file.is_file() {
            return Err(PolicyFileError::NotAFile { path: path() });
        }
        if file.uid() != self.owner || file.mode() & OTHERS_WRITE != 0 {
            let mode = file.mode() & 0o7777;
            return Err(PolicyFileError::Untrusted { path: path(), owner: file.uid(), mode });
        }
        if file.size() > MAX_POLICY_BYTES as u64 {
            return Err(PolicyFileError::TooLong { path: path(), bytes: file.size() });
        }
        Ok(Identity::of(file))
    }
}

/// Opens without waiting for anybody, should the path name a FIFO or a device.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
}

/// The text. Bytes that are not UTF-8 can only be told from others in a comment or in a name that does not
/// exist; LXC does not look at either.
fn read(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(MAX_POLICY_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

fn read_error(path: &Path) -> impl Fn(io::Error) -> PolicyFileError {
    |source| PolicyFileError::Read { path: path.to_owned(), source }
}

impl Identity {
    fn of(file: &Metadata) -> Self {
        Self {
            dev: file.dev(),
            ino: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }

    /// How long ago the file changed; `None` before 1970 and in the future.
    fn age(&self) -> Option<Duration> {
        let (seconds, nanoseconds) = self.changed;
        let since_1970 = Duration::new(seconds.try_into().ok()?, nanoseconds.try_into().ok()?);
        SystemTime::now().duration_since(UNIX_EPOCH.checked_add(since_1970)?).ok()
    }
}

impl Default for PolicyCache {
    fn default() -> Self {
        Self::new()
    }
}
