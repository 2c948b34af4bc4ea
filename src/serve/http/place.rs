//! Where HTTP is served: what the service manager handed over, where it is what `[listen] http` names; else one of our own.

use std::io;
use std::net::TcpListener as StdTcp;
use std::os::unix::net::UnixListener as StdUnix;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::callers::Callers;
use super::{Door, Face, connection};
use crate::account::Account;
use crate::config::{HttpPlace, Listen, is_loopback};
use crate::policy::Supply;
use crate::serve::room::Room;
use crate::serve::unix::{ListenError, own};
use crate::tools::Provost;

/// Connections at once. One more waits until another ends.
const MOST: usize = 1024;
/// Of one account of the node, by a path: a reverse proxy's, which brings everybody's, has to do with them too.
const MOST_EACH: usize = 768;
/// For the last of what tokens' holders were given to be on the disk.
const TO_KEEP: Duration = Duration::from_secs(3);

/// Why HTTP is not served.
#[derive(Debug, thiserror::Error)]
pub enum NotListening {
    #[error("cannot serve HTTP at {place}: {source}; {}", next(.source))]
    Own { place: HttpPlace, source: io::Error },
    #[error("cannot serve HTTP: {0}")]
    Path(Box<ListenError>),
    #[error("the service manager's socket for HTTP cannot be used: {0}")]
    Handed(io::Error),
}

fn next(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::EADDRINUSE) => "another process has the port: stop it, or set [listen] http to another",
        Some(libc::EACCES | libc::EPERM) => {
            "let systemd listen: systemctl enable provost-http.socket && systemctl restart provost, with the address that [listen] http names"
        }
        _ => "is the address one of this node's own?",
    }
}

pub struct Http {
    listener: Listener,
    /// The socket file, when it is ours to remove.
    path: Option<PathBuf>,
    config: Listen,
}

enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Http {
    /// What the service manager handed over, where it is what is wanted; else one of our own. None: it is not wanted. From
    /// within the runtime.
    pub fn listen(
        config: &Listen,
        unix: Option<StdUnix>,
        tcp: Vec<StdTcp>,
    ) -> Result<Option<Self>, NotListening> {
        let Some(place) = &config.http else {
            if !tcp.is_empty() {
                tracing::warn!(
                    "the service manager's socket for HTTP is not served: [listen] http is not set"
                );
            }
            return Ok(None);
        };
        let (listener, path) = match place {
            HttpPlace::Unix(path) => {
                let (listener, own) = match unix {
                    Some(listener) => (listener, None),
                    None => {
                        let listener = own(path, config.unix_mode.0);
                        let listener = listener.map_err(|error| NotListening::Path(Box::new(error)))?;
                        (listener, Some(path.clone()))
                    }
                };
                listener.set_nonblocking(true).map_err(NotListening::Handed)?;
                (Listener::Unix(UnixListener::from_std(listener).map_err(NotListening::Handed)?), own)
            }
            HttpPlace::Loopback(address) => {
                let mut ours = None;
                for listener in tcp {
                    let at = listener.local_addr().map_err(NotListening::Handed)?;
                    if at == *address && is_loopback(at.ip()) {
                        ours = Some(listener);
                    } else {
                        tracing::warn!(
                            "the service manager's address {at} is not served: [listen] http is {address}"
                        );
                    }
                }
                let failed = |source| NotListening::Own { place: place.clone(), source };
                let listener = ours.map_or_else(|| StdTcp::bind(address), Ok).map_err(failed)?;
                listener.set_nonblocking(true).map_err(failed)?;
                (Listener::Tcp(TcpListener::from_std(listener).map_err(failed)?), None)
            }
        };
        Ok(Some(Self { listener, path, config: config.clone() }))
    }

    /// Whether there is a socket file to remove at the end.
    pub fn owns_path(&self) -> bool {
        self.path.is_some()
    }

    /// Serves until `stop`, then until the connections have ended.
    pub async fn serve<F: Face>(self, provost: Arc<Provost>, stop: CancellationToken) {
        if let Some(place) = &self.config.http {
            tracing::info!(%place, "serving HTTP");
        }
        let tokens = provost.policy.tokens.clone();
        let keeping = tokio::spawn(tokens.clone().keep_up());
        let room = Room::for_http();
        let callers = Arc::new(Callers::<F>::new(provost.clone(), room.clone()));
        let door = Arc::new(Door::new(&self.config, provost, room));
        let places = Arc::new(Semaphore::new(MOST));
        let shares = Supply::<Account>::new(MOST, MOST_EACH);
        let mut connections = JoinSet::new();
        let mut sweep = tokio::time::interval(Duration::from_secs(15));
        loop {
            let accepted = tokio::select! {
                accepted = self.accept(&places) => accepted,
                Some(_) = connections.join_next() => continue,
                _ = sweep.tick() => {
                    callers.sweep().await;
                    continue;
                }
                () = stop.cancelled() => break,
            };
            let Ok((stream, uid, place)) = accepted else {
                // Most likely out of descriptors: wait rather than spin.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            // Who has them all open leaves some for others: what is too many is hung up on.
            let share = match uid.map(|uid| shares.take(uid, 1)) {
                Some(Err(_)) => continue,
                share => share.and_then(Result::ok),
            };
            let (door, callers, stop) = (door.clone(), callers.clone(), stop.clone());
            connections.spawn(async move {
                connection::serve(stream, door, callers, stop).await;
                drop((place, share));
            });
        }
        callers.end();
        while connections.join_next().await.is_some() {}
        keeping.abort();
        let _ = tokio::time::timeout(TO_KEEP, tokens.kept_up()).await;
    }

    /// A connection; and by a path, whose.
    async fn accept(
        &self,
        places: &Arc<Semaphore>,
    ) -> io::Result<(connection::Stream, Option<u32>, OwnedSemaphorePermit)> {
        let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
        let (stream, uid): (connection::Stream, _) = match &self.listener {
            Listener::Unix(listener) => {
                let stream = listener.accept().await?.0;
                let uid = stream.peer_cred()?.uid();
                (Box::new(stream), Some(uid))
            }
            Listener::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Nobody else can come; and would not be let in.
                if !is_loopback(peer.ip()) {
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                stream.set_nodelay(true)?;
                (Box::new(stream), None)
            }
        };
        Ok((stream, uid, place))
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}
