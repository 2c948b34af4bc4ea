//! The container changes under our hands: names, links and mounts. Nothing of the node's is ever read or written. The
//! attackers rest for a moment now and then: where they never did, nothing but the scheduler would be tested.
//!
//! `PROVOST_RACE_SECONDS` says for how long each race goes on (2).

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::Node;
use crate::guest::{Guest, Recipe};
use crate::{get, kind, put};

fn seconds() -> Duration {
    let given = std::env::var("PROVOST_RACE_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(given.unwrap_or(2))
}

/// A file of the node's, in a directory that nothing else uses, as each race is to lead to.
struct Outside {
    directory: tempfile::TempDir,
}

impl Outside {
    fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("provost-outside-").tempdir().expect("a directory");
        fs::write(directory.path().join("f"), "HOST-SECRET").expect("write");
        Self { directory }
    }

    fn path(&self) -> &str {
        self.directory.path().to_str().expect("a path")
    }

    fn is_untouched(&self) {
        let names: Vec<_> = fs::read_dir(self.path())
            .expect("read")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(names, ["f"]);
        assert_eq!(fs::read_to_string(self.directory.path().join("f")).expect("read"), "HOST-SECRET");
    }
}

/// Reads and writes `/srv/race/f` while the container's attacker runs, and counts what came of it.
fn race(guest: &Guest, outside: &Outside, attacker: &str) {
    let node = Node::start();
    let mut client = node.client();
    guest.run("mkdir -p /srv/real /srv/race; printf INSIDE > /srv/real/f; printf INSIDE > /srv/race/f");
    let script = attacker.replace("OUTSIDE", outside.path());
    fs::write(guest.path("/srv/attack"), script).expect("write");
    guest.run("setsid sh /srv/attack > /srv/log 2>&1 < /dev/null & echo $! > /srv/pid");
    let (mut read, mut written, mut refused) = (0, 0, std::collections::BTreeMap::new());
    let until = Instant::now() + seconds();
    while Instant::now() < until {
        match get(&mut client, guest, "/srv/race/f") {
            Ok(answer) => {
                let content = answer["content"].as_str().unwrap_or_default().to_owned();
                assert!(matches!(content.as_str(), "INSIDE" | "PUT" | ""), "{answer}");
                read += 1;
            }
            Err(error) => *refused.entry(kind(&error).to_owned()).or_insert(0) += 1,
        }
        match put(&mut client, guest, "/srv/race/f", "PUT", json!({ "overwrite": "always" })) {
            Ok(_) => written += 1,
            Err(error) => *refused.entry(kind(&error).to_owned()).or_insert(0) += 1,
        }
    }
    guest.run("kill -9 -- -$(cat /srv/pid); true");
    println!("read {read}, written {written}, refused {refused:?}");
    outside.is_untouched();
    assert!(read + written > 0, "the race was never won by us: {refused:?}, {}", guest.read("/srv/log"));
    let known = [
        "not_found",
        "symlinks",
        "not_a_file",
        "not_a_directory",
        "changed",
        "busy",
        "gone",
        "exists",
        "outside",
        "permission",
    ];
    assert!(refused.keys().all(|kind| known.contains(&kind.as_str())), "{refused:?}");
}

/// A directory in turn itself and a link to where the node's file would be.
#[test]
fn a_directory_that_becomes_a_link_leads_nowhere_else() {
    let (guest, outside) = (Guest::idle(), Outside::new());
    let attacker = r#"cd /srv; ln -s ../../../../../../../../../OUTSIDE link; exec perl -e '
        while (1) { rename "race", "aside"; rename "link", "race"; rename "race", "link"; rename "aside", "race";
        select undef, undef, undef, 0.0005 if ++$n % 64 == 0 }'"#;
    race(&guest, &outside, attacker);
}

/// A file in turn itself, a link out, a FIFO and a link to a magic link.
#[test]
fn a_file_that_becomes_something_else_is_refused_or_read_as_what_it_was() {
    let (guest, outside) = (Guest::idle(), Outside::new());
    let attacker = r#"cd /srv/race; mkfifo fifo; ln -s OUTSIDE/f link; ln -s /proc/1/root/OUTSIDE/f magic; ln -s /dev/tty tty
        exec perl -e 'while (1) { for $w ("link", "fifo", "magic", "tty") {
            rename "f", "aside"; rename $w, "f"; rename "f", $w; rename "aside", "f"; }
            select undef, undef, undef, 0.0005 if ++$n % 16 == 0 }'"#;
    race(&guest, &outside, attacker);
}

/// Something is mounted and unmounted over the directory: /proc, an empty file system, the container's own root.
#[test]
fn what_is_mounted_in_the_middle_is_the_containers_own() {
    let (guest, outside) = (Guest::idle(), Outside::new());
    let attacker = "mount --make-rprivate /; cd /srv; while :; do for what in /proc /srv/real /; do mount --bind $what race; umount race; done; \
        mount -t tmpfs none race; printf INSIDE > race/f; umount race; done";
    race(&guest, &outside, attacker);
}

/// A directory is moved up and down, so that `..` within it means another place each time.
#[test]
fn a_path_through_dot_dot_stays_within_while_directories_move() {
    let (guest, outside) = (Guest::idle(), Outside::new());
    let node = Node::start();
    let mut client = node.client();
    guest.run("mkdir -p /srv/a/b/c/d /srv/deep; printf INSIDE > /srv/f");
    let script =
        "perl -e 'chdir \"/srv\"; while (1) { rename \"a/b/c\", \"deep/c\"; rename \"deep/c\", \"a/b/c\";
        select undef, undef, undef, 0.0005 if ++$n % 64 == 0 }'";
    guest.run(&format!("setsid sh -c {} > /srv/log 2>&1 < /dev/null & echo $! > /srv/pid", quoted(script)));
    let up = "../".repeat(12);
    let path = format!("/srv/a/b/c/d/{up}{}/f", outside.path());
    let (until, mut refused) = (Instant::now() + seconds(), 0);
    while Instant::now() < until {
        let read = get(&mut client, &guest, &path);
        let written = put(&mut client, &guest, &path, "PUT", json!({ "overwrite": "always" }));
        assert!(read.is_err() && written.is_err(), "{read:?} {written:?}");
        refused += 2;
    }
    guest.run("kill -9 -- -$(cat /srv/pid); true");
    println!("refused {refused}");
    outside.is_untouched();
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The file grows, shrinks and is written while it is read and replaced: an end comes, and what is put is whole.
#[test]
fn a_file_that_is_written_meanwhile_holds_nobody_up() {
    let (node, guest) = (Node::start(), Recipe::new().start());
    let mut client = node.client();
    guest.run(
        "printf x > /srv/t; setsid perl -e 'while (1) { open(F, \">>/srv/t\"); print F \"y\" x 100000; close F; \
         truncate(\"/srv/t\", 10) }' > /srv/log 2>&1 < /dev/null & echo $! > /srv/pid",
    );
    let until = Instant::now() + seconds();
    let (mut done, mut kinds) = (0, std::collections::BTreeSet::new());
    while Instant::now() < until {
        let began = Instant::now();
        get(&mut client, &guest, "/srv/t").expect("what is there");
        match put(&mut client, &guest, "/srv/t", "PUT", json!({ "overwrite": "always" })) {
            Ok(_) => done += 1,
            Err(error) => drop(kinds.insert(kind(&error).to_owned())),
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }
    guest.run("kill -9 -- -$(cat /srv/pid); true");
    println!("put {done}, refused by {kinds:?}");
    assert!(kinds.iter().all(|kind| kind == "changed"), "{kinds:?}");
}
