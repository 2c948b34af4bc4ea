//! The one list of what may differ between a command through `lxc-attach` and the same through Provost, and why.

use crate::facts::Facts;

pub struct Difference {
    /// The fact, or all whose names begin so, with `*` at the end.
    fact: &'static str,
    rule: Rule,
    why: &'static str,
}

#[derive(Clone, Copy)]
enum Rule {
    /// A file of /proc/self that is not read.
    PassedOver,
    /// Differs between any two processes, however they were started.
    Own,
    /// Differs on purpose, always, and in no other way than this: given lxc's facts and Provost's.
    OnPurpose(fn(&Facts, &Facts) -> bool),
    /// As `OnPurpose`, where the caller of lxc-attach decides whether it differs at all.
    Sometimes(fn(&Facts, &Facts) -> bool),
}

use Rule::{OnPurpose, Own, PassedOver, Sometimes};

const fn row(fact: &'static str, rule: Rule, why: &'static str) -> Difference {
    Difference { fact, rule, why }
}

pub const DIFFERENCES: &[Difference] = &[
    // What Provost does otherwise.
    row(
        "cgroup/",
        OnPurpose(|lxc, provost| {
            let leaf = |facts: &Facts| {
                facts["cgroup/"].rsplit_once('/').map(|(up, name)| (up.to_owned(), name.to_owned()))
            };
            let (Some(theirs), Some(ours)) = (leaf(lxc), leaf(provost)) else { return false };
            let parts: Vec<&str> = ours.1.split('-').collect();
            let numbers = |parts: &[&str]| parts.iter().all(|part| part.parse::<u64>().is_ok());
            theirs.0 == ours.0
                && ["", ".lxc"].contains(&theirs.1.as_str())
                && parts.len() == 4
                && parts[0] == ".provost"
                && numbers(&parts[1..])
        }),
        "a leaf of its own beside lxc's .lxc, so that a timeout kills every descendant",
    ),
    row(
        "environ/HOME",
        OnPurpose(|lxc, provost| {
            !lxc.contains_key("environ/HOME") && provost["environ/HOME"].starts_with('/')
        }),
        "lxc-attach sets none, and most programs want one",
    ),
    row(
        "fd/*",
        Sometimes(|lxc, provost| {
            let same = |name| lxc.get(name).is_some_and(|kind| provost.get(name) == Some(kind));
            provost.keys().filter(|name| name.starts_with("fd/")).count() == 3
                && ["fd/0", "fd/1", "fd/2"].into_iter().all(same)
        }),
        "lxc-attach hands its caller's descriptors on; a command of Provost's has its three",
    ),
    row(
        "keyring/number",
        OnPurpose(|_, provost| provost["keyring/number"].parse::<i32>().is_ok_and(|number| number > 0)),
        "a session keyring of its own: lxc-attach's commands keep that of its caller",
    ),
    row(
        "keyring/session",
        Sometimes(|_, provost| provost["keyring/session"].ends_with(";_ses")),
        "another keyring",
    ),
    row("keyring/holds", Sometimes(|_, provost| provost["keyring/holds"] == "0"), "and it is empty"),
    row(
        "prctl/pdeathsig",
        Sometimes(|lxc, provost| lxc["prctl/pdeathsig"] == "0" && provost["prctl/pdeathsig"] == "9"),
        "killed with provost-execd; AppArmor takes it back at the exec",
    ),
    row(
        "sessionid",
        OnPurpose(|lxc, provost| {
            provost["sessionid"] != NO_AUDIT_SESSION && provost["sessionid"] != lxc["sessionid"]
        }),
        "an audit session of its own, by which a command that leaves its cgroup is found",
    ),
    row(
        "loginuid",
        Sometimes(|_, provost| provost["loginuid"] == "0"),
        "what makes an audit session; in a user namespace the host's 0 reads as none",
    ),
    row(
        "stat/session",
        OnPurpose(leads_its_session),
        "a session of its own, so that no terminal of the host's is in reach",
    ),
    row("stat/pgrp", OnPurpose(leads_its_session), "its own session"),
    row("status/NSsid", OnPurpose(leads_its_session), "its own session"),
    row("status/NSpgid", OnPurpose(leads_its_session), "its own session"),
    row("autogroup", OnPurpose(group_of_its_own), "the scheduler's group of a session: its own"),
    row("stat/tty_nr", Sometimes(has_no_terminal), "lxc-attach's caller may have a terminal"),
    row("stat/tpgid", Sometimes(has_no_terminal), "lxc-attach's caller may have a terminal"),
    row(
        "terminal",
        Sometimes(|_, provost| provost["terminal"] == "none"),
        "lxc-attach's caller may have a terminal",
    ),
    row(
        "status/SigIgn",
        Sometimes(|_, provost| provost["status/SigIgn"].chars().all(|digit| digit == '0')),
        "lxc-attach hands on what its caller ignores, as what posix_spawn starts does two of libc's signals",
    ),
    // What differs between any two processes.
    row("status/PPid", Sometimes(from_outside), "its parent: lxc-attach or provost-execd"),
    row("stat/ppid", Sometimes(from_outside), "its parent"),
    row("status/Pid", Own, "its number"),
    row("status/Tgid", Own, "its number"),
    row("status/NSpid", Own, "its number"),
    row("status/NStgid", Own, "its number"),
    row("status/State", Own, "running, or waiting for a program that it started"),
    row("status/Vm*", Own, "pages touched so far"),
    row("status/Rss*", Own, "pages touched so far"),
    row("status/SigQ", Own, "signals queued by all processes of its user"),
    row("status/voluntary_ctxt_switches", Own, "counter"),
    row("status/nonvoluntary_ctxt_switches", Own, "counter"),
    row("arch_status", Own, "counter"),
    row("ksm_merging_pages", Own, "counter"),
    // What is not read.
    row("auxv", PassedOver, "addresses, drawn anew for each process"),
    row("maps", PassedOver, "addresses"),
    row("smaps", PassedOver, "addresses"),
    row("smaps_rollup", PassedOver, "addresses"),
    row("numa_maps", PassedOver, "addresses"),
    row("syscall", PassedOver, "addresses"),
    row("mem", PassedOver, "the memory itself"),
    row("pagemap", PassedOver, "page frames"),
    row("stack", PassedOver, "where it waits"),
    row("wchan", PassedOver, "where it waits"),
    row("clear_refs", PassedOver, "takes orders, tells nothing"),
    row("mounts", PassedOver, "mountinfo with less in it"),
    row("mountstats", PassedOver, "mountinfo with less in it"),
    row("io", PassedOver, "counters"),
    row("sched", PassedOver, "counters; policy and priority are facts of stat"),
    row("schedstat", PassedOver, "counters"),
    row("statm", PassedOver, "counters"),
    row("ksm_stat", PassedOver, "counters"),
    row("oom_score", PassedOver, "computed from its size; what is set is oom_score_adj"),
    row("cmdline", PassedOver, "what was asked for"),
];

/// -1, as the kernel writes it.
const NO_AUDIT_SESSION: &str = "4294967295";

fn leads_its_session(_: &Facts, provost: &Facts) -> bool {
    // From outside, NSpid and its like have a number for each pid namespace, the host's first.
    let (pid, inner) = (&provost["status/Pid"], &provost["status/NSpid"]);
    [("stat/session", pid), ("stat/pgrp", pid), ("status/NSsid", inner), ("status/NSpgid", inner)]
        .into_iter()
        .all(|(fact, own)| provost.get(fact) == Some(own))
}

fn has_no_terminal(_: &Facts, provost: &Facts) -> bool {
    provost["stat/tty_nr"] == "0" && provost["stat/tpgid"] == "-1"
}

/// The group of a session that is its own begins at 0; the caller's of lxc-attach has what somebody gave it, or is none, where
/// the session is as old as the node's init.
fn group_of_its_own(_: &Facts, provost: &Facts) -> bool {
    provost["autogroup"].ends_with(" nice 0")
}

/// Inside, a parent that is outside has the number 0, whoever it is.
fn from_outside(_: &Facts, provost: &Facts) -> bool {
    provost["status/NSpid"].contains(' ')
}

/// Files that are not read.
pub fn passed_over() -> Vec<&'static str> {
    DIFFERENCES.iter().filter(|row| matches!(row.rule, PassedOver)).map(|row| row.fact).collect()
}

/// Fails with every difference that is not in the list, or not as the list has it, and with every row of the list that
/// is no longer true.
pub fn compare(what: &str, lxc: &Facts, provost: &Facts) {
    let mut wrong = Vec::new();
    let mut names: Vec<&String> = lxc.keys().chain(provost.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let (theirs, ours) = (lxc.get(name), provost.get(name));
        let row = DIFFERENCES.iter().find(|row| row.covers(name));
        let problem = match row.map(|row| row.rule) {
            Some(OnPurpose(_)) if theirs == ours => "is on the list of differences, and is none",
            _ if theirs == ours => continue,
            Some(Own) => continue,
            Some(OnPurpose(is_right) | Sometimes(is_right)) if is_right(lxc, provost) => continue,
            Some(OnPurpose(_) | Sometimes(_)) => "differs otherwise than the list has it",
            None | Some(PassedOver) => "differs",
        };
        let why = row.map(|row| format!("\n    the list:   {}", row.why)).unwrap_or_default();
        wrong.push(format!(
            "{name} {problem}\n    lxc-attach: {}\n    provost:    {}{why}",
            text(theirs),
            text(ours)
        ));
    }
    assert!(wrong.is_empty(), "{what}: {} of {} facts\n{}", wrong.len(), lxc.len(), wrong.join("\n"));
}

fn text(fact: Option<&String>) -> &str {
    fact.map_or("(absent)", |text| text.as_str())
}

impl Difference {
    fn covers(&self, name: &str) -> bool {
        match self.fact.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == self.fact,
        }
    }
}
