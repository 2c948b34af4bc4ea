//! Simulated nodes, each with a `provostd` of its own and an OpenSSH server that lets whoever runs the test in.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use provost::sim::estate::guest::{Guest, Kind};
use provost::sim::estate::{Estate, demo, recorded};
use serde_json::{Value, json};

use crate::common::{Client, eventually};
use crate::site::{Site, everybody};

/// Guests of the two that are one cluster: from 100 on.
pub const CLUSTERED: u32 = 30;

/// A node of the demo's cluster of three.
pub fn member(node: &str) -> Estate {
    let mut estate = demo(CLUSTERED, &[]);
    let at = estate.nodes.iter().position(|one| one.name == node).expect("a node");
    estate.nodes.swap(0, at);
    estate
}

/// A node by itself, with these containers.
pub fn alone(node: &str, guests: &[u32]) -> Estate {
    let mut estate = recorded();
    let old: Vec<u32> = estate.guests().map(|guest| guest.vmid).collect();
    for vmid in old {
        estate.remove_guest(vmid);
    }
    estate.nodes[0].name = node.to_owned();
    for vmid in guests {
        let name = format!("{node}-{vmid}");
        estate.add_guest(Guest::new(*vmid, Kind::Lxc, node, &[("hostname", &name), ("ostype", "debian")]));
    }
    estate
}

pub struct Machine {
    pub name: &'static str,
    pub site: Site,
    ssh: Sshd,
}

/// Machines, and what a workstation has to reach them.
pub struct Fleet {
    pub machines: Vec<Machine>,
    dir: tempfile::TempDir,
}

/// Two of one cluster, and three by themselves, of which the last has a container that the cluster has too.
pub fn five() -> Fleet {
    Fleet::of(vec![
        ("one", member("pve1")),
        ("two", member("pve2")),
        ("three", alone("shed", &[501, 502])),
        ("four", alone("attic", &[601])),
        ("five", alone("cellar", &[701, 101])),
    ])
}

impl Fleet {
    pub fn of(estates: Vec<(&'static str, Estate)>) -> Self {
        Self::with(estates, &everybody(""))
    }

    pub fn with(estates: Vec<(&'static str, Estate)>, roles: &str) -> Self {
        Self::around(estates.into_iter().map(|(name, estate)| (name, Site::with(estate, roles))).collect())
    }

    pub fn around(sites: Vec<(&'static str, Site)>) -> Self {
        let dir = tempfile::Builder::new().prefix("provost-fleet-").tempdir().expect("a directory");
        keygen(&dir.path().join("user_key"));
        let machine = |(name, site): (&'static str, Site)| {
            let ssh = Sshd::start(site.dir.path(), &site.socket(), &dir.path().join("user_key.pub"));
            Machine { name, site, ssh }
        };
        let machines: Vec<Machine> = sites.into_iter().map(machine).collect();
        let fleet = Self { machines, dir };
        fleet.write_config();
        fleet
    }

    /// What ssh needs to get to each by its name, and nothing of this machine's own.
    fn write_config(&self) {
        let at = self.dir.path().display();
        let mut known = String::new();
        let mut config = format!(
            "IdentityFile {at}/user_key\nIdentitiesOnly yes\nIdentityAgent none\nUserKnownHostsFile {at}/known_hosts\n\
             StrictHostKeyChecking yes\nGlobalKnownHostsFile none\nLogLevel ERROR\nHostName 127.0.0.1\nControlMaster no\n"
        );
        for machine in &self.machines {
            config += &format!("Host {}\n  Port {}\n", machine.name, machine.ssh.port);
            known += &format!("[127.0.0.1]:{} {}", machine.ssh.port, machine.ssh.key);
        }
        fs::write(self.dir.path().join("config"), config).expect("config");
        fs::write(self.dir.path().join("known_hosts"), known).expect("known_hosts");
    }

    pub fn ssh_config(&self) -> PathBuf {
        self.dir.path().join("config")
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn names(&self) -> Vec<&'static str> {
        self.machines.iter().map(|machine| machine.name).collect()
    }

    pub fn machine(&self, name: &str) -> &Machine {
        self.machines.iter().find(|machine| machine.name == name).expect("a machine")
    }

    pub fn machine_mut(&mut self, name: &str) -> &mut Machine {
        self.machines.iter_mut().find(|machine| machine.name == name).expect("a machine")
    }

    /// `provost connect` to all of them, and a client that has shaken hands.
    pub fn connect(&self) -> Connected {
        Connected::new(&self.arguments(&self.names()))
    }

    pub fn arguments(&self, hosts: &[&str]) -> Vec<String> {
        let mut arguments = vec!["--ssh-config".to_owned(), self.ssh_config().display().to_string()];
        arguments.extend(hosts.iter().map(|host| (*host).to_owned()));
        arguments
    }
}

/// What `provost connect` says, once it has ended.
pub fn run(arguments: &[String]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_provost")).arg("connect").args(arguments).output().expect("run")
}

pub struct Connected {
    pub process: Child,
    pub client: Client,
}

impl Connected {
    pub fn new(arguments: &[String]) -> Self {
        let (process, ours) = start(arguments);
        let mut client = Client::raw(ours);
        let who = json!({ "name": "test", "version": "1" });
        let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": { "elicitation": {} }, "clientInfo": who });
        let answer = client.request("initialize", hello);
        assert_eq!(answer["result"]["serverInfo"]["name"], "provost", "{answer}");
        client.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        Self { process, client }
    }

    /// A tool's structured answer, which must not be an error.
    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let shown = arguments.to_string();
        let result = self.client.call(tool, arguments);
        assert_ne!(result["isError"], true, "{tool} {shown}: {result}");
        let text: Value =
            serde_json::from_str(result["content"][0]["text"].as_str().expect("text")).expect("JSON");
        assert_eq!(text, result["structuredContent"], "the text says the same");
        result["structuredContent"].clone()
    }

    /// A tool's `error`.
    pub fn refused(&mut self, tool: &str, arguments: Value) -> Value {
        self.client.error(tool, arguments)
    }
}

/// `provost connect` with one end of a socket as its input and output.
pub fn start(arguments: &[String]) -> (Child, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let (input, output) = (OwnedFd::from(theirs.try_clone().expect("clone")), OwnedFd::from(theirs));
    let process = Command::new(env!("CARGO_BIN_EXE_provost"))
        .arg("connect")
        .args(arguments)
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(output))
        .spawn()
        .expect("start provost connect");
    (process, ours)
}

impl Drop for Connected {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Sshd {
    process: Child,
    port: u16,
    /// Its public key.
    key: String,
    log: PathBuf,
}

impl Sshd {
    /// A server of our own, on a port of its own, that starts `provost` from the build tree.
    fn start(dir: &Path, socket: &Path, user_key: &Path) -> Self {
        let free =
            TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        let (port, at) = (free.port(), dir.join("ssh"));
        fs::create_dir_all(at.join("bin")).expect("a directory");
        keygen(&at.join("host_key"));
        fs::copy(user_key, at.join("authorized_keys")).expect("authorized_keys");
        symlink(env!("CARGO_BIN_EXE_provost"), at.join("bin/provost")).expect("provost");
        if nix::unistd::Uid::effective().is_root() {
            // OpenSSH locks its unprivileged half into it; the packaged unit makes it too.
            fs::create_dir_all("/run/sshd").expect("/run/sshd");
        }
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {at}/host_key\nAuthorizedKeysFile {at}/authorized_keys\n\
             PermitRootLogin prohibit-password\nPidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPrintLastLog no\nMaxStartups 100\n\
             SetEnv PATH={at}/bin:/usr/bin:/bin PROVOST_SOCKET={}\n",
            socket.display(),
            at = at.display(),
        );
        fs::write(at.join("sshd_config"), config).expect("sshd_config");
        let log = at.join("sshd.log");
        let process = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(at.join("sshd_config"))
            .stdin(Stdio::null())
            .stderr(File::create(&log).expect("log"))
            .spawn()
            .unwrap_or_else(|error| {
                panic!("no /usr/sbin/sshd: {error}; tests/need test installs openssh-server")
            });
        eventually("sshd listens", || {
            fs::read_to_string(&log).unwrap_or_default().contains("Server listening")
        });
        let key = fs::read_to_string(at.join("host_key.pub")).expect("host key");
        Self { process, port, key, log }
    }
}

impl Machine {
    /// Lets nobody in any more.
    pub fn refuse(&self) {
        fs::write(self.site.dir.path().join("ssh/authorized_keys"), "").expect("authorized_keys");
    }

    /// The same, and ends the connections that there are.
    pub fn turn_out(&self) {
        self.refuse();
        for pid in descendants(self.ssh.process.id()) {
            // What ended with its parent is gone already.
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL);
        }
    }

    pub fn admit(&self, fleet: &Fleet) {
        let keys = self.site.dir.path().join("ssh/authorized_keys");
        fs::copy(fleet.dir().join("user_key.pub"), keys).expect("authorized_keys");
    }

    /// Its `provostd`, told by a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.site.pid() as i32);
        nix::sys::signal::kill(pid, signal).expect("kill");
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("--- sshd\n{}", fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

/// The processes that this one has begun, and theirs.
fn descendants(pid: u32) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().map(|pid| pid.parse::<u32>().expect("a number"));
    children.flat_map(|child| std::iter::once(child as i32).chain(descendants(child))).collect()
}

fn keygen(path: &Path) {
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(path).status();
    assert!(made.expect("ssh-keygen: tests/need test installs openssh-server").success());
}
