//! Somebody who listens where a container's monitor would (CVE-2020-15257): any process may, while it is down.

use std::io::{IoSlice, Read, Write};
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use serde_json::{Value, json};

use crate::common::node::ROOT_MAY_ALL;
use crate::common::{Node, eventually, lxcpath};
use crate::ground;

/// Takes the names `@PATH/FIRST/command` to `@PATH/LAST/command` and lets so many wait in each one's queue.
const SQUATTER: &str = r#"
    use Socket; use Fcntl;
    my ($path, $first, $last, $waiting) = @ARGV;
    my @held;
    for my $id ($first .. $last) {
        my $name = pack 'S a*', AF_UNIX, "\0$path/$id/command";
        socket my $listener, AF_UNIX, SOCK_STREAM, 0 or die;
        bind $listener, $name or die "bind: $!";
        listen $listener, $waiting or die;
        push @held, $listener;
        for (0 .. $waiting) {
            socket my $queued, AF_UNIX, SOCK_STREAM, 0 or die;
            fcntl $queued, F_SETFL, O_NONBLOCK;
            connect $queued, $name if $waiting < 100;
            push @held, $queued;
        }
    }
    print "held\n";
    close STDOUT;
    sleep 60;
"#;

/// A process of uid 65534 that holds names.
struct Squatter(Child);

impl Squatter {
    /// On names whose queues have room, so that whoever connects is let.
    fn open(path: &Path, ids: RangeInclusive<u32>) -> Self {
        Self::start(path, ids, 100)
    }

    /// On names whose queues are full, so that whoever connects waits.
    fn full(path: &Path, ids: RangeInclusive<u32>) -> Self {
        Self::start(path, ids, 0)
    }

    fn start(path: &Path, ids: RangeInclusive<u32>, waiting: u32) -> Self {
        let mut child = Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "perl", "-e", SQUATTER])
            .arg(path)
            .args([*ids.start(), *ids.end(), waiting].map(|number| number.to_string()))
            .stdout(Stdio::piped())
            .spawn()
            .expect("a squatter");
        let mut said = String::new();
        child.stdout.take().expect("its output").read_to_string(&mut said).expect("a word");
        assert_eq!(said, "held\n");
        Self(child)
    }
}

impl Drop for Squatter {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}

#[test]
fn another_user_on_a_containers_name_is_told_from_its_monitor() {
    let lxcpath = tempfile::tempdir().expect("a directory");
    let node = Node::at("v2", lxcpath.path(), "containers = [\"900-999\"]", ROOT_MAY_ALL);
    let mut client = node.client();
    let error = client.refused(echo(900));
    assert_eq!(error["kind"], "no_such_container", "{error}");
    std::fs::create_dir(lxcpath.path().join("900")).expect("a container's directory");
    assert_eq!(client.refused(echo(900))["kind"], "stopped");
    let before = ground::descriptors(node.execd.id());
    let _open = Squatter::open(lxcpath.path(), 900..=900);
    let error = client.refused(echo(900));
    assert_eq!(error["kind"], "impostor", "{error}");
    assert!(error["message"].as_str().expect("text").contains("uid 65534"), "{error}");
    // One that lets nobody through its queue is not even waited for.
    let _full = Squatter::full(lxcpath.path(), 901..=901);
    for _ in 0..20 {
        let started = Instant::now();
        let error = client.refused(echo(901));
        assert_eq!(error["kind"], "monitor", "{error}");
        assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    }
    eventually("its descriptors are as before", || ground::descriptors(node.execd.id()) == before);
}

/// Names taken by the hundred do not keep `provost-execd` from starting, or from those that are containers.
#[test]
fn names_taken_by_the_hundred_delay_nothing() {
    let squatted = lxcpath("v2");
    let _squatter = Squatter::full(&squatted, 2000..=2200);
    let started = Instant::now();
    let node = Node::start();
    assert_eq!(node.client().change(101, &["/bin/echo", "on"])["stdout"], "on\n");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

/// What a listener that is root's answers to a question, given its command's number.
type Answer = fn(&mut UnixStream, i32);

/// Each must lead to a clear refusal in bounded time. A monitor is root's and trusted, but it may be stopped, broken or
/// of another version.
const BROKEN: [(&str, Answer); 14] = [
    ("says nothing", |_, _| thread::sleep(Duration::from_secs(10))),
    ("hangs up", |_, _| {}),
    ("half a header", |to, _| put(to, &[0; 7])),
    ("half a header, and waits", |to, _| {
        put(to, &[0; 7]);
        thread::sleep(Duration::from_secs(10));
    }),
    ("a byte a second", |to, _| {
        for byte in [0; 16] {
            put(to, &[byte]);
            thread::sleep(Duration::from_secs(1));
        }
    }),
    ("text", |to, _| put(to, b"HTTP/1.1 400 Bad Request\r\n\r\n")),
    ("a length of two gigabytes", |to, _| put(to, &header(0, i32::MAX))),
    ("a negative length", |to, _| put(to, &header(0, -1))),
    ("less than it announced", |to, _| put(to, &[&header(0, 5000)[..], b"short"].concat())),
    ("a failure", |to, _| put(to, &header(-12, 0))),
    ("a failure that is no errno", |to, _| put(to, &header(i32::MIN, 0))),
    ("no descriptor", |to, _| put(to, &header(0, 0))),
    ("a directory of the host", |to, _| give(to, &[open("/etc")])),
    ("too many descriptors", |to, _| give(to, &[open("/dev/null"); 40])),
];

#[test]
fn a_monitor_that_is_broken_is_refused_in_bounded_time() {
    let lxcpath = tempfile::tempdir().expect("a directory");
    let node = Node::at("v2", lxcpath.path(), "containers = [\"900-999\"]\nprivileged = true", ROOT_MAY_ALL);
    let mut client = node.client();
    // Answered once it has looked for what an earlier run left: which asks every monitor that is there by then.
    assert_eq!(client.refused(echo(899))["kind"], "not_listed");
    let before = ground::descriptors(node.execd.id());
    for (id, (what, answer)) in (900..).zip(BROKEN) {
        monitor(lxcpath.path(), id, answer);
        let started = Instant::now();
        let error = client.refused(echo(id));
        assert!(["monitor", "proc", "gone"].contains(&error["kind"].as_str().unwrap()), "{what}: {error}");
        assert!(started.elapsed() < Duration::from_secs(3), "{what}: {:?}", started.elapsed());
        eventually(what, || ground::descriptors(node.execd.id()) == before);
    }
    assert!(node.execd_log().contains("monitor"));
}

/// As under a debugger, or on a disk that does not answer: it is waited for, and nobody else is held up by that.
#[test]
fn a_monitor_that_does_not_answer_holds_up_nobody_else() {
    const WEDGED: std::ops::Range<u32> = 2300..2310;
    let node = Node::start();
    for id in WEDGED {
        monitor(&lxcpath("v2"), id, |_, _| thread::sleep(Duration::from_secs(10)));
    }
    let (mut client, mut other) = (node.client(), node.client());
    other.change(101, &["/bin/true"]);
    let asked = Instant::now();
    for id in WEDGED.chain(WEDGED) {
        client.start("exec", echo(id));
    }
    let mut longest = Duration::ZERO;
    while asked.elapsed() < Duration::from_millis(2500) {
        let started = Instant::now();
        assert_eq!(other.change(101, &["/bin/echo", "on"])["stdout"], "on\n");
        longest = longest.max(started.elapsed());
    }
    assert!(longest < Duration::from_millis(400), "{longest:?}");
    for _ in WEDGED.chain(WEDGED) {
        let answer = client.next().expect("an answer");
        assert_eq!(answer["result"]["structuredContent"]["error"]["kind"], "monitor", "{answer}");
    }
    // Nor is it asked again at once.
    let started = Instant::now();
    assert_eq!(client.refused(echo(2300))["kind"], "monitor");
    assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
}

/// One that names a process of the host as its container's init.
#[test]
fn a_container_whose_init_is_the_hosts_is_not_entered() {
    let lxcpath = tempfile::tempdir().expect("a directory");
    let node = Node::at("v2", lxcpath.path(), "containers = [\"900-999\"]", ROOT_MAY_ALL);
    monitor(lxcpath.path(), 900, |to, _| {
        let this = provost::enter::sys::pidfd_open(nix::unistd::Pid::this()).expect("a pidfd");
        give(to, &[this.as_raw_fd()]);
    });
    let error = node.client().refused(echo(900));
    assert_eq!(error["kind"], "privileged", "{error}");
}

/// A root's listener on a container's name.
fn monitor(lxcpath: &Path, id: u32, answer: Answer) {
    let address =
        SocketAddr::from_abstract_name(format!("{}/{id}/command", lxcpath.display())).expect("a name");
    let listener = UnixListener::bind_addr(&address).expect("bind");
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.expect("accept");
            thread::spawn(move || {
                let mut request = [0; 16];
                // A question that is not sent whole needs no answer.
                if connection.read_exact(&mut request).is_ok() {
                    answer(
                        &mut connection,
                        i32::from_ne_bytes([request[0], request[1], request[2], request[3]]),
                    );
                }
            });
        }
    });
}

fn header(ret: i32, length: i32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&ret.to_ne_bytes());
    bytes[4..8].copy_from_slice(&length.to_ne_bytes());
    bytes
}

fn put(to: &mut UnixStream, bytes: &[u8]) {
    // Whoever has hung up has had enough.
    let _ = to.write_all(bytes);
}

fn give(to: &mut UnixStream, descriptors: &[RawFd]) {
    let rights = [ControlMessage::ScmRights(descriptors)];
    let header = header(0, 0);
    let _ = sendmsg::<()>(to.as_raw_fd(), &[IoSlice::new(&header)], &rights, MsgFlags::empty(), None);
}

/// A descriptor that stays open for the rest of the test.
fn open(path: &str) -> RawFd {
    use std::os::fd::IntoRawFd;
    std::fs::File::open(path).expect("open").into_raw_fd()
}

fn echo(id: u32) -> Value {
    json!({ "guest": id, "argv": ["/bin/echo", "on"], "mode": "change" })
}
