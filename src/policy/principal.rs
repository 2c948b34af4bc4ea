//! Who is at the other end of a connection, as the kernel says.

use std::fmt;
use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{Gid, Group, Uid, User};

use crate::process::start_time;

/// The process that connected, and the account it runs as.
#[derive(Debug, Clone)]
pub struct Principal {
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
    Credentials(nix::errno::Errno),
}

impl Principal {
    /// The peer of a unix socket, as it was when it connected.
    pub fn of_peer(socket: &impl AsFd) -> Result<Self, PrincipalError> {
        let peer = getsockopt(socket, sockopt::PeerCredentials).map_err(PrincipalError::Credentials)?;
        let (uid, gid, pid) = (peer.uid(), peer.gid(), peer.pid());
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name);
        let process = Process::read(pid, uid);
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

    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// `name` is the account's name or its number.
    pub fn is_user(&self, name: &str) -> bool {
        self.user.as_deref() == Some(name) || name.parse() == Ok(self.uid)
    }

    /// `name` is the group's name or its number.
    pub fn is_in_group(&self, name: &str) -> bool {
        self.groups.iter().any(|(id, known)| known.as_deref() == Some(name) || name.parse() == Ok(*id))
    }

    /// As `status` and receipts hold it.
    pub fn to_json(&self) -> serde_json::Value {
        let group = |(id, name): &(u32, Option<String>)| match name {
            Some(name) => serde_json::Value::from(name.as_str()),
            None => serde_json::Value::from(*id),
        };
        serde_json::json!({
            "via": "unix",
            "uid": self.uid,
            "gid": self.gid,
            "user": self.user,
            "groups": self.groups.iter().map(group).collect::<Vec<_>>(),
            "pid": self.pid,
            "pid_started": self.started,
        })
    }

    #[cfg(test)]
    pub fn for_tests(uid: u32, user: &str, groups: &[(u32, &str)]) -> Self {
        let groups = groups.iter().map(|(id, name)| (*id, Some((*name).to_owned()))).collect();
        Self { uid, gid: uid, user: Some(user.into()), groups, pid: 1, started: None }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user {
            Some(user) => write!(f, "user:{user} (uid {})", self.uid),
            None => write!(f, "uid {}", self.uid),
        }
    }
}

/// What /proc says of the peer.
struct Process {
    groups: Vec<u32>,
    started: u64,
}

impl Process {
    /// None unless the process with that pid runs as that uid from the first look to the last: a pid that was given
    /// to another process meanwhile must not lend its groups.
    fn read(pid: i32, uid: u32) -> Option<Self> {
        let started = start_time(pid)?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name));
        let numbers =
            |text: &str| text.split_ascii_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>();
        // Real, effective, saved, file system: the socket's credentials are the effective ones.
        if numbers(field("Uid:")?).get(1) != Some(&uid) || start_time(pid)? != started {
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
        let me = Principal::of_peer(&ours).unwrap();
        assert_eq!(me.uid(), Uid::effective().as_raw());
        assert!(me.is_user(&Uid::effective().to_string()));
        assert!(me.is_in_group(&Gid::effective().to_string()));
        assert!(me.started.is_some());
        assert!(!me.is_user("") && !me.is_in_group(""));
    }
}
