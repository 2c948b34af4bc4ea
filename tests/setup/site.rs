//! A simulated cluster with a `pveum` in front of it, a configuration without roles, and `provost` beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use provost::catalog::{Catalog, Release};
use provost::sim::estate::recorded;
use provost::sim::{Options, Sim};
use serde_json::{Value, json};

use crate::common::{Client, eventually};

pub struct Site {
    pub dir: tempfile::TempDir,
    pub sim: Rc<Sim>,
    pub node: &'static str,
    /// Of the node that the cluster was begun with.
    runtime: Option<tokio::runtime::Runtime>,
    /// As pmxcfs shows the cluster on this node.
    etc_pve: PathBuf,
    daemon: Option<Child>,
    /// All that any program printed.
    pub said: std::cell::RefCell<String>,
}

pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Site {
    pub fn new() -> Self {
        Self::of(Release::V9_2)
    }

    pub fn of(release: Release) -> Self {
        let dir = tempfile::Builder::new().prefix("provost-setup-").tempdir().expect("a directory");
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("mode");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("runtime");
        let there = dir.path().join("sim");
        fs::create_dir(&there).expect("sim");
        let catalog = Catalog::embedded(release);
        fs::write(there.join("apidoc.js"), catalog.to_script()).expect("apidoc");
        let sim = runtime.block_on(Sim::start(Options { catalog, ..Options::new(&there, recorded()) }));
        let sim = Rc::new(sim.expect("a cluster"));
        let etc_pve = sim.etc_pve.clone();
        Self::on(dir, sim, "pve1", Some(runtime), etc_pve)
    }

    /// Another node of the same cluster.
    pub fn beside(first: &Self, node: &'static str) -> Self {
        let dir = tempfile::Builder::new().prefix("provost-setup-").tempdir().expect("a directory");
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("mode");
        let etc_pve = dir.path().join("etc-pve");
        fs::create_dir(&etc_pve).expect("etc-pve");
        std::os::unix::fs::symlink(format!("nodes/{node}"), etc_pve.join("local")).expect("local");
        Self::on(dir, Rc::clone(&first.sim), node, None, etc_pve)
    }

    fn on(
        dir: tempfile::TempDir,
        sim: Rc<Sim>,
        node: &'static str,
        runtime: Option<tokio::runtime::Runtime>,
        etc_pve: PathBuf,
    ) -> Self {
        let site = Self { dir, sim, node, runtime, etc_pve, daemon: None, said: Default::default() };
        fs::write(site.path("provost.toml"), site.begins()).expect("configuration");
        site.stand_in("");
        site
    }

    /// The user that setup makes for this node.
    pub fn user(&self) -> String {
        format!("provost-{}@pve", self.node)
    }

    fn begins(&self) -> String {
        format!(
            "# kept\n[listen]\nunix = \"{dir}/mcp.sock\"\n[pve]\nurl = \"{url}\"\ndaemon = \"{daemon}\"\ntoken = \"{dir}/pve-token\"\n\
             certificate = \"{certificate}\"\napidoc = \"{apidoc}\"\netc_pve = \"{etc}\"\n[ledger]\n\
             dir = \"{dir}/state/ledger\"\n[approval]\nmembers = [\"user:{me}\"]\n",
            dir = self.dir.path().display(),
            url = self.sim.url,
            daemon = self.sim.daemon_url,
            certificate = self.sim.certificate.display(),
            apidoc = self.sim.etc_pve.with_file_name("apidoc.js").display(),
            etc = self.etc_pve.display(),
            me = nix::unistd::Uid::effective(),
        )
    }

    /// What `pveum` is told beside where the cluster is.
    pub fn stand_in(&self, more: &str) {
        let text = format!(
            "daemon = {}\ntoken = {}\ncalls = {}\n{more}\n",
            self.sim.daemon_url,
            self.sim.token.display(),
            self.path("calls").display()
        );
        fs::write(self.path("stand-in"), text).expect("stand-in");
        let _ = fs::remove_file(self.path("calls"));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The calls of `pveum` since the last [`Site::stand_in`] that change something.
    pub fn changes(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        calls.lines().filter(|line| !line.contains(" list")).map(str::to_owned).collect()
    }

    pub fn provost(&self, words: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_provost"))
            .args(words)
            .env("PROVOST_CONFIG", self.path("provost.toml"))
            .env("PVEUM_STAND_IN", self.path("stand-in"))
            .env_remove("PROVOST_CONTROL")
            .stdin(Stdio::null())
            .output()
            .expect("provost");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let ran = Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        *self.said.borrow_mut() += &format!("{}{}", ran.out, ran.err);
        ran
    }

    /// A verb that calls `pveum`.
    pub fn calling(&self, words: &[&str]) -> Ran {
        let [drop_ins, creds, sealed, plain, systemctl] =
            ["drop-ins", "systemd-creds", "credstore.encrypted", "credstore", "systemctl"]
                .map(|name| self.path(name).display().to_string());
        let stand_in = [
            "--pveum",
            env!("CARGO_BIN_EXE_pveum-stand-in"),
            "--systemctl",
            &systemctl,
            "--drop-ins",
            &drop_ins,
            "--systemd-creds",
            &creds,
            "--credstore",
            &sealed,
            "--plain-credstore",
            &plain,
        ];
        self.provost(&[words, &stand_in].concat())
    }

    /// A `systemctl` that writes down what it was asked; without one there is no systemd.
    pub fn has_systemctl(&self) {
        let program = self.path("systemctl");
        fs::write(&program, format!("#!/bin/sh\necho \"$@\" >>{}\n", self.path("asked").display()))
            .expect("systemctl");
        fs::set_permissions(program, PermissionsExt::from_mode(0o755)).expect("mode");
    }

    /// What it was asked since the last look.
    pub fn asked(&self) -> String {
        let asked = fs::read_to_string(self.path("asked")).unwrap_or_default();
        let _ = fs::remove_file(self.path("asked"));
        asked
    }

    /// A `systemd-creds` whose seals open while the key of this host is the one that they were made with.
    pub fn has_creds(&self, key: &str) {
        let text = format!(
            "#!/bin/sh\ncase $2 in --name=?*) ;; *) exit 9 ;; esac\ncase $1 in\nencrypt) echo {key}; cat ;;\n\
             decrypt) [ \"$(head -n1 \"$3\")\" = {key} ] || {{ echo 'Failed to decrypt: Bad message' >&2; exit 1; }}; tail -n +2 \"$3\" ;;\n\
             *) exit 1 ;;\nesac\n"
        );
        let program = self.path("systemd-creds");
        fs::write(&program, text).expect("systemd-creds");
        fs::set_permissions(program, PermissionsExt::from_mode(0o755)).expect("mode");
    }

    /// What PVE lets the token of a file do, and where: not only that it is one.
    pub fn rights(&self, token: &str) -> BTreeMap<String, BTreeSet<String>> {
        let answer = self.answer(token, "GET", "/access/permissions", "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let body: Value =
            serde_json::from_str(answer.split_once("\r\n\r\n").expect("a body").1).expect("JSON");
        let names = |held: &Value| held.as_object().expect("rights").keys().cloned().collect();
        let paths = body["data"].as_object().expect("paths").iter();
        paths.map(|(path, held)| (path.clone(), names(held))).collect()
    }

    pub fn setup(&self, words: &[&str]) -> Ran {
        self.calling(&[&["setup", "--yes"], words].concat())
    }

    /// A role of the tests' own account, with profile and all.
    pub fn set_up(&self, words: &[&str]) -> Ran {
        let me = format!("user:{}", nix::unistd::Uid::effective());
        let ran = self.setup(&[&["--member", &me], words].concat());
        assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.err);
        ran
    }

    pub fn access(&self) -> String {
        self.sim.with_estate(|estate| estate.access().text())
    }

    pub fn secrets(&self) -> Vec<String> {
        self.sim.with_estate(|estate| {
            let users = estate.access().users.iter().filter(|(name, _)| **name == self.user());
            users.flat_map(|(_, user)| user.tokens.values().map(|token| token.secret.clone())).collect()
        })
    }

    pub fn tokens(&self) -> Vec<String> {
        self.sim.with_estate(|estate| {
            let user = estate.access().users.get(&self.user());
            user.into_iter().flat_map(|user| user.tokens.keys().cloned()).collect()
        })
    }

    /// The status of a call that is made with the token of a file, and by nothing of ours.
    pub fn status(&self, token: &str, method: &str, path: &str, form: &str) -> u16 {
        let answer = self.answer(token, method, path, form);
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    fn answer(&self, token: &str, method: &str, path: &str, form: &str) -> String {
        use std::io::{Read, Write};
        let token = fs::read_to_string(self.path(token)).expect("a token");
        let address = self.sim.daemon_url.trim_start_matches("http://");
        let mut stream = std::net::TcpStream::connect(address).expect("connect");
        let (query, body) =
            if matches!(method, "GET" | "DELETE") { (format!("?{form}"), "") } else { (String::new(), form) };
        write!(
            stream,
            "{method} /api2/json{path}{query} HTTP/1.1\r\nHost: x\r\nAuthorization: PVEAPIToken={}\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            token.trim(),
            body.len()
        )
        .expect("write");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("read");
        answer
    }

    pub fn start(&mut self) {
        fs::create_dir_all(self.path("state")).expect("state");
        let log = fs::File::create(self.path("provostd.log")).expect("log");
        let child = Command::new(env!("CARGO_BIN_EXE_provostd"))
            .arg("--config")
            .arg(self.path("provost.toml"))
            .env_remove("JOURNAL_STREAM")
            .env("RUST_LOG", "trace")
            .stdin(Stdio::null())
            .stderr(log)
            .spawn();
        self.daemon = Some(child.expect("provostd"));
        eventually("provostd serves", || self.log().contains(" serving "));
    }

    pub fn stop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = (daemon.kill(), daemon.wait());
            let _ = (fs::remove_file(self.path("mcp.sock")), fs::remove_file(self.path("mcp.control.sock")));
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("provostd.log")).unwrap_or_default()
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.path("mcp.sock"))
    }

    /// No more of the cluster: nothing listens there.
    pub fn ends(&mut self) {
        self.runtime.take().expect("the node that it was begun with").shutdown_background();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("--- said\n{}\n--- provostd\n{}", self.said.borrow(), self.log());
        }
    }
}

/// Plans a change and applies it; what the tool said where that failed.
pub fn changed(client: &mut Client, method: &str, path: &str, args: Value) -> Result<Value, String> {
    let plan = client.call("plan", json!({ "method": method, "path": path, "args": args }));
    if plan["isError"] == true {
        return Err(plan["structuredContent"].to_string());
    }
    let id = plan["structuredContent"]["plan_id"].clone();
    let applied = client.call("apply", json!({ "plan_id": id, "wait": 30 }));
    match applied["isError"] == true {
        true => Err(applied["structuredContent"].to_string()),
        false => Ok(applied["structuredContent"].clone()),
    }
}
