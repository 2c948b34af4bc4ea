//! The operator's verbs. Decides nothing: it asks the daemon, which knows it by its kernel credentials.

pub mod audit;
pub mod bridge;
#[cfg(feature = "sim")]
pub mod demo;
pub mod documents;
pub mod operator;
mod unanswered;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// The agent that lets an AI assistant run a Proxmox VE node without being able to wreck it
#[derive(Debug, Parser)]
#[command(name = "provost", version, arg_required_else_help = true)]
pub struct Provost {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
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
