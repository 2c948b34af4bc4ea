//! The vsock port: assistants inside virtual machines of the node, with no network between.
//!
//! In: connections to `[listen] vsock`, through the service manager's socket (`provost-vsock.socket`) or one of our own. Out:
//! sessions whose principal is the VM that has the peer's CID ([`Machines`]). Whoever is in that VM is the same one to
//! us: the kernel reports a machine, and no user of it.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_vsock::{VsockAddr, VsockListener, VsockStream};
use vsock::{VMADDR_CID_ANY, VMADDR_CID_HOST};

use super::crowd::Crowd;
use super::room::Room;
use super::session;
use super::stream::Stream;
use crate::policy::{Machine, Machines, Principal, Supply, Unknown};
use crate::tools::Provost;
use crate::tools::record::Visit;

/// Connections of which it is not known yet whose they are: in all, and of one CID. A look takes milliseconds.
const MOST_LOOKS: usize = 256;
const LOOKS_EACH: usize = 32;

/// Why virtual machines are not served.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on vsock port {port}: {source}; {}", next(.source))]
pub struct NotListening {
    port: u32,
    source: io::Error,
}

fn next(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::EADDRINUSE) => "another process has the port: stop it, or set [listen] vsock to another",
        Some(libc::EACCES) => {
            "a port below 1024 takes a privilege: set [listen] vsock to a higher one, or let systemd listen \
             (provost-vsock.socket)"
        }
        Some(libc::EAFNOSUPPORT) => {
            "the unit does not allow AF_VSOCK, or the kernel has none: let systemd listen (systemctl enable \
             provost-vsock.socket && systemctl restart provost), or modprobe vsock"
        }
        _ => "let systemd listen: systemctl enable provost-vsock.socket && systemctl restart provost",
    }
}

pub struct Vsock {
    listener: VsockListener,
}

impl Vsock {
    /// What the service manager handed over, where it is for this port; else one of our own. From within the runtime.
    pub fn listen(port: u32, handed: Vec<vsock::VsockListener>) -> Result<Self, NotListening> {
        let failed = |source| NotListening { port, source };
        let is_ours = |socket: &vsock::VsockListener| socket.local_addr().is_ok_and(|at| at.port() == port);
        let (ours, others): (Vec<_>, Vec<_>) = handed.into_iter().partition(is_ours);
        for other in others {
            let at = other.local_addr().map(|at| at.port()).unwrap_or_default();
            tracing::warn!("the service manager's vsock port {at} is not served: [listen] vsock is {port}");
        }
        let listener = match ours.into_iter().next() {
            Some(listener) => {
                listener.set_nonblocking(true).map_err(failed)?;
                VsockListener::from(std::os::fd::OwnedFd::from(listener))
            }
            // Any CID: the node's own may come later, with the first VM that has a device.
            None => VsockListener::bind(VsockAddr::new(VMADDR_CID_ANY, port)).map_err(failed)?,
        };
        Ok(Self { listener })
    }

    /// Serves until `stop`, then until the sessions have ended: who calls waits for no longer than it wants.
    pub async fn serve(self, provost: Arc<Provost>, room: Arc<Room>, stop: CancellationToken) {
        let mut sessions = JoinSet::new();
        let looks = Supply::<u32>::new(MOST_LOOKS, LOOKS_EACH);
        let crowd = Arc::<Mutex<Crowd>>::default();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = sessions.join_next() => continue,
                () = stop.cancelled() => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::error!(%error, "cannot accept a connection over vsock");
                    // Most likely out of descriptors: wait for a session to end rather than spin.
                    tokio::select! {
                        _ = sessions.join_next(), if !sessions.is_empty() => {}
                        () = tokio::time::sleep(std::time::Duration::from_millis(100)) => {}
                        () = stop.cancelled() => break,
                    }
                    continue;
                }
            };
            // Who knocks faster than one can look is hung up on.
            let Ok(look) = looks.take(peer.cid(), 1) else {
                let why = "too many connections of this machine's are only beginning; connect again";
                session::tell(&Stream::Vsock(stream), why);
                continue;
            };
            let (provost, room, stop) = (provost.clone(), room.clone(), stop.child_token());
            let crowd = crowd.clone();
            sessions.spawn(async move {
                let known = who(&stream, peer.cid(), &provost.machines).await;
                drop(look);
                let stream = Stream::Vsock(stream);
                let machine = match known {
                    Ok(machine) => machine,
                    Err(unknown) => return strange(&stream, peer.cid(), &unknown, &provost, &crowd),
                };
                let principal = Principal::Machine(machine);
                match room.enter(principal.account()) {
                    Ok(place) => {
                        session::serve(stream, principal, provost, room, stop).await;
                        drop(place);
                    }
                    Err(why) => session::refuse(&stream, || Some(principal), &provost, &crowd, &why),
                }
            });
        }
        while sessions.join_next().await.is_some() {}
    }
}

/// Whose connection it is. A guest of this node has asked for its host, and the kernel holds it to its own CID; who came for
/// another address came by another way, as from what this node itself runs on, with a CID that is nobody's here.
async fn who(stream: &VsockStream, cid: u32, machines: &Machines) -> Result<Machine, Unknown> {
    let asked_for = stream.local_addr().map(|at| at.cid());
    if asked_for.ok() != Some(VMADDR_CID_HOST) {
        return Err(Unknown::Reserved(cid));
    }
    machines.with_cid(cid).await
}

/// Turns away who is no machine of this node's.
fn strange(stream: &Stream, cid: u32, unknown: &Unknown, provost: &Provost, crowd: &Mutex<Crowd>) {
    let why = format!("{unknown}; {}", unknown.next());
    session::tell(stream, &why);
    if let Some(others) = Crowd::one_more(crowd) {
        tracing::warn!(cid, kind = unknown.kind(), "turned a vsock connection away: {why}");
        Visit::stranger(&provost.desk, cid, &Crowd::among(others, &why));
    }
}
