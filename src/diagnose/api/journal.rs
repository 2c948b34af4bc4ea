//! What the node's kernel said lately, in its journal.

use super::super::{Gathered, Page};
use super::rows;
use crate::text::quoted;

/// Characters of one line.
const MOST_SAID: usize = 240;

/// Words of the kernel's, in lower case, and what they are a sign of. The first that fits counts.
const SAID: &[(&str, &[&str])] = &[
    ("node_oom", &["out of memory: killed process", "invoked oom-killer"]),
    (
        "disk_errors",
        &[
            "i/o error, dev",
            "critical medium error",
            "buffer i/o error",
            "ext4-fs error",
            "xfs metadata i/o error",
            "btrfs error",
            "failed command: read",
            "failed command: write",
            "nvme nvme0: i/o",
        ],
    ),
    (
        "kernel_errors",
        &["hardware error", "machine check", "kernel panic", "bug: ", "soft lockup", "blocked for more than"],
    ),
];

pub fn node(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let lines = rows(gathered.answer("node_journal")?)?;
    // Others than the kernel may say the same words, and mean what a guest did.
    let kernel: Vec<&str> = lines.iter().filter_map(|line| by_kernel(line.as_str()?)).collect();
    page.fact(format!("{} lines of the kernel's among the last {}", kernel.len(), lines.len()));
    for (sign, words) in SAID {
        let says = |line: &&&str| {
            let line = line.to_lowercase();
            // A guest's own limit is the guest's trouble, and `diagnose` of it says so.
            let of_guest = *sign == "node_oom" && line.contains("memory cgroup");
            !of_guest && words.iter().any(|words| line.contains(words))
        };
        let found: Vec<&&str> = kernel.iter().filter(says).collect();
        if let Some(last) = found.last() {
            let what = match *sign {
                "node_oom" => "the kernel killed for want of memory",
                "disk_errors" => "the kernel could not read or write a disk",
                _ => "the kernel reports a fault",
            };
            page.flag(sign, what, format!("{} lines; the last: {}", found.len(), quoted(last, MOST_SAID)));
        }
    }
    Ok(())
}

/// `Nov 21 21:27:04 pve1 kernel: …`: what follows, where the kernel said it.
fn by_kernel(line: &str) -> Option<&str> {
    let (head, said) = line.split_once(" kernel: ")?;
    // Date, time and name of the node, and nothing that another wrote.
    (head.split_whitespace().count() <= 4 && !head.contains("]:")).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::by_kernel;

    #[test]
    fn only_the_kernel_speaks_for_the_kernel() {
        assert_eq!(by_kernel("Nov 21 21:27:04 pve1 kernel: I/O error, dev sda"), Some("I/O error, dev sda"));
        assert_eq!(by_kernel("2026-11-21T21:27:04+0000 pve1 kernel: x"), Some("x"));
        for other in ["Nov 21 21:27:04 pve1 app[1]: said kernel: I/O error, dev sda", "kernel", ""] {
            assert_eq!(by_kernel(other), None, "{other}");
        }
    }
}
