//! A container of a test's own, made as hostile as the test wants it.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

use crate::common::{in_lab, init_of, lab, lxcpath};

/// An init that does nothing but stay and take in orphans: enough for most attacks, and up at once.
const IDLE: &str = "#!/bin/sh\ntrap : TERM\nwhile :; do sleep 1000 & wait; done\n";

/// Containers that tests may make: no others use these numbers.
const IDS: std::ops::RangeInclusive<u32> = 900..=979;

/// What a container is made of.
pub struct Recipe {
    layout: &'static str,
    files: tempfile::TempDir,
    init: Option<&'static str>,
    settings: String,
    rules: Option<&'static str>,
}

/// A running container, which goes with this value.
pub struct Guest {
    pub id: u32,
    pub layout: &'static str,
    /// Held for as long as the number is taken.
    _number: Flock<File>,
}

impl Recipe {
    /// A container whose init only stays.
    pub fn new() -> Self {
        let files = tempfile::tempdir().expect("a directory");
        fs::set_permissions(files.path(), PermissionsExt::from_mode(0o755)).expect("mode");
        let idle =
            Self { layout: "v2", files, init: Some("/opt/init"), settings: String::new(), rules: None };
        idle.file("/opt/init", 0o755, IDLE)
    }

    /// With its own systemd.
    pub fn booted(mut self) -> Self {
        self.init = None;
        self
    }

    /// With that script in place of the idle init.
    pub fn init(self, script: impl AsRef<[u8]>) -> Self {
        self.file("/opt/init", 0o755, script)
    }

    pub fn in_layout(mut self, layout: &'static str) -> Self {
        self.layout = layout;
        self
    }

    /// A line for the container's lxc configuration. It holds from a second start on, which this causes.
    pub fn setting(mut self, line: &str) -> Self {
        self.settings.push_str(line);
        self.settings.push('\n');
        self
    }

    /// With that seccomp profile, in lxc's own language.
    pub fn rules(mut self, rules: &'static str) -> Self {
        self.rules = Some(rules);
        self
    }

    pub fn file(self, path: &str, mode: u32, content: impl AsRef<[u8]>) -> Self {
        let path = self.place(path);
        fs::write(&path, content).expect("write");
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("mode");
        self
    }

    fn place(&self, path: &str) -> PathBuf {
        let place = self.files.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().expect("a parent")).expect("mkdir");
        place
    }

    pub fn start(self) -> Guest {
        let (id, number) = free_number();
        let guest = Guest { id, layout: self.layout, _number: number };
        guest.lab("destroy", &[]);
        let files = self.files.path().to_str().expect("path");
        let mut arguments = vec![files];
        arguments.extend(self.init);
        guest.lab("hostile", &arguments);
        if !self.settings.is_empty() || self.rules.is_some() {
            let mut config = fs::read_to_string(guest.dir().join("config")).expect("config");
            config.push_str(&self.settings);
            if let Some(rules) = self.rules {
                let profile = guest.dir().join("hostile.seccomp");
                fs::write(&profile, rules).expect("profile");
                config.push_str(&format!("lxc.seccomp.profile = {}\n", profile.display()));
            }
            fs::write(guest.dir().join("config"), config).expect("config");
            guest.stop();
            guest.restart();
        }
        if self.init.is_none() {
            guest.lab_plain(&["wait", "--cgroup", guest.layout, &guest.id.to_string()]);
        }
        guest
    }
}

impl Guest {
    pub fn idle() -> Self {
        Recipe::new().start()
    }

    /// The host's pid of its init.
    pub fn init(&self) -> i32 {
        init_of(self.layout, self.id)
    }

    pub fn dir(&self) -> PathBuf {
        lxcpath(self.layout).join(self.id.to_string())
    }

    /// Kills it, as `lxc-stop -k` does, and waits until it is down.
    pub fn stop(&self) {
        self.lxc("lxc-stop", &["-k"]);
    }

    pub fn is_down(&self) -> bool {
        self.lxc("lxc-info", &["-sH"]).trim() == "STOPPED"
    }

    /// lxc says that it is down before its monitor has removed its cgroups, and starts nothing beside them: that is
    /// waited for.
    pub fn restart(&self) {
        let (path, id) = (lxcpath(self.layout), self.id.to_string());
        let log = self.dir().join("restart.log");
        let start = ["lxc-start", "-P", path.to_str().expect("path"), "-n", &id, "-d"];
        let say = ["-o", log.to_str().expect("path"), "-l", "DEBUG"];
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let _ = fs::remove_file(&log);
            let lab = Command::new(lab())
                .args(["run", "--cgroup", self.layout, "--"])
                .args(start)
                .args(say)
                .output();
            let lab = lab.expect("run the lab");
            if lab.status.success() {
                return;
            }
            let words = fs::read_to_string(&log).unwrap_or_default();
            assert!(Instant::now() < deadline, "it does not start again: {lab:?}\n{words}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// One of lxc's own programs on this container.
    pub fn lxc(&self, program: &str, arguments: &[&str]) -> String {
        let (path, id) = (lxcpath(self.layout), self.id.to_string());
        let mut command = vec![program, "-P", path.to_str().expect("path"), "-n", &id];
        command.extend(arguments);
        in_lab(self.layout, &command)
    }

    /// A script run in it by lxc's own way, beside Provost.
    pub fn run(&self, script: &str) -> String {
        self.lxc("lxc-attach", &["--clear-env", "--", "/bin/sh", "-c", script])
    }

    /// A file of it, as the host sees it through its init's root.
    pub fn path(&self, path: &str) -> PathBuf {
        Path::new("/proc").join(self.init().to_string()).join("root").join(path.trim_start_matches('/'))
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    fn lab(&self, verb: &str, arguments: &[&str]) {
        let id = self.id.to_string();
        let mut words = vec![verb, "--cgroup", self.layout, &id];
        words.extend(arguments);
        self.lab_plain(&words);
    }

    fn lab_plain(&self, words: &[&str]) {
        let output = Command::new(lab()).args(words).stdin(Stdio::null()).output().expect("run the lab");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let id = self.id.to_string();
        let _ = Command::new(lab()).args(["destroy", "--cgroup", self.layout, &id]).status();
    }
}

/// A number that no other test, of this run or of another one beside it, has taken.
fn free_number() -> (u32, Flock<File>) {
    for id in IDS {
        let file = File::create(format!("/run/lock/provost-hostile-{id}")).expect("lock file");
        if let Ok(lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            return (id, lock);
        }
    }
    panic!("every number of {IDS:?} is taken");
}
