//! Starting and stopping guests, and what a node does to all of its own.

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::guest::{Kind, Run};
use super::super::estate::{Estate, now};
use super::super::route::Row;
use super::super::task::Work;
use crate::catalog::Method::Post;

pub const TABLE: &[Row] = &[
    (Post, "/nodes/{node}/qemu/{vmid}/status/start", start),
    (Post, "/nodes/{node}/qemu/{vmid}/status/stop", stop),
    (Post, "/nodes/{node}/qemu/{vmid}/status/shutdown", shutdown),
    (Post, "/nodes/{node}/qemu/{vmid}/status/reboot", reboot),
    (Post, "/nodes/{node}/qemu/{vmid}/status/reset", reset),
    (Post, "/nodes/{node}/qemu/{vmid}/status/suspend", suspend),
    (Post, "/nodes/{node}/qemu/{vmid}/status/resume", resume),
    (Post, "/nodes/{node}/lxc/{vmid}/status/start", start),
    (Post, "/nodes/{node}/lxc/{vmid}/status/stop", stop),
    (Post, "/nodes/{node}/lxc/{vmid}/status/shutdown", shutdown),
    (Post, "/nodes/{node}/lxc/{vmid}/status/reboot", reboot),
    (Post, "/nodes/{node}/lxc/{vmid}/status/suspend", suspend),
    (Post, "/nodes/{node}/lxc/{vmid}/status/resume", resume),
    (Post, "/nodes/{node}/startall", |call| all(call, "startall", set_running)),
    (Post, "/nodes/{node}/stopall", |call| all(call, "stopall", set_stopped)),
    (Post, "/nodes/{node}/suspendall", |call| {
        all(call, "suspendall", |estate, vmid| {
            if estate.guest(vmid).is_some_and(|guest| guest.kind == Kind::Qemu) {
                set_paused(estate, vmid);
            }
        })
    }),
    (Post, "/cluster/bulk-action/guest/start", |call| bulk(call, "bulkstart", set_running)),
    (Post, "/cluster/bulk-action/guest/shutdown", |call| bulk(call, "bulkshutdown", set_stopped)),
    (Post, "/cluster/bulk-action/guest/suspend", |call| bulk(call, "bulksuspend", set_paused)),
];

/// A process of its own for a guest that runs from now on. What waited for a restart holds from here.
pub fn set_running(estate: &mut Estate, vmid: u32) {
    let pid = u32::try_from(20_000 + estate.count() % 4_000_000).unwrap_or(20_000);
    if estate.guest(vmid).is_some_and(|guest| !guest.pending.is_empty())
        && let Some(guest) = estate.guest_mut(vmid)
    {
        for (key, value) in std::mem::take(&mut guest.pending) {
            if value.is_empty() {
                guest.config.remove(&key);
            } else {
                guest.config.insert(key, value);
            }
        }
    }
    if let Some(guest) = estate.guest_state_mut(vmid) {
        guest.run = Run::Running { since: now(), pid };
    }
}

pub fn set_stopped(estate: &mut Estate, vmid: u32) {
    if let Some(guest) = estate.guest_state_mut(vmid) {
        guest.run = Run::Stopped;
    }
    if let Some(machine) = estate.machines.get_mut(&vmid) {
        machine.stop();
    }
}

fn set_paused(estate: &mut Estate, vmid: u32) {
    if let Some(guest) = estate.guest_state_mut(vmid)
        && let Run::Running { since, pid } = guest.run
    {
        guest.run = Run::Paused { since, pid };
    }
}

fn set_resumed(estate: &mut Estate, vmid: u32) {
    if let Some(guest) = estate.guest_state_mut(vmid)
        && let Run::Paused { since, pid } = guest.run
    {
        guest.run = Run::Running { since, pid };
    }
}

/// `qmstart` or `vzstart`.
fn kind(call: &Call<'_>, verb: &str) -> String {
    format!("{}{verb}", if call.kind() == Kind::Qemu { "qm" } else { "vz" })
}

/// A guest that HA watches is not touched; the manager is asked.
fn by_manager(call: &mut Call<'_>, state: &'static str, verb: &str) -> Option<Result<Reply, Refusal>> {
    let guest = call.guest().ok()?;
    let sid = super::ha::resource_of(call.estate, guest)?.id.clone();
    let vmid = guest.vmid;
    let work = Work::new().step(0.5, format!("Requesting HA {verb} for {sid}")).end(move |estate, _| {
        if let Some(resource) = estate.sections_mut("ha/resources.cfg").find_mut(&sid) {
            resource.values.insert("state".to_owned(), state.to_owned());
        }
        if state == "started" {
            set_running(estate, vmid)
        } else {
            set_stopped(estate, vmid)
        }
        Ok(())
    });
    Some(call.task(&format!("ha{verb}"), vmid, work))
}

fn skips_lock(call: &Call<'_>) -> Result<bool, Refusal> {
    if call.flag("skiplock") {
        call.caller().need_root("")?;
        return Ok(true);
    }
    Ok(false)
}

fn work(call: &Call<'_>) -> Result<Work, Refusal> {
    let work = Work::new();
    Ok(if skips_lock(call)? { work } else { work.lock(call.vmid(), "") })
}

fn start(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest()?;
    let (vmid, lxc, template, running) =
        (guest.vmid, guest.kind == Kind::Lxc, guest.is_template(), guest.is_running());
    if lxc && running {
        return Err(Refusal::die(format!("CT {vmid} already running")));
    }
    if let Some(reply) = by_manager(call, "started", "start") {
        return reply;
    }
    let work = work(call)?
        .begin(move |_, _| match (template, running, lxc) {
            (true, _, true) => Err("you can't start a CT if it's a template".to_owned()),
            (true, _, false) => Err("you can't start a vm if it's a template".to_owned()),
            (_, true, _) => Err(format!("VM {vmid} already running")),
            _ => Ok(()),
        })
        .step(if lxc { 1.5 } else { 2.5 }, format!("starting {} {vmid}", if lxc { "CT" } else { "VM" }))
        .end(move |estate, _| {
            set_running(estate, vmid);
            Ok(())
        });
    call.task(&kind(call, "start"), vmid, work)
}

/// Refuses for a guest that does not run; a VM's methods say it in the worker, most of them.
fn must_run(call: &Call<'_>) -> Result<u32, Refusal> {
    let guest = call.guest()?;
    if guest.is_running() {
        return Ok(guest.vmid);
    }
    Err(Refusal::die(format!("{} {} not running", guest.kind.word(), guest.vmid)))
}

fn stop(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let vmid = if call.kind() == Kind::Lxc { must_run(call)? } else { call.guest()?.vmid };
    if let Some(reply) = by_manager(call, "stopped", "stop") {
        return reply;
    }
    let work = work(call)?.step(0.5, "stopping").end(move |estate, _| {
        set_stopped(estate, vmid);
        Ok(())
    });
    call.task(&kind(call, "stop"), vmid, work)
}

fn shutdown(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let vmid = if call.kind() == Kind::Lxc { must_run(call)? } else { call.guest()?.vmid };
    if let Some(reply) = by_manager(call, "stopped", "shutdown") {
        return reply;
    }
    let running = call.guest()?.is_running();
    let work = work(call)?
        .begin(move |_, _| if running { Ok(()) } else { Err(format!("VM {vmid} not running")) })
        .step(6.0, "shutting down")
        .end(move |estate, _| {
            set_stopped(estate, vmid);
            Ok(())
        });
    call.task(&kind(call, "shutdown"), vmid, work)
}

fn reboot(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let vmid = must_run(call)?;
    let work = work(call)?.step(8.0, "rebooting").end(move |estate, _| {
        set_running(estate, vmid);
        Ok(())
    });
    call.task(&kind(call, "reboot"), vmid, work)
}

fn reset(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let vmid = must_run(call)?;
    let work = work(call)?;
    call.task("qmreset", vmid, work)
}

fn suspend(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let vmid = must_run(call)?;
    let to_disk = call.flag("todisk");
    let work = work(call)?.step(1.0, "suspending").end(move |estate, _| {
        if to_disk {
            set_stopped(estate, vmid);
            if let Some(guest) = estate.guest_mut(vmid) {
                guest.config.insert("lock".to_owned(), "suspended".to_owned());
            }
        } else {
            set_paused(estate, vmid);
        }
        Ok(())
    });
    call.task(&kind(call, "suspend"), vmid, work)
}

fn resume(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest()?;
    let (vmid, suspended) = (guest.vmid, guest.get("lock") == Some("suspended"));
    if !suspended {
        must_run(call)?;
    }
    let work = Work::new().step(0.5, "resuming").end(move |estate, _| {
        if suspended {
            if let Some(guest) = estate.guest_mut(vmid) {
                guest.config.remove("lock");
            }
            set_running(estate, vmid);
        } else {
            set_resumed(estate, vmid);
        }
        Ok(())
    });
    call.task(&kind(call, "resume"), vmid, work)
}

/// Those of the call's `vms`, or all, which the caller may power.
fn chosen(call: &Call<'_>, node: Option<&str>) -> Vec<u32> {
    let named: Vec<u32> = call.list("vms").iter().filter_map(|vmid| vmid.parse().ok()).collect();
    let caller = call.caller();
    let guests = call.estate.guests().filter(|guest| {
        node.is_none_or(|node| guest.node == node)
            && (named.is_empty() || named.contains(&guest.vmid))
            && !guest.is_template()
            && caller.may(&format!("/vms/{}", guest.vmid), "VM.PowerMgmt")
    });
    guests.map(|guest| guest.vmid).collect()
}

fn each(vmids: Vec<u32>, change: fn(&mut Estate, u32)) -> Work {
    let mut work = Work::new();
    for vmid in &vmids {
        work = work.step(0.5, format!("guest {vmid}"));
    }
    work.end(move |estate, _| {
        for vmid in vmids {
            if estate.unlocked(vmid).is_ok() {
                change(estate, vmid);
            }
        }
        Ok(())
    })
}

fn all(call: &mut Call<'_>, kind: &str, change: fn(&mut Estate, u32)) -> Result<Reply, Refusal> {
    let node = call.node();
    let mut vmids = chosen(call, Some(&node));
    if kind == "startall" && call.list("vms").is_empty() && !call.flag("force") {
        vmids.retain(|vmid| call.estate.guest(*vmid).is_some_and(|guest| guest.get("onboot") == Some("1")));
    }
    call.task(kind, "", each(vmids, change))
}

fn bulk(call: &mut Call<'_>, kind: &str, change: fn(&mut Estate, u32)) -> Result<Reply, Refusal> {
    let work = each(chosen(call, None), change);
    call.task(kind, "", work)
}
