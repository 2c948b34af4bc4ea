//! Where it is tried: a configuration, a tree like `/etc/pve`, and what an intruder would go for.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// An account that no one has.
const NOBODY: u32 = 64_123;

pub fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

/// Whom it is tried as.
pub fn accounts() -> Vec<u32> {
    match is_root() {
        true => vec![0, NOBODY],
        false => {
            cannot("as root, and as an account without rights: this is neither");
            vec![nix::unistd::Uid::effective().as_raw()]
        }
    }
}

/// Says loudly what was not tried.
pub fn cannot(what: &str) {
    eprintln!("NOT RUN: {what}");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI that is a failure: {what}");
}

/// 0: the kernel has none.
pub fn landlock_abi() -> u32 {
    use landlock::{LandlockStatus, RestrictSelf};
    let status = RestrictSelf::default().apply().map(|status| status.landlock);
    match status {
        Ok(LandlockStatus::Available { effective_abi, .. }) => effective_abi as u32,
        _ => 0,
    }
}

pub struct Place {
    dir: tempfile::TempDir,
    account: u32,
    other: Child,
    port: TcpListener,
    other_port: TcpListener,
    abstract_name: String,
    _abstract: UnixListener,
}

/// Files that stand under their names again while it runs, each time another one.
const REPLACED: [&str; 7] = [
    "etc/token",
    "pve/storage.cfg",
    "pve/pve-www.key",
    "pve/priv/authkey.pem",
    "pve/nodes/pve1/pve-ssl.pem",
    "pve/nodes/pve1/pve-ssl.key",
    "pve/nodes/pve1/lxc/101.conf",
];

impl Place {
    pub fn new(account: u32) -> Self {
        let dir = tempfile::Builder::new().prefix("provost-test-").tempdir().expect("a directory");
        let at = |file: &str| dir.path().join(file);
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("mode");
        for folder in
            ["etc", "state", "run", "outside", "pve/priv", "pve/nodes/pve1/lxc", "pve/nodes/pve1/qemu-server"]
        {
            fs::create_dir_all(at(folder)).expect("a folder");
        }
        for file in ["outside/file", "outside/truncated"].iter().chain(&REPLACED) {
            fs::write(at(file), "content").expect("a file");
        }
        std::os::unix::fs::symlink("nodes/pve1", at("pve/local")).expect("a link");
        let port = TcpListener::bind("127.0.0.1:0").expect("a port");
        let other_port = TcpListener::bind("127.0.0.1:0").expect("a port");
        let config = format!(
            "[listen]\nunix='{0}/run/mcp.sock'\n[ledger]\ndir='{0}/state/ledger'\n[pve]\nurl='https://127.0.0.1:{1}'\n\
             daemon=''\netc_pve='{0}/pve'\ntoken='{0}/etc/token'\ncertificate='{0}/pve/local/pve-ssl.pem'\n",
            dir.path().display(),
            port.local_addr().expect("an address").port(),
        );
        fs::write(at("etc/provost.toml"), config).expect("configuration");
        // All of it is the account's own: what is closed, is closed by the layers and not by permissions.
        give(dir.path(), account);
        let abstract_name = format!("provost-test-{}", dir.path().display());
        let name = SocketAddr::from_abstract_name(&abstract_name).expect("a name");
        let mut other = Command::new("sleep");
        if account != 0 && is_root() {
            other.uid(account).gid(account);
        }
        let other = other.arg("600").spawn().expect("another process");
        let _abstract = UnixListener::bind_addr(&name).expect("an abstract socket");
        Self { dir, account, other, port, other_port, abstract_name, _abstract }
    }

    fn at(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// What came of each attempt, and the report.
    pub fn trespass(&self, layer: &str) -> (BTreeMap<String, i32>, Value) {
        let port = |listener: &TcpListener| listener.local_addr().expect("an address").port();
        let targets = json!({
            "pid": self.other.id(), "port": port(&self.port), "other_port": port(&self.other_port),
            "abstract_name": self.abstract_name, "outside": self.at("outside"), "etc_pve": self.at("pve"),
            "token": self.at("etc/token"), "ledger": self.at("state/ledger"),
        });
        fs::write(self.at("targets"), targets.to_string()).expect("targets");
        give(&self.at("targets"), self.account);
        let mut command = Command::new(env!("CARGO_BIN_EXE_trespass"));
        command.args([&self.at("etc/provost.toml"), Path::new(layer), &self.at("targets")]);
        command.env_remove("JOURNAL_STREAM").stdin(Stdio::piped()).stdout(Stdio::piped());
        if self.account != 0 && is_root() {
            command.uid(self.account).gid(self.account);
        }
        let mut running = command.spawn().expect("trespass");
        let mut said = BufReader::new(running.stdout.take().expect("its output"));
        let mut line = String::new();
        said.read_line(&mut line).expect("its first line");
        assert_eq!(line, "confined\n");
        self.replace();
        running.stdin.take().expect("its input").write_all(b"go\n").expect("go");
        line.clear();
        said.read_line(&mut line).expect("its answer");
        assert!(running.wait().expect("its end").success());
        let mut answer: Value = serde_json::from_str(&line).expect("JSON");
        (serde_json::from_value(answer["tried"].take()).expect("attempts"), answer["report"].take())
    }

    /// As PVE and operators write: another file under the old name. Keys too; and a node joins the cluster.
    fn replace(&self) {
        for file in ["etc/provost.toml"].iter().chain(&REPLACED) {
            let new = self.at(&format!("{file}.tmp"));
            fs::copy(self.at(file), &new).expect("a copy");
            give(&new, self.account);
            fs::rename(&new, self.at(file)).expect("replaced");
        }
        fs::create_dir_all(self.at("pve/nodes/pve9/lxc")).expect("a node");
        fs::write(self.at("pve/nodes/pve9/lxc/109.conf"), "").expect("a guest");
        give(&self.at("pve/nodes/pve9"), self.account);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.other.kill();
        let _ = self.other.wait();
    }
}

/// Makes it and all below the account's.
fn give(path: &Path, account: u32) {
    if !is_root() {
        return;
    }
    std::os::unix::fs::lchown(path, Some(account), Some(account)).expect("chown");
    if path.symlink_metadata().expect("there").is_dir() {
        for entry in fs::read_dir(path).expect("listed") {
            give(&entry.expect("an entry").path(), account);
        }
    }
}
