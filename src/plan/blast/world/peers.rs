//! From where people are connected to this node right now: its ssh and its web interface, by the kernel's own lists.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// The node's own lists of connections, of both families.
const LISTS: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    Ssh,
    Web,
}

impl Door {
    pub fn port(self) -> u16 {
        match self {
            Self::Ssh => 22,
            Self::Web => 8006,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Web => "the web interface",
        }
    }
}

/// Somebody's connection to the node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    pub door: Door,
    /// The address of the node that it came to.
    pub local: IpAddr,
    pub from: IpAddr,
}

/// Where the lists are.
#[derive(Debug, Clone)]
pub struct Connections {
    lists: Vec<PathBuf>,
}

impl Default for Connections {
    fn default() -> Self {
        Self::of(LISTS)
    }
}

impl Connections {
    pub fn of(lists: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Self { lists: lists.into_iter().map(Into::into).collect() }
    }

    /// Established connections from elsewhere, each pair of addresses once.
    pub fn peers(&self) -> io::Result<Vec<Peer>> {
        let mut found = Vec::new();
        for list in &self.lists {
            match fs::read_to_string(list) {
                Ok(text) => found.extend(text.lines().filter_map(peer)),
                // A kernel without IPv6 has no list of it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }
}

/// `0: 0100007F:1F46 0100007F:D5B4 01 …`: each word of an address is in the machine's own order.
fn peer(line: &str) -> Option<Peer> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (local, remote, state) = (words.next()?, words.next()?, words.next()?);
    // TCP_ESTABLISHED
    if state != "01" {
        return None;
    }
    let (local, port) = end(local)?;
    let (from, _) = end(remote)?;
    let door = [Door::Ssh, Door::Web].into_iter().find(|door| door.port() == port)?;
    (!from.is_loopback()).then_some(Peer { door, local, from })
}

fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Option<Vec<u32>> = (0..address.len() / 8)
        .map(|word| u32::from_str_radix(address.get(word * 8..word * 8 + 8)?, 16).ok())
        .collect();
    let address = match words?[..] {
        [word] => IpAddr::V4(Ipv4Addr::from(word.to_ne_bytes())),
        [a, b, c, d] => {
            let mut bytes = [0; 16];
            for (into, word) in bytes.chunks_exact_mut(4).zip([a, b, c, d]) {
                into.copy_from_slice(&word.to_ne_bytes());
            }
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_from_listeners_loopback_and_other_ports() {
        let dir = tempfile::tempdir().unwrap();
        let (four, six) = (dir.path().join("tcp"), dir.path().join("tcp6"));
        fs::write(
            &four,
            "  sl  local_address rem_address   st\n\
             \x20  0: 0A00000A:0016 0B00000A:C001 01 0 0\n\
             \x20  1: 0A00000A:0016 0B00000A:C002 01 0 0\n\
             \x20  2: 00000000:0016 00000000:0000 0A 0 0\n\
             \x20  3: 0100007F:1F46 0100007F:D5B4 01 0 0\n\
             \x20  4: 0A00000A:D000 0C00000A:0016 01 0 0\n",
        )
        .unwrap();
        fs::write(
            &six,
            "  sl  local_address rem_address st\n\
             \x20  0: 0000000000000000FFFF00000A00000A:1F46 0000000000000000FFFF00000C00000A:C000 01\n",
        )
        .unwrap();
        let address = |last| IpAddr::from([10, 0, 0, last]);
        let peers = Connections::of([four, six, dir.path().join("none")]).peers().unwrap();
        assert_eq!(
            peers,
            [
                Peer { door: Door::Ssh, local: address(10), from: address(11) },
                Peer { door: Door::Web, local: address(10), from: address(12) },
            ]
        );
    }

    #[test]
    fn the_kernels_own_lists_are_understood() {
        let here = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let there = std::net::TcpStream::connect(here.local_addr().unwrap()).unwrap();
        let text = fs::read_to_string(LISTS[0]).unwrap();
        let ends: Vec<_> =
            text.lines().filter_map(|line| end(line.split_ascii_whitespace().nth(1)?)).collect();
        let ours = there.local_addr().unwrap();
        assert!(ends.contains(&(ours.ip(), ours.port())), "{ends:?}");
        assert!(Connections::default().peers().is_ok());
    }
}
