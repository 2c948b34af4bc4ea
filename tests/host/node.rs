//! A node for commands on itself: a container with its own systemd, in which both daemons are units, as they are installed.

use std::fs;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use provost::ledger::Receipt;
use serde_json::{Value, json};

use crate::common::{Client, eventually, lab, lxcpath, root};
use crate::guest::{Guest, Recipe};

/// Accounts in it: who asks, and who decides.
pub const ALICE: u32 = 2001;
pub const BOB: u32 = 2002;

pub struct Node {
    pub guest: Guest,
    bridges: std::cell::RefCell<Vec<Child>>,
}

/// Alice may ask; what more her role says.
pub fn role(keys: &str) -> String {
    format!("[approval]\nmembers = ['user:bob']\n[[role]]\nname = 'node'\nmembers = ['user:alice']\n{keys}\n")
}

pub const ON: &str = "[exec]\nenabled = true\nhost = true\nhost_roots = ['/srv/host', '/etc/pve']\n";

impl Node {
    /// With the switch on, and a role that may ask.
    pub fn on() -> Self {
        Self::with(&format!("{ON}{}", role("profile = 'full'")))
    }

    pub fn with(config: &str) -> Self {
        let mut recipe = Recipe::new()
            .booted()
            .file("/etc/provost/provost.toml", 0o644, config)
            .file("/srv/host/motd", 0o644, "hello\n")
            .file("/usr/sbin/provostd", 0o755, fs::read(env!("CARGO_BIN_EXE_provostd")).expect("provostd"))
            .file(
                "/usr/sbin/provost-execd",
                0o755,
                fs::read(env!("CARGO_BIN_EXE_provost-execd")).expect("execd"),
            )
            .file("/usr/bin/provost", 0o755, fs::read(env!("CARGO_BIN_EXE_provost")).expect("provost"));
        let units = [
            "provost.service",
            "provost.socket",
            "provost-control.socket",
            "provost-execd.service",
            "provost-execd.socket",
        ];
        for unit in units {
            let text = fs::read(root().join("systemd").join(unit)).expect("unit");
            recipe = recipe.file(&format!("/etc/systemd/system/{unit}"), 0o644, text);
        }
        let node = Self { guest: recipe.start(), bridges: Default::default() };
        node.run(
            "useradd --system --user-group --shell /usr/sbin/nologin provost
             useradd -u 2001 alice; useradd -u 2002 bob; usermod -aG provost alice 2>/dev/null; usermod -aG provost bob
             systemctl start provost-execd.socket provost.socket provost-control.socket",
        );
        node
    }

    /// Another configuration; it is in force when this returns.
    pub fn configure(&self, config: &str) {
        let place = "/etc/provost/provost.toml";
        self.run(&format!("cat > {place}.new <<'END'\n{config}\nEND\nmv {place}.new {place}"));
        self.run(
            "systemctl is-active --quiet provost.service && systemctl kill -s HUP provost.service || true",
        );
    }

    /// A script in it as root, beside Provost.
    pub fn run(&self, script: &str) -> String {
        self.guest.run(script)
    }

    /// A session of an account, by its own `provost bridge`.
    pub fn client_of(&self, uid: u32, capabilities: Value) -> Client {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let (path, id) = (lxcpath(self.guest.layout), self.guest.id.to_string());
        let bridge = Command::new(lab())
            .args(["run", "--cgroup", self.guest.layout, "--", "lxc-attach", "-P"])
            .arg(path)
            .args(["-n", &id, "--clear-env", "--", "setpriv", "--reuid", &uid.to_string(), "--regid"])
            .args([&uid.to_string(), "--init-groups", "provost", "bridge"])
            .stdin(std::os::fd::OwnedFd::from(theirs.try_clone().expect("clone")))
            .stdout(std::os::fd::OwnedFd::from(theirs))
            .stderr(Stdio::inherit())
            .spawn();
        self.bridges.borrow_mut().push(bridge.expect("start the bridge"));
        let mut client = Client::raw(ours);
        let info = json!({ "name": "test", "version": "1" });
        let hello =
            json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": info });
        client.request("initialize", hello);
        client.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        client
    }

    pub fn client(&self) -> Client {
        self.client_of(ALICE, json!({}))
    }

    /// `provost …` as an account types it: what it says.
    pub fn provost(&self, uid: u32, words: &str) -> String {
        self.run(&format!("setpriv --reuid {uid} --regid {uid} --init-groups provost {words} 2>&1; true"))
    }

    /// Bob says yes.
    pub fn approve(&self, id: &str) {
        let said = self.provost(BOB, &format!("approve {id} --yes"));
        assert!(said.to_lowercase().contains("approved"), "{said}");
    }

    /// Asks for a command, and has it approved: its plan_id.
    pub fn approved(&self, client: &mut Client, arguments: Value) -> String {
        let id = asked(client, "exec", arguments);
        self.approve(&id);
        id
    }

    pub fn receipts(&self) -> Vec<Receipt> {
        let dir = self.guest.path("/var/lib/provost/ledger");
        let mut all = Vec::new();
        let Ok(segments) = provost::ledger::Segments::open(&provost::ledger::Place::new(dir)) else {
            return all;
        };
        let _ = segments.walk(segments.first(), |found| {
            all.push(Receipt::parse(found.line).expect("a receipt"));
            std::ops::ControlFlow::Continue(())
        });
        all
    }

    pub fn runs(&self, mark: &str) {
        eventually("it runs", || !self.run(&format!("pgrep -fx '{mark}' || true")).trim().is_empty());
    }

    /// Nothing that was run on the node is there any more.
    pub fn is_clear_of(&self, mark: &str) {
        eventually("nothing of it runs", || {
            let ps = self.run(&format!("pgrep -f '^{mark}' || true"));
            let units = self.run("systemctl list-units --no-legend --all 'provost-host-*'");
            ps.trim().is_empty() && units.trim().is_empty()
        });
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.run("journalctl --no-pager -n 60 | cat"));
        }
        for bridge in self.bridges.get_mut() {
            let _ = (bridge.kill(), bridge.wait());
        }
    }
}

/// A call's structured answer, or its error.
pub fn call(client: &mut Client, tool: &str, arguments: Value) -> Result<Value, Value> {
    let result = client.call(tool, arguments);
    let answer = result["structuredContent"].clone();
    if result["isError"] == true { Err(answer["error"].clone()) } else { Ok(answer) }
}

/// Asks for something on the node: its plan_id.
pub fn asked(client: &mut Client, tool: &str, mut arguments: Value) -> String {
    arguments["guest"] = "host".into();
    let answer = call(client, tool, arguments).expect("it waits");
    answer["plan_id"].as_str().expect("a plan_id").to_owned()
}

pub fn apply(client: &mut Client, id: &str) -> Result<Value, Value> {
    call(client, "apply", json!({ "plan_id": id })).map(|answer| answer["host"].clone())
}

pub fn kind(answer: Result<Value, Value>) -> String {
    answer.expect_err("a refusal")["kind"].as_str().expect("a kind").to_owned()
}
