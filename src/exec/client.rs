//! `provostd`'s end of the wire: one connection a command, which is also the command's life. Dropping it, as a
//! cancelled call does, makes `provost-execd` kill the command and everything that it started.

use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, getsockopt, recv,
    sendmsg, socket, sockopt,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::wire::{LONGEST, Reply, Request, RequestError};

/// How much longer than the command's own time limit an answer may take: the kill, and the way back.
const GRACE: Duration = Duration::from_secs(15);

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot reach provost-execd at {path}: {errno}", path = path.display())]
    Connect { path: PathBuf, errno: Errno },
    #[error("{path} is served by uid {uid}, which is not root: it is not provost-execd", path = path.display())]
    Impostor { path: PathBuf, uid: u32 },
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("the connection to provost-execd broke: {0}")]
    Broken(Errno),
    #[error("provost-execd ended before it answered; the command was killed with it")]
    Ended,
    #[error("provost-execd answered with what is not understood: {0}")]
    Answer(serde_json::Error),
    #[error("provost-execd has not answered {0:?} after the command's time limit")]
    Silent(Duration),
}

impl ClientError {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "execd_unreachable",
            Self::Impostor { .. } => "execd_impostor",
            Self::Request(_) => "request",
            Self::Broken(_) | Self::Ended | Self::Answer(_) => "execd_broken",
            Self::Silent(_) => "execd_silent",
        }
    }

    pub fn next(&self) -> String {
        match self {
            Self::Connect { errno: Errno::ENOENT | Errno::ECONNREFUSED, .. } => {
                "on the node: systemctl enable --now provost-execd.socket".into()
            }
            Self::Connect { errno: Errno::EACCES, .. } => {
                "provostd must run as the account that [exec] user names".into()
            }
            Self::Connect { errno: Errno::EAGAIN, .. } => {
                "more calls wait for provost-execd than its queue holds: call again when some have been let in".into()
            }
            Self::Connect { .. } => "on the node: systemctl status provost-execd.socket".into(),
            Self::Impostor { path, .. } => {
                format!("find out who made {}, remove it and restart provost-execd.socket", path.display())
            }
            Self::Request(RequestError::Long(_)) => {
                "pass long input on stdin, or long scripts as script".into()
            }
            Self::Request(_) => "correct the argument and call again".into(),
            Self::Broken(_) | Self::Ended | Self::Answer(_) | Self::Silent(_) => {
                "on the node: journalctl -t provost-execd".into()
            }
        }
    }
}

/// A command that `provost-execd` has been asked for.
pub struct Call {
    /// A packet socket in the one type that tokio has for unix sockets; only its readiness and descriptor are used.
    connection: UnixStream,
    patience: Duration,
}

/// Whether `provost-execd` answers on its socket.
pub fn probe(path: &Path) -> Result<(), ClientError> {
    open(path).map(drop)
}

/// Asks for a command, handing over its three descriptors.
pub fn ask(path: &Path, request: &Request, stdio: [&OwnedFd; 3]) -> Result<Call, ClientError> {
    let packet = request.encode()?;
    let connection = open(path)?;
    let stdio: [RawFd; 3] = stdio.map(|fd| fd.as_raw_fd());
    let rights = [ControlMessage::ScmRights(&stdio)];
    let flags = MsgFlags::MSG_NOSIGNAL;
    match sendmsg::<UnixAddr>(connection.as_raw_fd(), &[IoSlice::new(&packet)], &rights, flags, None) {
        // It has hung up before it was asked; why, it has said.
        Ok(_) | Err(Errno::EPIPE | Errno::ECONNRESET) => {}
        Err(errno) => return Err(ClientError::Broken(errno)),
    }
    let broken =
        |error: std::io::Error| ClientError::Broken(Errno::from_raw(error.raw_os_error().unwrap_or(0)));
    let connection = UnixStream::from_std(connection.into()).map_err(broken)?;
    Ok(Call { connection, patience: Duration::from_millis(request.timeout_ms) + GRACE })
}

impl Call {
    /// The command's end, or why it did not run.
    pub async fn reply(&self) -> Result<Reply, ClientError> {
        let reply = tokio::time::timeout(self.patience, self.receive());
        reply.await.unwrap_or(Err(ClientError::Silent(GRACE)))
    }

    async fn receive(&self) -> Result<Reply, ClientError> {
        let broken =
            |error: std::io::Error| ClientError::Broken(Errno::from_raw(error.raw_os_error().unwrap_or(0)));
        loop {
            self.connection.readable().await.map_err(broken)?;
            let received = self.connection.try_io(Interest::READABLE, || {
                // Asked for its length first: replies are short, and hundreds may be awaited at once.
                let fd = self.connection.as_raw_fd();
                let length =
                    recv(fd, &mut [], MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC)?;
                let mut packet = vec![0; length.min(LONGEST)];
                let length = recv(fd, &mut packet, MsgFlags::MSG_DONTWAIT)?;
                packet.truncate(length);
                Ok(packet)
            });
            match received {
                Ok(packet) if packet.is_empty() => return Err(ClientError::Ended),
                Ok(packet) => return Reply::decode(&packet).map_err(ClientError::Answer),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                // Said once, for what was sent and not read; what it had to say before it hung up comes after.
                Err(error) if error.raw_os_error() == Some(libc::ECONNRESET) => {}
                Err(error) => return Err(broken(error)),
            }
        }
    }
}

fn open(path: &Path) -> Result<OwnedFd, ClientError> {
    let failed = |errno| ClientError::Connect { path: path.into(), errno };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let connection = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).map_err(failed)?;
    let address = UnixAddr::new(path).map_err(failed)?;
    connect(connection.as_raw_fd(), &address).map_err(failed)?;
    // Whoever can bind that path could hand back made-up results and keep what is sent on stdin.
    let peer = getsockopt(&connection, sockopt::PeerCredentials).map_err(failed)?;
    match peer.uid() {
        0 => Ok(connection),
        uid => Err(ClientError::Impostor { path: path.into(), uid }),
    }
}
