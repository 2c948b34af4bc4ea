//! The receipts: what a crash, a full disk and a forger can do to them.

mod cli;
mod common;
mod crash;
mod disk;
mod independent;
mod journald;
mod tamper;
