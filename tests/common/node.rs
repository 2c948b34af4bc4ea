//! Both daemons from the build tree, as on a node: `provost-execd` as root, `provostd` as an account without rights.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Client, eventually, lab, lxcpath};

/// The uid that `provostd` runs as: one that no account has, so that it owns nothing.
pub const AGENT: u32 = 64_990;

pub struct Node {
    dir: tempfile::TempDir,
    pub provostd: Child,
    pub execd: Child,
}

impl Node {
    /// A node on the lab's plain cgroup v2 containers, where root has a role that may do everything.
    pub fn start() -> Self {
        Self::with("v2", "containers = [\"1-999999\"]\nprivileged = true", ROOT_MAY_ALL)
    }

    /// As [`Node::start`], with lines of its own for `[exec]`, and its own roles.
    pub fn with(layout: &str, exec: &str, roles: &str) -> Self {
        Self::at(layout, &lxcpath(layout), exec, roles)
    }

    pub fn at(layout: &str, lxcpath: &Path, exec: &str, roles: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("provost-test-").tempdir().expect("a directory");
        // The agent binds its socket here and root its own beside it; nobody else is kept out by the directory, as
        // tests connect as other users too.
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("mode");
        let run = dir.path().join("run");
        fs::create_dir(&run).expect("run");
        chown(&run, Some(AGENT), None).expect("chown");
        let config = format!(
            "[listen]\nunix = \"{run}/mcp.sock\"\nunix_mode = \"0666\"\n[ledger]\ndir = \"{run}/ledger\"\n\
             [exec]\nenabled = true\nsocket = \"{run}/exec.sock\"\nlxcpath = \"{lxcpath}\"\nuser = \"{AGENT}\"\n{exec}\n{roles}\n",
            run = run.display(),
            lxcpath = lxcpath.display(),
        );
        let file = dir.path().join("provost.toml");
        fs::write(&file, config).expect("configuration");
        let execd = start_execd(layout, dir.path());
        let provostd = start_provostd(dir.path());
        let node = Self { dir, provostd, execd };
        eventually("both daemons listen", || node.socket().exists() && node.exec_socket().exists());
        node
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("provost.toml")
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("run/mcp.sock")
    }

    pub fn ledger(&self) -> PathBuf {
        self.dir.path().join("run/ledger")
    }

    /// Another `provostd` in place of one that ended; it serves when this returns.
    pub fn restart_provostd(&mut self) {
        let _ = fs::remove_file(self.socket());
        self.provostd = start_provostd(self.dir.path());
        let socket = self.socket();
        eventually("provostd listens", || socket.exists());
        let _ = self.client();
    }

    pub fn exec_socket(&self) -> PathBuf {
        self.dir.path().join("run/exec.sock")
    }

    /// A session as root.
    pub fn client(&self) -> Client {
        Client::connect(&self.socket())
    }

    /// Another `provost-execd` in place of one that ended.
    pub fn restart_execd(&mut self, layout: &str) {
        let _ = fs::remove_file(self.exec_socket());
        self.execd = start_execd(layout, self.dir.path());
        self.execd_listens();
    }

    /// Ends `provost-execd`, and takes its socket away.
    pub fn end_execd(&mut self) {
        let _ = (self.execd.kill(), self.execd.wait());
        let _ = fs::remove_file(self.exec_socket());
    }

    /// Ends `provost-execd` and starts what a command in the lab says in its place, with this node's configuration.
    pub fn execd_instead(&mut self, command: &[&str], env: &[(&str, &str)]) {
        self.end_execd();
        self.execd = Command::new(lab())
            .args(["run", "--cgroup", "v2", "--"])
            .args(command)
            .arg("--config")
            .arg(self.config())
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start provost-execd");
        self.execd_listens();
    }

    fn execd_listens(&self) {
        let socket = self.exec_socket();
        eventually("provost-execd listens", || socket.exists());
    }

    /// What `provost-execd` has logged so far.
    pub fn execd_log(&self) -> String {
        fs::read_to_string(self.dir.path().join("execd.log")).unwrap_or_default()
    }

    pub fn provostd_log(&self) -> String {
        fs::read_to_string(self.dir.path().join("provostd.log")).unwrap_or_default()
    }

    /// The cgroup leaves that this node's `provost-execd` has in a container, as paths on the host.
    pub fn leaves(&self, layout: &str, guest: u32) -> Vec<String> {
        let find = format!(
            "find /sys/fs/cgroup -maxdepth 6 -type d -path '*/lxc/{guest}/*' -name '.provost-{}-*' 2>/dev/null || true",
            self.execd.id()
        );
        super::in_lab(layout, &["sh", "-c", &find]).lines().map(str::to_owned).collect()
    }
}

/// Root may do everything, everywhere.
pub const ROOT_MAY_ALL: &str = "[[role]]\nname = \"all\"\nmembers = [\"user:root\"]\nprofile = \"full\"";

fn start_execd(layout: &str, dir: &Path) -> Child {
    let log = fs::File::create(dir.join("execd.log")).expect("log");
    Command::new(lab())
        .args(["run", "--cgroup", layout, "--", env!("CARGO_BIN_EXE_provost-execd"), "--config"])
        .arg(dir.join("provost.toml"))
        .env_remove("JOURNAL_STREAM")
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("start provost-execd")
}

fn start_provostd(dir: &Path) -> Child {
    super::provostd(dir).uid(AGENT).gid(AGENT).spawn().expect("start provostd")
}

impl Drop for Node {
    fn drop(&mut self) {
        for child in [&mut self.provostd, &mut self.execd] {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            for log in ["execd.log", "provostd.log"] {
                let mut text = String::new();
                let _ = fs::File::open(self.dir.path().join(log))
                    .and_then(|mut file| file.read_to_string(&mut text));
                let lines: Vec<&str> = text.lines().collect();
                eprintln!("--- the end of {log}\n{}", lines[lines.len().saturating_sub(20)..].join("\n"));
            }
        }
    }
}
