//! The official A2A SDK's client over HTTP, with a token: by both bindings and both versions, through a person's yes.

use std::path::Path;
use std::process::Command;

use provost::sim::estate::recorded;
use serde_json::{Value, json};

use crate::common::eventually;
use crate::script::{Script, packages};
use crate::site::Site;
use crate::workstation::{Missing, or_say_why};

/// A node that serves HTTP, an agent's token for it, and a change that somebody has to say yes to.
struct Served {
    packages: std::path::PathBuf,
    site: Site,
    url: String,
    token: String,
    change: Value,
}

impl Served {
    fn start() -> Result<Self, Missing> {
        let packages = packages()?;
        let free =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
        let me = nix::unistd::Uid::effective();
        let roles = format!(
            "[[role]]\nname = \"agent\"\nmembers = [\"user:{me}\"]\nprofile = \"provision\"\napproval = [\"change\"]\n\
             deny = [\"GET /access/users\"]"
        );
        let site = Site::listening(recorded(), &roles, &format!("http = \"{free}\""));
        eventually("HTTP is served", || std::net::TcpStream::connect(free).is_ok());
        let change =
            json!({ "method": "PUT", "path": "/nodes/pve1/qemu/104/config", "args": { "description": "x" } });
        let mut served = Self { packages, site, url: format!("http://{free}"), token: String::new(), change };
        served.token = served.provost(&["token", "issue", "--as", "agent", "--ttl", "1h"]);
        Ok(served)
    }

    fn provost(&self, words: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_provost"));
        command.args(words).env("PROVOST_CONFIG", self.site.dir.path().join("provost.toml"));
        let output = command.output().expect("provost");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    fn dir(&self) -> &Path {
        self.site.dir.path()
    }
}

fn comes(binding: &str, version: &str) -> Result<(), Missing> {
    let served = Served::start()?;
    let Served { url, token, change, .. } = &served;
    let task =
        json!({ "url": url, "token": token, "binding": binding, "version": version, "change": change });
    let mut script = Script::start(&served.packages, served.dir(), "by_a2a.py", &task);

    let card = script.step("card");
    assert_eq!(
        (card["skills"].as_array().map(Vec::len), &card["interfaces"]),
        (Some(10), &json!(1)),
        "{card}"
    );
    let sent = script.step("sent");
    assert_eq!((&sent["state"], &sent["answer"]["role"]), (&json!("COMPLETED"), &json!("agent")), "{sent}");
    let streamed = script.step("streamed");
    assert_eq!(streamed["kinds"], json!(["task", "artifact_update", "status_update"]), "{streamed}");
    assert_eq!((&streamed["state"], &streamed["answer"]["path"]), (&json!("COMPLETED"), &json!("/version")));
    assert_eq!(script.step("got")["answer"], streamed["answer"]);
    let found = script.step("found");
    assert_eq!((&found["tool"], &found["same"]), (&json!("find"), &json!(true)), "{found}");
    let refused = script.step("refused");
    assert_eq!(refused["state"], "REJECTED", "{refused}");
    assert_eq!(refused["answer"]["error"]["kind"], "denied_to_role", "{refused}");
    if version != "0.3" {
        let listed = script.step("listed");
        assert_eq!(
            (&listed["total"], &listed["here"], &listed["more"]),
            (&json!(4), &json!(2), &json!(true))
        );
    }
    assert_eq!(script.step("extended")["role"], "agent");
    let errors = ["TaskNotFoundError", "TaskNotCancelableError", "PushNotificationNotSupportedError"];
    assert_eq!(script.step("errors")["errors"], json!(errors));
    let waits = script.step("waits");
    assert_eq!(
        (&waits["planned"], &waits["state"]),
        (&json!("INPUT_REQUIRED"), &json!("INPUT_REQUIRED")),
        "{waits}"
    );
    let plan = waits["plan"].as_str().expect("a plan");
    assert!(waits["said"].as_str().expect("text").contains(plan), "{waits}");
    // Root is nobody's token: it may say yes to what one asks for.
    served.provost(&["approve", "--yes", plan]);
    script.go_on();
    let applied = script.step("applied");
    assert_eq!(
        (&applied["state"], &applied["answer"]["result"]),
        (&json!("COMPLETED"), &json!("done")),
        "{applied}"
    );
    assert_eq!(script.step("canceled")["state"], "CANCELED");
    script.end();
    Ok(())
}

/// The SDK's older line, which many have: it looks for the card where the newer does, and says nothing of its version.
fn comes_of_old() -> Result<(), Missing> {
    let served = Served::start()?;
    let Served { packages, url, token, change, .. } = &served;
    let task = json!({ "url": url, "token": token, "change": change });
    let mut script = Script::within(packages, "venv-a2a-0.3", served.dir(), "by_old_a2a.py", &task);
    let card = script.step("card");
    assert_eq!((&card["url"], &card["version"]), (&json!(format!("{url}/a2a")), &json!("0.3.0")), "{card}");
    assert_eq!(card["skills"], 10);
    let sent = script.step("sent");
    assert_eq!((&sent["state"], &sent["answer"]["role"]), (&json!("completed"), &json!("agent")), "{sent}");
    let streamed = script.step("streamed");
    assert_eq!((&streamed["state"], &streamed["events"]), (&json!("completed"), &json!(3)), "{streamed}");
    assert_eq!(
        (&streamed["answer"]["path"], &script.step("got")["answer"]),
        (&json!("/version"), &streamed["answer"])
    );
    assert_eq!(script.step("extended")["role"], "agent");
    assert_eq!(script.step("unknown")["code"], -32001);
    assert_eq!(script.step("unknown-streamed")["code"], -32602);
    let waits = script.step("waits");
    assert_eq!(waits["state"], "input-required", "{waits}");
    assert!(
        waits["said"].as_str().expect("text").contains(waits["plan"].as_str().expect("a plan")),
        "{waits}"
    );
    assert_eq!(script.step("canceled")["state"], "canceled");
    script.end();
    Ok(())
}

#[test]
fn the_sdks_older_line_comes_with_nothing_but_an_address_and_a_token() {
    or_say_why(comes_of_old());
}

#[test]
fn the_sdk_comes_by_json_rpc() {
    or_say_why(comes("JSONRPC", "1.0"));
}

#[test]
fn the_sdk_comes_by_http_json() {
    or_say_why(comes("HTTP+JSON", "1.0"));
}

#[test]
fn the_sdk_comes_as_a_client_of_0_3() {
    or_say_why(comes("JSONRPC", "0.3"));
}
