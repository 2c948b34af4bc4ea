//! Namespace entry: a command in a running container, as `lxc-attach` would start it and stricter where that costs
//! the command nothing.
//!
//! In: a container's number, what to run, and three descriptors for it. Out: a process in the container, and how it
//! ended. It must never run a program, load a library or resolve a name on the way in, never read what a command
//! writes, and never enter a container that the caller did not ask for by a number that the operator listed.
//!
//! Used by `provost-execd` alone, which has one thread: `fork` is safe here for that reason only. The one room with
//! `unsafe`, and that in [`sys`] and where a block says why.
//!
//! The way in: [`inquiry`] asks the container's [`monitor`], [`target`] reads the rest from /proc, [`leaf`] makes a
//! cgroup, [`spawn`] gives birth in the container's pid namespace, [`child`] goes the rest of the way and becomes the
//! command, [`running`] is what is held of it, [`hunt`] ends all that descends from it. [`policy`] is the
//! container's seccomp profile, [`inspect`] the lane in which a command can only read, [`door`] what the process does where
//! a file is wanted and no command, and [`host`] its way there on the node itself.

pub mod account;
pub mod cgroups;
pub mod child;
pub mod door;
pub mod error;
pub mod home;
pub mod host;
pub mod hunt;
pub mod inquiry;
pub mod inspect;
pub mod label;
pub mod leaf;
pub mod limits;
pub mod monitor;
pub mod policy;
pub mod running;
pub mod sealed;
pub mod spawn;
pub mod step;
pub mod sys;
pub mod target;
pub mod walk;

pub use child::{Command, Work};
pub use error::EnterError;
pub use running::{Ended, KillBy, Running};
pub use spawn::spawn;
pub use target::Target;
