use super::config::{Config, Head};
use super::*;
use crate::estate::finding::{Findings, What};
use crate::estate::mapping;

fn parse(kind: Kind, text: &str) -> (Guest, Vec<Finding>) {
    Guest::parse(kind, &"pve1".into(), 100, text.as_bytes(), "nodes/pve1/x/100.conf")
}

fn whole(kind: Kind, text: &str) -> Guest {
    let (guest, findings) = parse(kind, text);
    assert!(findings.is_empty(), "{findings:?}\n{text}");
    guest
}

/// `(a VM's lines, the slot that it boots from)`
const BOOTS: &[(&str, Option<&str>)] = &[
    ("boot: order=net0;scsi1;scsi0\nscsi0: a:vm-100-disk-0\nscsi1: a:vm-100-disk-1", Some("scsi1")),
    ("boot: order=net0\nscsi0: a:vm-100-disk-0", None),
    // A drive with an ISO is no disk.
    ("boot: order=ide2;scsi0\nide2: a:iso/x.iso,media=cdrom\nscsi0: a:vm-100-disk-0", Some("scsi0")),
    ("boot: cdn\nbootdisk: virtio0\nscsi0: a:vm-100-disk-0\nvirtio0: a:vm-100-disk-1", Some("virtio0")),
    // Nothing said: the first in PVE's own order.
    ("virtio0: a:vm-100-disk-1\nscsi1: a:vm-100-disk-0\nscsi0: a:vm-100-disk-2", Some("scsi0")),
    ("boot: n\nscsi0: a:vm-100-disk-0", None),
    ("boot: legacy=dn\nscsi0: a:vm-100-disk-0", None),
    ("boot: order=scsi0\nscsi0: none,media=cdrom", None),
];

#[test]
fn a_vm_boots_from_the_first_disk_of_its_order() {
    for (text, slot) in BOOTS {
        let guest = whole(Kind::Qemu, text);
        let boots = guest.disks.iter().find(|disk| disk.role == Role::Boot).map(|disk| disk.slot.name());
        assert_eq!(boots.as_deref(), *slot, "{text}");
    }
}

/// `(kind, a line, what for, what stands behind it, whether a backup holds it)`
const DISKS: &[(Kind, &str, Role, &str, bool)] = &[
    (Kind::Qemu, "virtio3: file=a:vm-100-disk-0,size=4G", Role::Data, "a:vm-100-disk-0", true),
    (Kind::Qemu, "sata0: a:vm-100-disk-0,backup=0", Role::Data, "a:vm-100-disk-0", false),
    (
        Kind::Qemu,
        "ide2: a:100/vm-100-cloudinit.qcow2,media=cdrom",
        Role::CloudInit,
        "a:100/vm-100-cloudinit.qcow2",
        false,
    ),
    (Kind::Qemu, "cdrom: a:iso/x.iso,media=cdrom", Role::Media, "a:iso/x.iso", false),
    (Kind::Qemu, "ide1: old.iso,media=cdrom", Role::Media, "local:iso/old.iso", false),
    (Kind::Qemu, "ide1: vm-100-disk-1.raw", Role::Data, "local:100/vm-100-disk-1.raw", true),
    (Kind::Qemu, "efidisk0: a:vm-100-disk-2,efitype=4m,size=4M", Role::Firmware, "a:vm-100-disk-2", true),
    (Kind::Qemu, "tpmstate0: a:vm-100-disk-3,size=4M,version=v2.0", Role::Firmware, "a:vm-100-disk-3", true),
    (Kind::Qemu, "unused0: local:100/vm-100-disk-0.raw", Role::Unused, "local:100/vm-100-disk-0.raw", false),
    (
        Kind::Qemu,
        "vmstate: a:vm-100-state-suspend-2026-01-01",
        Role::State,
        "a:vm-100-state-suspend-2026-01-01",
        false,
    ),
    (Kind::Qemu, "hookscript: local:snippets/h.pl", Role::Snippet, "local:snippets/h.pl", false),
    (Kind::Qemu, "cicustom: user=local:snippets/u.yml", Role::Snippet, "local:snippets/u.yml", false),
    (
        Kind::Lxc,
        "rootfs: local:100/subvol-100-disk-0.subvol,size=0T",
        Role::Boot,
        "local:100/subvol-100-disk-0.subvol",
        true,
    ),
    (Kind::Lxc, "mp0: a:subvol-100-disk-1,mp=/data,backup=1", Role::Data, "a:subvol-100-disk-1", true),
    (Kind::Lxc, "mp255: a:subvol-100-disk-1,mp=/data", Role::Data, "a:subvol-100-disk-1", false),
];

#[test]
fn each_disk_says_what_it_is_for() {
    for (kind, line, role, volume, backed_up) in DISKS {
        // A lone disk of a VM would be what it boots from.
        let guest = whole(*kind, &format!("boot: order=net0\n{line}"));
        let [disk] = &*guest.disks else { panic!("{line}: {:?}", guest.disks) };
        assert_eq!(disk.role, *role, "{line}");
        assert_eq!(disk.volume().map(ToString::to_string).as_deref(), Some(*volume), "{line}");
        assert_eq!(disk.backed_up, *backed_up, "{line}");
    }
}

#[test]
fn what_is_the_hosts_is_told_from_volumes() {
    let guest = whole(
        Kind::Lxc,
        "mp0: /srv/data,mp=/data\nmp1: /dev/sdb1,mp=/disk,shared=1\nlxc.mount.entry: /opt opt none bind 0 0\n\
         lxc.mount.entry: proc proc proc defaults\ndev0: /dev/ttyUSB0,mode=0660",
    );
    let host = |disk: &Disk| match &disk.backing {
        Backing::Host(path) => Some((path.to_string(), disk.shared)),
        _ => None,
    };
    let hosts: Vec<_> = guest.disks.iter().filter_map(host).collect();
    assert_eq!(hosts, [("/srv/data".into(), false), ("/dev/sdb1".into(), true), ("/opt".into(), false)]);
    assert_eq!(guest.devices[0].from, DeviceFrom::Node("/dev/ttyUSB0".into()));

    let guest = whole(
        Kind::Qemu,
        "hostpci0: 0000:01:00.0,pcie=1\nhostpci1: mapping=gpu\nusb0: host=1234:5678\nusb1: spice\nusb2: mapping=key\n\
         virtiofs0: share,cache=auto\nserial0: socket\nserial1: /dev/ttyS0\nscsi0: /dev/disk/by-id/x:1",
    );
    let devices: Vec<_> =
        guest.devices.iter().map(|device| (device.key.as_str(), device.from.clone())).collect();
    let mapped = |kind, id: &str| DeviceFrom::Mapping(kind, id.into());
    assert_eq!(
        devices,
        [
            ("hostpci0", DeviceFrom::Node("0000:01:00.0".into())),
            ("hostpci1", mapped(mapping::Kind::Pci, "gpu")),
            ("usb0", DeviceFrom::Node("1234:5678".into())),
            ("usb2", mapped(mapping::Kind::Usb, "key")),
            ("virtiofs0", mapped(mapping::Kind::Directory, "share")),
            ("serial1", DeviceFrom::Node("/dev/ttyS0".into())),
        ]
    );
    assert_eq!(guest.disks[0].backing, Backing::Host("/dev/disk/by-id/x:1".into()));
}

#[test]
fn sections_are_those_that_pve_sees() {
    for (kind, head, seen) in [
        (Kind::Qemu, "[PENDING]", Head::Pending),
        (Kind::Qemu, "[pending]  ", Head::Pending),
        (Kind::Lxc, "[pve:pending]", Head::Pending),
        // To a container this is a snapshot of that name.
        (Kind::Lxc, "[PENDING]", Head::Snapshot("PENDING")),
        (Kind::Qemu, "[special:cloudinit]", Head::Special("cloudinit")),
        (Kind::Qemu, "[special:fleecing]", Head::Special("fleecing")),
        (Kind::Qemu, "[special:else]", Head::Unknown("special:else")),
        (Kind::Qemu, "[special]", Head::Snapshot("special")),
        (Kind::Qemu, "[before_1-a]", Head::Snapshot("before_1-a")),
        (Kind::Qemu, "[x]", Head::Unknown("x")),
        (Kind::Qemu, "[]", Head::Unknown("")),
        (Kind::Qemu, "[1st]", Head::Unknown("1st")),
    ] {
        let text = format!("{head}\nscsi0: a:vm-100-disk-0");
        let mut findings = Findings::new("x");
        let config = Config::parse(kind, &text, &mut findings);
        assert_eq!(config.sections[1].head, seen, "{head}");
        let hides = findings.finish().iter().any(|finding| finding.what.hides());
        assert_eq!(hides, matches!(seen, Head::Unknown(_)), "{head}");
    }
}

#[test]
fn a_description_is_decoded_and_believed_in_nothing() {
    let text = "#line one\n#line two%3A 100%25 %C3%BCmlaut\n#[snap]\n#scsi0: a:vm-100-disk-0\nname: db\n";
    let mut findings = Findings::new("x");
    let config = Config::parse(Kind::Qemu, text, &mut findings);
    let wanted = "line one\nline two: 100% ümlaut\n[snap]\nscsi0: a:vm-100-disk-0";
    assert_eq!(config.current().description().as_deref(), Some(wanted));
    assert!(whole(Kind::Qemu, text).disks.is_empty());
}

#[test]
fn snapshots_keep_their_order_of_descent_and_what_only_they_hold() {
    let guest = whole(
        Kind::Qemu,
        "parent: two\nscsi0: a:vm-100-disk-0\n\n[one]\nscsi0: a:vm-100-disk-0\nscsi1: b:vm-100-disk-9\nsnaptime: 7\n\n\
         [two]\nparent: one\nscsi0: a:vm-100-disk-0\nvmstate: c:vm-100-state-two\n",
    );
    let names = |of: &str| guest.lineage(of).map(|snapshot| snapshot.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names("two"), ["two", "one"]);
    assert_eq!(guest.children("one").count(), 1);
    let [one, two] = &*guest.snapshots else { panic!("{:?}", guest.snapshots) };
    assert_eq!((one.time, one.only_here[0].to_string()), (Some(7), "b:vm-100-disk-9".into()));
    assert_eq!(one.storages, ["a", "b"].map(SmolStr::from).into());
    assert_eq!(two.state.as_ref().map(ToString::to_string).as_deref(), Some("c:vm-100-state-two"));
    assert!(two.only_here.is_empty());
}

#[test]
fn parents_in_a_circle_are_named_and_end() {
    let (guest, findings) =
        parse(Kind::Lxc, "[aa]\nparent: bb\n[bb]\nparent: cc\n[cc]\nparent: aa\n[dd]\nparent: dd\n");
    assert!(findings.iter().any(|finding| matches!(finding.what, What::Circle(_))), "{findings:?}");
    assert_eq!(guest.lineage("aa").count(), 4, "cut at the number of snapshots");
}

#[test]
fn a_password_is_known_to_be_there_and_nothing_more() {
    let secret = "correct-horse";
    let text = format!(
        "cipassword: {secret}\nsshkeys: x\n\n[PENDING]\ncipassword: {secret}2\n\n[snap]\ncipassword: {secret}3\n"
    );
    let (guest, findings) = parse(Kind::Qemu, &text);
    assert!(guest.has_password);
    assert!(!format!("{guest:?}{findings:?}").contains(secret));
    assert!(!whole(Kind::Qemu, "name: a\n").has_password);
    // One that stands in a line that cannot be read is not repeated either.
    let (guest, findings) = parse(Kind::Qemu, &format!("cipassword {secret}\nscsi0: {secret}/{secret}\n"));
    assert_eq!(findings.len(), 2);
    assert!(!format!("{guest:?}{findings:?}").contains(secret));
}

#[test]
fn what_stands_twice_counts_once() {
    let (guest, findings) =
        parse(Kind::Qemu, "scsi0: a:vm-100-disk-0\nscsi0: b:vm-100-disk-1\n[aa]\nname: x\n[aa]\nname: y\n");
    assert_eq!(guest.disks.len(), 1);
    assert_eq!(guest.disks[0].volume().map(ToString::to_string).as_deref(), Some("b:vm-100-disk-1"));
    assert_eq!(guest.snapshots.len(), 1);
    assert_eq!(findings.iter().filter(|finding| matches!(finding.what, What::Twice(_))).count(), 2);
    assert!(findings.iter().all(|finding| !finding.what.hides()));
}

#[test]
fn networks_tags_and_flags_are_read() {
    let guest = whole(
        Kind::Lxc,
        "hostname: web\nnet0: name=eth0,bridge=vmbr0,firewall=1,hwaddr=BC:24:11:00:00:01,tag=7,type=veth\n\
         net1: name=eth1,bridge=labnet,link_down=1\ntags: Prod;web;;prod\nlock: backup\nprotection: 1\nonboot: yes\n",
    );
    assert_eq!(
        guest
            .nets
            .iter()
            .map(|net| (net.bridge.as_deref(), net.tag, net.firewall, net.down))
            .collect::<Vec<_>>(),
        [(Some("vmbr0"), Some(7), true, false), (Some("labnet"), None, false, true),]
    );
    assert_eq!(guest.tags, ["prod", "web"].map(SmolStr::from).into());
    assert!(guest.has_tag("PROD") && guest.protected && guest.onboot && !guest.template);
    assert_eq!((guest.lock.as_deref(), guest.name.as_deref()), (Some("backup"), Some("web")));
}
