//! A cluster of three nodes to try things on, with as many guests as are asked for.

use std::collections::BTreeMap;

use super::access::{Group, Holder, Pool, Token, User};
use super::firewall::{Alias, Firewall, Member, Set};
use super::guest::{Guest, Kind, Run, Values};
use super::node::Node;
use super::recorded::root;
use super::sections::Section;
use super::volume::Volume;
use super::{Estate, now};

const NODES: [&str; 3] = ["pve1", "pve2", "pve3"];
const POOLS: [&str; 4] = ["dev", "prod", "lab", "shop"];
const TAGS: [&str; 5] = ["prod;web", "prod;db", "dev", "ai;dev", "shop"];
const NAMES: [&str; 8] = ["web", "db", "cache", "queue", "build", "mail", "proxy", "files"];

/// `guests` of them from 100 on, two of five being containers, and most of them running. `containers` are containers of
/// these ids on the first node, which run: what stands for them may really be there.
#[must_use]
pub fn demo(guests: u32, containers: &[u32]) -> Estate {
    let mut estate = Estate { cluster: Some("demo".to_owned()), statistics: true, ..Estate::default() };
    for (number, name) in (1u32..).zip(NODES) {
        let mut node =
            Node::new(name, number, &format!("192.0.2.{}", 10 + number), 32, 256 << 30).with_bridge();
        node.storage = (4 << 40, 64 << 30);
        estate.nodes.push(node);
    }
    access(&mut estate);
    storages(&mut estate);
    sections(&mut estate);
    firewalls(&mut estate);
    for vmid in containers {
        container(&mut estate, *vmid, "pve1", true);
    }
    let free: Vec<u32> = (100..).filter(|vmid| !containers.contains(vmid)).take(guests as usize).collect();
    for vmid in free {
        let node = NODES[vmid as usize % NODES.len()];
        let running = vmid % 7 != 0;
        if vmid % 5 < 2 {
            container(&mut estate, vmid, node, running)
        } else {
            machine(&mut estate, vmid, node, running)
        }
    }
    template(&mut estate, 9000);
    watched(&mut estate);
    estate
}

fn texts(values: &[(&str, &str)]) -> Values {
    values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn started(estate: &mut Estate, vmid: u32) -> Run {
    let pid = u32::try_from(20_000 + estate.count() % 4_000_000).unwrap_or(20_000);
    Run::Running { since: now() - 3600 - u64::from(vmid) * 7 % 500_000, pid }
}

fn add(estate: &mut Estate, mut guest: Guest, running: bool) {
    let vmid = guest.vmid;
    guest.config.insert("tags".to_owned(), TAGS[vmid as usize % TAGS.len()].to_owned());
    if running {
        guest.run = started(estate, vmid);
    }
    let pool = POOLS[vmid as usize % POOLS.len()];
    if let Some(pool) = estate.access_mut().pools.get_mut(pool) {
        pool.vms.insert(vmid);
    }
    estate.add_guest(guest);
}

fn disk(estate: &mut Estate, node: &str, name: String, vmid: u32, content: &'static str, gib: u64) {
    let size = gib << 30;
    estate.add_volume(Volume {
        storage: "local-lvm".to_owned(),
        node: node.to_owned(),
        name,
        content,
        format: "raw".to_owned(),
        size,
        used: size / 3,
        created: now() - 86_400,
        vmid: Some(vmid),
        ..Volume::default()
    });
}

fn container(estate: &mut Estate, vmid: u32, node: &str, running: bool) {
    let gib = 4 + u64::from(vmid % 5) * 4;
    let mac = estate.mac();
    let mut guest = Guest::new(vmid, Kind::Lxc, node, &[]);
    guest.config = texts(&[
        ("arch", "amd64"),
        ("cores", if vmid.is_multiple_of(2) { "1" } else { "2" }),
        ("hostname", &format!("{}-{vmid}", NAMES[vmid as usize % NAMES.len()])),
        ("memory", if vmid.is_multiple_of(3) { "512" } else { "1024" }),
        ("net0", &format!("name=eth0,bridge=vmbr0,hwaddr={mac},ip=dhcp,type=veth")),
        ("onboot", "1"),
        ("ostype", "debian"),
        ("rootfs", &format!("local-lvm:vm-{vmid}-disk-0,size={gib}G")),
        ("swap", "512"),
        ("unprivileged", "1"),
    ]);
    disk(estate, node, format!("vm-{vmid}-disk-0"), vmid, "rootdir", gib);
    add(estate, guest, running);
}

fn machine_config(estate: &mut Estate, vmid: u32, gib: u64) -> Values {
    let (mac, uuid, genid) = (estate.mac(), estate.uuid(), estate.uuid());
    texts(&[
        ("agent", "1"),
        ("boot", "order=scsi0;net0"),
        ("cores", "2"),
        ("memory", if vmid.is_multiple_of(4) { "4096" } else { "2048" }),
        ("meta", "creation-qemu=10.1.2,ctime=1790000000"),
        ("name", &format!("{}-{vmid}", NAMES[vmid as usize % NAMES.len()])),
        ("net0", &format!("virtio={mac},bridge=vmbr0,firewall=1")),
        ("onboot", "1"),
        ("ostype", "l26"),
        ("scsi0", &format!("local-lvm:vm-{vmid}-disk-0,iothread=1,size={gib}G")),
        ("scsihw", "virtio-scsi-single"),
        ("smbios1", &format!("uuid={uuid}")),
        ("vmgenid", &genid),
    ])
}

fn machine(estate: &mut Estate, vmid: u32, node: &str, running: bool) {
    let gib = 16 + u64::from(vmid % 4) * 16;
    let mut guest = Guest::new(vmid, Kind::Qemu, node, &[]);
    guest.config = machine_config(estate, vmid, gib);
    disk(estate, node, format!("vm-{vmid}-disk-0"), vmid, "images", gib);
    if vmid.is_multiple_of(50) {
        let mut values = guest.config.clone();
        values.insert("snaptime".to_owned(), (now() - 86_400).to_string());
        guest.snapshots.insert("before-upgrade".to_owned(), values);
        guest.config.insert("parent".to_owned(), "before-upgrade".to_owned());
    }
    add(estate, guest, running);
}

fn template(estate: &mut Estate, vmid: u32) {
    // The last guests of a large estate have its number.
    let Some(vmid) = (vmid..).find(|vmid| estate.guest(*vmid).is_none()) else { return };
    let mut guest = Guest::new(vmid, Kind::Qemu, "pve1", &[]);
    guest.config = machine_config(estate, vmid, 8);
    guest.config.extend(texts(&[
        ("name", "debian-13-template"),
        ("scsi0", &format!("local-lvm:base-{vmid}-disk-0,size=8G")),
        ("template", "1"),
    ]));
    disk(estate, "pve1", format!("base-{vmid}-disk-0"), vmid, "images", 8);
    add(estate, guest, false);
}

fn access(estate: &mut Estate) {
    root(estate);
    let secret = |number: u32| format!("00000000-0000-4000-a000-{number:012}");
    let token = |number| Token { secret: secret(number), privsep: true, ..Token::default() };
    let access = estate.access_mut();
    for (number, name) in (2u32..).zip(["agent@pve", "alice@pve", "bob@pve"]) {
        let user = User {
            enable: true,
            comment: Some("demo".to_owned()),
            tokens: [("mcp".to_owned(), token(number))].into(),
            ..User::default()
        };
        access.users.insert(name.to_owned(), user);
    }
    for pool in POOLS {
        access
            .pools
            .insert(pool.to_owned(), Pool { comment: Some(format!("{pool} guests")), ..Pool::default() });
    }
    let ops = Group { users: ["alice@pve".to_owned()].into(), comment: Some("operators".to_owned()) };
    access.groups.insert("ops".to_owned(), ops);
    access.grant("/", Holder::User("agent@pve".to_owned()), "PVEAuditor", true);
    access.grant("/", Holder::Token("agent@pve!mcp".to_owned()), "PVEAuditor", true);
    access.grant("/pool/dev", Holder::Group("ops".to_owned()), "PVEVMAdmin", true);
}

fn storages(estate: &mut Estate) {
    let list = &mut estate.sections_mut("storage.cfg").list;
    list.push(Section::new(
        "dir",
        "local",
        &[
            ("path", "/var/lib/vz"),
            ("content", "iso,vztmpl,backup,snippets,import"),
            ("prune-backups", "keep-all=1"),
        ],
    ));
    list.push(Section::new(
        "lvmthin",
        "local-lvm",
        &[("thinpool", "data"), ("vgname", "pve"), ("content", "rootdir,images")],
    ));
    list.push(Section::new(
        "nfs",
        "backup",
        &[
            ("export", "/srv/backup"),
            ("path", "/mnt/pve/backup"),
            ("server", "192.0.2.20"),
            ("content", "backup"),
            ("prune-backups", "keep-daily=7,keep-last=3"),
        ],
    ));
    list.push(Section::new(
        "nfs",
        "shared",
        &[
            ("export", "/srv/shared"),
            ("path", "/mnt/pve/shared"),
            ("server", "192.0.2.20"),
            ("content", "images,rootdir,iso,vztmpl,snippets"),
        ],
    ));
    for node in NODES {
        for (content, name, format) in [
            ("iso", "iso/debian-13.1.0-amd64-netinst.iso", "iso"),
            ("vztmpl", "vztmpl/debian-13-standard_13.1-2_amd64.tar.zst", "tzst"),
        ] {
            estate.add_volume(Volume {
                storage: "local".to_owned(),
                node: node.to_owned(),
                name: name.to_owned(),
                content,
                format: format.to_owned(),
                size: 700 << 20,
                used: 700 << 20,
                created: 1_790_000_000,
                ..Volume::default()
            });
        }
    }
}

/// The first VM that runs is kept by HA and copied to another node.
fn watched(estate: &mut Estate) {
    let first =
        estate.guests().find(|guest| guest.kind == Kind::Qemu && guest.is_running() && guest.node == "pve1");
    let Some(vmid) = first.map(|guest| guest.vmid) else { return };
    let sid = format!("vm:{vmid}");
    estate.sections_mut("ha/resources.cfg").list.push(Section::new("vm", &sid, &[("state", "started")]));
    let rule = Section::new("node-affinity", "near", &[("nodes", "pve1,pve2"), ("resources", &sid)]);
    estate.sections_mut("ha/rules.cfg").list.push(rule);
    let job = Section::new("local", &format!("{vmid}-0"), &[("target", "pve2"), ("schedule", "*/15")]);
    estate.sections_mut("replication.cfg").list.push(job);
}

fn sections(estate: &mut Estate) {
    let mut add = |file, section| estate.sections_mut(file).list.push(section);
    add("mapping/directory.cfg", Section::new("dir", "share", &[("map", "node=pve1,path=/srv")]));
    let mail = &[("mailto-user", "root@pam"), ("comment", "Send mails to root@pam's email address")];
    add("notifications.cfg", Section::new("sendmail", "mail-to-root", mail));
    let every = &[
        ("mode", "all"),
        ("target", "mail-to-root"),
        ("comment", "Route all notifications to mail-to-root"),
    ];
    add("notifications.cfg", Section::new("matcher", "default-matcher", every));
    let nightly = &[
        ("schedule", "02:30"),
        ("enabled", "1"),
        ("mode", "snapshot"),
        ("pool", "prod"),
        ("storage", "backup"),
    ];
    add("jobs.cfg", Section::new("vzdump", "backup-nightly", nightly));
    add("sdn/zones.cfg", Section::new("simple", "lab", &[("ipam", "pve")]));
    add("sdn/vnets.cfg", Section::new("vnet", "labnet", &[("zone", "lab")]));
    add(
        "sdn/subnets.cfg",
        Section::new("subnet", "lab-10.99.0.0-24", &[("vnet", "labnet"), ("gateway", "10.99.0.1")]),
    );
    for file in ["sdn/zones.cfg", "sdn/vnets.cfg", "sdn/subnets.cfg"] {
        let applied = estate.sections(file).clone();
        estate.sdn_running.insert(file, applied);
    }
    estate.datacenter_mut().insert("keyboard".to_owned(), "en-us".to_owned());
}

fn firewalls(estate: &mut Estate) {
    let rule = |values: &[(&str, &str)]| -> BTreeMap<String, String> { texts(values) };
    let ssh = rule(&[
        ("type", "in"),
        ("action", "ACCEPT"),
        ("enable", "1"),
        ("source", "+admins"),
        ("macro", "SSH"),
    ]);
    let admin = Member { cidr: "198.51.100.0/24".to_owned(), ..Member::default() };
    let office = Alias { cidr: "198.51.100.0/24".to_owned(), comment: Some("the office".to_owned()) };
    *estate.firewall_mut("firewall/cluster.fw") = Firewall {
        options: rule(&[("enable", "1"), ("policy_in", "DROP")]),
        aliases: [("office".to_owned(), office)].into(),
        sets: [("admins".to_owned(), Set { comment: None, members: vec![admin] })].into(),
        rules: vec![ssh],
        ..Firewall::default()
    };
}
