//! One unit of a real systemd: what `systemctl status` is asked for.

use serde_json::{Value, json};

use crate::common::{Client, Node, eventually};
use crate::diagnose;
use crate::guest::{Guest, Recipe};

const SERVER: &str = "import socket, sys, time\nprint('serving the shop', flush=True)\ns = socket.socket()\n\
                      s.bind(('127.0.0.1', 8080))\ns.listen()\ntime.sleep(1000)\n";

fn shop() -> Recipe {
    let unit = "[Unit]\nDescription=The shop\n[Service]\nExecStart=/usr/bin/python3 /opt/server.py\n";
    Recipe::new().booted().file("/opt/server.py", 0o644, SERVER).file(
        "/etc/systemd/system/shop.service",
        0o644,
        unit,
    )
}

fn of(client: &mut Client, guest: &Guest, unit: &str) -> Value {
    diagnose(client, &format!("lxc/{}/unit/{unit}", guest.id))
}

fn titles(answer: &Value) -> Vec<String> {
    crate::titles(answer)
}

#[test]
fn a_unit_that_runs_is_told_with_its_processes_ports_and_log() {
    let guest = shop().start();
    guest.run("systemctl start shop; until grep -q ':1F90 .* 0A ' /proc/net/tcp; do sleep 0.1; done");
    let node = Node::with("v2", "containers = [\"1-999999\"]", INSPECT);
    let answer = of(&mut node.client(), &guest, "shop.service");
    assert_eq!((titles(&answer), &answer["incomplete"]), (vec![], &json!([])), "{answer:#}");
    let unit = &answer["unit"];
    assert_eq!(
        (&unit["active"], &unit["sub"], &unit["load"]),
        (&json!("active"), &json!("running"), &json!("loaded"))
    );
    assert_eq!(unit["description"], "The shop");
    assert_eq!(unit["ports"], json!(["tcp 127.0.0.1:8080"]), "{unit:#}");
    let process = unit["processes"][0].as_str().expect("a process");
    assert!(process.ends_with("python3") && process.starts_with(&unit["main_pid"].to_string()), "{unit:#}");
    assert!(unit["log"].to_string().contains("serving the shop"), "{unit:#}");
    assert!(unit["since"].as_str().expect("a time").starts_with("20"), "{unit:#}");
    // Nothing about it is asked of anybody but the container, and it is on record as what it is.
    let receipts = node.client().call("audit", json!({ "guest": guest.id, "limit": 5 }));
    let receipts = receipts["structuredContent"]["receipts"].as_array().expect("receipts").clone();
    let command = receipts.iter().find(|one| one["kind"] == "exec" && one["tool"] == "diagnose");
    assert!(
        command.is_some_and(
            |command| command["body"]["mode"] == "change" || command.to_string().contains("change")
        ),
        "{receipts:#?}"
    );
}

/// Roles that may inspect and no more: what is fixed and only reads is open to them.
const INSPECT: &str = "[[role]]\nname = \"all\"\nmembers = [\"user:root\"]\nexec = \"inspect\"";

#[test]
fn who_may_not_even_inspect_is_told_nothing_of_units() {
    let roles = INSPECT.replace("\"inspect\"", "\"none\"");
    let node = Node::with("v2", "containers = [101]", &roles);
    let answer = diagnose(&mut node.client(), "lxc/101/unit/dbus.service");
    assert_eq!(answer["unit"], Value::Null);
    for missing in answer["incomplete"].as_array().expect("a list") {
        assert!(missing["why"].as_str().expect("text").contains("lane_not_allowed"), "{missing}");
    }
    assert_eq!(answer["incomplete"].as_array().map(Vec::len), Some(4), "{answer:#}");
}

#[test]
fn a_unit_that_failed_loops_or_is_not_there_is_named() {
    let guest = shop()
        .file("/etc/systemd/system/sad.service", 0o644, "[Service]\nExecStart=/bin/sh -c 'echo the queue is gone >&2; exit 3'\n")
        .file("/etc/systemd/system/loopy.service", 0o644, "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=100ms\n")
        .file("/etc/systemd/system/taken.service", 0o644, "[Service]\nExecStart=/usr/bin/python3 /opt/server.py\n")
        .start();
    guest.run("systemctl start shop; until grep -q ':1F90 .* 0A ' /proc/net/tcp; do sleep 0.1; done; systemctl start --no-block sad loopy taken; systemctl mask dbus-org.nothing.service");
    let node = Node::start();
    let mut client = node.client();
    for (unit, words) in [
        ("sad.service", &["critical", "failed"][..]),
        ("loopy.service", &["critical", "restarted"]),
        ("taken.service", &["critical", "port"]),
        ("nothing.service", &["critical", "no such unit"]),
        ("dbus-org.nothing.service", &["warning", "masked"]),
    ] {
        let mut answer = Value::Null;
        eventually(unit, || {
            answer = of(&mut client, &guest, unit);
            let titles = titles(&answer);
            titles.iter().take(2).any(|title| words.iter().all(|word| title.contains(word)))
        });
        crate::names(&answer, words);
    }
    let sad = of(&mut client, &guest, "sad.service");
    assert_eq!(sad["unit"]["exit_status"], 3, "{sad:#}");
    assert!(sad["flags"][0]["evidence"].as_str().expect("text").contains("queue is gone"), "{sad:#}");
}

#[test]
fn what_is_no_units_name_is_refused_before_anything_is_asked() {
    let node = Node::start();
    let mut client = node.client();
    for wrong in [
        "lxc/101/unit/",
        "lxc/101/unit/nginx",
        "lxc/101/unit/-H.service",
        "lxc/101/unit/*.service",
        "lxc/101/unit/a b.service",
        "lxc/101/unit/../dbus.service",
        "lxc/101/unit/a/b.service",
        "lxc/101/unit/$(id).service",
        "lxc/101/unit/a\n.service",
        "lxc/101/units/dbus.service",
        "lxc/99/unit/dbus.service",
        "qemu/101/unit/dbus.service",
        "node/pve1/unit/a.service",
    ] {
        let result = client.call("diagnose", json!({ "subject": wrong }));
        assert_eq!(result["structuredContent"]["error"]["kind"], "arguments", "{wrong}: {result}");
    }
    assert!(!node.execd_log().contains("diagnose"), "{}", node.execd_log());
}

#[test]
fn a_container_without_systemd_says_so_and_the_rest_is_there() {
    let guest = Recipe::new().start();
    let node = Node::start();
    let answer = of(&mut node.client(), &guest, "shop.service");
    let missing = answer["incomplete"].as_array().expect("a list");
    let state = missing
        .iter()
        .find(|missing| missing["probe"] == "unit_state")
        .unwrap_or_else(|| panic!("{answer:#}"));
    assert!(state["why"].as_str().expect("text").contains("systemd did not answer"), "{state}");
    assert_eq!(answer["unit"], Value::Null);
}
