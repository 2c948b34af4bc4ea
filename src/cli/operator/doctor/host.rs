//! The machine: who may connect, commands in containers and on the node, the journal.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::{Check, Ground, State};
use crate::config::{Config, Exec, Member, Role, Tier};

const GROUP: &str = "provost";

pub fn checks(ground: &Ground) -> Vec<Check> {
    let mut checks = vec![journal()];
    if let Some(config) = &ground.config {
        checks.extend(members(config));
        checks.extend(commands(&config.exec, &config.pve.etc_pve));
        checks.push(on_host(config));
    }
    checks
}

/// Accounts that roles name, and whether they could connect at all.
fn members(config: &Config) -> Vec<Check> {
    const NAME: &str = "members";
    let (mut gone, mut outside, mut count) = (Vec::new(), Vec::new(), 0);
    let group = nix::unistd::Group::from_name(GROUP).ok().flatten();
    for role in &config.roles {
        for member in &role.members {
            count += 1;
            match member {
                Member::User(name) => match nix::unistd::User::from_name(name).ok().flatten() {
                    None if name.parse::<u32>().is_err() => {
                        gone.push(format!("user:{name} of role \"{}\"", role.name))
                    }
                    Some(user) if !user.uid.is_root() => {
                        let primary = group.as_ref().is_some_and(|group| group.gid == user.gid);
                        let inside = group.as_ref().is_none_or(|group| group.mem.contains(name));
                        if !primary && !inside {
                            outside.push(name.clone());
                        }
                    }
                    _ => {}
                },
                Member::Group(name) => {
                    if nix::unistd::Group::from_name(name).ok().flatten().is_none()
                        && name.parse::<u32>().is_err()
                    {
                        gone.push(format!("group:{name} of role \"{}\"", role.name));
                    }
                }
                Member::Vsock(_) | Member::Vm(_) => {}
            }
        }
    }
    let mut checks = Vec::new();
    if !gone.is_empty() {
        let said = format!("{} members of roles are not on this machine", gone.len());
        checks.push(Check {
            items: gone,
            ..Check::not(NAME, State::Look, said, "correct the role, or make the account")
        });
    }
    if !outside.is_empty() {
        let said = format!("not in group {GROUP}, so they cannot connect: {}", outside.join(", "));
        let mend = format!("provost setup --operator {} (and log in again)", outside[0]);
        checks.push(Check::not(NAME, State::Look, said, mend));
    }
    if checks.is_empty() {
        checks.push(Check::good(
            NAME,
            format!("{count} members in {} roles, each there and able to connect", config.roles.len()),
        ));
    }
    checks
}

/// Whether an assistant can reach the node itself, said as loudly as it deserves.
fn on_host(config: &Config) -> Check {
    const NAME: &str = "host";
    let exec = &config.exec;
    if !exec.host {
        return Check::good(NAME, "off: no command and no file of the node itself can be asked for");
    }
    if !exec.enabled {
        let mend = "set host = false under [exec], or enabled = true if it is meant";
        return Check::not(
            NAME,
            State::Look,
            "[exec] host is on, and enabled is not: nothing runs yet",
            mend,
        );
    }
    // As policy has it: the whole node, or nothing of it.
    let may = |role: &&Role| role.profile.holds(Tier::Host) && role.guests.is_none() && role.allow.is_none();
    let said = |role: &Role| match role.self_approval {
        true => format!("role \"{}\" may ask, AND APPROVES ITSELF (self_approval)", role.name),
        false => format!("role \"{}\" may ask", role.name),
    };
    let roles = config.roles.iter().filter(may).map(said);
    let roots = exec.host_roots.iter().map(|root| format!("files under {} can be asked for", root.display()));
    Check {
        items: roles.chain(roots).collect(),
        ..Check::not(
            NAME,
            State::Look,
            "COMMANDS RUN ON THE NODE ITSELF, AS ROOT, each once a person has approved it",
            "set host = false under [exec] in provost.toml unless that is meant",
        )
    }
}

/// Commands in containers.
fn commands(exec: &Exec, etc_pve: &Path) -> Vec<Check> {
    const NAME: &str = "exec";
    if !exec.enabled {
        return vec![Check::good(NAME, "commands in containers are off")];
    }
    let mut checks = Vec::new();
    if exec.containers.is_empty() {
        checks.push(Check::not(
            "containers",
            State::Look,
            "[exec] containers lists none",
            "list those that may be entered",
        ));
        return checks;
    }
    let there = containers(exec, etc_pve);
    let missing: Vec<String> = exec
        .containers
        .ranges()
        .iter()
        .filter(|range| !there.iter().any(|vmid| range.contains(vmid)))
        .map(|range| match range.start() == range.end() {
            true => format!("{}: there is no such container", range.start()),
            false => format!("{}-{}: there is no container in it", range.start(), range.end()),
        })
        .collect();
    checks.push(match missing.is_empty() {
        true => Check::good("containers", "each that is listed is there"),
        false => Check {
            items: missing,
            ..Check::not(
                "containers",
                State::Look,
                "[exec] containers lists some that are not there; one that is made later with that id can be entered",
                "take them out of the list",
            )
        },
    });
    checks
}

/// Ids, by the cluster's files and by lxc's own.
fn containers(exec: &Exec, etc_pve: &Path) -> Vec<u32> {
    let names = |dir: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    };
    let mut ids: Vec<u32> = names(&exec.lxcpath).iter().filter_map(|name| name.parse().ok()).collect();
    for node in names(&etc_pve.join("nodes")) {
        let files = names(&etc_pve.join("nodes").join(node).join("lxc"));
        ids.extend(files.iter().filter_map(|name| name.strip_suffix(".conf")?.parse::<u32>().ok()));
    }
    ids
}

fn journal() -> Check {
    const PLACE: &str = "/run/systemd/journal/socket";
    match UnixDatagram::unbound().and_then(|socket| socket.connect(PLACE)) {
        Ok(()) => Check::good("journal", format!("{PLACE} takes messages")),
        Err(error) => Check::not(
            "journal",
            State::Look,
            format!("{PLACE}: {error}; receipts are kept and not mirrored"),
            "systemctl status systemd-journald",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        crate::config::parse(Path::new("x"), text).unwrap()
    }

    #[test]
    fn members_that_are_not_there_are_named() {
        let config = config(
            "[[role]]\nname='a'\nmembers=['user:no-such-user','group:no-such-group','user:root','user:4711']",
        );
        let check = members(&config).remove(0);
        assert_eq!((check.state, check.items.len()), (State::Look, 2), "{:?}", check.items);
    }

    #[test]
    fn containers_that_are_listed_and_not_there_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let lxc = dir.path().join("nodes/pve1/lxc");
        std::fs::create_dir_all(&lxc).unwrap();
        std::fs::write(lxc.join("101.conf"), "").unwrap();
        let mut exec = config("[exec]\nenabled=true\ncontainers=[101,102,'200-299']").exec;
        exec.lxcpath = dir.path().join("none");
        let checks = commands(&exec, dir.path());
        assert_eq!((checks[0].state, checks[0].items.len()), (State::Look, 2), "{:?}", checks[0].items);
        exec.enabled = false;
        assert_eq!(commands(&exec, dir.path())[0].state, State::Good);
    }
}
