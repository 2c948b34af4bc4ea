//! A cluster in which every GET of the API has something to answer about, and the arguments that name it.
#![allow(dead_code, reason = "each test program uses its own part")]

use provost::catalog::{Endpoint, Kind, Parameter};
use provost::sim::estate::access::Factor;
use provost::sim::estate::firewall::{Alias, Firewall, Group, Member, Rule, Set};
use provost::sim::estate::sections::Section;
use provost::sim::estate::volume::Volume;
use provost::sim::estate::{Estate, demo};
use serde_json::{Map, Value, json};

/// A running VM with an agent and a running container, both on the first node.
pub const VM: u32 = 102;
pub const CONTAINER: u32 = 111;

const BACKUP: &str = "backup/vzdump-qemu-102-2026_10_01-02_30_00.vma.zst";

/// File, kind, id and values.
type Row = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

/// What stands nowhere in the demo's cluster, by the file that would hold it.
const SECTIONS: &[Row] = &[
    ("mapping/pci.cfg", "pci", "gpu", &[("map", "node=pve1,path=0000:01:00.0,id=10de:1eb8")]),
    ("mapping/usb.cfg", "usb", "stick", &[("map", "node=pve1,id=0951:1666")]),
    ("notifications.cfg", "gotify", "push", &[("server", "https://push.example.org")]),
    (
        "notifications.cfg",
        "smtp",
        "post",
        &[("server", "mail.example.org"), ("from-address", "pve@example.org")],
    ),
    ("notifications.cfg", "webhook", "hook", &[("url", "https://hook.example.org"), ("method", "post")]),
    ("jobs.cfg", "realm-sync", "people", &[("schedule", "daily"), ("realm", "pam")]),
    ("status.cfg", "graphite", "metrics", &[("server", "192.0.2.30"), ("port", "2003")]),
    ("priv/acme/plugins.cfg", "dns", "zone", &[("api", "acmedns")]),
    ("virtual-guest/cpu-models.conf", "cpu-model", "custom-fast", &[("reported-model", "kvm64")]),
    ("sdn/controllers.cfg", "evpn", "frr", &[("asn", "65000"), ("peers", "192.0.2.11")]),
    ("sdn/dns.cfg", "powerdns", "names", &[("url", "https://dns.example.org/api/v1/servers/localhost")]),
    ("sdn/ipams.cfg", "netbox", "nets", &[("url", "https://ipam.example.org/api")]),
    ("sdn/fabrics.cfg", "openfabric_fabric", "fab1", &[("ip_prefix", "10.1.0.0/24")]),
    ("sdn/fabrics.cfg", "openfabric_node", "fab1_pve1", &[("ip", "10.1.0.1")]),
    ("ha/groups.cfg", "group", "near", &[("nodes", "pve1,pve2")]),
];

pub fn estate() -> Estate {
    let mut estate = demo(30, &[]);
    estate.ceph = true;
    for (file, kind, id, values) in SECTIONS {
        estate.sections_mut(file).list.push(Section::new(kind, id, values));
    }
    for file in ["nodes/pve1/host.fw", "sdn/firewall/labnet.fw", "firewall/102.fw", "firewall/111.fw"] {
        *estate.firewall_mut(file) = firewall();
    }
    let web = Group { comment: None, rules: vec![rule()] };
    estate.firewall_mut("firewall/cluster.fw").groups.insert("web".to_owned(), web);
    for vmid in [VM, CONTAINER] {
        let guest = estate.guest_mut(vmid).expect("a guest");
        let mut before = guest.config.clone();
        before.insert("snaptime".to_owned(), "1790000000".to_owned());
        guest.snapshots.insert("before".to_owned(), before);
    }
    estate.add_volume(Volume {
        storage: "backup".to_owned(),
        name: BACKUP.to_owned(),
        content: "backup",
        format: "vma.zst".to_owned(),
        size: 1 << 30,
        used: 1 << 30,
        created: 1_790_000_000,
        vmid: Some(VM),
        archive: estate.guest(VM).cloned().map(Box::new),
        ..Volume::default()
    });
    let factor = Factor { kind: "totp", description: "a telephone".to_owned(), created: 1_790_000_000 };
    let agent = estate.access_mut().users.get_mut("agent@pve").expect("the agent");
    agent.factors.insert("totp-1".to_owned(), factor);
    estate
}

fn rule() -> Rule {
    [("type", "in"), ("action", "ACCEPT"), ("enable", "1"), ("proto", "tcp"), ("dport", "443")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

fn firewall() -> Firewall {
    let member = Member { cidr: "198.51.100.0/24".to_owned(), ..Member::default() };
    let alias = Alias { cidr: "198.51.100.0/24".to_owned(), comment: None };
    Firewall {
        aliases: [("office".to_owned(), alias)].into(),
        sets: [("admins".to_owned(), Set { comment: None, members: vec![member] })].into(),
        rules: vec![rule()],
        ..Firewall::default()
    }
}

/// What a parameter of this name means where the path holds this; the first that fits.
const THERE: &[(&str, &str, &str)] = &[
    ("/access/tfa/", "id", "totp-1"),
    ("/access/tfa/", "userid", "agent@pve"),
    ("/cluster/acme/plugins", "id", "zone"),
    ("/cluster/backup/", "id", "backup-nightly"),
    ("/cluster/jobs/realm-sync", "id", "people"),
    ("/cluster/mapping/dir", "id", "share"),
    ("/cluster/mapping/pci", "id", "gpu"),
    ("/cluster/mapping/usb", "id", "stick"),
    ("/cluster/metrics/server", "id", "metrics"),
    ("/replication", "id", "102-0"),
    ("/endpoints/gotify", "name", "push"),
    ("/endpoints/sendmail", "name", "mail-to-root"),
    ("/endpoints/smtp", "name", "post"),
    ("/endpoints/webhook", "name", "hook"),
    ("/notifications/matchers", "name", "default-matcher"),
    ("/aliases/{name}", "name", "office"),
    ("/ipset/{name}", "name", "admins"),
    ("/sdn/fabrics/fabric", "id", "fab1"),
    ("/sdn/fabrics/node/", "fabric_id", "fab1"),
    ("/sdn/fabrics/node/", "node_id", "pve1"),
    ("/firewall/groups/", "group", "web"),
    ("/ha/groups/", "group", "near"),
    ("/lxc/", "vmid", "111"),
    ("", "vmid", "102"),
    ("/prunebackups", "storage", "backup"),
    ("/vzdump/extractconfig", "volume", "backup:backup/vzdump-qemu-102-2026_10_01-02_30_00.vma.zst"),
    ("/file-restore/", "volume", "backup:backup/vzdump-qemu-102-2026_10_01-02_30_00.vma.zst"),
    ("/import-metadata", "volume", "local:iso/debian-13.1.0-amd64-netinst.iso"),
    ("", "volume", "local:iso/debian-13.1.0-amd64-netinst.iso"),
    ("", "storage", "local"),
    ("/ceph/cfg/value", "config-keys", "global:osd_pool_default_size"),
    ("/ceph/cmd-safety", "id", "0"),
    ("/ceph/cmd-safety", "service", "osd"),
    ("/schedule-analyze", "schedule", "daily"),
    ("/custom-cpu-models/", "cputype", "custom-fast"),
    ("", "controller", "frr"),
    ("", "dns", "names"),
    ("", "ipam", "nets"),
    ("", "cidr", "198.51.100.0/24"),
    ("", "node", "pve1"),
    ("", "sid", "vm:102"),
    ("", "rule", "near"),
    ("", "userid", "root@pam"),
    ("", "tokenid", "t1"),
    ("", "realm", "pam"),
    ("", "groupid", "ops"),
    ("", "roleid", "PVEAdmin"),
    ("", "poolid", "dev"),
    ("", "snapname", "before"),
    ("", "zone", "lab"),
    ("", "vnet", "labnet"),
    ("", "subnet", "lab-10.99.0.0-24"),
    ("", "iface", "vmbr0"),
    ("", "service", "pveproxy"),
    ("", "pos", "0"),
    ("", "ds", "cpu"),
    ("", "server", "192.0.2.20"),
    ("", "portal", "192.0.2.20"),
    ("", "url", "https://example.org/a.iso"),
    ("", "disk", "/dev/sda"),
];

/// What is required, as a client would write it. Only a task's name is the caller's to know.
pub fn args(endpoint: &Endpoint, upid: &str) -> Map<String, Value> {
    let needed = endpoint.parameters.iter().filter(|parameter| !parameter.optional && !parameter.family);
    needed.map(|parameter| (parameter.name.clone(), value(&endpoint.path, parameter, upid))).collect()
}

fn value(path: &str, parameter: &Parameter, upid: &str) -> Value {
    let schema = &parameter.schema;
    if parameter.name == "upid" {
        return json!(upid);
    }
    if let Some((_, _, value)) =
        THERE.iter().find(|(at, name, _)| path.contains(at) && parameter.name == *name)
    {
        return json!(value);
    }
    match schema.kind {
        _ if !schema.choices.is_empty() => json!(schema.choices[0]),
        Kind::Integer | Kind::Number => json!(schema.minimum.unwrap_or(1.0) as i64),
        Kind::Boolean => json!(1),
        _ => json!("xy"),
    }
}

/// The only GETs that a token is not given, on any node: the path, PVE's words, and why. Those that are no reads at all
/// are in the table of tiers.
pub const NOT_ANSWERED: &[(&str, &str, &str)] = &[
    ("/cluster/acme/account/{name}", ROOT_ONLY, "no permission is declared, which leaves it to root@pam"),
    ("/cluster/backup-info", ROOT_ONLY, "the same; what stands below it has a permission of its own"),
    ("/cluster/sdn/vnets/{vnet}/firewall", ROOT_ONLY, "the same"),
];

/// Since 9.0, as the rules have come in their place.
pub const NOT_ANSWERED_WITH_HA_RULES: &[(&str, &str, &str)] = &[
    ("/cluster/ha/groups", "migrated to rules", "a cluster of this release has none"),
    ("/cluster/ha/groups/{group}", "migrated to rules", "the same"),
];

const ROOT_ONLY: &str = "Permission check failed (user != root@pam)";
