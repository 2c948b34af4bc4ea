//! What is known of a process, fact by fact: `status/CapEff`, `ns/user`, `cgroup/`, `fd/0`, `environ/PATH`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

pub type Facts = BTreeMap<String, String>;

/// What the process saw, from the probe's output.
pub fn seen(output: &str) -> Facts {
    let mut facts = Facts::new();
    let mut sections = output.split("\n== ");
    assert_eq!(sections.next(), Some(""), "{output}");
    for section in sections {
        let (name, body) = section.split_once('\n').unwrap_or((section, ""));
        add(&mut facts, name, body);
    }
    facts
}

/// What the host sees of the process `pid`: every file and link of its /proc directory but those to pass over.
pub fn on_host(pid: i32, pass_over: &[&str]) -> Facts {
    let mut facts = Facts::new();
    let proc = format!("/proc/{pid}");
    for folder in ["", "attr", "attr/apparmor", "attr/smack", "ns", "fd"] {
        let Ok(entries) = fs::read_dir(Path::new(&proc).join(folder)) else { continue };
        for entry in entries.flatten() {
            let name = Path::new(folder).join(entry.file_name()).display().to_string();
            let kind = entry.file_type().expect("a type");
            if kind.is_symlink() {
                let target = fs::read_link(entry.path())
                    .map_or_else(|error| error.to_string(), |to| to.display().to_string());
                match name.strip_prefix("fd/") {
                    Some(number) => add(&mut facts, "fd", &format!("{number} -> {target}")),
                    None => add(&mut facts, &name, &target),
                }
            } else if kind.is_file() && !kind.is_socket() && !pass_over.contains(&name.as_str()) {
                let content = fs::read(entry.path());
                let text = content.map_or_else(
                    |error| error.to_string(),
                    |bytes| String::from_utf8_lossy(&bytes).into_owned(),
                );
                add(&mut facts, &name, &text.replace('\0', if name == "environ" { "\n" } else { " " }));
            }
        }
    }
    facts
}

/// The fields of `stat` that say what a process is; the others count what it did, or are addresses.
const STAT: [(usize, &str); 13] = [
    (4, "ppid"),
    (5, "pgrp"),
    (6, "session"),
    (7, "tty_nr"),
    (8, "tpgid"),
    (9, "flags"),
    (18, "priority"),
    (19, "nice"),
    (20, "num_threads"),
    (38, "exit_signal"),
    (40, "rt_priority"),
    (41, "policy"),
    (52, "exit_code"),
];

fn add(facts: &mut Facts, section: &str, body: &str) {
    let mut add = |name: &str, value: &str| {
        facts.insert(format!("{section}/{name}"), value.split_whitespace().collect::<Vec<_>>().join(" "));
    };
    let lines = || body.lines().filter(|line| !line.is_empty());
    match section {
        "status" | "prctl" | "keyring" => {
            lines().filter_map(|line| line.split_once(':')).for_each(|(name, value)| add(name, value))
        }
        "limits" => lines().skip(1).for_each(|line| add(line[..26].trim(), &line[26..])),
        // number:controllers:path; the unified hierarchy has no controllers here.
        "cgroup" => lines().for_each(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            add(parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        }),
        "environ" => lines().for_each(|line| {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            add(name, value);
        }),
        // Which pipe it is differs from call to call; that it is one does not.
        "fd" => lines().filter_map(|line| line.split_once(" -> ")).for_each(|(number, target)| {
            let kind = target.split_once(":[").map_or(target, |(kind, _)| kind);
            add(number, kind);
        }),
        "stat" => {
            let after = body.rsplit_once(')').map_or("", |(_, after)| after);
            let fields: Vec<&str> = after.split_whitespace().collect();
            // `after` begins with field 3.
            STAT.iter().for_each(|(at, name)| add(name, fields.get(at - 3).unwrap_or(&"absent")));
        }
        whole => {
            facts.insert(whole.to_owned(), body.trim().to_owned());
        }
    }
}
