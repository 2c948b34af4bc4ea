//! The other products: a simulated Backup Server, asked by Provost's own client, planned for and changed as any node, and
//! under a whole `provostd`.

#[path = "../common/mod.rs"]
mod common;

mod client;
mod house;
mod manager;
mod plans;
mod site;
mod whole;
mod withheld;
