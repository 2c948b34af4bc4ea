//! Which of Proxmox's products this host is, and what differs between them, as a table.
//!
//! In: the root of a file system. Out: a [`Product`], a value that whoever builds a client, a catalogue or a judgement is
//! handed. It reads no content and asks nobody: that a file is there is all it looks at.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// A product of Proxmox's with a REST API of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Product {
    /// Proxmox VE.
    #[default]
    Pve,
    /// Proxmox Backup Server.
    Backup,
    /// Proxmox Mail Gateway.
    Mail,
    /// Proxmox Datacenter Manager.
    Datacenter,
}

/// How a caller says who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization: SCHEME=USER@REALM!ID` and, after this sign, the secret.
    Token { scheme: &'static str, sign: char },
    /// There are no API tokens: a user logs in with a password and is given a ticket.
    Ticket { cookie: &'static str },
}

/// How a daemon says that it does not do a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusals {
    /// Of the Perl daemons: a status line with the reason, an object with `message` and `errors`; most mistakes are a 500.
    Object,
    /// Of the Rust daemons: the body is the message itself, whatever its content type says; most mistakes are a 400.
    Text,
}

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// As the configuration has it.
    pub name: &'static str,
    /// As people say it.
    pub title: &'static str,
    /// Any of these says that it is installed.
    pub marks: &'static [&'static str],
    /// The service in front of its API.
    pub proxy: &'static str,
    /// The service behind it that is asked on loopback, where it may be.
    pub daemon: &'static str,
    pub url: &'static str,
    /// Its address; "" where everything goes by way of the proxy.
    pub daemon_url: &'static str,
    /// The package, and the one that brings `apidoc`.
    pub package: &'static str,
    pub docs: &'static str,
    pub apidoc: &'static str,
    pub credential: Credential,
    pub refusals: Refusals,
    /// The leaf that its API shows, as it keeps it.
    pub certificate: &'static str,
    /// The leaf that is pinned: its own where the agent's account may read that, else a copy without the key.
    pub pinned: &'static str,
    /// What makes another certificate.
    pub renews: &'static str,
    /// The realm of its own users.
    pub realm: &'static str,
    /// Whether a task's name has a number of the task beside the process's: `UPID:node:pid:pstart:TASK:start:type:id:user:`.
    pub numbered_tasks: bool,
}

const COPY: &str = "/etc/provost/api.pem";

const PVE: Facts = Facts {
    name: "pve",
    title: "Proxmox VE",
    marks: &["/usr/bin/pveproxy", "/usr/bin/pvedaemon"],
    proxy: "pveproxy",
    daemon: "pvedaemon",
    url: "https://127.0.0.1:8006",
    daemon_url: "http://127.0.0.1:85",
    package: "pve-manager",
    docs: "pve-docs",
    apidoc: "/usr/share/pve-docs/api-viewer/apidoc.js",
    credential: Credential::Token { scheme: "PVEAPIToken", sign: '=' },
    refusals: Refusals::Object,
    certificate: "/etc/pve/local/pve-ssl.pem",
    pinned: "/etc/pve/local/pve-ssl.pem",
    renews: "pvecm updatecerts",
    realm: "pve",
    numbered_tasks: false,
};

/// Its privileged daemon is not asked: what it does it does as root, in datastores that are user backup's.
const BACKUP: Facts = Facts {
    name: "backup",
    title: "Proxmox Backup Server",
    marks: &["/usr/sbin/proxmox-backup-manager"],
    proxy: "proxmox-backup-proxy",
    daemon: "proxmox-backup",
    url: "https://127.0.0.1:8007",
    daemon_url: "",
    package: "proxmox-backup-server",
    docs: "proxmox-backup-docs",
    apidoc: "/usr/share/doc/proxmox-backup/html/api-viewer/apidoc.js",
    credential: Credential::Token { scheme: "PBSAPIToken", sign: ':' },
    refusals: Refusals::Text,
    certificate: "/etc/proxmox-backup/proxy.pem",
    pinned: COPY,
    renews: "proxmox-backup-manager cert update",
    realm: "pbs",
    numbered_tasks: true,
};

const MAIL: Facts = Facts {
    name: "mail",
    title: "Proxmox Mail Gateway",
    marks: &["/usr/bin/pmgproxy", "/usr/bin/pmgdaemon"],
    proxy: "pmgproxy",
    daemon: "pmgdaemon",
    url: "https://127.0.0.1:8006",
    daemon_url: "",
    package: "pmg-api",
    docs: "pmg-docs",
    apidoc: "/usr/share/pmg-docs/api-viewer/apidoc.js",
    credential: Credential::Ticket { cookie: "PMGAuthCookie" },
    refusals: Refusals::Object,
    certificate: "/etc/pmg/pmg-api.pem",
    pinned: COPY,
    renews: "pmgconfig apicert --force 1",
    realm: "pmg",
    numbered_tasks: false,
};

const DATACENTER: Facts = Facts {
    name: "datacenter",
    title: "Proxmox Datacenter Manager",
    marks: &["/usr/sbin/proxmox-datacenter-manager-admin", "/usr/libexec/proxmox/proxmox-datacenter-api"],
    proxy: "proxmox-datacenter-api",
    daemon: "proxmox-datacenter-privileged-api",
    url: "https://127.0.0.1:8443",
    daemon_url: "",
    package: "proxmox-datacenter-manager",
    docs: "proxmox-datacenter-manager-docs",
    apidoc: "/usr/share/doc/proxmox-datacenter-manager/html/api-viewer/apidoc.js",
    credential: Credential::Token { scheme: "PDMAPIToken", sign: ':' },
    refusals: Refusals::Text,
    certificate: "/etc/proxmox-datacenter-manager/auth/api.pem",
    pinned: COPY,
    renews: "proxmox-datacenter-manager-admin cert update --force true",
    realm: "pdm",
    numbered_tasks: true,
};

/// What is installed on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Whose host it is taken to be.
    pub product: Product,
    /// What is there beside it.
    pub beside: Vec<Product>,
    /// Whether anything of any of them was found.
    pub found: bool,
}

impl Product {
    pub const ALL: [Self; 4] = [Self::Pve, Self::Backup, Self::Mail, Self::Datacenter];
    /// All but Proxmox VE.
    pub const SIBLINGS: [Self; 3] = [Self::Backup, Self::Mail, Self::Datacenter];

    #[must_use]
    pub const fn facts(self) -> &'static Facts {
        match self {
            Self::Pve => &PVE,
            Self::Backup => &BACKUP,
            Self::Mail => &MAIL,
            Self::Datacenter => &DATACENTER,
        }
    }

    /// "Proxmox Backup Server"
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.facts().title
    }

    /// `/etc/pve` and its guests are Proxmox VE's alone.
    #[must_use]
    pub fn has_guests(self) -> bool {
        self == Self::Pve
    }

    /// What is installed below `root`. Where there are several, as a Backup Server beside Proxmox VE is common, the first in
    /// the order of [`Self::ALL`] is the host's; where there is none, it is taken for Proxmox VE.
    #[must_use]
    pub fn installed(root: &Path) -> Installed {
        let there = |mark: &&str| root.join(mark.trim_start_matches('/')).exists();
        let mut all = Self::ALL.into_iter().filter(|product| product.facts().marks.iter().any(there));
        let first = all.next();
        Installed { product: first.unwrap_or_default(), beside: all.collect(), found: first.is_some() }
    }
}

impl std::fmt::Display for Product {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(self.title())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(marks: &[&str]) -> Installed {
        let root = tempfile::tempdir().unwrap();
        for mark in marks {
            let path = root.path().join(mark.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        Product::installed(root.path())
    }

    #[test]
    fn a_product_is_found_by_what_is_installed() {
        for product in Product::ALL {
            for mark in product.facts().marks {
                let found = host(&[mark]);
                assert_eq!((found.product, found.beside, found.found), (product, vec![], true), "{mark}");
            }
        }
    }

    #[test]
    fn of_several_proxmox_ve_is_the_hosts_and_the_others_are_named() {
        let found = host(&["/usr/sbin/proxmox-backup-manager", "/usr/bin/pveproxy"]);
        assert_eq!((found.product, found.beside), (Product::Pve, vec![Product::Backup]));
        let found = host(&["/usr/sbin/proxmox-backup-manager", "/usr/bin/pmgproxy"]);
        assert_eq!((found.product, found.beside), (Product::Backup, vec![Product::Mail]));
    }

    #[test]
    fn a_host_with_none_of_them_is_taken_for_proxmox_ve() {
        assert_eq!(host(&[]), Installed { product: Product::Pve, beside: vec![], found: false });
    }

    /// A product that is written as it is shown is one that a configuration can name.
    #[test]
    fn each_product_is_named_as_the_configuration_has_it() {
        for product in Product::ALL {
            assert_eq!(serde_json::to_value(product).unwrap(), product.facts().name);
        }
    }
}
