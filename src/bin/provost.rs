//! `provost`: the operator's hand.

use std::process::ExitCode;

use clap::Parser;
#[cfg(feature = "sim")]
use provost::cli::demo;
use provost::cli::{Provost, Verb, audit, bridge, documents};

fn main() -> ExitCode {
    match Provost::parse().verb {
        Verb::Audit(verb) => audit::run(verb),
        Verb::Bridge { socket, config } => bridge::run(socket, config),
        #[cfg(feature = "sim")]
        Verb::Demo(arguments) => demo::run(&arguments),
        Verb::Completions { shell } => {
            documents::completions(shell, &mut std::io::stdout());
            ExitCode::SUCCESS
        }
        Verb::Man { directory } => match documents::man(&directory) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("provost man: cannot write into {}: {error}", directory.display());
                ExitCode::FAILURE
            }
        },
    }
}
