//! A file into a VM where no Linux runs, by the agent's own writing: in place, and so neither at once nor with owner or mode.
//! It is read again afterwards, and the answer says how it was done.

use super::super::door;
use super::super::put::{Wanted, Was, keep_what_was};
use super::put::changed;
use super::read::read;
use crate::door::{Errand, Found, Over, Part};
use crate::ledger::Recorded;
use crate::ledger::tree::sha256_hex;
use crate::policy::Permit;
use crate::tools::Provost;
use crate::tools::answer::Failure;
use crate::tools::vm::agent::{Agent, MOST_READ, MOST_WRITE};
use crate::tools::vm::system::System;

pub const NOTE: &str = "in a VM without Linux: written in place by the guest agent and read again; whoever read it meanwhile \
                        may have seen a part, and who owns it was not set";

/// What is there, once the errand is one that can be done so.
pub async fn look(
    provost: &Provost,
    permit: &Permit,
    agent: &Agent,
    wanted: &Wanted,
    system: &System,
) -> Result<Was, Failure> {
    let not = |what: String| {
        let message =
            format!("{what}: {}, and there a guest agent by itself can only write", system.why_not_linux());
        let next = "have the guest's own shell do it: exec with mode \"change\", where your role allows that";
        Failure::new("not_in_this_vm", message, next)
    };
    let put = match &wanted.errand {
        Errand::Put(put) => put,
        _ => return Err(not("a file cannot be taken away in this VM".to_owned())),
    };
    if put.mode.is_some() || put.owner.is_some() {
        return Err(not("mode and owner cannot be set in this VM".to_owned()));
    }
    if wanted.content.len() > MOST_WRITE {
        return Err(not(format!("no more than {MOST_WRITE} bytes can be put into this VM in one call")));
    }
    let path = &put.path;
    let seen = match read(agent, path, Part::From(0), MOST_READ, None).await {
        Ok(seen) => Some(seen),
        Err(failure) if failure.kind == "not_found" => None,
        Err(failure) => return Err(failure),
    };
    let sha256 = seen.as_ref().map(|seen| sha256_hex(&seen.bytes));
    match &put.over {
        Over::Never if seen.is_some() => {
            let next = "overwrite \"if_hash\" or \"always\" replaces it";
            return Err(Failure::new("exists", format!("{path:?} is there already"), next));
        }
        Over::IfHash(hash) if sha256.as_ref() != Some(hash) => return Err(changed(path, sha256.as_deref())),
        _ => {}
    }
    let (Some(seen), Some(sha256)) = (seen, sha256) else {
        return Ok(Was { found: None, sha256: None, kept: Ok(()), is_owned: false });
    };
    if seen.size.is_none() {
        return Err(not(format!("{path:?} is larger than what can be kept of it before it is written over")));
    }
    let kept = keep_what_was(provost, permit, &seen.bytes, &sha256).await?;
    let found = Found {
        is_directory: false,
        size: seen.bytes.len() as u64,
        uncounted: false,
        mode: 0,
        uid: 0,
        gid: 0,
        user: None,
        group: None,
        mtime: 0,
        links: 1,
        from: 0,
        follows: 0,
    };
    Ok(Was { found: Some(found), sha256: Some(sha256), kept, is_owned: false })
}

pub async fn write(agent: &Agent, recorded: &Recorded, wanted: &Wanted) -> Result<(), Failure> {
    let path = wanted.errand.path();
    match agent.write(path, &wanted.content, recorded).await {
        Ok(()) => {}
        // It was not opened.
        Err(failure) if matches!(failure.kind.as_str(), "permission" | "not_found" | "is_a_directory") => {
            return Err(door::nothing_changed(failure));
        }
        Err(failure) => return Err(failure),
    }
    let seen = read(agent, path, Part::From(0), wanted.content.len() as u64 + 1, None).await?;
    match seen.bytes == wanted.content {
        true => Ok(()),
        false => Err(Failure::new(
            "content",
            format!("{path:?} was written, and is not what was sent"),
            "read it (file_get) before anything is repeated",
        )),
    }
}
