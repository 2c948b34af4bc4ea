//! What a process holds and takes, as the kernel counts it.

use std::fs;
use std::time::Duration;

/// KiB of a field of `/proc/<pid>/status`.
fn kib(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.and_then(|value| value.trim().strip_suffix(" kB")?.parse().ok()).expect("a field in kB")
}

pub fn resident(pid: u32) -> u64 {
    kib(pid, "VmRSS")
}

/// The most that it held since [`forget_peak`].
pub fn peak(pid: u32) -> u64 {
    kib(pid, "VmHWM")
}

pub fn forget_peak(pid: u32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("reset the peak");
}

/// How long the main thread of a process has run so far.
pub fn busy(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("the process lives");
    let nanoseconds = stat.split(' ').next().and_then(|first| first.parse().ok()).expect("nanoseconds");
    Duration::from_nanos(nanoseconds)
}

pub fn mib(kib: u64) -> String {
    format!("{:.2}", kib as f64 / 1024.0)
}
