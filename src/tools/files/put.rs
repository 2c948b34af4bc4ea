//! `file_put`: a file into a guest, whole, or back to what it was. For VMs the looking and the change are in `vm`.
//!
//! The change's whole way is [`carry_out`]: what is there is looked at and kept, the intent with it recorded, and only then,
//! which takes the [`Recorded`] that came of it, is the content handed over.

use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::digest::{SHA256, digest};
use rmcp::model::JsonObject;
use rmcp::schemars::{self, JsonSchema};
use rmcp::service::{RequestContext, RoleServer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::door::{self, Door};
use super::shown::{self, Encoding};
use super::{meant, restore, vm, wrong};
use crate::config::Exec;
use crate::door::{Errand, Found, GO, Over, Put, Said};
use crate::exec::wire::{Guest, Mode};
use crate::ledger::receipt::body::{File, Intent, Outcome, Result as Became};
use crate::ledger::receipt::{Clean, Json};
use crate::ledger::tree::hex;
use crate::ledger::{Decision, Recorded, Seq};
use crate::policy::{Permit, Principal};
use crate::tools::answer::{Answer, Failure, arguments, to_object};
use crate::tools::exec::{enabled, hold, turn};
use crate::tools::record::Call;
use crate::tools::{Owed, Provost, host};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilePutArguments {
    // What stands here, every conversation pays for: `exec` says what it can be.
    pub(super) guest: Guest,
    pub(super) path: Option<String>,
    content: Option<String>,
    encoding: Option<Encoding>,
    /// Octal
    mode: Option<String>,
    // `user:group`.
    owner: Option<String>,
    overwrite: Option<Overwrite>,
    if_sha256: Option<String>,
    /// Receipt to undo
    restore: Option<Seq>,
}

// Never, where nothing is said; or if_hash, where a hash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Overwrite {
    Never,
    IfHash,
    Always,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct FilePutAnswer {
    /// Of what is there now; null where a file was taken away.
    sha256: Option<String>,
    /// What was there before.
    replaced: Option<Replaced>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    size: u64,
    /// What takes it back, or why nothing does.
    undo: String,
    /// It is written, and on the disk within a tenth of a second; the intent was before the change.
    receipt: Option<Seq>,
    /// Why how it ended is not on record yet: `receipt` is then that of the intent.
    #[serde(skip_serializing_if = "Option::is_none")]
    unrecorded: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Replaced {
    sha256: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
}

/// What is to be done, and what goes with it.
#[derive(Clone)]
pub struct Wanted {
    pub errand: Errand,
    pub content: Vec<u8>,
    /// The receipt that it takes back.
    pub from: Option<Seq>,
}

pub async fn put(
    provost: &Provost,
    principal: &Principal,
    given: JsonObject,
    owed: &Owed,
    context: &RequestContext<RoleServer>,
    record: &mut Call,
) -> Answer {
    let given: FilePutArguments = arguments(given)?;
    let Guest::Vmid(guest) = given.guest else { return on_host(provost, principal, given, record).await };
    record.notes().guest(guest);
    let permit = provost.policy.exec(principal, guest, Mode::Change)?;
    enabled(&permit)?;
    let _held = hold(provost, principal, given.content.as_ref().map_or(0, String::len).saturating_mul(2))?;
    let wanted = given.wish(provost, permit.exec()).await?;
    let turn = turn(provost, principal, permit.exec(), door::patience(&permit), &context.ct).await?;
    let answer = put_by(provost, principal, permit, wanted, context, record).await;
    owed.keep(&context.id, turn);
    answer
}

/// On the node itself it is asked for, and a person answers.
async fn on_host(
    provost: &Provost,
    principal: &Principal,
    given: FilePutArguments,
    record: &mut Call,
) -> Answer {
    record.on_host("file_put host", None, None);
    let leave = provost.policy.host(principal, Mode::Change, record.notes().is_tainted())?;
    let wanted = given.wish(provost, &leave.config().exec).await?;
    host::ask(provost, principal, &leave, "file_put", host::What::Put(wanted), record).await
}

/// Puts it there, where that is allowed already.
pub async fn put_by(
    provost: &Provost,
    principal: &Principal,
    permit: Permit,
    wanted: Wanted,
    context: &RequestContext<RoleServer>,
    record: &mut Call,
) -> Answer {
    let lock = provost.files.guest(permit.guest());
    let alone = tokio::time::timeout(door::patience(&permit), lock.lock()).await;
    let _alone = alone.map_err(|_| {
        Failure::new("busy", "other files are being put into the guest", "call again when they are there")
    })?;
    let permit = provost.policy.renew(permit, principal)?;
    let vm = match permit.guest() {
        Guest::Vmid(vmid) => provost.vm(vmid).await,
        Guest::Host => None,
    };
    match vm {
        Some(node) => Box::pin(vm::carry_out(provost, &permit, &node, wanted, record)).await,
        None => carry_out(provost, &permit, wanted, context, record).await,
    }
}

impl FilePutArguments {
    async fn wish(self, provost: &Provost, exec: &Exec) -> Result<Wanted, Failure> {
        match self.restore {
            Some(seq) => restore::wanted(provost, &self, seq, exec.keep_replaced).await,
            None => self.wanted(exec.keep_replaced, exec.max_file),
        }
    }

    /// Whether it says nothing but the guest and what to restore.
    pub(super) fn is_bare(&self) -> bool {
        let texts = [&self.path, &self.content, &self.mode, &self.owner, &self.if_sha256];
        texts.iter().all(|text| text.is_none()) && self.encoding.is_none() && self.overwrite.is_none()
    }

    fn wanted(self, keep: u64, most: usize) -> Result<Wanted, Failure> {
        let (Some(path), Some(content)) = (self.path, self.content) else {
            return Err(wrong("path and content are missing, or restore: a receipt's number"));
        };
        let content = match self.encoding {
            Some(Encoding::Base64) => BASE64.decode(content).map_err(|_| wrong("content is no base64"))?,
            _ => content.into_bytes(),
        };
        if content.len() > most {
            let message = format!("content is {} bytes, and at most {most} go in one call", content.len());
            return Err(Failure::new("too_large", message, "the operator can raise [exec] max_file"));
        }
        let mode = self.mode.map(|mode| u32::from_str_radix(&mode, 8).ok().filter(|mode| *mode <= 0o7777));
        if mode == Some(None) {
            return Err(wrong("mode is no octal file mode such as \"0644\""));
        }
        let over = match (self.overwrite, self.if_sha256) {
            (None | Some(Overwrite::IfHash), Some(hash)) => Over::IfHash(hash.to_ascii_lowercase()),
            (None | Some(Overwrite::Never), None) => Over::Never,
            (Some(Overwrite::Always), None) => Over::Always,
            (Some(Overwrite::IfHash), None) => {
                return Err(wrong("overwrite if_hash takes if_sha256: the hash of what is to be replaced"));
            }
            (Some(_), Some(_)) => return Err(wrong("if_sha256 goes with overwrite if_hash")),
        };
        let put = Put {
            path,
            bytes: content.len() as u64,
            sha256: hex(digest(&SHA256, &content).as_ref()),
            mode: mode.flatten(),
            owner: self.owner,
            over,
            keep,
        };
        Ok(Wanted { errand: meant(Errand::Put(put))?, content, from: None })
    }
}

/// What was there, and whether it is kept.
pub(super) struct Was {
    pub found: Option<Found>,
    pub sha256: Option<String>,
    pub kept: Result<(), String>,
    /// Whether mode and owner are known: not of a VM's file where no Linux runs.
    pub is_owned: bool,
}

async fn carry_out(
    provost: &Provost,
    permit: &Permit,
    wanted: Wanted,
    context: &RequestContext<RoleServer>,
    record: &mut Call,
) -> Answer {
    // Nothing is looked at that could not be recorded.
    record.ledger().ready()?;
    let began = Instant::now();
    let mut door = Door::open(permit, wanted.errand.clone(), &context.ct)?;
    let was = look(provost, permit, &mut door).await.map_err(|failure| door::said(failure).1)?;
    let intent = intent(&wanted, &was, None, None);
    let entry = record.entry(Decision::Allowed, None, intent.clone());
    let recorded = record.ledger().intent(entry, intent).await?;
    record.recorded_elsewhere();
    let done = hand_over(door, &recorded, &wanted).await;
    let duration_us = began.elapsed().as_micros() as u64;
    answer(recorded, wanted, was, done, duration_us, None).await
}

/// Hears what is there, and keeps it where it can be kept.
async fn look(provost: &Provost, permit: &Permit, door: &mut Door<'_>) -> Result<Was, Failure> {
    let found = match door.answer().await? {
        Said::Found(found) => found,
        Said::Absent => {
            let Said::Was(None) = door.answer().await? else { return Err(door::unclear()) };
            return Ok(Was { found: None, sha256: None, kept: Ok(()), is_owned: true });
        }
        _ => return Err(door::unclear()),
    };
    let kept = &provost.files.kept;
    let mut taking = match found.size <= permit.exec().keep_replaced && permit.exec().keep_replaced > 0 {
        true => kept.begin(found.size, permit.exec().keep_replaced).map_err(not_kept)?,
        false => None,
    };
    let took = door.take(found.follows, |bytes| {
        taking.as_mut().map_or(Ok(()), |taking| taking.take(bytes)).map_err(not_kept)
    });
    took.await?;
    let Said::Was(Some(sha256)) = door.answer().await? else { return Err(door::unclear()) };
    let kept = match taking {
        Some(taking) => {
            let hash = sha256.clone();
            // It waits for the disk.
            let keeping = tokio::task::spawn_blocking(move || taking.keep(&hash)).await;
            keeping.unwrap_or_else(|_| Err(std::io::Error::other("it was given up"))).map_err(not_kept)?;
            Ok(())
        }
        None => Err("what was there is larger than [exec] keep_replaced keeps".to_owned()),
    };
    Ok(Was { found: Some(found), sha256: Some(sha256), kept, is_owned: true })
}

fn not_kept(error: std::io::Error) -> Failure {
    let next =
        "make room in the daemon's state directory (df), or set [exec] keep_replaced = 0 to go without";
    Failure::new("not_kept", format!("what is there cannot be kept for undo: {error}"), next)
}

/// Keeps what was there and is here whole; or says why it is not kept.
pub(super) async fn keep_what_was(
    provost: &Provost,
    permit: &Permit,
    content: &[u8],
    sha256: &str,
) -> Result<Result<(), String>, Failure> {
    let budget = permit.exec().keep_replaced;
    let begun = match budget {
        0 => None,
        _ => provost.files.kept.begin(content.len() as u64, budget).map_err(not_kept)?,
    };
    let Some(mut taking) = begun else {
        return Ok(Err("what was there is larger than [exec] keep_replaced keeps".to_owned()));
    };
    taking.take(content).map_err(not_kept)?;
    let hash = sha256.to_owned();
    // It waits for the disk.
    let keeping = tokio::task::spawn_blocking(move || taking.keep(&hash)).await;
    keeping.unwrap_or_else(|_| Err(std::io::Error::other("it was given up"))).map_err(not_kept)?;
    Ok(Ok(()))
}

/// What is recorded before anything is changed: all that the way back takes.
///
/// `vm`: the node of the VM that it is in; `aside`: where its content waits there until it is whole.
pub(super) fn intent(wanted: &Wanted, was: &Was, vm: Option<&str>, aside: Option<&str>) -> Intent {
    let path = Clean::of(wanted.errand.path());
    let before = match (&was.found, &was.sha256) {
        (Some(found), Some(sha256)) if was.is_owned => json!({
            "sha256": sha256, "bytes": found.size, "mode": shown::octal(found.mode), "uid": found.uid, "gid": found.gid,
            "kept": was.kept.is_ok(),
        }),
        (Some(found), Some(sha256)) => {
            json!({ "sha256": sha256, "bytes": found.size, "kept": was.kept.is_ok() })
        }
        _ => Value::Null,
    };
    let mut args = json!({ "path": path, "act": wanted.errand.name(), "bytes": wanted.content.len() });
    if let Some(node) = vm {
        args["vm"] = json!(Clean::of(node));
    }
    if let Some(aside) = aside {
        args["aside"] = json!(Clean::of(aside));
    }
    let sha256 = match &wanted.errand {
        Errand::Put(put) => {
            args["mode"] = json!(put.mode.map(shown::octal));
            args["owner"] = json!(put.owner.as_deref().map(Clean::of));
            Some(put.sha256.clone())
        }
        _ => None,
    };
    Intent {
        act: "file_put",
        args: Some(Json::of_clean(args)),
        argv: None,
        before: Some(Json::of_clean(before)),
        from: wanted.from,
        sha256,
    }
}

/// Makes the change, which is on record as meant.
async fn hand_over(
    mut door: Door<'_>,
    _recorded: &Recorded,
    wanted: &Wanted,
) -> Result<Option<Found>, Failure> {
    // What is half handed over can still be given up; what is whole is done in no time.
    door.see_through();
    door.give([&[GO], &wanted.content]).await?;
    let done = match door.answer().await? {
        Said::Written(found) => Some(found),
        Said::Removed => None,
        _ => return Err(door::unclear()),
    };
    // It is done, however the process ends.
    let _ = door.ended().await;
    Ok(done)
}

/// `beside`: what is to be told of a change that was made.
pub(super) async fn answer(
    recorded: Recorded,
    wanted: Wanted,
    was: Was,
    done: Result<Option<Found>, Failure>,
    duration_us: u64,
    beside: Option<String>,
) -> Answer {
    let intent = recorded.seq();
    let mut warning = None;
    let now = match done {
        Ok(now) => now,
        Err(failure) => match door::said(failure) {
            (true, failure) if failure.kind == "not_synced" => {
                warning = Some(failure.message);
                None
            }
            (told, failure) => return Err(failed(recorded, told, failure, duration_us).await),
        },
    };
    let sha256 = match &wanted.errand {
        Errand::Put(put) => Some(put.sha256.clone()),
        _ => None,
    };
    let bytes = if sha256.is_some() { wanted.content.len() as u64 } else { 0 };
    let (mode, owner) = (now.as_ref().map(|now| shown::octal(now.mode)), now.as_ref().map(shown::owner_of));
    let file = File {
        act: wanted.errand.name(),
        bytes,
        duration_us,
        from: None,
        mode: mode.as_deref().map(Clean::of),
        of: None,
        owner: owner.as_deref().map(Clean::of),
        path: Clean::of(wanted.errand.path()),
        replaced_sha256: was.sha256.clone(),
        sha256: sha256.clone(),
        size: None,
    };
    let (receipt, unrecorded) = match recorded.outcome_numbered(warning.as_deref().map(Clean::of), file).await
    {
        Ok(seq) => (seq, None),
        Err(error) => (intent, Some(error.to_string())),
    };
    let undo = match (&was.kept, Clean::of(wanted.errand.path()).as_str() == wanted.errand.path()) {
        (_, false) => "none: the receipt does not hold the path as it is".to_owned(),
        (Err(why), _) => format!("none: {why}"),
        (Ok(()), _) => format!("file_put with restore: {receipt}"),
    };
    let replaced = was.found.zip(was.sha256).map(|(found, sha256)| Replaced {
        sha256,
        size: found.size,
        mode: was.is_owned.then(|| shown::octal(found.mode)),
        owner: was.is_owned.then(|| shown::owner_of(&found)),
    });
    to_object(FilePutAnswer {
        sha256,
        replaced,
        mode,
        owner,
        size: bytes,
        undo,
        receipt: Some(receipt),
        unrecorded,
        note: warning.or(beside),
    })
}

/// `told`: the door said so itself, and nothing was changed; otherwise nobody knows.
async fn failed(recorded: Recorded, told: bool, failure: Failure, duration_us: u64) -> Failure {
    let intent = recorded.seq();
    let result = if told { Became::Failed } else { Became::Unknown };
    let outcome = Outcome { answer: None, duration_us, of: intent, result, status: None, upid: None };
    let why = Some(Clean::of(&failure.message));
    let seq = recorded.outcome_numbered(why, outcome).await.unwrap_or(intent);
    failure.with("receipt", seq)
}
