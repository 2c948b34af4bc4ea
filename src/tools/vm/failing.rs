//! Why a call of the agent's failed: PVE's words, and its own, sorted by what to do about them.

use serde::Deserialize;

use super::agent::Agent;
use super::bytes;
use crate::policy::{Deed, Unsent};
use crate::pve::{PveError, loose};
use crate::text::clean;
use crate::tools::answer::Failure;

impl Agent {
    pub(super) async fn of_file(&self, path: &str, unsent: Unsent) -> Failure {
        let failure = self.failure(unsent).await;
        let kind = match &failure.message {
            said if said.contains("No such file") || said.contains("cannot find the") => "not_found",
            said if said.contains("Permission denied") || said.contains("Access is denied") => "permission",
            said if said.contains("Is a directory") => "is_a_directory",
            _ => return failure,
        };
        let next =
            "see what is there: file_get of the directory above, where your role allows exec \"change\"";
        let message = format!("{path:?} in the VM: {}", failure.message);
        Failure { kind: kind.to_owned(), message, next: next.to_owned(), ..failure }
    }

    /// PVE's words, sorted by what to do about them.
    pub(super) async fn failure(&self, unsent: Unsent) -> Failure {
        let error = match unsent {
            Unsent::Denied(denied) => return denied.into(),
            Unsent::Pve(error) => error,
            other => return Failure::new("internal", other.to_string(), "report this"),
        };
        let PveError::Failed { message, .. } = &error else { return error.into() };
        let said = bytes::message(message);
        let said = clean(said.trim().as_bytes());
        let (vmid, node) = (self.hand.vmid(), self.hand.node());
        let failure = |kind: &str, next: String| Failure {
            status: error.status(),
            ..Failure::new(kind, format!("VM {vmid}: {said}"), next)
        };
        if said.contains("guest agent is not running") && self.is_off().await {
            let next = off(node, vmid);
            return Failure {
                message: format!("VM {vmid}: its configuration has the guest agent off"),
                ..failure("no_guest_agent", next)
            };
        }
        match WORDS.iter().find(|(words, ..)| words.iter().all(|word| said.contains(word))) {
            Some((_, "no_guest_agent", "")) => failure("no_guest_agent", off(node, vmid)),
            Some((_, kind, next)) => {
                let failure = failure(kind, (*next).to_owned());
                match *kind {
                    // As a shell would report it.
                    "no_such_program" => failure.with("exit_code", 127),
                    "not_executable" => failure.with("exit_code", 126),
                    _ => failure,
                }
            }
            None => Failure { message: format!("VM {vmid}: {said}"), ..error.into() },
        }
    }

    /// Whether the VM's configuration says that there is no agent.
    async fn is_off(&self) -> bool {
        #[derive(Deserialize)]
        struct Config {
            #[serde(default, deserialize_with = "loose::optional::text")]
            agent: Option<String>,
        }
        let Ok(answer) = self.hand.ask(Deed::Config, &[]).await else { return false };
        let on = |agent: &str| {
            let first = agent.split(',').find_map(|part| match part.split_once('=') {
                None => Some(part),
                Some(("enabled", value)) => Some(value),
                Some(_) => None,
            });
            first.is_some_and(|value| matches!(value, "1" | "on" | "yes" | "true"))
        };
        answer.data::<Config>().is_ok_and(|config| !config.agent.as_deref().is_some_and(on))
    }
}

fn off(node: &str, vmid: u32) -> String {
    format!(
        "`plan` PUT /nodes/{node}/qemu/{vmid}/config with agent \"1\", then stop and start the VM, as it gets the agent's \
         device only then; in the guest, install and start qemu-guest-agent"
    )
}

/// Words of PVE's and the agent's, the kind that they make, and what to do. The first row whose words all stand there is it.
const WORDS: &[(&[&str], &str, &str)] = &[
    (&["No QEMU guest agent configured"], "no_guest_agent", ""),
    (
        &["guest agent is not running"],
        "no_guest_agent",
        "in the guest, install and start qemu-guest-agent (Windows: the virtio-win guest tools); where the VM's agent setting \
         was turned on while it ran, stop and start it first",
    ),
    (
        &["is not running"],
        "stopped",
        "start the VM, if that is meant (plan POST …/status/start), and call again",
    ),
    (
        &["not running"],
        "stopped",
        "start the VM, if that is meant (plan POST …/status/start), and call again",
    ),
    (
        &["Configuration file", "does not exist"],
        "no_such_guest",
        "read /cluster/resources for where each guest is",
    ),
    (&["frozen"], "frozen", "a backup or snapshot holds its file systems: wait for it and call again"),
    (
        &["has been disabled"],
        "agent_command_disabled",
        "whoever runs the guest can allow it: take the command out of block-rpcs (or blacklist), or put it into allow-rpcs, in \
         /etc/qemu/qemu-ga.conf or /etc/sysconfig/qemu-ga, and restart qemu-guest-agent",
    ),
    (&["has not been found"], "agent_too_old", "install a newer qemu-guest-agent in the guest"),
    (
        &["child process", "No such file"],
        "no_such_program",
        "name a program that the guest has, or the whole path of it",
    ),
    (
        &["child process", "Permission denied"],
        "not_executable",
        "see its mode and the guest's own rules (SELinux)",
    ),
    (&["child process"], "spawn", "see the guest's memory and its log"),
    (
        &["got timeout"],
        "agent_timeout",
        "the guest agent did not answer in time, and may have done it all the same: see the guest's load before it is repeated",
    ),
];
