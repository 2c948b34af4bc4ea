//! What a command in a VM answers.

use std::time::{Duration, Instant};

use nix::unistd::Uid;
use serde_json::json;

use crate::{FULL, VM, change, commands, failure, house, house_with, intent_of, kind, receipt, with};

#[test]
fn a_short_command_answers_at_once_with_its_end_its_streams_and_two_receipts() {
    let house = house(FULL);
    let mut client = house.client();
    let began = Instant::now();
    let answer = client.exec(change(&["sh", "-c", "echo out; echo err >&2; exit 3"]));
    let took = began.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!((&answer["stdout"], &answer["stderr"]), (&json!("out\n"), &json!("err\n")), "{answer}");
    assert_eq!((&answer["exit_code"], &answer["lane"]), (&json!(3), &json!("change")), "{answer}");
    assert_eq!((&answer["timed_out"], &answer["truncated"]), (&json!(false), &json!(false)), "{answer}");
    assert!(answer["pid"].is_u64() && answer["duration_ms"].is_number(), "{answer}");
    let outcome = receipt(&house, &answer["receipt"]);
    assert_eq!((outcome.kind.name(), &outcome.body["exit_code"]), ("exec", &json!(3)), "{outcome:?}");
    assert_eq!(outcome.guest, Some(VM));
    let intent = intent_of(&house, &outcome);
    assert_eq!((&intent.body["act"], intent.guest), (&json!("exec"), Some(VM)), "{intent:?}");
    assert_eq!(intent.body["args"]["vm"], "pve1", "{intent:?}");
    assert!(intent.seq < outcome.seq);
    // What is on record is what was asked for, not how it was done.
    assert_eq!(intent.body["argv"][0], "sh", "{intent:?}");
}

#[test]
fn no_shell_reads_what_an_argv_holds_and_every_byte_of_it_arrives() {
    let house = house(FULL);
    let mut client = house.client();
    let words = ["; touch /tmp/x", "$(id)", "", "a b", "größe ✓", "-n", "a\nb", "x=y&z"];
    let mut argv = vec!["printf", "%s|"];
    argv.extend(words);
    let answer = client.exec(change(&argv));
    assert_eq!(answer["stdout"], words.map(|word| format!("{word}|")).concat(), "{answer}");
    let last = commands(&house).pop().expect("a command");
    assert!(!last.iter().any(|word| word == "sh"), "{last:?}");
}

#[test]
fn what_goes_to_its_stdin_arrives_byte_by_byte_and_too_much_is_refused_before_anything_runs() {
    let house = house(FULL);
    let mut client = house.client();
    let text = "ü ✓ \u{1f600}\r\n\u{1}end".repeat(100);
    let answer = client.exec(with(change(&["sha256sum"]), json!({ "stdin": text })));
    let hash = provost::ledger::tree::sha256_hex(text.as_bytes());
    assert!(answer["stdout"].as_str().expect("text").starts_with(&hash), "{answer}");
    let answer = client.exec(with(change(&["wc", "-c"]), json!({ "stdin": "x".repeat(65_536) })));
    assert_eq!(answer["stdout"], "65536\n");
    let before = commands(&house).len();
    let refused =
        failure(&mut client, "exec", with(change(&["wc", "-c"]), json!({ "stdin": "x".repeat(65_537) })));
    assert_eq!((kind(&refused), commands(&house).len()), ("too_large", before), "{refused}");
    // Without any, the end of it is there at once.
    assert_eq!(client.exec(change(&["wc", "-c"]))["stdout"], "0\n");
}

#[test]
fn a_script_is_the_shells_stdin_and_is_on_record_by_its_hash() {
    let house = house(FULL);
    let mut client = house.client();
    let script = "x='größe'\necho \"$x\"\nexit 4\n";
    let answer = client.exec(json!({ "guest": VM, "mode": "change", "script": script }));
    assert_eq!((&answer["stdout"], &answer["exit_code"]), (&json!("größe\n"), &json!(4)), "{answer}");
    let intent = intent_of(&house, &receipt(&house, &answer["receipt"]));
    let stdin = &intent.body["args"]["stdin"];
    assert_eq!(stdin["sha256"], provost::ledger::tree::sha256_hex(script.as_bytes()), "{intent:?}");
}

#[test]
fn directory_and_environment_are_as_asked_and_nothing_of_the_agents_is_left() {
    let house = house(FULL);
    let mut client = house.client();
    let dir = tempfile::tempdir().expect("a directory");
    let cwd = dir.path().to_str().expect("text");
    let more = json!({ "cwd": cwd, "env": { "A": "b c=d", "U": "ü ✓" } });
    let answer = client.exec(with(change(&["sh", "-c", "pwd; env"]), more));
    let stdout = answer["stdout"].as_str().expect("text");
    assert!(stdout.starts_with(&format!("{cwd}\n")), "{answer}");
    for line in ["A=b c=d", "U=ü ✓", "HOME=/root"] {
        assert!(stdout.lines().any(|found| found == line), "{line}: {answer}");
    }
    assert!(!stdout.contains("INVOCATION_ID"), "{answer}");
    let nowhere = client.exec(with(change(&["pwd"]), json!({ "cwd": format!("{cwd}/none") })));
    assert_ne!(nowhere["exit_code"], 0, "{nowhere}");
    assert_eq!(client.exec(change(&["pwd"]))["stdout"], "/\n");
}

#[test]
fn a_user_is_itself_with_its_own_groups_and_home() {
    if !Uid::effective().is_root() {
        eprintln!("NOT RUN: only root can be somebody else");
        return;
    }
    let house = house(FULL);
    let mut client = house.client();
    let script = "id -u; id -G; echo $HOME; pwd";
    let answer = client.exec(with(change(&["sh", "-c", script]), json!({ "user": "daemon", "cwd": "/usr" })));
    assert_eq!(answer["stdout"], "1\n1\n/usr/sbin\n/usr\n", "{answer}");
    let answer = client.exec(with(change(&["id", "-u"]), json!({ "user": "12345:54321" })));
    assert_eq!(answer["stdout"], "12345\n", "{answer}");
    for user in ["no-such-user", "--help", "a b"] {
        let refused = failure(&mut client, "exec", with(change(&["id"]), json!({ "user": user })));
        let kinds = ["no_such_user", "arguments"];
        assert!(kinds.contains(&kind(&refused)), "{user}: {refused}");
    }
}

#[test]
fn output_is_cut_head_and_tail_and_who_cut_it_is_said() {
    let house = house_with(FULL, "max_output = 2000");
    let mut client = house.client();
    let answer = client.exec(change(&["seq", "1", "10000"]));
    assert_eq!((&answer["truncated"], &answer["truncated_by"]), (&json!(true), &json!(["max_output"])));
    assert_eq!(answer["stdout_bytes"], 48_894, "{answer}");
    let stdout = answer["stdout"].as_str().expect("text");
    assert!(stdout.starts_with("1\n2\n") && stdout.ends_with("9999\n10000\n"), "{stdout}");
    crate::machine(&house, |machine| machine.most_output = 1000);
    let answer = client.exec(change(&["seq", "1", "1000"]));
    assert_eq!(
        (&answer["truncated"], &answer["truncated_by"]),
        (&json!(true), &json!(["agent"])),
        "{answer}"
    );
    let outcome = receipt(&house, &answer["receipt"]);
    assert!(outcome.body["stdout"].get("sha256").is_none(), "of what was cut nobody has a hash: {outcome:?}");
}

#[test]
fn what_a_guest_wrote_is_cleaned() {
    let house = house(FULL);
    let answer = house.client().exec(change(&["printf", "\\033[31mred\\342\\200\\256\\377"]));
    assert_eq!(answer["stdout"], "red\u{fffd}", "{answer}");
}

#[test]
fn a_program_that_is_not_there_or_no_program_says_so() {
    let house = house(FULL);
    let mut client = house.client();
    // In Linux it is env that looks for it, as a shell would report it.
    let answer = client.exec(change(&["no-such-program"]));
    assert_eq!(answer["exit_code"], 127, "{answer}");
    crate::machine(&house, |machine| machine.os = json!({ "id": "mswindows", "name": "Windows" }));
    let refused = failure(&mut client, "exec", change(&["no-such-program"]));
    assert_eq!((kind(&refused), &refused["exit_code"]), ("no_such_program", &json!(127)), "{refused}");
    let refused = failure(&mut client, "exec", change(&["/etc/passwd"]));
    assert_eq!((kind(&refused), &refused["exit_code"]), ("not_executable", &json!(126)), "{refused}");
    let outcome = receipt(&house, &refused["receipt"]);
    assert_eq!(outcome.body["result"], "failed", "{outcome:?}");
}

#[test]
fn where_no_linux_runs_an_argv_runs_as_it_is_and_what_cannot_be_had_is_refused() {
    let house = house(FULL);
    crate::machine(&house, |machine| {
        machine.os =
            json!({ "id": "mswindows", "pretty-name": "Windows Server 2022", "kernel-release": "20348" });
    });
    let mut client = house.client();
    assert_eq!(client.exec(change(&["echo", "hello"]))["stdout"], "hello\n");
    assert_eq!(commands(&house).pop().expect("a command"), ["echo", "hello"]);
    let script = json!({ "guest": VM, "mode": "change", "script": "true" });
    for arguments in [
        with(change(&["id"]), json!({ "user": "daemon" })),
        with(change(&["pwd"]), json!({ "cwd": "/tmp" })),
        with(change(&["env"]), json!({ "env": { "A": "b" } })),
        script,
    ] {
        let refused = failure(&mut client, "exec", arguments);
        assert_eq!(kind(&refused), "not_in_this_vm", "{refused}");
        assert!(refused["error"]["message"].as_str().expect("text").contains("Windows Server 2022"));
    }
    assert_eq!(commands(&house).len(), 1);
}

#[test]
fn as_much_as_an_agent_keeps_comes_through() {
    let house = house(FULL);
    crate::machine(&house, |machine| machine.most_output = 1 << 20);
    let answer = house.client().exec(change(&["sh", "-c", "seq 1 300000 | head -c 1500000; exit 5"]));
    assert_eq!((&answer["exit_code"], &answer["stdout_bytes"]), (&json!(5), &json!(1 << 20)), "{answer}");
    assert_eq!(answer["truncated_by"], json!(["max_output", "agent"]), "{answer}");
}

#[test]
fn all_that_an_agent_keeps_comes_with_the_exit_code_though_it_is_told_once() {
    let house = house(FULL);
    let mut client = house.client();
    // As JSON it is more than may be held of an answer, and the daemon is busy with it for longer than a hung one is waited
    // for.
    let script = "head -c 17000000 /dev/urandom; exit 5";
    let answer = client.exec(change(&["sh", "-c", script]));
    assert_eq!((&answer["exit_code"], &answer["stdout_bytes"]), (&json!(5), &json!(16 << 20)), "{answer}");
    assert_eq!(answer["truncated_by"], json!(["max_output", "agent"]), "{answer}");
    assert_eq!(receipt(&house, &answer["receipt"]).body["exit_code"], 5);
}

#[test]
fn a_session_that_read_of_a_vm_is_tainted_by_it() {
    let house = house(FULL);
    let mut client = house.client();
    client.exec(change(&["true"]));
    let status = client.call("status", json!({}))["structuredContent"].clone();
    assert_eq!(status["tainted"], true, "{status}");
}
