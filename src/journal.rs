//! Where both daemons' own messages go: journald where it listens, else standard error.

use std::io::IsTerminal;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Sets the process's subscriber. `identifier` is what `journalctl -t` finds; fields named `provost_*` become
/// `PROVOST_*`.
pub fn init(identifier: &str) {
    // The MCP library logs whole requests, which hold what callers pass to commands. Its errors are enough.
    let wanted = Targets::new().with_default(LevelFilter::INFO).with_target("rmcp", LevelFilter::ERROR);
    let journal = under_journald().then(tracing_journald::layer).and_then(Result::ok);
    let journal =
        journal.map(|layer| layer.with_field_prefix(None).with_syslog_identifier(identifier.to_owned()));
    let plain = journal.is_none().then(|| {
        let colour = std::io::stderr().is_terminal();
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(colour)
    });
    tracing_subscriber::registry()
        .with(journal.map(|layer| layer.with_filter(wanted.clone())))
        .with(plain.map(|layer| layer.with_filter(wanted)))
        .init();
}

/// systemd says by `$JOURNAL_STREAM` that it started this process with the journal behind it; a daemon started by hand
/// should speak to the terminal of whoever started it.
pub fn under_journald() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some()
}
