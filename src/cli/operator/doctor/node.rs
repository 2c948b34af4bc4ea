//! PVE's own daemons: whether they run, and are who the pinned certificate says.

use std::time::Duration;

use super::{Check, Ground, State};
use crate::pve::{Shut, knock};

const PATIENCE: Duration = Duration::from_secs(5);

pub fn checks(ground: &Ground) -> Vec<Check> {
    let Some(config) = &ground.config else { return Vec::new() };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let pve = &config.pve;
    let knocked = |url: &str| runtime.block_on(knock(url, &pve.certificate, PATIENCE));
    let mut checks = vec![daemon("pveproxy", &pve.url, knocked(&pve.url))];
    if !pve.daemon.is_empty() {
        checks.push(daemon("pvedaemon", &pve.daemon, knocked(&pve.daemon)));
    }
    // Looking at a certificate may be left on a thread that hangs.
    runtime.shutdown_background();
    checks
}

fn daemon(name: &'static str, url: &str, knocked: Result<(), Shut>) -> Check {
    match knocked {
        Ok(()) => Check::good(name, format!("{url} answers, as the one that was meant")),
        Err(Shut::Certificate(why)) if why.contains("ermission denied") => {
            Check::skipped(name, format!("{url}: {why}"))
        }
        Err(Shut::Certificate(why)) => Check::not(
            name,
            State::Bad,
            why,
            "systemctl reload pveproxy, or name its certificate as [pve] certificate",
        ),
        Err(Shut::Silent(why)) => Check::not(
            name,
            State::Bad,
            format!("{url}: {why}; PVE is stopped, or is being upgraded"),
            format!("systemctl status {name}; when it runs again, Provost goes on by itself"),
        ),
    }
}
