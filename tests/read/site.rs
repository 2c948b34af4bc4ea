//! A simulated cluster and `provostd` beside it, as on a node: the daemon knows nothing but its configuration.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Child;

use provost::catalog::Catalog;
use provost::sim::estate::{Estate, recorded};
use provost::sim::{Options, Sim};
use serde_json::{Value, json};

use crate::common::{Client, end_of_log, eventually, provostd};

pub struct Site {
    pub dir: tempfile::TempDir,
    pub sim: Sim,
    daemon: Child,
    runtime: tokio::runtime::Runtime,
}

impl Site {
    /// The estate of the recorded answers, and everybody who runs the test may read.
    pub fn start() -> Self {
        Self::with(recorded(), &everybody(""))
    }

    pub fn with(estate: Estate, roles: &str) -> Self {
        Self::made(estate, roles, |_| {}, true)
    }

    /// A node of the release whose API this is, with that API's description where a node has it.
    pub fn of_release(estate: Estate, roles: &str, apidoc: &[u8], catalog: Catalog) -> Self {
        let dir = tempfile::Builder::new().prefix("provost-read-").tempdir().expect("a directory");
        fs::write(dir.path().join("apidoc.js"), apidoc).expect("apidoc.js");
        Self::made_in(dir, estate, roles, |options| options.catalog = catalog, true, "")
    }

    /// Whose tasks take their time.
    pub fn paced() -> Self {
        Self::made(recorded(), &everybody(""), |options| options.speed = Some(1.0), true)
    }

    /// All by way of pveproxy.
    pub fn without_daemon() -> Self {
        Self::made(recorded(), &everybody(""), |_| {}, false)
    }

    fn made(estate: Estate, roles: &str, set: impl FnOnce(&mut Options), daemon: bool) -> Self {
        let dir = tempfile::Builder::new().prefix("provost-read-").tempdir().expect("a directory");
        Self::made_in(dir, estate, roles, set, daemon, "")
    }

    /// With a line of its own under `[listen]`, in which `{dir}` is the site's directory.
    pub fn listening(estate: Estate, roles: &str, listen: &str) -> Self {
        Self::listening_at(estate, roles, listen, None)
    }

    /// Whose tasks take their time, at this speed.
    pub fn listening_at(estate: Estate, roles: &str, listen: &str, speed: Option<f64>) -> Self {
        let dir = tempfile::Builder::new().prefix("provost-read-").tempdir().expect("a directory");
        let set = |options: &mut Options| options.speed = speed.or(options.speed);
        Self::made_in(dir, estate, roles, set, true, listen)
    }

    /// Ends the daemon and starts another on the same directory.
    pub fn restart(&mut self) {
        let _ = (self.daemon.kill(), self.daemon.wait());
        let _ = fs::remove_file(self.socket());
        self.daemon = start(self.dir.path());
        let socket = self.socket();
        eventually("provostd listens", || socket.exists());
    }

    /// `apidoc.js` in the directory is the node's own, if it is there.
    fn made_in(
        dir: tempfile::TempDir,
        estate: Estate,
        roles: &str,
        set: impl FnOnce(&mut Options),
        daemon: bool,
        listen: &str,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("runtime");
        let mut options = Options::new(dir.path(), estate);
        set(&mut options);
        let sim = runtime.block_on(Sim::start(options)).expect("a simulated cluster");
        let config = format!(
            "[listen]\nunix = \"{dir}/mcp.sock\"\n{listen}\n[pve]\nurl = \"{url}\"\ndaemon = \"{daemon}\"\ntoken = \"{token}\"\n\
             certificate = \"{certificate}\"\napidoc = \"{dir}/apidoc.js\"\netc_pve = \"{etc_pve}\"\n[ledger]\ndir = \"{dir}/ledger\"\n{roles}\n",
            dir = dir.path().display(),
            listen = listen.replace("{dir}", &dir.path().display().to_string()),
            url = sim.url,
            daemon = if daemon { sim.daemon_url.as_str() } else { "" },
            token = sim.token.display(),
            certificate = sim.certificate.display(),
            etc_pve = sim.etc_pve.display(),
        );
        let file = dir.path().join("provost.toml");
        fs::write(&file, config).expect("configuration");
        fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("mode");
        let daemon = start(dir.path());
        let site = Self { dir, sim, daemon, runtime };
        let socket = site.socket();
        eventually("provostd listens", || socket.exists());
        site
    }

    /// Another `apidoc.js`, as dpkg puts one in the place of what was there.
    pub fn put_apidoc(&self, text: &[u8]) {
        let new = self.dir.path().join("apidoc.js.dpkg-new");
        fs::write(&new, text).expect("write");
        fs::rename(&new, self.dir.path().join("apidoc.js")).expect("rename");
    }

    pub fn socket(&self) -> std::path::PathBuf {
        self.dir.path().join("mcp.sock")
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.socket())
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("provostd.log")).unwrap_or_default()
    }

    /// A change, as root makes it; its `data`.
    pub fn post(&self, path: &str, pairs: &[(&str, &str)]) -> Value {
        self.try_post(path, pairs).unwrap_or_else(|refused| panic!("{path}: {refused}"))
    }

    /// The same, or what PVE said to it.
    pub fn try_post(&self, path: &str, pairs: &[(&str, &str)]) -> Result<Value, String> {
        self.send(path, provost::pve::Write::post, pairs)
    }

    #[allow(dead_code, reason = "not every suite stops a task")]
    pub fn delete(&self, path: &str) {
        self.send(path, provost::pve::Write::delete, &[])
            .unwrap_or_else(|refused| panic!("{path}: {refused}"));
    }

    fn send(
        &self,
        path: &str,
        write: fn(provost::pve::Path) -> provost::pve::Write,
        pairs: &[(&str, &str)],
    ) -> Result<Value, String> {
        let options = provost::pve::Options {
            product: provost::product::Product::Pve,
            url: self.sim.url.clone(),
            daemon: self.sim.daemon_url.clone(),
            token: self.sim.token.clone(),
            certificate: self.sim.certificate.clone(),
            etc_pve: self.sim.etc_pve.clone(),
            node: None,
            limits: provost::pve::Limits::default(),
        };
        self.runtime.block_on(async {
            let client = provost::pve::Client::new(options).expect("addresses");
            let path = provost::pve::Path::parse(path).expect("path");
            let mut write = write(path);
            for (name, value) in pairs {
                write = write.with(name, value).expect("parameter");
            }
            let answer = client.send(write).await.map_err(|error| error.to_string())?;
            Ok(answer.data().expect("JSON"))
        })
    }

    pub fn pid(&self) -> u32 {
        self.daemon.id()
    }
}

fn start(dir: &std::path::Path) -> Child {
    provostd(dir).env("RUST_LOG", "trace").spawn().expect("start provostd")
}

/// A role for whoever runs the test.
pub fn everybody(keys: &str) -> String {
    let me = nix::unistd::Uid::effective();
    format!("[[role]]\nname = \"all\"\nmembers = [\"user:{me}\"]\nprofile = \"observe\"\n{keys}")
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        end_of_log(|| self.log());
    }
}

/// `read` with these arguments: its structured answer, which must not be an error.
pub fn read(client: &mut Client, arguments: Value) -> Value {
    client.answered("read", arguments)
}

/// `read` that must fail: its `error`.
pub fn refused(client: &mut Client, arguments: Value) -> Value {
    client.error("read", arguments)
}

pub fn path(path: &str) -> Value {
    json!({ "path": path })
}
