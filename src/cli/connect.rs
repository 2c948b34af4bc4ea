//! `provost connect`: many nodes as one MCP server, for a workstation's client.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::connect::check::{Checked, check};
use crate::connect::fleet::{Fleet, FleetError, Spec};
use crate::connect::serve;

pub const HELP: &str = "\
HOST is what ssh takes: a name of its configuration, user@host or ssh://user@host:port; or the path of a socket that a \
tunnel has brought here. NAME=HOST gives it another name. With --config, HOST is the name of a host or group of the file.

In an MCP client's configuration:   provost connect pve1 pve2 pve3
What goes where:                    provost client-config CLIENT --fleet pve1 pve2 pve3
Exit codes: 0 the client has ended its session (--check: every host is well), 1 not so, 2 the hosts cannot be understood.";

#[derive(Debug, Args)]
pub struct Connect {
    #[arg(value_name = "HOST")]
    hosts: Vec<String>,
    /// The fleet's file: [[host]] with name, ssh or socket, node; and [groups]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Another configuration for ssh than its own (ssh -F)
    #[arg(long, value_name = "FILE")]
    ssh_config: Option<PathBuf>,
    /// Connect to every host once, and say how each stands
    #[arg(long)]
    check: bool,
    /// With --check: as JSON
    #[arg(long, requires = "check")]
    json: bool,
}

impl Connect {
    fn fleet(&self) -> Result<Fleet, FleetError> {
        let mut fleet = match &self.config {
            Some(path) => Fleet::read(path)?.only(&self.hosts)?,
            None => Fleet::of(self.hosts.iter().map(|host| host.parse::<Spec>()).collect::<Result<_, _>>()?)?,
        };
        if self.ssh_config.is_some() {
            fleet.ssh_config.clone_from(&self.ssh_config);
        }
        Ok(fleet)
    }
}

/// What cannot be understood, as clap has it.
const USAGE: u8 = 2;

pub fn run(verb: &Connect) -> ExitCode {
    let fleet = match verb.fleet() {
        Ok(fleet) => fleet,
        Err(error) => {
            let _ = writeln!(io::stderr(), "provost connect: {error}");
            return ExitCode::from(USAGE);
        }
    };
    // One thread: nothing here computes, and a message crosses it sooner than it would cross two.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.and_then(|runtime| {
        let ended = runtime.block_on(async {
            match verb.check {
                true => show(&check(fleet).await, verb.json),
                false => serve(fleet).await.map(|()| true),
            }
        });
        // A read of a terminal that never ends is not waited for.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "provost connect: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints how each host stands; true when all are well.
fn show(checked: &[Checked], json: bool) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    let well = checked.iter().all(|host| host.ok);
    if json {
        let hosts = serde_json::to_string_pretty(checked)?;
        writeln!(out, "{hosts}")?;
        return Ok(well);
    }
    let none = || "-".to_owned();
    let row = |host: &Checked| {
        [
            host.host.clone(),
            if host.ok { "well" } else { "BAD" }.to_owned(),
            host.node.clone().unwrap_or_else(none),
            host.cluster.clone().unwrap_or_else(none),
            host.role
                .as_ref()
                .map_or_else(none, |role| format!("{role} ({})", host.profile.as_deref().unwrap_or("-"))),
            host.guests.map_or_else(none, |guests| guests.to_string()),
            host.version.clone().unwrap_or_else(none),
            format!("{} ms", host.ms),
        ]
    };
    let head = ["HOST", "STATE", "NODE", "CLUSTER", "ROLE", "GUESTS", "VERSION", "TIME"].map(str::to_owned);
    let rows: Vec<[String; 8]> = std::iter::once(head).chain(checked.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..8).map(width).collect();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    for host in checked.iter().filter(|host| !host.ok) {
        writeln!(out, "\n{}: {}", host.host, host.error.as_deref().unwrap_or("-"))?;
        if let Some(next) = &host.next {
            writeln!(out, "  what now: {next}")?;
        }
    }
    Ok(well)
}
