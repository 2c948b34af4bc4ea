//! The file door as a `provostd` sees it, and one that was taken over: by its socket and its pipes.

use std::fs::File;
use std::io::{BufRead, BufReader, IoSlice, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, sendmsg,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use provost::door::{Errand, GO, Over, Put, Said};
use provost::exec::wire::{Mode, Reply, Request, VERSION};

use crate::common::Node;
use crate::guest::Guest;
use crate::{left_aside, sha256};

/// An errand under way.
pub struct Door {
    connection: OwnedFd,
    pub input: Option<File>,
    pub output: File,
    said: BufReader<File>,
}

impl Door {
    pub fn open(node: &Node, guest: &Guest, errand: Errand) -> Self {
        let connection =
            socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).expect("socket");
        setsockopt(&connection, sockopt::ReceiveTimeout, &TimeVal::seconds(20)).expect("timeout");
        let address = UnixAddr::new(&node.exec_socket()).expect("address");
        connect(connection.as_raw_fd(), &address).expect("connect");
        let request = Request {
            version: VERSION,
            guest: provost::exec::wire::Guest::Vmid(guest.id),
            mode: if errand.changes() { Mode::Change } else { Mode::Inspect },
            argv: vec![],
            env: vec![],
            cwd: "/".into(),
            user: None,
            timeout_ms: 60_000,
            asked_by: "test".into(),
            script: None,
            file: Some(errand),
        };
        let [stdin, stdout, stderr] =
            [(); 3].map(|()| nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).expect("pipe"));
        let ends = [stdin.0.as_raw_fd(), stdout.1.as_raw_fd(), stderr.1.as_raw_fd()];
        let packet = request.encode().expect("a request");
        let rights = [ControlMessage::ScmRights(&ends)];
        sendmsg::<()>(
            connection.as_raw_fd(),
            &[IoSlice::new(&packet)],
            &rights,
            MsgFlags::MSG_NOSIGNAL,
            None,
        )
        .expect("send");
        let said = BufReader::new(File::from(stderr.0));
        Self { connection, input: Some(File::from(stdin.1)), output: File::from(stdout.0), said }
    }

    /// What it says next; none when it has ended.
    pub fn hear(&mut self) -> Option<Said> {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("read");
        (!line.is_empty()).then(|| serde_json::from_str(&line).expect("what is understood"))
    }

    pub fn give(&mut self, bytes: &[u8]) {
        self.input.as_mut().expect("a pipe").write_all(bytes).expect("write");
    }

    pub fn reply(&self) -> Option<Reply> {
        let mut packet = vec![0; 64 * 1024];
        match recv(self.connection.as_raw_fd(), &mut packet, MsgFlags::empty()) {
            Err(Errno::ECONNRESET) => self.reply(),
            Ok(length) if length > 0 => Some(Reply::decode(&packet[..length]).expect("an answer")),
            _ => None,
        }
    }

    pub fn refused(&mut self) -> String {
        match self.hear() {
            Some(Said::Refused(no)) => no.kind,
            other => panic!("{other:?}"),
        }
    }
}

pub fn a_put(path: &str, content: &[u8], over: Over) -> Put {
    let (bytes, sha256) = (content.len() as u64, sha256(content));
    Put { path: path.into(), bytes, sha256, mode: None, owner: None, over, keep: 1 << 20 }
}

#[test]
fn content_is_held_to_what_was_announced_and_recorded() {
    let (node, guest) = (Node::start(), Guest::idle());
    guest.run("printf old > /srv/t");
    for (content, expected) in [(&b"other"[..], "content"), (b"right and more", "content")] {
        let mut door = Door::open(&node, &guest, Errand::Put(a_put("/srv/t", b"right", Over::Always)));
        assert!(matches!(door.hear(), Some(Said::Found(_))));
        assert_eq!(door.hear(), Some(Said::Was(Some(sha256(b"old")))));
        let mut old = [0; 3];
        door.output.read_exact(&mut old).expect("the old content");
        assert_eq!(&old, b"old");
        door.give(&[&[GO], content].concat());
        door.input = None;
        assert_eq!(door.refused(), expected);
        assert!(matches!(door.reply(), Some(Reply::Ended(_))));
    }
    // What ends early is given up without a word, and so is what was never released.
    for content in [&b"Grig"[..], b"", b"X", b"Xright"] {
        let mut door = Door::open(&node, &guest, Errand::Put(a_put("/srv/t", b"right", Over::Always)));
        assert!(matches!(door.hear(), Some(Said::Found(_))));
        door.hear();
        door.give(content);
        door.input = None;
        assert_eq!(door.hear(), None, "{content:?}");
    }
    assert_eq!(guest.read("/srv/t"), "old");
    assert!(left_aside(&guest, "/srv").is_empty());
}

/// Looked at in the container's own /proc, as whoever is root there would.
#[test]
fn the_process_at_the_door_has_few_rights_and_shows_nothing_to_the_container() {
    let (node, guest) = (Node::start(), Guest::idle());
    guest.run("printf old > /srv/t");
    let mut door = Door::open(&node, &guest, Errand::Put(a_put("/srv/t", b"right", Over::Always)));
    assert!(matches!(door.hear(), Some(Said::Found(_))));
    door.hear();
    let pids = crate::common::in_lab("v2", &["pgrep", "-P", &node.execd.id().to_string()]);
    let pid = pids.trim().to_owned();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process");
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
    };
    // chown, dac_override, dac_read_search, fowner, fsetid.
    for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
        assert_eq!(field(set), "000000000000001f", "{set}");
    }
    assert_eq!((field("CapInh:"), field("CapAmb:")), ("0000000000000000".into(), "0000000000000000".into()));
    assert_eq!((field("NoNewPrivs:").as_str(), field("Seccomp:").as_str()), ("1", "2"));
    assert_eq!(field("Uid:").split_whitespace().collect::<Vec<_>>(), ["100000"; 4]);
    for name in ["mnt", "user", "pid", "net"] {
        let of = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/{name}")).expect("a namespace");
        assert_eq!(of(&pid), of(&guest.init().to_string()), "{name}");
    }
    let seen = guest.run(
        "for p in /proc/[0-9]*; do grep -q provost-execd $p/comm 2>/dev/null || continue; echo found; \
         for f in fd exe mem maps environ cwd root; do ls $p/$f/ >/dev/null 2>&1 && echo $f; \
         cat $p/$f >/dev/null 2>&1 && echo $f; done; done; true",
    );
    assert_eq!(seen.trim(), "found");
    door.give(b"Gright");
    door.input = None;
    assert!(matches!(door.hear(), Some(Said::Written(_))));
    assert_eq!(guest.read("/srv/t"), "right");
}
