//! A container whose init, shell, libraries or /proc are not what they should be.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::common::{Client, Node, eventually, root};
use crate::ground::{self, Ground};
use crate::guest::{Guest, Recipe};

#[test]
fn an_init_that_is_a_script_is_entered_like_any_other() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let answer = client.change(guest.id, &["sh", "-c", "readlink /proc/1/exe; id -u; hostname"]);
    assert_eq!(answer["stdout"], format!("/usr/bin/dash\n0\nCT{}\n", guest.id));
    ground.is_as_before(&node, &guest);
}

#[test]
fn nothing_of_the_container_is_loaded_before_its_own_program_is() {
    let (evil, honest) = (
        compile("evil.c", &["-shared", "-fPIC", "-nostdlib", "-Wl,-e,_start"]),
        compile("honest.c", &["-static"]),
    );
    let mut recipe = Recipe::new().file("/opt/init", 0o755, &honest).file("/opt/honest", 0o755, &honest);
    for loaded in [
        "x86_64-linux-gnu/libc.so.6",
        "x86_64-linux-gnu/ld-linux-x86-64.so.2",
        "x86_64-linux-gnu/libnss_evil.so.2",
    ] {
        recipe = recipe.file(&format!("/usr/lib/{loaded}"), 0o755, &evil);
    }
    for loaded in
        ["libnss_files.so.2", "libnss_compat.so.2", "libgcc_s.so.1", "libseccomp.so.2", "gconv/UTF-16.so"]
    {
        recipe = recipe.file(&format!("/usr/lib/x86_64-linux-gnu/{loaded}"), 0o755, &evil);
    }
    let guest = recipe
        .file("/etc/ld.so.preload", 0o644, "/usr/lib/x86_64-linux-gnu/libnss_evil.so.2\n")
        .file("/etc/nsswitch.conf", 0o644, "passwd: evil files\ngroup: evil files\n")
        .file("/evil.log", 0o666, "")
        .start();
    let node = Node::start();
    let mut client = node.client();
    for (user, who) in [("root", "uid 0 gid 0\n"), ("www-data", "uid 33 gid 33\n"), ("7:8", "uid 7 gid 8\n")]
    {
        let arguments = json!({ "guest": guest.id, "argv": ["/opt/honest"], "mode": "change", "user": user });
        assert_eq!(client.exec(arguments)["stdout"], who);
    }
    assert_eq!(guest.read("/evil.log"), "", "loaded on the way in");
    // The trap works: a program of the container's own falls into it.
    assert_eq!(client.change(guest.id, &["/bin/true"])["exit_code"], 66);
    let log = guest.read("/evil.log");
    assert!(log.lines().count() == 1 && log.starts_with("/usr/bin/true"), "{log}");
}

#[test]
fn a_shell_that_is_another_program_is_all_that_a_script_gets() {
    let guest = Recipe::new()
        .init("#!/usr/bin/perl\nsleep 1000 while 1;\n")
        .file("/usr/bin/dash", 0o755, "#!/bin/echo not a shell:\n")
        .start();
    let node = Node::start();
    let answer = node.client().exec(json!({ "guest": guest.id, "script": "echo hello", "mode": "change" }));
    assert_eq!(answer["stdout"], "not a shell: /bin/sh\n");
    // A script whose interpreter is itself, and one that has none.
    for (place, kind) in [("/opt/loop", "not_executable"), ("/opt/none", "no_such_program")] {
        guest.lxc(
            "lxc-attach",
            &[
                "--",
                "/usr/bin/perl",
                "-e",
                "open F, '>', $ARGV[0]; print F \"#!$ARGV[1]\\n\"; chmod 0755, $ARGV[0]",
                place,
                if kind == "no_such_program" { "/no/such" } else { place },
            ],
        );
        let error = node.client().refused(json!({ "guest": guest.id, "argv": [place], "mode": "change" }));
        assert_eq!(error["kind"], kind, "{error}");
    }
}

#[test]
fn a_proc_that_lies_is_neither_read_nor_written_on_the_way_in() {
    // Whatever a careless entry would read or write there, as regular files that take anything.
    let lie = "#!/bin/sh
        mount -t tmpfs none /proc
        for self in self thread-self 1; do
            mkdir -p /proc/$self/attr/apparmor /proc/$self/fd /proc/$self/ns /proc/$self/task/1/attr
            for file in attr/current attr/exec attr/apparmor/exec attr/apparmor/current oom_score_adj loginuid \
                    setgroups uid_map gid_map status sessionid timerslack_ns task/1/attr/exec cgroup; do
                echo lie >/proc/$self/$file
            done
            ln -s / /proc/$self/fd/0; ln -s / /proc/$self/fd/3; ln -s /etc/shadow /proc/$self/fd/4
            ln -s / /proc/$self/root; ln -s /bin/true /proc/$self/exe
        done
        mkdir -p /proc/sys/kernel
        echo 3 >/proc/sys/kernel/cap_last_cap
        find /proc -type f -exec md5sum {} + >/before
        touch /ready
        while :; do sleep 1000; done";
    let guest = Recipe::new().init(lie).start();
    eventually("its /proc is a lie", || guest.path("/ready").exists());
    let (node, honest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let honestly = held_by(&node, &mut client, &honest);
    let ground = Ground::of(&node, &guest, &mut client);
    for arguments in [json!({}), json!({ "user": "www-data" }), json!({ "cwd": "/etc", "user": "0:0" })] {
        let mut call = json!({ "guest": guest.id, "argv": ["/bin/sh", "-c", "find /proc -type f -exec md5sum {} + | cmp - /before"], "mode": "change" });
        call.as_object_mut().unwrap().extend(arguments.as_object().unwrap().clone());
        assert_eq!(client.exec(call)["exit_code"], 0);
    }
    // What the host's own /proc says of the command is what it says of one in a container that does not lie.
    assert_eq!(held_by(&node, &mut client, &guest), honestly);
    ground.is_as_before(&node, &guest);
}

/// The init is entered where it is, and it may have gone further in, to where the node's root has no number. Whoever
/// follows must not become a command there as the root that it still is.
#[test]
fn an_init_in_a_user_namespace_of_its_own_makes_nobody_root_of_the_node() {
    const STAY: &str = "sh -c 'touch /tmp/ready; while :; do sleep 1000; done'";
    let node = Node::start();
    for further_in in ["--user", "--user --map-root-user --mount", "--user --map-user=1000 --map-group=1000"]
    {
        let init = format!("#!/bin/sh\nchmod 1777 /tmp\nexec unshare {further_in} {STAY}\n");
        let guest = Recipe::new().init(init).start();
        eventually("its init is where it wants to be", || guest.path("/tmp/ready").exists());
        for user in ["0:0", "1000:1000", "65534:65534"] {
            let call =
                json!({ "guest": guest.id, "argv": ["/bin/sleep", "0.3"], "mode": "change", "user": user });
            let error = std::thread::scope(|scope| {
                let answer = scope.spawn(|| node.client().refused(call));
                while !answer.is_finished() {
                    assert!(sleepers(&node).is_empty(), "{further_in} as {user}");
                }
                answer.join().expect("an answer")
            });
            assert_eq!(error["kind"], "entry", "{further_in} as {user}: {error}");
        }
    }
}

/// Commands of this node that have become the sleep that they were to be.
fn sleepers(node: &Node) -> Vec<i32> {
    let sleeps =
        |pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == "sleep\n");
    ground::children(node.execd.id() as i32).into_iter().filter(sleeps).collect()
}

/// What binds a command in that container, by the host's /proc.
fn held_by(node: &Node, client: &mut Client, guest: &Guest) -> Vec<String> {
    let id =
        client.start("exec", json!({ "guest": guest.id, "argv": ["/bin/sleep", "1000"], "mode": "change" }));
    eventually("it sleeps", || !sleepers(node).is_empty());
    let status = fs::read_to_string(format!("/proc/{}/status", sleepers(node)[0])).expect("status");
    client.cancel(id);
    let told = ["Uid", "Gid", "Groups", "Cap", "NoNewPrivs", "Seccomp", "Sig", "Shd", "Umask"];
    status.lines().filter(|line| told.iter().any(|name| line.starts_with(name))).map(str::to_owned).collect()
}

/// A program for the container's side, from this directory.
fn compile(source: &str, options: &[&str]) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a directory");
    let (source, made) = (root().join("tests/hostile").join(source), dir.path().join("made"));
    let status =
        Command::new("cc").args(options).arg("-o").args([Path::new(&made), &source]).status().expect("cc");
    assert!(status.success());
    fs::read(made).expect("what was made")
}
