//! A VM's files by its guest agent.
//!
//! The bytes of a file come by the agent's own reading, which runs nothing. All else, what a file is and any change of it, is
//! done by fixed scripts, which run as the guest's root: to policy they are changes, as any command in a VM is, and where the
//! caller may not make one, what they would tell is left untold.

mod in_place;
mod list;
mod look;
mod put;
mod read;

pub use put::carry_out;

use super::get::Got;
use crate::door::Part;
use crate::policy::{Permit, Principal};
use crate::tools::Provost;
use crate::tools::answer::Failure;
use crate::tools::exec::vm::fixed;
use crate::tools::record::Call;
use crate::tools::vm::agent::Agent;

/// What is asked of a file, or of a directory.
pub struct Wanted<'a> {
    pub path: &'a str,
    pub part: Part,
    /// Bytes.
    pub most: u64,
    pub entries: u64,
}

/// The hash of a file's first bytes, by the agent's own reading: where nobody is there who could have a script run.
pub async fn hash(
    provost: &Provost,
    permit: &Permit,
    node: &str,
    path: &str,
    most: u64,
) -> Result<String, Failure> {
    let agent = Agent::new(provost.policy.inside(permit, &provost.client, node));
    let seen = read::read(&agent, path, Part::From(0), most, None).await?;
    Ok(crate::ledger::tree::sha256_hex(&seen.bytes))
}

/// A file's bytes, or a directory's entries.
pub async fn get(
    provost: &Provost,
    principal: &Principal,
    permit: &Permit,
    node: &str,
    wanted: &Wanted<'_>,
    record: &mut Call,
) -> Result<Got, Failure> {
    let path = wanted.path;
    record.notes().reached();
    // All that its agent says, errors too.
    record.notes().made_by_guest();
    let (looked, untold) = match provost.policy.widen(permit, principal) {
        Err(denied) => (None, Some(format!("a guest agent tells none of them but by a command: {denied}"))),
        Ok(wide) => {
            let agent = Agent::new(provost.policy.inside(&wide, &provost.client, node));
            match agent.system().await {
                Ok(system) if system.is_linux() => {
                    let ended =
                        fixed(&agent, &wide, look::LOOK, &[path, "plain"], look::PATIENCE, record).await?;
                    let looked = look::look(path, &ended)?;
                    if looked.found.as_ref().is_some_and(|found| found.is_directory) {
                        return list::list(&agent, &wide, wanted, looked, record).await;
                    }
                    (looked.found, None)
                }
                Ok(system) => (None, Some(system.why_not_linux())),
                // The role may have no command there at all; the reading below says what is wrong if it cannot be had either.
                Err(failure) => (None, Some(failure.message)),
            }
        }
    };
    let agent = Agent::new(provost.policy.inside(permit, &provost.client, node));
    let size = looked.as_ref().map(|found| found.size);
    let seen = read::read(&agent, path, wanted.part, wanted.most, size).await?;
    Ok(Got {
        found: looked,
        is_directory: false,
        size: seen.size,
        from: seen.from,
        bytes: seen.bytes,
        listed: Vec::new(),
        untold: untold.map(|why| format!("mode, owner, times and links: {why}")),
    })
}
