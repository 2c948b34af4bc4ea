//! Whatever a configuration holds, what was written into it is read out of it.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use provost::estate::guest::{Backing, Guest, Kind, Role};
use provost::estate::volume::Volume;

fn volume() -> impl Strategy<Value = String> {
    ("[a-z][a-z0-9-]{0,8}", 100u32..200, 0u8..4).prop_map(|(storage, vmid, form)| match form {
        0 => format!("{storage}:vm-{vmid}-disk-0"),
        1 => format!("{storage}:{vmid}/vm-{vmid}-disk-1.qcow2"),
        2 => format!("{storage}:9000/base-9000-disk-0.qcow2/{vmid}/vm-{vmid}-disk-0.qcow2"),
        _ => format!("{storage}:base-9000-disk-0/vm-{vmid}-disk-0"),
    })
}

fn other() -> impl Strategy<Value = (String, String)> {
    ("(x|cores|memory|args|ostype|new-key)", "[ -~]{1,30}")
        .prop_filter("no blanks alone", |(_, value)| !value.trim().is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn every_disk_that_is_written_is_found(
        disks in btree_map("(scsi|virtio|sata)[0-9]", volume(), 0..6),
        unused in vec(volume(), 0..4),
        others in vec(other(), 0..6),
        snapshots in btree_map("[a-z][a-z0-9]{1,6}", volume(), 0..4),
        description in "[ -~]{0,40}",
    ) {
        let mut text = format!("#{description}\n");
        for (key, value) in &others {
            text += &format!("{key}: {value}\n");
        }
        for (slot, id) in &disks {
            text += &format!("{slot}: {id},size=1G\n");
        }
        for (number, id) in unused.iter().enumerate() {
            text += &format!("unused{number}: {id}\n");
        }
        for (name, id) in &snapshots {
            text += &format!("\n[{name}]\nscsi0: {id}\nvmstate: {id}-s\n");
        }
        let (guest, findings) = Guest::parse(Kind::Qemu, &"pve1".into(), 100, text.as_bytes(), "x");
        prop_assert!(findings.iter().all(|finding| !finding.what.hides()), "{findings:?}\n{text}");
        let found: Vec<(String, String)> = guest
            .disks
            .iter()
            .filter(|disk| disk.role != Role::Unused)
            .filter_map(|disk| Some((disk.slot.name(), disk.volume()?.to_string())))
            .collect();
        let wanted: Vec<(String, String)> = disks.into_iter().collect();
        prop_assert_eq!(found, wanted);
        prop_assert_eq!(guest.disks.iter().filter(|disk| disk.role == Role::Unused).count(), unused.len());
        prop_assert_eq!(guest.snapshots.len(), snapshots.len());
        // No volume of a snapshot is lost, wherever it is kept.
        let all: Vec<&Volume> = guest.volumes().collect();
        for id in snapshots.values() {
            prop_assert!(all.iter().any(|volume| volume.to_string() == *id), "{id}\n{text}");
        }
    }

    #[test]
    fn no_bytes_make_it_fail(bytes in vec(any::<u8>(), 0..400), kind in any::<bool>()) {
        let kind = if kind { Kind::Qemu } else { Kind::Lxc };
        let _ = Guest::parse(kind, &"pve1".into(), 100, &bytes, "x");
    }

    #[test]
    fn no_lines_make_it_fail(text in "(([a-z]{1,8}[0-9]{0,3}: |\\[|#|lxc\\.[a-z.]{1,9} ?= ?)[ -~]{0,30}(\\]|,size=[0-9.]{0,4}[A-Z])?\n){0,20}") {
        for kind in Kind::ALL {
            let (guest, _) = Guest::parse(kind, &"pve1".into(), 100, text.as_bytes(), "x");
            for disk in &guest.disks {
                if let Backing::Volume(volume) = &disk.backing {
                    prop_assert_eq!(Volume::parse(&volume.to_string()), Some(volume.clone()));
                }
            }
        }
    }

    #[test]
    fn an_id_is_written_as_it_was_read(text in "[a-zA-Z0-9._:/-]{0,60}") {
        if let Some(volume) = Volume::parse(&text) {
            prop_assert_eq!(volume.to_string(), text);
            prop_assert!(volume.base().is_none_or(|base| base.is_base() && base.storage() == volume.storage()));
        }
    }
}
