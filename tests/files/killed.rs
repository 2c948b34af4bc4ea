//! Daemons that die in the middle of a put: there is the old file, or the new one, and nothing besides.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use provost::door::{Errand, Over, Said};
use serde_json::json;

use crate::common::{Node, eventually};
use crate::door::{Door, a_put};
use crate::guest::Guest;
use crate::left_aside;

/// An errand with half of its content handed over.
fn half_way(node: &Node, guest: &Guest, path: &str, content: &[u8]) -> Door {
    let mut door = Door::open(node, guest, Errand::Put(a_put(path, content, Over::Always)));
    while !matches!(door.hear().expect("what was there"), Said::Was(_)) {}
    door.give(b"G");
    door.give(&content[..content.len() / 2]);
    door
}

fn doors(guest: &Guest) -> usize {
    let count = guest.run("grep -l provost-execd /proc/[0-9]*/comm 2>/dev/null | wc -l");
    count.trim().parse().expect("a number")
}

#[test]
fn a_killed_provostd_or_provost_execd_leaves_the_old_file_and_no_other() {
    let (mut node, guest) = (Node::start(), Guest::idle());
    let content = vec![b'n'; 3 << 20];
    for (round, path) in ["/srv/t", "/srv/new"].into_iter().cycle().take(4).enumerate() {
        guest.run("printf old > /srv/t");
        let door = half_way(&node, &guest, path, &content);
        if round < 2 {
            // As when provostd is killed: everything that it holds of the errand goes at once.
            drop(door);
        } else {
            kill(Pid::from_raw(node.execd.id() as i32), Signal::SIGKILL).expect("kill");
            let _ = node.execd.wait();
            assert!(door.reply().is_none());
            drop(door);
            node.restart_execd("v2");
        }
        eventually("the errand is over", || doors(&guest) == 0);
        assert_eq!(guest.run("cat /srv/t; ls -A /srv").trim(), "oldt", "{round}");
        assert!(left_aside(&guest, "/srv").is_empty());
    }
    let mut client = node.client();
    crate::put(&mut client, &guest, "/srv/t", "on", json!({ "overwrite": "always" })).expect("as before");
    assert_eq!(guest.read("/srv/t"), "on");
}

/// The whole product, killed at moments that nobody chose: what stands there is whole.
#[test]
fn a_provostd_killed_at_any_moment_leaves_a_whole_file() {
    let (mut node, guest) = (Node::start(), Guest::idle());
    let old = "o".repeat(1 << 20);
    let new = "n".repeat(1 << 20);
    let (mut olds, mut news) = (0, 0);
    for delay in [0, 5, 10, 15, 20, 30, 40, 60, 90] {
        std::fs::write(guest.path("/srv/t"), &old).expect("write");
        std::os::unix::fs::chown(guest.path("/srv/t"), Some(100_000), Some(100_000)).expect("chown");
        let mut client = node.client();
        client.start(
            "file_put",
            json!({ "guest": guest.id, "path": "/srv/t", "content": new, "overwrite": "always" }),
        );
        std::thread::sleep(Duration::from_millis(delay));
        let _ = (node.provostd.kill(), node.provostd.wait());
        eventually("the errand is over", || doors(&guest) == 0);
        let now = guest.read("/srv/t");
        assert!(now == old || now == new, "{} bytes", now.len());
        if now == old {
            olds += 1
        } else {
            news += 1
        }
        assert_eq!(guest.run("ls -A /srv").trim(), "t");
        node.restart_provostd();
    }
    println!("killed before the change: {olds}, after it: {news}");
}

#[test]
fn a_put_whose_caller_gives_up_is_given_up() {
    let (node, guest) = (Node::start(), Guest::idle());
    guest.run("printf old > /srv/t");
    for _ in 0..5 {
        let mut client = node.client();
        let content = "n".repeat(3 << 20);
        let arguments =
            json!({ "guest": guest.id, "path": "/srv/t", "content": content, "overwrite": "always" });
        let id = client.start("file_put", arguments);
        client.cancel(id);
        drop(client);
        eventually("the errand is over", || doors(&guest) == 0);
        assert!(left_aside(&guest, "/srv").is_empty());
        let now = guest.read("/srv/t");
        assert!(now == "old" || now == content, "{} bytes", now.len());
    }
}
