//! The whole estate at one moment. It never changes: what moves makes another, which shares with it what did not.

use std::collections::BTreeMap;
use std::sync::Arc;

use smol_str::SmolStr;

use super::cluster::Cluster;
use super::finding::{Finding, What};
use super::guest::Guest;
use super::part::Part;
use super::refresh::{Moved, Outcome, has_moved, same_names};
use super::seen::Seen;
use super::source::{Listed, Stamp, Survey};
use super::users::{Used, Users};

#[derive(Debug)]
pub struct Index {
    survey: Survey,
    /// By [`Listed::key`].
    guests: Vec<Held>,
    /// What was read of the other files, under which stamp.
    files: BTreeMap<SmolStr, (Stamp, Arc<[Finding]>)>,
    cluster: Cluster,
    /// What is not as it should be in the whole, not in one file.
    findings: Vec<Finding>,
    hidden: BTreeMap<Part, Vec<Finding>>,
    users: Users,
}

#[derive(Debug, Clone)]
pub(super) struct Held {
    pub listed: Listed,
    pub guest: Arc<Guest>,
    findings: Option<Arc<[Finding]>>,
}

impl Default for Index {
    fn default() -> Self {
        let mut cluster = Cluster::default();
        // What PVE takes for granted stands in no file.
        ["storage.cfg", "user.cfg"].iter().for_each(|file| cluster.clear(file));
        Self {
            survey: Survey::default(),
            guests: Vec::new(),
            files: BTreeMap::new(),
            cluster,
            findings: Vec::new(),
            hidden: BTreeMap::new(),
            users: Users::default(),
        }
    }
}

impl Index {
    /// Every guest, by its id.
    pub fn guests(&self) -> impl ExactSizeIterator<Item = &Arc<Guest>> {
        self.guests.iter().map(|held| &held.guest)
    }

    /// The guests of an id: one, unless something is very wrong.
    pub fn guest(&self, vmid: u32) -> impl Iterator<Item = &Arc<Guest>> {
        let start = self.guests.partition_point(|held| held.listed.vmid < vmid);
        self.guests[start..].iter().take_while(move |held| held.listed.vmid == vmid).map(|held| &held.guest)
    }

    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The nodes, by the folders that they have: one that was removed may still have one.
    #[must_use]
    pub fn nodes(&self) -> &[SmolStr] {
        &self.survey.nodes
    }

    /// Everything that could not be read or understood, harmless or not.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        let files = self.files.values().flat_map(|(_, findings)| findings.iter());
        let guests = self.guests.iter().flat_map(|held| held.findings.iter().flat_map(|all| all.iter()));
        self.survey.findings.iter().chain(&self.findings).chain(files).chain(guests)
    }

    /// Whether something of these parts was not seen.
    #[must_use]
    pub fn is_incomplete(&self, parts: &[Part]) -> bool {
        parts.iter().any(|part| self.hidden.contains_key(part))
    }

    /// What was not seen of these parts, for whoever looks at [`Self::cluster`] itself.
    pub fn rests_on(&self, parts: &[Part]) -> Seen<()> {
        self.seen((), parts)
    }

    /// An answer that rests on these parts.
    pub(super) fn seen<T>(&self, found: T, parts: &[Part]) -> Seen<T> {
        let unseen = parts.iter().filter_map(|part| self.hidden.get(part)).flatten().cloned().collect();
        Seen::new(found, unseen)
    }

    /// The guests that use it in any way.
    pub(super) fn users(&self, of: Used) -> impl Iterator<Item = &Arc<Guest>> {
        self.users.of(&of).iter().filter_map(|place| Some(&self.guests.get(*place as usize)?.guest))
    }
}

/// From one to the next.
impl Index {
    pub(super) fn survey(&self) -> &Survey {
        &self.survey
    }

    /// Whether the survey lists what is held, and no more.
    pub(super) fn is_listed(&self, survey: &Survey) -> bool {
        self.guests.len() == survey.guests.len() && same_names(&self.survey, survey)
    }

    /// What has to be read, for this survey.
    pub(super) fn moved(&self, survey: &Survey, unknown_counts: bool) -> Moved {
        let mut moved = Moved { guests: Vec::new(), files: self.moved_files(survey, unknown_counts) };
        // One list, and all of it held: there are only stamps to compare.
        if Arc::ptr_eq(&self.survey.guests, &survey.guests) && self.guests.len() == survey.guests.len() {
            let pairs = self.guests.iter().zip(survey.guests.iter());
            let other = pairs.filter(|(held, now)| has_moved(held.listed.stamp, now.stamp, unknown_counts));
            moved.guests.extend(other.map(|(_, listed)| listed.clone()));
            return moved;
        }
        let mut held = self.guests.iter().peekable();
        for listed in survey.guests.iter() {
            while held.next_if(|held| held.listed.key() < listed.key()).is_some() {}
            match held.peek().filter(|held| held.listed.key() == listed.key()) {
                Some(held) if !has_moved(held.listed.stamp, listed.stamp, unknown_counts) => {}
                _ => moved.guests.push(listed.clone()),
            }
        }
        moved
    }

    fn moved_files(&self, survey: &Survey, unknown_counts: bool) -> Vec<SmolStr> {
        let is_held = |file: &SmolStr, stamp: &Stamp| match self.files.get(file) {
            Some((read, _)) => !has_moved(*read, *stamp, unknown_counts),
            None => false,
        };
        let moved = survey.files.iter().filter(|(file, stamp)| !is_held(file, stamp));
        moved.map(|(file, _)| file.clone()).collect()
    }

    /// The next one: as the survey lists it, with what was read for it.
    pub(super) fn with(&self, survey: Survey, outcomes: Vec<Outcome>) -> Self {
        let mut cluster = self.cluster.clone();
        let mut files = self.files.clone();
        files.retain(|file, _| {
            let stays = survey.files.contains_key(file);
            if !stays {
                cluster.clear(file);
            }
            stays
        });
        let mut fresh: Vec<Held> = Vec::new();
        for outcome in outcomes {
            let stamp = |file: &SmolStr| survey.files.get(file).copied().unwrap_or(Stamp::Unknown);
            match outcome {
                Outcome::Guest(listed, guest, findings) => {
                    fresh.push(Held { listed, guest: Arc::new(*guest), findings: some(findings) });
                }
                Outcome::File(file, parsed, findings) => {
                    parsed.into_iter().for_each(|parsed| cluster.put(parsed));
                    files.insert(file.clone(), (stamp(&file), findings.into()));
                }
                Outcome::Unread(Ok(listed), what) => fresh.push(unread(listed, what)),
                Outcome::Unread(Err(file), what) => {
                    cluster.clear(&file);
                    let again = if is_lasting(&what) { stamp(&file) } else { Stamp::Unknown };
                    let finding = Finding::of(&file, what);
                    files.insert(file, (again, [finding].into()));
                }
                Outcome::Gone(Ok(_)) => {}
                Outcome::Gone(Err(file)) => {
                    cluster.clear(&file);
                    files.insert(file.clone(), (stamp(&file), [].into()));
                }
            }
        }
        let guests = merged(&survey, &self.guests, fresh);
        let users = self.users.next(&self.guests, &guests);
        let findings = duplicates(&guests);
        let mut next = Self { survey, guests, files, cluster, findings, hidden: BTreeMap::new(), users };
        next.hidden = next.hiding();
        next
    }

    fn hiding(&self) -> BTreeMap<Part, Vec<Finding>> {
        let mut hidden: BTreeMap<Part, Vec<Finding>> = BTreeMap::new();
        for finding in self.findings().filter(|finding| finding.what.hides()) {
            for part in Part::hidden_by(&finding.file) {
                hidden.entry(part).or_default().push(finding.clone());
            }
        }
        hidden
    }
}

fn some(findings: Vec<Finding>) -> Option<Arc<[Finding]>> {
    (!findings.is_empty()).then(|| findings.into())
}

/// What will be the same the next time, until the file changes.
fn is_lasting(what: &What) -> bool {
    matches!(what, What::Denied | What::TooLarge(_) | What::NotAFile)
}

fn unread(mut listed: Listed, what: What) -> Held {
    if !is_lasting(&what) {
        listed.stamp = Stamp::Unknown;
    }
    let finding = Finding::of(&listed.file(), what);
    let guest = Guest::unseen(listed.kind, &listed.node, listed.vmid);
    Held { listed, guest: Arc::new(guest), findings: some(vec![finding]) }
}

/// What the survey lists: as it was just read, or as it was before. All three are in one order.
fn merged(survey: &Survey, before: &[Held], mut fresh: Vec<Held>) -> Vec<Held> {
    fresh.sort_by(|a, b| a.listed.key().cmp(&b.listed.key()));
    let (mut fresh, mut before) = (fresh.into_iter().peekable(), before.iter().peekable());
    let mut guests = Vec::with_capacity(survey.guests.len());
    for listed in survey.guests.iter() {
        let key = listed.key();
        while before.next_if(|held| held.listed.key() < key).is_some() {}
        while fresh.next_if(|held| held.listed.key() < key).is_some() {}
        if let Some(held) = fresh.next_if(|held| held.listed.key() == key) {
            guests.push(held);
        } else if let Some(held) = before.peek().filter(|held| held.listed.key() == key) {
            guests.push((*held).clone());
        }
    }
    guests
}

fn duplicates(guests: &[Held]) -> Vec<Finding> {
    let twice = |pair: &&[Held]| pair[0].listed.vmid == pair[1].listed.vmid;
    let named = |pair: &[Held]| Finding::of(&pair[1].listed.file(), What::Duplicate(pair[1].listed.vmid));
    guests.windows(2).filter(twice).map(named).collect()
}
