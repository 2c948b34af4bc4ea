//! A node: what it is made of, and its network's configuration.

use std::collections::BTreeMap;

#[derive(Debug, Clone, Default)]
pub struct Node {
    pub name: String,
    /// 0 where there is no cluster.
    pub id: u32,
    pub address: String,
    pub online: bool,
    pub cpus: u32,
    pub memory: u64,
    pub disk: u64,
    /// When it was started.
    pub since: u64,
    /// Of `pve-ssl.pem`, as PVE prints it.
    pub fingerprint: String,
    /// `/nodes/{node}/config`.
    pub config: BTreeMap<String, String>,
    pub network: Interfaces,
    /// `interfaces.new`: what waits for `PUT /nodes/{node}/network`.
    pub network_pending: Option<Interfaces>,
    pub dns: BTreeMap<String, String>,
    pub timezone: String,
    pub hosts: String,
    /// Unit → whether it runs.
    pub services: BTreeMap<&'static str, bool>,
    /// Bytes of each of its directory storages: total, and used by what is not PVE's.
    pub storage: (u64, u64),
}

pub type Interfaces = BTreeMap<String, BTreeMap<String, String>>;

/// The units that `/nodes/{node}/services` knows.
pub const SERVICES: &[&str] = &[
    "chrony",
    "corosync",
    "cron",
    "ksmtuned",
    "lxcfs",
    "postfix",
    "proxmox-firewall",
    "pve-cluster",
    "pve-firewall",
    "pve-ha-crm",
    "pve-ha-lrm",
    "pve-lxc-syscalld",
    "pvedaemon",
    "pvefw-logger",
    "pveproxy",
    "pvescheduler",
    "pvestatd",
    "qmeventd",
    "spiceproxy",
    "sshd",
    "syslog",
    "systemd-journald",
];

impl Node {
    pub fn new(name: &str, id: u32, address: &str, cpus: u32, memory: u64) -> Self {
        Self {
            name: name.to_owned(),
            id,
            address: address.to_owned(),
            online: true,
            cpus,
            memory,
            disk: 100 << 30,
            since: super::now().saturating_sub(86_400 * 12),
            dns: [("search", "example.org"), ("dns1", "192.0.2.53")].map(owned).into(),
            timezone: "Etc/UTC".to_owned(),
            hosts: format!("127.0.0.1 localhost\n{address} {name}.example.org {name}\n"),
            services: SERVICES.iter().map(|name| (*name, *name != "syslog")).collect(),
            ..Self::default()
        }
    }

    /// A physical card and a bridge over it.
    pub fn with_bridge(mut self) -> Self {
        let card =
            [("type", "eth"), ("exists", "1"), ("active", "1"), ("method", "manual"), ("families", "inet")];
        let cidr = format!("{}/24", self.address);
        let bridge = [
            ("type", "bridge"),
            ("active", "1"),
            ("autostart", "1"),
            ("method", "static"),
            ("families", "inet"),
            ("address", &self.address),
            ("netmask", "24"),
            ("cidr", &cidr),
            ("gateway", "192.0.2.1"),
            ("bridge_ports", "eno1"),
            ("bridge_stp", "off"),
            ("bridge_fd", "0"),
        ];
        self.network.insert("eno1".to_owned(), card.map(owned).into());
        self.network.insert("vmbr0".to_owned(), bridge.map(owned).into());
        self
    }
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}
