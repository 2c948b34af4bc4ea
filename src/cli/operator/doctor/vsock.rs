//! Assistants inside virtual machines: whether the port is open, a machine can have a device, and who connects can be told.

use std::path::Path;

use super::{Check, Ground, State, systemd};
use crate::config::{Config, Member};
use crate::control::Walls;

const NAME: &str = "vsock";
const UNIT: &str = "provost-vsock.socket";

pub fn checks(ground: &Ground) -> Vec<Check> {
    let Some(config) = &ground.config else { return Vec::new() };
    let seen = Seen {
        device: Path::new("/dev/vhost-vsock").exists(),
        unit: systemd::runs().then(|| {
            let state = systemd::property(UNIT, "ActiveState").unwrap_or_else(|| "unknown".into());
            (state, systemd::property(UNIT, "Listen").unwrap_or_default())
        }),
        unit_hides: systemd::property("provost.service", "ProtectProc").filter(|value| value != "default"),
        selinux: Path::new("/sys/fs/selinux/enforce").exists(),
    };
    judge(config, &seen, ground.walls.as_ref())
}

/// What the node says.
struct Seen {
    /// Whether a virtual machine can be given one.
    device: bool,
    /// Of systemd's socket: its state, and what it listens on. None where systemd does not run.
    unit: Option<(String, String)>,
    /// What keeps the unit from seeing other processes, where something does.
    unit_hides: Option<String>,
    /// Whether it is SELinux that says what the daemon may see, and not AppArmor.
    selinux: bool,
}

/// Lets the daemon see how a virtual machine was started.
fn let_it_see(selinux: bool) -> &'static str {
    match selinux {
        true => "setsebool -P provost_serve_machines on && systemctl restart provost",
        false => {
            "echo '@{PROC}/@{pid}/cmdline r,' >>/etc/apparmor.d/local/provostd && apparmor_parser -r /etc/apparmor.d/provostd"
        }
    }
}

fn judge(config: &Config, seen: &Seen, walls: Option<&Walls>) -> Vec<Check> {
    let unit_is_active = seen.unit.as_ref().is_some_and(|(state, _)| state == "active");
    let Some(port) = config.listen.vsock else {
        let mend = "set [listen] vsock to its port, or: systemctl disable --now provost-vsock.socket";
        let said = format!("{UNIT} listens, and [listen] vsock is not set: nobody is answered there");
        return unit_is_active.then(|| Check::not(NAME, State::Look, said, mend)).into_iter().collect();
    };
    let mut checks = Vec::new();
    let bad = |evidence: String, mend: String| Check::not(NAME, State::Bad, evidence, mend);
    match &seen.unit {
        Some((state, _)) if !unit_is_active => checks.push(bad(
            format!("[listen] vsock is {port}, and {UNIT} is {state}: the daemon's unit lets it open no vsock port itself"),
            // With --now systemd would refuse to open a socket for a service that runs.
            format!("systemctl enable {UNIT} && systemctl restart provost"),
        )),
        // `vsock:4294967295:7100 (Stream)`
        Some((_, listen)) if !listen.contains(&format!(":{port} ")) => checks.push(bad(
            format!("[listen] vsock is {port}, and {UNIT} listens on {}", crate::text::brief(listen, 60)),
            format!("systemctl edit {UNIT}: [Socket] ListenStream= and ListenStream=vsock:4294967295:{port}; then restart it and provost"),
        )),
        _ => {}
    }
    if !seen.device {
        checks.push(Check::not(
            NAME,
            State::Look,
            "there is no /dev/vhost-vsock: no virtual machine can have a vsock device",
            "modprobe vhost_vsock (QEMU's start of a machine with such a device does it too)",
        ));
    }
    let hidden = walls.and_then(|walls| walls.hidden.as_ref());
    match (&seen.unit_hides, hidden) {
        (Some(value), _) => checks.push(bad(
            format!("whose a connection is cannot be told: provost.service has ProtectProc={value}, and sees no other process"),
            "systemctl edit provost.service: [Service] ProtectProc=default; then systemctl restart provost".into(),
        )),
        (None, Some(why)) => checks.push(bad(
            format!("whose a connection is cannot be told: the daemon may not see how virtual machines were started ({why})"),
            format!(
                "systemctl restart provost, if [listen] vsock came after its start; else, as it is {} that holds it: {}",
                if seen.selinux { "SELinux" } else { "AppArmor" },
                let_it_see(seen.selinux)
            ),
        )),
        (None, None) => {}
    }
    if !config.roles.iter().flat_map(|role| &role.members).any(Member::is_machine) {
        checks.push(Check::not(
            NAME,
            State::Look,
            format!("port {port} is open, and no role has a virtual machine among its members"),
            "members = [\"vm:VMID\"] in a role, or take vsock out of [listen]",
        ));
    }
    if checks.is_empty() {
        checks.push(Check::good(
            NAME,
            format!("port {port} is open to virtual machines, and which one connects can be told"),
        ));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: &str = "[listen]\nvsock=7100\n[[role]]\nname='a'\nmembers=['vm:120']";

    fn seen() -> Seen {
        let unit = Some(("active".into(), "vsock:4294967295:7100 (Stream)".into()));
        Seen { device: true, unit, unit_hides: None, selinux: false }
    }

    fn said(text: &str, seen: &Seen, hidden: Option<&str>) -> Vec<(State, String)> {
        let config = crate::config::parse(Path::new("x"), text).unwrap();
        let walls =
            Walls { uid: 990, landlock_abi: Some(7), missing: Vec::new(), hidden: hidden.map(str::to_owned) };
        let checks = judge(&config, seen, Some(&walls));
        assert!(
            checks.iter().all(|check| (check.state == State::Good) == check.mend.is_none()),
            "{checks:?}"
        );
        checks.into_iter().map(|check| (check.state, check.evidence)).collect()
    }

    #[test]
    fn what_keeps_a_virtual_machine_out_is_told_one_by_one() {
        assert_eq!(said("", &seen(), None)[0].0, State::Look, "a socket that nobody serves");
        assert!(said("", &Seen { unit: None, ..seen() }, Some("hidden, as it should be")).is_empty());
        assert_eq!(said(ON, &seen(), None)[0].0, State::Good);
        let inactive = Seen { unit: Some(("inactive".into(), String::new())), ..seen() };
        let other = Seen { unit: Some(("active".into(), "vsock:4294967295:71 (Stream)".into())), ..seen() };
        let hides = Seen { unit_hides: Some("invisible".into()), ..seen() };
        for (seen, hidden, state, says) in [
            (inactive, None, State::Bad, "provost-vsock.socket is inactive"),
            (other, None, State::Bad, "listens on vsock:4294967295:71 "),
            (Seen { device: false, ..seen() }, None, State::Look, "/dev/vhost-vsock"),
            (hides, Some("ENOENT"), State::Bad, "ProtectProc=invisible"),
            (seen(), Some("/proc/1/cmdline: EACCES"), State::Bad, "/proc/1/cmdline: EACCES"),
        ] {
            let said = said(ON, &seen, hidden);
            assert!(said.len() == 1 && said[0].0 == state && said[0].1.contains(says), "{says}: {said:?}");
        }
        let config = crate::config::parse(Path::new("x"), ON).unwrap();
        let hidden =
            Walls { uid: 990, landlock_abi: Some(7), missing: Vec::new(), hidden: Some("EACCES".into()) };
        for (selinux, mends) in
            [(false, "apparmor_parser -r"), (true, "setsebool -P provost_serve_machines on")]
        {
            let checks = judge(&config, &Seen { selinux, ..seen() }, Some(&hidden));
            assert!(checks[0].mend.as_ref().is_some_and(|mend| mend.contains(mends)), "{checks:?}");
        }
        let nobody = said("[listen]\nvsock=7100", &seen(), None);
        assert!(nobody[0].0 == State::Look && nobody[0].1.contains("no role"), "{nobody:?}");
    }
}
