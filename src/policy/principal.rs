//! Who is at the other end of a connection, as the kernel says.

use std::fmt;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::getsockopt_impl;
use nix::sys::socket::{getsockopt, sockopt};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::machine::Machine;
use super::token::Bearer;
use crate::account::Account;
use crate::config::{Member, Role};
use crate::ledger::Who;
use crate::ledger::receipt::Clean;
use crate::sandbox::reader;

/// Who asks.
#[derive(Debug, Clone)]
pub enum Principal {
    /// A process of the node, over a unix socket.
    Process(Peer),
    /// A virtual machine of the node, over vsock.
    Machine(Machine),
    /// Whoever holds a token that this node gave out, over HTTP.
    Token(Bearer),
}

/// The process that connected, and the account it runs as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    uid: u32,
    gid: u32,
    /// The account's name; absent when nothing on the node knows the number.
    user: Option<String>,
    /// Every group of the process, primary first: number, and name where there is one.
    groups: Vec<(u32, Option<String>)>,
    pid: i32,
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

    /// Whose its plans and tasks are.
    pub fn account(&self) -> Account {
        match self {
            Self::Process(peer) => Account::User(peer.uid),
            Self::Machine(machine) => Account::Machine(machine.vmid()),
            Self::Token(bearer) => bearer.id().account(),
        }
    }

    /// The account behind it, which must not decide about what it asks: a token's holder asks for whoever it acts as.
    pub fn behind(&self) -> Option<Account> {
        match self {
            Self::Token(bearer) => bearer.behind(),
            Self::Process(_) | Self::Machine(_) => None,
        }
    }

    /// On whose account what it takes is counted: calls, places, memory. Somebody has no more of it with many tokens than
    /// with none. What root gives out for a role is somebody else's, each token's its own.
    pub fn payer(&self) -> Account {
        self.behind().unwrap_or_else(|| self.account())
    }

    /// Nobody in a virtual machine is the node's root, whoever they are there.
    pub fn is_root(&self) -> bool {
        self.account() == Account::User(0)
    }

    pub fn peer(&self) -> Option<&Peer> {
        match self {
            Self::Process(peer) => Some(peer),
            Self::Machine(_) | Self::Token(_) => None,
        }
    }

    pub fn machine(&self) -> Option<&Machine> {
        match self {
            Self::Machine(machine) => Some(machine),
            Self::Process(_) | Self::Token(_) => None,
        }
    }

    pub fn token(&self) -> Option<&Bearer> {
        match self {
            Self::Token(bearer) => Some(bearer),
            Self::Process(_) | Self::Machine(_) => None,
        }
    }

    pub fn pid(&self) -> Option<i32> {
        self.peer().map(|peer| peer.pid)
    }

    /// Whether the configuration's word names it.
    pub fn is(&self, member: &Member) -> bool {
        match (self, member) {
            (Self::Process(peer), member) => peer.is(member),
            (Self::Machine(machine), Member::Vsock(cid)) => machine.cid() == *cid,
            (Self::Machine(machine), Member::Vm(vmid)) => machine.vmid() == *vmid,
            (Self::Machine(_), Member::User(_) | Member::Group(_)) => false,
            // No member names a token: it says itself which role is its own.
            (Self::Token(_), _) => false,
        }
    }

    /// As receipts have it, in this role.
    pub fn who(&self, role: Option<&Role>) -> Who {
        let peer = self.peer();
        Who {
            cid: self.machine().map(Machine::cid),
            issuer: self.token().map(Bearer::uid),
            token: self.token().map(|bearer| Clean::ours(bearer.id().to_string())),
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
            Self::Token(bearer) => bearer.to_json(),
        }
    }

    #[cfg(test)]
    pub fn for_tests(uid: u32, user: &str, groups: &[(u32, &str)]) -> Self {
        let groups = groups.iter().map(|(id, name)| (*id, Some((*name).to_owned()))).collect();
        Self::Process(Peer { uid, gid: uid, user: Some(user.into()), groups, pid: 1 })
    }
}

impl Peer {
    fn of(socket: &impl AsFd) -> Result<Self, PrincipalError> {
        let peer = getsockopt(socket, sockopt::PeerCredentials).map_err(PrincipalError::Credentials)?;
        let (uid, gid, pid) = (peer.uid(), peer.gid(), peer.pid());
        let user = reader::user(uid);
        let mut ids = vec![gid];
        match groups(socket) {
            Ok(more) => ids.extend(more),
            // Less than it is in: what is not proved opens nothing.
            Err(error) => tracing::warn!(
                uid, pid, %error,
                "who connected counts as in its primary group alone; at most {MOST_GROUPS} others are looked at"
            ),
        }
        let mut seen = std::collections::BTreeSet::new();
        ids.retain(|id| seen.insert(*id));
        let groups = ids.into_iter().map(|id| (id, reader::group(id))).collect();
        Ok(Self { uid, gid, user, groups, pid })
    }

    /// An account as the node has it now, and none where it has none. Blocks, for as long as the node's accounts take.
    pub fn of_account(uid: u32) -> std::io::Result<Option<Self>> {
        let Some((user, mut ids)) = reader::account(uid)? else { return Ok(None) };
        if ids.len() > MOST_GROUPS + 1 {
            // As for who connects: what is not looked at opens nothing.
            ids.truncate(1);
        }
        let groups = ids.into_iter().map(|id| (id, reader::group(id))).collect();
        Ok(Some(Self::given(uid, Some(user), groups)))
    }

    /// One that root says: the groups by their numbers, primary first, and names.
    pub fn given(uid: u32, user: Option<String>, groups: Vec<(u32, Option<String>)>) -> Self {
        Self { uid, gid: groups.first().map_or(u32::MAX, |(gid, _)| *gid), user, groups, pid: 0 }
    }

    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// `user:alice`, `uid:1000`
    pub fn name(&self) -> String {
        match &self.user {
            Some(user) => format!("user:{user}"),
            None => format!("uid:{}", self.uid),
        }
    }

    /// Whether the configuration's word names it.
    pub fn is(&self, member: &Member) -> bool {
        match member {
            Member::User(name) => self.is_user(name),
            Member::Group(name) => self.is_in_group(name),
            Member::Vsock(_) | Member::Vm(_) => false,
        }
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
            Self::Token(bearer) => write!(f, "token:{} ({})", bearer.id(), bearer.acts_as()),
        }
    }
}

/// Other groups than the primary that are looked at.
const MOST_GROUPS: usize = 256;

/// The groups of the peer as it connected, by the socket itself (SO_PEERGROUPS): nothing of `/proc` is asked, where
/// another process could have its number by now, and where the unit shows no process but the daemon's own.
///
/// The kernel answers ERANGE to room for too few; room for too many is no answer that the wrapper takes. So each number
/// is asked for in turn: the first that is answered is all of them.
macro_rules! groups_by_number {
    ($($number:literal)*) => {
        fn groups(socket: &impl AsFd) -> Result<Vec<u32>, Errno> {
            $({
                #[derive(Clone, Copy)]
                struct Groups;
                getsockopt_impl!(
                    Groups, libc::SOL_SOCKET, libc::SO_PEERGROUPS, [u32; $number], sockopt::GetStruct<[u32; $number]>
                );
                match getsockopt(socket, Groups) {
                    Err(Errno::ERANGE) => {}
                    other => return other.map(Vec::from),
                }
            })*
            Err(Errno::ERANGE)
        }
    };
}

groups_by_number!(
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37
    38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 69 70 71 72
    73 74 75 76 77 78 79 80 81 82 83 84 85 86 87 88 89 90 91 92 93 94 95 96 97 98 99 100 101 102 103 104 105
    106 107 108 109 110 111 112 113 114 115 116 117 118 119 120 121 122 123 124 125 126 127 128 129 130 131
    132 133 134 135 136 137 138 139 140 141 142 143 144 145 146 147 148 149 150 151 152 153 154 155 156 157
    158 159 160 161 162 163 164 165 166 167 168 169 170 171 172 173 174 175 176 177 178 179 180 181 182 183
    184 185 186 187 188 189 190 191 192 193 194 195 196 197 198 199 200 201 202 203 204 205 206 207 208 209
    210 211 212 213 214 215 216 217 218 219 220 221 222 223 224 225 226 227 228 229 230 231 232 233 234 235
    236 237 238 239 240 241 242 243 244 245 246 247 248 249 250 251 252 253 254 255 256
);

#[cfg(test)]
mod tests {
    use nix::unistd::{Gid, Uid};

    use super::*;

    #[test]
    fn a_peer_is_known_by_what_the_kernel_says_of_it() {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let me = Peer::of(&ours).unwrap();
        assert_eq!(me.uid, Uid::effective().as_raw());
        assert!(me.is_user(&Uid::effective().to_string()));
        assert!(me.is_in_group(&Gid::effective().to_string()));
        assert!(!me.is_user("") && !me.is_in_group(""));
    }

    /// Who connected and is gone; with other groups than its own, where the test may give them.
    fn connected(groups: &str) -> Peer {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let mut command = match Uid::effective().is_root() {
            true => {
                let mut command = std::process::Command::new("setpriv");
                command.args(["--groups", groups, "perl"]);
                command
            }
            false => std::process::Command::new("perl"),
        };
        let script =
            "use Socket; socket(S,PF_UNIX,SOCK_STREAM,0); connect(S,pack_sockaddr_un($ARGV[0])) or die";
        let ended = command.args(["-e", script]).arg(&path).status().unwrap();
        assert!(ended.success());
        Peer::of(&listener.accept().unwrap().0).unwrap()
    }

    #[test]
    fn a_peer_is_in_the_groups_that_it_connected_with_though_it_has_ended() {
        let gone = connected("4,24,12345");
        assert_eq!(gone.uid, Uid::effective().as_raw());
        if Uid::effective().is_root() {
            assert_eq!(gone.groups.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [0, 4, 24, 12345]);
        }
    }

    #[test]
    fn who_is_in_more_groups_than_are_looked_at_is_in_one() {
        if !Uid::effective().is_root() {
            return;
        }
        let many = |count: u32| (1..=count).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(connected(&many(65)).groups.len(), 66);
        assert_eq!(connected(&many(256)).groups.len(), 257);
        assert_eq!(connected(&many(257)).groups.len(), 1);
    }
}
