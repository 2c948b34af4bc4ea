//! Storages, volumes, paths and sizes.

use super::{names, net};

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

/// `32`, `1.5G`.
pub(super) fn size(value: &str) -> bool {
    let digits = value.strip_suffix(['K', 'M', 'G', 'T']).unwrap_or(value);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    net::number::<u64>(whole, 18).is_some() && net::number::<u64>(part, 18).is_some()
}

/// An absolute path.
pub(super) fn path(value: &str) -> bool {
    value.starts_with('/') && !value.chars().any(char::is_control)
}

/// A path within a container, that stays there.
pub(super) fn mount_point(value: &str) -> bool {
    let path = value.strip_prefix('/').unwrap_or(value);
    !path.is_empty()
        && !path.chars().any(char::is_control)
        && !path.split('/').any(|part| matches!(part, "." | ".."))
}

/// `iso=/other/place`.
pub(super) fn directory_override(value: &str) -> bool {
    value.split_once('=').is_some_and(|(content, place)| {
        names::of(content, 1, "-_") && !place.is_empty() && !place.contains("..")
    })
}

/// `scsi0`.
pub(super) fn qemu_disk(value: &str) -> bool {
    ["ide", "sata", "scsi", "virtio", "efidisk", "tpmstate"]
        .iter()
        .any(|bus| value.strip_prefix(bus).is_some_and(|number| net::number::<u8>(number, 2).is_some()))
}

pub(super) fn volume_group(value: &str) -> bool {
    names::of(value, 1, "+_.-") && !value.starts_with('-')
}

/// A power of two of bytes: `8k`, `16384`.
pub(super) fn block_size(value: &str) -> bool {
    let digits = value.strip_suffix(['k', 'K', 'm', 'M']).unwrap_or(value);
    net::number::<u64>(digits, 9).is_some_and(u64::is_power_of_two)
}
