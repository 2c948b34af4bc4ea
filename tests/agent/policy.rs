//! Who may have a command run in a VM: what a change is for, and nobody else.

use provost::sim::Options;
use provost::sim::estate::access::Holder;
use serde_json::json;

use crate::house::{House, error};
use crate::{FULL, VM, change, commands, estate, failure, house, kind, roles};

#[test]
fn the_inspect_lane_which_is_the_default_is_refused_with_what_to_do() {
    let house = house(FULL);
    let mut client = house.client();
    for arguments in
        [json!({ "guest": VM, "argv": ["id"] }), json!({ "guest": VM, "argv": ["id"], "mode": "inspect" })]
    {
        let refused = failure(&mut client, "exec", arguments);
        assert_eq!(kind(&refused), "no_inspect_lane", "{refused}");
        let next = refused["error"]["next"].as_str().expect("what to do");
        assert!(next.contains("mode \"change\"") && !next.contains("operator"), "{next}");
    }
    house.refusal("no_inspect_lane");
    assert!(commands(&house).is_empty());
}

#[test]
fn a_role_that_may_not_change_is_told_which_setting_it_takes() {
    for (keys, asked) in
        [("exec = \"inspect\"", "change"), ("exec = \"inspect\"", "inspect"), ("exec = \"none\"", "change")]
    {
        let house = house(&format!("profile = \"full\"\napproval = []\n{keys}"));
        let mut client = house.client();
        let refused = failure(&mut client, "exec", json!({ "guest": VM, "argv": ["id"], "mode": asked }));
        assert_eq!(kind(&refused), "no_inspect_lane", "{keys} {asked}: {refused}");
        let next = refused["error"]["next"].as_str().expect("what to do");
        assert!(next.contains("exec = \"change\" for role \"test\""), "{next}");
        house.refusal("no_inspect_lane");
        assert!(commands(&house).is_empty());
    }
}

#[test]
fn a_role_of_any_profile_whose_exec_is_change_may() {
    let house = house("profile = \"observe\"\nexec = \"change\"");
    assert_eq!(house.client().exec(change(&["echo", "x"]))["stdout"], "x\n");
}

#[test]
fn scope_deny_rate_halt_and_the_switch_hold_as_for_containers() {
    let full = |more: &str| format!("{FULL}\n{more}");
    let scoped = house(&full("guests = [\"200-299\"]"));
    assert_eq!(error(&mut scoped.client(), "exec", change(&["id"])), "guest_out_of_scope");
    let denied = house(&full("deny = [\"POST /nodes/{node}/qemu/{vmid}/agent/exec\"]"));
    assert_eq!(error(&mut denied.client(), "exec", change(&["id"])), "denied_to_role");
    let rated = house(&full("rate = \"1/h\""));
    rated.client().exec(change(&["id"]));
    assert_eq!(error(&mut rated.client(), "exec", change(&["id"])), "rate");
    let (well, said) = rated.provost(&["halt", "--why", "the test"]);
    assert!(well, "{said}");
    assert_eq!(error(&mut rated.client(), "exec", change(&["id"])), "halted");
    let off = House::with(estate(), &crate::role(FULL), None, |_| {});
    assert_eq!(error(&mut off.client(), "exec", change(&["id"])), "disabled");
    for house in [&scoped, &denied, &off] {
        assert!(commands(house).is_empty());
    }
}

/// A role's own token, which has this role in PVE for the VM.
fn with_token(privileges: &[&str], set: impl FnOnce(&mut Options)) -> (House, tempfile::TempDir) {
    use std::os::unix::fs::PermissionsExt;
    let mut estate = estate();
    let access = estate.access_mut();
    access.roles.insert("Inside".into(), privileges.iter().map(|name| (*name).to_owned()).collect());
    if let Some(token) = access.users.get_mut("agent@pve").and_then(|user| user.tokens.get_mut("mcp")) {
        token.privsep = false;
    }
    access.acl.clear();
    let holder = access.acl.entry("/vms/104".to_owned()).or_default();
    holder.entry(Holder::User("agent@pve".to_owned())).or_default().insert("Inside".to_owned(), true);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("token");
    std::fs::write(&file, "agent@pve!mcp=00000000-0000-4000-a000-000000000002").expect("token");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("mode");
    let keys = format!("{FULL}\ntoken = \"{}\"", file.display());
    (House::with(estate, &roles(&keys, ""), None, set), dir)
}

#[test]
fn pves_own_privileges_are_the_floor_by_the_roles_token_in_each_release() {
    let (without, _dir) = with_token(&["VM.Audit", "VM.GuestAgent.Audit", "VM.GuestAgent.FileRead"], |_| {});
    let refused = failure(&mut without.client(), "exec", change(&["id"]));
    assert_eq!(kind(&refused), "forbidden", "{refused}");
    assert!(
        refused["error"]["message"].as_str().expect("text").contains("VM.GuestAgent.Unrestricted"),
        "{refused}"
    );
    assert!(commands(&without).is_empty());
    let (with, _dir) = with_token(&["VM.GuestAgent.Unrestricted"], |_| {});
    assert_eq!(with.client().exec(change(&["echo", "x"]))["stdout"], "x\n");
    let old = |options: &mut Options| {
        options.catalog = provost::catalog::Catalog::embedded(provost::catalog::Release::V8_4);
    };
    let (with, _dir) = with_token(&["VM.Monitor"], old);
    assert_eq!(with.client().exec(change(&["echo", "x"]))["stdout"], "x\n");
}

#[test]
fn a_vm_of_another_node_is_reached_by_way_of_this_one() {
    let mut estate = provost::sim::estate::demo(40, &[]);
    let here = estate.local().name.clone();
    let away = estate
        .guests()
        .find(|guest| guest.node != here && guest.kind == provost::sim::estate::guest::Kind::Qemu);
    let (vmid, node) = away.map(|guest| (guest.vmid, guest.node.clone())).expect("a VM elsewhere");
    let guest = estate.guest_mut(vmid).expect("the VM");
    guest.config.insert("agent".to_owned(), "enabled=1".to_owned());
    guest.run = provost::sim::estate::guest::Run::Running { since: 1, pid: 1 };
    estate.machines.insert(vmid, provost::sim::machine::Machine::bound());
    let house = House::with(estate, &roles(FULL, ""), None, |_| {});
    let answer = house.client().exec(json!({ "guest": vmid, "mode": "change", "argv": ["echo", "there"] }));
    assert_eq!(answer["stdout"], "there\n", "{answer}");
    let outcome = crate::receipt(&house, &answer["receipt"]);
    assert_eq!(crate::intent_of(&house, &outcome).body["args"]["vm"], json!(node));
}

#[test]
fn a_container_is_none_whatever_its_number() {
    let house = house(FULL);
    // Nobody listens at the socket of containers' commands: it is that door at which this ends.
    let refused =
        failure(&mut house.client(), "exec", json!({ "guest": 101, "mode": "change", "argv": ["id"] }));
    assert!(kind(&refused).starts_with("execd"), "{refused}");
    assert!(commands(&house).is_empty());
}
