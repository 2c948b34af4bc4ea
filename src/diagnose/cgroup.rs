//! What the host's kernel counts of a guest: the one evidence that no guest can forge.
//!
//! In: where cgroups are mounted, and a group's path there. Out: [`Figures`], each none where this kernel does not give
//! it. PVE is cgroup v2; nodes of release 8 can be booted with v1 controllers, so those names are read too. It must
//! never write there.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Bytes of one file: the longest is a line a device.
const MOST: u64 = 16 << 10;
pub const MOUNT: &str = "/sys/fs/cgroup";

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    pub memory: Memory,
    pub cpu: Cpu,
    pub cpu_pressure: Option<Pressure>,
    pub memory_pressure: Option<Pressure>,
    pub io_pressure: Option<Pressure>,
    /// Processes and threads, and how many there may be.
    pub pids: Option<u64>,
    pub pids_max: Option<u64>,
    /// Bytes read and written since it started.
    pub io: Option<(u64, u64)>,
}

/// Bytes, and events since the group was made, which is when the guest started.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    pub current: Option<u64>,
    pub limit: Option<u64>,
    /// Of `current`, what the kernel can take back at once.
    pub file: Option<u64>,
    pub oom_kill: Option<u64>,
    /// How often it stood at its limit.
    pub at_limit: Option<u64>,
    pub swap: Option<u64>,
    pub swap_limit: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cpu {
    /// CPUs that it may use at once; infinite where nothing limits it.
    pub limit: Option<f64>,
    /// Periods in which it ran under a limit, and in how many of them it was held back.
    pub periods: Option<u64>,
    pub throttled: Option<u64>,
    pub throttled_us: Option<u64>,
}

/// Shares of time, in percent, in which some task, or all of them, waited (PSI).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pressure {
    pub some_10: f64,
    pub some_60: f64,
    pub some_300: f64,
    pub full_60: f64,
}

/// The figures of `group` (`lxc/105`) now. An error names what is not there.
pub fn read(mount: &Path, group: &str) -> Result<Figures, String> {
    let places = Places::find(mount, group)
        .ok_or_else(|| format!("there is no cgroup {group} under {}: the guest does not run on this node, or is not placed as PVE places it", mount.display()))?;
    let mut figures = Figures {
        memory: places.memory(),
        cpu: places.cpu(),
        cpu_pressure: places.unified("cpu.pressure").and_then(|text| pressure(&text)),
        memory_pressure: places.unified("memory.pressure").and_then(|text| pressure(&text)),
        io_pressure: places.unified("io.pressure").and_then(|text| pressure(&text)),
        ..Figures::default()
    };
    (figures.pids, figures.pids_max) =
        (places.number("pids", "pids.current"), places.number("pids", "pids.max"));
    figures.io = places.unified("io.stat").map(|text| io_bytes(&text));
    Ok(figures)
}

/// Where a group's files are: one directory, or one for each v1 controller beside it.
struct Places<'a> {
    mount: &'a Path,
    group: &'a str,
    unified: PathBuf,
}

impl<'a> Places<'a> {
    fn find(mount: &'a Path, group: &'a str) -> Option<Self> {
        let unified = [mount.to_owned(), mount.join("unified")].into_iter().map(|root| root.join(group));
        let unified = unified.into_iter().find(|place| place.join("cgroup.procs").exists())?;
        Some(Self { mount, group, unified })
    }

    fn unified(&self, file: &str) -> Option<String> {
        text(&self.unified.join(file)).ok()
    }

    /// Of a v1 hierarchy of this controller.
    fn v1(&self, controller: &str, file: &str) -> Option<String> {
        text(&self.mount.join(controller).join(self.group).join(file)).ok()
    }

    fn number(&self, controller: &str, file: &str) -> Option<u64> {
        self.unified(file).or_else(|| self.v1(controller, file))?.trim().parse().ok()
    }

    fn memory(&self) -> Memory {
        if let Some(current) = self.unified("memory.current") {
            let events = self.unified("memory.events").unwrap_or_default();
            let stat = self.unified("memory.stat").unwrap_or_default();
            let limit = |file: &str| self.unified(file)?.trim().parse().ok();
            return Memory {
                current: current.trim().parse().ok(),
                limit: limit("memory.max"),
                file: keyed(&stat, "file"),
                oom_kill: keyed(&events, "oom_kill"),
                at_limit: keyed(&events, "max"),
                swap: limit("memory.swap.current"),
                swap_limit: limit("memory.swap.max"),
            };
        }
        let number = |file: &str| self.v1("memory", file)?.trim().parse::<u64>().ok();
        let control = self.v1("memory", "memory.oom_control").unwrap_or_default();
        let stat = self.v1("memory", "memory.stat").unwrap_or_default();
        Memory {
            current: number("memory.usage_in_bytes"),
            // v1 writes a number that no machine has for none.
            limit: number("memory.limit_in_bytes").filter(|limit| *limit < 1 << 60),
            file: keyed(&stat, "total_cache"),
            oom_kill: keyed(&control, "oom_kill"),
            at_limit: number("memory.failcnt"),
            swap: None,
            swap_limit: None,
        }
    }

    fn cpu_limit(&self) -> Option<f64> {
        match self.unified("cpu.max") {
            Some(text) => text.trim().split_once(' ').and_then(|(of, period)| quota(of, period)),
            None => {
                quota(self.v1("cpu", "cpu.cfs_quota_us")?.trim(), self.v1("cpu", "cpu.cfs_period_us")?.trim())
            }
        }
    }

    fn cpu(&self) -> Cpu {
        let unified = self.unified("cpu.stat").filter(|stat| keyed(stat, "nr_periods").is_some());
        let stat = unified.or_else(|| self.v1("cpu", "cpu.stat")).unwrap_or_default();
        Cpu {
            limit: self.cpu_limit(),
            periods: keyed(&stat, "nr_periods"),
            throttled: keyed(&stat, "nr_throttled"),
            throttled_us: keyed(&stat, "throttled_usec")
                .or_else(|| keyed(&stat, "throttled_time").map(|ns| ns / 1000)),
        }
    }
}

fn quota(quota: &str, period: &str) -> Option<f64> {
    // v2 has a word for none, v1 a number below zero.
    let quota: f64 = if quota == "max" { f64::INFINITY } else { quota.parse().ok()? };
    let period: f64 = period.parse().ok().filter(|period| *period > 0.0)?;
    Some(if quota < 0.0 { f64::INFINITY } else { quota / period })
}

fn text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The number after `key` on a line of its own.
fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

fn pressure(text: &str) -> Option<Pressure> {
    let of = |kind: &str, name: &str| -> Option<f64> {
        let line = text.lines().find(|line| line.starts_with(kind))?;
        line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
    };
    Some(Pressure {
        some_10: of("some", "avg10")?,
        some_60: of("some", "avg60")?,
        some_300: of("some", "avg300")?,
        full_60: of("full", "avg60").unwrap_or_default(),
    })
}

fn io_bytes(text: &str) -> (u64, u64) {
    let sum = |name: &str| {
        let words = text.split_whitespace();
        words.filter_map(|word| word.strip_prefix(name)?.parse::<u64>().ok()).fold(0, u64::saturating_add)
    };
    (sum("rbytes="), sum("wbytes="))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn a_container_under_v2_is_read() {
        let pressure = "some avg10=1.00 avg60=2.50 avg300=3.00 total=4\nfull avg10=0.00 avg60=0.25 avg300=0.00 total=0\n";
        let dir = tree(&[
            ("lxc/105/cgroup.procs", ""),
            ("lxc/105/memory.current", "1000\n"),
            ("lxc/105/memory.max", "4096\n"),
            ("lxc/105/memory.swap.max", "max\n"),
            ("lxc/105/memory.stat", "anon 10\nfile 400\nfile_mapped 1\n"),
            ("lxc/105/memory.events", "low 0\nhigh 0\nmax 17\noom 3\noom_kill 2\noom_group_kill 0\n"),
            ("lxc/105/cpu.stat", "usage_usec 5\nnr_periods 100\nnr_throttled 40\nthrottled_usec 7000\n"),
            ("lxc/105/cpu.max", "50000 100000\n"),
            ("lxc/105/cpu.pressure", pressure),
            ("lxc/105/io.stat", "8:0 rbytes=10 wbytes=20 rios=1\n8:16 rbytes=1 wbytes=2\n"),
        ]);
        let figures = read(dir.path(), "lxc/105").unwrap();
        assert_eq!(figures.memory.oom_kill, Some(2));
        assert_eq!(
            (figures.memory.limit, figures.memory.swap_limit, figures.memory.file),
            (Some(4096), None, Some(400))
        );
        let cpu = Cpu { limit: Some(0.5), periods: Some(100), throttled: Some(40), throttled_us: Some(7000) };
        assert_eq!((figures.cpu, figures.io), (cpu, Some((11, 22))));
        let pressure = figures.cpu_pressure.unwrap();
        assert_eq!((pressure.some_60, pressure.full_60), (2.5, 0.25));
        assert!(figures.io_pressure.is_none() && figures.pids.is_none());
    }

    #[test]
    fn v1_controllers_beside_it_are_read_by_their_own_names() {
        let dir = tree(&[
            ("unified/lxc/105/cgroup.procs", ""),
            ("memory/lxc/105/memory.usage_in_bytes", "1000\n"),
            ("memory/lxc/105/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/lxc/105/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"),
            ("cpu/lxc/105/cpu.cfs_quota_us", "-1\n"),
            ("cpu/lxc/105/cpu.cfs_period_us", "100000\n"),
            ("cpu/lxc/105/cpu.stat", "nr_periods 10\nnr_throttled 5\nthrottled_time 2000000\n"),
        ]);
        let figures = read(dir.path(), "lxc/105").unwrap();
        assert_eq!((figures.memory.limit, figures.memory.oom_kill), (None, Some(4)));
        assert_eq!((figures.cpu.throttled_us, figures.cpu.limit), (Some(2000), Some(f64::INFINITY)));
    }

    #[test]
    fn a_guest_that_is_not_here_is_no_guest_without_troubles() {
        let dir = tree(&[]);
        assert!(read(dir.path(), "lxc/105").unwrap_err().contains("no cgroup lxc/105"));
    }
}
