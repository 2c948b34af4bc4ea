//! The unix socket, and the doors beside it: the service manager's when it hands one over, else one of our own.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::control::Door;
use super::handed::Handed;
use super::http::{Face, Http};
use super::room::Room;
use super::session;
use super::stream::Stream;
use super::vsock::Vsock;
use crate::config::{Config, HttpPlace, Listen};
use crate::policy::Principal;
use crate::pve::{Address, AddressError};
use crate::sandbox::{Confined, Needs, Reached};
use crate::tools::Provost;

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("{path}: another process serves this socket already; stop it first, or set [listen] unix to another path", path = .0.display())]
    Taken(PathBuf),
    #[error("{path}: something that is not a socket stands there; move it away", path = .0.display())]
    NotASocket(PathBuf),
    #[error("cannot {what} {path}: {source}", path = path.display())]
    Own { what: &'static str, path: PathBuf, source: io::Error },
    #[error("the service manager's socket cannot be used: {0}")]
    Activation(io::Error),
    #[error(
        "the service manager's socket at {at} ({name}) is none that the configuration names: set [listen] unix to its path, \
         or its ListenStream= to [listen] unix (systemctl edit provost.socket), and the operators' beside it \
         (provost-control.socket: NAME.control.sock for NAME.sock)"
    )]
    Unclaimed { at: String, name: String },
}

pub struct Listening {
    listener: UnixListener,
    /// The socket file, when it is ours to remove.
    path: Option<PathBuf>,
    room: Arc<Room>,
    /// None: the service manager handed none over, and it is not ours to make.
    door: Option<Door>,
    /// None: not wanted.
    vsock: Option<Vsock>,
    /// None: not wanted.
    http: Option<Http>,
}

/// Listens, non-blocking, from within the runtime.
pub fn listen(config: &Listen) -> Result<Listening, ListenError> {
    let control = config.control();
    let mut handed = Handed::of_environment()?;
    let (mcp, operators) = (handed.at(&config.unix), handed.at(&control));
    let web = match &config.http {
        Some(HttpPlace::Unix(path)) => handed.at(path),
        _ => None,
    };
    handed.drop_http();
    handed.all_claimed()?;
    let ((listener, path), door) = match (mcp, operators) {
        (Some(listener), door) => ((listener, None), door.map(|door| (door, None))),
        (None, door) => {
            let listener = own(&config.unix, config.unix_mode.0)?;
            // Anybody may knock: credentials say what they are answered.
            let door = match door {
                Some(door) => (door, None),
                None => (own(&control, 0o666)?, Some(control.clone())),
            };
            ((listener, Some(config.unix.clone())), Some(door))
        }
    };
    if door.is_none() {
        tracing::error!(
            "no socket for operators at {}: nobody can halt or approve; enable provost-control.socket",
            control.display()
        );
    }
    let room = Room::new(config);
    let door = match door {
        Some((listener, path)) => Some(Door { listener: in_runtime(listener)?, path }),
        None => None,
    };
    let Handed { vsock, tcp, .. } = handed;
    if config.vsock.is_none() && !vsock.is_empty() {
        tracing::warn!("the service manager's vsock port is not served: [listen] vsock is not set");
    }
    // Nobody is kept from halting, or from working, by a door that they do not use.
    let vsock = config.vsock.and_then(|port| opened("vsock", Vsock::listen(port, vsock)));
    let http = opened("HTTP", Http::listen(config, web, tcp)).flatten();
    Ok(Listening { listener: in_runtime(listener)?, path, room, door, vsock, http })
}

/// A door beside the two that count, or that it is not there.
fn opened<T>(door: &str, listening: Result<T, impl std::fmt::Display>) -> Option<T> {
    listening
        .inspect_err(|error| {
            tracing::error!("{door} is not served, the other doors are: {error} (provost doctor)")
        })
        .ok()
}

fn in_runtime(listener: StdListener) -> Result<UnixListener, ListenError> {
    listener.set_nonblocking(true).map_err(ListenError::Activation)?;
    UnixListener::from_std(listener).map_err(ListenError::Activation)
}

impl Listening {
    /// What of the node the daemon needs once it listens here.
    pub fn needs(&self, config: &Config) -> Result<Needs, AddressError> {
        let addresses = [Some(Address::url(&config.pve.url)?), Address::daemon(&config.pve.daemon)?];
        let addresses = addresses.iter().flatten();
        let reached = Reached {
            ports: addresses.clone().map(Address::port).collect(),
            by_name: addresses.clone().any(Address::is_by_name),
        };
        let owns_http = self.http.as_ref().is_some_and(Http::owns_path);
        let mut needs = Needs::of(config, reached, self.path.is_some(), owns_http);
        // Heads of the ledger that others keep, read at the start.
        needs.read.extend(crate::ledger::witness::places());
        // What the kernel counts of guests.
        needs.read.push(crate::diagnose::cgroup::MOUNT.into());
        Ok(needs)
    }

    /// Serves until `stop`, then gives the sessions a moment to end.
    pub async fn serve<F: Face>(
        mut self,
        provost: Arc<Provost>,
        stop: CancellationToken,
        _confined: &Confined,
    ) {
        if let Some(door) = self.door.take() {
            tokio::spawn(door.serve(provost.clone(), stop.clone()));
        }
        let mut sessions = tokio::task::JoinSet::new();
        if let Some(vsock) = self.vsock.take() {
            sessions.spawn(vsock.serve(provost.clone(), self.room.clone(), stop.clone()));
        }
        if let Some(http) = self.http.take() {
            sessions.spawn(http.serve::<F>(provost.clone(), stop.clone()));
        }
        let crowd = Mutex::default();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = sessions.join_next() => continue,
                () = stop.cancelled() => break,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::error!(%error, "cannot accept a connection");
                    // Most likely out of descriptors: wait for a session to end rather than spin.
                    tokio::select! {
                        _ = sessions.join_next(), if !sessions.is_empty() => {}
                        () = tokio::time::sleep(std::time::Duration::from_millis(100)) => {}
                        () = stop.cancelled() => break,
                    }
                    continue;
                }
            };
            let Ok(uid) = stream.peer_cred().map(|peer| peer.uid()) else { continue };
            // Who it is, is asked again and more closely where it matters.
            let stream = Stream::Unix(stream);
            match self.room.enter(uid.into()) {
                Ok(place) => {
                    let (provost, room, stop) = (provost.clone(), self.room.clone(), stop.child_token());
                    sessions.spawn(async move {
                        match Principal::of_peer(&stream) {
                            Ok(principal) => session::serve(stream, principal, provost, room, stop).await,
                            Err(error) => tracing::warn!(%error, "closed a connection"),
                        }
                        drop(place);
                    });
                }
                Err(why) => {
                    session::refuse(&stream, || Principal::of_peer(&stream).ok(), &provost, &crowd, &why)
                }
            }
        }
        let ended = async { while sessions.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), ended).await;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

pub(super) fn own(path: &Path, mode: u32) -> Result<StdListener, ListenError> {
    let failed = |what| move |source| ListenError::Own { what, path: path.into(), source };
    remove_stale(path)?;
    // Bound under a name that nobody knows and moved when its mode is right: between a bind and a chmod a socket
    // stands open, and the mask of the process is not this thread's alone to change.
    let aside = path.with_extension(format!("new-{}", std::process::id()));
    let _ = std::fs::remove_file(&aside);
    let listener = StdListener::bind(&aside).map_err(failed("bind"))?;
    std::fs::set_permissions(&aside, PermissionsExt::from_mode(mode)).map_err(failed("set the mode of"))?;
    std::fs::rename(&aside, path).map_err(failed("put into place"))?;
    Ok(listener)
}

/// A socket file outlives a process that was killed. One that nobody answers on goes; anything else stays.
fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let failed = |what| move |source| ListenError::Own { what, path: path.into(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed("look at")(source)),
        Ok(stat) if !stat.file_type().is_socket() => return Err(ListenError::NotASocket(path.into())),
        Ok(_) => {}
    }
    match StdStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed("remove the stale"))
        }
        _ => Err(ListenError::Taken(path.into())),
    }
}
