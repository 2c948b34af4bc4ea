//! A guest: its configuration as the file holds it, and whether it runs.

use std::collections::BTreeMap;
use std::fmt::Write;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::digest;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    Qemu,
    Lxc,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Lxc => "lxc",
        }
    }

    /// What PVE calls one in its sentences.
    pub fn word(self) -> &'static str {
        match self {
            Self::Qemu => "VM",
            Self::Lxc => "CT",
        }
    }

    /// The folder of its configurations under `/etc/pve/nodes/NODE`.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Qemu => "qemu-server",
            Self::Lxc => "lxc",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Run {
    Stopped,
    Running { since: u64, pid: u32 },
    Paused { since: u64, pid: u32 },
}

/// Keys in the order of the file, which is the alphabet's.
pub type Values = BTreeMap<String, String>;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Guest {
    pub vmid: u32,
    pub kind: Kind,
    pub node: String,
    pub config: Values,
    /// What waits for a restart; an empty value is a key to be deleted.
    pub pending: Values,
    pub snapshots: BTreeMap<String, Values>,
    pub run: Run,
}

/// What a description keeps readable in its file; all else is percent-encoded there.
const DESCRIPTION: &AsciiSet = &CONTROLS.add(b'%').add(b':');

impl Guest {
    pub fn new(vmid: u32, kind: Kind, node: &str, config: &[(&str, &str)]) -> Self {
        Self {
            vmid,
            kind,
            node: node.to_owned(),
            config: config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            pending: Values::new(),
            snapshots: BTreeMap::new(),
            run: Run::Stopped,
        }
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.config.get(key).map(String::as_str)
    }

    pub fn number(&self, key: &str) -> Option<u64> {
        self.get(key).and_then(|value| value.parse().ok())
    }

    pub fn name(&self) -> String {
        let key = if self.kind == Kind::Qemu { "name" } else { "hostname" };
        let unnamed = || format!("{}{}", self.kind.word(), self.vmid);
        self.get(key).map_or_else(unnamed, str::to_owned)
    }

    pub fn is_template(&self) -> bool {
        self.get("template") == Some("1")
    }

    pub fn is_running(&self) -> bool {
        self.run != Run::Stopped
    }

    pub fn status(&self) -> &'static str {
        if self.is_running() { "running" } else { "stopped" }
    }

    /// Path under /etc/pve.
    pub fn file(&self) -> String {
        format!("nodes/{}/{}/{}.conf", self.node, self.kind.folder(), self.vmid)
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        write_values(&mut text, &self.config);
        if !self.pending.is_empty() {
            let head = if self.kind == Kind::Qemu { "PENDING" } else { "pve:pending" };
            let _ = writeln!(text, "\n[{head}]");
            let gone: Vec<&str> =
                self.pending.iter().filter(|(_, value)| value.is_empty()).map(|(key, _)| &**key).collect();
            if !gone.is_empty() {
                let _ = writeln!(text, "delete: {}", gone.join(","));
            }
            for (key, value) in self.pending.iter().filter(|(_, value)| !value.is_empty()) {
                let _ = writeln!(text, "{key}: {value}");
            }
        }
        for (name, values) in &self.snapshots {
            let _ = writeln!(text, "\n[{name}]");
            write_values(&mut text, values);
        }
        text
    }

    pub fn digest(&self) -> String {
        digest(self.text().as_bytes())
    }
}

fn write_values(text: &mut String, values: &Values) {
    if let Some(description) = values.get("description") {
        for line in description.trim_end_matches('\n').split('\n') {
            let _ = writeln!(text, "#{}", utf8_percent_encode(line, DESCRIPTION));
        }
    }
    for (key, value) in values.iter().filter(|(key, _)| *key != "description") {
        let _ = writeln!(text, "{key}: {value}");
    }
}

/// The value of `key` in a property string; of its first bare word for `""`.
pub fn property<'a>(value: &'a str, key: &str) -> Option<&'a str> {
    value.split(',').find_map(|part| match part.split_once('=') {
        None if key.is_empty() => Some(part),
        Some((name, value)) if name == key && !key.is_empty() => Some(value),
        _ => None,
    })
}

/// `32G` in bytes.
pub fn bytes(size: &str) -> Option<u64> {
    let digits = size.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match size[digits.len()..].chars().next() {
        None => 1.0,
        Some('K') => 1024.0,
        Some('M') => 1024.0 * 1024.0,
        Some('G') => 1024.0 * 1024.0 * 1024.0,
        Some('T') => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        Some(_) => return None,
    };
    digits.parse::<f64>().ok().map(|number| (number * unit) as u64)
}

/// Bytes in the largest unit that holds them whole, as PVE writes sizes into a configuration.
pub fn size(bytes: u64) -> String {
    for (unit, letter) in [(1u64 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{letter}", bytes / unit);
        }
    }
    bytes.to_string()
}

/// Whether a key of a configuration names a disk.
pub fn is_disk(kind: Kind, key: &str) -> bool {
    let numbered = |prefix: &str| {
        key.strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    match kind {
        Kind::Qemu => {
            ["scsi", "virtio", "ide", "sata", "efidisk", "tpmstate"].iter().any(|bus| numbered(bus))
        }
        Kind::Lxc => key == "rootfs" || numbered("mp"),
    }
}

/// The volume of a disk's value, if it has one: not a bind mount, a device or `none`.
pub fn volume(value: &str) -> Option<&str> {
    let first = value.split(',').next()?;
    let first = first.strip_prefix("file=").or_else(|| first.strip_prefix("volume=")).unwrap_or(first);
    (first.contains(':') && !first.starts_with('/')).then_some(first)
}
