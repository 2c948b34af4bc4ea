//! `provost`: the operator's hand.

use std::process::ExitCode;

use clap::Parser;
use provost::cli::{Provost, Verb, bridge};

fn main() -> ExitCode {
    match Provost::parse().verb {
        Verb::Bridge { socket, config } => bridge::run(socket, config),
    }
}
