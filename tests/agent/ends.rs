//! How a command in a VM ends when it does not end by itself.

use serde_json::json;

use crate::common::eventually;
use crate::{FULL, VM, change, commands, failure, house, intent_of, is_alive, kind, machine, receipt, with};

#[test]
fn a_signal_is_told_by_its_number() {
    let house = house(FULL);
    let answer = house.client().exec(change(&["sh", "-c", "kill -15 $$"]));
    assert_eq!((&answer["signal"], answer.get("exit_code")), (&json!(15), None), "{answer}");
    assert_eq!(receipt(&house, &answer["receipt"]).body["signal"], 15);
}

#[test]
fn a_timeout_kills_the_command_and_all_that_is_of_its_group() {
    let house = house(FULL);
    let mut client = house.client();
    let script = "echo $$; sleep 600 & echo $!; echo so far; wait";
    let answer = client.exec(with(change(&["sh", "-c", script]), json!({ "timeout_s": 1 })));
    assert_eq!((&answer["timed_out"], &answer["signal"]), (&json!(true), &json!(9)), "{answer}");
    assert_eq!(
        (&answer["kill"], &answer["left_running"]),
        (&json!("process_group"), &json!(null)),
        "{answer}"
    );
    // What it had written by then comes along.
    let stdout = answer["stdout"].as_str().expect("text");
    let pids: Vec<&str> = stdout.lines().take(2).collect();
    assert!(stdout.ends_with("so far\n") && pids.len() == 2, "{answer}");
    for pid in pids {
        eventually("it is gone", || !is_alive(pid));
    }
    assert!(answer["note"].as_str().expect("a note").contains("process group"), "{answer}");
    let outcome = receipt(&house, &answer["receipt"]);
    assert_eq!(
        (&outcome.body["timed_out"], &outcome.body["signal"]),
        (&json!(true), &json!(9)),
        "{outcome:?}"
    );
}

#[test]
fn what_cannot_be_ended_goes_on_and_the_answer_says_so() {
    let house = house(FULL);
    machine(&house, |machine| machine.os = json!({ "id": "mswindows", "name": "Windows" }));
    let answer = house.client().exec(with(change(&["sleep", "5"]), json!({ "timeout_s": 1 })));
    assert_eq!((&answer["timed_out"], &answer["kill"]), (&json!(true), &json!("none")), "{answer}");
    assert_eq!(answer["left_running"], 1, "{answer}");
    assert!(answer["note"].as_str().expect("a note").contains("goes on in the VM"), "{answer}");
    assert!(is_alive(&answer["pid"].to_string()));
    assert!(answer.get("signal").is_none() && answer.get("exit_code").is_none(), "{answer}");
}

#[test]
fn a_cancelled_command_is_killed_and_recorded_as_that() {
    let house = house(FULL);
    let mut client = house.client();
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("pid");
    let script = format!("echo $$ > {0}.new; mv {0}.new {0}; sleep 600", file.display());
    let id = client.start("exec", with(change(&["sh", "-c", &script]), json!({ "timeout_s": 300 })));
    eventually("it runs", || file.exists());
    let pid = std::fs::read_to_string(&file).expect("pid").trim().to_owned();
    client.cancel(id);
    eventually("it is gone", || !is_alive(&pid));
    let killed = || house.receipts().into_iter().find(|receipt| receipt.kind.name() == "exec");
    eventually("its end is on record", || killed().is_some());
    let outcome = killed().expect("an outcome");
    assert_eq!(outcome.body["killed"], true, "{outcome:?}");
    assert_eq!(intent_of(&house, &outcome).body["act"], "exec");
}

#[test]
fn a_client_that_is_gone_leaves_nothing_running() {
    let house = house(FULL);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("pid");
    let script = format!("echo $$ > {0}.new; mv {0}.new {0}; sleep 600", file.display());
    let mut client = house.client();
    client.start("exec", with(change(&["sh", "-c", &script]), json!({ "timeout_s": 300 })));
    eventually("it runs", || file.exists());
    let pid = std::fs::read_to_string(&file).expect("pid").trim().to_owned();
    drop(client);
    eventually("it is gone", || !is_alive(&pid));
    eventually("its end is on record", || {
        house.receipts().iter().any(|receipt| receipt.kind.name() == "exec")
    });
}

#[test]
fn a_daemon_that_is_killed_says_when_it_starts_again_that_the_command_may_go_on() {
    let mut house = house(FULL);
    let mut client = house.client();
    client.start("exec", with(change(&["sleep", "3"]), json!({ "timeout_s": 300 })));
    eventually("it runs", || commands(&house).iter().any(|command| command.ends_with(&["3".to_owned()])));
    house.kill();
    house.start();
    let told = || house.receipts().into_iter().find(|receipt| receipt.kind.name() == "outcome");
    eventually("the intent is closed", || told().is_some());
    let outcome = told().expect("an outcome");
    assert_eq!(outcome.body["result"], "unknown", "{outcome:?}");
    assert!(outcome.why.as_deref().unwrap_or_default().contains("may go on"), "{outcome:?}");
    assert_eq!(outcome.guest, Some(VM));
}

#[test]
fn a_look_that_fails_is_repeated_and_one_that_goes_on_failing_is_told() {
    let house = house(FULL);
    let mut client = house.client();
    machine(&house, |machine| machine.lost_looks = 3);
    assert_eq!(client.exec(change(&["echo", "x"]))["stdout"], "x\n");
    machine(&house, |machine| machine.lost_looks = 1000);
    let refused = failure(&mut client, "exec", change(&["echo", "x"]));
    assert_eq!(kind(&refused), "may_have_happened", "{refused}");
    assert!(refused["pid"].is_u64() && refused["receipt"].is_u64(), "{refused}");
    let outcome = receipt(&house, &refused["receipt"]);
    assert!(outcome.body.get("killed").is_none(), "nobody killed it: {outcome:?}");
}

#[test]
fn a_vm_that_stops_ends_its_commands() {
    let house = house(FULL);
    let mut client = house.client();
    let id = client.start("exec", with(change(&["sleep", "600"]), json!({ "timeout_s": 300 })));
    eventually("it runs", || commands(&house).iter().any(|command| command.ends_with(&["600".to_owned()])));
    house.sim.with_estate(|estate| {
        estate.guest_state_mut(VM).expect("the VM").run = provost::sim::estate::guest::Run::Stopped;
        estate.machines.get_mut(&VM).expect("the machine").stop();
    });
    let answer = client.answer(id)["result"]["structuredContent"].clone();
    assert_eq!(answer["container_stopped"], true, "{answer}");
}

#[test]
fn a_guest_without_setsid_runs_it_all_the_same_and_cannot_end_it() {
    let house = house(FULL);
    machine(&house, |machine| machine.without = vec!["setsid"]);
    let mut client = house.client();
    let answer = client.exec(with(change(&["pwd"]), json!({ "cwd": "/usr" })));
    assert_eq!((&answer["stdout"], &answer["kill"]), (&json!("/usr\n"), &json!("none")), "{answer}");
    let answer = client.exec(with(change(&["sleep", "4"]), json!({ "timeout_s": 1 })));
    assert_eq!((&answer["timed_out"], &answer["left_running"]), (&json!(true), &json!(1)), "{answer}");
}
