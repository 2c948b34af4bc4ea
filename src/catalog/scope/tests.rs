use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::names::{ANOTHER, Form, Named, names_another, without_others};
use super::table::{self, Class, of};
use crate::catalog::Method;
use crate::catalog::testing::{catalogs, real_catalogs};

#[test]
fn every_line_of_the_table_is_read_gives_a_reason_and_stands_once() {
    let mut seen = BTreeSet::new();
    for line in table::lines() {
        let Some((paths, row)) = table::read(line) else { panic!("cannot be read: {line}") };
        assert!(row.why.len() >= 5, "{line}");
        for path in paths {
            assert!(seen.insert(path.clone()), "{path} stands twice");
        }
    }
}

/// A GET that a new release brings is closed to scoped roles until somebody has looked at it.
#[test]
fn every_get_of_every_release_has_a_class_and_every_class_a_get() {
    let mut known = BTreeSet::new();
    for (release, catalog) in catalogs().iter().chain(&real_catalogs()) {
        for endpoint in catalog.endpoints().iter().filter(|endpoint| endpoint.method == Method::Get) {
            known.insert(endpoint.path.clone());
            assert!(
                of(crate::product::Product::Pve, &endpoint.path).is_some(),
                "PVE {}: GET {} has no class",
                release.name(),
                endpoint.path
            );
        }
    }
    // {kind} is for both, and a few calls are of one kind only.
    let kinds = |path: &str| ["lxc", "qemu"].map(|kind| path.replace("{kind}", kind));
    for line in table::lines() {
        let path = line.split('|').next().unwrap().trim();
        assert!(kinds(path).iter().any(|path| known.contains(path)), "no release has {path}");
    }
    assert!(of(crate::product::Product::Pve, "/nodes/{node}/new-in-10.0").is_none());
}

#[test]
fn what_has_a_guest_in_its_path_is_that_guests_or_closed() {
    for (_, catalog) in catalogs() {
        for endpoint in catalog.endpoints().iter().filter(|endpoint| endpoint.method == Method::Get) {
            let row = of(crate::product::Product::Pve, &endpoint.path).unwrap();
            let bound =
                ["{vmid}", "{upid}", "{sid}", "{volume}"].iter().any(|key| endpoint.path.contains(key));
            if bound {
                assert!(matches!(row.class, Class::Guest(_) | Class::Closed), "{}", endpoint.path);
            }
            let Class::Guest(key) = &row.class else { continue };
            let taken = endpoint.parameters.iter().any(|parameter| parameter.name == key.name);
            assert!(taken, "{} takes no {}", endpoint.path, key.name);
        }
    }
}

/// Whatever its class says, an endpoint that declares a guest's id among what it gives is judged by it.
#[test]
fn what_is_declared_to_give_guests_is_no_plain_answer() {
    fn names(schema: &crate::catalog::Schema, name: &str) -> bool {
        let here = schema.properties.iter().any(|it| it.name == name || names(&it.schema, name));
        here || schema.items.iter().chain(&schema.values).any(|inner| names(inner, name))
    }
    for (_, catalog) in catalogs() {
        for endpoint in catalog.endpoints().iter().filter(|endpoint| endpoint.method == Method::Get) {
            let says = ["vmid", "volid", "upid", "sid"].iter().any(|name| names(&endpoint.returns, name));
            let plain =
                matches!(of(crate::product::Product::Pve, &endpoint.path).unwrap().class, Class::Plain);
            assert!(!(says && plain), "{}", endpoint.path);
        }
    }
}

#[test]
fn each_form_reads_whom_a_value_names() {
    let guests = |ids: &[u32]| Named::Guests(ids.to_vec());
    let upid = "UPID:pve1:00002578:00074193:6B012E72:qmcreate:105:root@pam:";
    for (form, value, named) in [
        (Form::Ids, json!(105), guests(&[105])),
        (Form::Ids, json!("104, 105"), guests(&[104, 105])),
        (Form::Ids, json!(["104", 105]), guests(&[104, 105])),
        (Form::Ids, json!(""), Named::Nobody),
        (Form::Ids, json!(null), Named::Nobody),
        (Form::Ids, json!("104,x"), Named::Unclear),
        (Form::Ids, json!("+105"), Named::Unclear),
        (Form::Ids, json!("0105"), Named::Unclear),
        (Form::Ids, json!(1.5), Named::Unclear),
        (Form::Ids, json!({ "a": 1 }), Named::Unclear),
        (Form::Number, json!("scsi0"), Named::Nobody),
        (Form::Number, json!(105), guests(&[105])),
        (Form::Sids, json!("vm:104,ct:105"), guests(&[104, 105])),
        (Form::Sids, json!("105"), guests(&[105])),
        (Form::Sids, json!("fence:1"), Named::Unclear),
        (Form::Job, json!("105-0"), guests(&[105])),
        (Form::Job, json!("weekly"), Named::Unclear),
        (Form::Volume, json!("local-lvm:vm-105-disk-0"), guests(&[105])),
        (Form::Volume, json!("fast:9000/base-9000-disk-0.qcow2/111/vm-111-disk-0.qcow2"), guests(&[111])),
        (Form::Volume, json!("local:backup/vzdump-qemu-105-2026_01_01-00_00_00.vma.zst"), guests(&[105])),
        (Form::Volume, json!("pbs:backup/ct/105/2026-01-01T00:00:00Z"), guests(&[105])),
        (Form::Volume, json!("local:iso/debian-13.iso"), Named::Nobody),
        (Form::Volume, json!("x:vm-99999999999-disk-0"), Named::Unclear),
        (Form::Upid, json!(upid), guests(&[105])),
        (Form::Upid, json!(upid.replace(":105:", "::")), Named::Nobody),
        (Form::Upid, json!(upid.replace(":105:", ":105@local:")), guests(&[105])),
        (Form::Upid, json!("UPID"), Named::Unclear),
        (Form::Acl, json!("/vms/105"), guests(&[105])),
        (Form::Acl, json!("/vms"), Named::Nobody),
        (Form::Acl, json!("/vms/x"), Named::Unclear),
        (Form::Acl, json!("/pool/dev"), Named::Nobody),
        (Form::Object, json!("qemu/105"), guests(&[105])),
        (Form::Object, json!("storage/pve1/local"), Named::Nobody),
    ] {
        assert_eq!(form.read(&value), named, "{form:?} {value}");
    }
}

#[test]
fn lists_are_cut_to_whom_may_be_seen() {
    let sees = |guest: u32| guest == 104;
    for (form, value, cut) in [
        (Form::Ids, json!("104,105"), json!("104")),
        (Form::Ids, json!("104"), json!("104")),
        (Form::Ids, json!(["104", 105]), json!(["104"])),
        (Form::Sids, json!("vm:105,vm:104"), json!("vm:104")),
        (Form::Ids, json!(105), Value::Null),
    ] {
        assert_eq!(form.trimmed(&value, &sees), cut, "{value}");
    }
}

#[test]
fn other_guests_are_cut_out_of_any_text() {
    let sees = |guest: u32| guest == 104;
    for text in [
        "vm:105",
        "service:vm:105",
        "local-lvm:vm-105-disk-0",
        "/dev/pve/vm-105-disk-0",
        "/dev/mapper/pve-vm--105--disk--0",
        "local:105/vm-105-disk-0.qcow2",
        "/mnt/fast/images/105/disk.raw",
        "local:backup/vzdump-lxc-105-2026_01_01-00_00_00.tar.zst",
        "pbs:backup/vm/105/2026-01-01T00:00:00Z",
        "UPID:pve1:00002578:00074193:6B012E72:qmcreate:105:root@pam:",
        "/vms/105",
        "lxc/105",
        "tap105i0",
        "fwbr105i1",
        "/etc/pve/qemu-server/105.conf",
        "105.fw",
        "VM 105 already exists",
        "unable to create CT 105 - already there",
        "guest id '105'",
        "vmid=105",
        "vm-104-disk-0 of VM 105",
        "UPID:pve1:00002578:00074193:6B012E72:imgdel:105@local:root@pam:",
    ] {
        assert!(names_another(text, &sees), "{text}");
        let shown = without_others(text, &sees);
        assert!(!shown.contains("105") && shown.contains(ANOTHER), "{text}: {shown}");
        let own = text.replace("105", "104");
        assert_eq!(without_others(&own, &sees), own);
    }
    for harmless in
        ["", "104", "port 8006", "10.0.0.105", "vm.swappiness", "8.4.105", "2026-01-05", "vmbr105"]
    {
        assert!(!names_another(harmless, &sees), "{harmless}");
    }
}
