//! A simulated cluster and a `provostd` that can be stopped, killed and started again, with its ledger.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use provost::ledger::verify::{Against, Verdict, verify};
use provost::ledger::{Receipt, Segments};
use provost::sim::estate::recorded;
use provost::sim::{Options, Sim};
use serde_json::Value;

use crate::common::{Client, end_of_log, eventually, provostd};

pub struct Place {
    pub dir: tempfile::TempDir,
    _sim: Sim,
    _runtime: tokio::runtime::Runtime,
    daemon: Child,
    starts: usize,
}

/// Whoever runs the tests, with a profile.
pub fn role(name: &str, keys: &str) -> String {
    format!("[[role]]\nname = \"{name}\"\nmembers = [\"user:{}\"]\n{keys}\n", nix::unistd::Uid::effective())
}

impl Place {
    pub fn start(more: &str) -> Self {
        Self::on(more, None)
    }

    /// With the ledger in a directory of another file system.
    pub fn on(more: &str, ledger: Option<&std::path::Path>) -> Self {
        let dir = tempfile::Builder::new().prefix("provost-receipts-").tempdir().expect("a directory");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("runtime");
        let options = Options::new(dir.path(), recorded());
        let sim = runtime.block_on(Sim::start(options)).expect("a simulated cluster");
        let own = dir.path().join("ledger");
        let config = format!(
            "[pve]\nurl = \"{url}\"\ndaemon = \"{daemon}\"\ntoken = \"{token}\"\ncertificate = \"{certificate}\"\n\
             apidoc = \"{dir}/none\"\netc_pve = \"{etc_pve}\"\n[ledger]\ndir = \"{ledger}\"\n[listen]\n\
             unix = \"{dir}/mcp.sock\"\n{more}\n",
            dir = dir.path().display(),
            url = sim.url,
            daemon = sim.daemon_url,
            token = sim.token.display(),
            certificate = sim.certificate.display(),
            etc_pve = sim.etc_pve.display(),
            ledger = ledger.unwrap_or(&own).display(),
        );
        let file = dir.path().join("provost.toml");
        fs::write(&file, config).expect("configuration");
        fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("mode");
        let daemon = spawn(dir.path());
        let place = Self { dir, _sim: sim, _runtime: runtime, daemon, starts: 1 };
        place.until_it_serves();
        place
    }

    /// It says so once its ledger is open.
    fn until_it_serves(&self) {
        let starts = self.starts;
        eventually("provostd serves", || self.log().matches(" serving ").count() == starts);
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("mcp.sock")
    }

    pub fn ledger(&self) -> PathBuf {
        self.dir.path().join("ledger")
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.daemon.id() as i32)
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.socket())
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("provostd.log")).unwrap_or_default()
    }

    /// Another daemon on the same configuration: how it ended.
    pub fn second(&self, socket: &str) -> (ExitStatus, String) {
        let config = fs::read_to_string(self.dir.path().join("provost.toml")).expect("configuration");
        let file = self.dir.path().join("second.toml");
        fs::write(&file, config.replace("mcp.sock", socket)).expect("configuration");
        fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("mode");
        let mut command = Command::new(env!("CARGO_BIN_EXE_provostd"));
        let output = command.arg("--config").arg(&file).env_remove("JOURNAL_STREAM").output().expect("run");
        (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    pub fn stop(&mut self) {
        kill(self.pid(), Signal::SIGTERM).expect("signal");
        assert!(self.daemon.wait().expect("its end").success(), "{}", self.log());
    }

    pub fn kill(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }

    pub fn start_again(&mut self) {
        let _ = fs::remove_file(self.socket());
        self.daemon = spawn(self.dir.path());
        self.starts += 1;
        self.until_it_serves();
    }

    pub fn receipts(&self) -> Vec<Receipt> {
        receipts(&self.ledger())
    }

    /// Receipts once there are as many as `count` that `is` takes.
    pub fn wait_for(&self, count: usize, is: impl Fn(&Receipt) -> bool) -> Vec<Receipt> {
        let mut found = Vec::new();
        eventually("the receipts are there", || {
            found = self.receipts().into_iter().filter(|receipt| is(receipt)).collect();
            found.len() >= count
        });
        found
    }

    pub fn verdict(&self) -> Verdict {
        let place = provost::ledger::Place::new(self.ledger());
        verify(&place, &Against::default()).expect("readable")
    }
}

pub fn receipts(dir: &std::path::Path) -> Vec<Receipt> {
    let mut all = Vec::new();
    let Ok(segments) = Segments::open(&provost::ledger::Place::new(dir)) else { return all };
    let _ = segments.walk(segments.first(), |found| {
        all.push(Receipt::parse(found.line).expect("a receipt"));
        std::ops::ControlFlow::Continue(())
    });
    all
}

fn spawn(dir: &std::path::Path) -> Child {
    provostd(dir).spawn().expect("start provostd")
}

impl Drop for Place {
    fn drop(&mut self) {
        self.kill();
        end_of_log(|| self.log());
    }
}

/// Kind, decision, tool, endpoint, guest and code, as one line that a table can hold.
pub fn line(receipt: &Receipt) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
    let code = match &receipt.body["code"] {
        Value::String(code) => format!(" {code}"),
        _ => String::new(),
    };
    format!(
        "{} {} {} {} {}{code}",
        receipt.kind.name(),
        receipt.decision.map_or("-", |decision| decision.name()),
        text(&receipt.tool),
        text(&receipt.endpoint),
        receipt.guest.map_or("-".into(), |guest| guest.to_string()),
    )
}
