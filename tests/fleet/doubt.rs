//! Hosts that do not say what they have: nobody takes them for hosts that have nothing, nor goes by what they said once.

use nix::sys::signal::Signal;
use provost::sim::Fault;
use serde_json::{Value, json};

use crate::common::eventually;
use crate::house::House;
use crate::machines::{Connected, Fleet, alone, member, run};

/// Two that have nothing to do with each other.
fn two(shed: &[u32], attic: &[u32]) -> Fleet {
    Fleet::of(vec![("shed", alone("shed", shed)), ("attic", alone("attic", attic))])
}

fn members() -> Fleet {
    Fleet::of(vec![("one", member("pve1")), ("two", member("pve2"))])
}

/// A container of the demo's cluster on this node, counted from 0.
fn container_on(node: u32) -> u32 {
    (100..).find(|vmid| vmid % 3 == node && vmid % 5 < 2).expect("a container")
}

fn command(guest: u32, mode: &str) -> Value {
    json!({ "guest": guest, "argv": ["true"], "mode": mode })
}

/// Commands are off on all of them: it is the refusal that says who was asked.
fn asked(connected: &mut Connected, guest: u32, mode: &str) -> Value {
    let result = connected.client.call("exec", command(guest, mode));
    let said = result["structuredContent"].clone();
    let kind = said["error"]["kind"].as_str().unwrap_or_default();
    assert!(["disabled", "lane_not_allowed"].contains(&kind), "{result}");
    said
}

/// PVE is being restarted there: whoever asks for this path has no answer of it.
fn break_pve(fleet: &Fleet, host: &str, path: &str) {
    fleet.machine(host).site.sim.fault_at(Fault::Status(503, "Service Unavailable".into()), path, None);
}

fn is_down(connected: &mut Connected, host: &str) -> bool {
    let status = connected.call("status", json!({}));
    let hosts = status["fleet"].as_array().expect("hosts");
    hosts.iter().any(|one| one["host"] == host && one["state"] == "down")
}

#[test]
fn a_host_whose_pve_does_not_answer_is_not_one_that_has_nothing() {
    let fleet = two(&[105, 501], &[105, 601]);
    let mut connected = fleet.connect();
    break_pve(&fleet, "attic", "/cluster/resources");
    for (tool, args) in [
        ("exec", command(105, "change")),
        ("file_put", json!({ "guest": 105, "path": "/etc/motd", "content": "x" })),
    ] {
        let error = connected.refused(tool, args);
        assert_eq!(error["kind"], "which_host", "{tool}: {error}");
        let said = format!("{} {}", error["message"], error["next"]);
        assert!(said.contains("on attic") && said.contains("`host` shed"), "{said}");
    }
    // What only looks goes on, with a word about it; and what is wrong with that host is to be seen.
    let said = asked(&mut connected, 501, "inspect");
    assert_eq!(said["host"], "shed", "{said}");
    assert!(said["note"].as_str().is_some_and(|note| note.contains("attic")), "{said}");
    let status = connected.call("status", json!({}));
    assert_eq!(status["fleet"][1]["error"]["kind"], "cannot_say", "{status}");

    let output = run(&fleet.arguments(&["shed", "attic", "--check"]));
    let checked = String::from_utf8(output.stdout).expect("text");
    let line = |host: &str| checked.lines().find(|line| line.starts_with(host)).unwrap_or_default();
    assert!(line("shed").contains("well") && line("attic").contains("BAD"), "{checked}");
    assert!(checked.contains("could not say what it has"), "{checked}");

    fleet.machine("attic").site.sim.heal();
    assert_eq!(connected.refused("exec", command(105, "change"))["kind"], "ambiguous");
    // Something has moved there, so that it is looked at again: what it said before stands until it says something else.
    assert_eq!(asked(&mut connected, 601, "inspect")["host"], "attic");
    break_pve(&fleet, "attic", "/cluster/resources");
    assert_eq!(connected.refused("exec", command(105, "change"))["kind"], "ambiguous");
    assert_eq!(connected.refused("exec", command(105, "inspect"))["kind"], "ambiguous");
    // Commands go into its containers while its PVE is away.
    assert_eq!(asked(&mut connected, 601, "change")["host"], "attic");
}

#[test]
fn what_a_lost_host_once_said_is_not_what_it_has() {
    let mut fleet = two(&[105], &[601]);
    let mut connected = fleet.connect();
    assert_eq!(asked(&mut connected, 105, "change")["host"], "shed");
    fleet.machine("attic").signal(Signal::SIGKILL);
    eventually("it is known to be gone", || is_down(&mut connected, "attic"));
    let other = alone("attic", &[105]).remove_guest(105).expect("a container");
    fleet.machine("attic").site.sim.with_estate(|estate| estate.add_guest(other));
    let error = connected.refused("exec", command(105, "change"));
    assert_eq!(error["kind"], "which_host", "{error}");
    assert!(error["message"].as_str().unwrap().contains("on attic"), "{error}");
    assert_eq!(asked(&mut connected, 105, "inspect")["host"], "shed");

    let attic = fleet.machines.iter_mut().find(|machine| machine.name == "attic").expect("a machine");
    attic.site.restart();
    eventually("it says what it has now", || {
        connected.refused("exec", command(105, "change"))["kind"] == "ambiguous"
    });
}

#[test]
fn a_member_that_cannot_say_what_its_cluster_is_still_is_of_it() {
    let fleet = members();
    let mut connected = fleet.connect();
    assert_eq!(asked(&mut connected, container_on(1), "inspect")["host"], "two");
    break_pve(&fleet, "two", "/cluster/status");
    assert_eq!(asked(&mut connected, container_on(0), "inspect")["host"], "one");
    assert_eq!(asked(&mut connected, container_on(0), "change")["host"], "one");
}

/// Else no cluster of which one node is being mended could be worked on.
#[test]
fn a_member_that_is_gone_has_no_other_guest_of_its_clusters_numbers() {
    let fleet = members();
    let mut connected = fleet.connect();
    assert_eq!(asked(&mut connected, container_on(1), "change")["host"], "two");
    fleet.machine("two").signal(Signal::SIGKILL);
    eventually("it is known to be gone", || is_down(&mut connected, "two"));
    let said = asked(&mut connected, container_on(0), "change");
    assert_eq!((&said["host"], &said["note"]), (&json!("one"), &Value::Null), "{said}");
}

#[test]
fn prompts_about_nodes_and_guests_are_not_listed_where_no_host_has_any() {
    let backup =
        |name: &str, house: &House| format!("{name}={}", house.dir.path().join("mcp.sock").display());
    let houses = [House::of("profile = \"observe\""), House::of("profile = \"observe\"")];
    let listed = |connected: &mut Connected| {
        let answer = connected.client.request("prompts/list", json!({}));
        answer["result"]["prompts"].as_array().expect("prompts").len()
    };
    let mut connected = Connected::new(&[backup("vault", &houses[0]), backup("cellar", &houses[1])]);
    assert_ne!(listed(&mut connected), 0, "nobody knows yet what they are");
    let answer = connected.call("read", json!({ "path": "/version" }));
    assert_eq!(answer["data"].as_array().map(Vec::len), Some(2), "{answer}");
    assert_eq!(listed(&mut connected), 0);

    let fleet = Fleet::of(vec![("shed", alone("shed", &[501]))]);
    let shed = format!("shed={}", fleet.machine("shed").site.socket().display());
    let mut connected = Connected::new(&[backup("vault", &houses[0]), shed]);
    connected.call("read", json!({ "path": "/version" }));
    assert_ne!(listed(&mut connected), 0);
}
