//! The other products: a simulated Backup Server, asked by Provost's own client, planned for and changed as any node.

mod client;
mod plans;
mod site;
