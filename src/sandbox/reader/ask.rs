//! The daemon's side.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use super::{Question, SOCKET};
use crate::sandbox::needs::whole;

/// Bytes of a question: a path, and what stands before it.
pub const MOST: usize = 4096 + 8;
/// Bytes of an answer: a name, and an account's groups.
const MOST_ANSWER: usize = 4096;

/// Opens a file by way of the reader.
pub fn open(path: &Path, flags: i32) -> io::Result<OwnedFd> {
    let socket = SOCKET.get().ok_or(io::ErrorKind::NotConnected)?;
    let path = whole(path);
    let mut question = vec![Question::Open as u8];
    question.extend(flags.to_ne_bytes());
    question.extend(path.as_os_str().as_bytes());
    let (_, file) = ask(socket, &question)?;
    file.ok_or_else(|| io::Error::other("the reader answered without a file"))
}

pub fn name(socket: &OwnedFd, question: Question, id: u32) -> Option<String> {
    let mut bytes = vec![question as u8];
    bytes.extend(id.to_ne_bytes());
    match ask(socket, &bytes) {
        Ok((name, _)) => String::from_utf8(name).ok().filter(|name| !name.is_empty()),
        Err(error) => {
            tracing::error!(%error, "no name can be had of an account: who connects counts by numbers");
            None
        }
    }
}

pub fn account(socket: &OwnedFd, uid: u32) -> io::Result<Option<(String, Vec<u32>)>> {
    let mut bytes = vec![Question::Account as u8];
    bytes.extend(uid.to_ne_bytes());
    let (answer, _) = ask(socket, &bytes)?;
    if answer.is_empty() {
        return Ok(None);
    }
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    let end = answer.iter().position(|byte| *byte == 0).ok_or_else(wrong)?;
    let name = str::from_utf8(&answer[..end]).map_err(|_| wrong())?.to_owned();
    let (ids, rest) = answer[end + 1..].as_chunks();
    match (ids, rest) {
        ([], _) | (_, [_, ..]) => Err(wrong()),
        (ids, []) => Ok(Some((name, ids.iter().map(|id| u32::from_ne_bytes(*id)).collect()))),
    }
}

/// What follows the answer's error number, and the descriptor that came with it.
fn ask(socket: &OwnedFd, question: &[u8]) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
    if question.len() > MOST {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    send(socket, question, Some(&theirs))?;
    // Held here, its end would never be seen.
    drop(theirs);
    let mut answer = [0; MOST_ANSWER];
    let (length, descriptor) = receive(&ours, &mut answer)?;
    let (errno, rest) = answer[..length].split_first_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
    match i32::from_ne_bytes(*errno) {
        0 => Ok((rest.to_vec(), descriptor)),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

pub fn send(socket: &impl AsFd, bytes: &[u8], with: Option<&OwnedFd>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let with: Vec<_> = with.iter().map(|descriptor| descriptor.as_fd()).collect();
    if !with.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&with));
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// One datagram: its length, and the descriptor that came with it.
pub fn receive(socket: &impl AsFd, into: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(socket, &mut [IoSliceMut::new(into)], &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let mut descriptor = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            descriptor = descriptors.last().or(descriptor);
        }
    }
    Ok((received.bytes, descriptor))
}
