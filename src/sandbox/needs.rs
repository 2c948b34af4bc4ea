//! What the daemon needs of the node, by its configuration: everything else is closed to it.

use std::collections::BTreeSet;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf, absolute};

use crate::config::{Config, HttpPlace};

/// The directory that files of the packaged system lie in: nothing there is secret.
const SYSTEM: &str = "/usr";

/// What the kernel tells of this process, of the node's connections (`/proc/self/net`) and of this boot: nothing of other
/// processes, whose arguments may hold secrets.
const KERNEL: [&str; 2] = ["/proc/self", "/proc/sys/kernel/random/boot_id"];

/// Which virtual machines run, and how they were started: whose a vsock connection is, nothing else says. Only where they are
/// served; the unit's ProtectProc hides it besides.
const MACHINES: [&str; 2] = ["/proc", "/sys/fs/cgroup"];

/// Single files of `/etc` that a library reads. They hold no secret.
const LIBRARIES: [&str; 2] = ["/etc/localtime", "/etc/machine-id"];

/// Those of the resolver, where a host is given by its name.
const RESOLVER: [&str; 6] = [
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/ld.so.cache",
];

/// Directories that are everybody's: no right on them is taken for what lies in them.
const SHARED: [&str; 11] =
    ["/", "/root", "/home", "/etc", "/etc/pve", "/tmp", "/var", "/var/lib", "/var/tmp", "/run", "/usr"];

/// What of the API's addresses matters here.
#[derive(Debug, Clone, Default)]
pub struct Reached {
    pub ports: BTreeSet<u16>,
    /// Whether a host is given by its name, which the resolver is asked for.
    pub by_name: bool,
}

/// Files and ports by what may be done with them.
#[derive(Debug, Clone, Default)]
pub struct Needs {
    /// Directories, and files by themselves, that are read.
    pub read: Vec<PathBuf>,
    /// Directories whose files are read, written, made and removed.
    pub write: Vec<PathBuf>,
    /// Directories in which a file may be removed: the sockets' at the end.
    pub remove: Vec<PathBuf>,
    /// TCP ports that may be connected to.
    pub ports: BTreeSet<u16>,
    /// Whether the resolver is asked.
    pub resolves: bool,
    /// Why something that is wanted is not among these.
    pub without: Vec<String>,
}

impl Needs {
    /// `owns_socket`: the sockets are not a service manager's; `owns_http`: nor is HTTP's, and it is a path.
    pub fn of(config: &Config, reached: Reached, owns_socket: bool, owns_http: bool) -> Self {
        let mut needs = Self { ports: reached.ports, resolves: reached.by_name, ..Self::default() };
        needs.read.push(SYSTEM.into());
        needs.read.extend(KERNEL.map(PathBuf::from));
        needs.read.extend(LIBRARIES.map(PathBuf::from));
        if reached.by_name {
            needs.read.extend(RESOLVER.map(PathBuf::from));
        }
        // systemd's own: the ledger's key, and tokens by name.
        needs.read.extend(std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from));
        needs.read.extend(guests(&config.pve.etc_pve));
        let ledger = whole(&config.ledger.dir);
        let beside = ledger.parent().unwrap_or(&ledger).to_owned();
        needs.write.push(ledger);
        if is_shared(&beside) {
            let beside = beside.display();
            needs.without.push(format!(
                "a halt and what is kept beside the ledger: {beside} is not the daemon's alone; give [ledger] dir a directory of its own to lie in"
            ));
        } else {
            needs.write.push(beside);
        }
        if config.listen.vsock.is_some() {
            needs.read.extend(MACHINES.map(PathBuf::from));
        }
        let http = match &config.listen.http {
            Some(HttpPlace::Unix(path)) if owns_http => Some(path.clone()),
            _ => None,
        };
        let own = owns_socket.then(|| [config.listen.unix.clone(), config.listen.control()]);
        let sockets = own.into_iter().flatten().chain(http);
        let parents: BTreeSet<PathBuf> =
            sockets.filter_map(|path| whole(&path).parent().map(Path::to_owned)).collect();
        needs.remove.extend(parents.into_iter().filter(|dir| !is_shared(dir)));
        needs
    }

    /// A rule is for what is there: the ledger's directory is made while it can be. One that cannot be is said, here and by
    /// the ledger in its own words.
    pub(super) fn make_directories(&mut self) {
        for dir in self.write.iter().filter(|dir| !dir.exists()) {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
            // So that it outlives a power cut with what is written into it.
            let kept = made.and_then(|()| match dir.parent() {
                Some(parent) => std::fs::File::open(parent)?.sync_all(),
                None => Ok(()),
            });
            if let Err(error) = kept {
                self.without
                    .push(format!("writing to {}: it was not there at the start: {error}", dir.display()));
            }
        }
    }
}

/// The folders of guests' configurations and firewalls: thousands of files that are read at once, with no key among them.
/// All else under `/etc/pve` the reader opens.
fn guests(etc_pve: &Path) -> Vec<PathBuf> {
    let nodes = std::fs::read_dir(etc_pve.join("nodes")).into_iter().flatten().flatten();
    let folders = nodes.flat_map(|node| ["qemu-server", "lxc"].map(|kind| node.path().join(kind)));
    folders.chain(["firewall", "sdn/firewall"].map(|folder| etc_pve.join(folder))).collect()
}

/// From the root.
pub(super) fn whole(path: &Path) -> PathBuf {
    absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn is_shared(dir: &Path) -> bool {
    SHARED.iter().any(|shared| Path::new(shared) == dir) || dir.parent() == Some(Path::new("/home"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        crate::config::parse(Path::new("x"), text).unwrap()
    }

    #[test]
    fn what_is_everybodys_is_never_the_daemons_to_write() {
        for dir in ["/root/ledger", "/etc/ledger", "/home/alice/ledger", "/tmp/ledger", "/ledger"] {
            let needs =
                Needs::of(&config(&format!("[ledger]\ndir = '{dir}'")), Reached::default(), true, false);
            assert_eq!(needs.write, [PathBuf::from(dir)], "{dir}");
            assert_eq!(needs.without.len(), 1, "{dir}");
        }
        let needs = Needs::of(&config(""), Reached::default(), true, false);
        assert_eq!(needs.write, ["/var/lib/provost/ledger", "/var/lib/provost"].map(PathBuf::from));
        assert_eq!(needs.remove, ["/run/provost"].map(PathBuf::from));
        assert!(needs.without.is_empty());
    }

    #[test]
    fn of_the_nodes_configuration_only_folders_without_keys_are_open() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["nodes/pve1/qemu-server", "nodes/pve1/lxc", "nodes/pve2/lxc", "priv"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let needs = Needs::of(
            &config(&format!("[pve]\netc_pve = '{}'", dir.path().display())),
            Reached::default(),
            false,
            false,
        );
        let inside: Vec<_> = needs.read.iter().filter(|path| path.starts_with(dir.path())).collect();
        // Those of both nodes' guests, and the firewalls.
        assert_eq!(inside.len(), 6);
        let open = ["lxc", "qemu-server", "firewall"];
        assert!(inside.iter().all(|path| open.iter().any(|end| path.ends_with(end))), "{inside:?}");
    }
}
