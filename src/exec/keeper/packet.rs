//! What crosses a connection: one request with its three descriptors, one reply.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, UnixAddr, recv, sendmsg};
use nix::sys::statfs::{FsType, fstatfs};

use super::gate::refusal;
use crate::enter::sys::{self, Received};
use crate::exec::wire::{LONGEST, Refusal, Reply, Request};

/// The request and the command's three descriptors, if they are here.
pub fn receive(connection: &OwnedFd) -> Result<Option<(Request, [OwnedFd; 3])>, Refusal> {
    let unclear =
        |message: String| refusal("request", message, "upgrade or restart both daemons together".into());
    // Asked for its length first: a buffer for the longest would make up a tenth of this process.
    let peek = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC;
    let length = match recv(connection.as_raw_fd(), &mut [], peek) {
        Ok(length) => length,
        Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
        Err(errno) => return Err(unclear(format!("the request cannot be received: {errno}"))),
    };
    let mut packet = vec![0; length.min(LONGEST + 1)];
    let Received { length, descriptors, cut } = sys::receive(connection.as_fd(), &mut packet)
        .map_err(|errno| unclear(format!("the request cannot be received: {errno}")))?;
    if cut {
        let next = "call again when less runs at once".into();
        return Err(refusal("busy", "provost-execd has no descriptors left for the command's".into(), next));
    }
    let count = descriptors.len();
    let request = Request::decode(&packet[..length]).map_err(|error| unclear(error.to_string()))?;
    let stdio: [OwnedFd; 3] =
        descriptors.try_into().map_err(|_| unclear(format!("{count} descriptors came, where 3 were due")))?;
    // In a container, a directory of the node would be the way out of it (as in CVE-2024-21626).
    if !stdio.iter().all(is_pipe) {
        return Err(unclear("a descriptor came that is not a pipe".into()));
    }
    Ok(Some((request, stdio)))
}

/// A pipe that has no name: one with a name can be opened by others too, and stands in a file system of the node's.
fn is_pipe(descriptor: &OwnedFd) -> bool {
    /// Of the kernel's own file system, in which pipes without a name are.
    const PIPEFS_MAGIC: FsType = FsType(0x5049_5045);
    fstatfs(descriptor).is_ok_and(|system| system.filesystem_type() == PIPEFS_MAGIC)
}

/// Whether the caller is gone, or has broken the rule of one request.
pub fn has_hung_up(connection: &OwnedFd) -> bool {
    let mut byte = [0];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK;
    recv(connection.as_raw_fd(), &mut byte, flags) != Err(Errno::EAGAIN)
}

pub fn answer(connection: &OwnedFd, refusal: Refusal) {
    send(connection, &Reply::Refused(refusal));
}

pub fn send(connection: &OwnedFd, reply: &Reply) {
    let bytes = reply.encode();
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    // A caller that has hung up wants no answer.
    let _ = sendmsg::<UnixAddr>(connection.as_raw_fd(), &[IoSlice::new(&bytes)], &[], flags, None);
}
