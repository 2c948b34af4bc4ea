//! A simulated Backup Server and the installed programs beside it: `provostd` that knows nothing but its configuration, a
//! client at its socket, and the operator's `provost`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Child;

use nix::unistd::Uid;
use provost::sim::backup::{BackupSim, Options, Server};
use serde_json::{Value, json};

use crate::common::{Client, end_of_log, eventually, provost, provostd};

pub struct House {
    pub dir: tempfile::TempDir,
    sim: Option<(BackupSim, tokio::runtime::Runtime)>,
    daemon: Child,
}

impl House {
    /// Whoever runs the test has a role with these keys, and is who approves.
    pub fn of(keys: &str) -> Self {
        Self::with(Server::demo(), keys)
    }

    pub fn with(server: Server, keys: &str) -> Self {
        let dir = directory();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("runtime");
        let sim = runtime.block_on(BackupSim::start(Options::new(dir.path(), server))).expect("a server");
        let pve = format!(
            "[pve]\nproduct = \"backup\"\nurl = \"{url}\"\ntoken = \"{token}\"\ncertificate = \"{certificate}\"\napidoc = \"{dir}/apidoc.js\"\n",
            dir = dir.path().display(),
            url = sim.url,
            token = sim.token.display(),
            certificate = sim.certificate.display(),
        );
        Self { daemon: start(dir.path(), &pve, keys), dir, sim: Some((sim, runtime)) }.serving()
    }

    /// Of a server that runs by itself: `pve` is its part of the configuration.
    pub fn beside(pve: &str, keys: &str) -> Self {
        let dir = directory();
        Self { daemon: start(dir.path(), pve, keys), dir, sim: None }.serving()
    }

    fn serving(self) -> Self {
        eventually("provostd serves", || self.log().contains(" serving "));
        self
    }

    /// What is true, for a test to compare with.
    pub fn server<T>(&self, look: impl FnOnce(&mut Server) -> T) -> T {
        self.sim.as_ref().expect("a server of this house").0.with_server(look)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("provostd.log")).unwrap_or_default()
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.dir.path().join("mcp.sock"))
    }

    fn ledger(&self) -> PathBuf {
        self.dir.path().join("state/ledger")
    }

    /// All that is on record, as it is written.
    pub fn record(&self) -> String {
        let files = fs::read_dir(self.ledger()).expect("a ledger").flatten();
        let entries = files.filter(|file| file.file_name().to_string_lossy().starts_with("entries-"));
        entries.map(|file| fs::read_to_string(file.path()).expect("text")).collect()
    }

    /// `provost …` as the operator types it: its exit status and what it said.
    pub fn provost(&self, words: &[&str]) -> (Option<i32>, String) {
        provost(self.dir.path(), words)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        end_of_log(|| self.log());
    }
}

fn directory() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("provost-backup-").tempdir().expect("a directory");
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("mode");
    fs::create_dir(dir.path().join("state")).expect("state");
    dir
}

fn start(dir: &Path, pve: &str, keys: &str) -> Child {
    let config = format!(
        "[listen]\nunix = \"{dir}/mcp.sock\"\n{pve}\n[ledger]\ndir = \"{dir}/state/ledger\"\n[approval]\nmembers = [\"user:{me}\"]\n\
         [[role]]\nname = \"test\"\nmembers = [\"user:{me}\"]\n{keys}\n",
        dir = dir.display(),
        me = Uid::effective(),
    );
    let file = dir.join("provost.toml");
    fs::write(&file, config).expect("configuration");
    fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).expect("mode");
    provostd(dir).env("RUST_LOG", "trace").spawn().expect("start provostd")
}

/// A tool's structured answer, which must not be an error.
pub fn call(client: &mut Client, tool: &str, arguments: Value) -> Value {
    client.answered(tool, arguments)
}

/// The error that it must be.
pub fn refused(client: &mut Client, tool: &str, arguments: Value) -> Value {
    client.error(tool, arguments)
}

/// The rows or the object that a path holds.
pub fn read(client: &mut Client, path: &str) -> Value {
    call(client, "read", json!({ "path": path }))["data"].clone()
}

pub fn plan(client: &mut Client, method: &str, path: &str, args: Value) -> Value {
    call(client, "plan", json!({ "method": method, "path": path, "args": args }))
}

pub fn apply(client: &mut Client, plan: &Value) -> Value {
    call(client, "apply", json!({ "plan_id": plan["plan_id"] }))
}
