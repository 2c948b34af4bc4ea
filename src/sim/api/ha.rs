//! `/cluster/ha`: resources, rules and the manager's status. Nothing is really watched; what is asked for is so.

use serde_json::{Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::Estate;
use super::super::estate::guest::{Guest, Kind};
use super::super::estate::sections::Section;
use super::super::route::Row;
use super::super::task::Work;
use super::{lifecycle, sections};
use crate::catalog::Method::{Delete, Get, Post, Put};

pub const TABLE: &[Row] = &[
    (Get, "/cluster/ha/groups", |call| groups(call, "index groups", sections::list)),
    (Post, "/cluster/ha/groups", |call| groups(call, "create group", sections::create)),
    (Get, "/cluster/ha/groups/{group}", |call| groups(call, "read group", sections::read)),
    (Put, "/cluster/ha/groups/{group}", |call| groups(call, "update group", sections::change)),
    (Delete, "/cluster/ha/groups/{group}", |call| groups(call, "delete group", sections::remove)),
    (Post, "/cluster/ha/resources", create),
    (Put, "/cluster/ha/resources/{sid}", change),
    (Delete, "/cluster/ha/resources/{sid}", remove),
    (Post, "/cluster/ha/resources/{sid}/migrate", migrate),
    (Post, "/cluster/ha/resources/{sid}/relocate", migrate),
    (Get, "/cluster/ha/rules", sections::list),
    (Post, "/cluster/ha/rules", create_rule),
    (Get, "/cluster/ha/rules/{rule}", sections::read),
    (Put, "/cluster/ha/rules/{rule}", sections::change),
    (Delete, "/cluster/ha/rules/{rule}", sections::remove),
    (Get, "/cluster/ha/status/current", current),
    (Post, "/cluster/ha/status/arm-ha", |call| arm(call, false)),
    (Post, "/cluster/ha/status/disarm-ha", |call| arm(call, true)),
    (Get, "/cluster/ha/status/manager_status", manager),
];

fn name_of(guest: &Guest) -> String {
    let kind = if guest.kind == Kind::Lxc { "ct" } else { "vm" };
    format!("{kind}:{}", guest.vmid)
}

pub fn resource_of<'a>(estate: &'a Estate, guest: &Guest) -> Option<&'a Section> {
    let resources = estate.sections("ha/resources.cfg");
    if resources.list.is_empty() { None } else { resources.find(&name_of(guest)) }
}

/// They are of releases from before the rules.
fn groups(
    call: &mut Call<'_>,
    what: &str,
    answer: fn(&mut Call<'_>) -> Result<Reply, Refusal>,
) -> Result<Reply, Refusal> {
    if call.shared.endpoint(Get, "/cluster/ha/rules").is_some() {
        return Err(Refusal::die(format!("cannot {what}: ha groups have been migrated to rules")));
    }
    answer(call)
}

/// Resources name a guest by its number alone, too.
fn normal(call: &Call<'_>) -> Result<(String, Guest), Refusal> {
    let given = call.need("sid");
    let number = given.rsplit(':').next().unwrap_or_default();
    let guest = number.parse().ok().and_then(|vmid| call.estate.guest(vmid)).cloned();
    let guest =
        guest.ok_or_else(|| Refusal::die(format!("unable to find resource '{given}': no such guest")))?;
    Ok((name_of(&guest), guest))
}

fn create(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (sid, guest) = normal(call)?;
    call.parameters.insert("sid".to_owned(), sid);
    let reply = sections::create(call)?;
    follow(call, &guest);
    Ok(reply)
}

fn change(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let reply = sections::change(call)?;
    if let Ok((_, guest)) = normal(call) {
        follow(call, &guest);
    }
    Ok(reply)
}

/// The manager brings the guest into the state that is asked for.
fn follow(call: &mut Call<'_>, guest: &Guest) {
    let wanted =
        resource_of(call.estate, guest).and_then(|resource| resource.get("state")).unwrap_or("started");
    let (wanted, running) = (wanted.to_owned(), guest.is_running());
    let statistics = call.estate.statistics;
    match &*wanted {
        "started" | "enabled" if !running && statistics => lifecycle::set_running(call.estate, guest.vmid),
        "stopped" | "disabled" if running => lifecycle::set_stopped(call.estate, guest.vmid),
        _ => {}
    }
}

fn remove(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let sid = call.need("sid");
    let sid = if sid.contains(':') { sid } else { format!("vm:{sid}") };
    if call.estate.sections("ha/resources.cfg").find(&sid).is_none() {
        return Err(Refusal::die(format!("cannot delete service '{sid}', not HA managed!")));
    }
    let purge = call.get("purge") != Some("0");
    forget(call.estate, &sid, purge);
    Ok(Reply::NULL)
}

/// Takes a resource out of the manager's care; out of the rules that name it, too, if it is to be.
pub fn forget(estate: &mut Estate, sid: &str, purge: bool) {
    if !estate.sections_mut("ha/resources.cfg").remove(sid) || !purge {
        return;
    }
    let rules = estate.sections_mut("ha/rules.cfg");
    for rule in &mut rules.list {
        let Some(resources) = rule.values.get_mut("resources") else { continue };
        let left: Vec<&str> = resources.split(',').filter(|name| *name != sid).collect();
        *resources = left.join(",");
    }
    rules.list.retain(|rule| rule.get("resources") != Some(""));
}

fn create_rule(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let known = |sid: &String| call.estate.sections("ha/resources.cfg").find(sid).is_some();
    if let Some(missing) = call.list("resources").iter().find(|sid| !known(sid)) {
        return Err(Refusal::parameter("resources", format!("cannot use unmanaged resource(s) {missing}.")));
    }
    sections::create(call)
}

fn migrate(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (sid, guest) = normal(call)?;
    let target = call.need("node");
    if call.estate.sections("ha/resources.cfg").find(&sid).is_none() {
        return Err(Refusal::die(format!("cannot migrate resource '{sid}', not HA managed!")));
    }
    if call.estate.node(&target).is_none() {
        return Err(Refusal::parameter("node", format!("no such cluster node '{target}'")));
    }
    let vmid = guest.vmid;
    let to = target.clone();
    let work =
        Work::new().step(2.0, format!("requested migration of {sid} to {target}")).end(move |estate, _| {
            estate.move_guest(vmid, &to);
            Ok(())
        });
    call.task_on(&guest.node, "hamigrate", vmid, work)?;
    Ok(json!({ "sid": sid, "requested-node": target }).into())
}

/// As a manager without work is, which is what stands in for one here: what is asked holds at once.
fn arm(call: &mut Call<'_>, disarm: bool) -> Result<Reply, Refusal> {
    call.estate.ha_disarmed = disarm.then(|| call.need("resource-mode"));
    call.estate.version += 1;
    Ok(Reply::NULL)
}

fn current(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let estate = &*call.estate;
    let local = &estate.local().name;
    let quorate = estate.is_quorate();
    let quorum = if quorate { "OK" } else { "No quorum on node" };
    let mut rows = vec![
        json!({ "id": "quorum", "type": "quorum", "node": local, "quorate": u8::from(quorate), "status": quorum }),
        match &estate.ha_disarmed {
            Some(mode) => json!({
                "id": "fencing", "type": "fencing", "node": local, "armed-state": "disarmed", "resource_mode": mode,
                "status": format!("disarmed (resource mode: {mode})"),
            }),
            None => json!({
                "id": "fencing", "type": "fencing", "node": local, "armed-state": "standby",
                "status": "standby (CRM watchdog standby)",
            }),
        },
    ];
    for resource in &estate.sections("ha/resources.cfg").list {
        let vmid = resource.id.rsplit(':').next().and_then(|vmid| vmid.parse().ok());
        let guest = vmid.and_then(|vmid| estate.guest(vmid));
        let node = guest.map_or(local, |guest| &guest.node);
        let wanted = resource.get("state").unwrap_or("started");
        let state = if estate.statistics { wanted } else { "queued" };
        let number = |key: &str| resource.get(key).and_then(|value| value.parse::<u32>().ok()).unwrap_or(1);
        rows.push(json!({
            "id": format!("service:{}", resource.id), "type": "service", "sid": resource.id, "node": node,
            "state": state, "request_state": wanted, "status": format!("{} ({node}, {state})", resource.id),
            "max_restart": number("max_restart"), "max_relocate": number("max_relocate"), "failback": 1,
        }));
    }
    Ok(Value::Array(rows).into())
}

fn manager(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let estate = &*call.estate;
    let states = if estate.statistics {
        estate
            .nodes
            .iter()
            .map(|node| (node.name.clone(), json!(if node.online { "online" } else { "unknown" })))
            .collect::<serde_json::Map<_, _>>()
    } else {
        serde_json::Map::new()
    };
    let quorate = if estate.is_quorate() { "1" } else { "0" };
    Ok(json!({
        "quorum": { "node": estate.local().name, "quorate": quorate },
        "manager_status": { "node_status": states },
    })
    .into())
}
