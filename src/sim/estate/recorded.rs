//! The estate that was asked when the recordings were made: one node, six guests, nothing running, no statistics.
//!
//! Each answer of `tests/sim/recorded.txt` is what this estate gives.

use std::collections::BTreeMap;

use super::Estate;
use super::access::{Group, Holder, Pool, Token, User};
use super::firewall::{Alias, Firewall, Member, Set};
use super::guest::{Guest, Kind};
use super::node::Node;
use super::sections::Section;
use super::volume::Volume;
use crate::sim::task::{Task, Upid};

/// Facts of the recording's methods that its version's daemons do not have.
const MISSING: &[&str] = &["/cluster/sdn/prefix-lists", "/cluster/sdn/route-maps"];

#[must_use]
pub fn recorded() -> Estate {
    let mut estate = Estate { missing: MISSING, ..Estate::default() };
    let mut node = Node::new("pve1", 0, "192.0.2.11", 2, 4 << 30);
    node.storage = (270_553_174_016, 16_852_000_000);
    estate.nodes.push(node);
    access(&mut estate);
    guests(&mut estate);
    storages(&mut estate);
    sections(&mut estate);
    firewalls(&mut estate);
    let upid = Upid::parse("UPID:pve1:00002660:00075A57:6B012EB1:resize:110:root@pam!t1:");
    let old = upid.map(|upid| Task {
        end: Some((upid.start, "OK".to_owned())),
        upid,
        lines: vec!["Image resized.".to_owned(), "TASK OK".to_owned()],
        stopping: false,
    });
    old.into_iter().for_each(|task| estate.tasks.add(task));
    estate.datacenter_mut().extend([
        ("description".to_owned(), "test cluster".to_owned()),
        ("max_workers".to_owned(), "3".to_owned()),
    ]);
    estate
}

/// The superuser and its token, which every estate has. The secret is as secret as the estate is real.
pub fn root(estate: &mut Estate) {
    let token = Token { secret: "00000000-0000-4000-a000-000000000001".to_owned(), ..Token::default() };
    let root = User { enable: true, tokens: [("t1".to_owned(), token)].into(), ..User::default() };
    estate.access_mut().users.insert("root@pam".to_owned(), root);
}

fn access(estate: &mut Estate) {
    root(estate);
    let token = Token {
        secret: "00000000-0000-4000-a000-000000000002".to_owned(),
        privsep: true,
        comment: Some("mcp token".to_owned()),
        ..Token::default()
    };
    let agent = User {
        enable: true,
        email: Some(String::new()),
        comment: Some("agent".to_owned()),
        tokens: [("mcp".to_owned(), token)].into(),
        ..User::default()
    };
    let access = estate.access_mut();
    access.users.insert("agent@pve".to_owned(), agent);
    let ops = Group { users: ["agent@pve".to_owned()].into(), comment: None };
    access.groups.insert("ops".to_owned(), ops);
    let dev = Pool { comment: Some("dev pool".to_owned()), vms: [104].into(), ..Pool::default() };
    access.pools.insert("dev".to_owned(), dev);
    let role = ["Datastore.Audit", "Sys.Audit", "VM.Audit", "VM.PowerMgmt"].map(str::to_owned);
    access.roles.insert("AgentRole".to_owned(), role.into());
    access.grant("/pool/dev", Holder::Group("ops".to_owned()), "PVEVMUser", true);
    access.grant("/vms/104", Holder::User("agent@pve".to_owned()), "AgentRole", true);
}

fn guests(estate: &mut Estate) {
    let ct = &[
        ("arch", "amd64"),
        ("hostname", "ct101"),
        ("memory", "768"),
        ("mp0", "fast:101/subvol-101-disk-0.subvol,mp=/data,backup=1,size=0T"),
        ("ostype", "debian"),
        ("rootfs", "local:101/subvol-101-disk-0.subvol,size=0T"),
        ("swap", "512"),
        ("unprivileged", "1"),
    ];
    estate.add_guest(Guest::new(101, Kind::Lxc, "pve1", ct));

    let web = &[
        ("boot", "order=net0"),
        ("cores", "2"),
        ("memory", "2048"),
        ("meta", "creation-qemu=7.2.22,ctime=1795239501"),
        ("name", "web"),
        ("net0", "virtio=BC:24:11:F3:3B:53,bridge=vmbr0,tag=5"),
        ("ostype", "l26"),
        ("smbios1", "uuid=3aa47733-48c5-4050-84d0-aaa7bc62850c"),
        ("startup", "order=2,up=30"),
        ("tags", "blue;prod;web"),
        ("vmgenid", "0bc90ac8-11ae-4258-b898-87edc72c5b8a"),
    ];
    let mut guest = Guest::new(104, Kind::Qemu, "pve1", web);
    let mut before = guest.config.clone();
    before.insert("snaptime".to_owned(), "1795239505".to_owned());
    guest.snapshots.insert("before".to_owned(), before);
    guest.config.insert("parent".to_owned(), "before".to_owned());
    estate.add_guest(guest);

    let db = &[
        ("agent", "1"),
        ("boot", "order=net0"),
        ("description", "line one\nline two: 100% \u{fc}mlaut"),
        ("memory", "4096"),
        ("meta", "creation-qemu=7.2.22,ctime=1795239501"),
        ("name", "db"),
        ("net0", "virtio=BC:24:11:63:7B:40,bridge=vmbr0"),
        ("onboot", "1"),
        ("smbios1", "uuid=f3af5ee5-2e33-405b-a96d-b372242d2057"),
        ("sockets", "2"),
        ("vmgenid", "c17609e1-04c8-428d-af7d-220e175623ca"),
    ];
    estate.add_guest(Guest::new(105, Kind::Qemu, "pve1", db));

    let app = &[
        ("boot", "order=scsi0;net0"),
        ("meta", "creation-qemu=7.2.22,ctime=1795239582"),
        ("name", "app"),
        ("net0", "virtio=BC:24:11:71:7A:AF,bridge=vmbr0"),
        ("scsi0", "fast:110/vm-110-disk-0.raw,discard=on,iothread=1,size=2G"),
        ("scsihw", "virtio-scsi-single"),
        ("smbios1", "uuid=072564ba-fd66-4370-9bb2-502316f7ddb2"),
        ("unused0", "local:110/vm-110-disk-0.raw"),
        ("vmgenid", "45b6c085-8197-4d37-9d17-feab7e694e84"),
    ];
    estate.add_guest(Guest::new(110, Kind::Qemu, "pve1", app));

    let linked = &[
        ("boot", "order=scsi0;ide2;net0"),
        ("cipassword", "hunter2"),
        ("ciuser", "ops"),
        ("ide2", "fast:111/vm-111-cloudinit.qcow2,media=cdrom,size=4M"),
        ("ipconfig0", "ip=dhcp"),
        ("meta", "creation-qemu=7.2.22,ctime=1795239582"),
        ("name", "linked"),
        ("net0", "virtio=BC:24:11:BF:39:C8,bridge=vmbr1"),
        ("scsi0", "fast:9000/base-9000-disk-0.qcow2/111/vm-111-disk-0.qcow2,size=1G"),
        ("smbios1", "uuid=8bc19838-e929-44ba-8922-5b4d0f26b746"),
        ("vmgenid", "e638e555-0fb7-4553-a50f-de226c289fc2"),
    ];
    estate.add_guest(Guest::new(111, Kind::Qemu, "pve1", linked));

    let template = &[
        ("boot", "order=scsi0;ide2;net0"),
        ("cipassword", "hunter2"),
        ("ciuser", "ops"),
        ("ide2", "fast:9000/vm-9000-cloudinit.qcow2,media=cdrom"),
        ("ipconfig0", "ip=dhcp"),
        ("meta", "creation-qemu=7.2.22,ctime=1795239582"),
        ("name", "tmpl"),
        ("net0", "virtio=BC:24:11:B5:B1:78,bridge=vmbr1"),
        ("scsi0", "fast:9000/base-9000-disk-0.qcow2,size=1G"),
        ("smbios1", "uuid=e0dd26de-144e-4add-b888-967d2b117f2f"),
        ("template", "1"),
        ("vmgenid", "aaac27ce-7b94-40cc-b52b-73a7d43dc526"),
    ];
    estate.add_guest(Guest::new(9000, Kind::Qemu, "pve1", template));
}

fn storages(estate: &mut Estate) {
    let backup =
        &[("path", "/mnt/backup"), ("content", "backup,iso"), ("prune-backups", "keep-last=3,keep-daily=7")];
    let local = &[
        ("path", "/var/lib/vz"),
        ("content", "backup,iso,images,vztmpl,rootdir,snippets"),
        ("prune-backups", "keep-all=1"),
    ];
    let fast = &[("path", "/mnt/fast"), ("content", "rootdir,images,snippets"), ("shared", "1")];
    estate.sections_mut("storage.cfg").list.extend([
        Section::new("dir", "backup", backup),
        Section::new("dir", "local", local),
        Section::new("dir", "fast", fast),
    ]);
    const GIB: u64 = 1 << 30;
    for (storage, name, format, size, used, vmid) in [
        ("fast", "101/subvol-101-disk-0.subvol", "subvol", 0, 0, 101),
        ("fast", "110/vm-110-disk-0.raw", "raw", 2 * GIB, 4096, 110),
        ("fast", "111/vm-111-cloudinit.qcow2", "qcow2", 4 << 20, 266_240, 111),
        ("fast", "9000/base-9000-disk-0.qcow2", "qcow2", GIB, 331_776, 9000),
        ("fast", "9000/base-9000-disk-0.qcow2/111/vm-111-disk-0.qcow2", "qcow2", GIB, 528_384, 111),
        ("fast", "9000/vm-9000-cloudinit.qcow2", "qcow2", 4 << 20, 266_240, 9000),
        ("local", "101/subvol-101-disk-0.subvol", "subvol", 0, 0, 101),
        ("local", "110/vm-110-disk-0.raw", "raw", 2 * GIB, 4096, 110),
    ] {
        estate.add_volume(Volume {
            storage: storage.to_owned(),
            node: if storage == "fast" { String::new() } else { "pve1".to_owned() },
            name: name.to_owned(),
            content: if format == "subvol" { "rootdir" } else { "images" },
            format: format.to_owned(),
            size,
            used,
            created: 1_795_239_601,
            vmid: Some(vmid),
            parent: name.contains("/111/").then(|| "../9000/base-9000-disk-0.qcow2".to_owned()),
            ..Volume::default()
        });
    }
}

fn sections(estate: &mut Estate) {
    let mut add = |file, section| estate.sections_mut(file).list.push(section);
    add("ha/resources.cfg", Section::new("vm", "vm:105", &[("max_restart", "2"), ("state", "stopped")]));
    let keep = &[("nodes", "pve1"), ("resources", "vm:105")];
    add("ha/rules.cfg", Section::new("node-affinity", "keep", keep));
    let weekly = &[
        ("schedule", "sun 01:00"),
        ("enabled", "1"),
        ("mode", "snapshot"),
        ("storage", "backup"),
        ("vmid", "104,105"),
    ];
    add("jobs.cfg", Section::new("vzdump", "backup-weekly", weekly));
    let pool = &[("schedule", "daily"), ("enabled", "0"), ("pool", "dev"), ("storage", "backup")];
    add("jobs.cfg", Section::new("vzdump", "backup-pool", pool));
    add("mapping/directory.cfg", Section::new("dir", "share", &[("map", "node=pve1,path=/srv")]));
    add("sdn/zones.cfg", Section::new("simple", "lab", &[]));
    add("sdn/vnets.cfg", Section::new("vnet", "labnet", &[("zone", "lab")]));
    let subnet = &[("vnet", "labnet"), ("gateway", "10.99.0.1")];
    add("sdn/subnets.cfg", Section::new("subnet", "lab-10.99.0.0-24", subnet));
}

fn rule(values: &[(&str, &str)]) -> BTreeMap<String, String> {
    values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn firewalls(estate: &mut Estate) {
    let cluster = estate.firewall_mut("firewall/cluster.fw");
    cluster.options = rule(&[("enable", "0"), ("policy_in", "DROP")]);
    let office = Alias { cidr: "198.51.100.0/24".to_owned(), comment: None };
    cluster.aliases.insert("office".to_owned(), office);
    let admin = Member { cidr: "198.51.100.7".to_owned(), ..Member::default() };
    cluster.sets.insert("admins".to_owned(), Set { comment: None, members: vec![admin] });
    cluster.rules.push(rule(&[
        ("type", "in"),
        ("action", "ACCEPT"),
        ("enable", "1"),
        ("source", "+admins"),
        ("proto", "tcp"),
        ("dport", "8006"),
        ("comment", "gui"),
    ]));
    let web = super::firewall::Group {
        comment: Some("web servers".to_owned()),
        rules: vec![rule(&[
            ("type", "in"),
            ("action", "ACCEPT"),
            ("enable", "1"),
            ("proto", "tcp"),
            ("dport", "443"),
        ])],
    };
    cluster.groups.insert("webgrp".to_owned(), web);
    *estate.firewall_mut("firewall/104.fw") = Firewall {
        options: rule(&[("enable", "1"), ("policy_in", "DROP")]),
        rules: vec![rule(&[("type", "group"), ("action", "webgrp"), ("enable", "1")])],
        ..Firewall::default()
    };
}
