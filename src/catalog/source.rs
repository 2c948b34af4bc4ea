//! Where the catalogue comes from, and that it stays what the node says.
//!
//! In: the path of the node's `apidoc.js`, and a directory to keep a [`Cache`] in. Out: the catalogue as it is now. The
//! file is looked at when somebody asks, each time; when it was replaced, a thread reads it: who found that waits a second at
//! most, and everybody else goes on with what was there. A file that is gone or unreadable takes nothing away: the last good catalogue
//! stays, or the one that is built in, and the problem is said.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, mpsc},
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::product::Product;

use super::{
    Cache, Catalog, Edition,
    import::{self, ImportError, MAX_BYTES},
};

/// How long who finds another file waits until it is read. It takes some tens of milliseconds, where the disk answers.
const PATIENCE: Duration = Duration::from_secs(1);

/// The catalogue as it is now. A clone is the same source.
#[derive(Debug, Clone)]
pub struct Source {
    shared: Arc<Shared>,
}

/// A catalogue, where it is from, and what keeps a newer one from being here.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub catalog: Arc<Catalog>,
    pub origin: Origin,
    pub problem: Option<Arc<SourceError>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The node's own file.
    Node,
    /// The same, from what was kept of it.
    Cache,
    Embedded(Edition),
}

#[derive(Debug, Error)]
pub enum SourceError {
    #[error("{path}: cannot read it: {source}", path = .path.display())]
    Read { path: PathBuf, source: io::Error },

    #[error("{path}: is gone; what it said last still serves", path = .path.display())]
    Gone { path: PathBuf },

    #[error("{path}: is not there (package {docs} brings it)", path = .path.display())]
    Absent { path: PathBuf, docs: &'static str },

    #[error("{path}: is no regular file", path = .path.display())]
    NotAFile { path: PathBuf },

    #[error(
        "{path}: belongs to user {owner} and has mode {mode:o}; it must be root's, and only root's to write",
        path = .path.display()
    )]
    Untrusted { path: PathBuf, owner: u32, mode: u32 },

    #[error("{path}: was changed while it was read", path = .path.display())]
    Changed { path: PathBuf },

    #[error("{path}: {source}", path = .path.display())]
    Import { path: PathBuf, source: ImportError },
}

impl SourceError {
    /// What the operator can do. `docs`: the package that brings the file.
    #[must_use]
    pub fn next(&self, docs: &str) -> String {
        match self {
            Self::Absent { .. } | Self::Gone { .. } => {
                format!("the operator can install {docs}, or name the file as [pve] apidoc")
            }
            Self::Untrusted { .. } => "the operator can give it back to root with mode 0644".to_owned(),
            Self::NotAFile { .. } => "the operator can name the file as [pve] apidoc".to_owned(),
            Self::Read { .. } => "the operator can let the agent's account read it".to_owned(),
            Self::Changed { .. } => "it is read again when it is next asked for".to_owned(),
            Self::Import { .. } => format!("the operator can mend it: apt install --reinstall {docs}"),
        }
    }
}

/// What can be said of a file without reading it.
#[derive(Debug)]
pub enum Foreseen {
    /// It was read before, and is what it was.
    Good,
    Bad(SourceError),
    /// It takes a reading to know.
    Unread,
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

#[derive(Debug)]
struct Shared {
    product: Product,
    path: PathBuf,
    cache: Option<Cache>,
    loaded: RwLock<Loaded>,
    watch: Mutex<Watch>,
}

#[derive(Debug)]
struct Watch {
    /// What the file was when it was last read, well or badly; `None` when it was not there.
    seen: Option<Identity>,
    /// Somebody is reading it now.
    busy: bool,
}

impl Source {
    /// Reads the file at `path`, or what is kept of it in `cache`. Without it, the catalogue of `fallback` serves.
    #[must_use]
    pub fn open(path: &Path, cache: Option<Cache>, fallback: impl Into<Edition>) -> Self {
        let fallback = fallback.into();
        let product = fallback.product();
        let (seen, read) = read(product, path, cache.as_ref());
        let loaded = match read {
            Ok((catalog, origin)) => Loaded { catalog: Arc::new(catalog), origin, problem: None },
            Err(problem) => {
                tracing::warn!(
                    "{problem}; the built-in catalogue of {fallback} serves; {}",
                    problem.next(product.facts().docs)
                );
                Loaded {
                    catalog: Arc::new(Catalog::built_in(fallback)),
                    origin: Origin::Embedded(fallback),
                    problem: Some(Arc::new(problem)),
                }
            }
        };
        let watch = Watch { seen, busy: false };
        let shared = Shared {
            product,
            path: path.to_owned(),
            cache,
            loaded: RwLock::new(loaded),
            watch: Mutex::new(watch),
        };
        Self { shared: Arc::new(shared) }
    }

    /// What [`Source::open`] of the same would find, as far as can be told without holding a catalogue.
    #[must_use]
    pub fn foresee(product: Product, path: &Path, cache: &Cache) -> Foreseen {
        match path.metadata() {
            Err(error) => Foreseen::Bad(unreadable(product, path, error)),
            Ok(file) => match vouch(path, &file) {
                Err(error) => Foreseen::Bad(error),
                Ok(()) if cache.is_of(&Identity::of(&file)) => Foreseen::Good,
                Ok(()) => Foreseen::Unread,
            },
        }
    }

    /// The catalogue as it is now. Waits for a file that has been replaced until it is read, a second at most.
    #[must_use]
    pub fn current(&self) -> Loaded {
        if self.shared.look() {
            let shared = Arc::clone(&self.shared);
            let (done, is_done) = mpsc::sync_channel(1);
            let renew = move || {
                shared.renew();
                // Who waited may have given up.
                let _ = done.send(());
            };
            match thread::Builder::new().name("catalog".into()).spawn(renew) {
                Ok(_) => drop(is_done.recv_timeout(PATIENCE)),
                // No thread to be had: the next one who asks tries again.
                Err(_) => self.shared.watch().busy = false,
            }
        }
        self.shared.loaded()
    }

    /// As [`Source::current`], but looks now, and waits for what is read.
    #[must_use]
    pub fn refreshed(&self) -> Loaded {
        self.shared.renew();
        self.shared.loaded()
    }
}

impl Shared {
    /// Whether the file has to be read, and nobody does; then the caller does.
    fn look(&self) -> bool {
        let Ok(mut watch) = self.watch.try_lock() else { return false };
        if watch.busy {
            return false;
        }
        watch.busy = Identity::of_path(&self.path) != watch.seen;
        watch.busy
    }

    /// Reads the file if it is not the one that was read before.
    fn renew(&self) {
        /// Whatever happens, the next one may try.
        struct Busy<'a>(&'a Shared);
        impl Drop for Busy<'_> {
            fn drop(&mut self) {
                self.0.watch().busy = false;
            }
        }
        let _busy = Busy(self);
        let before = self.watch().seen;
        if Identity::of_path(&self.path) != before {
            let (seen, read) = read(self.product, &self.path, self.cache.as_ref());
            let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
            match read {
                Ok((catalog, origin)) => {
                    tracing::info!(path = %self.path.display(), "the catalogue is now as the node's file says");
                    *loaded = Loaded { catalog: Arc::new(catalog), origin, problem: None };
                }
                Err(problem) => {
                    let problem = match problem {
                        SourceError::Absent { path, .. } if !matches!(loaded.origin, Origin::Embedded(_)) => {
                            SourceError::Gone { path }
                        }
                        problem => problem,
                    };
                    tracing::warn!(
                        "{problem}; the catalogue stays as it was; {}",
                        problem.next(self.product.facts().docs)
                    );
                    loaded.problem = Some(Arc::new(problem));
                }
            }
            drop(loaded);
            self.watch().seen = seen;
        }
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn loaded(&self) -> Loaded {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The catalogue of a file, from the cache if it holds that very file; and which file that was.
fn read(
    product: Product,
    path: &Path,
    cache: Option<&Cache>,
) -> (Option<Identity>, Result<(Catalog, Origin), SourceError>) {
    let unreadable = |source| unreadable(product, path, source);
    let mut file = match crate::files::open(path).and_then(|file| Ok((file.metadata()?, file))) {
        Ok((metadata, file)) => (Identity::of(&metadata), metadata, file),
        // One that is there and cannot be opened has an identity too, or it would be tried each second.
        Err(error) => return (Identity::of_path(path), Err(unreadable(error))),
    };
    let (identity, metadata, file) = (file.0, &file.1, &mut file.2);
    let catalog = vouch(path, metadata).and_then(|()| {
        if let Some(catalog) = cache.and_then(|cache| cache.load(&identity)) {
            // The same file may have been read for another product's.
            return Ok((catalog.of_product(product), Origin::Cache));
        }
        let bytes = whole(file).map_err(unreadable)?;
        if file.metadata().map_err(unreadable).map(|now| Identity::of(&now))? != identity {
            return Err(SourceError::Changed { path: path.to_owned() });
        }
        let catalog =
            import::script(&bytes).map_err(|source| SourceError::Import { path: path.to_owned(), source })?;
        let catalog = catalog.of_product(product);
        // Without it the next start takes longer, and that is all.
        if let Some(Err(error)) = cache.map(|cache| cache.store(&identity, &catalog)) {
            tracing::warn!(%error, "the catalogue could not be kept for the next start");
        }
        Ok((catalog, Origin::Node))
    });
    let seen = if matches!(catalog, Err(SourceError::Changed { .. })) { None } else { Some(identity) };
    (seen, catalog)
}

fn unreadable(product: Product, path: &Path, source: io::Error) -> SourceError {
    match source.kind() {
        io::ErrorKind::NotFound => SourceError::Absent { path: path.to_owned(), docs: product.facts().docs },
        _ => SourceError::Read { path: path.to_owned(), source },
    }
}

/// Checks that it is a file that only root decides about, or who runs this.
fn vouch(path: &Path, file: &Metadata) -> Result<(), SourceError> {
    const OTHERS_WRITE: u32 = 0o022;
    let path = || path.to_owned();
    if !file.is_file() {
        return Err(SourceError::NotAFile { path: path() });
    }
    let (owner, mode) = (file.uid(), file.mode() & 0o7777);
    if (owner != 0 && owner != nix::unistd::geteuid().as_raw()) || mode & OTHERS_WRITE != 0 {
        return Err(SourceError::Untrusted { path: path(), owner, mode });
    }
    if file.size() > MAX_BYTES as u64 {
        let source = ImportError::TooLong { bytes: file.size() };
        return Err(SourceError::Import { path: path(), source });
    }
    Ok(())
}

fn whole(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Identity {
    #[must_use]
    pub fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }

    fn of_path(path: &Path) -> Option<Self> {
        path.metadata().ok().map(|file| Self::of(&file))
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
