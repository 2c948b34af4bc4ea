//! The node itself, as far as the configuration lets anybody reach it: roots that may be listed, and what lies under none of
//! them.
//!
//! What is never given out or replaced is a table, held against the path that a file turned out to have, never against the
//! one that was asked for alone. It is no substitute for a short list of roots: it names what nobody lists on purpose.

use std::path::{Component, Path, PathBuf};

use super::Config;

/// What a row of the table is about.
enum Closed {
    /// The path and all that lies under it.
    Under(&'static str),
    /// A directory of that name, wherever it is, and all that lies under it.
    Directory(&'static str),
    /// A file of that name, wherever it is.
    Name(&'static str),
    /// A file whose name begins and ends so.
    Like(&'static str, &'static str),
}

use Closed::{Directory, Like, Name, Under};

const KEYS: &str = "private keys are there: whoever has them is the node, or the cluster";
const PASSWORDS: &str = "the hashes of passwords are there";
const OWN: &str = "it is Provost's own: what decides about a command is not a command's to read or change";

#[rustfmt::skip]
const CLOSED: &[(Closed, &str)] = &[
    (Under("/etc/pve/priv"), KEYS),
    (Directory("priv"), KEYS),
    (Under("/var/lib/pve-cluster"), "the database of /etc/pve, with its private keys, is there"),
    (Name("authkey"), KEYS),
    (Like("", ".key"), KEYS),
    (Like("ssh_host_", "_key"), KEYS),
    (Like("id_", ""), KEYS),
    (Directory(".ssh"), KEYS),
    (Directory(".gnupg"), KEYS),
    (Directory("private"), KEYS),
    (Name("shadow"), PASSWORDS),
    (Name("shadow-"), PASSWORDS),
    (Name("gshadow"), PASSWORDS),
    (Name("gshadow-"), PASSWORDS),
    (Name("opasswd"), PASSWORDS),
    (Like("", ".shadow"), PASSWORDS),
    (Name("shadow.json"), PASSWORDS),
    (Name("shadow.cfg"), PASSWORDS),
    (Name("tfa.cfg"), "the second factors of logins are there"),
    (Name("tfa.json"), "the second factors of logins are there"),
    (Under("/etc/provost"), OWN),
    (Under("/var/lib/provost"), OWN),
    (Under("/run/provost"), OWN),
];

/// File systems that are windows into the kernel.
const WINDOWS: &[&str] = &["/proc", "/sys", "/dev"];

/// Why a path of the node is never given out or replaced, whatever the roots say. `path` is as the kernel has it: absolute,
/// with no link and no dot in it.
pub fn closed(config: &Config, path: &Path) -> Option<&'static str> {
    let own = [&config.pve.token, &config.ledger.dir, &config.exec.socket, &config.listen.unix];
    let tokens = config.roles.iter().filter_map(|role| role.token.as_ref());
    // The ledger's neighbours are the daemon's state too.
    let state = config.ledger.dir.parent().filter(|state| state.components().count() > 2);
    if own.into_iter().chain(tokens).any(|own| path.starts_with(own))
        || state.is_some_and(|state| path.starts_with(state))
    {
        return Some(OWN);
    }
    let row = CLOSED.iter().find(|(closed, _)| closed.holds(path));
    row.map(|(_, why)| *why)
}

impl Closed {
    fn holds(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str());
        match self {
            Under(above) => path.starts_with(above),
            Directory(part) => path.components().any(|component| component.as_os_str() == *part),
            Name(wanted) => name == Some(*wanted),
            Like(begins, ends) => name.is_some_and(|name| {
                // The public half of a pair is no secret.
                name.starts_with(begins) && name.ends_with(ends) && !name.ends_with(".pub")
            }),
        }
    }
}

/// The listed root that a path lies under, the narrowest, and the rest of the path.
pub fn root<'a>(config: &'a Config, path: &'a Path) -> Option<(&'a Path, &'a Path)> {
    let under = |root: &'a PathBuf| Some((root.as_path(), path.strip_prefix(root).ok()?));
    config.exec.host_roots.iter().filter_map(under).max_by_key(|(root, _)| root.as_os_str().len())
}

/// What is wrong with a listed root, if something is.
pub(super) fn problem(root: &Path) -> Option<String> {
    let say = |why: &str| Some(format!("[exec] host_roots: {} {why}", root.display()));
    let plain = root.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !root.is_absolute() || !plain {
        return say("must be an absolute path without \"..\"");
    }
    if root == Path::new("/") {
        return say("is the whole node; list the directories that are meant");
    }
    if WINDOWS.iter().any(|window| root.starts_with(window)) {
        return say("is a window into the kernel, and holds no files");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn what_is_secret_is_closed_by_its_place_and_by_its_name() {
        let text = "[pve]\ntoken='/srv/token'\n[ledger]\ndir='/srv/state/ledger'\n[[role]]\nname='a'\nmembers=[]\ntoken='/srv/other'";
        let config = parse(Path::new("x"), text).unwrap();
        for path in [
            "/etc/pve/priv/authkey.key",
            "/etc/pve/nodes/pve1/priv/lock",
            "/etc/pve/nodes/pve1/pve-ssl.key",
            "/etc/pve/pve-www.key",
            "/var/lib/pve-cluster/config.db",
            "/etc/corosync/authkey",
            "/etc/shadow",
            "/etc/gshadow-",
            "/etc/ssh/ssh_host_ed25519_key",
            "/root/.ssh/authorized_keys",
            "/home/a/id_ed25519",
            "/etc/ssl/private/x.pem",
            "/etc/proxmox-backup/shadow.json",
            "/etc/proxmox-backup/token.shadow",
            "/etc/provost/provost.toml",
            "/srv/token",
            "/srv/other",
            "/srv/state/replaced/abc",
        ] {
            assert!(closed(&config, Path::new(path)).is_some(), "{path}");
        }
        for path in [
            "/etc/pve/lxc/101.conf",
            "/etc/pve/storage.cfg",
            "/etc/pve/nodes/pve1/pve-ssl.pem",
            "/etc/ssh/ssh_host_ed25519_key.pub",
            "/etc/network/interfaces",
            "/etc/keyboard",
            "/srv/tokens",
        ] {
            assert_eq!(closed(&config, Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn a_path_belongs_to_the_narrowest_root_by_whole_names() {
        let config =
            parse(Path::new("x"), "[exec]\nhost_roots=['/etc/pve', '/etc/pve/lxc', '/srv']").unwrap();
        let of = |path| {
            root(&config, Path::new(path))
                .map(|(root, rest)| (root.to_str().unwrap(), rest.to_str().unwrap()))
        };
        assert_eq!(of("/etc/pve/lxc/101.conf"), Some(("/etc/pve/lxc", "101.conf")));
        assert_eq!(of("/etc/pve/storage.cfg"), Some(("/etc/pve", "storage.cfg")));
        assert_eq!(of("/etc/pve/lxc"), Some(("/etc/pve/lxc", "")));
        assert_eq!(of("/etc/pvesecret"), None);
        assert_eq!(of("/etc"), None);
    }
}
