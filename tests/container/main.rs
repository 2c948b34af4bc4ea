//! Everything that is proved in real containers. Needs root and the containers of tests/lab (`tests/lab/lab up`).

#[path = "../common/mod.rs"]
mod common;

mod cluster;
mod estate;
mod receipts;
mod session;
