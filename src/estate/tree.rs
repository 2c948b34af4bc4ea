//! The estate from `/etc/pve`, or from a tree like it.
//!
//! What pmxcfs counts is taken by its counters; what it does not count (firewalls of guests, nodes and virtual networks) by
//! what `stat` says. A tree without counters is listed. `priv/` is never opened, and no link is followed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::statfs::{FUSE_SUPER_MAGIC, statfs};
use smol_str::{SmolStr, format_smolstr};
use xxhash_rust::xxh3::xxh3_64;

use super::finding::{Finding, What};
use super::guest::Kind;
use super::part::FILES;
use super::source::{Listed, Source, Stamp, Survey, Unread, is_node, sorted};
use super::versions::{Versions, parse_vmlist};
use crate::files;

/// pmxcfs takes no larger file.
const MOST: u64 = 1 << 20;
/// What pmxcfs makes up itself grows with the cluster: 65 bytes a guest.
const MOST_MADE_UP: u64 = 64 << 20;
/// pmxcfs tells whole seconds, and by the writer's clock: a file as young as this may change and look the same.
const SETTLED: i64 = 10;

pub struct Tree {
    root: PathBuf,
}

/// What is in a folder.
enum Entry {
    /// Asked by its name in the open folder.
    Open(fs::DirEntry),
    Handed {
        path: PathBuf,
        is_folder: bool,
    },
}

impl Entry {
    fn is_folder(&self) -> bool {
        match self {
            Entry::Open(entry) => entry.file_type().is_ok_and(|kind| kind.is_dir()),
            Entry::Handed { is_folder, .. } => *is_folder,
        }
    }

    fn metadata(&self) -> std::io::Result<fs::Metadata> {
        match self {
            Entry::Open(entry) => entry.metadata(),
            Entry::Handed { path, .. } => fs::symlink_metadata(path),
        }
    }
}

impl Tree {
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn bytes(&self, file: &str) -> Result<Vec<u8>, Unread> {
        let mut bytes = Vec::new();
        self.read(file, &mut bytes).map(|()| bytes)
    }

    /// What is in a folder, by its name; nothing if there is no such folder.
    fn each(&self, folder: &str, mut take: impl FnMut(String, &Entry)) -> Result<(), Finding> {
        let failed = |error: std::io::Error| Finding::of(folder, what(&error));
        let path = self.root.join(folder);
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            // One that somebody else opens for this process: then by path.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                for (name, is_folder) in files::list(&path).map_err(failed)? {
                    if let Ok(name) = name.into_string() {
                        let entry = Entry::Handed { path: path.join(&name), is_folder };
                        take(name, &entry);
                    }
                }
                return Ok(());
            }
            other => other.map_err(failed)?,
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            if let Ok(name) = entry.file_name().into_string() {
                take(name, &Entry::Open(entry));
            }
        }
        Ok(())
    }

    /// The folders in a folder.
    fn folders(&self, folder: &str) -> Result<Vec<String>, Finding> {
        let mut names = Vec::new();
        self.each(folder, |name, entry| {
            if entry.is_folder() {
                names.push(name);
            }
        })?;
        Ok(names)
    }

    fn stamp(&self, file: &str) -> Option<Stamp> {
        stamped(fs::symlink_metadata(self.root.join(file)))
    }

    /// pmxcfs's root tells when anything below it was last written; any other folder tells only of itself.
    fn root_stamp(&self) -> Option<Stamp> {
        let kind = statfs(&self.root).ok()?.filesystem_type();
        self.stamp("").filter(|stamp| kind == FUSE_SUPER_MAGIC && *stamp != Stamp::Unknown)
    }

    /// The guests of `.vmlist`; nothing if that does not say.
    fn counted(&self, versions: &Versions, survey: &mut Survey) -> Option<Vec<Listed>> {
        let bytes = self.bytes(".vmlist").ok()?;
        match parse_vmlist(&bytes, versions.start) {
            Ok(mut listed) => {
                listed.retain(|guest| is_node(&guest.node));
                Some(listed)
            }
            Err(error) => {
                survey.findings.push(Finding::of(".vmlist", What::Malformed(error.to_string().into())));
                None
            }
        }
    }

    /// The guests by the folders that they are in.
    fn listed(&self, survey: &mut Survey) -> Vec<Listed> {
        let mut found = Vec::new();
        for node in &survey.nodes {
            for kind in Kind::ALL {
                let folder = format!("nodes/{node}/{}", kind.folder());
                let looked = self.each(&folder, |name, entry| {
                    if let Some(vmid) = name.strip_suffix(".conf").and_then(|vmid| vmid.parse().ok()) {
                        let stamp = stamped(entry.metadata()).unwrap_or(Stamp::Unknown);
                        found.push(Listed { vmid, kind, node: node.clone(), stamp });
                    }
                });
                survey.findings.extend(looked.err());
            }
        }
        found
    }

    /// The firewalls that nobody counts. They are looked at again only if something was written.
    fn firewalls(&self, last: Option<&Survey>, survey: &mut Survey) {
        let untouched =
            last.filter(|last| survey.root_stamp.is_some() && last.root_stamp == survey.root_stamp);
        let mut take = |file: SmolStr, look: &dyn Fn() -> Option<Stamp>| {
            let known = untouched.and_then(|last| last.files.get(&file)).copied();
            if let Some(stamp) = known.filter(|stamp| *stamp != Stamp::Unknown).or_else(look) {
                survey.files.insert(file, stamp);
            }
        };
        let mut failed = Vec::new();
        for folder in ["firewall", "sdn/firewall"] {
            // Asked by its name in the open folder: a thousand paths take twice as long.
            let looked = self.each(folder, |name, entry| {
                if name.ends_with(".fw") && name != "cluster.fw" {
                    take(format_smolstr!("{folder}/{name}"), &|| stamped(entry.metadata()));
                }
            });
            failed.extend(looked.err());
        }
        for node in &survey.nodes {
            let file = format_smolstr!("nodes/{node}/host.fw");
            take(file.clone(), &|| self.stamp(&file));
        }
        survey.findings.extend(failed);
    }
}

impl Source for Tree {
    fn survey(&self, last: Option<&Survey>) -> Survey {
        // Before all else: what is written from here on gives another stamp.
        let mut survey = Survey { root_stamp: self.root_stamp(), ..Survey::default() };
        let versions = self.bytes(".version").ok().and_then(|bytes| Versions::parse(&bytes).ok());
        match self.folders("nodes") {
            // pmxcfs is not mounted, or it is no such tree: not an estate without guests.
            Ok(names) if names.is_empty() => {
                survey.findings.push(Finding::of("nodes", What::Failed("there is no node in it".into())));
            }
            Ok(names) => {
                survey.nodes = names.into_iter().filter(|name| is_node(name)).map(SmolStr::from).collect()
            }
            Err(finding) => survey.findings.push(finding),
        }
        survey.nodes.sort_unstable();
        survey.files = self.files(versions.as_ref());
        let counted = versions.as_ref().map(|versions| Stamp::Count(versions.start, versions.vmlist));
        let same = last.filter(|last| counted.is_some() && last.guests_stamp == counted);
        if let Some(last) = same {
            survey.guests = last.guests.clone();
            survey.guests_stamp = counted;
        } else if let Some(listed) =
            versions.as_ref().and_then(|versions| self.counted(versions, &mut survey))
        {
            survey.guests = sorted(listed);
            survey.guests_stamp = counted;
        } else {
            survey.guests = sorted(self.listed(&mut survey));
        }
        self.firewalls(last, &mut survey);
        survey
    }

    fn read(&self, file: &str, into: &mut Vec<u8>) -> Result<(), Unread> {
        let most = if file.starts_with('.') { MOST_MADE_UP } else { MOST };
        let opened = files::open_no_link(&self.root.join(file)).map_err(|error| unread(&error))?;
        let stat = opened.metadata().map_err(|error| unread(&error))?;
        if !stat.is_file() {
            return Err(Unread::Because(What::NotAFile));
        }
        if stat.len() > most {
            return Err(Unread::Because(What::TooLarge(most)));
        }
        into.reserve(usize::try_from(stat.len()).unwrap_or(0) + 1);
        opened.take(most + 1).read_to_end(into).map_err(|error| unread(&error))?;
        if into.len() as u64 > most {
            return Err(Unread::Because(What::TooLarge(most)));
        }
        Ok(())
    }
}

impl Tree {
    /// The cluster's own files. One that is counted need not be there.
    fn files(&self, versions: Option<&Versions>) -> BTreeMap<SmolStr, Stamp> {
        let mut found = BTreeMap::new();
        for (file, _) in FILES {
            let counted = || versions.and_then(|all| Some(Stamp::Count(all.start, all.of(file)?)));
            let stamp = if file.starts_with('.') {
                // Made up at each look, and not counted.
                match self.bytes(file) {
                    Ok(bytes) => Some(Stamp::Hash(xxh3_64(&bytes))),
                    Err(Unread::Absent) => None,
                    Err(Unread::Because(_)) => Some(Stamp::Unknown),
                }
            } else {
                counted().or_else(|| self.stamp(file))
            };
            found.extend(stamp.map(|stamp| (SmolStr::new_static(file), stamp)));
        }
        found
    }
}

/// Nothing for what is not there.
fn stamped(looked: std::io::Result<fs::Metadata>) -> Option<Stamp> {
    match looked {
        Ok(stat) => Some(stamp(&stat)),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        // Reading it will say why.
        Err(_) => Some(Stamp::Unknown),
    }
}

fn stamp(stat: &fs::Metadata) -> Stamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
    // The change of the inode, not of the content alone: a permission that was given counts too.
    let (seconds, nanoseconds) = (stat.ctime(), stat.ctime_nsec());
    if nanoseconds == 0 && now - seconds < SETTLED {
        return Stamp::Unknown;
    }
    Stamp::File { inode: stat.ino(), seconds, nanoseconds, size: stat.size() }
}

fn unread(error: &std::io::Error) -> Unread {
    if error.kind() == ErrorKind::NotFound { Unread::Absent } else { Unread::Because(what(error)) }
}

fn what(error: &std::io::Error) -> What {
    match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => What::Denied,
        Some(libc::ELOOP) => What::NotAFile,
        _ => What::Failed(error.to_string().into()),
    }
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("Tree").field(&Path::new(&self.root)).finish()
    }
}
