//! The socket: the service manager's when it hands one over, else one of our own.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, renameat};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, getsockopt, listen, socket, sockopt,
};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Uid, fchownat};

use crate::enter::sys;
use crate::stale::{self, Stale};

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("{path}: another process serves this socket already; stop it first, or set [exec] socket to another path", path = .0.display())]
    Taken(PathBuf),
    #[error("{path}: something that is not a socket stands there; move it away", path = .0.display())]
    NotASocket(PathBuf),
    #[error("cannot {what} {path}: {errno}", path = path.display())]
    Own { what: &'static str, path: PathBuf, errno: Errno },
    #[error(
        "the socket that the service manager handed over is {0}, where SOCK_SEQPACKET was due; see ListenSequentialPacket="
    )]
    Kind(String),
    #[error("the service manager's socket cannot be used: {0}")]
    Activation(Errno),
}

/// The listening socket, non-blocking. One that this process binds itself is `owner`'s and root's alone.
pub fn listener(path: &Path, owner: Uid) -> Result<OwnedFd, ListenError> {
    let handed = sd_notify::listen_fds().ok().and_then(|mut fds| fds.next());
    let listener = match handed {
        Some(fd) => handed_over(fd)?,
        None => own(path, owner)?,
    };
    set_nonblocking(&listener).map_err(ListenError::Activation)?;
    Ok(listener)
}

/// Takes a waiting connection; none when there is none.
pub fn accept(listener: &OwnedFd) -> Result<Option<OwnedFd>, Errno> {
    match accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK) {
        Ok(fd) => sys::adopt(fd).map(Some),
        Err(Errno::EAGAIN | Errno::ECONNABORTED | Errno::EINTR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn handed_over(fd: RawFd) -> Result<OwnedFd, ListenError> {
    let listener = sys::adopt(fd).map_err(ListenError::Activation)?;
    match getsockopt(&listener, sockopt::SockType).map_err(ListenError::Activation)? {
        SockType::SeqPacket => Ok(listener),
        other => Err(ListenError::Kind(format!("{other:?}"))),
    }
}

fn own(path: &Path, owner: Uid) -> Result<OwnedFd, ListenError> {
    let failed = |what| move |errno| ListenError::Own { what, path: path.into(), errno };
    stale::remove(path, SockType::SeqPacket).map_err(|stale| match stale {
        Stale::Taken => ListenError::Taken(path.into()),
        Stale::NotASocket => ListenError::NotASocket(path.into()),
        Stale::Failed(what, errno) => failed(what)(errno),
    })?;
    // Made aside and moved into place when it listens and is its owner's: whoever finds it can use it.
    let aside = path.with_extension(format!("new-{}", std::process::id()));
    // What an earlier process of this pid left; the bind tells if it was something else.
    let _ = nix::unistd::unlink(&aside);
    let address = UnixAddr::new(&aside).map_err(failed("name"))?;
    let listener = packet_socket().map_err(failed("make a socket for"))?;
    // Born with its mode: between a bind and a chmod it would stand open.
    let before = umask(Mode::from_bits_truncate(0o177));
    let bound = bind(listener.as_raw_fd(), &address);
    umask(before);
    bound.map_err(failed("bind"))?;
    // Not through a link: the directory may be the owner's, who could have put one there meanwhile.
    fchownat(AT_FDCWD, &aside, Some(owner), None, AtFlags::AT_SYMLINK_NOFOLLOW)
        .map_err(failed("give to its owner"))?;
    listen(&listener, Backlog::new(1024).unwrap_or(Backlog::MAXCONN)).map_err(failed("listen on"))?;
    renameat(AT_FDCWD, &aside, AT_FDCWD, path).map_err(failed("put into place"))?;
    Ok(listener)
}

fn packet_socket() -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)
}

fn set_nonblocking(socket: &OwnedFd) -> Result<(), Errno> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_retain(fcntl(socket, FcntlArg::F_GETFL)?);
    fcntl(socket, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(drop)
}
