//! Whether the daemon could do what it is for: for load balancers and the like, who are told yes or no and nothing more.

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::Mutex;

use super::Provost;
use crate::exec::client;
use crate::pve::{Methods, Path, Read};

/// As long as an answer counts: whoever asks without a token makes no more calls than this.
const LASTS: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, Serialize)]
pub struct Health {
    pub alive: bool,
    pub ready: bool,
    checks: Checks,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Checks {
    /// "ok"; "off" where no commands run; "unreachable".
    exec: &'static str,
    /// "ok", "unavailable"
    ledger: &'static str,
    /// "ok", "unreachable"
    pve: &'static str,
}

/// What was found last, by asking others.
#[derive(Default)]
pub struct Pulse(Mutex<Option<(Instant, Reached)>>);

#[derive(Debug, Clone, Copy)]
struct Reached {
    pve: bool,
    /// None: no commands run.
    exec: Option<bool>,
}

impl Provost {
    pub async fn health(&self) -> Health {
        let reached = self.reached().await;
        let pve = if reached.pve { "ok" } else { "unreachable" };
        let ledger = if self.desk.ledger.ready().is_ok() { "ok" } else { "unavailable" };
        let exec = match reached.exec {
            None => "off",
            Some(true) => "ok",
            Some(false) => "unreachable",
        };
        let ready = pve == "ok" && ledger == "ok" && exec != "unreachable";
        Health { alive: true, ready, checks: Checks { exec, ledger, pve } }
    }

    /// Whoever asks meanwhile waits for the same answer.
    async fn reached(&self) -> Reached {
        let mut last = self.pulse.0.lock().await;
        if let Some((at, reached)) = *last
            && at.elapsed() < LASTS
        {
            return reached;
        }
        let pve = async {
            let read = Read::new(Path::of(["version"]).ok()?).within(PATIENCE);
            self.client.limited_to(Methods::Reads).get(&read).await.ok()
        };
        let config = self.policy.rules.now();
        let exec = config.exec.enabled.then(|| client::probe(&config.exec.socket).is_ok());
        let reached = Reached { pve: pve.await.is_some(), exec };
        *last = Some((Instant::now(), reached));
        reached
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use nix::errno::Errno;
    use nix::sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept, bind, listen, socket,
    };

    use super::*;
    use crate::policy::Rules;

    #[tokio::test]
    async fn who_asks_again_and_again_makes_no_more_connections() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("exec.sock");
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let execd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).unwrap();
        bind(execd.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        listen(&execd, Backlog::new(16).unwrap()).unwrap();
        let text = format!(
            "[pve]\nurl='http://127.0.0.1:9'\ndaemon=''\n[exec]\nenabled=true\nsocket='{}'",
            path.display()
        );
        let rules = Rules::fixed(crate::config::parse(std::path::Path::new("x"), &text).unwrap());
        let provost = Provost::for_tests(rules);
        for _ in 0..10 {
            assert!(!provost.health().await.ready);
        }
        let came = std::iter::repeat_with(|| accept(execd.as_raw_fd())).take_while(Result::is_ok).count();
        assert_eq!(came, 1);
        assert_eq!(accept(execd.as_raw_fd()), Err(Errno::EAGAIN));
    }
}
