//! `provost audit`: the receipts, for the operator.
//!
//! Reads the ledger's files itself and asks no daemon: so it works when there is none, and believes none. It must never
//! write into the ledger; `archive` and `witness`, which move and copy, say so.

mod archive;
mod consistency;
mod export;
mod line;
mod query;
mod report;
mod show;
mod tail;
mod verify;
mod witness;

pub use line::quoted;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config;
use crate::ledger::{DiskError, Place, SegmentError};

/// Everything holds.
pub const VERIFIED: u8 = 0;
/// Something is damaged, missing, or not where it should be.
pub const DAMAGED: u8 = 1;
/// The files cannot be read, which says nothing about them; or the command was wrong.
pub const UNREADABLE: u8 = 2;

const CODES: &str = "Exit codes: 0 it holds, 1 it is damaged, 2 it cannot be read.";

#[derive(Debug, Args)]
pub struct Audit {
    /// The ledger [default: [ledger] dir of the configuration]
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The configuration [default: /etc/provost/provost.toml]
    #[arg(long, global = true, env = "PROVOST_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Hold every receipt against the tree, the signed head, published heads and the journal
    #[command(after_help = CODES)]
    Verify(verify::Verify),
    /// Show that a later head grew out of an earlier one, with the proof
    #[command(after_help = CODES)]
    Consistency(consistency::Consistency),
    /// Print the latest signed head, to keep elsewhere
    Checkpoint,
    /// The latest receipts, one a line
    Tail(tail::Tail),
    /// One receipt, all of it, with the proof that it is in the log
    #[command(after_help = CODES)]
    Show(show::Show),
    /// Receipts by guest, principal, kind, decision and time, the newest first
    Query(query::Query),
    /// All of them, or some, for other programs
    Export(export::Export),
    /// A page that a manager can read: one HTML file
    Report(report::Report),
    /// Move sealed segments away; the tree goes on proving what remains
    Archive(archive::Archive),
    /// Copy the signed head where the daemon cannot rewrite it (what provost-witness.timer runs, as root)
    Witness(witness::Witness),
}

/// Why a verb could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error(transparent)]
    Config(#[from] config::ConfigError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Segment(#[from] SegmentError),
    #[error(transparent)]
    Hashes(#[from] crate::ledger::HashesError),
    #[error("{path} {source}", path = path.display())]
    Note { path: PathBuf, source: crate::ledger::NoteError },
    #[error("there is no ledger in {}: the daemon makes one at its first start", .0.display())]
    NoLedger(PathBuf),
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
    #[error("cannot write: {0}")]
    Csv(#[from] csv::Error),
    #[error("{0}")]
    Other(String),
}

type Done = Result<u8, AuditError>;

pub fn run(audit: Audit) -> ExitCode {
    let done = place(audit.dir, audit.config).and_then(|place| match audit.verb {
        Verb::Verify(verb) => verb.run(&place),
        Verb::Consistency(verb) => verb.run(&place),
        Verb::Checkpoint => checkpoint(&place),
        Verb::Tail(verb) => verb.run(&place),
        Verb::Show(verb) => verb.run(&place),
        Verb::Query(verb) => verb.run(&place),
        Verb::Export(verb) => verb.run(&place),
        Verb::Report(verb) => verb.run(&place),
        Verb::Archive(verb) => verb.run(&place),
        Verb::Witness(verb) => verb.run(&place),
    });
    match done {
        Ok(code) => ExitCode::from(code),
        // Whoever read it has seen enough.
        Err(AuditError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "provost audit: {error}");
            ExitCode::from(UNREADABLE)
        }
    }
}

fn place(dir: Option<PathBuf>, path: Option<PathBuf>) -> Result<Place, AuditError> {
    let dir = match dir {
        Some(dir) => dir,
        None => {
            let named = path.is_some();
            match config::load(&config::path(path)) {
                Ok(config) => config.ledger.dir,
                Err(config::ConfigError::Read { .. }) if !named => config::Ledger::default().dir,
                Err(error) => return Err(error.into()),
            }
        }
    };
    match std::fs::metadata(&dir) {
        Ok(_) => Ok(Place::new(dir)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(AuditError::NoLedger(dir)),
        Err(error) => Err(AuditError::Other(format!("cannot read {}: {error}; try as root", dir.display()))),
    }
}

fn checkpoint(place: &Place) -> Done {
    let note = read(&place.checkpoint())?;
    // What is printed to be kept is a head, and of this log.
    let key = key(place)?;
    key.head(&note).map_err(|source| AuditError::Note { path: place.checkpoint(), source })?;
    io::stdout().write_all(&note)?;
    Ok(VERIFIED)
}

fn key(place: &Place) -> Result<crate::ledger::PublicKey, AuditError> {
    let path = place.public_key();
    let text = read(&path)?;
    crate::ledger::PublicKey::parse(&String::from_utf8_lossy(&text))
        .map_err(|source| AuditError::Note { path, source })
}

/// A small file that has to be there.
fn read(path: &std::path::Path) -> Result<Vec<u8>, AuditError> {
    let cannot = |error: io::Error| AuditError::Other(format!("cannot read {}: {error}", path.display()));
    std::fs::read(path).map_err(cannot)
}

/// What two verbs take to choose receipts.
#[derive(Debug, Args)]
struct Which {
    /// Of this guest (vmid)
    #[arg(long)]
    guest: Option<u32>,
    /// By this principal: user:alice, alice, uid:1000, vm:120, vsock:1101, token:NUMBER
    #[arg(long)]
    principal: Option<String>,
    /// Of this kind: start, session, read, plan, approval, intent, outcome, exec, file, refusal, halt, repair, token
    #[arg(long)]
    kind: Option<crate::ledger::Kind>,
    /// allowed, refused, held
    #[arg(long)]
    decision: Option<crate::ledger::Decision>,
    /// Of this plan
    #[arg(long)]
    plan: Option<String>,
    /// From this time on: 2026-01-31, 2026-01-31T10:00:00Z, today, yesterday, 2h
    #[arg(long, value_parser = crate::ledger::query::time)]
    since: Option<jiff::Timestamp>,
    /// Before this time
    #[arg(long, value_parser = crate::ledger::query::time)]
    until: Option<jiff::Timestamp>,
}

impl From<Which> for crate::ledger::query::Filter {
    fn from(which: Which) -> Self {
        Self {
            guest: which.guest,
            principal: which.principal,
            kind: which.kind,
            decision: which.decision,
            plan: which.plan,
            since: which.since,
            until: which.until,
            before: None,
        }
    }
}
