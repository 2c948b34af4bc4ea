use std::collections::BTreeMap;

use serde_json::json;

use super::cgroup::Figures;
use super::*;

/// A container that said this, and nothing else.
fn said(sections: &[(&str, &str)]) -> Gathered {
    let inside = sections.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    Gathered {
        subject: Subject::Lxc(105),
        node: Some("pve1".to_owned()),
        inside: Ok(inside),
        api: BTreeMap::new(),
        host: Ok((Figures::default(), Figures::default())),
    }
}

const NOW: i64 = 1_790_000_000;

fn report(gathered: &Gathered) -> Report {
    judge(Battery::of(&gathered.subject), gathered, NOW)
}

fn titles(report: &Report) -> Vec<&str> {
    report.flags.iter().map(|flag| flag.what.as_str()).collect()
}

fn entry(fields: &[(&str, &str)], ago: i64) -> String {
    let mut entry = json!({ "__REALTIME_TIMESTAMP": ((NOW - ago) * 1_000_000).to_string() });
    for (name, value) in fields {
        entry[*name] = json!(value);
    }
    format!("{entry}\n")
}

fn of_unit(unit: &str, id: &str, ago: i64) -> String {
    entry(&[("_PID", "1"), ("UNIT", unit), ("MESSAGE_ID", id), ("UNIT_RESULT", "exit-code")], ago)
}

const FAILED: &str = "d9b373ed55a64feb8242e02dbe79a49c";
const STARTED: &str = "39f53479d3a045ac8e11786248231fbf";
const JOURNAL: &str = "f77379a8490b408bbe5f6940505a777b";
const UP: &str = "b07a249cd024414a82dd00cd181378ff";

#[test]
fn a_probe_that_told_nothing_is_missing_by_its_name() {
    let gathered = said(&[("units", "none"), ("disks", "df: not found"), ("clock", "soon")]);
    let report = report(&gathered);
    for probe in ["units", "disks", "clock", "certificates", "oom", "memory", "throttling", "pressure"] {
        let missing = report.incomplete.iter().find(|missing| missing.probe == probe);
        assert!(missing.is_some_and(|missing| !missing.why.is_empty()), "{probe}: {:?}", report.incomplete);
    }
    assert!(report.flags.is_empty(), "{:?}", report.flags);
}

#[test]
fn a_unit_that_failed_and_was_started_since_is_well() {
    let failed = of_unit("a.service", FAILED, 60);
    assert_eq!(titles(&report(&said(&[("units", failed.as_str())]))), ["unit a.service failed"]);
    let mended = failed + &of_unit("a.service", STARTED, 30);
    assert!(report(&said(&[("units", mended.as_str())])).flags.is_empty());
}

#[test]
fn what_failed_before_the_containers_last_start_is_over() {
    let before = of_unit("old.service", FAILED, 900);
    let start = entry(&[("MESSAGE_ID", JOURNAL), ("_PID", "33")], 800);
    let up = entry(&[("MESSAGE_ID", UP), ("_PID", "1")], 790);
    let again = of_unit("new.service", FAILED, 795);
    let journal = before + &start + &again + &up;
    assert_eq!(titles(&report(&said(&[("units", journal.as_str())]))), ["unit new.service failed"]);
}

#[test]
fn nothing_that_a_container_writes_decides_what_is_advised() {
    let name = "x\u{1b}[31m; exec: rm -rf / {vmid}.service";
    let gathered =
        said(&[("units", of_unit(name, FAILED, 1).as_str()), ("log", "mail: bind: Address already in use")]);
    let with = report(&gathered);
    assert_eq!(with.flags.len(), 2, "{:?}", with.flags);
    for flag in &with.flags {
        let advice = Battery::of(&gathered.subject).probes.iter().flat_map(|probe| &probe.signs);
        assert!(advice.clone().any(|sign| sign.next == flag.next), "{}", flag.next);
        assert!(!flag.what.contains('\u{1b}'), "{}", flag.what);
    }
}

#[test]
fn the_worst_comes_first_and_a_crowd_is_counted() {
    let mut lines = String::new();
    for number in 0..12 {
        lines += &of_unit(&format!("u{number:02}.service"), FAILED, 1);
    }
    let disks =
        "overlay 100 97 3 100 1 /\ntmpfs 0 0 0 0 0 /none\n".replace("100 97 3", "100000000 97000000 3000000");
    let report = report(&said(&[("units", lines.as_str()), ("disks", disks.as_str())]));
    assert_eq!(titles(&report)[0], "/ is 97 % full");
    assert_eq!(report.flags.len(), 1 + 8 + 1, "{:?}", titles(&report));
    assert_eq!(titles(&report)[9], "4 more of unit_failed");
}

#[test]
fn busyboxs_df_is_read_too() {
    let disks = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda1 10000000 1000000 9000000 10% /\n\
                 inodes\nFilesystem Inodes Used Available Capacity Mounted on\n/dev/sda1 1000 990 10 99% /\n";
    assert_eq!(titles(&report(&said(&[("disks", disks)]))), ["/ has 99 % of its inodes used"]);
}

#[test]
fn figures_of_the_host_are_judged_by_the_batterys_limits() {
    let mut gathered = said(&[]);
    let mut figures = Figures::default();
    figures.memory.current = Some(1000);
    figures.memory.limit = Some(1000);
    figures.memory.oom_kill = Some(2);
    (figures.cpu.periods, figures.cpu.throttled) = (Some(100), Some(90));
    gathered.host = Ok((figures.clone(), figures.clone()));
    let before = report(&gathered);
    let titles = titles(&before);
    assert!(titles[0].contains("killed 2 of its processes"), "{titles:?}");
    assert!(titles[1..].iter().any(|title| title.contains("90 %")), "{titles:?}");
    assert!(titles.iter().any(|title| title.contains("memory is 100 % used")), "{titles:?}");
    // What a limit did that is there no more is no reason for anything now; how often it did stays to be seen.
    figures.cpu.limit = Some(f64::INFINITY);
    gathered.host = Ok((figures.clone(), figures));
    let after = report(&gathered);
    assert!(!self::titles(&after).iter().any(|title| title.contains("90 %")), "{after:?}");
}
