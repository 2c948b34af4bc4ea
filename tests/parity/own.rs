//! A container of one test's own, gone with the value: for what no container of the lab has.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::common::{lab, lxcpath};
use crate::place::Place;

pub struct Own {
    pub place: Place,
}

impl Own {
    /// An unprivileged container whose init only sleeps, as in an image without systemd, with these files laid over its
    /// own, and these lines at the end of its configuration.
    pub fn start(files: &[(&str, &str)], settings: &str) -> Self {
        // The layout must be up, which the plain container tells.
        let Place { layout, .. } = Place::find("v2", 101).expect("there is always a v2 layout");
        let dir = tempfile::tempdir().expect("a directory");
        for (path, content) in files {
            let file = dir.path().join(path);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(file, content).expect("a file");
        }
        let own = Self { place: Place { layout, guest: unused() } };
        let made =
            own.lab(&["hostile", &own.name(), dir.path().to_str().expect("text"), "/bin/sleep infinity"]);
        assert!(made, "no container of the test's own");
        if !settings.is_empty() {
            own.restart_with(settings);
        }
        own
    }

    fn restart_with(&self, settings: &str) {
        let config = lxcpath(self.place.layout).join(self.name()).join("config");
        let text = fs::read_to_string(&config).expect("the configuration");
        fs::write(&config, text + settings).expect("the configuration");
        for (program, options) in [("lxc-stop", &["-k"][..]), ("lxc-start", &["-d"])] {
            let done = self.place.lxc(program).args(options).stdin(Stdio::null()).status().expect("run it");
            assert!(done.success(), "{program}: {done}");
        }
    }

    fn name(&self) -> String {
        self.place.guest.to_string()
    }

    fn lab(&self, arguments: &[&str]) -> bool {
        let mut lab = Command::new(lab());
        lab.arg(arguments[0])
            .args(["--cgroup", self.place.layout])
            .args(&arguments[1..])
            .stdin(Stdio::null());
        lab.status().expect("run tests/lab/lab").success()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.lab(&["destroy", &self.name()]);
    }
}

/// A number that no other test's container has.
fn unused() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    700_000 + std::process::id() % 9_999 * 10 + NEXT.fetch_add(1, Ordering::Relaxed)
}
