//! Numbers that are of the right type and still mean nothing, or more than a node has.

use super::Config;

/// Seconds in a week: a command that takes longer is a service.
const WEEK: u64 = 7 * 24 * 3600;
/// Sessions that the descriptors of the unit are enough for.
const MOST_SESSIONS: u64 = 7000;
/// Commands at once that provost-execd takes.
const MOST_PARALLEL: u64 = 1024;
/// Bytes that the output of all commands at once may come to.
const MOST_OUTPUT: u64 = 512 << 20;
/// Bytes of a file in one message: in base64 it is a third more, and has to fit a session's line.
const MOST_FILE: u64 = 32 << 20;
const MOST_KEPT: u64 = 1 << 40;

/// A key, what it is, the least and the most that it may be, and why.
type Range = (&'static str, u64, u64, u64, &'static str);

/// The first number that is out of its range, with the range.
pub(super) fn outside(config: &Config) -> Option<String> {
    let (key, value, least, most, why) =
        ranges(config).into_iter().find(|(_, value, least, most, _)| !(least..=most).contains(&value))?;
    Some(format!("{key} is {value}, and must be {least} to {most}{why}"))
}

/// Every number that has a range; where one limits another, as the configuration has that.
pub(super) fn ranges(config: &Config) -> Vec<Range> {
    let (listen, exec) = (&config.listen, &config.exec);
    let (sessions, parallel) = (listen.max_sessions as u64, exec.max_parallel as u64);
    let each = |each: Option<usize>, all: u64| each.map_or(all, |each| each as u64);
    vec![
        ("[listen] max_sessions", sessions, 1, MOST_SESSIONS, ""),
        (
            "[listen] max_sessions_per_user",
            each(listen.max_sessions_per_user, sessions),
            1,
            sessions,
            ", which is max_sessions",
        ),
        // The last one means "any".
        ("[listen] vsock", listen.vsock.unwrap_or(1).into(), 1, (u32::MAX - 1).into(), ""),
        ("[exec] max_timeout_s", exec.max_timeout_s.into(), 1, WEEK, ", which is a week"),
        ("[exec] max_parallel", parallel, 1, MOST_PARALLEL, ""),
        (
            "[exec] max_parallel_per_user",
            each(exec.max_parallel_per_user, parallel),
            1,
            parallel,
            ", which is max_parallel",
        ),
        (
            "[exec] max_output",
            exec.max_output as u64,
            1024,
            MOST_OUTPUT / parallel.max(1),
            ", so that the output of max_parallel commands is at most 512 MiB",
        ),
        ("[exec] max_file", exec.max_file as u64, 1024, MOST_FILE, ", which is 32 MiB"),
        ("[exec] keep_replaced", exec.keep_replaced, 0, MOST_KEPT, ", which is a tebibyte"),
    ]
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    #[test]
    fn numbers_that_mean_nothing_are_refused_with_their_range() {
        for (text, says) in [
            ("[listen]\nmax_sessions=0", "1 to 7000"),
            ("[listen]\nmax_sessions=10\nmax_sessions_per_user=11", "1 to 10, which is max_sessions"),
            ("[listen]\nmax_sessions_per_user=0", "max_sessions_per_user is 0"),
            ("[exec]\nmax_timeout_s=0", "1 to 604800"),
            ("[exec]\nmax_timeout_s=4000000000", "which is a week"),
            ("[exec]\nmax_parallel=0", "1 to 1024"),
            ("[exec]\nmax_parallel=1025", "1 to 1024"),
            ("[exec]\nmax_parallel_per_user=0", "max_parallel_per_user is 0"),
            ("[exec]\nmax_output=0", "1024 to 4194304"),
            ("[exec]\nmax_output=4194305", "512 MiB"),
            ("[exec]\nmax_file=33554433", "1024 to 33554432"),
            ("[exec]\nkeep_replaced=1099511627777", "a tebibyte"),
        ] {
            let message = parse(std::path::Path::new("/x"), text).expect_err(text).to_string();
            assert!(message.starts_with("/x: line ") && message.contains(says), "{text}: {message}");
        }
        let most = "[exec]\nmax_output=4194304\nmax_timeout_s=604800\nmax_parallel_per_user=128";
        assert!(parse(std::path::Path::new("x"), most).is_ok());
    }
}
