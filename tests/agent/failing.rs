//! A VM whose agent is not there, or does not do what is asked of it: what is wrong, and what to do about it.

use provost::sim::estate::guest::Run;
use serde_json::json;

use crate::{FULL, VM, change, failure, house, kind, machine};

#[test]
fn what_keeps_an_agent_from_a_command_is_named_with_its_mend() {
    let house = house(FULL);
    let mut client = house.client();
    let mut is = |what: &str, mend: &str| {
        let refused = failure(&mut client, "exec", change(&["true"]));
        assert_eq!(kind(&refused), what, "{refused}");
        let next = refused["error"]["next"].as_str().expect("what to do");
        assert!(next.contains(mend), "{what}: {next}");
        assert!(refused["error"]["message"].as_str().expect("text").contains("104"), "{refused}");
    };
    machine(&house, |machine| machine.disabled = vec!["guest-exec"]);
    is("agent_command_disabled", "block-rpcs");
    machine(&house, |machine| (machine.disabled, machine.lacks) = (vec![], vec!["guest-exec"]));
    is("agent_too_old", "newer qemu-guest-agent");
    machine(&house, |machine| (machine.lacks, machine.frozen) = (vec![], true));
    is("frozen", "wait");
    machine(&house, |machine| (machine.frozen, machine.answers) = (false, false));
    is("no_guest_agent", "start qemu-guest-agent");
    let agent = |value: Option<&str>| {
        house.sim.with_estate(|estate| {
            let config = &mut estate.guest_mut(VM).expect("the VM").config;
            match value {
                Some(value) => config.insert("agent".into(), value.into()),
                None => config.remove("agent"),
            };
        });
    };
    for off in [None, Some("0"), Some("enabled=0,fstrim_cloned_disks=1")] {
        agent(off);
        is("no_guest_agent", "/nodes/pve1/qemu/104/config with agent \"1\"");
    }
    agent(Some("1"));
    house.sim.with_estate(|estate| estate.guest_state_mut(VM).expect("the VM").run = Run::Stopped);
    is("stopped", "start the VM");
}

#[test]
fn a_system_that_is_not_told_is_taken_for_none_that_is_known() {
    let house = house(FULL);
    let mut client = house.client();
    machine(&house, |machine| machine.disabled = vec!["guest-get-osinfo"]);
    assert_eq!(client.exec(change(&["echo", "x"]))["stdout"], "x\n");
    let refused = failure(&mut client, "exec", crate::with(change(&["pwd"]), json!({ "cwd": "/tmp" })));
    assert_eq!(kind(&refused), "not_in_this_vm", "{refused}");
    assert!(refused["error"]["message"].as_str().expect("text").contains("has been disabled"), "{refused}");
}
