//! `provost`: the operator's hand.

use std::process::ExitCode;

use clap::Parser;
use provost::cli::{Provost, Verb, audit, bridge};

fn main() -> ExitCode {
    match Provost::parse().verb {
        Verb::Audit(verb) => audit::run(verb),
        Verb::Bridge { socket, config } => bridge::run(socket, config),
    }
}
