//! Guests' configurations: read, and changed key by key with the privilege that each key needs.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::Estate;
use super::super::estate::guest::{Guest, Kind, Values, bytes, is_disk, property, volume};
use super::super::route::Row;
use super::super::task::Work;
use super::super::verify;
use super::sections::as_kind;
use super::value;
use crate::catalog::Method::{self, Get, Post, Put};
use crate::catalog::list;

pub const TABLE: &[Row] = &[
    (Get, "/nodes/{node}/qemu/{vmid}/config", read),
    (Get, "/nodes/{node}/lxc/{vmid}/config", read),
    (Get, "/nodes/{node}/qemu/{vmid}/pending", pending),
    (Get, "/nodes/{node}/lxc/{vmid}/pending", pending),
    (Put, "/nodes/{node}/qemu/{vmid}/config", change),
    (Post, "/nodes/{node}/qemu/{vmid}/config", change_in_worker),
    (Put, "/nodes/{node}/lxc/{vmid}/config", change),
    (Get, "/nodes/{node}/qemu/{vmid}/cloudinit", cloudinit),
    (Put, "/nodes/{node}/qemu/{vmid}/unlink", unlink),
];

/// What the API shows of a password.
const MASK: &str = "**********";

/// A value as it is shown, with the type that its parameter has.
pub fn shown(call: &Call<'_>, kind: Kind, key: &str, value: &str) -> Value {
    if key == "cipassword" {
        return json!(MASK);
    }
    if key == "description" {
        return json!(format!("{}\n", value.trim_end_matches('\n')));
    }
    if matches!(key, "snaptime" | "running-nets-host-mtu") {
        return as_kind(Some(crate::catalog::Kind::Integer), value);
    }
    let path = format!("/nodes/{{node}}/{}/{{vmid}}/config", kind.name());
    let setter = call.shared.endpoint(Method::Put, &path);
    let parameter = setter.and_then(|endpoint| verify::declared(endpoint, key));
    // A template is made, not configured; it is a boolean all the same.
    let fallback = matches!(key, "template" | "unprivileged").then_some(crate::catalog::Kind::Boolean);
    as_kind(parameter.map(|parameter| parameter.schema.kind).or(fallback), value)
}

pub fn shown_values(call: &Call<'_>, kind: Kind, values: &Values) -> Map<String, Value> {
    values.iter().map(|(key, value)| (key.clone(), shown(call, kind, key, value))).collect()
}

fn read(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest()?;
    if let Some(name) = call.get("snapshot") {
        let snapshot = guest.snapshots.get(name);
        let values = snapshot.ok_or_else(|| Refusal::die(format!("snapshot '{name}' does not exist")))?;
        return Ok(Value::Object(shown_values(call, guest.kind, values)).into());
    }
    let mut values = guest.config.clone();
    if !call.flag("current") {
        for (key, value) in &guest.pending {
            if value.is_empty() {
                values.remove(key);
            } else {
                values.insert(key.clone(), value.clone());
            }
        }
    }
    let mut row = shown_values(call, guest.kind, &values);
    row.insert("digest".to_owned(), json!(guest.digest()));
    Ok(Value::Object(row).into())
}

fn pending(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest()?;
    let mut rows: Vec<Value> = Vec::new();
    for (key, value) in &guest.config {
        let mut row = json!({ "key": key, "value": shown(call, guest.kind, key, value) });
        match guest.pending.get(key).map(String::as_str) {
            Some("") => row["delete"] = json!(1),
            Some(value) => row["pending"] = shown(call, guest.kind, key, value),
            None => {}
        }
        rows.push(row);
    }
    let new =
        guest.pending.iter().filter(|(key, value)| !value.is_empty() && !guest.config.contains_key(*key));
    rows.extend(
        new.map(|(key, value)| json!({ "key": key, "pending": shown(call, guest.kind, key, value) })),
    );
    rows.push(json!({ "key": "digest", "value": guest.digest() }));
    Ok(Value::Array(rows).into())
}

fn cloudinit(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest()?;
    let drive = guest.config.values().any(|value| value.contains("cloudinit"));
    let keys = ["cicustom", "cipassword", "citype", "ciuser", "nameserver", "searchdomain", "sshkeys"];
    let rows = keys.iter().filter(|_| drive).filter_map(|key| {
        let value = guest.get(key)?;
        Some(json!({ "key": key, "value": shown(call, guest.kind, key, value) }))
    });
    Ok(rows.collect::<Value>().into())
}

/// The privilege that a key needs beside what the method asks for; an empty one is root's alone.
fn privilege(kind: Kind, key: &str) -> &'static str {
    let stem = key.trim_end_matches(|letter: char| letter.is_ascii_digit());
    match kind {
        Kind::Qemu => match stem {
            "cores" | "sockets" | "vcpus" | "cpu" | "cpulimit" | "cpuunits" | "affinity" | "numa" => {
                "VM.Config.CPU"
            }
            "memory" | "balloon" | "shares" | "hugepages" | "keephugepages" | "allow-ksm" => {
                "VM.Config.Memory"
            }
            "net" => "VM.Config.Network",
            "ide" | "scsi" | "sata" | "virtio" | "efidisk" | "tpmstate" | "unused" | "bootdisk" => {
                "VM.Config.Disk"
            }
            "cdrom" => "VM.Config.CDROM",
            "cipassword" | "ciuser" | "citype" | "ciupgrade" | "cicustom" | "ipconfig" | "nameserver"
            | "searchdomain" | "sshkeys" => "VM.Config.Cloudinit",
            "args" | "lock" | "hookscript" | "parallel" => "",
            "acpi" | "agent" | "boot" | "description" | "freeze" | "hotplug" | "kvm" | "localtime"
            | "migrate_downtime" | "migrate_speed" | "name" | "onboot" | "ostype" | "protection"
            | "reboot" | "smbios" | "startdate" | "startup" | "tablet" | "tags" | "tdf" | "template"
            | "watchdog" | "autostart" => "VM.Config.Options",
            _ => "VM.Config.HWType",
        },
        Kind::Lxc => match stem {
            "cores" | "cpulimit" | "cpuunits" => "VM.Config.CPU",
            "memory" | "swap" => "VM.Config.Memory",
            "net" | "hostname" | "nameserver" | "searchdomain" => "VM.Config.Network",
            "rootfs" | "mp" | "unused" => "VM.Config.Disk",
            "features" | "hookscript" | "lock" | "dev" => "",
            _ => "VM.Config.Options",
        },
    }
}

/// Refuses what the caller may not set: in a guest that is there, or in one that is to be, whose pool's privileges count
/// as well.
pub fn may_set(
    call: &Call<'_>,
    kind: Kind,
    (vmid, pool): (u32, Option<&str>),
    given: &Values,
    gone: &[String],
) -> Result<(), Refusal> {
    let need = |wanted: &str| {
        let caller = call.caller();
        let by_pool = pool.is_some_and(|pool| caller.may(&format!("/pool/{pool}"), wanted));
        if by_pool { Ok(()) } else { caller.need(&format!("/vms/{vmid}"), &[wanted]) }
    };
    for key in given.keys().chain(gone) {
        let value = given.get(key).map(String::as_str).unwrap_or_default();
        let bind = kind == Kind::Lxc && is_disk(kind, key) && value.starts_with('/');
        if bind {
            call.caller().need_root("mount point type bind is only allowed for root@pam")?;
        }
        match privilege(kind, key) {
            "" if key == "features" && matches!(value, "" | "nesting=1" | "nesting=0") => {
                need("VM.Allocate")?;
            }
            "" if key == "features" => {
                call.caller()
                    .need_root("changing feature flags (except nesting) is only allowed for root@pam")?;
            }
            "" => call.caller().need_root(&format!("only root can set '{key}' config"))?,
            wanted => need(wanted)?,
        }
        if let Some(storage) = value::new_disk(value).map(|(storage, _)| storage)
            && is_disk(kind, key)
        {
            call.estate.storage(storage)?;
            call.caller().need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
        }
        if let Some(bridge) = property(value, "bridge")
            && key.starts_with("net")
        {
            call.caller().need(&bridge_path(call.estate, bridge), &["SDN.Use"])?;
        }
    }
    Ok(())
}

fn bridge_path(estate: &Estate, bridge: &str) -> String {
    let zone = estate.sections("sdn/vnets.cfg").find(bridge).and_then(|vnet| vnet.get("zone"));
    format!("/sdn/zones/{}/{bridge}", zone.unwrap_or("localnetwork"))
}

/// Parameters that are the method's and not the configuration's.
const NOT_SETTINGS: &[&str] = &[
    "node",
    "vmid",
    "digest",
    "delete",
    "revert",
    "force",
    "skiplock",
    "background_delay",
    "archive",
    "pool",
    "start",
    "storage",
    "unique",
    "bwlimit",
    "live-restore",
    "ha-managed",
    "import-working-storage",
    "ostemplate",
    "password",
    "ssh-public-keys",
    "restore",
    "ignore-unpack-errors",
    "template",
];

/// The parameters that are the configuration's.
pub fn settings(call: &Call<'_>) -> Values {
    let given = call.parameters.iter().filter(|(key, _)| !NOT_SETTINGS.contains(&key.as_str()));
    given.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn change(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    checked(call)?;
    let (vmid, given, gone, revert) = (call.vmid(), settings(call), call.list("delete"), call.list("revert"));
    apply(call.estate, vmid, given, &gone, &revert, call.flag("force"))?;
    Ok(Reply::NULL)
}

fn change_in_worker(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    checked(call)?;
    let (vmid, given, gone, revert) = (call.vmid(), settings(call), call.list("delete"), call.list("revert"));
    let force = call.flag("force");
    let work = Work::new().end(move |estate, _| apply(estate, vmid, given, &gone, &revert, force));
    call.task("qmconfig", vmid, work)
}

fn checked(call: &Call<'_>) -> Result<(), Refusal> {
    let guest = call.guest()?;
    let (given, gone) = (settings(call), call.list("delete"));
    may_set(call, guest.kind, (guest.vmid, None), &given, &gone)?;
    if given.is_empty() && gone.is_empty() && call.get("revert").is_none() {
        return Err(Refusal::die("no options specified"));
    }
    if let Some(key) = gone.iter().find(|key| given.contains_key(*key)) {
        return Err(Refusal::parameter(
            key,
            format!("you can't use '-{key}' and '-delete {key}' at the same time"),
        ));
    }
    known(call, guest.kind)?;
    call.fresh(&guest.digest())?;
    if guest.kind == Kind::Qemu {
        balloon(guest, &given)?;
        order(guest, &given, &gone)?;
    }
    if !call.flag("skiplock") {
        call.estate.unlocked(guest.vmid)?;
    }
    if guest.get("protection") == Some("1")
        && let Some(key) = gone.iter().find(|key| is_disk(guest.kind, key))
    {
        let word = guest.kind.word();
        return Err(Refusal::die(format!(
            "can't remove {word} {} drive '{key}' - protection mode enabled",
            guest.vmid
        )));
    }
    Ok(())
}

/// What is to be removed or reverted is a setting of this kind of guest.
fn known(call: &Call<'_>, kind: Kind) -> Result<(), Refusal> {
    /// What PVE writes by itself.
    const OWN: &[&str] =
        &["cdrom", "meta", "parent", "runningcpu", "runningmachine", "snapstate", "snaptime", "vmstate"];
    let path = format!("/nodes/{{node}}/{}/{{vmid}}/config", kind.name());
    let setter = call.shared.endpoint(Method::Put, &path);
    let is_setting = |key: &str| {
        OWN.contains(&key)
            || (!NOT_SETTINGS.contains(&key) || key == "template")
                && setter.is_some_and(|endpoint| endpoint.parameter(key).is_some())
    };
    for name in ["revert", "delete"] {
        if let Some(key) = call.list(name).iter().find(|key| !is_setting(key)) {
            return Err(Refusal::parameter(name, format!("unknown option '{key}'")));
        }
    }
    Ok(())
}

/// A setting as it will be: given, waiting, or there.
fn coming<'a>(guest: &'a Guest, given: &'a Values, key: &str) -> Option<&'a str> {
    let waiting = guest.pending.get(key).filter(|value| !value.is_empty());
    given.get(key).or(waiting).map(String::as_str).or_else(|| guest.get(key))
}

fn balloon(guest: &Guest, given: &Values) -> Result<(), Refusal> {
    const DEFAULT: u64 = 512;
    if !given.contains_key("memory") && !given.contains_key("balloon") {
        return Ok(());
    }
    let memory = coming(guest, given, "memory").map(|memory| property(memory, "current").unwrap_or(memory));
    let memory: u64 = memory.and_then(|memory| memory.parse().ok()).unwrap_or(DEFAULT);
    let balloon: u64 = coming(guest, given, "balloon").and_then(|it| it.parse().ok()).unwrap_or(0);
    if balloon > memory {
        return Err(Refusal::die("balloon value too large (must be smaller than assigned memory)"));
    }
    Ok(())
}

/// A machine boots from what it has, and not from what is taken out by the same call.
fn order(guest: &Guest, given: &Values, gone: &[String]) -> Result<(), Refusal> {
    let Some(order) = given.get("boot").and_then(|boot| property(boot, "order")) else { return Ok(()) };
    let is_there =
        |device: &str| coming(guest, given, device).is_some() && !gone.iter().any(|gone| gone == device);
    match list(order).find(|device| !is_there(device)) {
        Some(device) => Err(Refusal::die(format!("invalid bootorder: device '{device}' does not exist'"))),
        None => Ok(()),
    }
}

/// Whether a running guest takes it at once.
fn at_once(kind: Kind, key: &str) -> bool {
    let stem = key.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let always = ["name", "description", "tags", "onboot", "startup", "protection", "net", "unused", "lock"];
    let more: &[&str] = match kind {
        Kind::Qemu => &[
            "scsi",
            "virtio",
            "ide",
            "sata",
            "boot",
            "balloon",
            "cipassword",
            "ciuser",
            "ipconfig",
            "sshkeys",
        ],
        Kind::Lxc => {
            &["memory", "swap", "cores", "cpulimit", "cpuunits", "mp", "rootfs", "nameserver", "searchdomain"]
        }
    };
    always.contains(&stem) || more.contains(&stem)
}

/// Sets and removes; what a running guest cannot take waits as pending.
pub fn apply(
    estate: &mut Estate,
    vmid: u32,
    given: Values,
    gone: &[String],
    revert: &[String],
    force: bool,
) -> Result<(), String> {
    let Some(guest) = estate.guest(vmid) else { return Err(format!("no such guest {vmid}")) };
    let (kind, running, node) = (guest.kind, guest.is_running(), guest.node.clone());
    for key in revert {
        if let Some(guest) = estate.guest_mut(vmid) {
            guest.pending.remove(key);
        }
    }
    for key in gone {
        if !running || at_once(kind, key) {
            remove_key(estate, vmid, key, force);
        } else if let Some(guest) = estate.guest_mut(vmid) {
            guest.pending.insert(key.clone(), String::new());
        }
    }
    for (key, value) in given {
        let value = value::prepared(estate, (kind, vmid, &node), &key, &value)?;
        let waits = running && !at_once(kind, &key);
        let replaced = estate.guest(vmid).and_then(|guest| guest.get(&key)).map(str::to_owned);
        if let Some(old) = replaced.filter(|old| is_disk(kind, &key) && volume(old) != volume(&value)) {
            keep_unused(estate, vmid, &old);
        }
        let Some(guest) = estate.guest_mut(vmid) else { break };
        if waits {
            guest.pending.insert(key, value);
        } else {
            guest.pending.remove(&key);
            guest.config.insert(key, value);
        }
    }
    Ok(())
}

fn remove_key(estate: &mut Estate, vmid: u32, key: &str, force: bool) {
    let Some(guest) = estate.guest_mut(vmid) else { return };
    let (kind, node) = (guest.kind, guest.node.clone());
    guest.pending.remove(key);
    let Some(value) = guest.config.remove(key) else { return };
    let Some(id) = volume(&value).or_else(|| value.contains(':').then_some(value.as_str())) else { return };
    if key.starts_with("unused") || (force && is_disk(kind, key)) || id.contains("cloudinit") {
        estate.remove_volume(id, &node);
    } else if is_disk(kind, key) {
        keep_unused(estate, vmid, &value);
    }
}

/// A disk that is taken out stays the guest's, as `unused0`.
pub fn keep_unused(estate: &mut Estate, vmid: u32, value: &str) {
    if property(value, "media") == Some("cdrom") {
        return;
    }
    let Some(id) = volume(value).map(str::to_owned) else { return };
    let Some(guest) = estate.guest_mut(vmid) else { return };
    let free = (0..).map(|number| format!("unused{number}")).find(|key| !guest.config.contains_key(key));
    guest.config.insert(free.unwrap_or_default(), id);
}

fn unlink(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest()?;
    let vmid = guest.vmid;
    call.estate.unlocked(vmid)?;
    let keys = call.list("idlist");
    apply(call.estate, vmid, BTreeMap::new(), &keys, &[], call.flag("force"))?;
    Ok(Reply::NULL)
}

/// Bytes of all disks of a guest.
pub fn total_size(guest: &Guest) -> u64 {
    let disks = guest.config.iter().filter(|(key, _)| is_disk(guest.kind, key));
    disks.filter_map(|(_, value)| property(value, "size").and_then(bytes)).sum()
}
