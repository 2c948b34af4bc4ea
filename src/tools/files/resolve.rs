//! What became of a `file_put` that was under way when the daemon before this one ended: by what is in its place now.
//!
//! It looks and changes nothing. What is as was meant is done; what is as before was not done, where nothing of it can be
//! under way any more; of all else nobody knows, and the receipt says so.

use std::time::Duration;

use ring::digest::{Context, SHA256};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::door::{self, Door};
use super::vm;
use crate::door::{Errand, Get, Part, Said};
use crate::exec::wire::Guest;
use crate::ledger::Receipt;
use crate::ledger::receipt::body::{Outcome, Result as Became};
use crate::ledger::resolve::Fate;
use crate::ledger::tree::hex;
use crate::policy::Permit;
use crate::tools::Provost;
use crate::tools::answer::Failure;

/// By then an errand in a container whose caller has gone is over: `provost-execd` gives it three seconds.
const SETTLED: Duration = Duration::from_secs(4);
/// How often it is looked at where that fails: `provost-execd` may be starting too.
const TRIES: u32 = 4;

/// What is at a path.
#[derive(Debug, PartialEq)]
enum Is {
    Absent,
    /// Of a file that is longer than both that it could be, any hash but theirs.
    File(String),
}

/// Of an intent that no `file_put` left, nothing.
pub async fn fate(provost: &Provost, intent: &Receipt) -> Option<Fate> {
    if intent.body["act"] != "file_put" {
        return None;
    }
    let (result, why) = judge(provost, intent).await;
    let outcome = Outcome { answer: None, duration_us: 0, of: intent.seq, result, status: None, upid: None };
    Some(Fate { why: format!("the daemon ended in the middle{why}").as_str().into(), outcome })
}

async fn judge(provost: &Provost, intent: &Receipt) -> (Became, String) {
    let unknown = |why: String| (Became::Unknown, why);
    let args = &intent.body["args"];
    let (Some(guest), Some(path)) = (intent.guest, args["path"].as_str()) else {
        return unknown("; what is on the node itself nobody looks at without a person".to_owned());
    };
    let permit = match provost.policy.look_again(intent.principal.as_ref(), guest) {
        Ok(permit) => permit,
        Err(denied) => return unknown(format!(", and it is not looked at: {denied}")),
    };
    let most = [&args["bytes"], &intent.body["before"]["bytes"]];
    let most = most.into_iter().filter_map(Value::as_u64).max().unwrap_or_default() + 1;
    let in_vm = !args["vm"].is_null();
    let beside = match args["aside"].as_str() {
        Some(aside) => format!(
            "; what was brought so far may lie in {aside} in the VM, which a later file_put beside it takes away"
        ),
        None => String::new(),
    };
    let meant = intent.body["sha256"].as_str().map(str::to_owned).map_or(Is::Absent, Is::File);
    let before = intent.body["before"]["sha256"].as_str().map(str::to_owned).map_or(Is::Absent, Is::File);
    // No other of ours is put there meanwhile.
    let lock = provost.files.guest(Guest::Vmid(guest));
    let _alone = lock.lock().await;
    let mut seen = Err(door::unclear());
    for tries in 0..TRIES {
        if tries > 0 {
            tokio::time::sleep(SETTLED).await;
        }
        seen = look(provost, &permit, path, most, in_vm).await;
        match &seen {
            Ok(is) if *is == meant => return (Became::Done, "; what was meant is in place".to_owned()),
            // Looked at once more when nothing can be under way.
            Ok(_) if tries > 0 => break,
            _ => {}
        }
    }
    match seen {
        Ok(is) if is == before && in_vm => unknown(format!(
            "; what is there is as it was, and its last step may be under way in the VM{beside}"
        )),
        Ok(is) if is == before => (Became::Failed, "; what is there is as it was".to_owned()),
        Ok(Is::Absent) => unknown(format!("; nothing is there now{beside}")),
        Ok(Is::File(_)) => unknown(format!("; what is there is neither as it was nor as was meant{beside}")),
        Err(failure) => unknown(format!(", and it could not be looked at: {}{beside}", failure.message)),
    }
}

async fn look(provost: &Provost, permit: &Permit, path: &str, most: u64, in_vm: bool) -> Result<Is, Failure> {
    let looked = match (in_vm, permit.guest()) {
        (true, Guest::Vmid(vmid)) => match provost.vm(vmid).await {
            Some(node) => vm::hash(provost, permit, &node, path, most).await,
            None => Err(Failure::new("no_such_guest", "the VM is not there any more", "")),
        },
        _ => hash(permit, path, most).await,
    };
    match looked {
        Ok(sha256) => Ok(Is::File(sha256)),
        Err(failure) if failure.kind == "not_found" => Ok(Is::Absent),
        Err(failure) => Err(failure),
    }
}

/// Of a container's file, as far as `most` bytes.
async fn hash(permit: &Permit, path: &str, most: u64) -> Result<String, Failure> {
    let wanted = CancellationToken::new();
    let errand = Errand::Get(Get { path: path.to_owned(), part: Part::From(0), most });
    let mut door = Door::open(permit, errand, &wanted)?;
    let said = door.answer().await.map_err(|failure| door::said(failure).1)?;
    let Said::Found(found) = said else { return Err(door::unclear()) };
    if found.is_directory {
        return Err(Failure::new("not_a_file", "a directory is there", ""));
    }
    let mut hash = Context::new(&SHA256);
    let took = door.take(found.follows.min(most), |part| {
        hash.update(part);
        Ok(())
    });
    took.await?;
    door.ended().await?;
    Ok(hex(hash.finish().as_ref()))
}
