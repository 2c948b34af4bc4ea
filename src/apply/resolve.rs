//! What became of intents that a daemon before this one left open: by the task that the call began, or by how things are
//! now.
//!
//! It asks and never repeats. What neither shows stays unknown, and its receipt says so. As long as the node's API is not
//! there to be asked, as after a boot on which it comes later and takes its time, the intent stays open; of a member of the
//! cluster that is not there it is asked a few times.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::catalog::Method;
use crate::ledger::Receipt;
use crate::ledger::receipt::{Clean, body};
use crate::ledger::resolve::Fate;
use crate::plan::{Eyes, Outlook, Refused, Request, outlook};
use crate::pve::task::{self, Listed, Outcome, State};
use crate::pve::{Client, Path, PveError, Read};

/// Seconds by which clocks of nodes may differ, and that a call may take to begin its task after its intent.
const BEFORE: i64 = 5;
const AFTER: i64 = 300;

/// Between two tries to reach the node's API: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How often a question is put that gets no answer although the API is there.
const TRIES: u32 = 6;

/// The ends of task types by the end of the call's template: `qmstart`, `vzstart`.
const KINDS: &[(&str, &[&str])] = &[
    ("/status/start", &["start", "hastart"]),
    ("/status/stop", &["stop", "hastop"]),
    ("/status/shutdown", &["shutdown", "hastop"]),
    ("/status/reboot", &["reboot"]),
    ("/status/reset", &["reset"]),
    ("/status/suspend", &["suspend", "pause"]),
    ("/status/resume", &["resume"]),
    ("/rollback", &["rollback"]),
    ("/snapshot", &["snapshot"]),
    ("/snapshot/{snapname}", &["delsnapshot"]),
    ("/clone", &["clone"]),
    ("/migrate", &["igrate"]),
    ("/config", &["config"]),
    ("/resize", &["resize"]),
    ("/move_disk", &["move"]),
    ("/move_volume", &["move_volume", "move"]),
    ("/template", &["template"]),
    ("/{vmid}", &["destroy"]),
    ("/qemu", &["create", "restore"]),
    ("/lxc", &["create", "restore"]),
    ("/vzdump", &["vzdump"]),
];

/// What became of a change that a plan made; of other intents nothing is said here. For [`crate::ledger::resolve`].
pub async fn fate(eyes: &Eyes, intent: &Receipt) -> Option<Fate> {
    let act = intent.body.get("act").and_then(Value::as_str);
    if !matches!(act, Some("apply" | "undo")) {
        return None;
    }
    let (result, why, upid) = judged(eyes, intent).await;
    let upid = upid.as_deref().map(Clean::of);
    let outcome = body::Outcome { answer: None, duration_us: 0, of: intent.seq, result, status: None, upid };
    Some(Fate { why: why.into(), outcome })
}

/// Returns once the node's API answers, whatever it says.
async fn answers(client: &Client) {
    let Ok(version) = Path::of(["version"]) else { return };
    let version = Read::new(version);
    let mut pause = PAUSE.0;
    while let Err(error) = client.get(&version).await {
        if !is_yet_to_come(&error) {
            return;
        }
        if pause == PAUSE.0 {
            tracing::warn!(
                "what became of changes that were under way is found out once PVE answers: {error}"
            );
        }
        tokio::time::sleep(pause).await;
        pause = PAUSE.1.min(pause * 2);
    }
}

/// Whether it says nothing of what was asked. The certificate lies in /etc/pve, which is mounted by a service of its own.
fn is_yet_to_come(error: &PveError) -> bool {
    error.is_passing() || matches!(error, PveError::Certificate(_))
}

type Judged = (body::Result, String, Option<String>);

async fn judged(eyes: &Eyes, intent: &Receipt) -> Judged {
    let mut tries = 1;
    let mut pause = PAUSE.0;
    loop {
        answers(&eyes.client).await;
        match judge(eyes, intent).await {
            Ok(judged) => return judged,
            // A node that has just booted answers one question and not the next.
            Err(error) if is_yet_to_come(&error) && tries < TRIES => {
                tracing::warn!("what became of a change is asked again: {error}");
            }
            Err(error) => return unknown(format!("the node could not be asked: {error}")),
        }
        tokio::time::sleep(pause).await;
        (tries, pause) = (tries + 1, PAUSE.1.min(pause * 2));
    }
}

async fn judge(eyes: &Eyes, intent: &Receipt) -> Result<Judged, PveError> {
    match by_task(eyes, intent).await? {
        Some(judged) => Ok(judged),
        None => by_state(eyes, intent).await,
    }
}

fn unknown(why: String) -> Judged {
    (body::Result::Unknown, why, None)
}

/// The one task that the call can have begun.
async fn by_task(eyes: &Eyes, intent: &Receipt) -> Result<Option<Judged>, PveError> {
    let endpoint = intent.endpoint.as_deref().unwrap_or_default();
    let Some((_, kinds)) = KINDS.iter().find(|(end, _)| endpoint.ends_with(end)) else { return Ok(None) };
    let call = intent.body.pointer("/before/call/path").and_then(Value::as_str).unwrap_or_default();
    let Some(node) = call.strip_prefix("/nodes/").and_then(|rest| rest.split('/').next()) else {
        return Ok(None);
    };
    let begun = intent.time.as_second();
    let read = Path::of(["nodes", node, "tasks"]).and_then(|path| {
        let read = Read::new(path).with("since", (begun - BEFORE).to_string())?;
        // It may be hours ago: what came since would fill the page.
        read.with("until", (begun + AFTER).to_string())?.with("limit", "500")?.with("source", "all")
    });
    let Ok(read) = read else { return Ok(None) };
    let rows: Vec<Listed> = eyes.client.get(&read).await?.data()?;
    let guest = intent.guest.map(|guest| guest.to_string());
    let is_it = |row: &&Listed| {
        let upid = &row.upid;
        let time = i64::from(upid.starttime);
        // A person who did the same by hand has no token, and Provost nothing else.
        upid.token.is_some()
            && kinds.iter().any(|kind| upid.kind.ends_with(kind))
            && guest.as_ref().is_none_or(|guest| *guest == upid.id)
            && (begun - BEFORE..=begun + AFTER).contains(&time)
    };
    let found: Vec<&Listed> = rows.iter().filter(is_it).collect();
    let upid = match found[..] {
        [] => return Ok(None),
        [one] => one.upid.clone(),
        _ => {
            return Ok(Some(unknown(format!(
                "{} tasks of that time could be the one that it began",
                found.len()
            ))));
        }
    };
    let outcome = match found[0].state() {
        State::Ended(outcome) => outcome,
        State::Running => task::follow(&eyes.client, &upid, |_| {}).await?,
    };
    let (result, said) = match outcome {
        Outcome::Done => (body::Result::Done, "OK".to_owned()),
        Outcome::Warnings(count) => (body::Result::Done, format!("{count} warnings")),
        Outcome::Failed { message, .. } => (body::Result::Failed, message),
    };
    let why = format!("the daemon ended in the middle; the task that it had begun says: {said}");
    Ok(Some((result, why, Some(upid.to_string()))))
}

/// Whether things are as they were meant to become.
async fn by_state(eyes: &Eyes, intent: &Receipt) -> Result<Judged, PveError> {
    let Some(request) = request(eyes, intent) else {
        let why = "the daemon ended in the middle, and the receipt does not hold all of the call";
        return Ok(unknown(why.to_owned()));
    };
    let digest = intent.body.pointer("/before/digest").and_then(Value::as_str);
    let before = "the daemon ended in the middle";
    Ok(match outlook(eyes, &request).await {
        Ok(Outlook::AsMeant) => (body::Result::Done, format!("{before}; it is as was meant"), None),
        Ok(Outlook::NotThere) => (body::Result::Failed, format!("{before}; nothing of it is there"), None),
        Ok(Outlook::Otherwise { digest: now }) if digest.is_some() && now.as_deref() == digest => {
            (body::Result::Failed, format!("{before}; the configuration is as it was"), None)
        }
        Ok(_) => unknown(format!("{before}, and nothing tells whether it was done")),
        Err(Refused::Pve(error)) if is_yet_to_come(&error) => return Err(error),
        Err(refused) => unknown(format!("{before}, and it could not be looked at: {refused}")),
    })
}

/// The call of an intent, if its receipt holds all of it.
fn request(eyes: &Eyes, intent: &Receipt) -> Option<Request> {
    let call = intent.body.pointer("/before/call")?;
    let method = Method::from_name(call.get("method")?.as_str()?)?;
    let args: Map<String, Value> = intent.body.get("args")?.as_object()?.clone();
    let withheld = args.values().any(|value| value.to_string().contains(crate::secret::WITHHELD));
    let guests = intent.guest.into_iter().collect();
    (!withheld)
        .then(|| Request::of(&eyes.catalog, method, call.get("path")?.as_str()?, args, guests).ok())
        .flatten()
}
