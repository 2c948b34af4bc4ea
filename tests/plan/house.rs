//! A simulated cluster and a `provostd` beside it that can be killed and started again, with sessions of more accounts
//! than one, and the operator's hand.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::unistd::Uid;
use provost::ledger::Receipt;
use provost::sim::estate::{Estate, recorded};
use provost::sim::{Options, Sim};
use serde_json::{Value, json};

use crate::common::{Client, end_of_log, eventually, provost, provostd};
use crate::site::receipts;

/// An account that is not the tests' own.
pub const OTHER: u32 = 65_534;

pub struct House {
    pub dir: tempfile::TempDir,
    pub sim: Sim,
    _runtime: tokio::runtime::Runtime,
    daemon: Option<Child>,
    starts: usize,
    /// MCP clients of another account.
    bridges: std::cell::RefCell<Vec<Child>>,
}

/// Keys of the role of whoever runs the tests; `OTHER` has one of its own, with profile full.
pub fn role(keys: &str) -> String {
    let me = Uid::effective();
    format!(
        "[approval]\nmembers = [\"user:{me}\"]\n[[role]]\nname = \"test\"\nmembers = [\"user:{me}\"]\n{keys}\n\
         [[role]]\nname = \"other\"\nmembers = [\"user:{OTHER}\"]\nprofile = \"full\"\napproval = []\n"
    )
}

impl House {
    pub fn of(keys: &str) -> Self {
        Self::with(recorded(), &role(keys), None, |_| {})
    }

    /// Tasks take their time.
    pub fn paced(keys: &str, speed: f64) -> Self {
        Self::with(recorded(), &role(keys), Some(speed), |_| {})
    }

    pub fn with(estate: Estate, roles: &str, speed: Option<f64>, set: impl FnOnce(&mut Options)) -> Self {
        let dir = tempfile::Builder::new().prefix("provost-plan-").tempdir().expect("a directory");
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("mode");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("runtime");
        let mut options = Options { speed, ..Options::new(dir.path(), estate) };
        set(&mut options);
        let sim = runtime.block_on(Sim::start(options)).expect("a simulated cluster");
        let config = format!(
            "[listen]\nunix = \"{dir}/mcp.sock\"\nunix_mode = \"0666\"\n[pve]\nurl = \"{url}\"\ndaemon = \"{daemon}\"\n\
             token = \"{token}\"\ncertificate = \"{certificate}\"\napidoc = \"{dir}/apidoc.js\"\netc_pve = \"{etc_pve}\"\n\
             [ledger]\ndir = \"{dir}/ledger\"\n{roles}",
            dir = dir.path().display(),
            url = sim.url,
            daemon = sim.daemon_url,
            token = sim.token.display(),
            certificate = sim.certificate.display(),
            etc_pve = sim.etc_pve.display(),
        );
        let file = dir.path().join("provost.toml");
        fs::write(&file, config).expect("configuration");
        fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).expect("mode");
        let mut house =
            Self { dir, sim, _runtime: runtime, daemon: None, starts: 0, bridges: Default::default() };
        house.start();
        house
    }

    pub fn start(&mut self) {
        let _ = fs::remove_file(self.socket());
        let child = provostd(self.dir.path()).spawn();
        self.daemon = Some(child.expect("start provostd"));
        self.starts += 1;
        eventually("provostd serves", || self.log().matches(" serving ").count() == self.starts);
    }

    /// kill -9
    pub fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().expect("kill");
            daemon.wait().expect("its end");
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("provostd.log")).unwrap_or_default()
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("mcp.sock")
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.socket())
    }

    /// A session of another account, by its own `provost bridge`. None where the tests have no rights to have one.
    pub fn client_of_another(&self) -> Option<Client> {
        if !Uid::effective().is_root() {
            return None;
        }
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let bridge = Command::new("setpriv")
            .args(["--reuid", &OTHER.to_string(), "--regid", &OTHER.to_string(), "--clear-groups"])
            .arg(env!("CARGO_BIN_EXE_provost"))
            .args(["bridge", "--socket"])
            .arg(self.socket())
            .stdin(std::os::fd::OwnedFd::from(theirs.try_clone().expect("clone")))
            .stdout(std::os::fd::OwnedFd::from(theirs))
            .stderr(Stdio::null())
            .spawn();
        self.bridges.borrow_mut().push(bridge.expect("start the bridge"));
        let mut client = Client::raw(ours);
        let info = json!({ "name": "other", "version": "1" });
        let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info });
        client.request("initialize", hello);
        client.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        Some(client)
    }

    /// `provost …` as the operator types it: what it said, and whether it went well.
    pub fn provost(&self, words: &[&str]) -> (bool, String) {
        let (code, said) = provost(self.dir.path(), words);
        (code == Some(0), said)
    }

    pub fn receipts(&self) -> Vec<Receipt> {
        receipts(self.dir.path())
    }

    /// The newest refusal's receipt, which is to say this; some are left without waiting for the disk.
    pub fn refusal(&self, code: &str) -> Receipt {
        let newest = || self.receipts().into_iter().find(|receipt| receipt.kind.name() == "refusal");
        let says = |receipt: &Receipt| receipt.body["code"] == code;
        eventually(&format!("a refusal says {code}"), || newest().as_ref().is_some_and(says));
        newest().expect("a refusal")
    }

    pub fn setting(&self, guest: u32, name: &str) -> Option<String> {
        self.sim
            .with_estate(|estate| estate.guest(guest).and_then(|guest| guest.get(name).map(str::to_owned)))
    }

    pub fn is_running(&self, guest: u32) -> bool {
        self.sim.with_estate(|estate| estate.guest(guest).is_some_and(|guest| guest.is_running()))
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.kill();
        for mut bridge in self.bridges.take() {
            let _ = bridge.kill();
            let _ = bridge.wait();
        }
        end_of_log(|| self.log());
    }
}

/// A tool's structured answer, which must not be an error.
pub fn call(client: &mut Client, tool: &str, arguments: Value) -> Value {
    client.answered(tool, arguments)
}

/// The kind of its error, which it must be.
pub fn error(client: &mut Client, tool: &str, arguments: Value) -> String {
    client.error(tool, arguments)["kind"].as_str().unwrap_or_default().to_owned()
}

/// The id of a plan.
pub fn plan(client: &mut Client, method: &str, path: &str, args: Value) -> Value {
    call(client, "plan", json!({ "method": method, "path": path, "args": args }))["plan_id"].clone()
}

pub fn apply(id: &Value) -> Value {
    json!({ "plan_id": id })
}

/// A session of the revision without a handshake, with these capabilities.
pub struct Stateless(Client, Value);

impl Stateless {
    pub fn of(house: &House, capabilities: Value) -> Self {
        Self(Client::raw(std::os::unix::net::UnixStream::connect(house.socket()).unwrap()), capabilities)
    }

    pub fn request(&mut self, method: &str, mut params: Value) -> Value {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "t", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": self.1,
        });
        self.0.request(method, params)["result"].clone()
    }
}
