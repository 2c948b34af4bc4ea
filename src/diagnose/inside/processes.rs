//! What its processes look like in /proc.

use std::collections::BTreeMap;

use super::super::{Gathered, Page};

pub struct Process<'a> {
    pub pid: u32,
    parent: u32,
    pub name: &'a str,
    state: char,
}

/// A line of /proc/PID/stat: a name may hold anything, parentheses and blanks too.
pub fn parse(line: &str) -> Option<Process<'_>> {
    let (pid, rest) = line.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    let state = words.next()?.chars().next()?;
    Some(Process { pid: pid.parse().ok()?, parent: words.next()?.parse().ok()?, name, state })
}

fn all(gathered: &Gathered) -> Result<Vec<Process<'_>>, String> {
    let processes: Vec<_> = gathered.section("processes")?.lines().filter_map(parse).collect();
    if processes.is_empty() { Err("its /proc shows no process".into()) } else { Ok(processes) }
}

pub fn processes(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    page.fact(format!("{} processes", all(gathered)?.len()));
    Ok(())
}

pub fn zombies(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let all = all(gathered)?;
    let mut by_parent: BTreeMap<u32, usize> = BTreeMap::new();
    for process in all.iter().filter(|process| process.state == 'Z') {
        *by_parent.entry(process.parent).or_default() += 1;
    }
    let count: usize = by_parent.values().sum();
    page.fact(format!("{count} zombies"));
    if count as f64 >= page.limit("zombie_storm") {
        let most = by_parent.iter().max_by_key(|(_, count)| **count);
        let (parent, theirs) = most.map_or((0, 0), |(parent, count)| (*parent, *count));
        let name = all.iter().find(|process| process.pid == parent).map_or("?", |process| process.name);
        page.flag(
            "zombie_storm",
            format!("{count} processes are dead and not taken in by their parent"),
            format!("{theirs} of them are children of pid {parent} ({name})"),
        );
    }
    let stuck: Vec<_> = all.iter().filter(|process| process.state == 'D').collect();
    if stuck.len() as f64 >= page.limit("stuck") {
        let names: Vec<String> =
            stuck.iter().map(|process| format!("{} ({})", process.pid, process.name)).collect();
        page.flag("stuck", format!("{} processes wait without end", stuck.len()), names.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_name_may_hold_anything() {
        let process = parse("42 (a) Z 1 (b)) S 7 42 42 0").unwrap();
        assert_eq!((process.pid, process.name, process.state, process.parent), (42, "a) Z 1 (b)", 'S', 7));
        for none in ["", "x (y) S 1", "1 (y) S", "1 y S 1"] {
            assert!(parse(none).is_none(), "{none}");
        }
    }
}
