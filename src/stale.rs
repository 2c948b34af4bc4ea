//! Socket files that outlived their process: one that nobody answers on goes, anything else stays.

use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

/// Why the path is not free for a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// Another process serves there.
    Taken,
    /// Something that is not a socket stands there.
    NotASocket,
    /// It could not be told, or done: what was tried, and what the kernel answered.
    Failed(&'static str, Errno),
}

/// Makes the path free for a socket of that kind.
pub fn remove(path: &Path, kind: SockType) -> Result<(), Stale> {
    let failed = |what| move |errno| Stale::Failed(what, errno);
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(Stale::Failed("look at", Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))));
        }
        Ok(stat) if !stat.file_type().is_socket() => return Err(Stale::NotASocket),
        Ok(_) => {}
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let probe = socket(AddressFamily::Unix, kind, flags, None).map_err(failed("make a socket for"))?;
    let address = UnixAddr::new(path).map_err(failed("name"))?;
    match connect(probe.as_raw_fd(), &address) {
        Err(Errno::ECONNREFUSED) => nix::unistd::unlink(path).map_err(failed("remove the stale")),
        _ => Err(Stale::Taken),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_nobody_answers_on_goes_and_anything_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        assert_eq!(remove(&path, SockType::Stream), Ok(()));
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(remove(&path, SockType::Stream), Err(Stale::Taken));
        // One of another kind is somebody's too.
        assert_eq!(remove(&path, SockType::SeqPacket), Err(Stale::Taken));
        drop(listener);
        assert_eq!(remove(&path, SockType::Stream), Ok(()));
        assert!(!path.exists());
        std::fs::write(&path, "text").unwrap();
        assert_eq!(remove(&path, SockType::Stream), Err(Stale::NotASocket));
        assert!(path.exists());
    }
}
