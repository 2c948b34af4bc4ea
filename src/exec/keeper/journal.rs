//! The journal as systemd's own clients write to it: one datagram an entry, or a sealed file in memory where that is too
//! long (systemd.io/JOURNAL_NATIVE_PROTOCOL). The tracing library does that too, and neither says whether the entry was
//! taken nor goes on without waiting where the journal is slow.

use std::fs::File;
use std::io::{IoSlice, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, sendmsg, socket,
};

/// Where journald listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";

/// An entry: a list of fields.
pub struct Entry(Vec<u8>);

impl Entry {
    /// Of the priority "info".
    pub fn new(message: &str) -> Self {
        Self(Vec::new())
            .with("PRIORITY", "6")
            .with("SYSLOG_IDENTIFIER", "provost-execd")
            .with("MESSAGE", message)
    }

    /// A field more. The name is one of ours, in capitals.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.extend(name.as_bytes());
        if value.contains('\n') {
            // A value of more than one line says how long it is.
            self.0.push(b'\n');
            self.0.extend((value.len() as u64).to_le_bytes());
        } else {
            self.0.push(b'=');
        }
        self.0.extend(value.as_bytes());
        self.0.push(b'\n');
        self
    }
}

pub struct Journal {
    socket: OwnedFd,
    address: UnixAddr,
}

impl Journal {
    pub fn at(path: &Path) -> Result<Self, Errno> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
        Ok(Self { socket, address: UnixAddr::new(path)? })
    }

    /// Hands an entry over. Waits for nothing: where journald does not keep up, that is EAGAIN.
    pub fn write(&self, entry: &Entry) -> Result<(), Errno> {
        match self.send(&entry.0, &[]) {
            Err(Errno::EMSGSIZE | Errno::ENOBUFS) => {
                let file = sealed(&entry.0)?;
                self.send(&[], &[ControlMessage::ScmRights(&[file.as_raw_fd()])])
            }
            done => done,
        }
    }

    fn send(&self, bytes: &[u8], beside: &[ControlMessage<'_>]) -> Result<(), Errno> {
        let parts = [IoSlice::new(bytes)];
        let flags = MsgFlags::MSG_NOSIGNAL;
        sendmsg(self.socket.as_raw_fd(), &parts, beside, flags, Some(&self.address)).map(drop)
    }
}

/// As journald wants it: nothing of it can change any more.
fn sealed(bytes: &[u8]) -> Result<File, Errno> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut file = File::from(memfd_create(c"journal-entry", flags)?);
    file.write_all(bytes).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::all()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use crate::enter::sys;

    fn listening() -> (tempfile::TempDir, UnixDatagram, Journal) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = UnixDatagram::bind(&path).unwrap();
        (dir, listener, Journal::at(&path).unwrap())
    }

    #[test]
    fn an_entry_is_one_datagram_of_fields() {
        let (_dir, listener, journal) = listening();
        journal.write(&Entry::new("hello").with("PROVOST_GUEST", "101").with("TWO", "a\nb")).unwrap();
        let mut bytes = [0; 256];
        let length = listener.recv(&mut bytes).unwrap();
        assert_eq!(
            &bytes[..length],
            b"PRIORITY=6\nSYSLOG_IDENTIFIER=provost-execd\nMESSAGE=hello\nPROVOST_GUEST=101\nTWO\n\x03\0\0\0\0\0\0\0a\nb\n"
        );
    }

    #[test]
    fn an_entry_too_long_for_a_datagram_is_a_sealed_file() {
        let (_dir, listener, journal) = listening();
        let long = "x".repeat(8 << 20);
        journal.write(&Entry::new(&long)).unwrap();
        let mut received = sys::receive(listener.as_fd(), &mut [0; 16]).unwrap();
        assert_eq!((received.length, received.descriptors.len()), (0, 1));
        let mut file = File::from(received.descriptors.remove(0));
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert!(text.ends_with(&format!("MESSAGE={long}\n")));
        assert!(file.write_all(b"more").is_err());
    }

    #[test]
    fn a_journal_that_is_not_there_or_does_not_keep_up_is_said_at_once() {
        let (dir, listener, journal) = listening();
        let full = (0..10_000).find_map(|_| journal.write(&Entry::new("again")).err());
        assert_eq!(full, Some(Errno::EAGAIN));
        drop(listener);
        assert_eq!(journal.write(&Entry::new("again")), Err(Errno::ECONNREFUSED));
        std::fs::remove_file(dir.path().join("socket")).unwrap();
        assert_eq!(journal.write(&Entry::new("again")), Err(Errno::ENOENT));
    }
}
