//! What an attacker tries, and what stands afterwards: the host untouched, an answer in bounded time, and nothing left
//! behind, no process, cgroup or descriptor.
//!
//! The attacker is in turn the container, the MCP client, `provostd`, and another user of the node. Each container here
//! belongs to the test that made it: tests/lab's own are used by others meanwhile, and serve here for what cannot
//! disturb them.
//!
//! Needs root and the lab in layout v2: `tests/lab/lab up && tests/lab/lab wait`.

#[path = "../common/mod.rs"]
mod common;

mod ground;
mod guest;
mod memory;

mod accounts;
mod arguments;
mod busy;
mod cgroups;
mod client;
mod crash;
mod crowd;
mod dumpable;
mod filters;
mod flood;
mod impostor;
mod init;
mod intruder;
mod leaves;
mod lifecycle;
mod output;
mod overwrite;
mod peer;
mod processes;
mod record;
mod reload;
mod stopped;
mod unit;
mod wire;
