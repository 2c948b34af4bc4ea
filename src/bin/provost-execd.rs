//! `provost-execd`: enters the containers that the operator listed, as root, for `provostd`.

use std::path::PathBuf;
use std::process::ExitCode;

use provost::config;
use provost::enter::sealed::run_sealed;
use provost::exec::keeper::Keeper;

const HELP: &str = "\
provost-execd enters the containers that [exec] containers lists, for provostd.

Usage: provost-execd [--config FILE]

  --config FILE  the configuration, root's alone to write
                 (default: $PROVOST_CONFIG, else /etc/provost/provost.toml)
  --version      print the version
  --help         print this

It is started by systemd (provost-execd.socket), or by hand as root.
";

fn main() -> ExitCode {
    match arguments() {
        Ok(Some(config)) => {
            if let Err(error) = run_sealed() {
                eprintln!("provost-execd: cannot run from a sealed copy of itself: {error}");
                return ExitCode::FAILURE;
            }
            provost::journal::init("provost-execd");
            match Keeper::open(config::path(config)).and_then(Keeper::serve) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    tracing::error!("{error}");
                    ExitCode::FAILURE
                }
            }
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("provost-execd: {error}\nTry: provost-execd --help");
            ExitCode::from(2)
        }
    }
}

/// The configuration to use; none when the question was another.
fn arguments() -> Result<Option<Option<PathBuf>>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut config = None;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("config") => config = Some(arguments.value()?.into()),
            Long("version") => {
                println!("provost-execd {}", env!("CARGO_PKG_VERSION"));
                return Ok(None);
            }
            Long("help") | Short('h') => {
                print!("{HELP}");
                return Ok(None);
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(config))
}
