//! What holds this process now: what it was told to give up, and what the kernel says.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;

use super::{Needs, domain::Domain};
use crate::control::Walls;
use crate::process::Label;

/// What a process was started with, by the first there is.
const MACHINE: &str = "/proc/1/cmdline";

static KEPT: Mutex<Option<Kept>> = Mutex::new(None);

struct Kept {
    needs: Needs,
    domain: Domain,
    /// Files that a configuration named after the start, and that are closed.
    closed: Vec<String>,
}

/// What holds this process now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Report {
    /// Effective.
    uid: u32,
    /// Landlock's; null: the kernel has none, and all that follows from it is missing.
    abi: Option<u32>,
    /// Files that can be opened at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Files>,
    /// TCP ports that can be connected to; null: any.
    net: Option<Vec<u16>>,
    /// What cannot be reached of processes outside: "signals", "abstract sockets".
    scopes: Vec<&'static str>,
    /// "none", or the permitted set in hexadecimal.
    capabilities: Option<String>,
    /// The same of what could ever be gained.
    bounding: Option<String>,
    no_new_privs: bool,
    /// Whether a filter of system calls stands.
    seccomp: bool,
    /// AppArmor's profile with its mode ("provostd (enforce)"), or SELinux's context; null: neither is on.
    profile: Option<String>,
    /// What does not hold, and why.
    missing: Vec<String>,
}

/// Places. Below `read` and `write` all is open; what else the configuration names, and `/etc/pve` without its keys, a
/// second process opens by name.
#[derive(Debug, Serialize, JsonSchema)]
struct Files {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
}

pub(super) fn keep(needs: &Needs, domain: Domain) {
    *kept() = Some(Kept { needs: needs.clone(), domain, closed: Vec::new() });
    let report = report(true);
    tracing::info!(
        landlock_abi = report.abi.unwrap_or(0),
        ports = ?report.net,
        scopes = ?report.scopes,
        capabilities = report.capabilities.as_deref().unwrap_or("unknown"),
        seccomp = report.seccomp,
        profile = report.profile.as_deref().unwrap_or("none"),
        "confined"
    );
    for missing in &report.missing {
        tracing::warn!("not confined: {missing}");
    }
}

/// Says of files that a configuration names now that they cannot be opened before the next start.
pub fn say_closed(closed: Vec<String>) {
    for file in &closed {
        tracing::warn!("{file}: the daemon was not started with it, and may not open it; restart provostd");
    }
    if let Some(kept) = kept().as_mut() {
        kept.closed = closed;
    }
}

/// `places`: with the files by name.
pub fn report(places: bool) -> Report {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let none_or = |set: &str| if set.bytes().all(|digit| digit == b'0') { "none" } else { set }.to_owned();
    let kept = kept();
    let abi = kept.as_ref().map_or(0, |kept| kept.domain.abi);
    let bounding = field("CapBnd:").map(none_or);
    let mut missing = Vec::new();
    match kept.as_ref() {
        Some(kept) => {
            missing.extend(kept.domain.missing.iter().cloned());
            missing.extend(kept.needs.without.iter().cloned());
            missing.extend(kept.closed.iter().map(|file| {
                format!("{file}: named by the configuration after the start, and closed until the next")
            }));
        }
        None => missing.push("everything: this process was not confined".into()),
    }
    let is_none = |set: &Option<String>| set.as_deref() == Some("none");
    let capabilities = field("CapPrm:").map(none_or);
    for (holds, what) in [
        (is_none(&capabilities), "capabilities: some are left"),
        (field("NoNewPrivs:") == Some("1"), "no_new_privs: it does not stand"),
        (field("Seccomp:") == Some("2"), "system calls: no filter stands"),
    ] {
        if !holds && kept.is_some() {
            missing.push(what.into());
        }
    }
    if bounding.as_deref().is_some_and(|set| set != "none") {
        // Nothing can come of it: no_new_privs stands.
        missing
            .push("the bounding set: emptying it takes CAP_SETPCAP, which this process was not given".into());
    }
    Report {
        uid: nix::unistd::Uid::effective().as_raw(),
        abi: (abi > 0).then_some(abi),
        files: kept
            .as_ref()
            .filter(|_| places && abi > 0)
            .map(|kept| Files { read: kept.needs.read.clone(), write: kept.needs.write.clone() }),
        net: kept.as_ref().filter(|_| abi >= 4).map(|kept| kept.needs.ports.iter().copied().collect()),
        scopes: if abi >= 6 { vec!["abstract sockets", "signals"] } else { Vec::new() },
        capabilities,
        bounding,
        no_new_privs: field("NoNewPrivs:") == Some("1"),
        seccomp: field("Seccomp:") == Some("2"),
        profile: Label::of("self").ok().flatten().map(|label| crate::text::brief(label.text(), 200)),
        missing,
    }
}

/// The same in short, for whoever asks on the operators' socket.
pub fn walls() -> Walls {
    let Report { uid, abi, missing, .. } = report(false);
    // What every process has, of the first one: whose a vsock connection is, only that tells.
    let hidden = std::fs::read(MACHINE).err().map(|error| format!("{MACHINE}: {error}"));
    Walls { uid, landlock_abi: abi, missing, hidden }
}

fn kept() -> MutexGuard<'static, Option<Kept>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}
