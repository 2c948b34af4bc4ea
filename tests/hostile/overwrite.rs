//! A container that has the program which enters it run once more, by a script that names `/proc/self/exe` as its
//! interpreter, to hold the node's file and write to it (CVE-2019-5736).

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::common::{Node, eventually};
use crate::guest::{Guest, Recipe};

/// Comments to TOML, so that the program finds a configuration of its own kind and stays.
const AGAIN: &str =
    "#!/proc/self/exe --config\n[exec]\nenabled = true\nuser = \"0\"\nsocket = \"/opt/socket\"\n";

/// Waits for a process that runs it, takes hold of its file, ends it, and tries to write for as long as it is let.
const WRITE: &str = r#"#!/usr/bin/perl
    open my $verdict, '>', '/verdict'; $verdict->autoflush(1);
    my $file;
    until ($file) {
        for my $exe (glob '/proc/[0-9]*/exe') {
            next unless (readlink $exe // '') =~ /provost/;
            open $file, '<', $exe or next;
            kill 'KILL', $exe =~ /(\d+)/;
            print $verdict "held\n";
        }
    }
    my $path = '/proc/self/fd/' . fileno $file;
    for (;;) {
        if (open my $write, '+<', $path) { print $verdict "wrote\n" if syswrite $write, "\x7fEVIL"; }
        print $verdict "truncated\n" if truncate $path, 0;
        select undef, undef, undef, 0.001;
    }
"#;

#[test]
fn a_container_cannot_overwrite_the_program_that_enters_it() {
    overwritten_in(Recipe::new());
}

/// Here nothing but the program itself is in the way: the container's root is the node's.
#[test]
fn a_privileged_container_cannot_overwrite_the_program_that_enters_it() {
    overwritten_in(Recipe::new().setting("lxc.idmap ="));
}

fn overwritten_in(recipe: Recipe) {
    let guest: Guest = recipe.init(WRITE).file("/opt/again", 0o755, AGAIN).start();
    let mut node = Node::start();
    // A copy, lest the attack succeed on the program that other tests run.
    let program = node.dir().join("provost-execd");
    fs::copy(env!("CARGO_BIN_EXE_provost-execd"), &program).expect("copy");
    let original = fs::read(&program).expect("read");
    let start = |node: &mut Node| {
        node.execd_instead(&[program.to_str().expect("a plain path")], &[]);
    };
    start(&mut node);
    let mut client = node.client();
    // As often as it takes: where its configuration is not root's, it is there for some milliseconds only.
    eventually("it has hold of the file", || {
        client.call(
            "exec",
            json!({ "guest": guest.id, "argv": ["/opt/again"], "mode": "change", "timeout_s": 5 }),
        );
        guest.read("/verdict").contains("held\n")
    });
    let _ = (node.execd.kill(), node.execd.wait());
    // Now the file is not busy, and this is all that keeps it.
    std::thread::sleep(Duration::from_millis(300));
    start(&mut node);
    assert_eq!(guest.read("/verdict"), "held\n");
    assert!(fs::read(&program).expect("read") == original, "the program is another");
    assert_eq!(
        node.client().exec(json!({ "guest": guest.id, "argv": ["/bin/echo", "on"], "mode": "change" }))["stdout"],
        "on\n"
    );
}
