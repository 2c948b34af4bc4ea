//! Opening the log: what a crash leaves is mended, anything else is damage.
//!
//! In: a directory, new or old. Out: a [`Standing`] from which the writer goes on, or why not. The lines before the last
//! head are not read: their tree is, down one path, so that ten million entries open as fast as ten. It must never mend
//! what a crash cannot have done.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::ops::ControlFlow;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use tlog_tiles::tlog::{stored_hash_count, stored_hash_index};

use super::archive;
use super::canonical::is_canonical;
use super::damage::{Altered, Damage};
use super::disk::{self, DiskError, During, Growing};
use super::hashes::{Hashes, HashesError};
use super::note::{self, Head, NoteError, SecretKey};
use super::place::Place;
use super::receipt::{Receipt, Seq};
use super::segments::{SegmentError, Segments, seq_of};
use super::state::{State, StateError};
use super::tree::{Tree, leaf_hash, sha256_hex};
use super::witness;

/// Why the log cannot be written to.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("another process has the log open ({path} is locked); there may be one provostd to a directory", path = path.display())]
    Locked { path: PathBuf },
    #[error("the ledger is damaged: {0}; on the node, provost audit verify says more")]
    Damaged(#[from] Damage),
    #[error("{0}")]
    Disk(#[from] DiskError),
    #[error("{path} {source}", path = path.display())]
    NewKey { path: PathBuf, source: NoteError },
}

/// Only one writer holds it.
pub type Lock = Flock<File>;

/// A log that may be added to.
pub struct Standing {
    pub key: SecretKey,
    pub tree: Tree,
    pub head: Head,
    pub segment: Growing,
    pub segment_number: u64,
    pub hashes: Growing,
    /// Intents without an outcome.
    pub open: BTreeSet<Seq>,
    pub stopped: bool,
    /// The first entry whose line is here.
    pub first: Seq,
    pub torn: Option<Torn>,
}

/// What was cut off the end: written, and not to its end, so nobody was told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    pub bytes: u64,
    pub sha256: String,
}

pub fn lock(place: &Place) -> Result<Lock, Trouble> {
    if !place.dir().exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(place.dir()).during("make", place.dir())?;
        disk::sync_parent(place.dir())?;
    }
    let path = place.lock();
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    Flock::lock(file.during("open", &path)?, FlockArg::LockExclusiveNonblock)
        .map_err(|_| Trouble::Locked { path })
}

/// `_lock` is asked for because what is done here changes files.
pub fn stand(
    place: &Place,
    credential: Option<&Path>,
    witnesses: &[PathBuf],
    _lock: &Lock,
) -> Result<Standing, Trouble> {
    let segments = Segments::open(place).map_err(of_segment)?;
    let stored = Hashes::open(place)?;
    let is_new = segments.end == 0
        && stored.as_ref().is_none_or(|stored| stored.size() == 0)
        && disk::read_small(&place.checkpoint())?.is_none();
    let key = key(place, credential, is_new)?;
    if is_new {
        return begin(place, key);
    }
    let head = head(place, &key)?;
    let state = state(place, &key)?;
    whole(place, &segments, stored.as_ref(), &head)?;
    let mut tail = Tail::read(place, &segments, stored.as_ref(), &head, state.stopped)?;
    for (path, seen) in witness::heads(witnesses, key.public()) {
        check_witness(stored.as_ref(), &tail, &head, path, &seen)?;
    }
    let open = open_intents(&segments, &state, tail.tree.size())?;

    let last = segments.all.last().map(|last| (last.number, last.path.clone(), last.length, last.torn));
    let (segment_number, path, length, torn) = last.unwrap_or((1, place.segment(1), 0, 0));
    let keep = tail.cut.unwrap_or(length);
    let torn = match length + torn - keep {
        0 => None,
        bytes => Some(Torn { bytes, sha256: hash_of(&path, keep, bytes)? }),
    };
    let segment = Growing::open(path, keep, 0o640)?;
    let mut hashes = Growing::open(place.hashes(), stored_hash_count(tail.stored) * 32, 0o640)?;
    // What the lines say and the file does not: the daemon ended between the two.
    hashes.append(&std::mem::take(&mut tail.missing))?;
    Ok(Standing {
        tree: tail.tree,
        head,
        segment,
        segment_number,
        hashes,
        open,
        stopped: state.stopped,
        first: segments.first(),
        torn,
        key,
    })
}

fn key(place: &Place, credential: Option<&Path>, is_new: bool) -> Result<SecretKey, Trouble> {
    let parse = |path: &Path, bytes: &[u8]| {
        let key = SecretKey::parse(&String::from_utf8_lossy(bytes));
        key.map_err(|source| Damage::Key { path: path.to_owned(), source })
    };
    let path = place.secret_key();
    let given = credential.map(|path| disk::read_small(path).map(|bytes| (path, bytes))).transpose()?;
    let key = match (given, disk::read_small(&path)?) {
        (Some((path, Some(bytes))), _) => parse(path, &bytes)?,
        (_, Some(bytes)) => parse(&path, &bytes)?,
        (_, None) if is_new => {
            let made = SecretKey::generate(&note::origin());
            let (key, text) = made.map_err(|source| Trouble::NewKey { path: path.clone(), source })?;
            disk::replace(&path, text.as_bytes(), 0o400)?;
            // One that a crash left without its key.
            let _ = std::fs::remove_file(place.public_key());
            key
        }
        (_, None) => return Err(Damage::FileMissing { path }.into()),
    };
    let path = place.public_key();
    let text = key.public().to_text() + "\n";
    match disk::read_small(&path)? {
        Some(found) if found == text.as_bytes() => {}
        Some(_) => return Err(Damage::KeyPair { path }.into()),
        None if is_new => disk::replace(&path, text.as_bytes(), 0o644)?,
        None => return Err(Damage::FileMissing { path }.into()),
    }
    Ok(key)
}

/// The head is written last: where there is one, everything else has been there, and before it there is no entry.
fn begin(place: &Place, key: SecretKey) -> Result<Standing, Trouble> {
    let state = State { stopped: true, ..State::default() };
    state.write(place, &key).map_err(|error| of_state(place, error))?;
    let segment = Growing::open(place.segment(1), 0, 0o640)?;
    let hashes = Growing::open(place.hashes(), 0, 0o640)?;
    let (path, tree) = (place.checkpoint(), Tree::new());
    let head = Head { size: 0, root: tree.root() };
    let note = key.checkpoint(&head).map_err(|source| Damage::Head { path: path.clone(), source })?;
    disk::replace(&path, &note, 0o644)?;
    let open = BTreeSet::new();
    Ok(Standing {
        key,
        tree,
        head,
        segment,
        segment_number: 1,
        hashes,
        open,
        stopped: true,
        first: 0,
        torn: None,
    })
}

fn head(place: &Place, key: &SecretKey) -> Result<Head, Trouble> {
    let path = place.checkpoint();
    let bytes = disk::read_small(&path)?.ok_or(Damage::FileMissing { path: path.clone() })?;
    key.public().head(&bytes).map_err(|source| Damage::Head { path, source }.into())
}

fn state(place: &Place, key: &SecretKey) -> Result<State, Trouble> {
    match State::read(place, key.public()) {
        Ok(Some(state)) => Ok(state),
        Ok(None) => Err(Damage::FileMissing { path: place.state() }.into()),
        Err(error) => Err(of_state(place, error)),
    }
}

/// That nothing is missing and what the head signed is what the hashes say.
fn whole(place: &Place, segments: &Segments, stored: Option<&Hashes>, head: &Head) -> Result<(), Trouble> {
    let kept = archive::first_kept(place)?;
    let first = segments.all.first().map(|segment| segment.number);
    if first.is_some_and(|number| number != 1) && segments.first() > kept {
        return Err(Damage::NotArchived { first: kept, last: segments.first() - 1, archived: kept }.into());
    }
    if let Some((_, sealed)) = segments.all.split_last()
        && let Some(torn) = sealed.iter().find(|segment| segment.torn > 0)
    {
        return Err(Damage::Torn { path: torn.path.clone(), at: torn.length }.into());
    }
    let Some(stored) = stored else {
        return Err(Damage::FileMissing { path: place.hashes() }.into());
    };
    for (wanted, by) in [(head.size, "the signed head"), (stored.size(), "the tree")] {
        if segments.end < wanted {
            return Err(Damage::CutOff { have: segments.end, wanted, by: by.into() }.into());
        }
    }
    let tree = stored.tree(head.size).map_err(of_hashes)?;
    if tree.root() != head.root {
        return Err(Damage::Root { size: head.size, by: "the signed head".into(), since: None }.into());
    }
    Ok(())
}

/// What came after the last head.
struct Tail {
    tree: Tree,
    /// Entries whose stored hashes are there.
    stored: u64,
    /// The hashes of the others.
    missing: Vec<u8>,
    /// Where the last segment ends, if not behind its last line break.
    cut: Option<u64>,
}

impl Tail {
    fn read(
        place: &Place,
        segments: &Segments,
        stored: Option<&Hashes>,
        head: &Head,
        stopped: bool,
    ) -> Result<Self, Trouble> {
        let stored = stored.ok_or(Damage::FileMissing { path: place.hashes() })?;
        let tree = stored.tree(head.size).map_err(of_hashes)?;
        let mut tail = Tail { tree, stored: stored.size(), missing: Vec::new(), cut: None };
        let last = segments.all.last().map(|segment| segment.path.clone()).unwrap_or_default();
        let mut trouble: Option<Trouble> = None;
        let mut fail = |found: Trouble| {
            trouble = Some(found);
            ControlFlow::Break(())
        };
        let (mut hashes, mut held) = (Vec::new(), Vec::new());
        let walked = segments.walk(head.size, |found| {
            let altered = |what| {
                Damage::Entry { seq: found.seq, path: found.path.to_owned(), at: found.at, what }.into()
            };
            let numbered = seq_of(found.line);
            if tail.cut.is_some() {
                // A whole line behind a broken one: no crash writes that.
                return match numbered {
                    Some(_) => fail(altered(Altered::NotAReceipt)),
                    None => ControlFlow::Continue(()),
                };
            }
            hashes.clear();
            let mut grown = tail.tree.clone();
            grown.push(leaf_hash(found.line), &mut hashes);
            if found.seq < tail.stored {
                held.resize(hashes.len(), 0);
                let at = stored_hash_index(0, found.seq) * 32;
                if let Err(error) = stored.file().read_exact_at(&mut held, at).during("read", stored.path()) {
                    return fail(error.into());
                }
                if held != hashes {
                    // After a power cut, what was not synced may be empty, and is made again from the lines.
                    if held[..32] == [0; 32] && !stopped {
                        tail.stored = found.seq;
                    } else if let Some(other) = numbered.filter(|other| *other != found.seq) {
                        return fail(altered(Altered::Numbered(other)));
                    } else if held[..32] != hashes[..32] {
                        return fail(altered(Altered::Changed));
                    } else {
                        return fail(Damage::StoredHash { seq: found.seq }.into());
                    }
                }
            }
            if found.seq >= tail.stored {
                match numbered {
                    Some(_) if stopped => return fail(altered(Altered::Added)),
                    Some(other) if other != found.seq => return fail(altered(Altered::Numbered(other))),
                    Some(_) if is_canonical(found.line) => tail.missing.extend_from_slice(&hashes),
                    None if found.path == last && !stopped => {
                        tail.cut = Some(found.at);
                        return ControlFlow::Continue(());
                    }
                    _ => return fail(altered(Altered::NotAReceipt)),
                }
            }
            tail.tree = grown;
            ControlFlow::Continue(())
        });
        walked.map_err(of_segment)?;
        match trouble {
            Some(trouble) => Err(trouble),
            None => Ok(tail),
        }
    }
}

fn check_witness(
    stored: Option<&Hashes>,
    tail: &Tail,
    head: &Head,
    path: PathBuf,
    seen: &Head,
) -> Result<(), Trouble> {
    if seen.size > tail.tree.size() {
        return Err(Damage::RolledBack { path, size: seen.size, have: tail.tree.size() }.into());
    }
    // A head later than our own is one that the witness had first: its entries are in the part that was read.
    let Some(stored) = stored.filter(|stored| seen.size <= stored.size()) else { return Ok(()) };
    let tree = stored.tree(seen.size).map_err(of_hashes)?;
    match tree.root() == seen.root {
        true => Ok(()),
        false => Err(Damage::Root {
            size: seen.size,
            by: path.display().to_string(),
            since: (head.size < seen.size).then_some(head.size),
        }
        .into()),
    }
}

fn open_intents(segments: &Segments, state: &State, size: u64) -> Result<BTreeSet<Seq>, Trouble> {
    let known = state.size <= size && state.size >= segments.first();
    let mut open: BTreeSet<Seq> = if known { state.open.iter().copied().collect() } else { BTreeSet::new() };
    let from = if known { state.size } else { segments.first() };
    let walked = segments.walk(from, |found| {
        if found.seq >= size {
            return ControlFlow::Break(());
        }
        if let Ok(receipt) = Receipt::parse(found.line) {
            if receipt.kind == super::receipt::Kind::Intent {
                open.insert(found.seq);
            }
            receipt.closes().map(|of| open.remove(&of));
        }
        ControlFlow::Continue(())
    });
    walked.map_err(of_segment)?;
    Ok(open)
}

fn hash_of(path: &Path, from: u64, bytes: u64) -> Result<String, DiskError> {
    // A torn tail is one batch at most; were it more, its beginning tells it apart as well.
    let mut held = vec![0; bytes.min(16 << 20) as usize];
    File::open(path).and_then(|file| file.read_exact_at(&mut held, from)).during("read", path)?;
    Ok(sha256_hex(&held))
}

fn of_segment(error: SegmentError) -> Trouble {
    match error {
        SegmentError::Disk(error) => error.into(),
        other => Damage::Segment(other).into(),
    }
}

fn of_hashes(error: HashesError) -> Trouble {
    match error {
        HashesError::Disk(error) => error.into(),
        other => Damage::Hashes(other).into(),
    }
}

pub fn of_state(place: &Place, error: StateError) -> Trouble {
    match error {
        StateError::Disk(error) => error.into(),
        source => Damage::State { path: place.state(), source }.into(),
    }
}
