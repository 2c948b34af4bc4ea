//! What a test must find afterwards as it was before: descriptors, processes, cgroups.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::common::{Client, Node, eventually};
use crate::guest::Guest;

/// The node and the container as they are with nothing under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    /// Descriptors, by what they are.
    execd: Vec<String>,
    provostd: Vec<String>,
    /// Children of `provost-execd`, zombies too.
    children: BTreeSet<i32>,
    /// Processes of the container, wherever in its cgroups they are.
    inside: BTreeSet<i32>,
    /// Leaves of this `provost-execd`, in any container.
    leaves: Vec<PathBuf>,
}

impl Ground {
    /// After a first command, which makes what is kept between commands.
    pub fn of(node: &Node, guest: &Guest, client: &mut Client) -> Self {
        client.change(guest.id, &["/bin/true"]);
        // The answer comes before the last of the call is cleared away.
        let mut seen = Self::now(node, guest);
        eventually("nothing is under way", || {
            std::thread::sleep(Duration::from_millis(20));
            let before = std::mem::replace(&mut seen, Self::now(node, guest));
            before == seen && seen.children.is_empty() && seen.leaves.is_empty()
        });
        seen
    }

    fn now(node: &Node, guest: &Guest) -> Self {
        Self {
            execd: descriptors(node.execd.id()),
            provostd: descriptors(node.provostd.id()),
            children: children(node.execd.id() as i32),
            inside: processes(&cgroup_of(guest.init())),
            leaves: leaves(node),
        }
    }

    /// Waits until everything is as it was.
    pub fn is_as_before(&self, node: &Node, guest: &Guest) {
        self.returns(|| Self::now(node, guest));
    }

    /// As [`Ground::is_as_before`], of a container whose own processes are others since.
    pub fn is_as_before_the_restart(&self, node: &Node, guest: &Guest) {
        let inside = processes(&cgroup_of(guest.init()));
        Self { inside, ..self.clone() }.returns(|| Self::now(node, guest));
    }

    /// As [`Ground::is_as_before`], but of `provostd`, which is another process since.
    pub fn is_as_before_a_restart_of_provostd(&self, node: &Node, guest: &Guest) {
        Self { provostd: Vec::new(), ..self.clone() }
            .returns(|| Self { provostd: Vec::new(), ..Self::now(node, guest) });
    }

    fn returns(&self, look: impl Fn() -> Self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let now = look();
            if now == *self {
                return;
            }
            assert!(Instant::now() < deadline, "before: {self:#?}\nafter ten seconds: {now:#?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

pub fn leaves(node: &Node) -> Vec<PathBuf> {
    let prefix = format!(".provost-{}-", node.execd.id());
    let mut found = Vec::new();
    visit(&unified(), &mut |dir| {
        if dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)) {
            found.push(dir.to_path_buf());
        }
    });
    found
}

/// What a process has open. Pipes and sockets by their kind alone, as each is another.
pub fn descriptors(pid: u32) -> Vec<String> {
    let Ok(fds) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let kind = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
        Some(match target.split_once(":[") {
            Some((kind, _)) => kind.to_owned(),
            None => target,
        })
    };
    let mut kinds: Vec<String> = fds.flatten().filter_map(kind).collect();
    kinds.sort();
    kinds
}

pub fn children(pid: i32) -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if parent(child) == Some(pid) {
            found.insert(child);
        }
    }
    found
}

fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Where the host has the cgroup v2 hierarchy.
pub fn unified() -> PathBuf {
    let mounts = fs::read_to_string("/proc/mounts").expect("mounts");
    let place = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (_, place, kind) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| place.into())
    });
    place.expect("a cgroup2 mount")
}

/// A process's cgroup, as the host's directory.
pub fn cgroup(pid: i32) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("a process");
    let path = text.lines().find_map(|line| line.strip_prefix("0::")).expect("a v2 cgroup");
    unified().join(path.trim_start_matches('/'))
}

/// The container's own cgroup, `lxc/<id>`, from where its init is.
pub fn cgroup_of(init: i32) -> PathBuf {
    let own = cgroup(init);
    own.ancestors()
        .find(|path| path.parent().is_some_and(|parent| parent.ends_with("lxc")))
        .expect("a container's cgroup")
        .to_path_buf()
}

/// The processes in a cgroup and all below it, by the host's pids.
pub fn processes(dir: &Path) -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    visit(dir, &mut |dir| {
        // A threaded cgroup has no such list; its processes stand in the one above.
        let pids = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        found.extend(pids.lines().filter_map(|pid| pid.parse::<i32>().ok()));
    });
    found
}

fn visit(dir: &Path, seen: &mut dyn FnMut(&Path)) {
    seen(dir);
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        visit(&entry.path(), seen);
    }
}
