//! What the simulated cluster is: nodes, guests, storages, access and the rest, in memory. The truth; `/etc/pve` is
//! written from it.
//!
//! Whoever changes something says which file holds it, by taking it through one of the `*_mut` doors: the file is then
//! written before the answer leaves, and its version counts up.

pub mod access;
mod demo;
pub mod firewall;
pub mod guest;
mod kept;
pub mod node;
mod recorded;
pub mod sections;
pub mod volume;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use super::machine::Machine;
use access::Access;
use firewall::Firewall;
use guest::{Guest, Kind};
use node::Node;
use sections::Sections;
use volume::{Remote, Volume};

pub use demo::demo;
pub use recorded::recorded;

/// SHA-1 in hex: PVE's digest of a configuration, which guards against lost updates and not against attackers.
pub fn digest(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[derive(Debug, Default)]
pub struct Estate {
    /// `None`: a node that is in no cluster.
    pub cluster: Option<String>,
    /// The first is the one that is connected to.
    pub nodes: Vec<Node>,
    /// Whether pvestatd runs. Without it `/cluster/resources` knows neither status nor use.
    pub statistics: bool,
    /// The other nodes are there and not heard.
    pub cut_off: bool,
    /// Whether Ceph is installed.
    pub ceph: bool,
    /// Paths that this version's daemons do not know, though its documentation does.
    pub missing: &'static [&'static str],
    guests: BTreeMap<u32, Guest>,
    access: Access,
    sections: BTreeMap<&'static str, Sections>,
    datacenter: BTreeMap<String, String>,
    firewalls: BTreeMap<String, Firewall>,
    /// In no order; a shared one's node is empty.
    pub volumes: Vec<Volume>,
    /// By storage, where another machine has a say in it.
    pub remotes: BTreeMap<String, Remote>,
    /// `/cluster/sdn` as it was applied last: file → sections.
    pub sdn_running: BTreeMap<&'static str, Sections>,
    pub sdn_lock: Option<String>,
    /// What HA does with its resources while it is disarmed: `freeze` or `ignore`.
    pub ha_disarmed: Option<String>,
    /// Stored by the stand-ins for what has no state of its own here: path → keys.
    pub kept: BTreeMap<String, BTreeMap<String, String>>,
    /// What a GET of this path gives in place of what it would: faults of what is not simulated.
    pub planted: BTreeMap<String, serde_json::Value>,
    pub tasks: super::task::Tasks,
    /// What runs in VMs, where it is something else than [`Machine::default`].
    pub machines: BTreeMap<u32, Machine>,
    /// Counts every change: by it a test sees that there was none.
    pub version: u64,
    changed: BTreeSet<String>,
    removed: BTreeSet<String>,
    /// What [`Estate::count`] gave last.
    counter: u64,
}

impl Estate {
    pub fn local(&self) -> &Node {
        &self.nodes[0]
    }

    pub fn is_quorate(&self) -> bool {
        let online = self.nodes.iter().filter(|node| node.online).count();
        online * 2 > self.nodes.len() && !self.cut_off
    }

    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    pub fn node_mut(&mut self, name: &str) -> Option<&mut Node> {
        self.version += 1;
        self.nodes.iter_mut().find(|node| node.name == name)
    }

    pub fn guests(&self) -> impl Iterator<Item = &Guest> {
        self.guests.values()
    }

    pub fn guest(&self, vmid: u32) -> Option<&Guest> {
        self.guests.get(&vmid)
    }

    /// The guest of this kind on this node, or PVE's sentence for one that is not there.
    pub fn guest_on(&self, node: &str, kind: Kind, vmid: u32) -> Result<&Guest, String> {
        let found = self.guests.get(&vmid).filter(|guest| guest.node == node && guest.kind == kind);
        found.ok_or_else(|| {
            format!("Configuration file 'nodes/{node}/{}/{vmid}.conf' does not exist", kind.folder())
        })
    }

    pub fn guest_mut(&mut self, vmid: u32) -> Option<&mut Guest> {
        let file = self.guests.get(&vmid)?.file();
        self.touch(&file);
        self.guests.get_mut(&vmid)
    }

    /// What is not in its configuration: whether it runs.
    pub fn guest_state_mut(&mut self, vmid: u32) -> Option<&mut Guest> {
        self.version += 1;
        self.guests.get_mut(&vmid)
    }

    pub fn add_guest(&mut self, guest: Guest) {
        self.touch(&guest.file());
        self.guests.insert(guest.vmid, guest);
    }

    pub fn remove_guest(&mut self, vmid: u32) -> Option<Guest> {
        let guest = self.guests.remove(&vmid)?;
        self.untouch(&guest.file());
        Some(guest)
    }

    pub fn move_guest(&mut self, vmid: u32, node: &str) {
        let Some(mut guest) = self.remove_guest(vmid) else { return };
        node.clone_into(&mut guest.node);
        self.add_guest(guest);
    }

    /// The lowest free id from 100 on.
    pub fn next_id(&self) -> u32 {
        (100..).find(|id| !self.guests.contains_key(id)).unwrap_or_default()
    }

    pub fn access(&self) -> &Access {
        &self.access
    }

    pub fn access_mut(&mut self) -> &mut Access {
        self.touch("user.cfg");
        &mut self.access
    }

    pub fn sections(&self, file: &str) -> &Sections {
        static NONE: Sections = Sections { typed: true, list: Vec::new() };
        self.sections.get(file).unwrap_or(&NONE)
    }

    /// `file` is one of [`sections::FILES`].
    pub fn sections_mut(&mut self, file: &'static str) -> &mut Sections {
        self.touch(file);
        let typed = sections::FILES.iter().find(|(name, _)| *name == file).is_none_or(|(_, typed)| *typed);
        self.sections.entry(file).or_insert_with(|| Sections { typed, list: Vec::new() })
    }

    pub fn datacenter(&self) -> &BTreeMap<String, String> {
        &self.datacenter
    }

    pub fn datacenter_mut(&mut self) -> &mut BTreeMap<String, String> {
        self.touch("datacenter.cfg");
        &mut self.datacenter
    }

    /// `file` is the path under /etc/pve: `firewall/cluster.fw`, `firewall/104.fw`, `nodes/pve1/host.fw`,
    /// `sdn/firewall/labnet.fw`.
    pub fn firewall(&self, file: &str) -> &Firewall {
        static NONE: Firewall = Firewall::EMPTY;
        self.firewalls.get(file).unwrap_or(&NONE)
    }

    pub fn firewall_mut(&mut self, file: &str) -> &mut Firewall {
        self.touch(file);
        self.firewalls.entry(file.to_owned()).or_default()
    }

    pub fn remove_firewall(&mut self, file: &str) {
        if self.firewalls.remove(file).is_some() {
            self.untouch(file);
        }
    }

    fn touch(&mut self, file: &str) {
        self.version += 1;
        self.removed.remove(file);
        if !self.changed.contains(file) {
            self.changed.insert(file.to_owned());
        }
    }

    fn untouch(&mut self, file: &str) {
        self.version += 1;
        self.changed.remove(file);
        self.removed.insert(file.to_owned());
    }

    /// Files that no longer agree with the estate: to be written, and to be removed.
    pub fn take_changes(&mut self) -> (BTreeSet<String>, BTreeSet<String>) {
        (std::mem::take(&mut self.changed), std::mem::take(&mut self.removed))
    }

    /// What `file` holds now.
    pub fn text_of(&self, file: &str) -> String {
        if let Some((_, text)) = self.sections.get_key_value(file) {
            return text.text();
        }
        if let Some(firewall) = self.firewalls.get(file) {
            return firewall.text();
        }
        match file {
            "user.cfg" => self.access.text(),
            "priv/token.cfg" => String::new(),
            "datacenter.cfg" => datacenter_text(&self.datacenter),
            _ => {
                let vmid =
                    file.rsplit_once('/').and_then(|(_, name)| name.strip_suffix(".conf")?.parse().ok());
                vmid.and_then(|vmid| self.guests.get(&vmid)).map(Guest::text).unwrap_or_default()
            }
        }
    }

    /// Unique numbers, the same in each run.
    pub fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// A UUID that no other object of this estate has.
    pub fn uuid(&mut self) -> String {
        let hex = digest(format!("uuid {}", self.count()).as_bytes());
        format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
    }

    /// A network card's address, with the prefix that PVE gives out.
    pub fn mac(&mut self) -> String {
        let number = self.count();
        format!("BC:24:11:{:02X}:{:02X}:{:02X}", number >> 16 & 0xff, number >> 8 & 0xff, number & 0xff)
    }
}

fn datacenter_text(values: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    if let Some(description) = values.get("description") {
        for line in description.trim_end_matches('\n').split('\n') {
            text.push_str(&format!("#{line}\n"));
        }
        text.push('\n');
    }
    for (key, value) in values.iter().filter(|(key, _)| *key != "description") {
        text.push_str(&format!("{key}: {value}\n"));
    }
    text
}
