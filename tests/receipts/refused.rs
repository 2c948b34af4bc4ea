use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use provost::ledger::Kind;
use serde_json::json;

use crate::common::{Client, eventually};
use crate::place::{Place, line, receipts, role};

const EXEC: &str = "[exec]\nenabled = true\nsocket = \"/nonexistent/exec.sock\"\ncontainers = [101]\n";

fn full() -> String {
    format!("{EXEC}{}", role("all", "profile = \"full\""))
}

#[test]
fn who_is_in_no_role_is_refused_on_record() {
    let mut place = Place::start("[[role]]\nname = \"a\"\nmembers = [\"user:nobody-like-this\"]");
    let mut client = place.client();
    for (tool, arguments) in [
        ("read", json!({ "path": "/version" })),
        ("find", json!({ "query": "x" })),
        ("exec", json!({ "guest": 101, "argv": ["true"] })),
        ("audit", json!({})),
    ] {
        let error = client.call(tool, arguments)["structuredContent"]["error"].clone();
        assert_eq!(error["kind"], "no_role", "{error}");
    }
    assert!(client.call("status", json!({}))["structuredContent"]["ledger"].is_null());
    drop(client);
    place.stop();
    let lines: Vec<_> = place.receipts().iter().filter(|it| it.kind == Kind::Refusal).map(line).collect();
    let refused = ["read - -", "find - -", "exec - 101", "audit - -"];
    assert_eq!(lines, refused.map(|tool| format!("refusal refused {tool} no_role")));
}

#[test]
fn who_finds_no_place_is_on_record_and_does_not_fill_the_disk_with_it() {
    let mut place = Place::start(&format!("max_sessions = 1\n{}", role("a", "")));
    let held = place.client();
    for _ in 0..200 {
        let mut away = Client::raw(UnixStream::connect(place.socket()).unwrap());
        assert!(away.next().unwrap()["error"]["message"].as_str().unwrap().contains("max_sessions"));
    }
    drop(held);
    place.stop();
    let away: Vec<_> = place
        .receipts()
        .into_iter()
        .filter(|it| it.kind == Kind::Session && it.body["event"] == "turned_away")
        .collect();
    assert!((1..20).contains(&away.len()), "{}", away.len());
    assert!(away[0].why.as_ref().unwrap().contains("max_sessions"));
}

#[test]
fn a_second_daemon_on_the_same_ledger_ends_with_that_reason() {
    let place = Place::start(&role("a", ""));
    let (status, said) = place.second("other.sock");
    assert!(!status.success() && said.contains("another process has the log open"), "{said}");
    assert!(!place.dir.path().join("other.sock").exists(), "it leaves no socket behind");
    place.client().call("status", json!({}));
}

#[test]
fn a_damaged_log_is_said_reads_go_on_and_nothing_runs() {
    let mut place = Place::start(&full());
    place.client().call("status", json!({}));
    place.stop();
    let file = place.ledger().join("entries-000001.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("\"tool\":\"status\"", "\"tool\":\"STATUS\"", 1)).unwrap();
    place.start_again();
    let mut client = place.client();
    let mut status = json!({});
    eventually("the daemon finds it by itself", || {
        status = client.call("status", json!({}))["structuredContent"]["ledger"].clone();
        status["state"] == "damaged"
    });
    assert!(status["next"].as_str().unwrap().contains("provost audit verify"), "{status}");
    assert!(client.call("read", json!({ "path": "/version" }))["structuredContent"]["data"].is_object());
    for mode in ["inspect", "change"] {
        let error = client.refused(json!({ "guest": 101, "argv": ["true"], "mode": mode }));
        assert_eq!(error["kind"], "ledger_damaged", "{error}");
    }
    assert_eq!(client.call("audit", json!({}))["structuredContent"]["head"]["state"], "damaged");
}

#[test]
fn a_log_whose_lines_do_not_add_up_starts_serves_reads_and_runs_nothing() {
    let mut place = Place::start(&full());
    place.client().call("status", json!({}));
    place.stop();
    std::fs::remove_file(place.ledger().join("ledger.pub")).unwrap();
    place.start_again();
    let mut client = place.client();
    assert_eq!(client.call("status", json!({}))["structuredContent"]["ledger"]["state"], "damaged");
    assert!(client.call("read", json!({ "path": "/version" }))["structuredContent"]["data"].is_object());
    let error = client.refused(json!({ "guest": 101, "argv": ["true"] }));
    assert_eq!(error["kind"], "ledger_damaged", "{error}");
}

struct Small(PathBuf);

impl Small {
    fn mount(path: &Path, bytes: usize) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let options = format!("size={bytes},mode=0700");
        match mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())) {
            Ok(()) => Some(Self(path.into())),
            Err(error) => {
                eprintln!("NOT RUN: cannot mount a file system: {error} (as root it can)");
                assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI that is a failure");
                None
            }
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_full_disk_stops_commands_not_reads_and_mends_itself() {
    let dir = tempfile::tempdir().unwrap();
    let Some(small) = Small::mount(&dir.path().join("small"), 1 << 20) else { return };
    let ledger = small.0.join("ledger");
    let place = Place::on(&full(), Some(&ledger));
    let mut client = place.client();
    let read = |client: &mut Client| {
        assert!(client.call("read", json!({ "path": "/version" }))["structuredContent"]["data"].is_object());
    };
    let kind = |client: &mut Client, mode: &str| {
        let argv = ["true", &"x".repeat(3000)].map(str::to_owned);
        client.refused(json!({ "guest": 101, "argv": argv, "mode": mode }))["kind"].clone()
    };
    assert_eq!(kind(&mut client, "inspect"), "execd_unreachable");
    assert_eq!(kind(&mut client, "change"), "execd_unreachable");
    let ballast = small.0.join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    drop(file);
    // The last page may still take some.
    eventually("the disk is full", || kind(&mut client, "change") == "ledger_unavailable");
    read(&mut client);
    assert_eq!(kind(&mut client, "inspect"), "ledger_unavailable");
    read(&mut client);
    let status = client.call("status", json!({}))["structuredContent"]["ledger"].clone();
    assert_eq!(status["state"], "unavailable", "{status}");
    assert!(status["why"].as_str().unwrap().contains("No space left"), "{status}");
    eventually("what is lost is counted", || {
        let status = client.call("status", json!({}));
        status["structuredContent"]["ledger"]["unrecorded"].as_u64() > Some(0)
    });
    std::fs::remove_file(&ballast).unwrap();
    // Nobody has to run anything for it.
    eventually("it takes receipts again", || {
        client.call("status", json!({}))["structuredContent"]["ledger"]["state"] == "ready"
    });
    assert_eq!(kind(&mut client, "inspect"), "execd_unreachable");
    eventually("what was lost is said", || {
        receipts(&ledger).iter().any(|it| it.kind == Kind::Repair && it.body["what"] == "unrecorded")
    });
}
