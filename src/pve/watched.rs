//! A small file that may be replaced at any time: read once, looked at again at most once a second, re-read when it is
//! another one.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;
use zeroize::Zeroizing;

/// How long a look at the file is good for.
const FRESH: Duration = Duration::from_secs(1);

/// What tells one version of a file from the next, where it is replaced by rename as well as where it is written over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    place: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A file's content and what is known of it. The content is wiped when it is dropped.
pub struct Content {
    pub bytes: Zeroizing<Vec<u8>>,
    pub mode: u32,
    identity: Identity,
}

/// Reads a regular file of at most `most` bytes; never waits for a pipe's other end.
pub fn read(path: &Path, most: usize) -> std::io::Result<Content> {
    use std::io::{Error, ErrorKind};
    let file = crate::files::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "not a regular file"));
    }
    // All of it is there from the start: a vector that grew would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        return Err(Error::new(ErrorKind::InvalidData, format!("larger than {most} bytes")));
    }
    Ok(Content { bytes, mode: metadata.mode(), identity: identity(&metadata) })
}

fn identity(metadata: &std::fs::Metadata) -> Identity {
    Identity {
        place: (metadata.dev(), metadata.ino()),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    }
}

/// What was made of a file, and of which version of it.
pub struct Watched<T> {
    value: Option<(Identity, T)>,
    looked: Option<Instant>,
}

impl<T: Clone> Default for Watched<T> {
    fn default() -> Self {
        Self { value: None, looked: None }
    }
}

impl<T: Clone> Watched<T> {
    /// What is known, while it need not be looked at again.
    pub fn fresh(&self) -> Option<T> {
        let (_, value) = self.value.as_ref()?;
        self.looked.is_some_and(|at| at.elapsed() < FRESH).then(|| value.clone())
    }

    /// Looks at the file, and makes a new value of it if it is another one. A file that cannot be read is an error, even if it
    /// could before: whoever took it away meant that.
    pub fn look<E>(
        &mut self,
        path: &Path,
        most: usize,
        failed: impl FnOnce(std::io::Error) -> E,
        make: impl FnOnce(Content) -> Result<T, E>,
    ) -> Result<T, E> {
        let seen = std::fs::metadata(path).map(|metadata| identity(&metadata));
        if let (Some((known, value)), Ok(seen)) = (&self.value, &seen)
            && known == seen
        {
            self.looked = Some(Instant::now());
            return Ok(value.clone());
        }
        self.value = None;
        let content = read(path, most).map_err(failed)?;
        let identity = content.identity;
        let value = make(content)?;
        self.value = Some((identity, value.clone()));
        self.looked = Some(Instant::now());
        Ok(value)
    }
}
