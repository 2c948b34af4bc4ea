//! The journal against the log: each names what the other lacks.
//!
//! In: the journal's entries, as `journalctl -o json` prints them, and the log. Out: findings on either side. The journal is
//! rotated, so what is older than its first entry is nobody's fault; what the daemon said it could not hand over is
//! explained, and what it could not say as it was killed, or as the machine went down, it hands over at its next start. Only
//! entries that journald itself says came from the log's owner count: anybody may write others.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;

use serde::Deserialize;

use super::note::PublicKey;
use super::place::Place;
use super::receipt::{Kind, Receipt, Seq};
use super::segments::{SegmentError, Segments};
use super::tree::{hex, leaf_hash};

/// One entry of the journal.
#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(rename = "PROVOST_LOG")]
    log: Option<String>,
    #[serde(rename = "PROVOST_KEY")]
    key: Option<String>,
    #[serde(rename = "PROVOST_SEQ")]
    seq: Option<String>,
    #[serde(rename = "PROVOST_HASH")]
    hash: Option<String>,
    #[serde(rename = "PROVOST_UNMIRRORED")]
    unmirrored: Option<String>,
    #[serde(rename = "_UID")]
    uid: Option<String>,
}

/// What one side says and the other does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    #[error("the journal has entry {0}, and the log ends before it: the log was cut off or set back")]
    NotInLog(Seq),
    #[error("entry {0} is another in the journal than in the log: one of them was changed")]
    Other(Seq),
    #[error(
        "the log has entries {first} to {last}, and the journal, which has older and newer ones, has not"
    )]
    NotInJournal { first: Seq, last: Seq },
    #[error(
        "the journal has an entry for receipt {seq} that user {uid} wrote, who does not own the log: it was forged"
    )]
    Forged { seq: Seq, uid: String },
    #[error(
        "the journal has entries {first} to {last} of another log of this name, whose key is {key}: it was moved away, \
         purged or replaced, and this one was begun after it"
    )]
    OtherLog { key: String, first: Seq, last: Seq },
}

/// What the comparison saw.
#[derive(Debug, Default)]
pub struct Checked {
    /// Receipts that both have, the same.
    pub same: u64,
    /// The first that the journal has; older ones are not looked for.
    pub from: Option<Seq>,
    /// How many the daemon said it could not hand over.
    pub explained: u64,
    pub differences: Vec<Difference>,
}

/// `journal`: lines of `journalctl -t provost -o json`; `log`: the key that the log is signed with.
pub fn crosscheck(place: &Place, log: &PublicKey, journal: impl BufRead) -> Result<Checked, SegmentError> {
    let owner = std::fs::metadata(place.dir()).map(|dir| dir.uid().to_string()).unwrap_or_default();
    let mut checked = Checked::default();
    let mut there: BTreeMap<Seq, String> = BTreeMap::new();
    let mut unmirrored: Vec<(Seq, Seq)> = Vec::new();
    let mut others: BTreeMap<String, (Seq, Seq)> = BTreeMap::new();
    let id = log.id();
    for line in journal.lines().map_while(Result::ok) {
        let Ok(entry) = serde_json::from_str::<Entry>(&line) else { continue };
        let (Some(seq), Some(hash)) = (entry.seq.and_then(|seq| seq.parse().ok()), entry.hash) else {
            continue;
        };
        if entry.log.as_deref() != Some(log.origin()) {
            continue;
        }
        match (entry.uid, entry.key) {
            (Some(uid), _) if uid != owner => checked.differences.push(Difference::Forged { seq, uid }),
            (_, Some(key)) if key != id => {
                let (first, last) = others.entry(key).or_insert((seq, seq));
                (*first, *last) = (seq.min(*first), seq.max(*last));
            }
            _ => {
                // It may have one twice, and not two of one number.
                if there.insert(seq, hash.clone()).is_some_and(|before| before != hash) {
                    checked.differences.push(Difference::Other(seq));
                }
                unmirrored.extend(entry.unmirrored.as_deref().and_then(range));
            }
        }
    }
    let other = |(key, (first, last))| Difference::OtherLog { key, first, last };
    checked.differences.extend(others.into_iter().map(other));
    // Read after the journal: the log has each entry before the journal does.
    let segments = Segments::open(place)?;
    let missing = there.keys().filter(|seq| **seq >= segments.end).copied();
    checked.differences.extend(missing.map(Difference::NotInLog));
    let Some((&from, _)) = there.range(segments.first()..segments.end).next() else { return Ok(checked) };
    // What comes behind the journal's last entry may be on its way.
    let to = there.range(..segments.end).next_back().map_or(from, |(seq, _)| *seq);
    checked.from = Some(from);
    let mut gone: Vec<Seq> = Vec::new();
    segments.walk(from, |found| {
        if found.seq > to {
            return ControlFlow::Break(());
        }
        match there.get(&found.seq) {
            Some(hash) if *hash == hex(&leaf_hash(found.line).0) => checked.same += 1,
            Some(_) => checked.differences.push(Difference::Other(found.seq)),
            None => gone.push(found.seq),
        }
        // The log says so as well, and of itself: the journal may have lost that too.
        if let Ok(repair) = Receipt::parse(found.line)
            && repair.kind == Kind::Repair
            && repair.body["what"] == "unmirrored"
            && let (Some(first), Some(last)) = (repair.body["first"].as_u64(), repair.body["last"].as_u64())
        {
            unmirrored.extend([(first, last), (found.seq, found.seq)]);
        }
        ControlFlow::Continue(())
    })?;
    let explained = |seq: &Seq| unmirrored.iter().any(|(first, last)| (first..=last).contains(&seq));
    let (excused, lacking): (Vec<Seq>, Vec<Seq>) = gone.into_iter().partition(explained);
    checked.explained = excused.len() as u64;
    for seq in lacking {
        match checked.differences.last_mut() {
            Some(Difference::NotInJournal { last, .. }) if *last + 1 == seq => *last = seq,
            _ => checked.differences.push(Difference::NotInJournal { first: seq, last: seq }),
        }
    }
    Ok(checked)
}

/// `COUNT of FIRST-LAST`
fn range(text: &str) -> Option<(Seq, Seq)> {
    let (first, last) = text.split_once(" of ")?.1.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}
