//! What the container's configuration sets for every process in it: resource limits (`lxc.prlimit.*`) and values in
//! the process's own /proc directory (`lxc.proc.*`, such as `lxc.proc.oom_score_adj`).

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};

use super::error::EnterError;
use super::inquiry::Facts;

/// One `lxc.prlimit.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    resource: Resource,
    soft: u64,
    hard: u64,
}

impl Limit {
    /// Sets it for this process. Before the container's user namespace is joined: inside, no hard limit can be raised.
    pub fn set(self) -> Result<(), Errno> {
        setrlimit(self.resource, self.soft, self.hard)
    }
}

/// lxc's names for the kernel's limits.
const KEYS: [(&str, Resource); 16] = [
    ("lxc.prlimit.as", Resource::RLIMIT_AS),
    ("lxc.prlimit.core", Resource::RLIMIT_CORE),
    ("lxc.prlimit.cpu", Resource::RLIMIT_CPU),
    ("lxc.prlimit.data", Resource::RLIMIT_DATA),
    ("lxc.prlimit.fsize", Resource::RLIMIT_FSIZE),
    ("lxc.prlimit.locks", Resource::RLIMIT_LOCKS),
    ("lxc.prlimit.memlock", Resource::RLIMIT_MEMLOCK),
    ("lxc.prlimit.msgqueue", Resource::RLIMIT_MSGQUEUE),
    ("lxc.prlimit.nice", Resource::RLIMIT_NICE),
    ("lxc.prlimit.nofile", Resource::RLIMIT_NOFILE),
    ("lxc.prlimit.nproc", Resource::RLIMIT_NPROC),
    ("lxc.prlimit.rss", Resource::RLIMIT_RSS),
    ("lxc.prlimit.rtprio", Resource::RLIMIT_RTPRIO),
    ("lxc.prlimit.rttime", Resource::RLIMIT_RTTIME),
    ("lxc.prlimit.sigpending", Resource::RLIMIT_SIGPENDING),
    ("lxc.prlimit.stack", Resource::RLIMIT_STACK),
];

/// The settings to ask for.
pub fn keys() -> impl Iterator<Item = &'static str> {
    KEYS.into_iter().map(|(key, _)| key)
}

/// The limits that the running container's configuration sets.
pub fn configured(vmid: u32, facts: &Facts) -> Result<Vec<Limit>, EnterError> {
    let mut limits = Vec::new();
    for (key, resource) in KEYS {
        let Some(text) = facts.setting(key) else { continue };
        match parse(text) {
            Some((soft, hard)) => limits.push(Limit { resource, soft, hard }),
            None => return Err(EnterError::Setting { vmid, item: key, text: text.into() }),
        }
    }
    Ok(limits)
}

/// `soft:hard`, or one value for both; `unlimited` for none.
fn parse(text: &str) -> Option<(u64, u64)> {
    let value = |text: &str| match text.trim() {
        "unlimited" => Some(RLIM_INFINITY),
        number => number.parse().ok(),
    };
    let (soft, hard) = text.split_once(':').unwrap_or((text, text));
    Some((value(soft)?, value(hard)?)).filter(|(soft, hard)| soft <= hard)
}

/// All that is set of it, a line each.
pub const PROC: &str = "lxc.proc";

/// One `lxc.proc.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcValue {
    file: String,
    value: String,
}

impl ProcValue {
    /// Sets it for this process. Before any namespace is joined: the file is the host's, and the right to it too.
    pub fn set(&self) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(Path::new("/proc/self").join(&self.file))?;
        // One write: that is how the kernel takes a value.
        file.write(self.value.as_bytes()).map(drop)
    }
}

/// The values that the running container's configuration sets.
pub fn proc_values(vmid: u32, facts: &Facts) -> Result<Vec<ProcValue>, EnterError> {
    let text = facts.setting(PROC).unwrap_or_default();
    let value = |line: &str| {
        parse_proc(line).ok_or_else(|| EnterError::Setting { vmid, item: PROC, text: line.into() })
    };
    text.lines().filter(|line| !line.is_empty()).map(value).collect()
}

/// `lxc.proc.FILE = VALUE`, as the monitor writes it; the file is one of the process's own.
fn parse_proc(line: &str) -> Option<ProcValue> {
    let (file, value) = line.strip_prefix("lxc.proc.")?.split_once(" = ")?;
    let is_own =
        !file.is_empty() && Path::new(file).components().all(|part| matches!(part, Component::Normal(_)));
    is_own.then(|| ProcValue { file: file.into(), value: value.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_for_files_of_the_process_alone() {
        let value = |file: &str, value: &str| Some(ProcValue { file: file.into(), value: value.into() });
        assert_eq!(parse_proc("lxc.proc.oom_score_adj = -50"), value("oom_score_adj", "-50"));
        assert_eq!(parse_proc("lxc.proc.attr/keycreate = a = b"), value("attr/keycreate", "a = b"));
        for wrong in
            ["lxc.proc. = 1", "lxc.proc.../1/oom_score_adj = 1", "lxc.proc./etc/x = 1", "oom_score_adj = 1"]
        {
            assert_eq!(parse_proc(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn limits_are_read_as_lxc_writes_them() {
        assert_eq!(parse("1024:4096"), Some((1024, 4096)));
        assert_eq!(parse("7"), Some((7, 7)));
        assert_eq!(parse("0:unlimited"), Some((0, RLIM_INFINITY)));
        for wrong in ["", ":", "5:4", "unlimited:5", "-1", "1:2:3", "ten"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
