//! The columns of a list that matter, and the one by which its rows are told apart.
//!
//! A row of `/nodes/{node}/qemu` has thirty columns, of which a reader wants eight; the others are shown to who asks
//! for them (`fields`). Lists that are not here are shown whole. Where a Backup Server has a list under the same path, its
//! names for the columns stand beside.

/// A list as it is shown when nobody says otherwise.
pub struct Lean {
    /// The end of the endpoint's path template.
    path: &'static str,
    /// By this its rows are put in order, as PVE gives them in none.
    pub key: &'static str,
    pub columns: &'static [&'static str],
}

const RULE: &[&str] = &[
    "pos",
    "type",
    "action",
    "macro",
    "iface",
    "source",
    "dest",
    "proto",
    "sport",
    "dport",
    "icmp-type",
    "enable",
    "comment",
];
const GUEST: &[&str] = &[
    "vmid", "name", "status", "cpu", "cpus", "mem", "maxmem", "disk", "maxdisk", "uptime", "tags",
    "template", "lock",
];

const TABLE: &[Lean] = &[
    Lean {
        path: "/access/users",
        key: "userid",
        columns: &["userid", "enable", "expire", "groups", "comment", "email", "tokens", "realm-type"],
    },
    Lean {
        path: "/access/acl",
        key: "path",
        columns: &["path", "type", "ugid_type", "ugid", "roleid", "propagate"],
    },
    Lean { path: "/access/roles", key: "roleid", columns: &["roleid", "privs", "special"] },
    Lean {
        path: "/cluster/backup",
        key: "id",
        columns: &[
            "id",
            "enabled",
            "schedule",
            "next-run",
            "storage",
            "all",
            "vmid",
            "pool",
            "node",
            "exclude",
            "mode",
            "prune-backups",
            "comment",
        ],
    },
    Lean { path: "/cluster/firewall/groups/{group}", key: "pos", columns: RULE },
    Lean { path: "/cluster/firewall/macros", key: "macro", columns: &["macro", "descr"] },
    Lean {
        path: "/cluster/ha/resources",
        key: "sid",
        columns: &["sid", "type", "state", "group", "max_restart", "max_relocate", "comment"],
    },
    Lean {
        path: "/cluster/ha/status/current",
        key: "id",
        columns: &["id", "type", "node", "sid", "status", "state", "crm_state", "request_state", "quorate"],
    },
    Lean {
        path: "/cluster/resources",
        key: "id",
        columns: &[
            "id",
            "type",
            "vmid",
            "name",
            "node",
            "status",
            "cpu",
            "maxcpu",
            "mem",
            "maxmem",
            "disk",
            "maxdisk",
            "uptime",
            "pool",
            "tags",
            "template",
            "lock",
            "hastate",
            "storage",
            "plugintype",
            "content",
            "shared",
        ],
    },
    Lean {
        path: "/cluster/status",
        key: "id",
        columns: &["id", "type", "name", "online", "local", "ip", "nodeid", "quorate", "nodes", "version"],
    },
    Lean {
        path: "/cluster/tasks",
        key: "-starttime",
        columns: &["upid", "type", "id", "user", "node", "status", "starttime", "endtime"],
    },
    Lean {
        path: "/nodes",
        key: "node",
        columns: &["node", "status", "cpu", "maxcpu", "mem", "maxmem", "uptime"],
    },
    Lean {
        path: "/nodes/{node}/aplinfo",
        key: "template",
        columns: &["template", "package", "version", "os", "section", "headline"],
    },
    Lean {
        path: "/nodes/{node}/apt/update",
        key: "Package",
        columns: &["Package", "OldVersion", "Version", "Origin", "Section", "Title"],
    },
    Lean {
        path: "/nodes/{node}/apt/versions",
        key: "Package",
        columns: &["Package", "Version", "OldVersion", "CurrentState", "RunningKernel"],
    },
    Lean {
        path: "/nodes/{node}/certificates/info",
        key: "filename",
        columns: &["filename", "subject", "san", "issuer", "notbefore", "notafter", "fingerprint"],
    },
    Lean {
        path: "/nodes/{node}/disks/list",
        key: "devpath",
        columns: &[
            "devpath",
            "name",
            "model",
            "serial",
            "size",
            "used",
            "health",
            "status",
            "wearout",
            "type",
            "disk-type",
            "gpt",
            "osdid",
        ],
    },
    Lean { path: "/nodes/{node}/lxc", key: "vmid", columns: GUEST },
    Lean { path: "/nodes/{node}/qemu", key: "vmid", columns: GUEST },
    Lean {
        path: "/nodes/{node}/network",
        key: "iface",
        columns: &[
            "iface",
            "name",
            "type",
            "active",
            "autostart",
            "method",
            "cidr",
            "gateway",
            "cidr6",
            "gateway6",
            "bridge_ports",
            "bridge_vlan_aware",
            "slaves",
            "bond_mode",
            "vlan-id",
            "vlan-raw-device",
            "mtu",
            "comments",
        ],
    },
    Lean {
        path: "/nodes/{node}/services",
        key: "name",
        columns: &["name", "state", "active-state", "unit-state", "desc"],
    },
    Lean {
        path: "/nodes/{node}/storage",
        key: "storage",
        columns: &[
            "storage",
            "type",
            "content",
            "active",
            "enabled",
            "shared",
            "used",
            "avail",
            "total",
            "used_fraction",
        ],
    },
    Lean {
        path: "/nodes/{node}/storage/{storage}/content",
        key: "volid",
        columns: &[
            "volid",
            "content",
            "format",
            "size",
            "used",
            "vmid",
            "ctime",
            "protected",
            "notes",
            "verification",
        ],
    },
    Lean {
        path: "/nodes/{node}/tasks",
        key: "-starttime",
        columns: &[
            "upid",
            "type",
            "id",
            "worker_type",
            "worker_id",
            "user",
            "status",
            "starttime",
            "endtime",
        ],
    },
    Lean { path: "/pools", key: "poolid", columns: &["poolid", "comment"] },
    Lean {
        path: "/storage",
        key: "storage",
        columns: &[
            "storage",
            "type",
            "content",
            "path",
            "pool",
            "server",
            "export",
            "datastore",
            "namespace",
            "port",
            "username",
            "fingerprint",
            "vgname",
            "thinpool",
            "shared",
            "disable",
            "nodes",
            "prune-backups",
        ],
    },
    Lean { path: "/cluster/replication", key: "id", columns: &[] },
    Lean { path: "/firewall/rules", key: "pos", columns: RULE },
    Lean { path: "/firewall/aliases", key: "name", columns: &["name", "cidr", "comment"] },
    Lean { path: "/firewall/ipset", key: "name", columns: &["name", "comment"] },
    Lean {
        path: "/snapshot",
        key: "snaptime",
        columns: &["name", "parent", "snaptime", "vmstate", "description"],
    },
    Lean { path: "/pending", key: "key", columns: &[] },
    Lean {
        path: "/cluster/sdn/vnets",
        key: "vnet",
        columns: &["vnet", "zone", "tag", "alias", "vlanaware", "state", "pending"],
    },
    Lean {
        path: "/cluster/sdn/zones",
        key: "zone",
        columns: &[
            "zone",
            "type",
            "bridge",
            "nodes",
            "mtu",
            "peers",
            "vrf-vxlan",
            "controller",
            "ipam",
            "dhcp",
            "state",
            "pending",
        ],
    },
];

/// Keys by which lists that are not in the table are put in order: the first that the list's rows are declared to have.
pub const KEYS: &[&str] =
    &["vmid", "id", "name", "node", "storage", "userid", "groupid", "poolid", "n", "pos", "subdir"];

/// The list of an endpoint, by its path template.
pub fn lean(template: &str) -> Option<&'static Lean> {
    let is_end = |lean: &&Lean| ENDS.contains(&lean.path) && template.ends_with(lean.path);
    TABLE.iter().find(|lean| lean.path == template).or_else(|| TABLE.iter().find(is_end))
}

/// The rows of the table that stand for many endpoints: `/firewall/rules` for those of the cluster, of nodes, of guests and
/// of vnets.
const ENDS: &[&str] = &["/firewall/rules", "/firewall/aliases", "/firewall/ipset", "/snapshot", "/pending"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_found_by_its_path_or_by_its_end() {
        assert_eq!(lean("/nodes/{node}/qemu").map(|lean| lean.key), Some("vmid"));
        assert_eq!(lean("/nodes/{node}/qemu/{vmid}/firewall/rules").map(|lean| lean.key), Some("pos"));
        assert_eq!(lean("/cluster/firewall/rules").map(|lean| lean.key), Some("pos"));
        assert_eq!(lean("/nodes/{node}/lxc/{vmid}/snapshot").map(|lean| lean.key), Some("snaptime"));
        assert!(lean("/nodes/{node}/ceph/pool").is_none());
        assert!(lean("/nodes/{node}/storage/{storage}/prunebackups").is_none());
    }

    #[test]
    fn every_key_is_among_its_columns() {
        for lean in TABLE.iter().filter(|lean| !lean.columns.is_empty()) {
            assert!(lean.columns.contains(&lean.key.trim_start_matches('-')), "{}", lean.path);
        }
    }
}
