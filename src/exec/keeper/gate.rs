//! Who is served and which containers may be entered, by the root-owned configuration alone.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::Uid;

use crate::config::{self, ArgvRecord, Config, ConfigError, Exec, host};
use crate::door::Errand;
use crate::enter::EnterError;
use crate::enter::account::on_host;
use crate::exec::wire::{Guest, Refusal, Request};

#[derive(Debug, thiserror::Error)]
pub enum GateError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(
        "the configuration {path} decides what root does in containers, and uid {uid} (mode {mode:03o}) may write it; \
         make it root's: chown root {path} && chmod go-w {path}"
    )]
    Writable { path: String, uid: u32, mode: u32 },
    #[error("cannot read {path}: {source}")]
    Stat { path: String, source: std::io::Error },
    #[error(
        "/etc/passwd has no account \"{0}\", whom [exec] user says to serve; create it, or name another account or a uid"
    )]
    User(String),
}

/// A configuration file's identity: another one, or another content, has another.
#[derive(PartialEq, Eq)]
struct Identity(u64, u64, u64, i64, i64, i64, i64);

pub struct Gate {
    path: PathBuf,
    identity: Identity,
    config: Config,
    peer: Uid,
    generation: u64,
}

impl Gate {
    pub fn open(path: PathBuf) -> Result<Self, GateError> {
        let (identity, config) = read(&path)?;
        let peer = account(&config.exec.user)?;
        Ok(Self { path, identity, config, peer, generation: 0 })
    }

    /// Another number for each configuration that was read: what was learned by an earlier one may not hold.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whom this serves, beside root.
    pub fn peer(&self) -> Uid {
        self.peer
    }

    pub fn exec(&self) -> &Exec {
        &self.config.exec
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn argv_record(&self) -> ArgvRecord {
        self.config.ledger.argv
    }

    /// Whether the peer of a new connection is served at all.
    pub fn admit(&mut self, connection: &OwnedFd, room: bool) -> Result<(), Refusal> {
        // Whom to serve may have changed. One that cannot be read lets nobody in whom the last did not, and is told of
        // when a request comes.
        let _ = self.refresh();
        let peer = getsockopt(connection, sockopt::PeerCredentials).map(|peer| peer.uid());
        match peer {
            Ok(uid) if uid == 0 || uid == self.peer.as_raw() => {}
            Ok(uid) => {
                tracing::warn!(
                    peer_uid = uid,
                    provost_decision = "refused",
                    "refused a connection from another account"
                );
                return Err(refusal(
                    "peer",
                    format!("provost-execd serves {} and root, not uid {uid}", self.config.exec.user),
                    "ask provostd, which asks on behalf of whom its policy lets".into(),
                ));
            }
            Err(errno) => {
                return Err(refusal("peer", format!("cannot tell who connects: {errno}"), String::new()));
            }
        }
        if !room {
            return Err(refusal(
                "busy",
                "too many commands run at once".into(),
                "call again when one has ended".into(),
            ));
        }
        Ok(())
    }

    /// Whether the request may go on to its container. Reads the configuration again if it has changed; one that
    /// cannot be read closes the gate.
    pub fn check(&mut self, request: &Request) -> Result<(), Refusal> {
        if let Err(error) = self.refresh() {
            let next = "mend the configuration; nothing is run until it is right".into();
            return Err(refusal("configuration", error.to_string(), next));
        }
        let exec = &self.config.exec;
        let path = self.path.display();
        if !exec.enabled {
            let next = format!("set enabled = true under [exec] in {path}");
            return Err(refusal("disabled", format!("commands in containers are off in {path}"), next));
        }
        match request.guest {
            Guest::Vmid(vmid) if !exec.containers.contains(vmid) => {
                let message = format!("container {vmid} is not in [exec] containers of {path}");
                let next = format!("add {vmid} to that list if commands may run there");
                return Err(refusal("not_listed", message, next));
            }
            Guest::Vmid(_) => {}
            Guest::Host => self.check_host(request.file.as_ref())?,
        }
        if request.timeout_ms > u64::from(exec.max_timeout_s) * 1000 {
            let message =
                format!("a timeout of {} s is over [exec] max_timeout_s", request.timeout_ms / 1000);
            return Err(refusal(
                "timeout_ceiling",
                message,
                format!("ask for at most {} s", exec.max_timeout_s),
            ));
        }
        Ok(())
    }

    /// Whatever `provostd` says that a person approved: here it is the root-owned file that decides.
    fn check_host(&self, errand: Option<&Errand>) -> Result<(), Refusal> {
        let path = self.path.display();
        if !self.config.exec.host {
            let message = format!("commands and files on the node itself are off in {path}");
            let next = format!("set host = true under [exec] in {path}, knowing what that means");
            return Err(refusal("host_off", message, next));
        }
        let Some(errand) = errand else { return Ok(()) };
        if host::root(&self.config, Path::new(errand.path())).is_none() {
            let message = format!("{:?} lies under none of [exec] host_roots in {path}", errand.path());
            return Err(refusal(
                "not_listed",
                message,
                "list its directory there if its files may be reached".into(),
            ));
        }
        Ok(())
    }

    fn refresh(&mut self) -> Result<(), GateError> {
        let file = std::fs::metadata(&self.path);
        let now = file.map_err(|source| GateError::Stat { path: self.path.display().to_string(), source })?;
        if identity(&self.path, &now)? != self.identity {
            *self = Self { generation: self.generation + 1, ..Self::open(self.path.clone())? };
            tracing::info!(path = %self.path.display(), "read the changed configuration");
        }
        Ok(())
    }
}

pub fn refusal(kind: &str, message: String, next: String) -> Refusal {
    Refusal { kind: kind.into(), message: cut(message), next: cut(next) }
}

/// A text that what a caller or a container wrote may stand in: no longer than somebody would read.
fn cut(mut text: String) -> String {
    const LONGEST: usize = 2048;
    if text.len() > LONGEST {
        let all = text.len();
        let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push_str(&format!("… ({all} bytes in all)"));
    }
    text
}

pub fn of_entry(error: &EnterError) -> Refusal {
    refusal(error.kind(), error.to_string(), error.next())
}

/// The configuration, out of the very file that was looked at: it may be another one a moment later.
fn read(path: &Path) -> Result<(Identity, Config), GateError> {
    let failed = |source| ConfigError::Read { path: path.into(), source };
    let mut file = File::open(path).map_err(failed)?;
    let identity = identity(path, &file.metadata().map_err(failed)?)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    Ok((identity, config::parse(path, &text)?))
}

/// Its identity, if it is root's alone to write.
fn identity(path: &Path, stat: &Metadata) -> Result<Identity, GateError> {
    let mode = stat.mode() & 0o777;
    if stat.uid() != 0 || mode & 0o022 != 0 {
        return Err(GateError::Writable { path: path.display().to_string(), uid: stat.uid(), mode });
    }
    let (mtime, ctime) = ((stat.mtime(), stat.mtime_nsec()), (stat.ctime(), stat.ctime_nsec()));
    Ok(Identity(stat.dev(), stat.ino(), stat.size(), mtime.0, mtime.1, ctime.0, ctime.1))
}

fn account(name: &str) -> Result<Uid, GateError> {
    if let Ok(uid) = name.parse() {
        return Ok(Uid::from_raw(uid));
    }
    match on_host(name) {
        Ok(Some(account)) => Ok(account.uid),
        Ok(None) => Err(GateError::User(name.into())),
        Err(source) => Err(GateError::Stat { path: "/etc/passwd".into(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_no_longer_than_somebody_reads() {
        let refusal = refusal("request", "ä".repeat(100_000), "short".into());
        assert!(refusal.message.len() < 2100 && refusal.message.ends_with("… (200000 bytes in all)"));
        assert_eq!(refusal.next, "short");
    }
}
