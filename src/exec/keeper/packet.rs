//! What crosses a connection: one request with its three descriptors, one reply.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recv, recvmsg, sendmsg};
use nix::sys::stat::{SFlag, fstat};

use super::gate::refusal;
use crate::enter::sys;
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
    // Room for all that one message can carry: of what does not fit, the part that does would stay open, unseen.
    let mut space = cmsg_space!([RawFd; sys::MOST_DESCRIPTORS]);
    let (length, descriptors) = {
        let mut parts = [IoSliceMut::new(&mut packet)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<UnixAddr>(connection.as_raw_fd(), &mut parts, Some(&mut space), flags)
            .map_err(|errno| unclear(format!("the request cannot be received: {errno}")))?;
        // Owned before anything can fail, so that none stays open.
        let mut descriptors = Vec::new();
        for control in
            message.cmsgs().map_err(|errno| unclear(format!("too many descriptors came: {errno}")))?
        {
            if let ControlMessageOwned::ScmRights(fds) = control {
                descriptors.extend(fds.into_iter().flat_map(sys::adopt));
            }
        }
        (message.bytes, descriptors)
    };
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

fn is_pipe(descriptor: &OwnedFd) -> bool {
    fstat(descriptor).is_ok_and(|stat| stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFIFO.bits())
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
