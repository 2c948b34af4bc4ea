use super::*;

/// `(id, what it is, whose, of what)`
const IDS: &[(&str, Content, Option<u32>, Option<&str>)] = &[
    (
        "fast:9000/base-9000-disk-0.qcow2/111/vm-111-disk-0.qcow2",
        Content::Disk,
        Some(111),
        Some("fast:9000/base-9000-disk-0.qcow2"),
    ),
    ("tank:base-9000-disk-0/vm-111-disk-1", Content::Disk, Some(111), Some("tank:base-9000-disk-0")),
    (
        "tank:basevol-9001-disk-0/subvol-112-disk-0",
        Content::Disk,
        Some(112),
        Some("tank:basevol-9001-disk-0"),
    ),
    ("fast:9000/base-9000-disk-0.qcow2", Content::Disk, Some(9000), None),
    ("local:101/subvol-101-disk-0.subvol", Content::Disk, Some(101), None),
    ("local:105/anything.raw", Content::Other, Some(105), None),
    ("local-lvm:vm-104-disk-0", Content::Disk, Some(104), None),
    ("local-lvm:vm-104-cloudinit", Content::CloudInit, Some(104), None),
    ("fast:9000/vm-9000-cloudinit.qcow2", Content::CloudInit, Some(9000), None),
    ("local-lvm:vm-104-state-before", Content::State, Some(104), None),
    // A disk whose name only begins like the other's.
    ("local-lvm:vm-104-statement", Content::Disk, Some(104), None),
    ("local:iso/debian-13.iso", Content::Iso, None, None),
    ("local:vztmpl/debian-13_amd64.tar.zst", Content::Archive, None, None),
    ("local:snippets/user.yml", Content::Snippet, None, None),
    ("backup:backup/vzdump-qemu-105-2026_01_31-01_00_00.vma.zst", Content::Backup, Some(105), None),
    ("backup:backup/vzdump-lxc-101-2026_01_31-01_00_00.tar.zst", Content::Backup, Some(101), None),
    ("pbs:backup/vm/105/2026-01-31T01:00:00Z", Content::Backup, Some(105), None),
    ("pbs:backup/ct/101/2026-01-31T01:00:00Z", Content::Backup, Some(101), None),
    ("pbs:backup/host/pve1/2026-01-31T01:00:00Z", Content::Backup, None, None),
    ("san:0.0.0.scsi-36001405", Content::Other, None, None),
    ("tank:vm-abc-disk-0", Content::Other, None, None),
    ("tank:vm-99999999999-disk-0", Content::Other, None, None),
];

#[test]
fn an_id_says_what_it_is_and_whose_and_of_what() {
    for (id, content, owner, base) in IDS {
        let volume = Volume::parse(id).unwrap_or_else(|| panic!("{id}"));
        assert_eq!(volume.to_string(), *id);
        assert_eq!((volume.content(), volume.owner()), (*content, *owner), "{id}");
        assert_eq!(volume.base().map(|base| base.to_string()).as_deref(), *base, "{id}");
        assert!(volume.base().is_none_or(|base| base.is_base()), "{id}");
    }
}

#[test]
fn what_is_no_volume_id_is_none() {
    for text in [
        "",
        ":",
        "none",
        "cdrom",
        "/dev/sda",
        "/dev/disk/by-id/ata-x:1",
        "local:",
        ":x",
        "9x:y",
        "a b:c",
        "a:b\nc",
        "a:b,c",
        "ä:b",
    ] {
        assert_eq!(Volume::parse(text), None, "{text}");
    }
    assert_eq!(Volume::parse(&format!("local:{}", "x".repeat(2000))), None);
}
