//! A container whose account files are traps, asked for a user by name.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::Node;
use crate::ground::Ground;
use crate::guest::{Guest, Recipe};

/// What stands where `/etc/passwd` should: a script makes it, and another takes it away.
const TRAPS: [(&str, &str); 9] = [
    ("a FIFO", "mkfifo /etc/passwd"),
    ("a FIFO behind a link", "mkfifo /etc/trap; ln -s trap /etc/passwd"),
    ("a loop of links", "ln -s passwd /etc/passwd"),
    ("a link to nowhere", "ln -s /no/such/file /etc/passwd"),
    ("a device without end", "ln -s /dev/zero /etc/passwd"),
    ("a magic link", "ln -s /proc/1/exe /etc/passwd"),
    ("a directory", "mkdir /etc/passwd"),
    ("a gigabyte of holes", "truncate -s 1G /etc/passwd"),
    ("a device mounted over it", "touch /etc/passwd; mount --bind /dev/zero /etc/passwd"),
];

#[test]
fn an_account_file_that_is_a_trap_holds_nobody_up() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    for (what, trap) in TRAPS {
        guest.run(&format!("umount /etc/passwd 2>/dev/null; rm -rf /etc/passwd /etc/trap; {trap}"));
        let started = Instant::now();
        let error = client.refused(run_as(&guest, "alice"));
        assert_eq!(error["kind"], "no_such_user", "{what}: {error}");
        // A number needs no file.
        assert_eq!(client.exec(run_as(&guest, "1000"))["stdout"], "1000 1000\n", "{what}");
        assert!(started.elapsed() < Duration::from_secs(3), "{what}: {:?}", started.elapsed());
    }
    ground.is_as_before(&node, &guest);
}

#[test]
fn a_malformed_line_is_no_account() {
    let passwd = "alice\nalice:x:1\nalice:x:-1:5::/:/bin/sh\nalice:x:1e3:5::/:/bin/sh\nalice:x: 7:7::/:/bin/sh\n\
        alice:x:4294967296:1::/:/bin/sh\nalice:x:7:7::/:/bin/sh:more\n:x:0:0::/:/bin/sh\n\
        bob:x:5:6::/\u{1}home:/bin/sh\nalice:x:1234:1235::../home:/bin/sh\n";
    let mut group = b"alice:x:-1:alice\n\xff\xfe:x:77:alice\nalice:x:78\nother:x:79:bob,alice,\n".to_vec();
    group.extend(vec![b':'; 100_000]);
    let guest = Recipe::new().file("/etc/passwd", 0o644, passwd).file("/etc/group", 0o644, group).start();
    let node = Node::start();
    let mut client = node.client();
    let mut call = run_as(&guest, "alice");
    call["argv"] = json!(["/bin/sh", "-c", "echo $(id -u) $(id -G) $HOME"]);
    assert_eq!(client.exec(call)["stdout"], "1234 1235 77 79 /\n");
    for nobody in ["carol", "x", "alice ", "alice:", ":", "7:", ":7", "1:2:3", "+7", "alice\t"] {
        let error = client.refused(run_as(&guest, nobody));
        assert_eq!(error["kind"], "no_such_user", "{nobody:?}: {error}");
    }
}

/// To the kernel an id of all ones means "leave it as it is": who asks for it must not stay root (CVE-2019-14287).
#[test]
fn the_id_that_means_no_change_leaves_nobody_root() {
    let passwd = "root:x:0:0::/root:/bin/sh\nalice:x:4294967295:4294967295::/:/bin/sh\nbob:x:5:4294967295::/:/bin/sh\n";
    let guest = Recipe::new().file("/etc/passwd", 0o644, passwd).start();
    let node = Node::start();
    let mut client = node.client();
    for user in [
        "-1",
        "4294967295",
        "4294967295:4294967295",
        "5:4294967295",
        "4294967295:5",
        "alice",
        "bob",
        "0:-1",
        "65536",
        "100000",
    ] {
        let result = client.call("exec", run_as(&guest, user));
        assert_eq!(result["isError"], true, "{user}: {result}");
    }
    assert_eq!(client.exec(run_as(&guest, "65535"))["stdout"], "65535 65535\n");
}

/// A profile may say that a call succeeded which it did not let happen.
#[test]
fn who_could_not_become_the_user_does_not_become_the_command() {
    let guest = Recipe::new().rules("2\ndenylist allow\n[all]\nsetresuid errno 0\n").start();
    let node = Node::start();
    // Its root is who that is before the profile holds.
    assert_eq!(node.client().exec(run_as(&guest, "root"))["stdout"], "0 0\n");
    for user in ["www-data", "7:8"] {
        let error = node.client().refused(run_as(&guest, user));
        assert_eq!(error["kind"], "entry", "{error}");
        assert!(error["message"].as_str().expect("text").contains("becoming the user"), "{error}");
    }
}

fn run_as(guest: &Guest, user: &str) -> Value {
    json!({ "guest": guest.id, "argv": ["/bin/sh", "-c", "echo $(id -u) $(id -g)"], "mode": "change", "user": user })
}
