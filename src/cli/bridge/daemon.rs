//! The daemon's end of a bridge: its unix socket, or from a virtual machine the node's vsock port.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use vsock::{VMADDR_CID_HOST, VsockStream};

/// Where the daemon is.
pub enum At {
    Unix(PathBuf),
    Vsock(Port),
}

/// A vsock port of the node's: `7100`; `2:7100`, with the CID that names the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    cid: u32,
    port: u32,
}

impl FromStr for Port {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (cid, port) = match text.split_once(':') {
            Some((cid, port)) => (cid.parse().ok(), port),
            None => (Some(VMADDR_CID_HOST), text),
        };
        match (cid, port.parse()) {
            (Some(cid), Ok(port)) => Ok(Self { cid, port }),
            _ => Err("write the port, as 7100, or a CID and the port, as 2:7100".into()),
        }
    }
}

/// A connection; a copy of it is the same one.
pub enum Connection {
    Unix(UnixStream),
    Vsock(VsockStream),
}

impl At {
    /// Connects, or says why not and what to do.
    pub fn connect(&self) -> Result<Connection, String> {
        match self {
            Self::Unix(path) => {
                UnixStream::connect(path).map(Connection::Unix).map_err(|error| no_socket(path, &error))
            }
            Self::Vsock(at) => VsockStream::connect_with_cid_port(at.cid, at.port)
                .map(Connection::Vsock)
                .map_err(|error| no_port(*at, &error)),
        }
    }
}

impl Connection {
    pub fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
            Self::Vsock(stream) => stream.try_clone().map(Self::Vsock),
        }
    }

    /// Says that no more will come.
    pub fn end(&self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
            Self::Vsock(stream) => stream.shutdown(Shutdown::Write),
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Vsock(stream) => stream.read(buffer),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Vsock(stream) => stream.write(bytes),
        }
    }

    /// Nothing is held back.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn no_socket(path: &Path, error: &io::Error) -> String {
    let next = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "ask the operator to add you to the group provost (adduser YOU provost)"
        }
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "is the daemon running? on the node: systemctl status provost.socket"
        }
        _ => "on the node: journalctl -t provost",
    };
    format!("cannot connect to {}: {error}; {next}", path.display())
}

fn no_port(Port { cid, port }: Port, error: &io::Error) -> String {
    let next = match error.raw_os_error() {
        Some(libc::EAFNOSUPPORT | libc::ENODEV) => {
            "this machine has no vsock device: on the node, qm set VMID --args '-device vhost-vsock-pci,guest-cid=CID', then \
             stop and start it; in it, modprobe vmw_vsock_virtio_transport"
        }
        Some(libc::ECONNRESET | libc::ECONNREFUSED | libc::ETIMEDOUT) => {
            "does the daemon listen there? on the node: [listen] vsock, systemctl status provost-vsock.socket"
        }
        _ => "on the node: journalctl -t provost",
    };
    format!("cannot connect to vsock port {port} of CID {cid}: {error}; {next}")
}

#[cfg(test)]
mod tests {
    use super::Port;

    #[test]
    fn a_port_is_the_hosts_unless_a_cid_is_named() {
        assert_eq!("7100".parse(), Ok(Port { cid: 2, port: 7100 }));
        assert_eq!("1:7100".parse(), Ok(Port { cid: 1, port: 7100 }));
        for text in ["", ":", "7100:", ":7100", "host:7100", "-1", "2:7100:1", "4294967296"] {
            assert!(text.parse::<Port>().is_err(), "{text}");
        }
    }
}
