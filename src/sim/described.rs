//! Who may, where a method's schema says "anybody" and its prose whom: the method's own code looks, once its parameters
//! are known to be right. What only cuts a list is done where the list is made.

use super::answer::Refusal;
use super::call::Call;
use super::permission::ROOT;
use crate::catalog::{Method, Permission};

/// Of a network's rows: who may see it, and who may change it.
const SEE_VNET: &[&str] = &["SDN.Audit", "SDN.Allocate"];
const CHANGE_VNET: &[&str] = &["SDN.Allocate"];

const SEE_STORAGE: &[&str] = &["Datastore.Audit", "Datastore.AllocateSpace"];

/// Methods that reach many guests, and what they need of each.
const OF_MANY: &[(&str, &str)] = &[
    ("/cluster/bulk-action/guest/migrate", "VM.Migrate"),
    ("/cluster/bulk-action/guest/shutdown", "VM.PowerMgmt"),
    ("/cluster/bulk-action/guest/start", "VM.PowerMgmt"),
    ("/cluster/bulk-action/guest/suspend", "VM.PowerMgmt"),
    ("/nodes/{node}/migrateall", "VM.Migrate"),
    ("/nodes/{node}/startall", "VM.PowerMgmt"),
    ("/nodes/{node}/stopall", "VM.PowerMgmt"),
    ("/nodes/{node}/suspendall", "VM.PowerMgmt"),
];

/// Methods that look into a storage or what it holds.
const OF_STORAGE: &[(&str, &[&str])] = &[
    ("/nodes/{node}/storage/{storage}/file-restore/download", SEE_STORAGE),
    ("/nodes/{node}/storage/{storage}/file-restore/list", SEE_STORAGE),
    ("/nodes/{node}/storage/{storage}/import-metadata", SEE_STORAGE),
    ("/nodes/{node}/vzdump/defaults", SEE_STORAGE),
    ("/nodes/{node}/vzdump/extractconfig", &["Datastore.AllocateSpace"]),
];

/// Lists that whoever lacks rights gets empty.
const OPEN: &[&str] = &[
    "/cluster/sdn/vnets",
    "/cluster/sdn/vnets/{vnet}/subnets",
    "/cluster/replication",
    "/nodes/{node}/replication",
];

pub fn permitted(call: &Call<'_>) -> Result<(), Refusal> {
    let path = call.endpoint.path.as_str();
    let reads = call.endpoint.method == Method::Get;
    if !matches!(call.endpoint.permission, Permission::All { .. })
        || call.who == ROOT
        || (reads && OPEN.contains(&path))
    {
        return Ok(());
    }
    if let Some((_, privilege)) = OF_MANY.iter().find(|(of_many, _)| *of_many == path) {
        return of_many(call, privilege);
    }
    if path.contains("/sdn/vnets/{vnet}") {
        return vnet(call, if reads { SEE_VNET } else { CHANGE_VNET });
    }
    if path.contains("/replication") {
        return replication(call, reads);
    }
    if let Some((_, wanted)) = OF_STORAGE.iter().find(|(of_storage, _)| *of_storage == path) {
        return storage(call, wanted);
    }
    Ok(())
}

/// On all there are, or on each that is named: who names none must be allowed all.
fn of_many(call: &Call<'_>, privilege: &str) -> Result<(), Refusal> {
    let caller = call.caller();
    let named = call.list("vms");
    if caller.may("/", privilege) {
        return Ok(());
    }
    if named.is_empty() {
        return caller.need("/", &[privilege]);
    }
    named.iter().try_for_each(|vmid| caller.need(&format!("/vms/{vmid}"), &[privilege]))
}

/// A network that is not there is nobody's: the method says so.
fn vnet(call: &Call<'_>, wanted: &[&str]) -> Result<(), Refusal> {
    let vnet = call.need("vnet");
    let known = call.estate.sections("sdn/vnets.cfg").find(&vnet);
    let Some(zone) = known.and_then(|vnet| vnet.get("zone")) else { return Ok(()) };
    call.caller().need_any(&format!("/sdn/zones/{zone}/{vnet}"), wanted)
}

fn replication(call: &Call<'_>, reads: bool) -> Result<(), Refusal> {
    let (caller, id) = (call.caller(), call.need("id"));
    let guest = format!("/vms/{}", id.split('-').next().unwrap_or_default());
    if call.endpoint.path.ends_with("/log") && caller.may(&format!("/nodes/{}", call.node()), "Sys.Audit") {
        return Ok(());
    }
    caller.need(&guest, &[if reads { "VM.Audit" } else { "VM.Replicate" }])
}

/// The storage that is named, or of the volume; a backup is its guest's, too.
fn storage(call: &Call<'_>, wanted: &[&str]) -> Result<(), Refusal> {
    let caller = call.caller();
    let volume = call.get("volume");
    let of_volume = volume.and_then(|volume| Some(volume.split_once(':')?.0));
    let storage = call.get("storage").or(of_volume).unwrap_or("local");
    caller.need_any(&format!("/storage/{storage}"), wanted)?;
    let held = volume.and_then(|volume| call.estate.volume(volume, &call.node()));
    match held.filter(|volume| volume.content == "backup").and_then(|volume| volume.vmid) {
        Some(guest) => caller.need(&format!("/vms/{guest}"), &["VM.Backup"]),
        None => Ok(()),
    }
}
