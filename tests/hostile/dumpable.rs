//! The process that becomes a command, on its way through the container: nobody there may look into it (CVE-2016-9962).
//!
//! Watched call by call from the node, and asked by a call put in between whether it is dumpable; and with
//! `fs.suid_dumpable` set so that the kernel makes it so with every change of its credentials.

use std::fs;

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::json;

use crate::common::Node;

const SYSCTL: &str = "/proc/sys/fs/suid_dumpable";
const GET_DUMPABLE: u64 = 3;
const SET_DUMPABLE: u64 = 4;
const DUMPABLE: u64 = 1;
const PRCTL: u64 = 157;

struct Restored(String);

impl Drop for Restored {
    fn drop(&mut self) {
        let _ = fs::write(SYSCTL, &self.0);
    }
}

#[test]
fn the_entering_process_makes_no_call_while_it_is_dumpable() {
    let node = Node::start();
    let mut client = node.client();
    client.change(101, &["/bin/true"]);
    let _before = Restored(fs::read_to_string(SYSCTL).expect("sysctl"));
    for (setting, made_dumpable) in [("1", true), ("0", false)] {
        fs::write(SYSCTL, setting).expect("sysctl");
        let execd = Pid::from_raw(node.execd.id() as i32);
        use ptrace::Options;
        let options = Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACESYSGOOD;
        ptrace::seize(execd, options).expect("trace provost-execd");
        let call = json!({ "guest": 101, "argv": ["/bin/true"], "user": "daemon", "mode": "change" });
        let id = client.start("exec", call);
        let calls = watch(execd);
        let answer = client.answer(id);
        assert_eq!(answer["result"]["structuredContent"]["exit_code"], 0, "{answer}");
        assert!(calls.len() > 20, "{calls:?}");
        let open: Vec<&Call> = calls.iter().filter(|call| call.dumpable == DUMPABLE).collect();
        assert!(open.iter().all(|call| call.closes), "{setting}: {open:?}");
        assert_eq!(!open.is_empty(), made_dumpable, "{setting}: {calls:?}");
        ptrace::interrupt(execd).expect("interrupt");
        waitpid(execd, Some(WaitPidFlag::__WALL)).expect("stop");
        ptrace::detach(execd, None).expect("let go");
    }
}

/// A system call that the process was about to make, and what it was then.
#[derive(Debug)]
#[expect(dead_code, reason = "the number is for people to read")]
struct Call {
    number: u64,
    /// It is the one that makes it undumpable.
    closes: bool,
    dumpable: u64,
}

/// Follows the next child of `execd` until it becomes the command.
fn watch(execd: Pid) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut child = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::__WALL)).expect("an event") {
            WaitStatus::PtraceEvent(pid, _, event) if event == ptrace::Event::PTRACE_EVENT_FORK as i32 => {
                child = Some(Pid::from_raw(ptrace::getevent(pid).expect("a pid") as i32));
                ptrace::cont(pid, None).expect("go on");
            }
            WaitStatus::PtraceEvent(pid, _, event) if event == ptrace::Event::PTRACE_EVENT_EXEC as i32 => {
                ptrace::detach(pid, None).expect("let go");
                return calls;
            }
            WaitStatus::PtraceSyscall(pid) => {
                calls.push(look(pid));
                ptrace::syscall(pid, None).expect("go on");
            }
            WaitStatus::PtraceEvent(pid, ..) if Some(pid) == child || pid != execd => {
                ptrace::syscall(pid, None).expect("go on");
            }
            WaitStatus::PtraceEvent(pid, ..) => ptrace::cont(pid, None).expect("go on"),
            WaitStatus::Stopped(pid, signal) => ptrace::cont(pid, signal).expect("go on"),
            other => panic!("{other:?}"),
        }
    }
}

/// At the beginning of a call: puts another before it, and leaves the process at the end of its own.
fn look(pid: Pid) -> Call {
    let step = || {
        ptrace::syscall(pid, None).expect("go on");
        let stopped = waitpid(pid, Some(WaitPidFlag::__WALL)).expect("a stop");
        assert_eq!(stopped, WaitStatus::PtraceSyscall(pid));
    };
    let own = ptrace::getregs(pid).expect("registers");
    let closes = (own.orig_rax, own.rdi, own.rsi) == (PRCTL, SET_DUMPABLE, 0);
    let mut question = own;
    (question.orig_rax, question.rdi) = (PRCTL, GET_DUMPABLE);
    ptrace::setregs(pid, question).expect("registers");
    step();
    let dumpable = ptrace::getregs(pid).expect("registers").rax;
    // Back before the instruction, two bytes long, by which it makes its own.
    let mut again = own;
    (again.rip, again.rax) = (own.rip - 2, own.orig_rax);
    ptrace::setregs(pid, again).expect("registers");
    step();
    // Its beginning once more. An exec may not come back.
    let execs = own.orig_rax == 59;
    if !execs {
        step();
    }
    Call { number: own.orig_rax, closes, dumpable }
}
