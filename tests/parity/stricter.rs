//! Where Provost is stricter than lxc-attach on purpose, case by case.
//!
//! `provost-execd` is started in a bad place (bad_place.pl), and each test first sees that the thing is there to be
//! passed on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::common::{Node, eventually, lab};
use crate::place::{Place, Sleeper};

const BAD_PLACE: &str = include_str!("bad_place.pl");

fn place() -> Place {
    Place::find("v2", 101).expect("there is always a v2 layout")
}

/// A command of the lab, started where everything that it should not pass on is there to be passed on.
fn in_a_bad_place(words: &[&str]) -> Command {
    let mut command = Command::new("perl");
    command
        .args(["-e", BAD_PLACE])
        .args([libc::SYS_keyctl, libc::SYS_add_key].map(|number| number.to_string()));
    command.arg(lab()).args(["run", "--cgroup", place().layout, "--"]).args(words).stdin(Stdio::null());
    command
}

/// A node whose `provost-execd` was started so.
fn bad_node() -> Node {
    let mut node = place().node();
    let _ = node.execd.kill();
    let _ = node.execd.wait();
    let socket = node.exec_socket();
    let _ = fs::remove_file(&socket);
    let config = node.config();
    let mut execd =
        in_a_bad_place(&[env!("CARGO_BIN_EXE_provost-execd"), "--config", config.to_str().expect("text")]);
    let log = fs::File::options().append(true).open(node.dir().join("execd.log")).expect("the log");
    node.execd = execd.stderr(log).spawn().expect("start provost-execd");
    eventually("provost-execd listens", || socket.exists());
    node
}

/// A file of `provost-execd`'s directory in /proc.
fn of_execd(node: &Node, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/{file}", node.execd.id()))
}

/// A signal set of its status.
fn signals(node: &Node, set: &str) -> u64 {
    let status = fs::read_to_string(of_execd(node, "status")).expect("status");
    hex(&status, set)
}

fn hex(status: &str, set: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(set)).expect("a signal set");
    u64::from_str_radix(line.trim(), 16).expect("a hexadecimal number")
}

#[test]
fn no_variable_of_the_host_reaches_the_command() {
    let node = bad_node();
    let environ = fs::read(of_execd(&node, "environ")).expect("environ");
    assert!(String::from_utf8_lossy(&environ).contains("PROVOST_PARITY=a variable of the host"));
    let mut variables: Vec<String> = lines(&node, &["env"]);
    variables.sort();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(variables, ["HOME=/root", path, "container=lxc"]);
}

#[test]
fn no_inherited_descriptor_reaches_the_command() {
    let node = bad_node();
    for inherited in [5, 9, 63, 64, 65, 500] {
        assert!(of_execd(&node, &format!("fd/{inherited}")).exists(), "{inherited} is open in provost-execd");
    }
    // The shell looks before it opens anything itself, and its child has what it has.
    let open = lines(
        &node,
        &["sh", "-c", "readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2; ls /proc/$$/fd"],
    );
    assert!(open[..3].iter().all(|target| target.starts_with("pipe:[")), "{open:?}");
    assert_eq!(open[3..], ["0", "1", "2"]);
}

#[test]
fn a_command_has_no_controlling_terminal() {
    let node = bad_node();
    let stat = fs::read_to_string(of_execd(&node, "stat")).expect("stat");
    assert_ne!(stat.split(' ').nth(6), Some("0"), "provost-execd has a terminal: {stat}");
    let tried = node.client().change(101, &["sh", "-c", "exec 3<>/dev/tty"]);
    assert_ne!(tried["exit_code"], 0, "{tried}");
    assert!(
        tried["stderr"].as_str().is_some_and(|said| said.contains("No such device or address")),
        "{tried}"
    );
}

#[test]
fn no_signal_is_ignored_or_blocked() {
    let node = bad_node();
    assert_ne!((signals(&node, "SigIgn:"), signals(&node, "SigBlk:")), (0, 0));
    let status = lines(&node, &["cat", "/proc/self/status"]).join("\n");
    assert_eq!((hex(&status, "SigIgn:"), hex(&status, "SigBlk:"), hex(&status, "SigCgt:")), (0, 0, 0));
    // As a writer notices that its reader has gone.
    let piped = node.client().change(101, &["bash", "-c", "yes | true; echo ${PIPESTATUS[0]}"]);
    assert_eq!(piped["stdout"], "141\n");
}

#[test]
fn the_umask_is_022_and_the_directory_is_the_root() {
    let node = bad_node();
    let status = fs::read_to_string(of_execd(&node, "status")).expect("status");
    assert!(status.contains("Umask:\t0000"), "{status}");
    assert_eq!(fs::read_link(of_execd(&node, "cwd")).expect("a link"), PathBuf::from("/usr/share"));
    assert_eq!(lines(&node, &["sh", "-c", "umask; pwd -P"]), ["0022", "/"]);
}

#[test]
fn no_key_of_the_host_is_in_reach() {
    // keyctl(SEARCH, of the session keyring, ...)
    let search = "my ($type, $name) = ('user', 'provost-parity');
        print syscall(shift() + 0, 10, -3, $type, $name, 0) > 0 ? 'found' : \"no: $!\"";
    let argv = ["perl", "-e", search, &libc::SYS_keyctl.to_string()];
    let place = place();
    let (path, guest) = (crate::common::lxcpath(place.layout), place.guest.to_string());
    let mut attach =
        vec!["lxc-attach", "-P", path.to_str().expect("text"), "-n", &guest, "--clear-env", "--"];
    attach.extend(argv);
    let by_lxc = in_a_bad_place(&attach).output().expect("lxc-attach");
    assert_eq!(String::from_utf8_lossy(&by_lxc.stdout), "found", "{by_lxc:?}");
    assert_eq!(lines(&bad_node(), &argv), ["no: Required key not available"]);
}

#[test]
fn a_command_has_a_cgroup_of_its_own_that_is_gone_afterwards() {
    for layout in ["v2", "mixed"] {
        let Some(place) = Place::find(layout, 101) else { continue };
        let node = place.node();
        let mut client = node.client();
        let id = client.start("exec", json!({ "guest": 101, "argv": ["sleep", "3"], "mode": "change" }));
        eventually("the cgroup is there", || !node.leaves(layout, 101).is_empty());
        let leaves = node.leaves(layout, 101);
        assert_eq!(leaves.len(), 1);
        let parent = leaves[0].rsplit_once('/').expect("a path").0;
        assert!(parent.ends_with("/lxc/101/ns"), "beside lxc's own: {parent}");
        let procs = crate::common::in_lab(layout, &["cat", &format!("{}/cgroup.procs", leaves[0])]);
        assert_eq!(procs.lines().count(), 1, "the command and nothing else: {procs}");
        assert_eq!(client.answer(id)["result"]["structuredContent"]["exit_code"], 0);
        assert_eq!(node.leaves(layout, 101), [""; 0], "gone with the answer");
    }
}

#[test]
fn no_command_outlives_a_killed_provost_execd_for_long() {
    let mut node = place().node();
    let sleeper = Sleeper::by_provost(place(), &node);
    node.execd.kill().expect("kill -9");
    node.execd.wait().expect("it has ended");
    if Path::new("/sys/kernel/security/apparmor").exists() {
        // The exec into a profile takes the parent's death signal away: then the next provost-execd clears up.
        node.restart_execd(place().layout);
    }
    eventually("the command is gone", || !Path::new(&format!("/proc/{}", sleeper.pid)).exists());
}

/// What a command writes that succeeds.
fn lines(node: &Node, argv: &[&str]) -> Vec<String> {
    place().by_provost(node, None, argv).lines().map(str::to_owned).collect()
}
