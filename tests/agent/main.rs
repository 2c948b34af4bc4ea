//! Virtual machines by their guest agent, as a client has it: a simulated cluster whose VM 104 is bound to this very machine,
//! so that its commands are real processes and its files real files.

#[path = "../common/mod.rs"]
mod common;
#[path = "../plan/house.rs"]
#[allow(dead_code, reason = "for the suite of plans as well")]
mod house;
#[path = "../plan/site.rs"]
#[allow(dead_code, reason = "for the suite of plans as well")]
mod site;

mod ends;
mod exec;
mod failing;
mod get;
mod policy;
mod put;

use provost::ledger::Receipt;
use provost::sim::estate::{Estate, recorded};
use provost::sim::machine::Machine;
use serde_json::{Value, json};

use common::Client;
use house::{House, role};

const VM: u32 = 104;
const FULL: &str = "profile = \"full\"\napproval = []";

/// The recorded cluster with VM 104 running, its agent on, and bound.
fn estate() -> Estate {
    let mut estate = recorded();
    let guest = estate.guest_mut(VM).expect("the VM");
    guest.config.insert("agent".to_owned(), "1".to_owned());
    guest.run = provost::sim::estate::guest::Run::Running { since: 1, pid: 1 };
    estate.machines.insert(VM, Machine::bound());
    estate
}

fn house(keys: &str) -> House {
    house_with(keys, "")
}

/// With further keys of [exec].
fn house_with(keys: &str, exec: &str) -> House {
    House::with(estate(), &roles(keys, exec), None, |_| {})
}

fn roles(keys: &str, exec: &str) -> String {
    format!("[exec]\nenabled = true\n{exec}\n{}", role(keys))
}

fn change(argv: &[&str]) -> Value {
    json!({ "guest": VM, "mode": "change", "argv": argv })
}

fn with(mut arguments: Value, more: Value) -> Value {
    for (name, value) in more.as_object().expect("an object") {
        arguments[name] = value.clone();
    }
    arguments
}

/// The whole error that a call gives.
fn failure(client: &mut Client, tool: &str, arguments: Value) -> Value {
    let result = client.call(tool, arguments);
    assert_eq!(result["isError"], true, "{result}");
    result["structuredContent"].clone()
}

fn kind(failure: &Value) -> &str {
    failure["error"]["kind"].as_str().unwrap_or_default()
}

/// The receipt of this number.
fn receipt(house: &House, seq: &Value) -> Receipt {
    let seq = seq.as_u64().unwrap_or_else(|| panic!("no number of a receipt: {seq}"));
    let all = house.receipts();
    all.into_iter().find(|receipt| receipt.seq == seq).unwrap_or_else(|| panic!("no receipt {seq}"))
}

/// The intent of an outcome.
fn intent_of(house: &House, outcome: &Receipt) -> Receipt {
    receipt(house, &outcome.body["of"])
}

/// Commands that the VM's agent was given.
fn commands(house: &House) -> Vec<Vec<String>> {
    house.sim.with_estate(|estate| estate.machines.get(&VM).map(|vm| vm.commands.clone()).unwrap_or_default())
}

fn machine(house: &House, change: impl FnOnce(&mut Machine)) {
    house.sim.with_estate(|estate| change(estate.machines.get_mut(&VM).expect("the machine")));
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // What nobody has waited for yet runs no more.
    !stat.is_empty() && !stat.contains(") Z ")
}
