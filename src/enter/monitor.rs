//! Questions to a container's lxc monitor, over the abstract socket `@<lxcpath>/<name>/command`.
//!
//! The wire is `lxc`'s own: a request is 16 bytes (`int cmd; int datalen; u64 data`, native order) and `datalen` bytes
//! more; an answer is 16 bytes (`int ret; int datalen; u64 data`) and `datalen` bytes more, with descriptors beside it.
//!
//! Any process on the node can bind that name while the container is down, so nothing is asked, let alone believed,
//! before the kernel has said that the listener is root.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, UnixCredentials, connect,
    getsockopt, sendmsg, socket, sockopt,
};

use super::error::EnterError;
use super::sys;

/// An answer's fixed part.
pub const HEADER: usize = 16;
/// No answer that Provost asks for is longer; `lxc.environment` is the longest.
pub const LONGEST: usize = 64 * 1024;

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

/// What a monitor is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// The container's init, as a descriptor that never comes to mean another process.
    Init,
    /// The container's own directory in each cgroup hierarchy that it is in, unified and v1.
    Cgroups,
    /// The unified one alone: for a monitor that is older than the question before.
    UnifiedCgroup,
    /// A setting as the running container has it.
    Setting(&'static str),
}

impl Question {
    /// For people to read.
    pub fn name(self) -> &'static str {
        match self {
            Self::Init => "GET_INIT_PIDFD",
            Self::Cgroups => "GET_CGROUP_CTX",
            Self::UnifiedCgroup => "GET_CGROUP2_FD",
            Self::Setting(key) => key,
        }
    }

    fn command(self) -> Command {
        match self {
            Self::Init => Command::GetInitPidfd,
            Self::Cgroups => Command::GetCgroupContext,
            Self::UnifiedCgroup => Command::GetCgroup2Fd,
            Self::Setting(_) => Command::GetConfigItem,
        }
    }
}

/// A question on its way.
pub struct Asked {
    pub question: Question,
    connection: OwnedFd,
    received: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl AsFd for Asked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }
}

/// A monitor's answer.
pub struct Answer {
    pub ret: i32,
    pub payload: Vec<u8>,
    pub descriptors: Vec<OwnedFd>,
}

impl Monitor {
    pub fn of(lxcpath: &std::path::Path, vmid: u32) -> Self {
        Self { vmid, socket: socket_name(&format!("{}/{vmid}", lxcpath.display())) }
    }

    pub fn vmid(&self) -> u32 {
        self.vmid
    }

    /// Sends a question, and waits for nothing.
    pub fn ask(&self, question: Question) -> Result<Asked, EnterError> {
        let failed = |errno| EnterError::Monitor { vmid: self.vmid, what: question.name(), errno };
        let connection = self.connect()?;
        let payload = match question {
            Question::Setting(key) => [key.as_bytes(), b"\0"].concat(),
            _ => Vec::new(),
        };
        let mut request = Vec::with_capacity(HEADER);
        request.extend((question.command() as i32).to_ne_bytes());
        request.extend((payload.len() as i32).to_ne_bytes());
        request.extend([0; 8]);
        // The payload goes in a message of its own: the monitor reads exactly the fixed part with the credentials.
        let credentials = ControlMessage::ScmCredentials(&UnixCredentials::new());
        let fd = connection.as_raw_fd();
        let flags = MsgFlags::MSG_NOSIGNAL;
        sendmsg::<UnixAddr>(fd, &[IoSlice::new(&request)], &[credentials], flags, None).map_err(failed)?;
        if !payload.is_empty() {
            match sendmsg::<UnixAddr>(fd, &[IoSlice::new(&payload)], &[], flags, None) {
                // It has hung up; what it said before is read all the same.
                Ok(_) | Err(Errno::EPIPE | Errno::ECONNRESET) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        Ok(Asked { question, connection, received: Vec::new(), descriptors: Vec::new() })
    }

    /// The answer, if all of it is here.
    pub fn answer(&self, asked: &mut Asked) -> Result<Option<Answer>, EnterError> {
        let what = asked.question.name();
        let failed = |errno| EnterError::Monitor { vmid: self.vmid, what, errno };
        let unclear = |detail: String| EnterError::Answer { vmid: self.vmid, what, detail };
        let header = loop {
            let header = match asked.received.len() {
                0..HEADER => None,
                _ => Some(parse_header(&asked.received).map_err(|error| unclear(error.to_string()))?),
            };
            let due = HEADER + header.map_or(0, |header| header.length);
            let have = asked.received.len();
            if let Some(header) = header.filter(|_| have == due) {
                break header;
            }
            asked.received.resize(due, 0);
            let received = sys::receive(asked.connection.as_fd(), &mut asked.received[have..]);
            let length = received.as_ref().map_or(0, |received| received.length);
            asked.received.truncate(have + length);
            match received {
                Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
                Err(errno) => return Err(failed(errno)),
                Ok(received) if received.cut => return Err(failed(Errno::EMFILE)),
                Ok(received) if received.length == 0 => {
                    return Err(unclear(format!("{have} of {due} bytes, and hung up")));
                }
                Ok(received) => asked.descriptors.extend(received.descriptors),
            }
        };
        let payload = asked.received.split_off(HEADER);
        Ok(Some(Answer { ret: header.ret, payload, descriptors: std::mem::take(&mut asked.descriptors) }))
    }

    fn connect(&self) -> Result<OwnedFd, EnterError> {
        let Self { vmid, socket: name } = self;
        let failed = |errno| EnterError::Monitor { vmid: *vmid, what: "the connection", errno };
        // Not to wait in the queue of somebody who took the name and accepts nobody.
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let connection = socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(failed)?;
        let address = UnixAddr::new_abstract(name.as_bytes()).map_err(failed)?;
        connect(connection.as_raw_fd(), &address).map_err(|errno| match (errno, absent(name)) {
            (Errno::ECONNREFUSED | Errno::ENOENT, Some(place)) => EnterError::Absent { vmid: *vmid, place },
            (Errno::ECONNREFUSED | Errno::ENOENT, None) => {
                EnterError::Stopped { vmid: *vmid, socket: name.clone(), errno }
            }
            (errno, _) => failed(errno),
        })?;
        let peer = getsockopt(&connection, sockopt::PeerCredentials).map_err(failed)?;
        if peer.uid() != 0 {
            return Err(EnterError::Impostor { vmid: *vmid, socket: name.clone(), uid: peer.uid() });
        }
        Ok(connection)
    }

    /// That the monitor said no.
    pub fn refused(&self, question: Question, ret: i32) -> EnterError {
        let errno = Errno::from_raw(ret.saturating_neg());
        EnterError::Monitor { vmid: self.vmid, what: question.name(), errno }
    }
}

/// The container's directory, where its socket's name says which that is, and it is not there.
fn absent(name: &str) -> Option<PathBuf> {
    let place = Path::new(name).parent().filter(|place| place.is_absolute())?;
    let looked = std::fs::symlink_metadata(place);
    looked.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound).then(|| place.to_owned())
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
