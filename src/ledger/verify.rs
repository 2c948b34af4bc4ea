//! Whether the log is what was recorded.
//!
//! In: a ledger's directory, and heads that were kept elsewhere. Out: a [`Verdict`] that names each thing that is wrong
//! and where. Every line is hashed, every stored hash made again, every head's root compared; the log may be in use
//! meanwhile. It must never write, and never stop at the first finding where more can be told.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::path::PathBuf;

use tlog_tiles::tlog::stored_hash_index;

use super::archive;
use super::canonical::is_canonical;
use super::damage::{Altered, Damage};
use super::disk::{self, DiskError, During};
use super::hashes::{Hashes, HashesError};
use super::leaves::{self, Leaf};
use super::note::{Head, PublicKey};
use super::place::Place;
use super::receipt::Seq;
use super::segments::{Segment, SegmentError, Segments, seq_of};
use super::state::{State, StateError};
use super::tree::Tree;
use super::witness;

/// Findings told at most; what was put in or taken out early makes one of every entry behind.
const MOST: usize = 100;

/// What to hold the log against, beside what lies in its directory.
#[derive(Debug, Default)]
pub struct Against {
    /// The verifier key, where it was kept elsewhere: whoever replaces everything in the directory replaces its key too.
    pub key: Option<PublicKey>,
    /// Checkpoints that were kept elsewhere, by the name to call them.
    pub heads: Vec<(String, Vec<u8>)>,
    /// Directories of published heads.
    pub witnesses: Vec<PathBuf>,
}

/// What verification found.
#[derive(Debug, Default)]
pub struct Verdict {
    /// The log's, if it can be read and is the one that was kept elsewhere.
    pub key: Option<PublicKey>,
    /// Entries whose lines are here: from `first` up to `size`.
    pub first: Seq,
    pub size: u64,
    /// Root of all of them, in base64.
    pub root: String,
    /// Entries that the signed head covers.
    pub signed: u64,
    /// Bytes of lines that were hashed.
    pub bytes: u64,
    /// Heads that were compared, the log's own included.
    pub heads: usize,
    /// Lines that have no stored hash yet: written in this moment, or before a crash that no start has followed.
    pub unhashed: u64,
    pub damage: Vec<Damage>,
}

impl Verdict {
    pub fn holds(&self) -> bool {
        self.damage.is_empty()
    }

    /// The log's name; empty where it is not known.
    pub fn origin(&self) -> &str {
        self.key.as_ref().map_or("", PublicKey::origin)
    }
}

/// Verifies everything. An error means that the files cannot be read, which says nothing about them.
pub fn verify(place: &Place, against: &Against) -> Result<Verdict, DiskError> {
    verify_with(place, against, Haste::All)
}

/// As [`verify`], by one thread, which calls `rest` with the bytes of each few lines: it may sleep there. None where it
/// breaks off.
pub fn verify_slowly(
    place: &Place,
    against: &Against,
    mut rest: impl FnMut(u64) -> ControlFlow<()>,
) -> Result<Option<Verdict>, DiskError> {
    let mut broken = false;
    let mut rest = |bytes| {
        let flow = rest(bytes);
        broken = flow.is_break();
        flow
    };
    let verdict = verify_with(place, against, Haste::Little(&mut rest))?;
    Ok((!broken).then_some(verdict))
}

/// How much of the machine a verification takes.
enum Haste<'a> {
    All,
    Little(&'a mut dyn FnMut(u64) -> ControlFlow<()>),
}

fn verify_with(place: &Place, against: &Against, haste: Haste) -> Result<Verdict, DiskError> {
    let mut verdict = Verdict::default();
    match check(place, against, haste, &mut verdict) {
        Err(Stop::Disk(error)) => return Err(error),
        Err(Stop::Damage(damage)) => verdict.damage.push(damage),
        Ok(()) => {}
    }
    Ok(verdict)
}

/// Why verification goes no further.
enum Stop {
    Disk(DiskError),
    Damage(Damage),
}

impl From<DiskError> for Stop {
    fn from(error: DiskError) -> Self {
        Stop::Disk(error)
    }
}

impl From<Damage> for Stop {
    fn from(damage: Damage) -> Self {
        Stop::Damage(damage)
    }
}

impl From<SegmentError> for Stop {
    fn from(error: SegmentError) -> Self {
        match error {
            SegmentError::Disk(error) => error.into(),
            other => Damage::Segment(other).into(),
        }
    }
}

impl From<HashesError> for Stop {
    fn from(error: HashesError) -> Self {
        match error {
            HashesError::Disk(error) => error.into(),
            other => Damage::Hashes(other).into(),
        }
    }
}

/// A head, and what to call it.
struct Known {
    head: Head,
    by: String,
    file: Option<PathBuf>,
}

fn check(place: &Place, against: &Against, mut haste: Haste, verdict: &mut Verdict) -> Result<(), Stop> {
    let key = key(place, against)?;
    verdict.key = Some(key.clone());
    // In the order in which the daemon does not write them: what is read first never claims more than what is read later.
    let state = State::read(place, &key);
    let known = heads(place, against, &key, verdict)?;
    let stored = Hashes::open(place)?.ok_or(Damage::FileMissing { path: place.hashes() })?;
    let segments = Segments::open(place)?;
    (verdict.first, verdict.size) = (segments.first(), segments.end);
    let stopped = match state {
        Ok(Some(state)) => state.stopped,
        Ok(None) => return Err(Damage::FileMissing { path: place.state() }.into()),
        Err(StateError::Disk(error)) => return Err(error.into()),
        Err(source) => {
            verdict.damage.push(Damage::State { path: place.state(), source });
            false
        }
    };
    complete(place, &segments, stored.size(), &known, verdict)?;
    let mut pass = Pass::new(&stored, &segments, known, stopped, verdict)?;
    pass.heads_up_to(segments.first());
    let alone = matches!(haste, Haste::Little(_));
    leaves::in_order(&segments, alone, |segment, leaves| {
        let mut bytes = 0;
        for leaf in leaves {
            bytes += u64::from(leaf.length);
            if pass.line(segment, &leaf)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(match &mut haste {
            Haste::All => ControlFlow::Continue(()),
            Haste::Little(rest) => rest(bytes),
        })
    })?;
    pass.end();
    Ok(())
}

fn key(place: &Place, against: &Against) -> Result<PublicKey, Stop> {
    let path = place.public_key();
    let Some(text) = disk::read_small(&path)? else { return Err(Damage::FileMissing { path }.into()) };
    let key = PublicKey::parse(&String::from_utf8_lossy(&text));
    let key = key.map_err(|source| Damage::Key { path: path.clone(), source })?;
    match &against.key {
        Some(wanted) if *wanted != key => Err(Damage::KeyPair { path }.into()),
        _ => Ok(key),
    }
}

/// Every head that is known, smallest first.
fn heads(
    place: &Place,
    against: &Against,
    key: &PublicKey,
    verdict: &mut Verdict,
) -> Result<Vec<Known>, Stop> {
    let mut known = Vec::new();
    let path = place.checkpoint();
    match disk::read_small(&path)? {
        None => verdict.damage.push(Damage::FileMissing { path }),
        Some(bytes) => match key.head(&bytes) {
            Ok(head) => {
                verdict.signed = head.size;
                known.push(Known { head, by: "the signed head".into(), file: None });
            }
            Err(source) => verdict.damage.push(Damage::Head { path, source }),
        },
    }
    for (name, bytes) in &against.heads {
        match key.head(bytes) {
            Ok(head) => known.push(Known { head, by: name.clone(), file: Some(name.into()) }),
            Err(source) => verdict.damage.push(Damage::Head { path: name.into(), source }),
        }
    }
    for (path, head) in witness::heads(&against.witnesses, key) {
        known.push(Known { head, by: path.display().to_string(), file: Some(path) });
    }
    known.sort_by_key(|known| known.head.size);
    verdict.heads = known.len();
    Ok(known)
}

/// That nothing is missing at either end.
fn complete(
    place: &Place,
    segments: &Segments,
    stored: u64,
    known: &[Known],
    verdict: &mut Verdict,
) -> Result<(), Stop> {
    let kept = archive::first_kept(place)?;
    if segments.first() > kept {
        let last = segments.first() - 1;
        verdict.damage.push(Damage::NotArchived { first: kept, last, archived: kept });
    }
    if let Some((_, sealed)) = segments.all.split_last() {
        for torn in sealed.iter().filter(|segment| segment.torn > 0) {
            verdict.damage.push(Damage::Torn { path: torn.path.clone(), at: torn.length });
        }
    }
    let have = segments.end;
    for known in known.iter().filter(|known| known.head.size > have.min(stored)) {
        let size = known.head.size;
        verdict.damage.push(match &known.file {
            Some(path) => Damage::RolledBack { path: path.clone(), size, have: have.min(stored) },
            None if size > have => Damage::CutOff { have, wanted: size, by: known.by.clone() },
            None => Damage::Hashes(HashesError::Short { path: place.hashes(), have: stored, wanted: size }),
        });
    }
    if stored > have {
        verdict.damage.push(Damage::CutOff { have, wanted: stored, by: "the tree".into() });
    }
    Ok(())
}

/// The walk over every line, with the tree as it grows.
struct Pass<'a> {
    stored: BufReader<File>,
    path: PathBuf,
    stored_size: u64,
    tree: Tree,
    known: std::iter::Peekable<std::vec::IntoIter<Known>>,
    /// The largest head that holds.
    held: Option<u64>,
    stopped: bool,
    whole: &'a Hashes,
    verdict: &'a mut Verdict,
    hashes: Vec<u8>,
    found: Vec<u8>,
}

impl<'a> Pass<'a> {
    fn new(
        whole: &'a Hashes,
        segments: &Segments,
        known: Vec<Known>,
        stopped: bool,
        verdict: &'a mut Verdict,
    ) -> Result<Self, Stop> {
        let first = segments.first();
        let tree = whole.tree(first)?;
        let path = whole.path().clone();
        let file = File::open(&path).during("open", &path)?;
        let mut stored = BufReader::with_capacity(1 << 20, file);
        stored.seek(SeekFrom::Start(stored_hash_index(0, first) * 32)).during("read", &path)?;
        let known = known.into_iter().peekable();
        let (hashes, found) = (Vec::new(), Vec::new());
        let stored_size = whole.size();
        Ok(Self {
            stored,
            path,
            stored_size,
            tree,
            known,
            held: None,
            stopped,
            whole,
            verdict,
            hashes,
            found,
        })
    }

    /// Heads of entries that are archived: the stored hashes have their trees.
    fn heads_up_to(&mut self, first: Seq) {
        while let Some(known) = self.known.next_if(|known| known.head.size < first) {
            let root = self.whole.tree(known.head.size).map(|tree| tree.root());
            self.compare(known, root.ok());
        }
    }

    fn compare(&mut self, known: Known, root: Option<super::tree::Hash>) {
        if root == Some(known.head.root) {
            self.held = Some(known.head.size);
        } else {
            self.tell(Damage::Root { size: known.head.size, by: known.by, since: self.held });
        }
    }

    fn tell(&mut self, damage: Damage) {
        if self.verdict.damage.len() < MOST {
            self.verdict.damage.push(damage);
        }
    }

    fn line(&mut self, segment: &Segment, leaf: &Leaf) -> Result<ControlFlow<()>, SegmentError> {
        let seq = self.tree.size();
        while let Some(known) = self.known.next_if(|known| known.head.size == seq) {
            self.compare(known, Some(self.tree.root()));
        }
        self.verdict.bytes += u64::from(leaf.length) + 1;
        let altered = |what| Damage::Entry { seq, path: segment.path.clone(), at: leaf.at, what };
        if seq >= self.stored_size {
            self.verdict.unhashed += 1;
            let (line, _) = segment.line_at(leaf.at)?;
            if self.stopped {
                self.tell(altered(Altered::Added));
            } else if let Some(other) = seq_of(&line).filter(|other| *other != seq) {
                self.tell(altered(Altered::Numbered(other)));
            } else if !is_canonical(&line) {
                self.tell(altered(Altered::NotAReceipt));
            }
            self.tree.push(leaf.hash, &mut Vec::new());
            return Ok(ControlFlow::Continue(()));
        }
        self.hashes.clear();
        let count = (seq + 1).trailing_zeros() as usize + 1;
        self.found.resize(count * 32, 0);
        self.stored.read_exact(&mut self.found).during("read", &self.path)?;
        if self.found[..32] == leaf.hash.0 {
            self.tree.push(leaf.hash, &mut self.hashes);
            if self.hashes != self.found {
                self.tell(Damage::StoredHash { seq });
            }
            if !leaf.numbered {
                self.tell(altered(Altered::NotAReceipt));
            }
            return Ok(ControlFlow::Continue(()));
        }
        let (line, _) = segment.line_at(leaf.at)?;
        let other = seq_of(&line).filter(|other| *other != seq);
        let moved = other.is_some();
        self.tell(altered(other.map_or(Altered::Changed, Altered::Numbered)));
        // The tree goes on with what it held, so that only what is wrong is told.
        let mut held = [0; 32];
        held.copy_from_slice(&self.found[..32]);
        self.tree.push(super::tree::Hash(held), &mut self.hashes);
        // Behind a line that was put in or taken out every one is in another's place.
        let go_on = !moved || self.verdict.damage.len() < 2;
        Ok(if go_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    }

    fn end(&mut self) {
        let size = self.tree.size();
        while let Some(known) = self.known.next_if(|known| known.head.size == size) {
            self.compare(known, Some(self.tree.root()));
        }
        self.verdict.root = super::tree::base64(&self.tree.root());
    }
}
