//! Everything about one running container that an entry needs, read once and kept for as long as its init lives.
//!
//! The init's pidfd is the anchor: whatever names the pid is read after the pidfd was had, and the pidfd is asked
//! again at the end, so that a recycled pid never lends its facts.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::unistd::Pid;

use super::cgroups::Cgroups;
use super::error::EnterError;
use super::home::Family;
use super::inquiry::Facts;
use super::label::Label;
use super::limits::{Limit, ProcValue};
use super::policy::{self, Compiled, PolicyCache, SkipReason};
use super::sys;
use crate::process::is_ending;

/// A running container as an entry sees it.
pub struct Target {
    pub vmid: u32,
    /// The container's init.
    pub init: Rc<OwnedFd>,
    /// The namespaces that are the container's own; the others it shares with the host.
    pub namespaces: CloneFlags,
    pub cgroups: Cgroups,
    /// The init's capability bounding set, a bit a capability.
    pub bounding: u64,
    pub personality: i32,
    pub label: Option<Label>,
    pub no_new_privs: bool,
    /// The container's processes share cores with none but each other.
    pub own_cores: bool,
    pub seccomp: Option<Rc<Compiled>>,
    /// `lxc.environment`, as `NAME=value`.
    pub environment: Vec<CString>,
    pub limits: Vec<Limit>,
    pub proc_values: Vec<ProcValue>,
}

/// The eight namespaces: /proc's name, and what setns calls it.
const NAMESPACES: [(&str, CloneFlags); 8] = [
    ("user", CloneFlags::CLONE_NEWUSER),
    ("mnt", CloneFlags::CLONE_NEWNS),
    ("pid", CloneFlags::CLONE_NEWPID),
    ("net", CloneFlags::CLONE_NEWNET),
    ("uts", CloneFlags::CLONE_NEWUTS),
    ("ipc", CloneFlags::CLONE_NEWIPC),
    ("cgroup", CloneFlags::CLONE_NEWCGROUP),
    ("time", CloneFlags::from_bits_retain(libc::CLONE_NEWTIME)),
];

impl Target {
    /// Reads the rest of a running container's facts, beside what its monitor has said. `privileged` is whether one that
    /// shares the host's user namespace will do.
    pub fn read(
        vmid: u32,
        mut facts: Facts,
        privileged: bool,
        policies: &mut PolicyCache,
    ) -> Result<Self, EnterError> {
        let init = Rc::new(facts.init.take().ok_or(EnterError::Gone { vmid })?);
        let proc = Proc::of(vmid, &init)?;
        let namespaces = proc.own_namespaces()?;
        if !privileged && !namespaces.contains(CloneFlags::CLONE_NEWUSER) {
            return Err(EnterError::Privileged { vmid });
        }
        let bounding = proc.bounding()?;
        // In a user namespace of the container's, all of it is had by joining it.
        let missing = bounding & !Proc { vmid, dir: "/proc/self".into() }.bounding()?;
        if !namespaces.contains(CloneFlags::CLONE_NEWUSER) && missing != 0 {
            return Err(EnterError::Narrow { vmid, missing });
        }
        let seccomp = match facts.setting("lxc.seccomp.profile") {
            Some(profile) => Some(profile_of(vmid, profile, policies)?),
            // The init has a filter and nobody says which: a command would go without.
            None if proc.has_filter()? => return Err(EnterError::Unfiltered { vmid }),
            None => None,
        };
        // lxc makes the container's directory, and where this is set another in it.
        let inner = facts.setting("lxc.cgroup.dir.container.inner");
        let made = 1 + inner.map_or(0, |inner| Path::new(inner).components().count());
        let family = Family { init: Rc::clone(&init), monitor: Rc::new(proc.parent()?), made };
        let target = Self {
            vmid,
            namespaces,
            cgroups: Cgroups::sort(vmid, std::mem::take(&mut facts.cgroups), Some(family))?,
            bounding,
            personality: proc.personality()?,
            label: proc.label()?,
            no_new_privs: facts.setting("lxc.no_new_privs") == Some("1"),
            own_cores: facts.setting("lxc.sched.core") == Some("1"),
            seccomp,
            environment: environment(vmid, facts.setting("lxc.environment"))?,
            limits: super::limits::configured(vmid, &facts)?,
            proc_values: super::limits::proc_values(vmid, &facts)?,
            init,
        };
        if target.is_alive() { Ok(target) } else { Err(EnterError::Gone { vmid }) }
    }

    /// Whether the container is still the one that was read. False for good once its init has ended.
    pub fn is_alive(&self) -> bool {
        sys::pidfd_signal(self.init.as_fd(), 0).is_ok()
    }

    /// Whether its init has ended, though its monitor may not have taken that in yet.
    pub fn has_ended(&self) -> bool {
        sys::has_ended(self.init.as_fd())
    }

    /// As [`Target::is_alive`], and false from the moment on in which its init begins to end.
    pub fn runs(&self) -> bool {
        runs(&self.init)
    }
}

/// Whether the container of that init runs, and not even begins to end.
pub fn runs(init: &OwnedFd) -> bool {
    if sys::has_ended(init.as_fd()) {
        return false;
    }
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", init.as_raw_fd())).unwrap_or_default();
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok());
    pid.is_none_or(|pid| !is_ending(pid))
}

/// `/proc/<init>`, in the host's proc.
struct Proc {
    vmid: u32,
    dir: PathBuf,
}

impl Proc {
    fn of(vmid: u32, init: &OwnedFd) -> Result<Self, EnterError> {
        let path = PathBuf::from(format!("/proc/self/fdinfo/{}", init.as_raw_fd()));
        let this = Self { vmid, dir: PathBuf::new() };
        let info = this.text_of(path.clone())?;
        let pid = this.field(&info, "Pid:", &path)?;
        match pid.parse::<i32>() {
            Ok(pid) if pid > 0 => Ok(Self { vmid, dir: format!("/proc/{pid}").into() }),
            // -1: ended; 0: in no pid namespace below ours, so it cannot be a container of this node.
            _ => Err(EnterError::Gone { vmid }),
        }
    }

    /// Its parent, which is the container's monitor.
    fn parent(&self) -> Result<OwnedFd, EnterError> {
        let path = self.dir.join("status");
        let pid = || {
            let status = self.text_of(path.clone())?;
            Ok::<_, EnterError>(self.field(&status, "PPid:", &path)?.parse().unwrap_or_default())
        };
        let before: i32 = pid()?;
        let parent = sys::pidfd_open(Pid::from_raw(before));
        // A pid means another process only once the first has ended, and then it is nobody's parent any more.
        match parent {
            Ok(parent) if pid()? == before => Ok(parent),
            _ => Err(EnterError::Gone { vmid: self.vmid }),
        }
    }

    fn own_namespaces(&self) -> Result<CloneFlags, EnterError> {
        let mut own = CloneFlags::empty();
        for (name, flag) in NAMESPACES {
            let identity = |dir: &Path| {
                let path = dir.join("ns").join(name);
                match std::fs::metadata(&path) {
                    Ok(ns) => Ok(Some((ns.dev(), ns.ino()))),
                    // A kernel without this kind of namespace.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(self.unreadable(path, &error)),
                }
            };
            if identity(&self.dir)? != identity(Path::new("/proc/self"))? {
                own |= flag;
            }
        }
        Ok(own)
    }

    fn bounding(&self) -> Result<u64, EnterError> {
        let path = self.dir.join("status");
        let status = self.text_of(path.clone())?;
        self.hex(self.field(&status, "CapBnd:", &path)?, &path)
    }

    /// Whether the init is under a seccomp filter that this process is not under itself.
    fn has_filter(&self) -> Result<bool, EnterError> {
        const FILTERED: &str = "2";
        let filters = |dir: &Path| {
            let path = dir.join("status");
            let status = self.text_of(path.clone())?;
            let field = |name| self.field(&status, name, &path).ok();
            // How many is not said by kernels before 5.9: one, then.
            let count = field("Seccomp_filters:").and_then(|count| count.parse::<u32>().ok()).unwrap_or(1);
            let filtered = field("Seccomp:") == Some(FILTERED);
            Ok::<_, EnterError>(if filtered { count } else { 0 })
        };
        Ok(filters(&self.dir)? > filters(Path::new("/proc/self"))?)
    }

    fn personality(&self) -> Result<i32, EnterError> {
        let path = self.dir.join("personality");
        let text = self.text_of(path.clone())?;
        Ok(self.hex(text.trim(), &path)? as u32 as i32)
    }

    fn label(&self) -> Result<Option<Label>, EnterError> {
        Label::of_init(&self.dir).map_err(|error| self.unreadable(self.dir.join("attr"), &error))
    }

    fn text_of(&self, path: PathBuf) -> Result<String, EnterError> {
        File::open(&path)
            .and_then(|file| sys::read_small(file, 64 * 1024))
            .map_err(|error| self.unreadable(path, &error))
    }

    fn field<'a>(&self, text: &'a str, name: &'static str, path: &Path) -> Result<&'a str, EnterError> {
        text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).ok_or_else(|| {
            EnterError::ProcText { vmid: self.vmid, path: path.into(), text: text.into(), wanted: name }
        })
    }

    fn hex(&self, text: &str, path: &Path) -> Result<u64, EnterError> {
        u64::from_str_radix(text, 16).map_err(|_| EnterError::ProcText {
            vmid: self.vmid,
            path: path.into(),
            text: text.into(),
            wanted: "a hexadecimal number",
        })
    }

    fn unreadable(&self, path: PathBuf, error: &std::io::Error) -> EnterError {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ESRCH | Errno::ENOENT) => EnterError::Gone { vmid: self.vmid },
            errno => EnterError::Proc { vmid: self.vmid, path, errno: errno.unwrap_or(Errno::EIO) },
        }
    }
}

/// The container's seccomp profile, compiled at its first use. What lxc itself skips in it is skipped here. A name that
/// libseccomp does not know is said: a newer libseccomp, such as lxc may have, would know more.
fn profile_of(vmid: u32, path: &str, policies: &mut PolicyCache) -> Result<Rc<Compiled>, EnterError> {
    let loaded = policies
        .load(Path::new(path))
        .map_err(|source| EnterError::Seccomp { vmid, source: Box::new(source) })?;
    let unknown = loaded.compiled.skipped.iter().filter(|skipped| skipped.reason == SkipReason::Unknown);
    for skipped in unknown.filter(|_| loaded.fresh) {
        tracing::warn!(
            provost_guest = vmid,
            path,
            line = skipped.line,
            libseccomp = policy::library_version(),
            "the seccomp profile's rule for {:?} is not in force: this libseccomp does not know the call",
            skipped.syscall
        );
    }
    Ok(loaded.compiled)
}

/// `lxc.environment` as the monitor gives it: a line a variable.
fn environment(vmid: u32, setting: Option<&str>) -> Result<Vec<CString>, EnterError> {
    let variable = |line: &str| {
        CString::new(line)
            .ok()
            .filter(|_| line.find('=').is_some_and(|at| at > 0))
            .ok_or_else(|| EnterError::Setting { vmid, item: "lxc.environment", text: line.into() })
    };
    setting.into_iter().flat_map(|text| text.lines()).filter(|line| !line.is_empty()).map(variable).collect()
}
