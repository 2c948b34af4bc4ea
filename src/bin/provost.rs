//! `provost`: the operator's hand.

use std::process::ExitCode;

use clap::Parser;
#[cfg(feature = "sim")]
use provost::cli::demo;
use provost::cli::{Provost, Verb, audit, bridge, client_config, documents, operator, suggest};
#[cfg(feature = "agent")]
use provost::cli::{connect, setup};

fn main() -> ExitCode {
    let Some(verb) = Provost::parse().verb else {
        let _ = suggest(&mut std::io::stdout());
        return ExitCode::SUCCESS;
    };
    match verb {
        #[cfg(feature = "agent")]
        Verb::Setup(verb) => setup::run(&verb),
        #[cfg(feature = "agent")]
        Verb::Token { verb } => setup::token(&verb),
        #[cfg(feature = "agent")]
        Verb::Uninstall(verb) => setup::uninstall(&verb),
        Verb::Audit(verb) => audit::run(verb),
        Verb::Bridge { socket, vsock, config } => bridge::run(socket, vsock, config),
        #[cfg(feature = "agent")]
        Verb::Connect(verb) => connect::run(&verb),
        Verb::ClientConfig(verb) => client_config::run(&verb),
        Verb::Halt(verb) => operator::halt(verb),
        Verb::Resume(verb) => operator::resume(verb),
        Verb::Plans(verb) => operator::plans(&verb),
        Verb::Approve(answer) => operator::approve(&answer),
        Verb::Deny(answer) => operator::deny(&answer),
        Verb::Announce(verb) => operator::announce(&verb),
        Verb::Catalogue { verb } => operator::catalogue(&verb),
        Verb::Doctor(verb) => operator::doctor(&verb),
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
