//! `provost`: the operator's hand.

use std::process::ExitCode;

use clap::Parser;
#[cfg(feature = "sim")]
use provost::cli::sim;
use provost::cli::{Provost, Verb, bridge};

fn main() -> ExitCode {
    match Provost::parse().verb {
        Verb::Bridge { socket, config } => bridge::run(socket, config),
        #[cfg(feature = "sim")]
        Verb::Sim(arguments) => sim::run(&arguments),
    }
}
