//! Storages, volumes, paths and sizes.

use super::{super::family::highest, names, net};

pub(super) fn id(value: &str) -> bool {
    names::of(value, 2, "-_.")
        && value.starts_with(|c: char| c.is_ascii_alphabetic())
        && value.ends_with(|c: char| c.is_ascii_alphanumeric())
}

/// `local-lvm:vm-105-disk-0`, and `local-lvm:32` for one that is to be made.
pub(super) fn volume(value: &str) -> bool {
    value
        .split_once(':')
        .is_some_and(|(storage, name)| id(storage) && !name.is_empty() && !name.chars().any(char::is_control))
}

/// `32`, `1.5G`, `4MiB`.
pub(super) fn size(value: &str) -> bool {
    let unit =
        value.strip_suffix("iB").filter(|value| value.ends_with(['K', 'M', 'G', 'T'])).unwrap_or(value);
    let digits = unit.strip_suffix(['K', 'M', 'G', 'T']).unwrap_or(unit);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    net::number::<u64>(whole, 18).is_some() && net::number::<u64>(part, 18).is_some()
}

/// An absolute path, and not the root itself.
pub(super) fn path(value: &str) -> bool {
    absolute(value, &[';', '(', ')'])
}

/// The same, where commas part it from others.
pub(super) fn path_in_properties(value: &str) -> bool {
    absolute(value, &[';', '(', ')', ',', '='])
}

/// PVE looks at what follows the first slash, and no further.
fn absolute(value: &str, not: &[char]) -> bool {
    value.strip_prefix('/').is_some_and(|rest| !rest.is_empty() && !rest.starts_with(not))
        && !value.chars().any(char::is_control)
}

/// A path within a container, that stays there.
pub(super) fn mount_point(value: &str) -> bool {
    !value.chars().any(char::is_control) && !value.starts_with("../") && stays(value)
}

/// A device of the node.
pub(super) fn device(value: &str) -> bool {
    value.starts_with("/dev/") && stays(value) && !value.chars().any(char::is_control)
}

/// No step of the path, after its first, is `.` or `..`.
fn stays(path: &str) -> bool {
    !path.split('/').skip(1).any(|part| matches!(part, "." | ".."))
}

/// What a storage can hold.
pub(super) fn content(value: &str) -> bool {
    matches!(value, "images" | "rootdir" | "vztmpl" | "iso" | "backup" | "snippets" | "none" | "import")
}

/// `iso=other/place`.
pub(super) fn directory_override(value: &str) -> bool {
    value.split_once('=').is_some_and(|(kind, place)| {
        content(kind)
            && !place.is_empty()
            && !place.contains("..")
            && !place.ends_with('.')
            && place.chars().count() < 1023
            && place.split('/').all(|part| part.chars().count() < 255)
    })
}

/// `scsi0`.
pub(super) fn qemu_disk(value: &str) -> bool {
    [("ide", 3), ("sata", 5), ("scsi", 30), ("virtio", 15), ("efidisk", 0), ("tpmstate", 0)].iter().any(
        |(bus, highest)| {
            let number = value.strip_prefix(bus).filter(|number| *number == "0" || !number.starts_with('0'));
            number.and_then(|number| net::number::<u8>(number, 2)).is_some_and(|number| number <= *highest)
        },
    )
}

/// `scsi0`, `net0`: what firmware can boot from.
pub(super) fn boot_device(value: &str) -> bool {
    let numbered = |family: &str| {
        let number = value.strip_prefix(family).filter(|number| *number == "0" || !number.starts_with('0'));
        number
            .and_then(|number| net::number::<u32>(number, 2))
            .is_some_and(|number| number <= highest(family))
    };
    let disk = qemu_disk(value) && !value.starts_with("efidisk") && !value.starts_with("tpmstate");
    disk || ["net", "usb", "hostpci"].into_iter().any(numbered)
}

/// `local:iso/x.iso,media=cdrom`: the volume is checked here, the other keys by PVE.
pub(super) fn drive(value: &str) -> bool {
    let mut volumes = Vec::new();
    for part in value.split(',').filter(|part| !part.trim().is_empty()) {
        match part.split_once('=') {
            None => volumes.push(part),
            Some(("file" | "volume", volume)) => volumes.push(volume),
            Some((key, value)) if key.is_empty() || value.is_empty() || key.trim() != key => return false,
            Some(_) => {}
        }
    }
    matches!(volumes[..], [volume] if volume_or_qemu_path(volume))
}

pub(super) fn volume_or_qemu_path(value: &str) -> bool {
    matches!(value, "none" | "cdrom") || value.starts_with('/') || volume(value)
}

pub(super) fn volume_group(value: &str) -> bool {
    let end = |c: char| c.is_ascii_alphanumeric();
    names::of(value, 2, "-_.") && value.starts_with(end) && value.ends_with(end)
}

/// A power of two of bytes, from 512 to 16 MiB: `8k`, `16384`; nothing is ZFS's own choice.
pub(super) fn block_size(value: &str) -> bool {
    let (digits, unit) = match value.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1 << 10),
        None => value.strip_suffix(['m', 'M']).map_or((value, 1), |digits| (digits, 1 << 20)),
    };
    let bytes =
        net::number::<u64>(digits, 9).filter(|_| !digits.starts_with('0')).map(|number| number * unit);
    value.is_empty()
        || bytes.is_some_and(|bytes| bytes.is_power_of_two() && (512..=16 << 20).contains(&bytes))
}
