//! The key and the numbers on the disk, beside the ledger: read when first asked for, so that a node without tokens pays
//! nothing for them.
//!
//! The numbers are one file, replaced whole: as it was, or as it is to be, whatever happens meanwhile. Where it cannot be
//! read, no token opens anything. Nobody waits for a write but who asked for it: the daemon goes on meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, OwnedMutexGuard};

use super::bearer::Bearer;
use super::jwt::{Attested, Claims, Key, PublicKey, Rejected};
use super::live::Live;
use super::people::People;
use super::record::{Record, Revoked, TokenId};
use super::room::{Unkept, forget_the_dead, has_room};
use crate::ledger::disk::{read_small, replace};
use crate::policy::{Peer, Taint};

/// The directory, beside the ledger; and in it the private key, PKCS#8, and what goes with the numbers.
const NAME: &str = "tokens";
const KEY: &str = "key.der";
const RECORDS: &str = "tokens.json";

/// For a revocation to be on the disk, before it is said that it is not.
const PATIENCE: Duration = Duration::from_secs(10);

/// Until a disk that did not take what holders were given is tried again.
const AGAIN: Duration = Duration::from_secs(15);

/// The tokens that were given out. Clones are the same ones.
#[derive(Clone)]
pub struct Tokens(Arc<Shared>);

struct Shared {
    dir: PathBuf,
    state: Mutex<State>,
    pen: Arc<tokio::sync::Mutex<()>>,
    /// Rung when a holder is given what a guest wrote.
    bell: Arc<Notify>,
    people: People,
}

/// The right to write. One has it at a time, so that what is looked at before stands when it is written.
pub struct Page(#[expect(dead_code, reason = "it is held")] OwnedMutexGuard<()>);

#[derive(Default)]
pub(super) struct State {
    kept: Option<Kept>,
    /// What goes on with the numbers that were shown.
    live: HashMap<TokenId, Arc<Live>>,
    /// How often `kept` has changed ahead of the disk, and how many of those changes the disk has.
    changed: u64,
    written: u64,
}

pub(super) struct Kept {
    pub key: Key,
    pub records: BTreeMap<TokenId, Arc<Record>>,
}

/// The file of the numbers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    tokens: Vec<Arc<Record>>,
}

/// A token that was shown, and is good.
#[derive(Debug, Clone)]
pub struct Presented {
    pub bearer: Bearer,
    /// When this form of it expires.
    pub expires: Timestamp,
}

impl Tokens {
    /// As the daemon keeps them: in the directory that holds the ledger's.
    pub fn beside(ledger: &Path) -> Self {
        Self::of_people(ledger, People::default())
    }

    pub fn of_people(ledger: &Path, people: People) -> Self {
        let dir = ledger.parent().unwrap_or(ledger).join(NAME);
        let (state, pen, bell) = Default::default();
        Self(Arc::new(Shared { dir, state, pen, bell, people }))
    }

    /// Who shows this. `audience` is this node.
    pub async fn present(&self, token: &str, audience: &str) -> Result<Presented, Rejected> {
        let (record, live, expires) = self.opened(token, audience)?;
        // Who it was when it was given out is not who it is now.
        live.look(&record, &self.0.people).await;
        match live.revoked.is_cancelled() {
            true => Err(Rejected::Revoked),
            false => Ok(Presented { bearer: Bearer::of(record, live), expires }),
        }
    }

    fn opened(&self, token: &str, audience: &str) -> Result<(Arc<Record>, Arc<Live>, Timestamp), Rejected> {
        let mut state = self.lock();
        let kept = state.kept(&self.0.dir).map_err(Rejected::Unreadable)?;
        let claims = kept.key.open(token, audience)?;
        let id: TokenId = claims.sub.parse().map_err(|_| Rejected::Malformed("it names no number"))?;
        let record = kept.records.get(&id).cloned().ok_or(Rejected::Unknown)?;
        if record.revoked.is_some() {
            return Err(Rejected::Revoked);
        }
        let expires = Timestamp::from_second(claims.exp).map_err(|_| Rejected::Malformed("it never ends"))?;
        // Nothing that lasts longer was ever signed here for that number.
        if expires > record.expires {
            return Err(Rejected::Unknown);
        }
        let live = state
            .live
            .entry(id)
            .or_insert_with(|| Arc::new(Live::new(Taint::kept(record.tainted, self.0.bell.clone()))));
        Ok((record, live.clone(), expires))
    }

    /// Who is behind a token by now, looked up for this.
    pub(super) async fn person(&self, record: &Record) -> Option<Arc<Peer>> {
        let live = self.lock().live.get(&record.id).cloned();
        let live = live.unwrap_or_else(|| Arc::new(Live::new(Taint::default())));
        live.look_anew(record, &self.0.people).await;
        live.person(record)
    }

    /// The same as it was found last.
    pub(super) fn person_seen(&self, record: &Record) -> Option<Arc<Peer>> {
        match self.lock().live.get(&record.id) {
            Some(live) => live.person(record),
            None => Some(Arc::new(record.person().clone())),
        }
    }

    pub(super) fn people(&self) -> &People {
        &self.0.people
    }

    /// All that is known, the latest first.
    pub fn all(&self) -> Result<Vec<Arc<Record>>, String> {
        let mut state = self.lock();
        let mut all: Vec<_> = state.kept(&self.0.dir)?.records.values().cloned().collect();
        all.sort_by_key(|record| std::cmp::Reverse(record.issued));
        Ok(all)
    }

    pub(super) fn find(&self, id: TokenId) -> Result<Option<Arc<Record>>, String> {
        Ok(self.lock().kept(&self.0.dir)?.records.get(&id).cloned())
    }

    /// Whether any form of it, shown by now or not, still opens something.
    pub fn stands(&self, id: TokenId) -> bool {
        self.find(id).ok().flatten().is_some_and(|record| record.is_good(Timestamp::now()))
    }

    /// The right to give out or renew one: to be held from the look at what there is until it is kept.
    pub async fn page(&self) -> Page {
        Page(self.0.pen.clone().lock_owned().await)
    }

    /// Whether there is room for one more of this issuer's.
    pub(super) fn has_room(&self, issuer: u32) -> Result<(), Unkept> {
        let mut state = self.lock();
        let records = &state.kept(&self.0.dir).map_err(Unkept::Disk)?.records;
        has_room(records.values(), issuer, Timestamp::now())
    }

    /// Keeps a record, in place of the one with its number. It stands once it is on the disk.
    pub(super) async fn keep(&self, page: Page, record: Record) -> Result<Arc<Record>, Unkept> {
        let shared = self.0.clone();
        // It is written to its end, whoever still waits for it, and nobody writes meanwhile.
        let kept = tokio::task::spawn_blocking(move || {
            let _page = page;
            shared.keep(record)
        });
        kept.await.map_err(|error| Unkept::Disk(error.to_string()))?
    }

    /// Takes a number back from this moment on, whatever the disk says: one that does not take it now is tried again, by who
    /// takes the number back once more and by [`Self::keep_up`].
    pub(super) async fn revoke(&self, id: TokenId, revoked: Revoked) -> Result<(), String> {
        {
            let mut state = self.lock();
            let kept = state.kept(&self.0.dir)?;
            if let Some(record) = kept.records.get_mut(&id).filter(|record| record.revoked.is_none()) {
                Arc::make_mut(record).revoked = Some(revoked);
                state.changed += 1;
            }
            if let Some(live) = state.live.remove(&id) {
                live.revoked.cancel();
            }
            if !state.has_to_write() {
                return Ok(());
            }
        }
        let written = tokio::spawn(self.clone().written());
        let written = match tokio::time::timeout(PATIENCE, written).await {
            Ok(written) => written.unwrap_or_else(|error| Err(error.to_string())),
            Err(_) => Err(format!("the disk has not taken it within {PATIENCE:?}")),
        };
        if written.is_err() {
            self.0.bell.notify_one();
        }
        written
    }

    /// Has the disk know what is known here.
    async fn written(self) -> Result<(), String> {
        let (page, shared) = (self.page().await, self.0);
        let written = tokio::task::spawn_blocking(move || {
            let _page = page;
            shared.write()
        });
        written.await.map_err(|error| error.to_string())?
    }

    /// Has the disk keep up with which holders were given what guests wrote, for a read does not wait for it, and with what
    /// it did not take.
    pub async fn keep_up(self) {
        loop {
            self.0.bell.notified().await;
            while !self.kept_up().await {
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    /// False: the disk does not take it.
    pub async fn kept_up(&self) -> bool {
        if !self.lock().has_to_write() {
            return true;
        }
        let written = self.clone().written().await;
        if let Err(error) = &written {
            tracing::error!(
                "a restart now would forget what tokens' holders were given, and what was revoked: {error}"
            );
        }
        written.is_ok()
    }

    pub(super) fn sign(&self, claims: &Claims) -> Result<String, String> {
        let mut state = self.lock();
        let signed = state.kept(&self.0.dir)?.key.sign(claims);
        signed.ok_or_else(|| "the token cannot be signed".to_owned())
    }

    /// Signs, with the tokens' key, what this node says of itself. No token comes of it.
    pub fn attest(&self, payload: &[u8], jku: &str) -> Result<Attested, String> {
        let mut state = self.lock();
        let signed = state.kept(&self.0.dir)?.key.attest(payload, jku);
        signed.ok_or_else(|| "it cannot be signed".to_owned())
    }

    /// By which that is verified.
    pub fn public_key(&self) -> Result<PublicKey, String> {
        Ok(self.lock().kept(&self.0.dir)?.key.public_key())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

/// What is done by who has the page, and blocks. The state is never locked while the disk is waited for.
impl Shared {
    fn keep(&self, record: Record) -> Result<Arc<Record>, Unkept> {
        let id = record.id;
        let (record, records, changed) = {
            let mut state = self.lock();
            state.note_taints();
            let changed = state.changed;
            let kept = state.kept(&self.dir).map_err(Unkept::Disk)?;
            let mut record = record;
            match kept.records.get(&id) {
                Some(before) if before.revoked.is_some() => return Err(Unkept::Revoked),
                Some(before) => record.tainted |= before.tainted,
                None => has_room(kept.records.values(), record.issuer.uid(), Timestamp::now())?,
            }
            let record = Arc::new(record);
            let mut records = kept.records.clone();
            records.insert(id, record.clone());
            forget_the_dead(&mut records, Timestamp::now());
            (record, records, changed)
        };
        write(&self.dir, &records).map_err(Unkept::Disk)?;
        let mut state = self.lock();
        state.written = changed;
        let kept = state.kept(&self.dir).map_err(Unkept::Disk)?;
        // What was taken back meanwhile stays so: whoever did waits for the page to write it.
        if kept.records.get(&id).is_some_and(|now| now.revoked.is_some()) {
            return Err(Unkept::Revoked);
        }
        kept.records.insert(id, record.clone());
        forget_the_dead(&mut kept.records, Timestamp::now());
        let State { kept, live, .. } = &mut *state;
        live.retain(|id, _| kept.as_ref().is_some_and(|kept| kept.records.contains_key(id)));
        Ok(record)
    }

    fn write(&self) -> Result<(), String> {
        let (records, changed) = {
            let mut state = self.lock();
            state.note_taints();
            (state.kept(&self.dir)?.records.clone(), state.changed)
        };
        write(&self.dir, &records)?;
        // What was changed meanwhile is still to be written.
        self.lock().written = changed;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What is done under the lock is done whole or not at all.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What the disk has: read once, and tried again as long as it cannot be.
    fn kept(&mut self, dir: &Path) -> Result<&mut Kept, String> {
        if self.kept.is_none() {
            self.kept = Some(read(dir)?);
        }
        self.kept.as_mut().ok_or_else(|| "nothing was read".to_owned())
    }

    /// Those whose holder was given what a guest wrote, and whose record does not say so yet.
    fn untold(&self) -> Vec<TokenId> {
        let Some(kept) = &self.kept else { return Vec::new() };
        let untold = |id: &&TokenId| kept.records.get(*id).is_some_and(|record| !record.tainted);
        let tainted = self.live.iter().filter(|(_, live)| live.taint.is());
        tainted.map(|(id, _)| id).filter(untold).copied().collect()
    }

    fn has_to_write(&self) -> bool {
        self.changed != self.written || !self.untold().is_empty()
    }

    fn note_taints(&mut self) {
        let untold = self.untold();
        let Some(kept) = &mut self.kept else { return };
        for id in untold {
            if let Some(record) = kept.records.get_mut(&id) {
                Arc::make_mut(record).tainted = true;
                self.changed += 1;
            }
        }
    }
}

fn read(dir: &Path) -> Result<Kept, String> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|error| format!("cannot make {}: {error}", dir.display()))?;
    let said = |error: crate::ledger::DiskError| format!("the daemon {error}");
    let place = dir.join(KEY);
    let key = match read_small(&place).map_err(said)? {
        Some(bytes) => Key::of(bytes).ok_or_else(|| {
            format!(
                "{} is no key; as root, remove it: every token then has to be given out anew",
                place.display()
            )
        })?,
        None => {
            let key = Key::generate().ok_or("the kernel gives no random bits")?;
            replace(&place, key.private(), 0o600).map_err(said)?;
            key
        }
    };
    let place = dir.join(RECORDS);
    let records = match std::fs::read(&place) {
        Ok(bytes) => {
            let wrong = |why: String| {
                format!(
                    "{} is damaged ({why}); as root, move it away: every token then has to be given out anew",
                    place.display()
                )
            };
            let file: File = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
            if file.version != 1 {
                return Err(wrong(format!("version {}", file.version)));
            }
            file.tokens.into_iter().map(|record| (record.id, record)).collect()
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(format!("cannot read {}: {error}", place.display())),
    };
    Ok(Kept { key, records })
}

fn write(dir: &Path, records: &BTreeMap<TokenId, Arc<Record>>) -> Result<(), String> {
    let file = File { version: 1, tokens: records.values().cloned().collect() };
    let text = serde_json::to_vec(&file).map_err(|error| error.to_string())?;
    replace(&dir.join(RECORDS), &text, 0o600).map_err(|error| format!("the daemon {error}"))
}
