//! What a shell in the container is asked, and what its answer is taken for.
//!
//! In: the probes of a battery. Out: one script, and of its output the section of each probe. The container is hostile: its
//! shell, its programs and its files are. So all of it is bounded, parsed as data, and believed of the container alone. A
//! marker that is another each time keeps what a file holds from passing for another probe's output.

mod disks;
pub(super) mod journal;
pub(super) mod network;
pub(super) mod processes;
mod trust;

use std::collections::BTreeMap;

use super::{Battery, Gathered, On, Page, Reader};

pub const READERS: &[(&str, Reader)] = &[
    ("disks", disks::disks),
    ("logs", disks::logs),
    ("zombies", processes::zombies),
    ("processes", processes::processes),
    ("load", load),
    ("units", journal::units),
    ("log", journal::log),
    ("clock", clock),
    ("dns", network::dns),
    ("gateway", network::gateway),
    ("ports", network::ports),
    ("certificates", trust::certificates),
    ("updates", updates),
];

/// The script of all probes inside. The marker that stands before each one's output is its first argument: so the script
/// is the same each time, and so is its hash on record.
pub fn script(battery: &Battery) -> String {
    // Read whole before it runs, so that no program takes the rest of it for its input. A program that complains is not a
    // finding; what a probe does not write, its reader misses.
    let mut script = String::from("{ export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin\n");
    let part = |apart: bool| {
        let probes = battery.on(On::Inside).filter(|probe| probe.apart == apart);
        probes.fold(String::new(), |text, probe| {
            text + &format!("echo; echo \"$1 {}\"\n{}\n", probe.name, probe.run.trim())
        })
    };
    let (apart, rest) = (part(true), part(false));
    match apart.is_empty() {
        true => script.push_str(&rest),
        // Side by side: what the first part writes waits in the pipe until the second has ended, which its last section is known
        // by.
        false => script.push_str(&format!(
            "{{\n{apart}}} | {{ exec 3<&0 </dev/null\n{rest}echo; echo \"$1 apart\"; cat <&3\n}}\n"
        )),
    }
    // By which the last section is known to be whole.
    script.push_str("echo; echo \"$1 end\"\n} </dev/null 2>/dev/null\n");
    script
}

/// What each probe wrote. One whose output was cut, or is followed by nothing, is left out; so is one that stands there
/// twice, as only somebody who reads the script can make it.
pub fn sections(output: &str, marker: &str, cut: &str) -> BTreeMap<String, String> {
    let mut sections = BTreeMap::new();
    let mut twice = Vec::new();
    let mut parts = output.split(marker).skip(1).peekable();
    while let Some(part) = parts.next() {
        let Some((name, text)) = part.split_once('\n') else { continue };
        let name = name.trim();
        if parts.peek().is_none() || text.contains(cut) {
            continue;
        }
        if sections.insert(name.to_owned(), text.trim_matches('\n').to_owned()).is_some() {
            twice.push(name.to_owned());
        }
    }
    twice.iter().for_each(|name| drop(sections.remove(name)));
    sections
}

fn load(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let mut lines = gathered.section("load")?.lines();
    let load: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().take(3).collect();
    let up = lines.next().and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    if load.len() < 3 {
        return Err("its /proc/loadavg could not be read".into());
    }
    page.fact(format!("load {}, up {:.0} s, as the container says", load.join(" "), up.unwrap_or_default()));
    Ok(())
}

fn clock(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let said = gathered.section("clock")?.trim();
    let inside: i64 = said.parse().map_err(|_| "its `date` gives no time".to_owned())?;
    let off = inside.saturating_sub(page.now);
    page.fact(format!("{off} s from the node's"));
    if off.unsigned_abs() as f64 >= page.limit("clock_off") {
        let evidence = format!("its date says {inside}, the node's clock {} (seconds since 1970)", page.now);
        page.flag("clock_off", format!("its programs are told a time that is {off} s off"), evidence);
    }
    Ok(())
}

fn updates(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let text = gathered.section("updates")?;
    let after = |file: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix(file)?.strip_prefix(':'));
        lines.collect::<Vec<_>>()
    };
    if text.lines().any(|line| line.ends_with("run/reboot-required")) {
        let packages = after("/run/reboot-required.pkgs").join(", ");
        page.flag(
            "reboot_required",
            "it asks to be rebooted",
            format!("/run/reboot-required is there: {packages}"),
        );
    }
    let pending = after("/var/lib/update-notifier/updates-available").into_iter().find_map(|line| {
        let count: u64 = line.split_whitespace().next()?.parse().ok()?;
        line.contains("can be").then_some(count)
    });
    if pending.is_some_and(|count| count as f64 >= page.limit("updates_pending")) {
        let count = pending.unwrap_or_default();
        page.flag("updates_pending", format!("{count} updates wait"), "by its own update-notifier");
    }
    let refreshed = text.lines().filter_map(|line| {
        let (time, file) = line.split_once(' ')?;
        file.starts_with("/var/lib/apt/").then_some(time.parse::<i64>().ok()?)
    });
    match (pending, refreshed.max()) {
        (None, Some(time)) => {
            let days = page.now.saturating_sub(time).max(0) / 86_400;
            page.fact(format!("package lists refreshed {days} days ago"));
            page.cannot_tell(
                "which updates wait takes apt longer than this may: exec `apt list --upgradable` tells",
            );
        }
        (None, None) => page.cannot_tell("no apt there, and no other package manager is known here"),
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::Subject;

    const MARK: &str = "@@ 0123456789abcdef";

    #[test]
    fn each_section_is_its_probes_and_nobody_elses() {
        let output = format!(
            "motd\n{MARK} a\none\n@@ b\ntwo\n\n{MARK} b\n\n{MARK} c\ncut [9 bytes cut here]\n\n{MARK} d\nx\n{MARK} d\ny\n\n{MARK} e\nhalf"
        );
        let sections = sections(&output, MARK, "bytes cut here]");
        let names: Vec<&str> = sections.keys().map(String::as_str).collect();
        assert_eq!(names, ["a", "b"], "{sections:?}");
        assert_eq!((&*sections["a"], &*sections["b"]), ("one\n@@ b\ntwo", ""));
    }

    #[test]
    fn the_script_has_every_probe_and_its_end() {
        let battery = Battery::of(&Subject::Lxc(105));
        let script = script(battery);
        for probe in battery.on(On::Inside) {
            let part = format!("\"$1 {}\"\n{}\n", probe.name, probe.run.trim());
            assert!(script.contains(&part), "{}", probe.name);
        }
        assert!(script.contains("$1 end"));
    }
}
