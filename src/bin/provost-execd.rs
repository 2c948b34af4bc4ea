//! `provost-execd`: enters the containers that the operator listed, as root, for `provostd`.
//!
//! It runs from a sealed copy of itself, undumpable and in one thread, reads its own root-owned list, and links neither a
//! network nor a parser of what a model sent. It does not hold itself in as `provostd` does (`sandbox`), because a command
//! begins as a child of it and must be what `lxc-attach` starts:
//!
//! | not done | why |
//! | --- | --- |
//! | a Landlock domain | it goes through every exec and cannot be left: a command could open no file of its container |
//! | a filter of system calls | it is inherited too, and the container's own is put on top, never instead |
//! | no_new_privs | inherited; `sudo`, `ping` and every set-user-ID program of the container would end without rights |
//! | an empty bounding set | joining namespaces takes CAP_SYS_ADMIN; the set is the unit's, and a command's is the container's |
//! | resource limits, scheduling, umask, securebits, keyrings | inherited; the command's are the container's, or lxc-attach's |
//! | another user | joining namespaces and making cgroup leaves is root's |
//!
//! What is left is what stays behind when a namespace is entered: mounts, devices, addresses and memory, by its unit.

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
