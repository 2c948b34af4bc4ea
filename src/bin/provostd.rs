//! `provostd`: serves MCP on the node.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use provost::catalog::Catalog;
use provost::cli::Daemon;
use provost::config::{self, ConfigError};
use provost::ledger::resolve::{of_command, resolve};
use provost::ledger::watch::Watch;
use provost::ledger::{Ledger, Options};
use provost::policy::{Rules, promises};
use provost::sandbox;
use provost::serve;
use provost::tools::{Provost, Session};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    let options = Daemon::parse();
    let path = config::path(options.config);
    if options.check {
        return match config::load_trusted(&path) {
            Ok((config, _)) => {
                println!("{}: right", path.display());
                for not_yet in config.not_yet() {
                    println!("{}: not acted on by this version: {}", not_yet.key, not_yet.meaning);
                }
                ExitCode::SUCCESS
            }
            Err(error) => wrong(&error),
        };
    }
    provost::journal::init("provost");
    if options.reader {
        return match sandbox::reader::run(&path) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tracing::error!("the reader: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let rules = match Rules::of(path.clone()) {
        Ok(rules) => rules,
        Err(error) => return wrong(&error),
    };
    // One thread serves thousands of sessions: each call waits for somebody else, and what is computed is small.
    let served = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Into::into);
    match served.and_then(|runtime| runtime.block_on(serve(rules, &path))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn wrong(error: &ConfigError) -> ExitCode {
    eprintln!("provostd: {error}");
    ExitCode::FAILURE
}

async fn serve(rules: Rules, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let config = rules.now();
    // What no row knows is destructive, whatever the node's catalogue brings: the rows are all that could be wrong.
    promises(&Catalog::default())?;
    // Listening first: a socket's place may need a right that is given up next.
    let listening = serve::listen(&config.listen)?;
    let confined = sandbox::confine(listening.needs(&config)?, path)?;
    if nix::unistd::Uid::effective().is_root() {
        tracing::warn!("runs as root; it should run as the account that [exec] user names");
    }
    // After what is given up: a thread keeps what it was started with.
    let ledger = Ledger::open(Options::of(&config.ledger))?;
    match resolve(&ledger, &ledger.status().open_intents, async |intent| of_command(intent)).await {
        Ok(0) => {}
        Ok(closed) => tracing::warn!(closed, "commands were under way when the daemon ended"),
        Err(error) => tracing::error!("{error}"),
    }
    let watch = Watch::start(&ledger);
    let stop = CancellationToken::new();
    let provost = Arc::new(Provost::new(rules, ledger.clone())?);
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stopper = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        let _ = systemd::daemon::notify([("STOPPING", "1")].iter());
        stopper.cancel();
    });
    let (mut hangup, to_reload) = (signal(SignalKind::hangup())?, provost.clone());
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            to_reload.reload();
        }
    });
    if config.exec.enabled && config.exec.host {
        tracing::warn!(
            "[exec] host is on: commands and files of the node itself can be asked for, and a person approves each"
        );
    }
    tracing::info!(socket = %config.listen.unix.display(), roles = config.roles.len(), "serving");
    let _ = systemd::daemon::notify([("READY", "1")].iter());
    tokio::spawn(watchdog());
    let resolving = async {
        Box::pin(provost.resolve_changes()).await;
        std::future::pending::<()>().await
    };
    let mut reads = Ok(());
    tokio::select! {
        () = listening.serve::<Session>(provost.clone(), stop, &confined) => {}
        // Whoever started this daemon starts it again, with another.
        () = confined.reader_ended() => reads = Err("the reader has ended: no file of the node's can be read"),
        // A task that goes on for hours is followed for as long as this daemon serves.
        () = resolving => {}
        () = provost.follow_members() => {}
    }
    drop(watch);
    provost.close().await;
    ledger.close();
    Ok(reads?)
}

/// Tells systemd twice in each span that the loop still turns.
async fn watchdog() {
    let Some(span) = systemd::daemon::watchdog_enabled().ok().filter(|span| *span > 0) else { return };
    let mut ticks = tokio::time::interval(Duration::from_micros(span / 2));
    loop {
        ticks.tick().await;
        let _ = systemd::daemon::notify([("WATCHDOG", "1")].iter());
    }
}
