//! What the daemon leaves on record of what it serves, against a simulated cluster.

#[path = "../common/mod.rs"]
mod common;

mod audit;
mod crash;
mod place;
mod refused;
mod served;
#[allow(dead_code, reason = "what reads the API needs more of it")]
#[path = "../read/site.rs"]
mod site;
