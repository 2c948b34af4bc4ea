//! Why words are no plan, though a call was found for them: they say more than that call does.
//!
//! Whoever finds calls goes by what fits best, and takes what fits nothing for idle talk. A plan must not: "stop the backup of
//! vm 102" is no stop of vm 102, and "do not delete it" no deletion. So what is about a thing of its own has to be a call about
//! that thing, and only one thing is done, which nobody said should not be.

/// What a word is about, and what the path of a call about that has in it.
const ABOUT: &[(&[&str], &[&str])] = &[
    (&["access", "permission", "privilege", "acl", "rights"], &["/access/"]),
    (&["pool"], &["/pool", "/disks", "/storage"]),
    (&["firewall", "ipset"], &["/firewall"]),
    (&["ha"], &["/ha/"]),
    (&["job"], &["/backup", "/jobs/", "/replication", "/sync", "/prune", "/verify", "/realm-sync"]),
    (
        &["backup", "vzdump"],
        &[
            "/vzdump",
            "/backup",
            "/content",
            "/prunebackups",
            "/storage",
            "/jobs",
            "/qemu",
            "/lxc",
            "/config/",
            "/tape",
            "/tasks",
        ],
    ),
    (&["replication"], &["/replication"]),
    (&["clone", "copy", "copie", "duplicate"], &["/clone", "/move", "/content", "/migrate", "/vzdump"]),
    (&["task"], &["/tasks"]),
    (&["keep", "retention", "prune"], &["/prune", "/storage", "/backup", "/config/"]),
    (&["replica"], &["/replication"]),
    (&["snapshot", "snap", "checkpoint"], &["/snapshot", "/rollback", "/vzdump", "/backup"]),
];

/// Of the calls about backups, those that begin or end a guest are none: only what makes one of a backup.
const MADE: &[&str] = &["/qemu", "/lxc"];

/// Before what something is called, or where it goes: "move it to backup".
const CALLED: &[&str] = &["to", "onto", "on", "called", "named", "storage", "datastore", "target"];

const NOT: &[&str] = &["not", "dont", "never", "doesnt", "shouldnt", "mustnt", "cannot", "cant"];

/// What is done to a guest or to what it has; the same of each row.
const DONE: &[&[&str]] = &[
    &["start", "boot"],
    &["stop", "shutdown", "halt", "kill"],
    &["reboot", "restart", "reset"],
    &["suspend", "pause", "hibernate"],
    &["resume", "unpause"],
    &["delete", "remove", "destroy", "nuke", "erase", "purge"],
    &["migrate"],
    &["rollback", "revert"],
    &["unlock"],
];

/// Who means every guest says guests; "everything" may be more, or less.
const EVERYTHING: &[&str] =
    &["everything", "everybody", "everyone", "all", "whole", "entire", "each", "every"];
const GUESTS: &[&str] = &[
    "vm",
    "ct",
    "lxc",
    "qemu",
    "container",
    "guest",
    "machine",
    "instance",
    "workload",
    "stopall",
    "startall",
    "suspendall",
    "migrateall",
];

/// Why these words are no such call; `names` are of guests and nodes, and mean nothing else here.
pub fn of(words: &str, path: &str, names: &[&str]) -> Option<String> {
    let words: Vec<String> = words
        .split(|c: char| c.is_whitespace() || c == ',' || c == ';')
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase().replace(['\'', '’'], ""))
        .filter(|word| !word.is_empty() && !names.iter().any(|name| name.eq_ignore_ascii_case(word)))
        .collect();
    if let Some(not) = words.iter().find(|word| NOT.contains(&word.as_str())) {
        return Some(format!("they say what is \"{not}\" to be done, too"));
    }
    let is_of_all = path.ends_with("all") || path.starts_with("/cluster/bulk-action/");
    let says_guests = || {
        words
            .iter()
            .any(|word| GUESTS.contains(&word.as_str()) || GUESTS.contains(&word.trim_end_matches('s')))
    };
    if is_of_all && !says_guests() {
        let vague = words.iter().find(|word| EVERYTHING.contains(&word.as_str()));
        let vague = vague.map_or_else(|| "nothing of guests".to_owned(), |vague| format!("\"{vague}\""));
        return Some(format!("they say {vague}, and it is done to every guest at once"));
    }
    let about = |word: &String| {
        let one = word.strip_suffix('s').unwrap_or(word);
        ABOUT.iter().find(|(said, _)| said.contains(&one) || said.contains(&word.as_str()))
    };
    for (at, word) in words.iter().enumerate() {
        let is_called = at > 0 && CALLED.contains(&words[at - 1].as_str());
        let Some((_, parts)) = about(word).filter(|_| !is_called) else { continue };
        let fits = |part: &&str| match MADE.contains(part) {
            true => path.ends_with(*part),
            false => path.contains(*part),
        };
        if !parts.iter().any(fits) {
            return Some(format!("they speak of \"{word}\""));
        }
    }
    let mut done = words
        .iter()
        .filter_map(|word| DONE.iter().position(|row| row.contains(&word.as_str())).map(|row| (row, word)));
    let (first, said) = done.next()?;
    let (_, other) = done.find(|(row, _)| *row != first)?;
    Some(format!("they say \"{said}\" and \"{other}\", and one call does one of these"))
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn what_is_about_something_else_twice_or_not_to_be_done_is_no_such_call() {
        let (delete, stop, start) =
            ("/nodes/pve2/qemu/112", "/nodes/pve2/qemu/112/status/stop", "/nodes/pve2/qemu/112/status/start");
        for (words, path) in [
            ("revoke bob's access to vm 112", delete),
            ("take vm 112 out of pool dev", delete),
            ("turn firewall off on vm 112", start),
            ("stop the nightly backup of vm 112", stop),
            ("stop ha for vm 112", stop),
            ("do not delete vm 112, just stop it", delete),
            ("don't stop vm 112", stop),
            ("unlock vm 112 and delete it later", delete),
            ("make 3 copies of template 112", "/nodes/pve2/qemu/112/template"),
            ("keep only 3 backups", "/nodes/pve1/vzdump"),
            ("kill that stuck backup task", "/nodes/pve1/storage/local/content/x"),
            ("stop and delete vm 112", delete),
            ("delete the snapshots of vm 112", delete),
            ("kill everything on pve2", "/nodes/pve2/stopall"),
            ("stop the whole lot", "/cluster/bulk-action/guest/shutdown"),
        ] {
            assert!(of(words, path, &[]).is_some(), "{words}");
        }
    }

    #[test]
    fn what_says_one_thing_is_left_alone() {
        let guest = "/nodes/pve2/lxc/112";
        for (words, path) in [
            ("stop vm 112", "/status/stop"),
            ("delete the backups of vm 112", "/nodes/pve1/storage/local/content/x"),
            ("back up vm 112", "/nodes/pve1/vzdump"),
            ("restore ct 112 from its last backup", "/nodes/pve2/lxc"),
            ("delete backup job nightly", "/cluster/backup/nightly"),
            ("add vm 112 to pool dev", "/pools"),
            ("remove ct 112 from ha", "/cluster/ha/resources/ct:112"),
            ("clone vm 112", "/nodes/pve2/qemu/112/clone"),
            ("roll ct 112 back to snapshot before", "/nodes/pve2/lxc/112/snapshot/before/rollback"),
            ("move the disk of ct 112 to backup", "/nodes/pve2/lxc/112/move_volume"),
            ("stop vm 112 right now", "/status/stop"),
            ("start ct 112 at boot", "/nodes/pve2/lxc/112/config"),
            ("reboot ct 112", "/status/reboot"),
            ("stop all vms on pve2", "/nodes/pve2/stopall"),
            ("stop every container", "/nodes/pve2/stopall"),
            ("prune backups", "/nodes/pve1/storage/local/prunebackups"),
        ] {
            assert_eq!(of(words, path, &[]), None, "{words}");
        }
        // What a guest is called says nothing of what is done.
        assert_eq!(of("delete ct backup", guest, &["backup"]), None);
        assert!(of("delete ct backup", guest, &[]).is_some());
    }
}
