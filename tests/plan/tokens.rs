//! A role that names a PVE token of its own reads, plans and applies by it and by nothing wider.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use provost::sim::estate::access::Holder;
use provost::sim::estate::{Estate, recorded};
use serde_json::{Value, json};

use crate::house::{House, apply, call, error, plan, role};

const CONFIG: &str = "/nodes/pve1/lxc/101/config";
const TOKEN: &str = "agent@pve!mcp=00000000-0000-4000-a000-000000000002";

/// The token's user may do this to guest 101 and nothing else.
fn may(estate: &mut Estate, role: &str) {
    let access = estate.access_mut();
    if let Some(token) = access.users.get_mut("agent@pve").and_then(|user| user.tokens.get_mut("mcp")) {
        token.privsep = false;
    }
    access.acl.clear();
    let holder = access.acl.entry("/vms/101".to_owned()).or_default();
    holder.entry(Holder::User("agent@pve".to_owned())).or_default().insert(role.to_owned(), true);
}

#[test]
fn what_a_role_reads_plans_and_applies_goes_by_its_own_token() {
    let keys = "profile = \"full\"\napproval = []\ntoken = \"role-token\"";
    let mut estate = recorded();
    may(&mut estate, "PVEVMAdmin");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("role-token");
    fs::write(&file, TOKEN).unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let roles = role(keys).replace("role-token", file.to_str().unwrap());
    let house = House::with(estate, &roles, None, |_| {});
    let mut client = house.client();
    // The daemon's own token sees every guest; the role's sees one.
    let seen = call(&mut client, "read", json!({ "path": "/cluster/resources", "args": { "type": "vm" } }));
    let seen: Vec<&Value> = seen["data"].as_array().unwrap().iter().map(|row| &row["vmid"]).collect();
    assert_eq!(seen, [101], "read");
    let other = client.call(
        "plan",
        json!({ "method": "PUT", "path": "/nodes/pve1/qemu/104/config", "args": { "memory": 512 } }),
    );
    let not_seen = other["structuredContent"]["not_seen"].to_string();
    assert!(other["isError"] == true || not_seen.contains("could not be read"), "plan: {other}");
    let start = plan(&mut client, "POST", "/nodes/pve1/lxc/101/status/start", json!({}));
    let applied = call(&mut client, "apply", apply(&start));
    assert!(applied["upid"].as_str().unwrap().contains(":agent@pve!mcp:"), "apply: {applied}");
    // What PVE takes from the token meanwhile, the change does not get by another.
    let change = plan(&mut client, "PUT", CONFIG, json!({ "memory": 1024 }));
    house.sim.with_estate(|estate| may(estate, "PVEAuditor"));
    let refused = client.call("apply", apply(&change));
    assert_eq!(refused["isError"], true, "{refused}");
    assert!(refused["structuredContent"].to_string().contains("Permission check failed"), "{refused}");
    assert_eq!(house.setting(101, "memory").as_deref(), Some("768"));
    // A token that is none is not made up for by the daemon's own.
    fs::write(&file, TOKEN.replace("0002", "0009")).unwrap();
    for (tool, arguments) in [
        ("read", json!({ "path": "/version" })),
        ("plan", json!({ "method": "PUT", "path": CONFIG, "args": { "memory": 512 } })),
    ] {
        assert_eq!(error(&mut client, tool, arguments), "pve_token", "{tool}");
    }
}
