//! A catalogue on disk, as it was read from a file of a certain identity: reading it again takes a tenth of the time.
//!
//! In: the identity of the file, and a directory that nobody but this daemon writes to. Out: the catalogue, or nothing;
//! whatever is damaged, older or of another file is nothing, and is written anew. What is read here is trusted as far as
//! the directory is.

use std::{
    collections::HashMap,
    fs::OpenOptions,
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use xxhash_rust::xxh3::xxh3_64;

use crate::product::Product;

use super::{Catalog, Endpoint, Method, Parameter, Permission, Schema, source::Identity};

/// Counted up whenever what is written changes its shape; the program's version counts too.
const FORMAT: u32 = 2;

const MAGIC: &[u8; 8] = b"provost\0";

/// The catalogue of PVE 9.1 takes 2 MB.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Where catalogues are kept.
#[derive(Debug, Clone)]
pub struct Cache {
    file: PathBuf,
}

/// What a cached catalogue was made from, and by whom.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Label<'a> {
    format: u32,
    program: &'a str,
    source: Identity,
}

/// A catalogue with what its endpoints share by number.
#[derive(Serialize, Deserialize)]
struct Stored<P, S, E> {
    parameters: Vec<P>,
    returns: Vec<S>,
    endpoints: Vec<E>,
}

#[derive(Serialize, Deserialize)]
struct StoredEndpoint {
    product: Product,
    method: Method,
    path: String,
    description: String,
    protected: bool,
    proxyto: Option<String>,
    allowtoken: bool,
    permission: Permission,
    parameters: Vec<usize>,
    additional: bool,
    returns: usize,
}

impl Cache {
    /// In this directory, which exists.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { file: directory.join("catalog.cache") }
    }

    /// What was read from the file of this identity before, if it is here and whole.
    #[must_use]
    pub fn load(&self, source: &Identity) -> Option<Catalog> {
        let file =
            OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&self.file);
        let mut bytes = Vec::new();
        let file = file.ok().filter(|file| file.metadata().is_ok_and(|file| file.is_file()))?;
        file.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
        let rest = bytes.strip_prefix(MAGIC)?;
        let (hash, rest) = rest.split_first_chunk::<8>()?;
        if u64::from_le_bytes(*hash) != xxh3_64(rest) {
            return None;
        }
        let (label, body) = postcard::take_from_bytes::<Label<'_>>(rest).ok()?;
        if label != Label::of(source) {
            return None;
        }
        postcard::from_bytes::<Stored<Parameter, Schema, StoredEndpoint>>(body).ok()?.into_catalog()
    }

    /// Whether what is here was read from the file of this identity, by its label alone.
    #[must_use]
    pub fn is_of(&self, source: &Identity) -> bool {
        const LABEL: u64 = 256;
        let file =
            OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&self.file);
        let mut bytes = Vec::new();
        let read = file.and_then(|file| file.take(LABEL).read_to_end(&mut bytes));
        let labelled = read.ok().and_then(|_| bytes.strip_prefix(MAGIC)?.split_first_chunk::<8>());
        labelled
            .and_then(|(_, rest)| postcard::take_from_bytes::<Label<'_>>(rest).ok())
            .is_some_and(|(label, _)| label == Label::of(source))
    }

    /// Puts a catalogue in the place of what was here, at once and whole.
    ///
    /// # Errors
    ///
    /// When the directory or the disk do not let it.
    pub fn store(&self, source: &Identity, catalog: &Catalog) -> io::Result<()> {
        let body = postcard::to_stdvec(&Label::of(source))
            .and_then(|label| postcard::to_extend(&stored(catalog), label));
        let body = body.map_err(io::Error::other)?;
        let directory = self.file.parent().unwrap_or(Path::new("."));
        // Made with mode 0600.
        let mut file = NamedTempFile::with_prefix_in(".catalog.", directory)?;
        file.write_all(MAGIC)?;
        file.write_all(&xxh3_64(&body).to_le_bytes())?;
        file.write_all(&body)?;
        file.persist(&self.file)?;
        Ok(())
    }
}

impl Label<'_> {
    fn of(source: &Identity) -> Self {
        Self { format: FORMAT, program: env!("CARGO_PKG_VERSION"), source: *source }
    }
}

fn stored(catalog: &Catalog) -> Stored<&Parameter, &Schema, StoredEndpoint> {
    let mut parameters = Numbered::default();
    let mut returns = Numbered::default();
    let endpoints = catalog.endpoints().iter().map(|endpoint| StoredEndpoint {
        product: endpoint.product,
        method: endpoint.method,
        path: endpoint.path.clone(),
        description: endpoint.description.clone(),
        protected: endpoint.protected,
        proxyto: endpoint.proxyto.clone(),
        allowtoken: endpoint.allowtoken,
        permission: endpoint.permission.clone(),
        parameters: endpoint.parameters.iter().map(|parameter| parameters.number(parameter)).collect(),
        additional: endpoint.additional,
        returns: returns.number(&endpoint.returns),
    });
    let endpoints = endpoints.collect();
    Stored { parameters: parameters.all, returns: returns.all, endpoints }
}

/// Shared things by number, each once.
struct Numbered<'a, T> {
    all: Vec<&'a T>,
    numbers: HashMap<*const T, usize>,
}

impl<T> Default for Numbered<'_, T> {
    fn default() -> Self {
        Self { all: Vec::new(), numbers: HashMap::new() }
    }
}

impl<'a, T> Numbered<'a, T> {
    fn number(&mut self, shared: &'a Arc<T>) -> usize {
        *self.numbers.entry(Arc::as_ptr(shared)).or_insert_with(|| {
            self.all.push(shared);
            self.all.len() - 1
        })
    }
}

impl Stored<Parameter, Schema, StoredEndpoint> {
    /// `None` when a number is of nothing.
    fn into_catalog(self) -> Option<Catalog> {
        let parameters: Vec<_> = self.parameters.into_iter().map(Arc::new).collect();
        let returns: Vec<_> = self.returns.into_iter().map(Arc::new).collect();
        let endpoints = self.endpoints.into_iter().map(|stored| {
            Some(Endpoint {
                product: stored.product,
                method: stored.method,
                path: stored.path,
                description: stored.description,
                protected: stored.protected,
                proxyto: stored.proxyto,
                allowtoken: stored.allowtoken,
                permission: stored.permission,
                parameters: (stored.parameters.into_iter())
                    .map(|number| parameters.get(number).cloned())
                    .collect::<Option<_>>()?,
                additional: stored.additional,
                returns: returns.get(stored.returns).cloned()?,
            })
        });
        endpoints.collect::<Option<Vec<_>>>().map(Catalog::new)
    }
}
