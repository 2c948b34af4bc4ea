//! What runs, once it may, and how it ends.

use serde_json::{Value, json};

use crate::common::eventually;
use crate::node::{Node, apply, kind};

#[test]
fn a_command_runs_as_it_was_approved_in_a_context_of_its_own() {
    let node = Node::on();
    let mut client = node.client();
    let script = "id -u; env | sort; printf '%s\\n' \"$@\" '$HOME %n ${X}'; cat; exit 7";
    let argv = json!(["/bin/sh", "-c", script, "x", "$PATH", "${HOME}", "%t", "a b", "$$"]);
    let id = node.approved(&mut client, json!({ "argv": argv, "stdin": "fed\n", "cwd": "/srv" }));
    let ran = apply(&mut client, &id).expect("it ran");
    assert_eq!(ran["exit_code"], 7, "{ran}");
    let lines: Vec<&str> = ran["stdout"].as_str().unwrap().lines().collect();
    let expected = [
        "0",
        "HOME=/root",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PWD=/srv",
        "$PATH",
        "${HOME}",
        "%t",
        "a b",
        "$$",
        "$HOME %n ${X}",
        "fed",
    ];
    assert_eq!(lines, expected, "{ran}");

    // In the node that root knows: its mounts, its rights, and none of those of provost-execd.
    let facts = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; readlink /proc/self/ns/mnt; ls -d /root/.bashrc /tmp/here";
    node.run("touch /root/.bashrc /tmp/here");
    let plain = node.run(&format!("systemd-run --quiet --pipe --wait /bin/sh -c \"{facts}\""));
    let id = node.approved(&mut client, json!({ "argv": ["/bin/sh", "-c", facts] }));
    let ran = apply(&mut client, &id).expect("it ran");
    assert_eq!(ran["stdout"], plain.as_str(), "{ran}");
    // Its limits, as systemd holds to them.
    let limits = "systemctl show -p MemoryMax -p TasksMax -p CPUQuotaPerSecUSec -p LimitCORE -p RuntimeMaxUSec -p KillMode \
                  $(basename $(sed -n 's/^0:://p' /proc/self/cgroup))";
    let id = node.approved(&mut client, json!({ "argv": ["/bin/sh", "-c", limits], "timeout_s": 30 }));
    let ran = apply(&mut client, &id).expect("it ran");
    let mut have: Vec<&str> = ran["stdout"].as_str().unwrap().lines().collect();
    have.sort_unstable();
    let expected = [
        "CPUQuotaPerSecUSec=2s",
        "KillMode=control-group",
        "LimitCORE=0",
        "MemoryMax=1073741824",
        "RuntimeMaxUSec=40s",
        "TasksMax=1024",
    ];
    assert_eq!(have, expected, "{ran}");
    // As another account, and with a signal for an end.
    let id = node.approved(
        &mut client,
        json!({ "argv": ["/bin/sh", "-c", "id -un; kill -TERM $$"], "user": "alice" }),
    );
    let ran = apply(&mut client, &id).expect("it ran");
    assert_eq!((&ran["stdout"], &ran["signal"]), (&json!("alice\n"), &json!(15)), "{ran}");
    for (more, refused) in [
        (json!({ "argv": ["/no/such"] }), "no_such_program"),
        (json!({ "argv": ["/bin/true"], "cwd": "/no/such" }), "no_such_directory"),
        (json!({ "argv": ["/bin/true"], "user": "nobody-such" }), "no_such_user"),
    ] {
        let id = node.approved(&mut client, more.clone());
        assert_eq!(kind(apply(&mut client, &id)), refused, "{more}");
    }
    // More than an answer holds is counted and cut.
    let id = node.approved(
        &mut client,
        json!({ "argv": ["/bin/sh", "-c", "head -c 5000000 /dev/zero | tr '\\0' x"] }),
    );
    let ran = apply(&mut client, &id).expect("it ran");
    assert_eq!((&ran["stdout_bytes"], &ran["truncated"]), (&json!(5_000_000), &json!(true)));
    assert!(ran["stdout"].as_str().unwrap().len() < 70_000);
}

/// A child in the background and one that has left its session and its parent: `$1` is how they are found.
const BROOD: &str = "sleep 3121 & setsid sh -c 'sleep 3122 & sleep 3123' & (setsid sleep 3124 &) ; echo up; ";

fn brood(end: &str) -> Value {
    json!(["/bin/bash", "-c", format!("{BROOD}{end}")])
}

#[test]
fn nothing_of_a_command_goes_on_after_it_its_time_or_its_caller() {
    let node = Node::on();
    let mut client = node.client();
    let id = node.approved(&mut client, json!({ "argv": brood("wait"), "timeout_s": 1 }));
    let ran = apply(&mut client, &id).expect("it ran");
    assert_eq!((&ran["timed_out"], &ran["stdout"]), (&json!(true), &json!("up\n")), "{ran}");
    node.is_clear_of("sleep 312");

    let id = node.approved(&mut client, json!({ "argv": brood("exit 3") }));
    let ran = apply(&mut client, &id).expect("it ran");
    assert_eq!((&ran["timed_out"], &ran["exit_code"]), (&json!(false), &json!(3)), "{ran}");
    node.is_clear_of("sleep 312");

    let id = node.approved(&mut client, json!({ "argv": brood("wait") }));
    let call = client.start("apply", json!({ "plan_id": id }));
    node.runs("sleep 3124");
    client.cancel(call);
    node.is_clear_of("sleep 312");
    let last = || node.receipts().into_iter().rfind(|it| it.kind.name() == "exec").expect("its receipt");
    eventually("it is on record", || last().body["killed"] == true);
}

#[test]
fn a_daemon_that_is_killed_takes_the_command_along_and_the_intent_is_closed() {
    let node = Node::on();
    let mut client = node.client();
    let id = node.approved(&mut client, json!({ "argv": brood("wait") }));
    client.start("apply", json!({ "plan_id": id }));
    node.runs("sleep 3124");
    node.run("systemctl kill -s KILL --kill-whom=main provost.service");
    node.is_clear_of("sleep 312");
    // Another daemon finds the intent, and says what is known: nothing.
    let mut client = node.client();
    let of_plan = |id: &str| {
        let all = node.receipts().into_iter().filter(|receipt| receipt.plan.as_deref() == Some(id));
        all.map(|receipt| (receipt.kind.name().to_owned(), receipt.body["result"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(of_plan(&id).last(), Some(&("outcome".to_owned(), json!("unknown"))), "{:?}", of_plan(&id));

    for whom in ["main", "all"] {
        let id = node.approved(&mut client, json!({ "argv": brood("wait") }));
        let call = client.start("apply", json!({ "plan_id": id }));
        node.runs("sleep 3124");
        node.run(&format!("systemctl kill -s KILL --kill-whom={whom} provost-execd.service"));
        let answer = client.answer(call)["result"]["structuredContent"].clone();
        assert_eq!(answer["error"]["kind"], "execd_broken", "{whom}: {answer}");
        node.is_clear_of("sleep 312");
        assert_eq!(of_plan(&id).last().map(|(kind, _)| kind.clone()), Some("exec".to_owned()), "{whom}");
    }
    // And the next one runs.
    let id = node.approved(&mut client, json!({ "argv": ["/bin/true"] }));
    assert_eq!(apply(&mut client, &id).expect("it ran")["exit_code"], 0);
}
