//! What else runs a command in a container, each started as cheaply as this process can: one `posix_spawn`, pipes as
//! stdio, one wait.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A container of the lab, as lxc's own tools reach it.
pub struct Container {
    pub lxcpath: PathBuf,
    pub guest: u32,
    init: String,
}

impl Container {
    pub fn find(lxcpath: PathBuf, guest: u32) -> Result<Self, String> {
        let info =
            Command::new("lxc-info").arg("-P").arg(&lxcpath).args(["-n", &guest.to_string(), "-pH"]).output();
        let info = info.map_err(|error| format!("cannot run lxc-info: {error}"))?;
        let init = String::from_utf8_lossy(&info.stdout).trim().to_owned();
        match init.parse::<u32>() {
            Ok(_) => Ok(Self { lxcpath, guest, init }),
            Err(_) => Err(format!("container {guest} in {} does not run", lxcpath.display())),
        }
    }

    pub fn lxc_attach(&self, argv: &[&str]) -> Command {
        let mut command = Command::new("lxc-attach");
        command.arg("-P").arg(&self.lxcpath).args(["-n", &self.guest.to_string(), "--"]).args(argv);
        command
    }

    /// The floor: util-linux's way into every namespace, without cgroup, capabilities, label or seccomp profile.
    pub fn nsenter(&self, argv: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-a", "-t", &self.init, "--"]).args(argv);
        command
    }
}

/// Runs a command to its end, its output read.
pub fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::piped()).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "{command:?}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ))),
    }
}

/// An OpenSSH server on loopback with keys of its own.
pub struct Sshd {
    dir: tempfile::TempDir,
    port: u16,
    server: Child,
}

impl Sshd {
    pub fn start() -> Result<Self, String> {
        let program = Path::new("/usr/sbin/sshd");
        if !program.exists() {
            return Err(format!("{} is not there: install openssh-server", program.display()));
        }
        let said = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
        let dir =
            tempfile::Builder::new().prefix("provost-bench-ssh-").tempdir().map_err(said("a directory"))?;
        for key in ["host", "client"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.path().join(key));
            run(&mut keygen).map_err(said("ssh-keygen"))?;
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
        let port = port.map_err(said("a port"))?.port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {dir}/host\nAuthorizedKeysFile {dir}/client.pub\n\
             PermitRootLogin prohibit-password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             UsePAM no\nUseDNS no\nStrictModes no\nPidFile none\nLogLevel ERROR\n",
            dir = dir.path().display(),
        );
        fs::write(dir.path().join("sshd_config"), config).map_err(said("sshd_config"))?;
        let public = fs::read_to_string(dir.path().join("host.pub")).map_err(said("host.pub"))?;
        fs::write(dir.path().join("known_hosts"), format!("[127.0.0.1]:{port} {public}"))
            .map_err(said("known_hosts"))?;
        // The package's unit makes it; where no service manager runs, nobody has.
        fs::create_dir_all("/run/sshd").map_err(said("/run/sshd"))?;
        let log = fs::File::create(dir.path().join("log")).map_err(said("log"))?;
        let mut server = Command::new(program);
        server.args(["-D", "-e", "-f"]).arg(dir.path().join("sshd_config")).stdin(Stdio::null()).stderr(log);
        let server = server.spawn().map_err(said("sshd"))?;
        let this = Self { dir, port, server };
        let deadline = Instant::now() + Duration::from_secs(5);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if Instant::now() > deadline {
                let log = fs::read_to_string(this.dir.path().join("log")).unwrap_or_default();
                return Err(format!("sshd does not listen: {log}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(this)
    }

    /// A fresh connection that runs `lxc-attach`.
    pub fn ssh(&self, container: &Container, argv: &[&str]) -> Command {
        let mut command = Command::new("ssh");
        command.args([
            "-F",
            "none",
            "-p",
            &self.port.to_string(),
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
        ]);
        command.arg("-i").arg(self.dir.path().join("client"));
        command
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", self.dir.path().join("known_hosts").display()));
        command.args(["root@127.0.0.1", "--", "lxc-attach", "-P"]).arg(&container.lxcpath);
        command.args(["-n", &container.guest.to_string(), "--"]).args(argv);
        command
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
