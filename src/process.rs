//! Which process a pid means.

/// When the process started, in clock ticks since boot: with the pid, an identity that a later process of the same
/// pid does not have. Field 22 of `/proc/<pid>/stat`; none when there is no such process.
pub fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_has_a_start_and_none_has_pid_zero() {
        assert!(super::start_time(std::process::id() as i32).is_some());
        assert_eq!(super::start_time(0), None);
    }
}
