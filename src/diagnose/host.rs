//! What the host's own figures of a guest's cgroup tell.

use super::cgroup::{Cpu, Figures, Pressure};
use super::{Gathered, Page, Reader};

pub const READERS: &[(&str, Reader)] = &[
    ("oom", oom),
    ("memory", memory),
    ("throttling", throttling),
    ("pressure", pressure),
    ("io", io),
    ("pids", pids),
];

fn figures(gathered: &Gathered) -> Result<&(Figures, Figures), String> {
    gathered.host.as_ref().map_err(Clone::clone)
}

fn oom(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let (_, now) = figures(gathered)?;
    let kills =
        now.memory.oom_kill.ok_or("this kernel counts no out-of-memory kills for the guest's cgroup")?;
    page.fact(format!("{kills} out-of-memory kills since the guest started"));
    if kills as f64 >= page.limit("oom_kill") {
        let limit =
            now.memory.limit.map_or("no limit".to_owned(), |limit| format!("a limit of {}", size(limit)));
        let at = now.memory.at_limit.unwrap_or_default();
        page.flag(
            "oom_kill",
            format!("the kernel killed {kills} of its processes for want of memory"),
            format!(
                "{kills} kills since the guest started, by the host's count; {limit}, reached {at} times"
            ),
        );
    }
    Ok(())
}

fn memory(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let (_, now) = figures(gathered)?;
    let current = now.memory.current.ok_or("this kernel counts no memory for the guest's cgroup")?;
    let Some(limit) = now.memory.limit.filter(|limit| *limit > 0) else {
        page.fact(format!("{} used, no limit", size(current)));
        return Ok(());
    };
    // What is only cached goes when it is wanted.
    let held = current.saturating_sub(now.memory.file.unwrap_or_default());
    let share = percent(held, limit);
    page.fact(format!("{} of {} held, {} with cache", size(held), size(limit), size(current)));
    if share >= page.limit("memory_full") {
        let at = now.memory.at_limit.unwrap_or_default();
        let evidence = format!(
            "{} of {} held, beside {} of cache; {at} times at the limit",
            size(held),
            size(limit),
            size(current - held)
        );
        page.flag("memory_full", format!("memory is {share:.0} % used"), evidence);
    }
    if let (Some(swap), Some(limit)) = (now.memory.swap, now.memory.swap_limit.filter(|limit| *limit > 0)) {
        let share = percent(swap, limit);
        if share >= page.limit("swap_full") {
            let evidence = format!("{} of {} of swap", size(swap), size(limit));
            page.flag("swap_full", format!("swap is {share:.0} % used"), evidence);
        }
    }
    Ok(())
}

/// Periods below which a share says nothing.
const ENOUGH: u64 = 10;

fn throttling(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let (before, now) = figures(gathered)?;
    let Cpu { periods: Some(periods), throttled: Some(throttled), throttled_us, limit } = now.cpu else {
        return Err("this kernel counts no throttling for the guest's cgroup".into());
    };
    let share = if periods < ENOUGH { 0.0 } else { percent(throttled, periods) };
    let lately = throttled.saturating_sub(before.cpu.throttled.unwrap_or(throttled));
    let is_lifted = limit == Some(f64::INFINITY);
    let of = match limit {
        Some(_) if is_lifted => "no CPU limit now; ".to_owned(),
        Some(limit) => format!("a limit of {limit:.2} CPUs; "),
        None => String::new(),
    };
    page.fact(format!("{of}held back in {throttled} of {periods} periods"));
    // The count is of all the time since the guest started: of a limit that has been lifted it says nothing any more.
    if !is_lifted && share >= page.limit("throttled") {
        let lost = throttled_us.unwrap_or_default() as f64 / 1e6;
        page.flag(
            "throttled",
            format!("its CPU limit holds it back in {share:.0} % of the time that it wants to run"),
            format!(
                "{of}held back in {throttled} of {periods} periods since the guest started, {lost:.1} s in all, {lately} times while this was looked at"
            ),
        );
    }
    Ok(())
}

fn pressure(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let (_, now) = figures(gathered)?;
    let kinds: [(&'static str, &str, Option<Pressure>); 3] = [
        ("cpu_pressure", "a CPU", now.cpu_pressure),
        ("memory_pressure", "memory", now.memory_pressure),
        ("io_pressure", "disks", now.io_pressure),
    ];
    if kinds.iter().all(|(_, _, pressure)| pressure.is_none()) {
        return Err("this kernel gives no pressure figures (PSI) for the guest's cgroup".into());
    }
    for (sign, what, pressure) in kinds {
        let Some(Pressure { some_10, some_60, some_300, full_60 }) = pressure else {
            page.cannot_tell(format!("this kernel gives no {sign} for the guest's cgroup"));
            continue;
        };
        page.fact(format!("waiting for {what} {some_60:.0} %"));
        if some_60 >= page.limit(sign) {
            let evidence = format!(
                "some task waited {some_10} % of the last 10 s, {some_60} % of 60 s, {some_300} % of 300 s; all of them {full_60} % of 60 s"
            );
            page.flag(sign, format!("its tasks wait for {what} {some_60:.0} % of the time"), evidence);
        }
    }
    Ok(())
}

/// What it moves to and from disks; pressure says whether that hurts.
fn io(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let (before, now) = figures(gathered)?;
    let (read, written) = now.io.ok_or("this kernel counts no disk traffic for the guest's cgroup")?;
    let lately = |now: u64, before: Option<u64>| size(now.saturating_sub(before.unwrap_or(now)));
    page.fact(format!(
        "{} read and {} written since it started; {} and {} while this was looked at",
        size(read),
        size(written),
        lately(read, before.io.map(|io| io.0)),
        lately(written, before.io.map(|io| io.1)),
    ));
    Ok(())
}

fn pids(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let (_, now) = figures(gathered)?;
    let Some(count) = now.pids else {
        return Err("this kernel counts no processes for the guest's cgroup".into());
    };
    page.fact(format!("{count} tasks"));
    if let Some(most) = now.pids_max.filter(|most| *most > 0) {
        let share = percent(count, most);
        if share >= page.limit("pids_full") {
            let evidence = format!("{count} of {most} tasks");
            page.flag("pids_full", format!("{share:.0} % of the tasks that it may have exist"), evidence);
        }
    }
    Ok(())
}

pub fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// Bytes for a person.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.0} KiB", bytes as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.0} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}
