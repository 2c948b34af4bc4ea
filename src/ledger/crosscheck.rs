//! The journal against the log: each names what the other lacks.
//!
//! In: the journal's entries, as `journalctl -o json` prints them, and the log. Out: findings on either side. The journal is
//! rotated, so what is older than its first entry is nobody's fault; what the daemon said it could not hand over is
//! explained. Only entries that journald itself says came from the log's owner count: anybody may write others.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;

use serde::Deserialize;

use super::place::Place;
use super::receipt::{Kind, Receipt, Seq};
use super::segments::{SegmentError, Segments};
use super::tree::{hex, leaf_hash};

/// One entry of the journal.
#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(rename = "PROVOST_LOG")]
    log: Option<String>,
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

/// `journal`: lines of `journalctl -t provost -o json`, oldest first; `origin`: the log's.
pub fn crosscheck(place: &Place, origin: &str, journal: impl BufRead) -> Result<Checked, SegmentError> {
    let owner = std::fs::metadata(place.dir()).map(|dir| dir.uid().to_string()).unwrap_or_default();
    let mut checked = Checked::default();
    let mut there: BTreeMap<Seq, String> = BTreeMap::new();
    let mut unmirrored: Vec<(Seq, Seq)> = Vec::new();
    for line in journal.lines().map_while(Result::ok) {
        let Ok(entry) = serde_json::from_str::<Entry>(&line) else { continue };
        let (Some(seq), Some(hash)) = (entry.seq.and_then(|seq| seq.parse().ok()), entry.hash) else {
            continue;
        };
        if entry.log.as_deref() != Some(origin) {
            continue;
        }
        match entry.uid {
            Some(uid) if uid != owner => checked.differences.push(Difference::Forged { seq, uid }),
            _ => {
                there.insert(seq, hash);
                unmirrored.extend(entry.unmirrored.as_deref().and_then(range));
            }
        }
    }
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
        // The log says so as well, should the journal have lost that too.
        if let Some(repair) = Receipt::parse(found.line).ok().filter(|receipt| receipt.kind == Kind::Repair)
            && repair.body["what"] == "unmirrored"
            && let (Some(first), Some(last)) = (repair.body["first"].as_u64(), repair.body["last"].as_u64())
        {
            unmirrored.push((first, last));
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
