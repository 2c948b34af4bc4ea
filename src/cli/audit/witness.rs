//! `provost audit witness`: what the timer runs as root, each minute.
//!
//! In: the daemon's signed head. Out: a copy of it under its size, where the daemon cannot write. It must never put a
//! smaller head, or one of another key, beside a larger one: then the log was set back, and that is said. What it reads is
//! the daemon's, so nothing of it is followed: no link, no more bytes than a head has.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{AuditError, DAMAGED, Done, VERIFIED};
use crate::ledger::{Head, NoteError, Place, PublicKey, witness};

#[derive(Debug, Args)]
pub struct Witness {
    /// Where to [default: /etc/pve/provost/witness/NODE on a cluster, else /var/lib/provost-witness]
    #[arg(long)]
    to: Option<PathBuf>,
    /// So many of the latest are kept, and of the older ones one in each doubling of the size
    #[arg(long, default_value_t = 64)]
    keep: usize,
}

impl Witness {
    pub fn run(self, place: &Place) -> Done {
        let to = self.to.unwrap_or_else(default_dir);
        let cannot = |what: &str, path: &Path, error: std::io::Error| {
            AuditError::Other(format!("cannot {what} {}: {error}", path.display()))
        };
        let note = read(&place.checkpoint()).map_err(|error| cannot("read", &place.checkpoint(), error))?;
        fs::create_dir_all(&to).map_err(|error| cannot("make", &to, error))?;
        // The first key that was seen is the one that counts: the daemon could write another beside its log.
        let pinned = to.join("ledger.pub");
        if !pinned.exists() {
            let text =
                read(&place.public_key()).map_err(|error| cannot("read", &place.public_key(), error))?;
            put(&pinned, &text).map_err(|error| cannot("write", &pinned, error))?;
        }
        let text = fs::read_to_string(&pinned).map_err(|error| cannot("read", &pinned, error))?;
        let of_note = |path: PathBuf| move |source: NoteError| AuditError::Note { path, source };
        let key = PublicKey::parse(&text).map_err(of_note(pinned))?;
        let head = key.head(&note).map_err(of_note(place.checkpoint()))?;
        let known = witness::heads(std::slice::from_ref(&to), &key);
        if let Some(problem) = contradicts(&head, &known) {
            eprintln!("provost audit: {problem}; on this node: provost audit verify");
            return Ok(DAMAGED);
        }
        // In the order of their names they are in the order of their sizes.
        let path = to.join(format!("{:020}", head.size));
        if !path.exists() {
            put(&path, &note).map_err(|error| cannot("write", &path, error))?;
        }
        let mut doublings = std::collections::BTreeSet::new();
        for (old, head) in known.iter().take(known.len().saturating_sub(self.keep)) {
            if !doublings.insert(head.size.checked_ilog2()) {
                let _ = fs::remove_file(old);
            }
        }
        Ok(VERIFIED)
    }
}

fn contradicts(head: &Head, known: &[(PathBuf, Head)]) -> Option<String> {
    let (path, last) = known.last()?;
    let same = known.iter().find(|(_, known)| known.size == head.size && known.root != head.root);
    if let Some((path, _)) = same {
        return Some(format!(
            "the head differs from {}, of the same size: the log was rewritten",
            path.display()
        ));
    }
    (last.size > head.size).then(|| {
        format!(
            "the head is of {} entries, and {} of {}: the log was set back",
            head.size,
            path.display(),
            last.size
        )
    })
}

fn default_dir() -> PathBuf {
    let [cluster, local] = witness::places();
    // pmxcfs is there where this is; a plain directory of that name would not be read by other nodes.
    if Path::new("/etc/pve/.version").exists() { cluster } else { local }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("is no file"));
    }
    let mut bytes = Vec::new();
    file.take(64 << 10).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// pmxcfs knows no permissions of ours, so it is a plain write beside and a rename.
fn put(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, bytes)?;
    fs::File::open(&beside)?.sync_all()?;
    fs::rename(&beside, path)
}
