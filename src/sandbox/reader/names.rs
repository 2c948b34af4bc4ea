//! What the reader hands out: what the configuration names, and `/etc/pve` without its keys.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use crate::config::{Config, Identity, identity, is_credential, load_trusted};
use crate::sandbox::needs::whole;

/// Flags that an asker may give.
const TAKEN: i32 = libc::O_NOFOLLOW | libc::O_DIRECTORY;
/// Never waits for a pipe's other end, and never becomes somebody's terminal.
const ALWAYS: i32 = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;

/// Closed at any depth of `/etc/pve`, whoever may read it there.
const CLOSED_FOLDER: &str = "priv";
/// What stands in a key's name, and in that of a copy, or of one that is being written: as the AppArmor profiles have it.
const OF_KEYS: &[&str] = &[".key", "-key.pem", "_key.pem"];

pub struct Names {
    config: PathBuf,
    /// Of the configuration when it was last read.
    seen: Option<Identity>,
    exact: BTreeSet<PathBuf>,
    etc_pve: PathBuf,
    /// Directories that were known at the start: beyond them this process is closed too.
    roots: Vec<PathBuf>,
}

impl Names {
    pub fn of(path: &Path, config: &Config, seen: Option<Identity>) -> Self {
        let etc_pve = whole(&config.pve.etc_pve);
        let mut names = Self {
            config: whole(path),
            seen,
            exact: BTreeSet::new(),
            etc_pve: etc_pve.clone(),
            roots: vec![etc_pve],
        };
        names.take(config);
        let parents: BTreeSet<PathBuf> =
            names.exact.iter().filter_map(|file| file.parent()).map(Path::to_owned).collect();
        names.roots.extend(parents);
        names
    }

    /// Where all of it lies.
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    fn take(&mut self, config: &Config) {
        let tokens = config.roles.iter().filter_map(|role| role.token.as_ref());
        // A bare name is a credential: the daemon opens it where systemd put it.
        let tokens = tokens.chain([&config.pve.token]).filter(|token| !is_credential(token));
        let files = [&self.config, &config.pve.certificate, &config.pve.apidoc];
        self.exact = files.into_iter().chain(tokens).map(|file| whole(file)).collect();
    }

    /// A role may have been given another token since: what the file says now is what it hands out.
    fn read_again(&mut self) {
        let now = identity(&self.config);
        if now.is_none() || now == self.seen {
            return;
        }
        self.seen = now;
        if let Ok((config, _)) = load_trusted(&self.config) {
            self.take(&config);
        }
    }

    /// How `path` may be opened; an error number where it may not. EPERM: not by this process as it was started.
    pub fn judge(&mut self, path: &Path) -> Result<Ask, i32> {
        let is_plain =
            path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        if !path.is_absolute() || !is_plain {
            return Err(libc::EPERM);
        }
        if path.starts_with(&self.etc_pve) {
            return Ok(Ask { path: path.to_owned(), within: Some(self.etc_pve.clone()) });
        }
        if !self.exact.contains(path) {
            self.read_again();
        }
        let known = self.exact.contains(path) && self.roots.iter().any(|root| path.starts_with(root));
        if known { Ok(Ask { path: path.to_owned(), within: None }) } else { Err(libc::EPERM) }
    }
}

/// Something that may be opened, if it is then what its name says.
pub struct Ask {
    path: PathBuf,
    /// The tree that it must be in.
    within: Option<PathBuf>,
}

impl Ask {
    pub fn open(&self, flags: i32) -> io::Result<File> {
        let mut options = std::fs::OpenOptions::new();
        let file = options.read(true).custom_flags(flags & TAKEN | ALWAYS).open(&self.path)?;
        // What was opened, by the kernel's own name for it: links are behind it.
        let real = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        if is_closed(&real, self.within.as_deref()) {
            return Err(io::Error::from_raw_os_error(libc::EPERM));
        }
        Ok(file)
    }
}

/// A key is never handed out, from anywhere; nor what a link in the tree leads to outside of it.
fn is_closed(real: &Path, within: Option<&Path>) -> bool {
    let is_key = |name: &str| OF_KEYS.iter().any(|part| name.contains(part));
    if real.file_name().is_none_or(|name| is_key(&name.to_string_lossy())) {
        return true;
    }
    let Some(tree) = within else { return false };
    // The tree itself may be reached by a link.
    let tree = std::fs::canonicalize(tree).unwrap_or_else(|_| tree.to_owned());
    match real.strip_prefix(&tree) {
        Ok(inside) => inside.components().any(|part| part == Component::Normal(CLOSED_FOLDER.as_ref())),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            for folder in ["pve/nodes/pve1", "pve/priv/lock", "etc", "other"] {
                std::fs::create_dir_all(dir.path().join(folder)).unwrap();
            }
            for file in [
                "pve/storage.cfg",
                "pve/pve-www.key",
                "pve/nodes/pve1/pve-ssl.pem",
                "pve/nodes/pve1/pve-ssl.key",
                "pve/priv/shadow.cfg",
                "etc/token",
                "etc/token2",
                "etc/else",
                "other/token3",
                "outside.pem",
            ] {
                std::fs::write(dir.path().join(file), "").unwrap();
            }
            std::os::unix::fs::symlink("nodes/pve1", dir.path().join("pve/local")).unwrap();
            let place = Self(dir);
            place.configure("etc/token2");
            place
        }

        fn at(&self, file: &str) -> PathBuf {
            self.0.path().join(file)
        }

        fn configure(&self, token: &str) {
            let text = format!(
                "[pve]\netc_pve='{}'\ntoken='{}'\ncertificate='{}'\n[[role]]\nname='a'\nmembers=[]\ntoken='{}'",
                self.at("pve").display(),
                self.at("etc/token").display(),
                self.at("pve/local/pve-ssl.pem").display(),
                self.at(token).display(),
            );
            let new = self.at("etc/new");
            std::fs::write(&new, text).unwrap();
            std::fs::rename(new, self.at("etc/provost.toml")).unwrap();
        }

        fn names(&self) -> Names {
            let path = self.at("etc/provost.toml");
            let (config, seen) = load_trusted(&path).unwrap();
            Names::of(&path, &config, Some(seen))
        }
    }

    /// The error number of opening it; 0 when it was handed out.
    fn ask(names: &mut Names, path: &Path) -> i32 {
        match names.judge(path) {
            Ok(ask) => ask.open(0).err().map_or(0, |error| error.raw_os_error().unwrap()),
            Err(errno) => errno,
        }
    }

    #[test]
    fn what_the_configuration_names_is_handed_out_and_nothing_beside_it() {
        let place = Place::new();
        let mut names = place.names();
        for (file, errno) in [
            ("etc/provost.toml", 0),
            ("etc/token", 0),
            ("etc/token2", 0),
            ("pve/storage.cfg", 0),
            ("pve/local/pve-ssl.pem", 0),
            ("pve/nodes", 0),
            ("pve/gone", libc::ENOENT),
            ("etc/else", libc::EPERM),
            ("outside.pem", libc::EPERM),
            ("etc/../etc/else", libc::EPERM),
            ("pve/../outside.pem", libc::EPERM),
        ] {
            assert_eq!(ask(&mut names, &place.at(file)), errno, "{file}");
        }
        assert_eq!(ask(&mut names, Path::new("etc/token")), libc::EPERM, "relative");
    }

    #[test]
    fn no_key_is_handed_out_by_any_name() {
        let place = Place::new();
        std::os::unix::fs::symlink("nodes/pve1/pve-ssl.key", place.at("pve/x.pem")).unwrap();
        std::os::unix::fs::symlink("priv/shadow.cfg", place.at("pve/shadow.cfg")).unwrap();
        std::os::unix::fs::symlink("../outside.pem", place.at("pve/outside.pem")).unwrap();
        std::fs::create_dir(place.at("pve/nodes/pve1/priv")).unwrap();
        let others = [
            "pve/nodes/pve1/priv/new.pem",
            "pve/nodes/pve1/pve-ssl.key.bak",
            "pve/nodes/pve1/pve-ssl.key.tmp.4711",
            "pve/nodes/pve1/pveproxy-ssl-key.pem",
            "pve/own_key.pem.old",
        ];
        for file in others {
            std::fs::write(place.at(file), "secret").unwrap();
        }
        let mut names = place.names();
        for file in others {
            assert_eq!(ask(&mut names, &place.at(file)), libc::EPERM, "{file}");
        }
        for file in [
            "pve/pve-www.key",
            "pve/local/pve-ssl.key",
            "pve/nodes/pve1/pve-ssl.key",
            "pve/x.pem",
            "pve/priv",
            "pve/priv/shadow.cfg",
            "pve/shadow.cfg",
            "pve/outside.pem",
            "pve/priv/lock",
        ] {
            assert_eq!(ask(&mut names, &place.at(file)), libc::EPERM, "{file}");
        }
        // Replaced, as PVE renews it.
        std::fs::write(place.at("pve/new"), "another").unwrap();
        std::fs::rename(place.at("pve/new"), place.at("pve/nodes/pve1/pve-ssl.key")).unwrap();
        assert_eq!(ask(&mut names, &place.at("pve/local/pve-ssl.key")), libc::EPERM);
        std::fs::write(place.at("pve/new"), "another").unwrap();
        std::fs::rename(place.at("pve/new"), place.at("pve/nodes/pve1/pve-ssl.pem")).unwrap();
        assert_eq!(ask(&mut names, &place.at("pve/local/pve-ssl.pem")), 0);
    }

    #[test]
    fn a_token_that_the_configuration_names_later_counts_where_this_process_can_reach() {
        let place = Place::new();
        let mut names = place.names();
        assert_eq!(ask(&mut names, &place.at("etc/else")), libc::EPERM);
        place.configure("etc/else");
        assert_eq!(ask(&mut names, &place.at("etc/else")), 0);
        assert_eq!(ask(&mut names, &place.at("etc/token2")), libc::EPERM, "no longer named");
        place.configure("other/token3");
        assert_eq!(ask(&mut names, &place.at("other/token3")), libc::EPERM);
    }
}
