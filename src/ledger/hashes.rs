//! The stored hashes of the tree: what opening, proofs and verification read instead of every line.
//!
//! The file holds only what follows from the lines; it is written after they are durable, so where it says more than they
//! do, lines are gone.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use tlog_tiles::tlog::{self, HashReader, stored_hash_count, stored_hash_index};

use super::disk::{self, DiskError, During};
use super::place::Place;
use super::tree::{Hash, Tree};

#[derive(Debug, thiserror::Error)]
pub enum HashesError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("the tree of {size} entries has no such proof: {source}")]
    Proof { size: u64, source: tlog::Error },
    #[error("{path} holds the hashes of {have} entries, and {wanted} were asked for", path = path.display())]
    Short { path: PathBuf, have: u64, wanted: u64 },
}

/// The file, open for reading.
#[derive(Debug)]
pub struct Hashes {
    file: File,
    path: PathBuf,
    /// Entries whose hashes are all there.
    size: u64,
}

impl Hashes {
    /// None where there is no such file.
    pub fn open(place: &Place) -> disk::Result<Option<Self>> {
        let path = place.hashes();
        let file = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.during("open", &path)?,
        };
        let held = file.metadata().during("look at", &path)?.len() / 32;
        Ok(Some(Self { file, path, size: entries_of(held) }))
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    /// The tree of the first `size` entries.
    pub fn tree(&self, size: u64) -> Result<Tree, HashesError> {
        self.has(size)?;
        let at = |index| self.at(index);
        let peaks = Tree::peak_indexes(size).into_iter().map(at).collect::<disk::Result<_>>()?;
        Ok(Tree::from_peaks(size, peaks))
    }

    pub fn leaf(&self, seq: u64) -> disk::Result<Hash> {
        self.at(stored_hash_index(0, seq))
    }

    /// That entry `seq` is in the tree of `size` entries: RFC 6962's audit path.
    pub fn prove_inclusion(&self, size: u64, seq: u64) -> Result<Vec<Hash>, HashesError> {
        self.has(size)?;
        tlog::prove_record(size, seq, self).map_err(|source| HashesError::Proof { size, source })
    }

    /// That the tree of `size` entries begins with the tree of `older`.
    pub fn prove_consistency(&self, size: u64, older: u64) -> Result<Vec<Hash>, HashesError> {
        self.has(size)?;
        tlog::prove_tree(size, older, self).map_err(|source| HashesError::Proof { size, source })
    }

    fn has(&self, wanted: u64) -> Result<(), HashesError> {
        match wanted <= self.size {
            true => Ok(()),
            false => Err(HashesError::Short { path: self.path.clone(), have: self.size, wanted }),
        }
    }

    fn at(&self, index: u64) -> disk::Result<Hash> {
        let mut hash = [0; 32];
        self.file.read_exact_at(&mut hash, index * 32).during("read", &self.path)?;
        Ok(Hash(hash))
    }
}

impl HashReader for Hashes {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog::Error> {
        let read = indexes.iter().map(|index| self.at(*index)).collect::<disk::Result<Vec<_>>>();
        read.map_err(|error| tlog::Error::InvalidInput(error.to_string()))
    }
}

/// The largest tree whose hashes are all among the first `held`.
fn entries_of(held: u64) -> u64 {
    // Each entry stores at least one hash, and all of them fewer than two each.
    let (mut low, mut high) = (held / 2, held + 1);
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        if stored_hash_count(middle) <= held { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_entries_follows_from_the_number_of_hashes() {
        for size in 0..2000 {
            let held = stored_hash_count(size);
            assert_eq!(entries_of(held), size);
            for part in held..stored_hash_count(size + 1) {
                assert_eq!(entries_of(part), size, "{part} hashes");
            }
        }
    }
}
