//! A container that lies in wait for the process that enters it, between its birth and its exec (CVE-2016-9962,
//! CVE-2019-5736, CVE-2024-21626 and their kin).

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{Node, eventually};
use crate::ground::Ground;
use crate::guest::{Guest, Recipe};

const INTRUDER: &str = include_str!("intruder.pl");

fn lair() -> Guest {
    let mut passwd: String = (100..20_000).map(|id| format!("user{id}:x:{id}:{id}::/:/bin/sh\n")).collect();
    passwd.push_str("root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n");
    let guest = Recipe::new().init(INTRUDER).file("/etc/passwd", 0o644, passwd).start();
    eventually("the intruder lies in wait", || guest.path("/seen").exists());
    guest
}

#[test]
fn whoever_enters_is_closed_to_the_container_until_it_is_its_own() {
    let (node, guest) = (Node::start(), lair());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut calls = 0;
    while calls < 300 || guest.read("/seen").len() < 60 {
        assert!(Instant::now() < deadline, "{calls} calls, and looked at {}", guest.read("/seen").len());
        // By name, which takes a while longer inside.
        let user = if calls % 2 == 0 { "root" } else { "www-data" };
        client.exec(json!({ "guest": guest.id, "argv": ["/bin/true"], "mode": "change", "user": user, "timeout_s": 3 }));
        calls += 1;
    }
    assert_eq!(guest.read("/breach"), "");
    ground.is_as_before(&node, &guest);
}

#[test]
fn whoever_is_disturbed_on_the_way_in_leaves_nothing_behind() {
    let (node, guest) = (Node::start(), lair());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    fs::write(guest.path("/harass"), "").expect("a word to the intruder");
    let (mut ended, mut killed) = (0, 0);
    for _ in 0..60 {
        let started = Instant::now();
        let result = client.call(
            "exec",
            json!({ "guest": guest.id, "argv": ["/bin/true"], "mode": "change", "timeout_s": 1 }),
        );
        assert!(started.elapsed() < Duration::from_secs(3), "{result}");
        let answer = &result["structuredContent"];
        match (answer["exit_code"].as_i64(), answer["signal"].as_i64()) {
            (Some(_), _) => ended += 1,
            (None, Some(9)) => killed += 1,
            // With a limit on descriptors of three, its program cannot be loaded.
            _ => {
                eprintln!("{result}");
                assert_eq!(result["isError"], true, "{result}")
            }
        }
        if killed > 5 && ended > 5 {
            break;
        }
    }
    assert!(killed > 0, "never disturbed ({ended} ended)");
    fs::remove_file(guest.path("/harass")).expect("a word to the intruder");
    assert_eq!(client.change(guest.id, &["/bin/echo", "on"])["stdout"], "on\n");
    ground.is_as_before(&node, &guest);
}

/// A debugger that never lets go keeps what it holds from ending, killed or not.
#[test]
fn a_command_that_is_held_by_a_tracer_holds_no_call_for_ever() {
    const HOLD: &str = "#!/usr/bin/perl
        for (;;) {
            for (glob '/proc/[0-9]*/comm') {
                open my $comm, '<', $_ or next;
                next unless (<$comm> // '') eq \"sleep\\n\" and m{/(\\d+)/};
                syscall 101, 0x4206, $1 + 0, 0, 0 unless -e '/let-go';
            }
            exec $^X, '-e', 'wait, sleep 1 while 1' if -e '/let-go' and !$done++;
        }";
    let (node, guest) = (Node::start(), Recipe::new().init(HOLD).start());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let started = Instant::now();
    let call = json!({ "guest": guest.id, "argv": ["/bin/sleep", "4601"], "mode": "change", "timeout_s": 1 });
    let error = client.refused(call);
    assert_eq!(error["kind"], "stuck", "{error}");
    assert!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
    assert_eq!(client.change(guest.id, &["/bin/echo", "on"])["stdout"], "on\n");
    fs::write(guest.path("/let-go"), "").expect("a word to the tracer");
    ground.is_as_before(&node, &guest);
}
