//! File systems, and logs that fill them.

use super::super::host::{percent, size};
use super::super::{Gathered, Page};

/// A file system as `df` gives it, in bytes.
struct Disk<'a> {
    at: &'a str,
    used: u64,
    free: u64,
    inodes: u64,
    inodes_used: u64,
}

impl Disk<'_> {
    /// Of what others than root may use.
    fn share(&self) -> f64 {
        percent(self.used, self.used.saturating_add(self.free))
    }
}

/// The kernel's own, and images that are full by their nature.
const NO_DISKS: &[&str] = &["devtmpfs", "squashfs", "iso9660", "efivarfs", "none"];
/// Smaller ones are no place for anybody's files.
const SMALLEST: u64 = 1 << 20;
const MOST_SHOWN: usize = 6;

fn parse(text: &str) -> Vec<Disk<'_>> {
    let mut disks: Vec<Disk<'_>> = Vec::new();
    let mut inodes = false;
    for line in text.lines() {
        inodes |= line == "inodes";
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
        match words[..] {
            [_, _, _, _, _, _, at] if at.starts_with('/') => {
                let (Some(used), Some(free)) = (number(2), number(3)) else { continue };
                if NO_DISKS.contains(&words[0]) {
                    continue;
                }
                let (total, taken) = (number(4).unwrap_or_default(), number(5).unwrap_or_default());
                let (used, free) = (used.saturating_mul(1024), free.saturating_mul(1024));
                disks.push(Disk { at, used, free, inodes: total, inodes_used: taken });
            }
            // As POSIX has it: first the room, then the same list with inodes.
            [source, _, _, _, _, at] if at.starts_with('/') && !NO_DISKS.contains(&source) => {
                let (Some(used), Some(free)) = (number(2), number(3)) else { continue };
                match disks.iter_mut().find(|disk| inodes && disk.at == at) {
                    Some(disk) => (disk.inodes, disk.inodes_used) = (used.saturating_add(free), used),
                    None if inodes => {}
                    None => {
                        let (used, free) = (used.saturating_mul(1024), free.saturating_mul(1024));
                        disks.push(Disk { at, used, free, inodes: 0, inodes_used: 0 });
                    }
                }
            }
            _ => {}
        }
    }
    disks.retain(|disk| disk.used.saturating_add(disk.free) >= SMALLEST && disk.at != "/dev");
    disks
}

pub fn disks(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let disks = parse(gathered.section("disks")?);
    if disks.is_empty() {
        return Err("its `df` lists no file system".into());
    }
    for disk in disks.iter().take(MOST_SHOWN) {
        page.fact(format!("{} {:.0} %", disk.at, disk.share()));
    }
    for disk in &disks {
        let share = disk.share();
        let what = format!("{} is {share:.0} % full", disk.at);
        let evidence = format!("{} used, {} free, by its df", size(disk.used), size(disk.free));
        if share >= page.limit("disk_full") {
            page.flag("disk_full", what, evidence);
        } else if share >= page.limit("disk_filling") {
            page.flag("disk_filling", what, evidence);
        }
        let share = percent(disk.inodes_used, disk.inodes);
        if share >= page.limit("inodes_full") {
            let evidence = format!("{} of {} inodes used, by its df", disk.inodes_used, disk.inodes);
            page.flag("inodes_full", format!("{} has {share:.0} % of its inodes used", disk.at), evidence);
        }
    }
    Ok(())
}

/// A log that was written to within this many seconds still grows.
const LATELY: i64 = 600;
/// A log of this size is one too many on a disk of any size.
const HUGE: u64 = 4 << 30;

pub fn logs(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let disks = gathered.section("disks").map(parse).unwrap_or_default();
    let mut logs: Vec<(u64, i64, &str)> = gathered
        .section("logs")?
        .lines()
        .filter_map(|line| {
            let (size, rest) = line.split_once(' ')?;
            let (time, name) = rest.split_once(' ')?;
            Some((size.parse().ok()?, time.parse().ok()?, name)).filter(|_| name.starts_with('/'))
        })
        .collect();
    logs.sort_by_key(|(size, _, _)| std::cmp::Reverse(*size));
    page.fact(format!("{} logs over 4 MiB", logs.len()));
    for (bytes, time, name) in logs {
        let within = |disk: &&Disk<'_>| {
            disk.at == "/" || name.strip_prefix(disk.at).is_some_and(|rest| rest.starts_with('/'))
        };
        let on = disks.iter().filter(within).max_by_key(|disk| disk.at.len());
        let share = on.map_or(0.0, |disk| percent(bytes, disk.used.saturating_add(disk.free)));
        if share < page.limit("log_fills") && bytes < HUGE {
            continue;
        }
        let ago = page.now.saturating_sub(time);
        let grows = if ago < LATELY { "still written to" } else { "not written to lately" };
        let of = on.map_or(String::new(), |disk| format!(", {share:.0} % of {}", disk.at));
        page.flag(
            "log_fills",
            format!("log {name} has {}{of}", size(bytes)),
            format!("{bytes} bytes, last written {ago} s ago: {grows}"),
        );
    }
    Ok(())
}
