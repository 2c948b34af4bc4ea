use std::io::{IoSliceMut, Write};
use std::os::fd::AsRawFd;

use nix::sys::socket::*;

use super::*;
use crate::exec::wire::{LaneReport, Mode, Outcome, PeakOf};
use crate::ledger::{Ledger, Options};
use crate::policy::{Policy, Principal, Rules};

/// The end of a command that went well.
pub(in crate::tools) fn ended() -> Outcome {
    Outcome {
        exit_code: Some(0),
        signal: None,
        timed_out: false,
        container_stopped: false,
        duration_us: 1,
        cpu_us: None,
        peak_bytes: None,
        peak_of: PeakOf::Process,
        left_running: 1,
        lane: LaneReport {
            mode: Mode::Inspect,
            kill: "cgroup".into(),
            landlock_abi: None,
            seccomp: None,
            not_guarded: Vec::new(),
        },
    }
}

/// The command has ended, and what it left behind writes for ever into its standard output.
#[tokio::test]
async fn the_end_is_heard_through_output_without_end() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!(
            "NOT RUN without root, whom provost-execd must be: the_end_is_heard_through_output_without_end"
        );
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("exec.sock");
    let listener = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(listener.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
    listen(&listener, Backlog::MAXCONN).unwrap();
    let execd = std::thread::spawn(move || {
        let connection = accept(listener.as_raw_fd()).unwrap();
        let mut packet = vec![0; 4096];
        let mut room = nix::cmsg_space!([i32; 3]);
        let mut parts = [IoSliceMut::new(&mut packet)];
        let got = recvmsg::<()>(connection, &mut parts, Some(&mut room), MsgFlags::empty()).unwrap();
        let Some(ControlMessageOwned::ScmRights(rights)) = got.cmsgs().unwrap().next() else {
            panic!("no descriptors");
        };
        let mut stdout = std::fs::File::create(format!("/proc/self/fd/{}", rights[1])).unwrap();
        for fd in rights {
            nix::unistd::close(fd).unwrap();
        }
        let full = vec![b'x'; 64 * 1024];
        stdout.write_all(&full).unwrap();
        let reply = serde_json::to_vec(&Reply::Ended(ended())).unwrap();
        send(connection, &reply, MsgFlags::empty()).unwrap();
        // Until nobody reads any more. Many, so that the pipe is never empty.
        let writers: Vec<_> = (0..8)
            .map(|_| {
                let (mut stdout, full) = (stdout.try_clone().unwrap(), full.clone());
                std::thread::spawn(move || {
                    std::iter::repeat_with(|| stdout.write_all(&full)).take_while(Result::is_ok).count()
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum::<usize>() * (64 << 10)
    });
    let text =
        format!("[exec]\nenabled=true\nsocket='{}'\n[[role]]\nname='a'\nmembers=['user:a']", path.display());
    let policy = Policy::new(Rules::fixed(crate::config::parse(&path, &text).unwrap()));
    let permit = policy.exec(&Principal::for_tests(1, "a", &[]), 101, Mode::Inspect).unwrap();
    let wanted = Wanted {
        argv: vec!["true".into()],
        env: Vec::new(),
        cwd: "/".into(),
        user: None,
        timeout_ms: 60_000,
        is_script: false,
        most: None,
        vm: None,
    };
    let ledger = Ledger::open(Options::new(dir.path().join("ledger"))).unwrap();
    let leave = Leave::Inspect(ledger.ready().unwrap());
    let finished = run(&permit, &leave, wanted, None, None, &CancellationToken::new()).await;
    assert_eq!(finished.end.map_err(|stop| stop.failure().message).unwrap(), ended());
    assert!(finished.stdout.sha256.is_none(), "it was not read to its end");
    let written = execd.join().unwrap();
    assert!(finished.stdout.text.starts_with("xxx"), "what was there by then is shown");
    assert!(written < 64 << 20, "{} MiB went by after the end", written >> 20);
}
