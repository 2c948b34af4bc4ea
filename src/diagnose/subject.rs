//! What is to be looked at.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::unit::{NoUnit, UnitName};

#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    Lxc(u32),
    /// One unit of a container's systemd.
    Unit(u32, UnitName),
    Qemu(u32),
    Node(String),
    Cluster,
}

#[derive(Debug, PartialEq, Error)]
#[error(
    "\"{0}\" is nothing to diagnose; there are: lxc/VMID, lxc/VMID/unit/NAME, qemu/VMID, node/NAME, cluster{1}"
)]
pub struct NoSubject(String, &'static str);

impl Subject {
    pub fn guest(&self) -> Option<u32> {
        match self {
            Self::Lxc(vmid) | Self::Unit(vmid, _) | Self::Qemu(vmid) => Some(*vmid),
            Self::Node(_) | Self::Cluster => None,
        }
    }

    pub fn unit(&self) -> Option<&UnitName> {
        match self {
            Self::Unit(_, unit) => Some(unit),
            _ => None,
        }
    }

    /// As paths of the API name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Lxc(_) | Self::Unit(..) => "lxc",
            Self::Qemu(_) => "qemu",
            Self::Node(_) => "node",
            Self::Cluster => "cluster",
        }
    }

    /// Its cgroup on this node, as PVE places it.
    pub fn cgroup(&self) -> Option<String> {
        match self {
            Self::Lxc(vmid) => Some(format!("lxc/{vmid}")),
            Self::Qemu(vmid) => Some(format!("qemu.slice/{vmid}.scope")),
            Self::Unit(..) | Self::Node(_) | Self::Cluster => None,
        }
    }
}

const NO_UNIT: &str = "; a unit's name is of letters, digits and : _ . @ \\ -, begins with none of the last three, and ends in \
                       .service, .socket, .timer, .mount or another kind that systemd has";
const NO_BUS: &str = "; of a VM's units its own `systemctl status` tells, by `exec` in mode \"change\"";

impl fmt::Display for Subject {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lxc(vmid) | Self::Qemu(vmid) => write!(to, "{}/{vmid}", self.kind()),
            Self::Unit(vmid, unit) => write!(to, "lxc/{vmid}/unit/{unit}"),
            Self::Node(name) => write!(to, "node/{name}"),
            Self::Cluster => to.write_str("cluster"),
        }
    }
}

impl FromStr for Subject {
    type Err = NoSubject;

    fn from_str(text: &str) -> Result<Self, NoSubject> {
        let because = |why| NoSubject(crate::text::brief(text, 64), why);
        let none = || because("");
        let vmid = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|vmid| digits && (100..=999_999_999).contains(vmid)).ok_or_else(none)
        };
        // A node's name is a label of DNS.
        let is_name = |name: &str| {
            (1..=63).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !name.starts_with('-')
        };
        match text.split_once('/') {
            None if text == "cluster" => Ok(Self::Cluster),
            Some(("lxc", rest)) if rest.contains('/') => {
                let (id, unit) = rest.split_once("/unit/").ok_or_else(none)?;
                Ok(Self::Unit(vmid(id)?, unit.parse().map_err(|NoUnit| because(NO_UNIT))?))
            }
            Some(("qemu", rest)) if rest.contains("/unit/") => Err(because(NO_BUS)),
            Some(("lxc", id)) => vmid(id).map(Self::Lxc),
            Some(("qemu", id)) => vmid(id).map(Self::Qemu),
            Some(("node", name)) if is_name(name) => Ok(Self::Node(name.to_owned())),
            _ => Err(none()),
        }
    }
}
