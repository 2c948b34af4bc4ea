//! The other products: a simulated Backup Server, asked by Provost's own client, planned for and changed as any node, and
//! under a whole `provostd`.

#[path = "../common/mod.rs"]
mod common;

mod client;
mod host;
mod house;
mod jobs;
mod maintenance;
mod manager;
mod named;
mod people;
mod plans;
mod profiles;
mod site;
mod stores;
mod whole;
mod withheld;
