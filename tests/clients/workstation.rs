//! A workstation: a Unix account of its own on the node, an OpenSSH server on loopback that lets it in, and what `ssh`
//! needs to get there. Nothing of the machine's own SSH configuration is read or changed.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::fcntl::{Flock, FlockArg};

use crate::common::{Node, eventually};

/// The account, made for the tests and removed after them.
pub const USER: &str = "provost-ws";

/// What a machine lacks for a test, in words that say how to get it.
#[derive(Debug)]
pub struct Missing(pub String);

/// Ends a test that cannot run here: as a failure, or, when `$PROVOST_SKIP_CLIENTS` is set, with a word on the
/// terminal that the harness does not swallow.
pub fn or_say_why<T>(made: Result<T, Missing>) -> Option<T> {
    match made {
        Ok(made) => Some(made),
        Err(Missing(what)) if std::env::var_os("PROVOST_SKIP_CLIENTS").is_some() => {
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            let _ = writeln!(std::io::stderr(), "COULD NOT RUN {test}: {what}");
            None
        }
        Err(Missing(what)) => panic!("{what}\n(or set PROVOST_SKIP_CLIENTS=1 to go on without these tests)"),
    }
}

pub struct Workstation {
    dir: PathBuf,
    sshd: Child,
    _account: Account,
}

impl Workstation {
    /// With a server that starts `provost` from the build tree, for the node's daemons.
    pub fn of(node: &Node) -> Result<Self, Missing> {
        let [sshd, keygen, ..] = programs(["sshd", "ssh-keygen", "ssh", "useradd"])?;
        let dir = node.dir().join("ssh");
        fs::create_dir(&dir).expect("a directory");
        for key in ["host_key", "user_key"] {
            let made = Command::new(&keygen)
                .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
                .arg(dir.join(key))
                .status();
            assert!(made.expect("ssh-keygen").success());
        }
        fs::copy(dir.join("user_key.pub"), dir.join("authorized_keys")).expect("authorized_keys");
        // The account must reach the program, wherever the checkout is.
        fs::create_dir(dir.join("bin")).expect("bin");
        fs::copy(env!("CARGO_BIN_EXE_provost"), dir.join("bin/provost")).expect("provost");
        // OpenSSH locks its unprivileged half into it; the packaged unit makes it too.
        fs::create_dir_all("/run/sshd").expect("/run/sshd");
        let account = Account::new();
        let sshd = start_sshd(&sshd, &dir, &node.config());
        Ok(Self { dir, sshd, _account: account })
    }

    /// `ssh` with nothing of the caller's own configuration.
    pub fn ssh(&self) -> Vec<String> {
        vec!["ssh".into(), "-F".into(), self.dir.join("config").display().to_string()]
    }

    /// The command that a client's configuration holds.
    pub fn bridge(&self) -> Vec<String> {
        let mut command = self.ssh();
        command.extend(["node", "provost", "bridge"].map(String::from));
        command
    }

    /// The node's socket, on the workstation.
    pub fn tunnel(&self, node: &Node) -> Tunnel {
        let socket = self.dir.join("provost.sock");
        let forward = format!("{}:{}", socket.display(), node.socket().display());
        let ssh = self.ssh();
        let child = Command::new(&ssh[0])
            .args(&ssh[1..])
            .args(["-N", "-o", "ExitOnForwardFailure=yes", "-L", &forward, "node"])
            .stdin(Stdio::null())
            .spawn()
            .expect("ssh");
        eventually("ssh listens on its end of the tunnel", || socket.exists());
        Tunnel { child, socket }
    }
}

impl Drop for Workstation {
    fn drop(&mut self) {
        let _ = self.sshd.kill();
        let _ = self.sshd.wait();
        if std::thread::panicking() {
            eprintln!("--- sshd\n{}", fs::read_to_string(self.dir.join("sshd.log")).unwrap_or_default());
        }
    }
}

pub struct Tunnel {
    pub child: Child,
    pub socket: PathBuf,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.socket);
    }
}

/// Writes both sides' configuration and starts a server of our own on a port of its own.
fn start_sshd(sshd: &Path, dir: &Path, config: &Path) -> Child {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let (port, at) = (free.port(), dir.display());
    let server = format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey {at}/host_key\nAuthorizedKeysFile {at}/authorized_keys\n\
         AllowUsers {USER}\nPidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nPrintLastLog no\n\
         SetEnv PATH={at}/bin:/usr/bin:/bin PROVOST_CONFIG={}\n",
        config.display()
    );
    let client = format!(
        "Host node\nHostName 127.0.0.1\nPort {port}\nUser {USER}\nIdentityFile {at}/user_key\nIdentitiesOnly yes\n\
         IdentityAgent none\nUserKnownHostsFile {at}/known_hosts\nStrictHostKeyChecking yes\nBatchMode yes\n\
         LogLevel ERROR\n"
    );
    let key = fs::read_to_string(dir.join("host_key.pub")).expect("host key");
    for (name, text) in
        [("sshd_config", server), ("config", client), ("known_hosts", format!("[127.0.0.1]:{port} {key}"))]
    {
        fs::write(dir.join(name), text).expect("ssh configuration");
    }
    let log = dir.join("sshd.log");
    let child = Command::new(sshd)
        .args(["-D", "-e", "-f"])
        .arg(dir.join("sshd_config"))
        .stdin(Stdio::null())
        .stderr(File::create(&log).expect("log"))
        .spawn()
        .expect("start sshd");
    let says = |what: &str| fs::read_to_string(&log).unwrap_or_default().contains(what);
    eventually("sshd listens", || says("Server listening"));
    child
}

/// Where programs are, also those that only root has in its path.
pub fn programs<const N: usize>(names: [&str; N]) -> Result<[PathBuf; N], Missing> {
    if !nix::unistd::Uid::effective().is_root() {
        return Err(Missing("needs root, for the containers and for an account of its own".into()));
    }
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin:/sbin";
    let found =
        |name: &str| std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    let missing: Vec<&str> = names.into_iter().filter(|name| found(name).is_none()).collect();
    if !missing.is_empty() {
        let list = missing.join(", ");
        return Err(Missing(format!(
            "no {list} here: apt-get install openssh-server openssh-client nodejs npm python3-venv passwd"
        )));
    }
    Ok(names.map(|name| found(name).unwrap_or_default()))
}

/// The account, which the tests that run at once share: the first makes it, and the last removes it.
struct Account {
    used: Option<Flock<File>>,
}

impl Account {
    fn new() -> Self {
        let _turn = Self::lock("turn", FlockArg::LockExclusive).expect("a turn");
        let used = Self::lock("used", FlockArg::LockShared).expect("the account");
        if !nix::unistd::User::from_name(USER).is_ok_and(|user| user.is_some()) {
            // No password, and not locked either, which sshd would refuse; a system account, as others get a range of
            // ids of their own in /etc/subuid.
            let made = Command::new("/usr/sbin/useradd")
                .args(["--system", "--no-create-home", "--home-dir", "/", "--shell", "/bin/sh"])
                .args(["--password", "*", "--user-group", USER])
                .status();
            assert!(made.expect("useradd").success(), "cannot make the account {USER}");
        }
        Self { used: Some(used) }
    }

    fn lock(name: &str, how: FlockArg) -> Option<Flock<File>> {
        let path = format!("/run/{USER}.{name}");
        let file = File::options().create(true).append(true).open(path).expect("a lock");
        file.set_permissions(PermissionsExt::from_mode(0o600)).expect("mode");
        Flock::lock(file, how).ok()
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let _turn = Self::lock("turn", FlockArg::LockExclusive);
        self.used = None;
        if Self::lock("used", FlockArg::LockExclusiveNonblock).is_some() {
            // With force: a session that just ended may still be counted as one of its processes.
            let _ = Command::new("/usr/sbin/userdel").args(["--force", USER]).stderr(Stdio::null()).status();
        }
    }
}
