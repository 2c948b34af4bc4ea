//! What a person asks an assistant for, as the calls that a client makes of it: from the first look to the way back, over the
//! socket, with both daemons, a real container and a simulated cluster that knows it. What is on record of it is read in the
//! end, receipt by receipt.

#[path = "../container/cluster.rs"]
mod cluster;
#[path = "../common/mod.rs"]
mod common;
#[path = "../hostile/group.rs"]
mod group;
#[path = "../hostile/guest.rs"]
#[allow(dead_code, reason = "each test program uses its own part")]
mod guest;

mod record;
mod slow;
