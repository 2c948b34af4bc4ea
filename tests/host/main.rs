//! Commands and files on the node itself, over the socket and with real approvals: the node is a container with a systemd of
//! its own, in which both daemons run as the units that are installed.
//!
//! Needs root and the lab in layout v2: `tests/lab/lab up && tests/lab/lab wait`.

#[path = "../common/mod.rs"]
mod common;
#[path = "../hostile/guest.rs"]
#[allow(dead_code, reason = "for the hostile tests as well")]
mod guest;

mod consent;
mod files;
mod node;
mod run;
