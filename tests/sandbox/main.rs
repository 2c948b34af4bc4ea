//! `provostd`'s walls, tried from inside: a program that starts as it does tries each thing that must be closed to it, and
//! each that must not be; with all layers, and with one alone, so that each is seen to hold by itself.
//!
//! As root, everything is tried as root too and as an account without rights; else as who runs this. What this kernel
//! does not have is said, and is a failure where `CI` is true.

mod place;
mod units;

use std::collections::BTreeMap;

use place::{Place, landlock_abi};

/// The numbers that the layers refuse by.
const LANDLOCK: i32 = libc::EACCES;
const SECCOMP: i32 = libc::EPERM;

/// Which layer refuses what, when all stand, and from which ABI of Landlock on.
#[rustfmt::skip]
const CLOSED: &[(&str, i32, u32)] = &[
    ("list /root", LANDLOCK, 1),
    ("open /etc/shadow", LANDLOCK, 1),
    ("open /etc/passwd", LANDLOCK, 1),
    ("open priv", LANDLOCK, 1),
    ("open a key", LANDLOCK, 1),
    ("open the key beside storage.cfg", LANDLOCK, 1),
    ("open another file", LANDLOCK, 1),
    ("make a file", LANDLOCK, 1),
    ("write a sysctl", LANDLOCK, 1),
    ("read another process's arguments", LANDLOCK, 1),
    ("write the configuration", LANDLOCK, 1),
    ("connect elsewhere", LANDLOCK, 4),
    ("connect to an abstract socket", LANDLOCK_SCOPE, 6),
    // The reader's own refusal.
    ("be handed priv", libc::EPERM, 1),
    ("be handed a file of priv", libc::EPERM, 1),
    ("be handed a key", libc::EPERM, 1),
    ("be handed the key beside storage.cfg", libc::EPERM, 1),
    ("be handed /etc/shadow", libc::EPERM, 1),
    ("be handed another file", libc::EPERM, 1),
    ("truncate another file", SECCOMP, 0),
    ("bind a port", SECCOMP, 0),
    ("bind a unix socket", SECCOMP, 0),
    ("make a datagram socket", SECCOMP, 0),
    ("ptrace", SECCOMP, 0),
    ("signal", SECCOMP, 0),
    ("run a program", SECCOMP, 0),
    ("mount", SECCOMP, 0),
    ("make a user namespace", SECCOMP, 0),
    ("make a network namespace", SECCOMP, 0),
    ("enter a namespace", SECCOMP, 0),
    ("load a module", SECCOMP, 0),
    ("set the host's name", SECCOMP, 0),
    ("gain a capability", SECCOMP, 0),
    ("become dumpable", SECCOMP, 0),
    ("become somebody else", SECCOMP, 0),
];

/// An abstract socket and a signal outside of the domain are answered with EPERM.
const LANDLOCK_SCOPE: i32 = libc::EPERM;

/// What Landlock alone closes, and from which ABI on.
const BY_LANDLOCK: &[(&str, i32, u32)] = &[
    ("list /root", LANDLOCK, 1),
    ("open /etc/shadow", LANDLOCK, 1),
    ("open a key", LANDLOCK, 1),
    ("open priv", LANDLOCK, 1),
    ("open another file", LANDLOCK, 1),
    ("make a file", LANDLOCK, 1),
    ("truncate another file", LANDLOCK, 3),
    ("read another process's arguments", LANDLOCK, 1),
    ("bind a port", LANDLOCK, 4),
    ("connect elsewhere", LANDLOCK, 4),
    ("bind a unix socket", LANDLOCK, 1),
    ("connect to an abstract socket", LANDLOCK_SCOPE, 6),
    ("signal", LANDLOCK_SCOPE, 6),
    ("ptrace", libc::EPERM, 1),
    // A domain keeps even root from changing what is mounted.
    ("mount", libc::EPERM, 1),
];

/// What giving up capabilities closes by itself, to root.
const BY_RIGHTS: &[&str] = &[
    "mount",
    "make a network namespace",
    "enter a namespace",
    "load a module",
    "set the host's name",
    "gain a capability",
    "become somebody else",
];

fn assert_closed(tried: &BTreeMap<String, i32>, expected: &[(&str, i32, u32)], who: &str) {
    let abi = landlock_abi();
    let mut wrong = Vec::new();
    for (name, errno, from) in expected {
        if abi < *from {
            place::cannot(&format!("{who}: \"{name}\" (this kernel's Landlock is at ABI {abi}, not {from})"));
            continue;
        }
        let got = tried[*name];
        if got != *errno {
            wrong.push(format!("{name}: {got}, not {errno}"));
        }
    }
    assert!(wrong.is_empty(), "{who}: {wrong:#?}");
}

fn assert_open(tried: &BTreeMap<String, i32>, who: &str) {
    let failed: Vec<_> =
        tried.iter().filter(|(name, errno)| name.starts_with("need:") && **errno != 0).collect();
    assert!(failed.is_empty(), "{who}: {failed:?}");
}

#[test]
fn everything_that_is_not_needed_is_closed_by_the_layer_that_should_and_what_is_needed_is_open() {
    for account in place::accounts() {
        let place = Place::new(account);
        let (tried, report) = place.trespass("all");
        let who = format!("uid {account}: {report:#}");
        assert_closed(&tried, CLOSED, &who);
        assert_open(&tried, &who);
        let tried_all = tried.keys().filter(|name| !name.starts_with("need:"));
        let known: Vec<_> = CLOSED.iter().map(|(name, ..)| *name).collect();
        assert!(tried_all.clone().all(|name| known.contains(&name.as_str())), "{tried_all:?}");
    }
}

#[test]
fn without_the_layers_the_same_attempts_succeed() {
    if !place::is_root() {
        return place::cannot("that the attempts would succeed is tried as root");
    }
    let (tried, _) = Place::new(0).trespass("none");
    for name in [
        "list /root",
        "open /etc/shadow",
        "open a key",
        "open priv",
        "open another file",
        "make a file",
        "write the configuration",
        "truncate another file",
        "bind a port",
        "bind a unix socket",
        "make a datagram socket",
        "connect elsewhere",
        "connect to an abstract socket",
        "ptrace",
        "signal",
        "read another process's arguments",
        "run a program",
        "become dumpable",
    ] {
        assert_eq!(tried[name], 0, "{name}");
    }
}

#[test]
fn landlock_holds_alone() {
    for account in place::accounts() {
        let (tried, report) = Place::new(account).trespass("landlock");
        assert_closed(&tried, BY_LANDLOCK, &format!("uid {account}: {report}"));
    }
}

#[test]
fn the_filter_of_calls_holds_alone() {
    for account in place::accounts() {
        let (tried, report) = Place::new(account).trespass("seccomp");
        let by_seccomp: Vec<_> = CLOSED
            .iter()
            .filter(|(name, errno, from)| *errno == SECCOMP && *from == 0 && !name.starts_with("be handed"))
            .copied()
            .collect();
        assert_closed(&tried, &by_seccomp, &format!("uid {account}: {report}"));
    }
}

#[test]
fn given_up_capabilities_hold_alone() {
    for account in place::accounts() {
        let (tried, report) = Place::new(account).trespass("rights");
        for name in BY_RIGHTS {
            if tried[*name] == libc::ENOSYS {
                eprintln!("NOT RUN: \"{name}\": this kernel was built without it");
                continue;
            }
            assert_eq!(tried[*name], libc::EPERM, "uid {account}: {name}: {report}");
        }
    }
}

#[test]
fn what_holds_is_told_and_what_does_not_too() {
    for account in place::accounts() {
        let (_, report) = Place::new(account).trespass("all");
        let abi = landlock_abi();
        assert_eq!(
            report["abi"],
            if abi == 0 { serde_json::Value::Null } else { abi.min(7).into() },
            "{report}"
        );
        assert_eq!(report["capabilities"], "none");
        assert_eq!((&report["no_new_privs"], &report["seccomp"]), (&true.into(), &true.into()));
        let bounding = report["bounding"].as_str().expect("a set");
        let missing = report["missing"].to_string();
        assert_eq!(account == 0, bounding == "none", "only who has CAP_SETPCAP can empty it: {report}");
        assert_eq!(account != 0, missing.contains("bounding"), "{report}");
        if abi >= 6 {
            assert_eq!(report["scopes"], serde_json::json!(["abstract sockets", "signals"]));
            assert_eq!(report["net"].as_array().expect("ports").len(), 1, "{report}");
        }
    }
}
