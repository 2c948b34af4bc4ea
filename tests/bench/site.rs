//! A simulated cluster in a process of its own, and `provostd` beside it as on a node: what the one takes is not
//! counted as the other's.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use provost::sim::estate::demo;
use provost::sim::{Options, Sim};

use crate::session::Session;

/// Set for the run that is the simulated cluster: its directory.
const SIM: &str = "PROVOST_BENCH_SIM";
/// The container that is really there, where one is.
const CONTAINER: &str = "PROVOST_BENCH_CONTAINER";
/// How many guests it has.
const GUESTS: &str = "PROVOST_BENCH_GUESTS";
/// Whether it makes its list of all there is for each who asks.
const ANEW: &str = "PROVOST_BENCH_ANEW";

/// What is measured: `$PROVOSTD`, or where the build puts it.
pub fn provostd() -> Result<PathBuf, String> {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/release/provostd");
    let path = std::env::var_os("PROVOSTD").map_or_else(built, PathBuf::from);
    match path.exists() {
        true => Ok(path),
        false => Err(format!("{} is not there: build it, or say in $PROVOSTD where it is", path.display())),
    }
}

/// If this process is the simulated cluster: that, until whoever started it closes its standard input.
pub fn be_the_cluster() -> Option<io::Result<()>> {
    let dir = std::env::var_os(SIM)?;
    let guests = std::env::var(GUESTS).ok()?.parse().ok()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    Some(runtime.and_then(|runtime| {
        let container: Option<u32> = std::env::var(CONTAINER).ok().and_then(|vmid| vmid.parse().ok());
        let mut options = Options::new(dir, demo(guests, container.as_slice()));
        options.anew = std::env::var_os(ANEW).is_some();
        let sim = runtime.block_on(Sim::start(options)).map_err(io::Error::other)?;
        println!("{}\n{}", sim.url, sim.daemon_url);
        io::stdout().flush()?;
        io::copy(&mut io::stdin().lock(), &mut io::sink()).map(drop)
    }))
}

/// By which the node's API is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// pvedaemon's port, which is open to who is on the node.
    Daemon,
    /// pveproxy's, over TLS, which every client has.
    Proxy,
}

pub struct Cluster {
    dir: tempfile::TempDir,
    process: Child,
    /// `https://127.0.0.1:PORT`: pveproxy's.
    pub url: String,
    /// `http://127.0.0.1:PORT`: pvedaemon's.
    pub daemon: String,
}

impl Cluster {
    pub fn start(guests: u32) -> io::Result<Self> {
        Self::of(guests, None, false)
    }

    /// With a container of that number on its first node.
    pub fn with(guests: u32, container: Option<u32>) -> io::Result<Self> {
        Self::of(guests, container, false)
    }

    /// Which makes its list of all there is for each who asks, as a real node does.
    pub fn making_lists(guests: u32) -> io::Result<Self> {
        Self::of(guests, None, true)
    }

    fn of(guests: u32, container: Option<u32>, anew: bool) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("provost-bench-").tempdir()?;
        let mut process = Command::new(std::env::current_exe()?)
            .envs(container.map(|vmid| (CONTAINER, vmid.to_string())))
            .envs(anew.then_some((ANEW, "1")))
            .env(SIM, dir.path())
            .env(GUESTS, guests.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let mut line =
            || lines.next().unwrap_or_else(|| Err(io::Error::other("the simulated cluster ended")));
        Ok(Self { url: line()?, daemon: line()?, dir, process })
    }

    /// What a configuration says of it.
    pub fn lines(&self) -> String {
        self.lines_for(Door::Daemon)
    }

    fn lines_for(&self, door: Door) -> String {
        format!(
            "[pve]\nurl = \"{url}\"\ndaemon = \"{daemon}\"\ntoken = \"{sim}/pve-token\"\n\
             certificate = \"{sim}/pve-ssl.pem\"\netc_pve = \"{sim}/etc-pve\"\n",
            url = self.url,
            daemon = if door == Door::Daemon { &self.daemon } else { "" },
            sim = self.dir.path().display(),
        )
    }

    /// Gives all of its directory to an account.
    pub fn belongs_to(&self, uid: u32) -> io::Result<()> {
        let owner = format!("{uid}:{uid}");
        let status = Command::new("chown").arg("-R").arg(owner).arg(self.dir.path()).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other("chown failed")) }
    }

    /// Its /etc/pve.
    pub fn tree(&self) -> PathBuf {
        self.dir.path().join("etc-pve")
    }

    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("pve-ssl.pem")
    }

    /// As an `Authorization` header has it.
    pub fn token(&self) -> io::Result<String> {
        fs::read_to_string(self.dir.path().join("pve-token")).map(|token| token.trim().to_owned())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `provostd` with a directory of its own, where what it keeps stays from one start to the next.
pub struct Agent {
    program: PathBuf,
    dir: tempfile::TempDir,
    process: Child,
    starts: usize,
}

impl Agent {
    /// `apidoc` is the node's description of its API.
    pub fn start(program: &Path, cluster: &Cluster, apidoc: &Path) -> io::Result<Self> {
        Self::start_by(Door::Daemon, program, cluster, apidoc)
    }

    /// One that asks the node by this door alone.
    pub fn start_by(door: Door, program: &Path, cluster: &Cluster, apidoc: &Path) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("provost-bench-").tempdir()?;
        let config = format!(
            "[listen]\nunix = \"{dir}/mcp.sock\"\n\
             {pve}apidoc = \"{apidoc}\"\n\
             [ledger]\ndir = \"{dir}/ledger\"\n\
             [[role]]\nname = \"all\"\nmembers = [\"user:{me}\"]\nprofile = \"observe\"\n",
            dir = dir.path().display(),
            pve = cluster.lines_for(door),
            apidoc = apidoc.display(),
            me = nix::unistd::Uid::effective(),
        );
        let file = dir.path().join("provost.toml");
        fs::write(&file, config)?;
        fs::set_permissions(&file, PermissionsExt::from_mode(0o600))?;
        let process = spawn(program, dir.path())?;
        Ok(Self { program: program.to_owned(), dir, process, starts: 1 })
    }

    pub fn restart(&mut self) -> io::Result<()> {
        end(&mut self.process);
        let _ = fs::remove_file(self.dir.path().join("mcp.sock"));
        self.process = spawn(&self.program, self.dir.path())?;
        self.starts += 1;
        Ok(())
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it has said in its log that it serves: then nothing of its start is left to do.
    pub fn listens(&self) -> io::Result<()> {
        let began = Instant::now();
        let socket = self.dir.path().join("mcp.sock");
        let serves = || -> io::Result<bool> {
            let log = fs::read_to_string(self.dir.path().join("log"))?;
            Ok(socket.exists() && log.matches(" serving ").count() == self.starts)
        };
        while !serves()? {
            if began.elapsed() > Duration::from_secs(10) {
                return Err(io::Error::other("in ten seconds provostd never served"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("mcp.sock")
    }

    /// A session with it, as soon as it listens.
    pub fn session(&self) -> io::Result<Session> {
        let began = Instant::now();
        loop {
            match Session::open(&self.socket()) {
                Err(_) if began.elapsed() < Duration::from_secs(10) => {
                    std::thread::sleep(Duration::from_micros(100));
                }
                opened => return opened,
            }
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        end(&mut self.process);
        if std::thread::panicking() {
            eprintln!(
                "--- provostd.log\n{}",
                fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
            );
        }
    }
}

fn spawn(program: &Path, dir: &Path) -> io::Result<Child> {
    let log = fs::File::options().create(true).append(true).open(dir.join("log"))?;
    let mut command = Command::new(program);
    command.arg("--config").arg(dir.join("provost.toml")).env_remove("JOURNAL_STREAM");
    command.stdin(Stdio::null()).stderr(log).spawn()
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
