//! `/etc/pve` on disk, kept in agreement with the estate: each change is written, by rename, before it is answered.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::estate::{Estate, now};

/// The files that `.version` counts, besides those of guests.
const COUNTED: &[&str] = &[
    "corosync.conf",
    "corosync.conf.new",
    "storage.cfg",
    "user.cfg",
    "domains.cfg",
    "notifications.cfg",
    "priv/notifications.cfg",
    "priv/shadow.cfg",
    "priv/acme/plugins.cfg",
    "priv/tfa.cfg",
    "priv/token.cfg",
    "priv/wg-keys.cfg",
    "datacenter.cfg",
    "vzdump.cron",
    "vzdump.conf",
    "jobs.cfg",
    "ha/crm_commands",
    "ha/manager_status",
    "ha/resources.cfg",
    "ha/rules.cfg",
    "ha/groups.cfg",
    "ha/fence.cfg",
    "status.cfg",
    "replication.cfg",
    "ceph.conf",
    "sdn/vnets.cfg",
    "sdn/zones.cfg",
    "sdn/controllers.cfg",
    "sdn/subnets.cfg",
    "sdn/ipams.cfg",
    "sdn/mac-cache.json",
    "sdn/pve-ipam-state.json",
    "sdn/dns.cfg",
    "sdn/fabrics.cfg",
    "sdn/route-maps.cfg",
    "sdn/prefix-lists.cfg",
    "sdn/.running-config",
    "virtual-guest/cpu-models.conf",
    "virtual-guest/profiles.cfg",
    "firewall/cluster.fw",
    "mapping/directory.cfg",
    "mapping/pci.cfg",
    "mapping/usb.cfg",
];

pub struct EtcPve {
    root: PathBuf,
    start: u64,
    /// One for the whole, as pmxcfs counts.
    version: u64,
    files: BTreeMap<&'static str, u64>,
    guests: BTreeMap<u32, u64>,
    vmlist: u64,
    /// What `.members` says, and how often it has said something else.
    members: String,
    clinfo: u64,
    /// Nothing was written yet.
    fresh: bool,
}

impl EtcPve {
    pub fn new(root: PathBuf, estate: &Estate) -> io::Result<Self> {
        for node in &estate.nodes {
            for folder in ["qemu-server", "lxc"] {
                fs::create_dir_all(root.join("nodes").join(&node.name).join(folder))?;
            }
        }
        for folder in ["firewall", "ha", "sdn", "mapping", "priv/acme", "virtual-guest", "sdn/firewall"] {
            fs::create_dir_all(root.join(folder))?;
        }
        let local = root.join("local");
        if !local.exists() {
            std::os::unix::fs::symlink(format!("nodes/{}", estate.local().name), local)?;
        }
        let files = COUNTED.iter().map(|file| (*file, 1)).collect();
        // Root's alone, as nothing else of the tree is.
        fs::set_permissions(root.join("priv"), PermissionsExt::from_mode(0o700))?;
        Ok(Self {
            root,
            start: now(),
            version: 1,
            files,
            guests: BTreeMap::new(),
            vmlist: 1,
            members: String::new(),
            clinfo: 0,
            fresh: true,
        })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Writes what changed.
    pub fn sync(&mut self, estate: &mut Estate) -> io::Result<()> {
        let (changed, removed) = estate.take_changes();
        let members = members(estate);
        let moved = members != self.members;
        if changed.is_empty() && removed.is_empty() && !moved {
            return Ok(());
        }
        if moved {
            self.clinfo += u64::from(!self.fresh);
            replace(&self.root.join(".members"), members.as_bytes())?;
            self.members = members;
        }
        for file in &removed {
            self.version += 1;
            match fs::remove_file(self.root.join(file)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            if let Some(vmid) = guest_of(file) {
                self.guests.remove(&vmid);
                self.vmlist = self.version;
            }
        }
        for file in &changed {
            self.version += 1;
            // Where there was nothing, nobody holds what would have to be replaced.
            let path = self.root.join(file);
            let write = if self.fresh { write } else { replace };
            write(&path, estate.text_of(file).as_bytes())?;
            match guest_of(file) {
                Some(vmid) => {
                    self.guests.insert(vmid, self.version);
                    self.vmlist = self.version;
                }
                None => {
                    if let Some(count) = self.files.get_mut(file.as_str()) {
                        *count += 1;
                    }
                }
            }
        }
        self.fresh = false;
        self.write_vmlist(estate)?;
        replace(&self.root.join(".version"), self.versions(estate).as_bytes())
    }

    fn write_vmlist(&self, estate: &Estate) -> io::Result<()> {
        let mut text = format!("{{\n\"version\": {},\n\"ids\": {{\n", self.vmlist);
        let mut first = true;
        for guest in estate.guests() {
            let version = self.guests.get(&guest.vmid).copied().unwrap_or(1);
            let comma = if first { "" } else { ",\n" };
            first = false;
            let (node, kind) = (&guest.node, guest.kind.name());
            let _ = write!(
                text,
                "{comma}\"{}\": {{ \"node\": \"{node}\", \"type\": \"{kind}\", \"version\": {version} }}",
                guest.vmid
            );
        }
        text.push_str("}\n\n}\n");
        replace(&self.root.join(".vmlist"), text.as_bytes())
    }

    fn versions(&self, estate: &Estate) -> String {
        let mut text = format!(
            "{{\n\"starttime\": {},\n\"clinfo\": {},\n\"vmlist\": {},\n",
            self.start, self.clinfo, self.vmlist
        );
        for (file, count) in &self.files {
            let _ = writeln!(text, "\"{file}\": {count},");
        }
        let name = &estate.local().name;
        let tasks = estate.tasks.all().count();
        let _ = write!(text, "\"kvstore\": {{\n\"{name}\": {{\n\"tasklist\": {tasks}}}\n}}\n}}\n");
        text
    }
}

fn guest_of(file: &str) -> Option<u32> {
    file.strip_prefix("nodes/")?.rsplit_once('/')?.1.strip_suffix(".conf")?.parse().ok()
}

fn members(estate: &Estate) -> String {
    let name = &estate.local().name;
    let Some(cluster) = &estate.cluster else {
        return format!("{{\n\"nodename\": \"{name}\",\n\"version\": 0\n}}\n");
    };
    let nodes: Vec<String> = estate
        .nodes
        .iter()
        .map(|node| {
            let online = u8::from(node.online);
            format!(
                "  \"{}\": {{ \"id\": {}, \"online\": {online}, \"ip\": \"{}\"}}",
                node.name, node.id, node.address
            )
        })
        .collect();
    let quorate = u8::from(estate.is_quorate());
    let count = estate.nodes.len();
    format!(
        "{{\n\"nodename\": \"{name}\",\n\"version\": 3,\n\"cluster\": {{ \"name\": \"{cluster}\", \"version\": 3, \
         \"nodes\": {count}, \"quorate\": {quorate} }},\n\"nodelist\": {{\n{}\n  }}\n}}\n",
        nodes.join(",\n")
    )
}

/// As pmxcfs shows a write: the file is another one from here on.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let hidden = path.with_extension("tmp.sim");
    write(&hidden, bytes)?;
    fs::rename(&hidden, path)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // As pmxcfs shows them; who may read is the group's matter.
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(path)?;
    file.write_all(bytes)
}
