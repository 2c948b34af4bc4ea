//! The product's own daemons: whether they run, and are who the pinned certificate says.

use std::time::Duration;

use super::{Check, Ground, State};
use crate::product::Product;
use crate::pve::{Shut, knock};

/// Of each: a machine that is busy takes its time over a handshake.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn checks(ground: &Ground) -> Vec<Check> {
    let Some(config) = &ground.config else { return Vec::new() };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let pve = &config.pve;
    let knocked = |url: &str| runtime.block_on(knock(pve.product(), url, &pve.certificate, PATIENCE));
    let product = pve.product();
    let facts = product.facts();
    let mut checks = vec![daemon(product, facts.proxy, &pve.url, knocked(&pve.url))];
    if !pve.daemon.is_empty() {
        checks.push(daemon(product, facts.daemon, &pve.daemon, knocked(&pve.daemon)));
    }
    // Looking at a certificate may be left on a thread that hangs.
    runtime.shutdown_background();
    checks
}

fn daemon(product: Product, name: &'static str, url: &str, knocked: Result<(), Shut>) -> Check {
    let facts = product.facts();
    match knocked {
        Ok(()) => Check::good(name, format!("{url} answers, as the one that was meant")),
        Err(Shut::Certificate(why)) if why.contains("ermission denied") => {
            Check::skipped(name, format!("{url}: {why}"))
        }
        Err(Shut::Certificate(why)) => Check::not(
            name,
            State::Bad,
            why,
            match product {
                Product::Pve => {
                    format!("systemctl reload {name}, or name its certificate as [pve] certificate")
                }
                _ => format!("systemctl reload {name}, or copy its certificate anew: {}", facts.certificate),
            },
        ),
        Err(Shut::NoAddress(why)) => Check::not(
            name,
            State::Bad,
            format!("{why}; a daemon that runs keeps to the one before, and none starts"),
            match facts.daemon_url {
                "" => format!("correct [pve] url: {}", facts.url),
                daemon => {
                    format!("correct [pve] url and [pve] daemon: https://HOST:8006, and {daemon} or \"\"")
                }
            },
        ),
        Err(Shut::Silent(why)) => Check::not(
            name,
            State::Bad,
            format!("{url}: {why}; {product} is stopped, or is being upgraded"),
            format!("systemctl status {name}; when it runs again, Provost goes on by itself"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_is_another_one_that_is_silent_and_one_that_has_no_address_are_told_apart() {
        let why = || "why".to_owned();
        for (knocked, state, says) in [
            (Ok(()), State::Good, "as the one that was meant"),
            (Err(Shut::Certificate("EACCES: permission denied".into())), State::Skipped, "permission"),
            (Err(Shut::Certificate(why())), State::Bad, "why"),
            (Err(Shut::Silent(why())), State::Bad, "Proxmox VE is stopped, or is being upgraded"),
            (Err(Shut::NoAddress(why())), State::Bad, "none starts"),
        ] {
            let check = daemon(Product::Pve, "pveproxy", "https://x:8006", knocked);
            assert!(check.state == state && check.evidence.contains(says), "{check:?}");
            assert_eq!(check.mend.is_some(), state == State::Bad, "{check:?}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_said_to_be_none() {
        let config =
            crate::config::parse(std::path::Path::new("x"), "[pve]\nurl='ftp://x'\ndaemon=''").unwrap();
        let at = super::super::Where::of(None, None);
        let ground = Ground { at, config: Some(config), examined: None, walls: None };
        let checks = checks(&ground);
        assert!(checks.len() == 1 && checks[0].evidence.contains("none starts"), "{checks:?}");
    }
}
