//! What the host limits a container by.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::common::init_of;
use crate::guest::Guest;

/// The cgroup that limits a container's processes. Where the machine's v2 has no controllers, one of v1's with PVE's name for
/// the container, which is moved there; it is removed again once the container has gone.
pub struct Group {
    place: PathBuf,
    ours: bool,
}

impl Group {
    pub fn of(controller: &str, guest: &Guest) -> Self {
        let (mount, group) = (Path::new("/sys/fs/cgroup"), format!("lxc/{}", guest.id));
        if !mount.join(controller).join("cgroup.procs").exists() {
            return Self { place: mount.join(group), ours: false };
        }
        let place = mount.join(controller).join(group);
        fs::create_dir_all(&place).expect("a group");
        let group = Self { place, ours: true };
        group.add(&init_of(guest.layout, guest.id).to_string());
        group
    }

    /// The first of these names that the kernel has.
    pub fn set(&self, values: &[(&str, &str)]) {
        let found = values.iter().find(|(file, _)| self.place.join(file).exists());
        let (file, value) = found.expect("a file");
        fs::write(self.place.join(file), value).expect("a limit");
    }

    pub fn add(&self, pid: &str) {
        if self.ours {
            fs::write(self.place.join("cgroup.procs"), pid).expect("moved");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Whoever was in it is on the way out: no event tells when a group of v1 has been left.
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.ours && fs::remove_dir(&self.place).is_err() && Instant::now() < deadline {
            std::thread::yield_now();
        }
    }
}

/// The pid, as the host has it, of the process whose command line holds these words.
pub fn pid_of(words: &str) -> Option<String> {
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        (line.starts_with("python3") && line.contains(words)).then_some(name)
    })
}
