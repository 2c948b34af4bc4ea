//! Who is at the other end of a connection, as the kernel says.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{Gid, Group, Uid, User};
use nix::{getsockopt_impl, sockopt_impl};
use serde_json::{Map, Value};

use super::machine::Machine;
use crate::account::Account;
use crate::config::{Member, Role};
use crate::ledger::Who;
use crate::ledger::receipt::Clean;
use crate::process::start_time;

sockopt_impl!(
    /// A descriptor of the very process that connected, whatever its number means by now. Linux 6.5.
    PeerPidfd,
    GetOnly,
    libc::SOL_SOCKET,
    libc::SO_PEERPIDFD,
    OwnedFd
);

/// Who asks.
#[derive(Debug, Clone)]
pub enum Principal {
    /// A process of the node, over a unix socket.
    Process(Peer),
    /// A virtual machine of the node, over vsock.
    Machine(Machine),
}

/// The process that connected, and the account it runs as.
#[derive(Debug, Clone)]
pub struct Peer {
    uid: u32,
    gid: u32,
    /// The account's name; absent when nothing on the node knows the number.
    user: Option<String>,
    /// Every group of the process, primary first: number, and name where there is one.
    groups: Vec<(u32, Option<String>)>,
    pid: i32,
    /// In clock ticks since boot: with the pid, which process it was.
    started: Option<u64>,
}

#[derive(Debug, thiserror::Error)]
pub enum PrincipalError {
    #[error("the kernel does not say who connected: {0}")]
    Credentials(Errno),
}

impl Principal {
    /// The peer of a unix socket, as it was when it connected.
    pub fn of_peer(socket: &impl AsFd) -> Result<Self, PrincipalError> {
        Peer::of(socket).map(Self::Process)
    }

    /// On whose account what it does is counted, and whose its plans are.
    pub fn account(&self) -> Account {
        match self {
            Self::Process(peer) => Account::User(peer.uid),
            Self::Machine(machine) => Account::Machine(machine.vmid()),
        }
    }

    /// Nobody in a virtual machine is the node's root, whoever they are there.
    pub fn is_root(&self) -> bool {
        self.account() == Account::User(0)
    }

    fn peer(&self) -> Option<&Peer> {
        match self {
            Self::Process(peer) => Some(peer),
            Self::Machine(_) => None,
        }
    }

    pub fn machine(&self) -> Option<&Machine> {
        match self {
            Self::Process(_) => None,
            Self::Machine(machine) => Some(machine),
        }
    }

    pub fn pid(&self) -> Option<i32> {
        self.peer().map(|peer| peer.pid)
    }

    /// Whether the configuration's word names it.
    pub fn is(&self, member: &Member) -> bool {
        match (self, member) {
            (Self::Process(peer), Member::User(name)) => peer.is_user(name),
            (Self::Process(peer), Member::Group(name)) => peer.is_in_group(name),
            (Self::Machine(machine), Member::Vsock(cid)) => machine.cid() == *cid,
            (Self::Machine(machine), Member::Vm(vmid)) => machine.vmid() == *vmid,
            (Self::Process(_), Member::Vsock(_) | Member::Vm(_))
            | (Self::Machine(_), Member::User(_) | Member::Group(_)) => false,
        }
    }

    /// As receipts have it, in this role.
    pub fn who(&self, role: Option<&Role>) -> Who {
        let peer = self.peer();
        Who {
            cid: self.machine().map(Machine::cid),
            role: role.map(|role| Clean::of(&role.name)),
            uid: peer.map(|peer| peer.uid),
            user: peer.and_then(|peer| peer.user.as_deref()).map(Clean::of),
            vmid: self.machine().map(Machine::vmid),
            ..Who::default()
        }
    }

    /// As `status` has it.
    pub fn to_json(&self) -> Map<String, Value> {
        match self {
            Self::Process(peer) => peer.to_json(),
            Self::Machine(machine) => {
                let fields =
                    [("via", "vsock".into()), ("cid", machine.cid().into()), ("vmid", machine.vmid().into())];
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }
        }
    }

    #[cfg(test)]
    pub fn for_tests(uid: u32, user: &str, groups: &[(u32, &str)]) -> Self {
        let groups = groups.iter().map(|(id, name)| (*id, Some((*name).to_owned()))).collect();
        Self::Process(Peer { uid, gid: uid, user: Some(user.into()), groups, pid: 1, started: None })
    }
}

impl Peer {
    fn of(socket: &impl AsFd) -> Result<Self, PrincipalError> {
        let peer = getsockopt(socket, sockopt::PeerCredentials).map_err(PrincipalError::Credentials)?;
        let (uid, gid, pid) = (peer.uid(), peer.gid(), peer.pid());
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name);
        let process = match getsockopt(socket, PeerPidfd) {
            Ok(peer) => Process::read(pid, uid, || is_alive(&peer)),
            // A kernel that has no such thing: the start time alone tells a process from a later one of its number.
            Err(Errno::ENOPROTOOPT) => Process::read(pid, uid, || true),
            // Ended, and its number may be anybody's.
            Err(_) => None,
        };
        let started = process.as_ref().map(|process| process.started);
        let mut ids = vec![gid];
        // A process that is gone, or hidden, is in the one group that its socket still proves: those that its account
        // could have, it may have given up.
        ids.extend(process.into_iter().flat_map(|process| process.groups));
        let mut seen = std::collections::BTreeSet::new();
        ids.retain(|id| seen.insert(*id));
        let name = |id| Group::from_gid(Gid::from_raw(id)).ok().flatten().map(|group| group.name);
        let groups = ids.into_iter().map(|id| (id, name(id))).collect();
        Ok(Self { uid, gid, user, groups, pid, started })
    }

    /// `name` is the account's name or its number.
    fn is_user(&self, name: &str) -> bool {
        self.user.as_deref() == Some(name) || name.parse() == Ok(self.uid)
    }

    /// `name` is the group's name or its number.
    fn is_in_group(&self, name: &str) -> bool {
        self.groups.iter().any(|(id, known)| known.as_deref() == Some(name) || name.parse() == Ok(*id))
    }

    fn to_json(&self) -> Map<String, Value> {
        let group = |(id, name): &(u32, Option<String>)| match name {
            Some(name) => Value::from(name.as_str()),
            None => Value::from(*id),
        };
        let fields = [
            ("via", "unix".into()),
            ("uid", self.uid.into()),
            ("gid", self.gid.into()),
            ("user", self.user.as_deref().into()),
            ("groups", self.groups.iter().map(group).collect()),
            ("pid", self.pid.into()),
            ("pid_started", self.started.into()),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(Peer { user: Some(user), uid, .. }) => write!(f, "user:{user} (uid {uid})"),
            Self::Process(Peer { user: None, uid, .. }) => write!(f, "uid {uid}"),
            Self::Machine(machine) => write!(f, "vsock:{} (VM {})", machine.cid(), machine.vmid()),
        }
    }
}

fn is_alive(process: &OwnedFd) -> bool {
    // A process descriptor is readable from the process's end on.
    poll(&mut [PollFd::new(process.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(0)
}

/// What /proc says of the peer. The kernel has the groups at the socket too (SO_PEERGROUPS), as they were when it
/// connected, but no safe way to ask for them: their number is not known beforehand.
struct Process {
    groups: Vec<u32>,
    started: u64,
}

impl Process {
    /// None unless the process with that pid runs as that uid from the first look to the last, and is the peer after
    /// it: a pid that was given to another process must not lend its groups.
    fn read(pid: i32, uid: u32, is_peer: impl FnOnce() -> bool) -> Option<Self> {
        let started = start_time(pid)?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name));
        let numbers =
            |text: &str| text.split_ascii_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>();
        // Real, effective, saved, file system: the socket's credentials are the effective ones.
        if numbers(field("Uid:")?).get(1) != Some(&uid) || start_time(pid)? != started || !is_peer() {
            return None;
        }
        Some(Self { groups: numbers(field("Groups:")?), started })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_known_by_what_the_kernel_says_of_it() {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let me = Peer::of(&ours).unwrap();
        assert_eq!(me.uid, Uid::effective().as_raw());
        assert!(me.is_user(&Uid::effective().to_string()));
        assert!(me.is_in_group(&Gid::effective().to_string()));
        assert!(me.started.is_some());
        assert!(!me.is_user("") && !me.is_in_group(""));
    }

    #[test]
    fn a_peer_that_has_ended_is_in_the_one_group_that_its_socket_proves() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        // Somebody who connects and is gone; with more groups than one, where the test may give them.
        let mut command = match Uid::effective().is_root() {
            true => {
                let mut command = std::process::Command::new("setpriv");
                command.args(["--groups", "0,4,24", "perl"]);
                command
            }
            false => std::process::Command::new("perl"),
        };
        let script =
            "use Socket; socket(S,PF_UNIX,SOCK_STREAM,0); connect(S,pack_sockaddr_un($ARGV[0])) or die";
        let ended = command.args(["-e", script]).arg(&path).status().unwrap();
        assert!(ended.success());
        let (gone, _) = listener.accept().unwrap();
        let gone = Peer::of(&gone).unwrap();
        assert_eq!((gone.uid, gone.groups.len(), gone.started), (Uid::effective().as_raw(), 1, None));
    }

    #[test]
    fn a_process_that_is_not_the_peer_lends_no_groups() {
        let me = std::process::id() as i32;
        let uid = Uid::effective().as_raw();
        assert!(Process::read(me, uid, || true).is_some());
        // What it is when the number was given to another process before the first look.
        assert!(Process::read(me, uid, || false).is_none());
        assert!(Process::read(me, uid + 1, || true).is_none());
    }
}
