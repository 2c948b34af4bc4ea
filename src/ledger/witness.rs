//! Heads that somebody else keeps.
//!
//! In: directories of heads that the daemon cannot rewrite. Out: those that this log's key signed. It must never write
//! there: a root timer does (`systemd/provost-witness.timer`).

use std::path::PathBuf;

use super::disk;
use super::note::{Head, PublicKey};

/// Every head of this log in these directories, smallest first. What cannot be read or is of another log is none of its
/// heads.
pub fn heads(dirs: &[PathBuf], key: &PublicKey) -> Vec<(PathBuf, Head)> {
    let files = dirs.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten().flatten();
    let mut heads: Vec<(PathBuf, Head)> = files
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter_map(|entry| {
            let bytes = disk::read_small(&entry.path()).ok()??;
            Some((entry.path(), key.head(&bytes).ok()?))
        })
        .collect();
    heads.sort_by_key(|(_, head)| head.size);
    heads
}

/// Where the timer puts them: on a cluster, into the file system that every node has; else beside.
pub fn dirs() -> Vec<PathBuf> {
    places().into()
}

/// On a cluster, and on a node alone.
pub fn places() -> [PathBuf; 2] {
    let node = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    // PVE names a node by the first label.
    let node = node.split('.').next().unwrap_or_default();
    [PathBuf::from("/etc/pve/provost/witness").join(node), PathBuf::from("/var/lib/provost-witness")]
}
