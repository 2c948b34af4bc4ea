//! A `provostd` that was taken over, on the socket of `provost-execd`.

use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, sendmsg,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::Pid;
use provost::exec::wire::{Mode, Refusal, Reply, Request, VERSION};

use crate::common::node::ROOT_MAY_ALL;
use crate::common::{Node, eventually};
use crate::ground::{self, Ground};
use crate::guest::Guest;

/// A connection as `provostd` makes it.
pub struct Wire(pub OwnedFd);

impl Wire {
    pub fn to(node: &Node) -> Self {
        let connection =
            socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).expect("socket");
        setsockopt(&connection, sockopt::ReceiveTimeout, &TimeVal::seconds(20)).expect("timeout");
        let address = UnixAddr::new(&node.exec_socket()).expect("address");
        connect(connection.as_raw_fd(), &address).expect("connect");
        Self(connection)
    }

    fn send(&self, bytes: &[u8], descriptors: &[i32]) -> Result<usize, Errno> {
        let rights = [ControlMessage::ScmRights(descriptors)];
        let rights = if descriptors.is_empty() { &[][..] } else { &rights[..] };
        sendmsg::<()>(self.0.as_raw_fd(), &[IoSlice::new(bytes)], rights, MsgFlags::MSG_NOSIGNAL, None)
    }

    /// The answer; none when the other side hung up without one.
    pub fn reply(&self) -> Option<Reply> {
        let mut packet = vec![0; 256 * 1024];
        match recv(self.0.as_raw_fd(), &mut packet, MsgFlags::empty()) {
            // What was sent and not read is told first, and the answer after it.
            Err(Errno::ECONNRESET) => self.reply(),
            Ok(length) if length > 0 => Some(Reply::decode(&packet[..length]).expect("an answer")),
            _ => None,
        }
    }

    pub fn refusal(&self) -> Refusal {
        match self.reply() {
            Some(Reply::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    }
}

fn request(guest: u32) -> Request {
    Request {
        version: VERSION,
        guest: provost::exec::wire::Guest::Vmid(guest),
        mode: Mode::Change,
        argv: vec!["/bin/sleep".into(), "4401".into()],
        env: vec![],
        cwd: "/".into(),
        user: None,
        timeout_ms: 60_000,
        asked_by: "user:nobody".into(),
        script: None,
        file: None,
    }
}

/// Three pipes, of which the test keeps the other ends.
fn pipes() -> ([OwnedFd; 3], [OwnedFd; 3]) {
    let [first, second, third] = [(); 3].map(|()| nix::unistd::pipe().expect("pipe"));
    ([first.0, second.1, third.1], [first.1, second.0, third.0])
}

/// The descriptors of `provost-execd` when it has run a command and nothing is under way.
pub fn at_rest(node: &Node) -> Vec<String> {
    node.client().change(101, &["/bin/true"]);
    let mut seen = ground::descriptors(node.execd.id());
    eventually("nothing is under way", || {
        std::thread::sleep(Duration::from_millis(50));
        let before = std::mem::replace(&mut seen, ground::descriptors(node.execd.id()));
        before == seen && ground::leaves(node).is_empty()
    });
    seen
}

fn numbers(descriptors: &[OwnedFd]) -> Vec<i32> {
    descriptors.iter().map(AsRawFd::as_raw_fd).collect()
}

#[test]
fn packets_that_are_no_requests_are_refused() {
    let node = Node::start();
    let good = String::from_utf8(request(101).encode().expect("a request")).expect("text");
    let (three, _ours) = pipes();
    let fds = numbers(&three);
    let before = at_rest(&node);
    let packets: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"\0".to_vec(),
        vec![0xff; 1000],
        b"null".to_vec(),
        vec![b'['; 100_000],
        vec![b' '; 161 * 1024],
        good.replace("\"guest\":101", "\"guest\":-1").into(),
        good.replace("\"guest\":101", "\"guest\":101,\"guest\":102").into(),
        good.replace("\"version\":1", "\"version\":2").into(),
        good.replace("\"change\"", "\"host\"").into(),
        good.replace("}", ",\"privileged\":true}").into(),
        good.replace("[\"/bin/sleep\",\"4401\"]", "[]").into(),
        good.replace("\"cwd\":\"/\"", "\"cwd\":\"..\"").into(),
        good[..good.len() - 1].into(),
        format!("{good}{good}").into(),
    ];
    for packet in packets {
        let shown = String::from_utf8_lossy(&packet[..packet.len().min(60)]).into_owned();
        let wire = Wire::to(&node);
        wire.send(&packet, &fds).expect("send");
        // An empty packet is the same as none to whoever receives it.
        match wire.reply() {
            Some(Reply::Refused(refusal)) => assert_eq!(refusal.kind, "request", "{shown}: {refusal:?}"),
            None => assert!(packet.is_empty(), "{shown}: no answer"),
            ended => panic!("{shown}: {ended:?}"),
        }
    }
    eventually("its descriptors are as before", || ground::descriptors(node.execd.id()) == before);
    assert_eq!(node.client().change(101, &["/bin/echo", "on"])["stdout"], "on\n");
}

#[test]
fn descriptors_that_are_not_three_pipes_are_refused_and_closed() {
    let node = Node::start();
    let before = at_rest(&node);
    let bytes = request(101).encode().expect("a request");
    let (three, _ours) = pipes();
    let pipe = numbers(&three);
    let open = |path: &str| OwnedFd::from(std::fs::File::open(path).expect("open"));
    let (root, file, null) = (open("/"), open("/etc/passwd"), open("/dev/null"));
    let (one, _other) = std::os::unix::net::UnixStream::pair().expect("pair");
    let (one, connection) = (OwnedFd::from(one), Wire::to(&node));
    // A name that whoever sent it can open again, and others too.
    let path = node.dir().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).expect("a FIFO");
    let options = std::fs::File::options().read(true).write(true).open(&path);
    let fifo = OwnedFd::from(options.expect("open"));
    let in_place_of_a_pipe = [&root, &file, &null, &one, &fifo, &connection.0];
    let mut sets: Vec<Vec<i32>> =
        in_place_of_a_pipe.iter().map(|fd| vec![pipe[0], pipe[1], fd.as_raw_fd()]).collect();
    sets.push(vec![root.as_raw_fd(); 3]);
    for count in [0, 1, 2, 4, 8, 9, 20, 100, 253] {
        sets.push(vec![pipe[0]; count]);
    }
    for set in sets {
        let wire = Wire::to(&node);
        wire.send(&bytes, &set).expect("send");
        let refusal = wire.refusal();
        assert_eq!(refusal.kind, "request", "{} descriptors: {refusal:?}", set.len());
    }
    // More than one message can carry; and many in one that is refused for another reason.
    assert_eq!(Wire::to(&node).send(&bytes, &[pipe[0]; 254]), Err(Errno::EINVAL));
    let wire = Wire::to(&node);
    wire.send(b"{}", &[pipe[0]; 253]).expect("send");
    assert_eq!(wire.refusal().kind, "request");
    drop(connection);
    eventually("its descriptors are as before", || ground::descriptors(node.execd.id()) == before);
}

/// Of the descriptors of a message, some can be there and others not: none stays open.
#[test]
fn running_out_of_descriptors_in_the_middle_of_a_request_keeps_none_of_them() {
    let node = Node::start();
    let before = at_rest(&node);
    let bytes = request(101).encode().expect("a request");
    let (three, _ours) = pipes();
    let limit = |most: usize| {
        let (pid, most) = (node.execd.id().to_string(), format!("--nofile={most}:"));
        assert!(Command::new("prlimit").args(["--pid", &pid, &most]).status().expect("prlimit").success());
    };
    for more in 0..3 {
        let wire = Wire::to(&node);
        eventually("it is let in", || ground::descriptors(node.execd.id()).len() > before.len());
        // Of the three, so many find a place.
        let taken = std::fs::read_dir(format!("/proc/{}/fd", node.execd.id())).expect("descriptors");
        let taken: Vec<usize> = taken
            .map(|fd| fd.expect("one").file_name().to_string_lossy().parse().expect("a number"))
            .collect();
        limit((0..).filter(|number| !taken.contains(number)).nth(more).expect("a number"));
        wire.send(&bytes, &numbers(&three)).expect("send");
        let refusal = wire.refusal();
        assert_eq!(refusal.kind, "busy", "{refusal:?}");
        limit(1024);
        drop(wire);
        eventually("its descriptors are as before", || ground::descriptors(node.execd.id()) == before);
    }
}

/// A second request on one connection ends the first, as hanging up does.
#[test]
fn a_second_request_on_a_connection_ends_the_first() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let bytes = request(guest.id).encode().expect("a request");
    let (three, _ours) = pipes();
    let wire = Wire::to(&node);
    wire.send(&bytes, &numbers(&three)).expect("send");
    eventually("it runs", || ground::leaves(&node).len() == 1);
    wire.send(&bytes, &numbers(&three)).expect("send");
    match wire.reply() {
        Some(Reply::Ended(outcome)) => assert_eq!((outcome.signal, outcome.timed_out), (Some(9), false)),
        other => panic!("{other:?}"),
    }
    // Both at once, before either is read.
    let wire = Wire::to(&node);
    wire.send(&bytes, &numbers(&three)).expect("send");
    wire.send(&bytes, &numbers(&three)).expect("send");
    let _ = wire.reply();
    drop(wire);
    ground.is_as_before(&node, &guest);
}

/// Asked and hung up before anybody looked: whether the connection was known by then or not.
#[test]
fn what_nobody_waits_for_any_more_is_not_run() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let execd = Pid::from_raw(node.execd.id() as i32);
    let bytes = request(guest.id).encode().expect("a request");
    let (three, _ours) = pipes();
    for known in [true, false] {
        let before = ground::descriptors(node.execd.id()).len();
        let known = known.then(|| Wire::to(&node));
        eventually("it is accepted", || {
            known.is_none() || ground::descriptors(node.execd.id()).len() > before
        });
        kill(execd, Signal::SIGSTOP).expect("stop");
        let wire = known.unwrap_or_else(|| Wire::to(&node));
        wire.send(&bytes, &numbers(&three)).expect("send");
        drop(wire);
        kill(execd, Signal::SIGCONT).expect("continue");
        ground.is_as_before(&node, &guest);
    }
    assert_eq!(client.change(guest.id, &["/bin/echo", "on"])["stdout"], "on\n");
    assert!(!node.execd_log().contains("4401"), "{}", node.execd_log());
}

#[test]
fn a_container_that_is_not_listed_is_not_entered_whoever_asks() {
    let node = Node::with("v2", "containers = [101]", ROOT_MAY_ALL);
    let (three, _ours) = pipes();
    for (guest, kind) in
        [(102, "not_listed"), (106, "not_listed"), (0, "not_listed"), (u32::MAX, "not_listed")]
    {
        let wire = Wire::to(&node);
        wire.send(&request(guest).encode().expect("a request"), &numbers(&three)).expect("send");
        assert_eq!(wire.refusal().kind, kind);
    }
    let wire = Wire::to(&node);
    let long = Request { timeout_ms: u64::MAX, ..request(101) };
    wire.send(&long.encode().expect("a request"), &numbers(&three)).expect("send");
    assert_eq!(wire.refusal().kind, "timeout_ceiling");
    // What was refused is on record, and by whom it was asked, on one line.
    let forged = Request { asked_by: "x\n2026 INFO forged \u{1b}[2J".into(), ..request(102) };
    let wire = Wire::to(&node);
    wire.send(&forged.encode().expect("a request"), &numbers(&three)).expect("send");
    assert_eq!(wire.refusal().kind, "not_listed");
    let log = node.execd_log();
    assert!(
        log.contains("container 102 is not in")
            && !log.lines().any(|line| line.starts_with("2026 INFO forged")),
        "{log}"
    );
    assert!(!log.contains('\u{1b}'), "{log:?}");
}
