//! The operator's verbs. Decides nothing: it asks the daemon, which knows it by its kernel credentials.

pub mod audit;
pub mod bridge;
pub mod client_config;
#[cfg(feature = "agent")]
pub mod connect;
mod creds;
#[cfg(feature = "sim")]
pub mod demo;
pub mod documents;
pub mod operator;
mod program;
#[cfg(feature = "agent")]
pub mod setup;
mod unanswered;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::config;

/// The agent that lets an AI assistant run a Proxmox VE node without being able to wreck it
#[derive(Debug, Parser)]
#[command(name = "provost", version, after_help = "Without a verb it says what to do next.")]
pub struct Provost {
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make or mend Provost's user, roles and tokens in PVE, and its configuration
    #[cfg(feature = "agent")]
    #[command(after_help = setup::CODES)]
    Setup(Box<setup::Setup>),
    /// Tokens of clients over HTTP: issue, list, refresh, revoke; and Provost's own in PVE: rotate
    #[cfg(feature = "agent")]
    Token {
        #[command(subcommand)]
        verb: Box<setup::TokenVerb>,
    },
    /// Take back what setup made in PVE; the receipts stay
    #[cfg(feature = "agent")]
    #[command(after_help = setup::CODES)]
    Uninstall(Box<setup::Uninstall>),
    /// The receipts: verify, follow, search, export, report
    Audit(audit::Audit),
    /// Connect standard input and output to the daemon: the command for an MCP client's configuration
    #[command(after_help = "In an MCP client on another machine:   ssh NODE provost bridge\n\
        In a virtual machine of the node:      provost bridge --vsock 7100")]
    Bridge {
        /// The daemon's socket [default: [listen] unix of the configuration]
        #[arg(long, env = "PROVOST_SOCKET")]
        socket: Option<PathBuf>,
        /// In a virtual machine: the node's vsock port ([listen] vsock there). No network and no configuration
        #[arg(long, value_name = "[CID:]PORT")]
        vsock: Option<bridge::Port>,
        /// The configuration [default: /etc/provost/provost.toml]
        #[arg(long, env = "PROVOST_CONFIG")]
        config: Option<PathBuf>,
    },
    /// Many nodes as one MCP server on standard input and output: for a client on a workstation
    #[cfg(feature = "agent")]
    #[command(after_help = connect::HELP)]
    Connect(connect::Connect),
    /// What goes into an MCP client's configuration, and into which file
    ClientConfig(client_config::ClientConfig),
    /// Stop every change and every command, at once and until `provost resume`; reading goes on
    #[command(after_help = operator::CODES)]
    Halt(operator::Switch),
    /// Let changes and commands go on
    #[command(after_help = operator::CODES)]
    Resume(operator::Switch),
    /// The plans that wait for somebody's yes, and those that waited lately
    Plans(operator::ListPlans),
    /// Show a plan that waits, and say yes to it
    #[command(after_help = operator::CODES)]
    Approve(operator::Answer),
    /// Show a plan that waits, and say no to it
    #[command(after_help = operator::CODES)]
    Deny(operator::Answer),
    /// Mail root each plan that waits, once (what provost-announce.path runs, as root)
    Announce(operator::Announce),
    /// What Provost knows of this node's API
    Catalogue {
        #[command(subcommand)]
        verb: operator::CatalogueVerb,
    },
    /// Whether all is as it should be: each check with its evidence, and what mends it
    #[command(after_help = "Exit codes: 0 nothing is bad, 1 something is.")]
    Doctor(operator::Doctor),
    /// Run a simulated Proxmox VE cluster, to try Provost without one
    #[cfg(feature = "sim")]
    #[command(alias = "sim", after_help = demo::HELP)]
    Demo(demo::Arguments),
    /// Print a shell's completions:  provost completions bash > /etc/bash_completion.d/provost
    Completions { shell: clap_complete::Shell },
    /// Write the manual's pages into a directory
    #[command(hide = true)]
    Man { directory: PathBuf },
}

/// What to do next, for whoever typed no verb.
pub fn suggest(out: &mut impl std::io::Write) -> std::io::Result<()> {
    let path = config::path(None);
    let (state, next) = match config::load(&path) {
        Err(config::ConfigError::Read { source, .. })
            if source.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            ("The configuration is not yours to read.".to_owned(), SET_UP)
        }
        Err(config::ConfigError::Read { .. }) => {
            (format!("There is no {}: this node is not set up.", path.display()), FRESH)
        }
        Err(_) => (format!("{} is not right.", path.display()), WRONG),
        Ok(config) if config.roles.is_empty() => {
            ("No role stands in the configuration: nobody may do anything.".into(), FRESH)
        }
        Ok(_) => ("This node is set up.".to_owned(), SET_UP),
    };
    writeln!(out, "{state} What now?\n")?;
    for (verb, what) in next {
        writeln!(out, "  provost {verb:<28} {what}")?;
    }
    writeln!(out, "\nprovost --help lists every verb.")
}

const FRESH: &[(&str, &str)] = &[
    ("setup", "makes Provost's user, role and token in PVE, and the configuration (as root)"),
    ("setup --dry-run", "shows what that would be"),
    ("doctor", "says what stands and what is missing"),
    #[cfg(feature = "agent")]
    ("connect HOST...", "is for a workstation: many nodes as one MCP server"),
];
const WRONG: &[(&str, &str)] = &[("doctor", "says where, and what would be right")];
const SET_UP: &[(&str, &str)] = &[
    ("doctor", "says whether all is as it should be"),
    (
        "client-config CLIENT",
        "what an MCP client needs: claude-code, claude-desktop, cursor, vscode, zed, generic",
    ),
    ("plans", "what waits for somebody's yes"),
    ("audit tail", "what was done lately"),
    ("halt", "stops every change, at once"),
];

/// Serves MCP on the node: lets an assistant run it without being able to wreck it
#[derive(Debug, Parser)]
#[command(name = "provostd", version)]
pub struct Daemon {
    /// The configuration [default: /etc/provost/provost.toml]
    #[arg(long, env = "PROVOST_CONFIG")]
    pub config: Option<PathBuf>,
    /// Read the configuration, say whether it is right, and end
    #[arg(long)]
    pub check: bool,
    /// For a daemon that starts another beside it.
    #[arg(long, hide = true)]
    pub reader: bool,
}
