//! Which process a pid means.

/// When the process started, in clock ticks since boot: with the pid, an identity that a later process of the same
/// pid does not have. None when there is no such process.
pub fn start_time(pid: i32) -> Option<u64> {
    stat_field(pid, 22)
}

/// Whether the process has ended, or is on its way there. The init of a pid namespace may be for a while: it waits for
/// every other process of it.
pub fn is_ending(pid: i32) -> bool {
    /// The kernel's PF_EXITING.
    const EXITING: u64 = 0x4;
    stat_field(pid, 9).is_none_or(|flags| flags & EXITING != 0)
}

/// A number of `/proc/<pid>/stat`, by the field's number in proc(5).
fn stat_field(pid: i32, field: usize) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, field 2, stands in brackets and may hold anything.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(field - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_has_a_start_and_none_has_pid_zero() {
        assert!(super::start_time(std::process::id() as i32).is_some());
        assert_eq!(super::start_time(0), None);
        assert!(super::is_ending(0) && !super::is_ending(std::process::id() as i32));
    }
}
