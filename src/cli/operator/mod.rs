//! `provost halt`, `resume`, `plans`, `approve`, `deny`, `catalogue`, `doctor`: what operators say to the daemon.
//!
//! Decides nothing: it asks on the operators' socket, and the daemon knows it by its kernel credentials. What it shows is
//! cleaned here again, whoever wrote it.

mod announce;
mod client;
mod decide;
mod doctor;
mod show;
mod token;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config::ConfigError;
use crate::control::{Ask, Catalogue, Plans, Refused, Switched};
pub use announce::Announce;
pub use client::Client;
pub use doctor::Doctor;
pub use token::TokenVerb;

/// The daemon said no.
const REFUSED: u8 = 1;
/// The command was wrong, or nobody was there to be asked.
const WRONG: u8 = 2;
/// The daemon cannot be reached: sysexits' EX_UNAVAILABLE.
const UNAVAILABLE: u8 = 69;

pub const CODES: &str =
    "Exit codes: 0 done, 1 refused, 2 nothing was asked, 69 the daemon cannot be reached.";

/// Where the daemon is.
#[derive(Debug, Clone, Args)]
pub struct Where {
    /// The operators' socket [default: beside [listen] unix of the configuration]
    #[arg(long, env = "PROVOST_CONTROL", value_name = "SOCKET")]
    socket: Option<PathBuf>,
    /// The configuration [default: /etc/provost/provost.toml]
    #[arg(long, env = "PROVOST_CONFIG")]
    config: Option<PathBuf>,
}

impl Where {
    pub fn of(socket: Option<PathBuf>, config: Option<PathBuf>) -> Self {
        Self { socket, config }
    }
}

#[derive(Debug, Args)]
pub struct Switch {
    /// Why, for everybody who is refused meanwhile, and for the record
    #[arg(long, default_value = "")]
    why: String,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub struct ListPlans {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub struct Answer {
    /// The plan, as `provost plans` names it; its first characters do where no other begins with them
    #[arg(value_name = "ID")]
    id: String,
    /// Ask nothing
    #[arg(long, short)]
    yes: bool,
    /// Why, for the record
    #[arg(long, default_value = "")]
    why: String,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Subcommand)]
pub enum CatalogueVerb {
    /// Calls of this node's API that no table knows: they count as destructive until one does
    Unclassified {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        at: Where,
    },
}

/// Why a verb could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot connect to {socket}: {source}; {next}", socket = socket.display())]
    Unreachable { socket: PathBuf, source: io::Error, next: &'static str },
    #[error("the connection to the daemon broke: {0}; journalctl -t provost says more")]
    Broke(io::Error),
    #[error("the daemon answered what this program does not understand; are both of the same version?")]
    NoAnswer,
    #[error("{}; {}", .0.message, .0.next)]
    Refused(Refused),
    #[error("{0}")]
    Wrong(String),
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

type Done = Result<(), Failed>;

pub fn halt(verb: Switch) -> ExitCode {
    end("halt", switch(&verb, Ask::Halt { why: verb.why.clone() }))
}

pub fn resume(verb: Switch) -> ExitCode {
    end("resume", switch(&verb, Ask::Resume { why: verb.why.clone() }))
}

fn switch(verb: &Switch, ask: Ask) -> Done {
    let switched: Switched = Client::at(&verb.at)?.ask(&ask)?;
    match verb.json {
        true => show::json(&switched),
        false => show::switched(&mut anstream::stdout().lock(), &switched),
    }
}

pub fn plans(verb: &ListPlans) -> ExitCode {
    let listed = || {
        let plans: Plans = Client::at(&verb.at)?.ask(&Ask::Plans {})?;
        match verb.json {
            true => show::json(&plans),
            false => show::plans(&mut anstream::stdout().lock(), &plans),
        }
    };
    end("plans", listed())
}

pub fn approve(answer: &Answer) -> ExitCode {
    end("approve", decide::run(answer, true))
}

pub fn deny(answer: &Answer) -> ExitCode {
    end("deny", decide::run(answer, false))
}

pub fn catalogue(verb: &CatalogueVerb) -> ExitCode {
    let CatalogueVerb::Unclassified { json, at } = verb;
    let listed = || {
        let catalogue: Catalogue = Client::at(at)?.ask(&Ask::Catalogue {})?;
        match json {
            true => show::json(&catalogue),
            false => show::catalogue(&mut anstream::stdout().lock(), &catalogue),
        }
    };
    end("catalogue", listed())
}

pub fn doctor(verb: &Doctor) -> ExitCode {
    match doctor::run(verb) {
        Ok(false) => ExitCode::from(REFUSED),
        well => end("doctor", well.map(drop)),
    }
}

pub fn token(verb: &TokenVerb) -> ExitCode {
    let (name, done) = token::run(verb);
    end(name, done)
}

pub fn announce(verb: &Announce) -> ExitCode {
    end("announce", announce::run(verb))
}

fn end(verb: &str, done: Done) -> ExitCode {
    let error = match done {
        Ok(()) => return ExitCode::SUCCESS,
        // Whoever read it has seen enough.
        Err(Failed::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        Err(error) => error,
    };
    let message = crate::text::clean(error.to_string().as_bytes());
    let _ = writeln!(io::stderr(), "provost {verb}: {message}");
    ExitCode::from(match error {
        Failed::Refused(_) => REFUSED,
        Failed::Unreachable { .. } | Failed::Broke(_) | Failed::NoAnswer => UNAVAILABLE,
        _ => WRONG,
    })
}
