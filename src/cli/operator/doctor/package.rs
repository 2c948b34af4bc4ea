//! What dpkg says: whether Provost's own install came to its end, and whether PVE is being upgraded just now.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::{Check, Ground, State};
use crate::cli::program;

const PATIENCE: Duration = Duration::from_secs(5);
const OWN: &str = "provost";
/// What answers the API, and what /etc/pve is.
const PVE: [&str; 3] = ["pve-manager", "pve-cluster", "libpve-access-control"];
/// Whoever installs holds one of these.
const LOCKS: [&str; 2] = ["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock"];

pub fn checks(_: &Ground) -> Vec<Check> {
    let words = [&["-W", "-f", "${Package} ${db:Status-Status} ${Version}\n", OWN][..], &PVE[..]].concat();
    // It fails for one that it does not know, and says the rest.
    let ran = match program::run(Path::new("/usr/bin/dpkg-query"), &words, b"", PATIENCE) {
        Ok(ran) => ran,
        // Another kind of machine.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => return vec![Check::skipped("package", format!("dpkg-query: {error}"))],
    };
    let known = crate::text::clean(&ran.stdout);
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let holder = LOCKS.iter().find_map(|lock| holder(&locks, std::fs::metadata(lock).ok()?.ino()));
    let holder = holder.map(|pid| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        format!("{} (pid {pid})", crate::text::brief(name.trim(), 20))
    });
    judge(&known, holder.as_deref())
}

/// Who holds a lock on that file, by the kernel's list: `1: POSIX  ADVISORY  WRITE 4711 fd:01:1234 0 EOF`.
fn holder(locks: &str, inode: u64) -> Option<i32> {
    let inode = format!(":{inode}");
    let lines = locks.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let held = lines.filter(|words| words.get(1) != Some(&"->"));
    held.filter(|words| words.get(5).is_some_and(|file| file.ends_with(&inode)))
        .find_map(|words| words[4].parse().ok())
}

/// `known`: a package a line, its state and version. `installs`: who does, now.
fn judge(known: &str, installs: Option<&str>) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut torn = Vec::new();
    for line in known.lines() {
        let mut words = line.split(' ');
        let (Some(name), Some(state)) = (words.next(), words.next()) else { continue };
        let version = words.next().unwrap_or_default();
        match (name, state) {
            (_, "not-installed" | "config-files") => {}
            (OWN, "installed" | "triggers-pending" | "triggers-awaited") => {
                checks.push(Check::good("package", format!("{OWN} {version} is installed, all of it")));
            }
            (OWN, state) => checks.push(Check::not(
                "package",
                State::Bad,
                format!("the install of {OWN} {version} did not come to its end: dpkg has it as {state}"),
                "see what it lacked (df -h / /usr /var), then: dpkg --configure --pending; apt-get install --reinstall provost",
            )),
            (_, "installed" | "triggers-pending" | "triggers-awaited") => {}
            (name, state) => torn.push(format!("{name} {version}: {state}")),
        }
    }
    match (torn.is_empty(), installs) {
        (true, None) => {}
        (true, Some(who)) => checks.push(Check::not(
            "upgrade",
            State::Look,
            format!(
                "{who} installs packages now: PVE's daemons, and this one, may be started anew meanwhile"
            ),
            "wait until it has ended; Provost goes on by itself",
        )),
        (false, who) => {
            let said = match who {
                Some(who) => format!(
                    "PVE is being upgraded, by {who}: until that has ended its daemons may not answer"
                ),
                None => "an upgrade of PVE did not come to its end".to_owned(),
            };
            let mend = match who {
                Some(_) => "wait until it has ended; Provost goes on by itself",
                None => "dpkg --configure --pending; apt-get -f install",
            };
            let state = if who.is_some() { State::Look } else { State::Bad };
            checks.push(Check { items: torn, ..Check::not("upgrade", state, said, mend) });
        }
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_install_that_broke_off_and_an_upgrade_that_goes_on_are_told_apart() {
        for (known, installs, expected) in [
            ("", None, vec![]),
            ("provost installed 0.1.0\npve-manager installed 9.1", None, vec![("package", State::Good)]),
            ("provost half-installed 0.1.0", None, vec![("package", State::Bad)]),
            ("provost unpacked 0.1.0", None, vec![("package", State::Bad)]),
            ("provost half-configured 0.1.0", None, vec![("package", State::Bad)]),
            ("provost config-files 0.1.0", None, vec![]),
            ("pve-manager installed 9.1", Some("apt-get (pid 7)"), vec![("upgrade", State::Look)]),
            ("pve-manager unpacked 9.1", Some("dpkg (pid 7)"), vec![("upgrade", State::Look)]),
            ("pve-manager half-configured 9.1", None, vec![("upgrade", State::Bad)]),
        ] {
            let checks = judge(known, installs);
            let seen: Vec<_> = checks.iter().map(|check| (check.check, check.state)).collect();
            assert_eq!(seen, expected, "{known}");
            assert!(
                checks.iter().all(|check| (check.state == State::Good) == check.mend.is_none()),
                "{checks:?}"
            );
        }
    }

    #[test]
    fn who_holds_a_lock_is_found_in_the_kernels_own_list() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let held = nix::fcntl::Flock::lock(file.reopen().unwrap(), nix::fcntl::FlockArg::LockExclusive);
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        let inode = file.as_file().metadata().unwrap().ino();
        assert_eq!(holder(&locks, inode), Some(std::process::id() as i32), "{locks}");
        drop(held);
        assert_eq!(holder("1: -> POSIX  ADVISORY  WRITE 7 fd:01:12 0 EOF", 12), None, "that one waits");
        assert_eq!(holder("1: POSIX  ADVISORY  WRITE 7 fd:01:112 0 EOF", 12), None);
    }
}
