//! Values of a guest's configuration as they are kept: a disk that is asked for is made, a network card gets its address.

use super::super::estate::guest::{Kind, is_disk, property, size, volume};
use super::super::estate::volume::Volume;
use super::super::estate::{Estate, now};
use crate::catalog::list;

/// `local-lvm:32` asks for a new disk of 32 GiB.
pub fn new_disk(value: &str) -> Option<(&str, f64)> {
    let first = value.split(',').next()?;
    let first = first.strip_prefix("file=").or_else(|| first.strip_prefix("volume=")).unwrap_or(first);
    let (storage, amount) = first.split_once(':')?;
    Some((storage, amount.parse().ok()?))
}

/// A value as it is kept: with the disk that it asks for, and with an address for its network card.
pub fn prepared(
    estate: &mut Estate,
    guest: (Kind, u32, &str),
    key: &str,
    value: &str,
) -> Result<String, String> {
    let (kind, ..) = guest;
    if is_disk(kind, key) {
        return disk(estate, guest, value);
    }
    if key.starts_with("net") && key != "nets" {
        return Ok(card(estate, kind, value));
    }
    // Kept with semicolons, and without what it was before there was an order.
    if key == "boot"
        && let Some(order) = property(value, "order")
    {
        return Ok(format!("order={}", list(order).collect::<Vec<_>>().join(";")));
    }
    if key == "smbios1" && !value.contains("uuid=") {
        return Ok(format!("{value},uuid={}", estate.uuid()));
    }
    Ok(value.to_owned())
}

fn disk(estate: &mut Estate, guest: (Kind, u32, &str), value: &str) -> Result<String, String> {
    let (kind, vmid, node) = guest;
    let rest: Vec<&str> = value.split(',').skip(1).filter(|part| !part.starts_with("size=")).collect();
    let with = |id: &str, size: Option<String>| {
        let mut parts = vec![id.to_owned()];
        parts.extend(rest.iter().filter(|part| !part.starts_with("format=")).map(|part| (*part).to_owned()));
        parts.extend(size.map(|size| format!("size={size}")));
        parts.join(",")
    };
    if let Some((storage, amount)) = new_disk(value) {
        let wanted = (amount * f64::from(1 << 30)) as u64;
        let id = estate.allocate(storage, guest, false, property(value, "format"), wanted)?;
        let size = if wanted == 0 { "0T".to_owned() } else { size(wanted) };
        return Ok(with(&id, Some(size)));
    }
    let Some(id) = volume(value) else { return Ok(value.to_owned()) };
    if let Some((storage, "cloudinit")) = id.split_once(':') {
        let directory =
            matches!(&*estate.storage(storage)?.kind, "dir" | "nfs" | "cifs" | "btrfs" | "cephfs");
        let name = if directory {
            format!("{vmid}/vm-{vmid}-cloudinit.qcow2")
        } else {
            format!("vm-{vmid}-cloudinit")
        };
        let volume = Volume {
            storage: storage.to_owned(),
            node: if Estate::is_shared(estate.storage(storage)?) { String::new() } else { node.to_owned() },
            name,
            content: "images",
            format: if directory { "qcow2" } else { "raw" }.to_owned(),
            size: 4 << 20,
            used: 266_240,
            created: now(),
            vmid: Some(vmid),
            ..Volume::default()
        };
        let id = volume.id();
        estate.add_volume(volume);
        return Ok(format!("{id},media=cdrom"));
    }
    let found = estate.volume(id, node).ok_or_else(|| format!("volume '{id}' does not exist"))?;
    if kind == Kind::Qemu && found.content == "iso" {
        let size = size(found.size);
        return Ok(with(id, Some(size)));
    }
    let size = if found.size == 0 { "0T".to_owned() } else { size(found.size) };
    Ok(with(id, Some(size)))
}

/// `virtio,bridge=vmbr0` gets an address.
fn card(estate: &mut Estate, kind: Kind, value: &str) -> String {
    let address = estate.mac();
    match kind {
        Kind::Lxc => {
            let mut parts: Vec<String> = value.split(',').map(str::to_owned).collect();
            if property(value, "hwaddr").is_none() {
                parts.push(format!("hwaddr={address}"));
            }
            if property(value, "type").is_none() {
                parts.push("type=veth".to_owned());
            }
            parts.join(",")
        }
        Kind::Qemu => {
            let model = property(value, "model").map(str::to_owned);
            let mac = property(value, "macaddr").map_or(address, str::to_owned);
            let parts =
                value.split(',').filter(|part| !part.starts_with("model=") && !part.starts_with("macaddr="));
            let mut parts: Vec<String> = parts.map(str::to_owned).collect();
            match (model, parts.first().cloned()) {
                (Some(model), _) => parts.insert(0, format!("{model}={mac}")),
                (None, Some(first)) if !first.contains('=') => parts[0] = format!("{first}={mac}"),
                _ => {}
            }
            parts.join(",")
        }
    }
}
