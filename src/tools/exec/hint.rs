//! Why a command failed in the inspect lane, when it was the lane: what was refused, and where it would go through.
//!
//! The kernel refuses by errno and tells nobody but the program, so this reads what the program said of it. A wrong
//! guess misleads nobody far: the command's own words stand beside it.

use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;

use crate::exec::wire::Outcome;

#[derive(Debug, Serialize, JsonSchema)]
pub struct Refused {
    /// "bus", "socket", "write" or "privilege".
    what: &'static str,
    /// What would do it.
    next: &'static str,
}

struct Sign {
    what: &'static str,
    /// Words of which one must be there, as the C library and common programs write them.
    words: &'static [&'static str],
    next: &'static str,
}

const CHANGE: &str = "mode \"change\" runs it with the container root's rights, where your role allows that";

/// Most telling first: what cannot reach the bus also says that a connection failed.
const SIGNS: &[Sign] = &[
    Sign {
        what: "bus",
        words: &["connect to bus", "D-Bus", "dbus", "system bus", "connect to system scope bus"],
        next: "the inspect lane has no sockets, so nothing that asks systemd or the bus runs there; read \
               journalctl -u UNIT and files instead, or use mode \"change\" where your role allows it",
    },
    Sign {
        what: "socket",
        words: &[
            "socket",
            "Socket",
            "connect",
            "Connection",
            "Network is unreachable",
            "resolve",
            "resolution",
            "Name or service not known",
        ],
        next: "the inspect lane opens no connection; mode \"change\" does, where your role allows it",
    },
    Sign {
        what: "write",
        words: &[
            "Read-only file system",
            "Permission denied",
            "cannot create",
            "can't create",
            "cannot remove",
            "cannot move",
            "cannot touch",
            "cannot overwrite",
            "cannot make",
            "changing permissions",
            "changing ownership",
            "setting times",
            "failed to create",
            "EACCES",
            "EROFS",
        ],
        next: CHANGE,
    },
    Sign {
        what: "privilege",
        words: &["Operation not permitted", "not permitted", "EPERM", "must be root"],
        next: CHANGE,
    },
];

/// What the lane refused, if the command failed by it.
pub fn refused(outcome: &Outcome, stderr: &str, stdout: &str) -> Option<Refused> {
    if outcome.exit_code == Some(0) || outcome.timed_out {
        return None;
    }
    let said = |text: &str| {
        let sign = SIGNS.iter().find(|sign| sign.words.iter().any(|word| text.contains(word)))?;
        // A socket's words alone say little; they count where a refusal's own words stand beside them.
        let refusal = [
            "denied",
            "not permitted",
            "Read-only",
            "bus",
            "EPERM",
            "EACCES",
            "EROFS",
            "unreachable",
            "resol",
        ];
        refusal.iter().any(|word| text.contains(word)).then_some(Refused { what: sign.what, next: sign.next })
    };
    said(stderr).or_else(|| stderr.is_empty().then(|| said(stdout)).flatten())
}
