//! Questions to a container's lxc monitor, over the abstract socket `@<lxcpath>/<name>/command`.
//!
//! The wire is `lxc`'s own: a request is 16 bytes (`int cmd; int datalen; u64 data`, native order) and `datalen` bytes
//! more; an answer is 16 bytes (`int ret; int datalen; u64 data`) and `datalen` bytes more, with descriptors beside it.
//!
//! Any process on the node can bind that name while the container is down, so nothing is asked, let alone believed,
//! before the kernel has said that the listener is root.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    UnixCredentials, connect, getsockopt, recv, recvmsg, sendmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::error::EnterError;
use super::sys;

/// An answer's fixed part.
pub const HEADER: usize = 16;
/// No answer that Provost asks for is longer; `lxc.environment` is the longest.
pub const LONGEST: usize = 64 * 1024;
/// Seconds that a monitor gets for one answer. It is an event loop that answers in microseconds.
const PATIENCE_S: i64 = 2;

/// The commands of `lxc` that an entry needs.
#[derive(Debug, Clone, Copy)]
#[repr(i32)]
enum Command {
    GetConfigItem = 7,
    GetCgroup2Fd = 17,
    GetInitPidfd = 18,
    GetCgroupContext = 23,
}

/// An answer's fixed part, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Zero or more for yes, a negative errno for no.
    pub ret: i32,
    /// Bytes that follow.
    pub length: usize,
    pub data: u64,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HeaderError {
    #[error("{0} bytes where {HEADER} were due")]
    Short(usize),
    #[error("a length of {0}, outside 0 to {LONGEST}")]
    Length(i32),
}

/// Reads an answer's fixed part.
pub fn parse_header(bytes: &[u8]) -> Result<Header, HeaderError> {
    let header: &[u8; HEADER] =
        bytes.get(..HEADER).and_then(|part| part.try_into().ok()).ok_or(HeaderError::Short(bytes.len()))?;
    let int = |at: usize| i32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let length = int(4);
    let longest = usize::try_from(length).ok().filter(|length| *length <= LONGEST);
    let mut data = [0; 8];
    data.copy_from_slice(&header[8..]);
    Ok(Header {
        ret: int(0),
        length: longest.ok_or(HeaderError::Length(length))?,
        data: u64::from_ne_bytes(data),
    })
}

/// The monitor of one running container, known to be root's.
pub struct Monitor {
    vmid: u32,
    socket: String,
}

struct Answer {
    header: Header,
    payload: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Monitor {
    pub fn of(lxcpath: &std::path::Path, vmid: u32) -> Self {
        Self { vmid, socket: socket_name(&format!("{}/{vmid}", lxcpath.display())) }
    }

    /// The container's init, as a descriptor that never comes to mean another process.
    pub fn init(&self) -> Result<OwnedFd, EnterError> {
        const WHAT: &str = "GET_INIT_PIDFD";
        let mut answer = self.ask(Command::GetInitPidfd, &[], WHAT)?;
        answer.descriptors.pop().ok_or_else(|| self.refused(WHAT, answer.header.ret))
    }

    /// The container's own directory in each cgroup hierarchy that it is in, unified and v1.
    pub fn cgroups(&self) -> Result<Vec<OwnedFd>, EnterError> {
        let all = self.ask(Command::GetCgroupContext, &[], "GET_CGROUP_CTX")?.descriptors;
        if !all.is_empty() {
            return Ok(all);
        }
        // A monitor from before that command names the unified one alone.
        Ok(self.ask(Command::GetCgroup2Fd, &[], "GET_CGROUP2_FD")?.descriptors)
    }

    /// A setting as the running container has it; none when it is not set.
    pub fn setting(&self, key: &'static str) -> Result<Option<String>, EnterError> {
        let mut payload = key.as_bytes().to_vec();
        payload.push(0);
        let Answer { header, mut payload, .. } = self.ask(Command::GetConfigItem, &payload, key)?;
        if header.ret != 0 {
            return Ok(None);
        }
        payload.truncate(payload.iter().position(|byte| *byte == 0).unwrap_or(payload.len()));
        let text = String::from_utf8(payload).map_err(|error| EnterError::Setting {
            vmid: self.vmid,
            item: key,
            text: String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    fn ask(&self, command: Command, payload: &[u8], what: &'static str) -> Result<Answer, EnterError> {
        let failed = |errno| EnterError::Monitor { vmid: self.vmid, what, errno };
        let connection = self.connect()?;

        let mut request = Vec::with_capacity(HEADER + payload.len());
        request.extend((command as i32).to_ne_bytes());
        request.extend((payload.len() as i32).to_ne_bytes());
        request.extend([0; 8]);
        // The payload goes in a message of its own: the monitor reads exactly the fixed part with the credentials.
        let credentials = ControlMessage::ScmCredentials(&UnixCredentials::new());
        let fd = connection.as_raw_fd();
        let flags = MsgFlags::MSG_NOSIGNAL;
        sendmsg::<UnixAddr>(fd, &[IoSlice::new(&request)], &[credentials], flags, None).map_err(failed)?;
        if !payload.is_empty() {
            sendmsg::<UnixAddr>(fd, &[IoSlice::new(payload)], &[], flags, None).map_err(failed)?;
        }

        let mut fixed = [0; HEADER];
        let (length, descriptors) = {
            let mut parts = [IoSliceMut::new(&mut fixed)];
            let mut space = cmsg_space!([std::os::fd::RawFd; sys::MOST_DESCRIPTORS]);
            let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_WAITALL;
            let message = recvmsg::<UnixAddr>(fd, &mut parts, Some(&mut space), flags).map_err(failed)?;
            let mut descriptors = Vec::new();
            for control in message.cmsgs().map_err(failed)? {
                if let ControlMessageOwned::ScmRights(fds) = control {
                    for fd in fds {
                        descriptors.push(sys::adopt(fd).map_err(failed)?);
                    }
                }
            }
            (message.bytes, descriptors)
        };
        let unclear = |detail: String| EnterError::Answer { vmid: self.vmid, what, detail };
        let header = parse_header(&fixed[..length]).map_err(|error| unclear(error.to_string()))?;
        let mut payload = vec![0; header.length];
        if header.length > 0 {
            let got = recv(fd, &mut payload, MsgFlags::MSG_WAITALL).map_err(failed)?;
            if got != header.length {
                return Err(unclear(format!("{got} of the {} bytes it announced", header.length)));
            }
        }
        Ok(Answer { header, payload, descriptors })
    }

    fn connect(&self) -> Result<OwnedFd, EnterError> {
        let Self { vmid, socket: name } = self;
        let failed = |errno| EnterError::Monitor { vmid: *vmid, what: "the connection", errno };
        // Not to wait in the queue of somebody who took the name and accepts nobody.
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let connection = socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(failed)?;
        let address = UnixAddr::new_abstract(name.as_bytes()).map_err(failed)?;
        connect(connection.as_raw_fd(), &address).map_err(|errno| match errno {
            Errno::ECONNREFUSED | Errno::ENOENT => {
                EnterError::Stopped { vmid: *vmid, socket: name.clone(), errno }
            }
            errno => failed(errno),
        })?;
        let peer = getsockopt(&connection, sockopt::PeerCredentials).map_err(failed)?;
        if peer.uid() != 0 {
            return Err(EnterError::Impostor { vmid: *vmid, socket: name.clone(), uid: peer.uid() });
        }
        fcntl(&connection, FcntlArg::F_SETFL(OFlag::empty())).map_err(failed)?;
        let patience = TimeVal::seconds(PATIENCE_S);
        setsockopt(&connection, sockopt::ReceiveTimeout, &patience).map_err(failed)?;
        setsockopt(&connection, sockopt::SendTimeout, &patience).map_err(failed)?;
        Ok(connection)
    }

    fn refused(&self, what: &'static str, ret: i32) -> EnterError {
        EnterError::Monitor { vmid: self.vmid, what, errno: Errno::from_raw(ret.saturating_neg()) }
    }
}

/// The abstract name for a container: its path, or where that does not fit a socket address, lxc's FNV-1a hash of it.
fn socket_name(container: &str) -> String {
    const FITS: usize = 106;
    let name = format!("{container}/command");
    if name.len() <= FITS {
        return name;
    }
    let hash = container.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("lxc/{hash:016x}/command")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_in_native_order() {
        let mut bytes = Vec::new();
        bytes.extend((-2_i32).to_ne_bytes());
        bytes.extend(7_i32.to_ne_bytes());
        bytes.extend(42_u64.to_ne_bytes());
        assert_eq!(parse_header(&bytes), Ok(Header { ret: -2, length: 7, data: 42 }));
        assert_eq!(parse_header(&bytes[..15]), Err(HeaderError::Short(15)));
    }

    #[test]
    fn a_length_that_no_answer_has_is_refused_before_memory_is_asked_for() {
        for length in [-1, i32::MIN, i32::MAX, LONGEST as i32 + 1] {
            let mut bytes = vec![0; 4];
            bytes.extend(length.to_ne_bytes());
            bytes.extend([0; 8]);
            assert_eq!(parse_header(&bytes), Err(HeaderError::Length(length)));
        }
    }

    #[test]
    fn a_path_too_long_for_an_address_is_hashed_as_lxc_hashes_it() {
        assert_eq!(socket_name("/var/lib/lxc/101"), "/var/lib/lxc/101/command");
        let long = format!("/{}/101", "x".repeat(120));
        assert!(socket_name(&long).starts_with("lxc/") && socket_name(&long).len() == 28);
    }
}
