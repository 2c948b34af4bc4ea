//! What is no plain file is not opened, and nothing beyond the container's root is there at all.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::Node;
use crate::guest::Guest;
use crate::{get, get_with, kind, left_aside, put};

#[test]
fn what_is_no_file_is_refused_at_once_and_never_opened() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    guest.run(
        "cd /srv; mkfifo fifo; ln -s fifo to-fifo; ln -s /dev/null dev; \
         perl -MSocket -e 'socket(S,AF_UNIX,SOCK_STREAM,0); bind(S,sockaddr_un(\"/srv/sock\"))'; \
         ln -s loop loop; ln -s /proc/self/environ env; ln -s /proc/1/root/etc/passwd through; : > plain",
    );
    let began = Instant::now();
    for (path, expected) in [
        ("/srv/fifo", "not_a_file"),
        ("/srv/to-fifo", "not_a_file"),
        ("/srv/sock", "not_a_file"),
        ("/srv/dev", "not_a_file"),
        ("/dev/null", "not_a_file"),
        ("/dev/tty", "not_a_file"),
        ("/srv/env", "not_a_file"),
        ("/proc/self/mem", "not_a_file"),
        ("/proc/1/environ", "not_a_file"),
        ("/proc/kmsg", "not_a_file"),
        ("/proc", "not_a_file"),
        ("/sys/kernel/uevent_helper", "not_a_file"),
        ("/sys/fs/cgroup", "not_a_file"),
        ("/srv/through", "symlinks"),
        ("/proc/self/fd/0", "symlinks"),
        ("/proc/self/fd/1", "symlinks"),
        ("/proc/self/exe", "symlinks"),
        ("/proc/1/cwd/etc/passwd", "symlinks"),
        ("/proc/self/ns/mnt", "symlinks"),
        ("/srv/loop", "symlinks"),
        ("/srv/none", "not_found"),
        ("/srv/plain/x", "not_a_directory"),
        ("srv/plain", "arguments"),
        ("/srv/a\0b", "arguments"),
    ] {
        let error = get(&mut client, &guest, path).expect_err(path);
        let missing = path.starts_with("/sys/kernel") && kind(&error) == "not_found";
        // Who may not look into a process is told that first.
        let expected =
            if expected == "symlinks" && kind(&error) == "permission" { "permission" } else { expected };
        assert!(kind(&error) == expected || missing, "{path}: {error}");
        // Where a file may be made, one that is not there is no hindrance.
        if expected != "not_found" && !missing {
            let error =
                put(&mut client, &guest, path, "x", json!({ "overwrite": "always" })).expect_err(path);
            assert!(
                ["not_a_file", "symlinks", "permission", "not_a_directory", "arguments"]
                    .contains(&kind(&error)),
                "{path}: {error}"
            );
        }
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(left_aside(&guest, "/srv").is_empty());
}

/// `..` and absolute links count from the container's root, whatever the node has there.
#[test]
fn no_link_leads_out_of_the_container() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let outside = tempfile::Builder::new().prefix("provost-outside-").tempdir().expect("a directory");
    let secret = outside.path().join("secret");
    std::fs::write(&secret, "HOST-SECRET").expect("write");
    let (path, dir) = (secret.to_str().expect("path"), outside.path().to_str().expect("path"));
    let up = "../".repeat(30);
    guest.run(&format!(
        "cd /srv; ln -s {path} absolute; ln -s {up}{path} relative; ln -s /proc/1/root{path} magic; \
         ln -s {dir} directory; ln -s ../../../../../../../../../..{dir} up; ln -s missing dangling; ln -s / root"
    ));
    let roundabout = format!("/srv/../../../../../..{path}");
    for path in [
        path,
        &roundabout,
        "/srv/absolute",
        "/srv/relative",
        "/srv/magic",
        "/srv/directory/secret",
        "/srv/up/secret",
    ] {
        let error = get(&mut client, &guest, path).expect_err(path);
        assert!(["not_found", "symlinks", "permission"].contains(&kind(&error)), "{path}: {error}");
        let done = put(&mut client, &guest, path, "PUT", json!({ "overwrite": "always" }));
        assert!(done.is_err(), "{path}: {done:?}");
    }
    // The same path within is another file.
    guest.run(&format!("mkdir -p {dir}; printf INSIDE > {path}"));
    for path in [
        path,
        &roundabout,
        "/srv/absolute",
        "/srv/relative",
        "/srv/directory/secret",
        "/srv/root/srv/absolute",
    ] {
        assert_eq!(get(&mut client, &guest, path).expect(path)["content"], "INSIDE", "{path}");
    }
    put(&mut client, &guest, "/srv/relative", "CHANGED", json!({ "overwrite": "always" })).expect("put");
    assert_eq!(guest.read(path), "CHANGED");
    put(&mut client, &guest, "/srv/dangling", "NEW", json!({})).expect("put");
    assert_eq!(guest.read("/srv/missing"), "NEW");
    assert_eq!(std::fs::read_to_string(&secret).expect("read"), "HOST-SECRET");
    assert_eq!(std::fs::read_dir(outside.path()).expect("read").count(), 1);
}

/// A user of the container who may not write somewhere has root do it, by a link where everybody may put one.
#[test]
fn a_link_that_somebody_else_left_for_us_is_not_followed() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    guest.run(
        "chmod 1777 /tmp; ln -s /etc/cron.d/lure /tmp/lure; chown -h 33:33 /tmp/lure; mkdir -p /etc/cron.d; \
         ln -s /srv/mine /tmp/mine",
    );
    let error = put(&mut client, &guest, "/tmp/lure", "x", json!({})).expect_err("a lure");
    assert_eq!(kind(&error), "symlinks", "{error}");
    assert_eq!(guest.run("ls /etc/cron.d/lure 2>/dev/null || echo none").trim(), "none");
    put(&mut client, &guest, "/tmp/mine", "x", json!({})).expect("root's own link");
    assert_eq!(guest.read("/srv/mine"), "x");
}

/// A file of a user whom the container does not map is beyond its root's rights, and so beyond ours.
#[test]
fn what_the_containers_root_may_not_is_not_done_for_it() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let foreign = guest.path("/srv/foreign");
    std::fs::write(&foreign, "THE NODE'S").expect("write");
    std::fs::set_permissions(&foreign, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("mode");
    assert_eq!(kind(&get(&mut client, &guest, "/srv/foreign").expect_err("foreign")), "permission");
    let error =
        put(&mut client, &guest, "/srv/foreign", "x", json!({ "overwrite": "always" })).expect_err("foreign");
    assert_eq!(kind(&error), "permission", "{error}");
    guest.run("mkdir /srv/ro; mount -t tmpfs -o ro none /srv/ro");
    assert_eq!(kind(&put(&mut client, &guest, "/srv/ro/x", "x", json!({})).expect_err("ro")), "read_only");
    let fixed = guest.path("/srv/fixed");
    std::fs::write(&fixed, "FIXED").expect("write");
    std::os::unix::fs::chown(&fixed, Some(100_000), Some(100_000)).expect("chown");
    let immutable = std::process::Command::new("chattr").arg("+i").arg(&fixed).status();
    if immutable.is_ok_and(|status| status.success()) {
        let error =
            put(&mut client, &guest, "/srv/fixed", "x", json!({ "overwrite": "always" })).expect_err("fixed");
        let _ = std::process::Command::new("chattr").arg("-i").arg(&fixed).status();
        assert_eq!(kind(&error), "permission", "{error}");
    } else {
        println!("NOT TESTED: this file system has no immutable files");
    }
    assert_eq!(guest.read("/srv/fixed"), "FIXED");
    assert_eq!(std::fs::read_to_string(&foreign).expect("read"), "THE NODE'S");
    assert!(left_aside(&guest, "/srv").is_empty());
}

#[test]
fn a_privileged_container_has_its_own_files_and_no_others() {
    let node = Node::start();
    let mut client = node.client();
    let answer = crate::call(&mut client, "file_get", json!({ "guest": 106, "path": "/etc/hostname" }));
    assert!(answer.is_ok(), "{answer:?}");
    for path in ["/proc/1/root/etc/hostname", "/dev/zero", "/proc/sysrq-trigger"] {
        let arguments = json!({ "guest": 106, "path": path, "content": "x", "overwrite": "always" });
        let error = crate::call(&mut client, "file_put", arguments).expect_err(path);
        assert!(["symlinks", "not_a_file", "permission"].contains(&kind(&error)), "{path}: {error}");
    }
    let closed = Node::with("v2", "containers = [106]", crate::common::node::ROOT_MAY_ALL);
    let arguments = json!({ "guest": 106, "path": "/etc/hostname" });
    let error = crate::call(&mut closed.client(), "file_get", arguments).expect_err("privileged");
    assert_eq!(kind(&error), "privileged");
}

/// Somebody in the container holds a lease on the file, and gives it back to nobody.
#[test]
fn a_leased_file_holds_nobody_up() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    guest.run(
        "printf x > /srv/leased; (perl -e 'use Fcntl; $SIG{IO}=\"IGNORE\"; open(F,\"+<\",\"/srv/leased\"); \
         fcntl(F,1024,1) or exit 1; open(O,\">/srv/ready\"); close O; sleep 100' >/dev/null 2>&1 &); \
         for i in $(seq 200); do test -e /srv/ready && break; sleep 0.02; done",
    );
    let began = Instant::now();
    let _ = get_with(&mut client, &guest, "/srv/leased", json!({}));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    guest.run("pkill perl || true");
}
