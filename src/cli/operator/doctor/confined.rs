//! The locks: which security modules the kernel has, what each daemon's process is held by, and whether the inspect lane
//! can be. What Landlock holds provostd to, it says itself (daemon.rs).

use std::io;
use std::path::Path;

use super::{Check, Ground, State, sockets, systemd};
use crate::config::{Config, ExecLane};
use crate::control::Walls;
use crate::process::Label;

pub fn checks(ground: &Ground) -> Vec<Check> {
    let mut checks = vec![kernel(Path::new("/sys/kernel/security/lsm"))];
    let enforcing = std::fs::read_to_string("/sys/fs/selinux/enforce").ok().map(|text| text.trim() == "1");
    for daemon in &DAEMONS {
        let socket = ground.config.as_ref().map(daemon.socket);
        let listens = || socket.and_then(|path| sockets::listener(&path, daemon.kind, daemon.name));
        if let Some(pid) = systemd::main_pid(daemon.unit).or_else(listens) {
            checks.push(held(daemon, pid, Label::of(&pid.to_string()), enforcing));
        }
    }
    if let (Some(config), Some(walls)) = (&ground.config, &ground.walls) {
        checks.extend(inspect(config, walls));
    }
    checks
}

/// A daemon, and what should hold it.
struct Daemon {
    /// Its program's name, and AppArmor's profile.
    name: &'static str,
    unit: &'static str,
    /// SELinux's.
    domain: &'static str,
    kind: nix::sys::socket::SockType,
    socket: fn(&Config) -> std::path::PathBuf,
}

const DAEMONS: [Daemon; 2] = [
    Daemon {
        name: "provostd",
        unit: "provost.service",
        domain: "provostd_t",
        kind: nix::sys::socket::SockType::Stream,
        socket: |config| config.listen.control(),
    },
    Daemon {
        name: "provost-execd",
        unit: "provost-execd.service",
        domain: "provost_execd_t",
        kind: nix::sys::socket::SockType::SeqPacket,
        socket: |config| config.exec.socket.clone(),
    },
];

/// `enforcing`: whether SELinux is.
fn held(daemon: &Daemon, pid: i32, label: io::Result<Option<Label>>, enforcing: Option<bool>) -> Check {
    const NAME: &str = "confined";
    let Daemon { name, unit, domain, .. } = daemon;
    let who = format!("{name} (pid {pid})");
    let label = match label {
        Ok(Some(label)) => label,
        Ok(None) => {
            return Check::skipped(
                NAME,
                format!("{who}: neither AppArmor nor SELinux is on (see \"kernel\")"),
            );
        }
        Err(error) => return Check::skipped(NAME, format!("{who}: its label cannot be read: {error}")),
    };
    let shown = crate::text::brief(label.text(), 120);
    let look = |evidence: String, mend: String| Check::not(NAME, State::Look, evidence, mend);
    match &label {
        Label::AppArmor(text) if *text == format!("{name} (enforce)") => {
            Check::good(NAME, format!("{who} is held by AppArmor's profile {shown}"))
        }
        Label::AppArmor(text) if text.starts_with(&format!("{name} (")) => look(
            format!(
                "{who} is in AppArmor's profile {shown}: what that forbids is written down, and let happen"
            ),
            format!("aa-enforce /etc/apparmor.d/{name}; systemctl restart {unit}"),
        ),
        Label::AppArmor(_) => look(
            format!("AppArmor is on, and {who} is not in its profile: {shown}"),
            format!(
                "apparmor_parser -r /etc/apparmor.d/{name} && systemctl restart {unit}, which starts it in the profile"
            ),
        ),
        Label::SeLinux(text) if text.split(':').nth(2) != Some(domain) => look(
            format!("SELinux is on, and {who} is not in domain {domain}: {shown}"),
            format!(
                "load the module (/usr/share/selinux/packages/provost), restorecon -R its files, and systemctl restart {unit}"
            ),
        ),
        Label::SeLinux(_) if enforcing != Some(true) => look(
            format!(
                "{who} is in SELinux's {shown}, and SELinux is permissive: what that forbids is let happen"
            ),
            "setenforce 1, and SELINUX=enforcing in /etc/selinux/config".into(),
        ),
        Label::SeLinux(_) => Check::good(NAME, format!("{who} is held by SELinux's domain, {shown}")),
    }
}

/// Whether commands that only look have the Landlock that they are promised.
fn inspect(config: &Config, walls: &Walls) -> Option<Check> {
    const NAME: &str = "inspect";
    let (abi, floor) = (walls.landlock_abi.unwrap_or(0), config.exec.inspect_floor);
    let wanted = config.exec.enabled && config.roles.iter().any(|role| role.lane() != ExecLane::None);
    if !wanted || abi == 0 && floor == 0 {
        return None;
    }
    Some(match abi >= floor {
        true => Check::good(
            NAME,
            format!("commands that only look are held by Landlock ABI {abi}; {floor} is the least"),
        ),
        false => Check::not(
            NAME,
            State::Bad,
            format!(
                "commands that only look are refused: the kernel's Landlock is at ABI {abi}, and [exec] inspect_floor is {floor}"
            ),
            "boot a kernel that has it (PVE's do), with landlock among lsm= if its command line has that",
        ),
    })
}

/// Locks that the kernel has, beside what the daemon says that it uses.
fn kernel(lsm: &Path) -> Check {
    const NAME: &str = "kernel";
    let Ok(text) = std::fs::read_to_string(lsm) else {
        return Check::skipped(NAME, "which security modules are on cannot be read here");
    };
    let has = |name: &str| text.split(',').any(|one| one.trim() == name);
    let missing: Vec<&str> = [("landlock", "landlock"), ("AppArmor or SELinux", "")]
        .iter()
        .filter(|(_, name)| match *name {
            "" => !has("apparmor") && !has("selinux"),
            name => !has(name),
        })
        .map(|(shown, _)| *shown)
        .collect();
    match missing.is_empty() {
        true => Check::good(NAME, format!("security modules: {}", text.trim().replace(',', ", "))),
        false => Check::not(
            NAME,
            State::Look,
            format!(
                "without {}: the other locks hold, and this one is not there",
                missing.join(" and without ")
            ),
            "a kernel of PVE's has both; see lsm= in /proc/cmdline",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_a_lock_is_said() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, state) in [
            ("lockdown,landlock,apparmor", State::Good),
            ("capability,apparmor", State::Look),
            ("landlock", State::Look),
        ] {
            std::fs::write(file.path(), text).unwrap();
            assert_eq!(kernel(file.path()).state, state, "{text}");
        }
        assert_eq!(kernel(Path::new("/nowhere")).state, State::Skipped);
    }

    #[test]
    fn who_runs_in_no_profile_or_in_one_that_lets_everything_happen_is_named() {
        let apparmor = |text: &str| Ok(Some(Label::AppArmor(text.into())));
        let selinux = |domain: &str| Ok(Some(Label::SeLinux(format!("system_u:system_r:{domain}:s0"))));
        let [provostd, execd] = &DAEMONS;
        for (daemon, label, enforcing, state, says) in [
            (provostd, apparmor("provostd (enforce)"), None, State::Good, "provostd (enforce)"),
            (provostd, apparmor("provostd (complain)"), None, State::Look, "let happen"),
            (provostd, apparmor("unconfined"), None, State::Look, "not in its profile: unconfined"),
            (execd, apparmor("provostd (enforce)"), None, State::Look, "not in its profile"),
            (execd, apparmor("provost-execd (enforce)"), None, State::Good, "provost-execd (enforce)"),
            (provostd, selinux("provostd_t"), Some(true), State::Good, "provostd_t"),
            (provostd, selinux("provostd_t"), Some(false), State::Look, "permissive"),
            (
                execd,
                selinux("unconfined_service_t"),
                Some(true),
                State::Look,
                "not in domain provost_execd_t",
            ),
            (execd, Ok(None), None, State::Skipped, "neither AppArmor nor SELinux"),
            (execd, Err(io::ErrorKind::PermissionDenied.into()), None, State::Skipped, "cannot be read"),
        ] {
            let check = held(daemon, 7, label, enforcing);
            assert_eq!((check.state, check.mend.is_some()), (state, state == State::Look), "{check:?}");
            assert!(check.evidence.contains(says) && check.evidence.contains("pid 7"), "{check:?}");
        }
    }

    #[test]
    fn the_inspect_lane_without_its_landlock_is_bad_where_somebody_would_use_it() {
        let config = |text: &str| crate::config::parse(Path::new("x"), text).unwrap();
        let walls = |abi| Walls { uid: 990, landlock_abi: abi, missing: Vec::new(), hidden: None };
        let on = config("[exec]\nenabled=true\n[[role]]\nname='a'\nmembers=[]");
        assert_eq!(inspect(&on, &walls(Some(7))).unwrap().state, State::Good);
        for abi in [None, Some(2)] {
            let check = inspect(&on, &walls(abi)).unwrap();
            assert!(check.state == State::Bad && check.mend.is_some(), "{check:?}");
        }
        assert!(inspect(&config("[[role]]\nname='a'\nmembers=[]"), &walls(None)).is_none());
        let none = "[exec]\nenabled=true\n[[role]]\nname='a'\nmembers=[]\nexec='none'";
        assert!(inspect(&config(none), &walls(None)).is_none());
    }
}
