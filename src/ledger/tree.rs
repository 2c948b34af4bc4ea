//! The RFC 6962 Merkle tree over the lines, grown one leaf at a time.
//!
//! In: lines, without their newline. Out: leaf hashes, the root, and the hashes to store for each new leaf. The hashes
//! are stored in the order of Crosby and Wallach, as Go's `golang.org/x/mod/sumdb/tlog` and `tlog_tiles` number them, and
//! proofs are made and checked by the latter. What is here is only what runs for every line: the same two hashes, by `ring`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{Context, SHA256, digest};
pub use tlog_tiles::tlog::Hash;
use tlog_tiles::tlog::stored_hash_index;

/// SHA-256(0x00 ‖ line): RFC 6962, section 2.1.
pub fn leaf_hash(line: &[u8]) -> Hash {
    /// A line that fits is hashed in one call, which costs half of three.
    fn at_once<const ROOM: usize>(line: &[u8]) -> Hash {
        let mut held = [0; ROOM];
        held[1..=line.len()].copy_from_slice(line);
        of(digest(&SHA256, &held[..=line.len()]))
    }
    match line.len() {
        0..512 => at_once::<512>(line),
        512..2048 => at_once::<2048>(line),
        _ => {
            let mut context = Context::new(&SHA256);
            context.update(&[0]);
            context.update(line);
            of(context.finish())
        }
    }
}

/// SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut held = [1; 65];
    held[1..33].copy_from_slice(&left.0);
    held[33..].copy_from_slice(&right.0);
    of(digest(&SHA256, &held))
}

/// SHA-256 of `bytes`, in hexadecimal: how receipts name content that they do not hold.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// As checkpoints and receipts write a hash.
pub fn base64(hash: &Hash) -> String {
    BASE64_STANDARD.encode(hash.0)
}

fn of(digest: ring::digest::Digest) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    Hash(hash)
}

/// A tree of `size` leaves, held as the roots of its full subtrees, widest first: as many as `size` has bits set.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    size: u64,
    peaks: Vec<Hash>,
}

impl Tree {
    pub fn new() -> Self {
        Self::default()
    }

    /// The tree whose full subtrees have these roots.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Self {
        debug_assert_eq!(peaks.len(), size.count_ones() as usize);
        Self { size, peaks }
    }

    /// Where the hashes that [`Tree::from_peaks`] wants are stored.
    pub fn peak_indexes(size: u64) -> Vec<u64> {
        let levels = (0..64u8).rev().filter(|level| size >> level & 1 == 1);
        // The subtree of a level begins where the wider ones end.
        levels.map(|level| stored_hash_index(level, (size >> level) - 1)).collect()
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf, and to `stored` what is stored for it: its own hash, then that of each subtree that it fills.
    pub fn push(&mut self, leaf: Hash, stored: &mut Vec<u8>) {
        let mut hash = leaf;
        stored.extend_from_slice(&hash.0);
        for _ in 0..self.size.trailing_ones() {
            // One peak for each bit that the addition carries over.
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
                stored.extend_from_slice(&hash.0);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    pub fn root(&self) -> Hash {
        match self.peaks.split_last() {
            Some((last, wider)) => wider.iter().rev().fold(*last, |right, left| node_hash(left, &right)),
            None => tlog_tiles::tlog::EMPTY_HASH,
        }
    }
}

#[cfg(test)]
mod tests {
    use tlog_tiles::tlog::{self, HashReader};

    use super::*;

    struct Stored(Vec<u8>);

    impl HashReader for Stored {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog::Error> {
            let at = |index: &u64| Hash(self.0[*index as usize * 32..][..32].try_into().unwrap());
            Ok(indexes.iter().map(at).collect())
        }
    }

    #[test]
    fn the_tree_is_that_of_another_implementation_at_every_size() {
        let (mut tree, mut stored) = (Tree::new(), Vec::new());
        for size in 0..300u64 {
            assert_eq!(stored.len() as u64, tlog::stored_hash_count(size) * 32);
            assert_eq!(tree.root(), tlog::tree_hash(size, &Stored(stored.clone())).unwrap(), "{size}");
            let peaks = Stored(stored.clone()).read_hashes(&Tree::peak_indexes(size)).unwrap();
            assert_eq!(Tree::from_peaks(size, peaks).root(), tree.root());
            let line = format!("line {size}").repeat(size as usize);
            assert_eq!(leaf_hash(line.as_bytes()), tlog::record_hash(line.as_bytes()));
            tree.push(leaf_hash(line.as_bytes()), &mut stored);
        }
    }

    /// From the tests of Certificate Transparency's own code, which RFC 6962's authors wrote.
    #[test]
    fn the_known_roots_are_found() {
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let mut tree = Tree::new();
        assert_eq!(hex(&tree.root().0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for leaf in leaves {
            tree.push(leaf_hash(leaf), &mut Vec::new());
            if tree.size() == 1 {
                assert_eq!(
                    hex(&tree.root().0),
                    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
                );
            }
        }
        assert_eq!(hex(&tree.root().0), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
    }
}
