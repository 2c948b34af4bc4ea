//! Why a command failed in the inspect lane, when it was the lane: what was refused, and where it would go through.
//!
//! The kernel refuses by errno and tells nobody but the program, so this reads what the program said of it. The guest
//! wrote that, so it decides nothing, and the answer says whose word it is. Only for commands as the container's root:
//! of anybody else, much is refused in every lane.

use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;

use crate::exec::wire::Outcome;

#[derive(Debug, Serialize, JsonSchema)]
pub struct Refused {
    /// On whose word this stands. The guest writes what a command says.
    by: &'static str,
    /// "bus", "socket", "write", "privilege" or "foreign_call".
    what: &'static str,
    /// What would do it.
    next: &'static str,
}

/// Words, in lower case, as the C library and common programs write them.
struct Sign {
    what: &'static str,
    /// One of these tells by itself.
    alone: &'static [&'static str],
    /// One of these tells where a refusal stands beside it.
    beside: &'static [&'static str],
    next: &'static str,
}

/// The refusals themselves.
const REFUSALS: &[&str] = &[
    "permission denied",
    "not permitted",
    "read-only file system",
    "eperm",
    "eacces",
    "erofs",
    "access denied",
];

/// How the lane's filter ends a program that calls the kernel by another architecture's door.
const SIGSYS: i32 = 31;

const CHANGE: &str = "mode \"change\" runs it with the container root's rights, where your role allows that";

/// Most telling first: what cannot reach the bus also says that it was not permitted.
const SIGNS: &[Sign] = &[
    Sign {
        what: "bus",
        alone: &["failed to connect to bus", "connect to system scope bus", "connect to the bus"],
        beside: &["d-bus", "dbus", "system bus"],
        next: "the inspect lane has no sockets, so nothing that asks systemd or the bus runs there; read \
               journalctl -u UNIT and files instead, or use mode \"change\" where your role allows it",
    },
    Sign {
        what: "socket",
        alone: &[
            "name resolution",
            "could not resolve",
            "network is unreachable",
            "name or service not known",
        ],
        beside: &["socket", "connect"],
        next: "the inspect lane opens no connection; mode \"change\" does, where your role allows it",
    },
    Sign { what: "privilege", alone: &[], beside: &["mount:"], next: CHANGE },
    Sign {
        what: "write",
        alone: &["read-only file system", "permission denied", "erofs", "eacces"],
        beside: &[
            "cannot remove",
            "cannot move",
            "cannot touch",
            "changing permissions",
            "changing ownership",
        ],
        next: CHANGE,
    },
    Sign { what: "privilege", alone: &["not permitted", "eperm", "must be root"], beside: &[], next: CHANGE },
];

/// Whether a command asked for as `user` runs as the container's root.
pub fn is_root(user: Option<&str>) -> bool {
    let user = user.unwrap_or("root");
    user == "root" || user.split_once(':').map_or(user, |(uid, _)| uid).parse() == Ok(0_u32)
}

/// What the lane refused, if the command says that it failed by it.
pub fn refused(outcome: &Outcome, stderr: &str, stdout: &str) -> Option<Refused> {
    if outcome.exit_code == Some(0) || outcome.timed_out {
        return None;
    }
    if outcome.signal == Some(SIGSYS) {
        return Some(Refused {
            by: "the signal that ended it",
            what: "foreign_call",
            next: "32-bit programs cannot run in the inspect lane; mode \"change\" runs them, where your role allows it",
        });
    }
    // A program that keeps its complaint for standard output has written none to standard error.
    let said = if stderr.is_empty() { stdout } else { stderr }.to_lowercase();
    let holds = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let refused = holds(REFUSALS);
    let sign = SIGNS.iter().find(|sign| holds(sign.alone) || (refused && holds(sign.beside)))?;
    Some(Refused { by: "the command says", what: sign.what, next: sign.next })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(exit_code: Option<i32>, signal: Option<i32>) -> Outcome {
        Outcome { exit_code, signal, ..super::super::run::tests::ended() }
    }

    #[test]
    fn what_the_command_says_is_given_as_its_word() {
        for (exit_code, stderr, what) in [
            (1, "sh: 1: cannot create /etc/motd: Permission denied", Some("write")),
            (1, "Failed to connect to bus: Operation not permitted", Some("bus")),
            (0, "Permission denied", None),
            (1, "no such file", None),
        ] {
            let refused = refused(&outcome(Some(exit_code), None), stderr, "");
            assert_eq!(refused.as_ref().map(|refused| refused.what), what, "{stderr}");
            assert!(refused.is_none_or(|refused| refused.by == "the command says"));
        }
        let killed = refused(&outcome(None, Some(SIGSYS)), "", "").expect("a hint");
        assert_eq!((killed.by, killed.what), ("the signal that ended it", "foreign_call"));
    }

    #[test]
    fn who_is_root_is_told_from_who_is_not() {
        for user in [None, Some("root"), Some("0"), Some("0:0"), Some("0:33")] {
            assert!(is_root(user), "{user:?}");
        }
        for user in [Some("www-data"), Some("33"), Some("33:0"), Some(""), Some("rooty")] {
            assert!(!is_root(user), "{user:?}");
        }
    }
}
