//! A large file through the file door, beside `lxc-attach -- cat` of the same file, and one put there. Prints what
//! SPECIFICATION.md promises, and whether it holds.
//!
//! ```sh
//! tests/lab/lab up --only 101 && tests/lab/lab wait 101
//! tests/lab/lab run -- cargo bench --no-default-features --features execd --bench files
//! ```
//!
//! The daemons are not built by that: see tests/bench/exec.rs.

#[allow(dead_code)]
mod asked;
#[allow(dead_code)]
mod daemons;
#[allow(dead_code)]
mod report;
#[allow(dead_code)]
mod rivals;
#[allow(dead_code)]
mod samples;

use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, sendmsg, socket,
};
use nix::unistd::pipe2;
use provost::door::{Errand, GO, Get, Over, Part, Put, Said};
use provost::exec::wire::{LONGEST, Mode, Reply, Request, Script, VERSION};

use asked::{Stopped, bench};
use daemons::{Builds, Node};
use report::{Promise, promises, table};
use rivals::Container;
use samples::{Samples, ms};

const GUEST: u32 = 101;
const PATH: &str = "/var/tmp/provost-bench";
/// Of the file that is read, and of the one that is put.
const READ: u64 = 512 << 20;
const PUT: usize = 16 << 20;

const HELP: &str = "\
Measures a large file through the file door against lxc-attach in the lab's container 101, and prints what SPECIFICATION.md promises.

  --rounds N  rounds of the comparison (default: 5)
  --quick     2 rounds: to see that everything runs
  --strict    exit code 1 if a promise is missed

$PROVOSTD, $PROVOST_EXECD  the daemons (default: the release builds under target/)
$PROVOST_LAB               the lab's directory
";

fn main() -> ExitCode {
    bench(HELP, [5, 2], |asked| {
        let lab =
            std::env::var_os("PROVOST_LAB").map_or_else(|| "/var/lib/provost-lab".into(), PathBuf::from);
        let builds = Builds::find().map_err(Stopped::cannot)?;
        let container = Container::find(lab.join("v2"), GUEST).map_err(Stopped::cannot)?;
        let node = Node::start(builds, &container.lxcpath);
        let measured = measure(&node, &container, asked.rounds);
        let _ = rivals::run(&mut container.lxc_attach(&["rm", "-f", PATH]));
        Ok(measured?)
    })
}

fn measure(node: &Node, container: &Container, rounds: usize) -> io::Result<bool> {
    let script = format!("head -c {READ} /dev/urandom > {PATH}; cat {PATH} > /dev/null");
    rivals::run(&mut container.lxc_attach(&["/bin/sh", "-c", &script]))?;
    let (mut door, mut attach, mut put) = (Samples::default(), Samples::default(), Samples::default());
    let content = vec![b'x'; PUT];
    let sha256 = Script::of(std::str::from_utf8(&content).expect("text")).sha256;
    for _ in 0..rounds {
        let errand = Errand::Get(Get { path: PATH.into(), part: Part::From(0), most: READ });
        door.add(timed(|| visit(node, errand, None, READ))?);
        attach.add(timed(|| drained(&mut container.lxc_attach(&["cat", PATH])))?);
        let new = Put {
            path: format!("{PATH}-put"),
            bytes: PUT as u64,
            sha256: sha256.clone(),
            mode: None,
            owner: None,
            over: Over::Always,
            keep: 0,
        };
        put.add(timed(|| visit(node, Errand::Put(new), Some(&content), 0))?);
    }
    rivals::run(&mut container.lxc_attach(&["rm", "-f", &format!("{PATH}-put")]))?;
    let rate = |bytes: u64, took: Duration| bytes as f64 / 1e6 / took.as_secs_f64();
    let row = |what: &str, bytes: u64, samples: &Samples| {
        [what.to_owned(), ms(samples.p50()), format!("{:.0}", rate(bytes, samples.p50()))]
    };
    table(
        "a large file, cached",
        ["way", "ms (p50)", "MB/s"],
        vec![
            row("file door, 512 MiB", READ, &door),
            row("lxc-attach -- cat, 512 MiB", READ, &attach),
            row("file door, a put of 16 MiB with its fsync", PUT as u64, &put),
        ],
    );
    let measured = Some(rate(READ, door.p50()));
    Ok(promises(&[Promise::at_least("a large file out of a container", 200.0, measured).in_unit("MB/s")]))
}

fn timed(act: impl FnOnce() -> io::Result<()>) -> io::Result<Duration> {
    let began = Instant::now();
    act()?;
    Ok(began.elapsed())
}

/// One errand from its connection to its end; exactly `due` bytes must come out.
fn visit(node: &Node, errand: Errand, content: Option<&[u8]>, due: u64) -> io::Result<()> {
    let request = Request {
        version: VERSION,
        guest: provost::exec::wire::Guest::Vmid(GUEST),
        mode: if errand.changes() { Mode::Change } else { Mode::Inspect },
        argv: vec![],
        env: vec![],
        cwd: "/".into(),
        user: None,
        timeout_ms: 60_000,
        asked_by: "bench".into(),
        script: None,
        file: Some(errand),
    };
    let [(stdin, input), (output, stdout), (said, stderr)] = [pipe()?, pipe()?, pipe()?];
    let connection = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    let fd = connection.as_raw_fd();
    connect(fd, &UnixAddr::new(&node.exec_socket())?)?;
    let ends = [stdin.as_raw_fd(), stdout.as_raw_fd(), stderr.as_raw_fd()];
    let packet = request.encode().map_err(io::Error::other)?;
    let rights = [ControlMessage::ScmRights(&ends)];
    sendmsg::<UnixAddr>(fd, &[IoSlice::new(&packet)], &rights, MsgFlags::MSG_NOSIGNAL, None)?;
    drop((stdin, stdout, stderr));
    let mut input = File::from(input);
    if let Some(content) = content {
        input.write_all(&[GO])?;
        input.write_all(content)?;
    }
    drop(input);
    let came = drain(File::from(output))?;
    let mut words = String::new();
    File::from(said).read_to_string(&mut words)?;
    let refused = words.lines().any(|line| matches!(serde_json::from_str(line), Ok(Said::Refused(_))));
    let mut reply = vec![0; LONGEST];
    let length = recv(fd, &mut reply, MsgFlags::empty())?;
    match Reply::decode(&reply[..length]) {
        Ok(Reply::Ended(outcome)) if outcome.exit_code == Some(0) && !refused && came == due => Ok(()),
        reply => Err(io::Error::other(format!("{reply:?} {words}, {came} bytes of {due}"))),
    }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&write, FcntlArg::F_SETPIPE_SZ(1 << 20))?;
    Ok((read, write))
}

fn drain(mut from: impl Read) -> io::Result<u64> {
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0;
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(total),
            length => total += length as u64,
        }
    }
}

fn drained(command: &mut Command) -> io::Result<()> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let came = drain(child.stdout.take().expect("a pipe"))?;
    match child.wait()?.success() && came == READ {
        true => Ok(()),
        false => Err(io::Error::other(format!("{came} bytes came"))),
    }
}
