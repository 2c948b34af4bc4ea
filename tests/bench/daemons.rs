//! Both daemons as a node runs them: release builds, `provost-execd` as root, `provostd` as an account without rights.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The uid that `provostd` runs as: one that no account has, so that it owns nothing.
pub const AGENT: u32 = 64_990;

/// What is measured: `$PROVOSTD`, `$PROVOST_EXECD`, or where the build puts them.
pub struct Builds {
    pub provostd: PathBuf,
    pub execd: PathBuf,
}

impl Builds {
    pub fn find() -> Result<Self, String> {
        let find = |variable: &str, place: &str| {
            let path = std::env::var_os(variable).map_or_else(
                || Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(place),
                PathBuf::from,
            );
            match path.exists() {
                true => Ok(path),
                false => Err(format!(
                    "{} is not there: build it, or say in ${variable} where it is",
                    path.display()
                )),
            }
        };
        Ok(Self {
            provostd: find("PROVOSTD", "release/provostd")?,
            execd: find("PROVOST_EXECD", "x86_64-unknown-linux-gnu/execd/provost-execd")?,
        })
    }
}

/// A directory with a configuration, and the daemons on it.
pub struct Node {
    dir: tempfile::TempDir,
    builds: Builds,
    execd: Child,
    provostd: Child,
}

impl Node {
    pub fn start(builds: Builds, lxcpath: &Path) -> Self {
        Self::with(builds, lxcpath, "")
    }

    /// With lines of its own in the configuration.
    pub fn with(builds: Builds, lxcpath: &Path, more: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("provost-bench-").tempdir().expect("a directory");
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("mode");
        let run = dir.path().join("run");
        fs::create_dir(&run).expect("run");
        chown(&run, Some(AGENT), None).expect("chown");
        let config = format!(
            "[listen]\nunix = \"{run}/mcp.sock\"\n[ledger]\ndir = \"{run}/ledger\"\n\
             [exec]\nenabled = true\nsocket = \"{run}/exec.sock\"\nlxcpath = \"{lxcpath}\"\nuser = \"{AGENT}\"\n\
             containers = [\"1-999999\"]\n\
             [[role]]\nname = \"all\"\nmembers = [\"user:root\"]\nprofile = \"full\"\n{more}",
            run = run.display(),
            lxcpath = lxcpath.display(),
        );
        fs::write(dir.path().join("provost.toml"), config).expect("configuration");
        let execd = daemon(&builds.execd, dir.path()).spawn().expect("start provost-execd");
        until_there(&run.join("exec.sock"));
        let provostd = agent(&builds.provostd, dir.path()).spawn().expect("start provostd");
        until_there(&run.join("mcp.sock"));
        Self { dir, builds, execd, provostd }
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("run/mcp.sock")
    }

    pub fn exec_socket(&self) -> PathBuf {
        self.dir.path().join("run/exec.sock")
    }

    pub fn execd(&self) -> u32 {
        self.execd.id()
    }

    pub fn provostd(&self) -> u32 {
        self.provostd.id()
    }

    pub fn stop_provostd(&mut self) {
        end(&mut self.provostd);
        let _ = fs::remove_file(self.socket());
    }

    /// Returns as soon as the process is born.
    pub fn start_provostd(&mut self) {
        self.provostd = agent(&self.builds.provostd, self.dir.path()).spawn().expect("start provostd");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        end(&mut self.provostd);
        end(&mut self.execd);
        if std::thread::panicking() {
            for log in ["provost-execd.log", "provostd.log"] {
                eprintln!("--- {log}\n{}", fs::read_to_string(self.dir.path().join(log)).unwrap_or_default());
            }
        }
    }
}

fn daemon(program: &Path, dir: &Path) -> Command {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let log =
        fs::File::options().create(true).append(true).open(dir.join(format!("{name}.log"))).expect("log");
    let mut command = Command::new(program);
    command.arg("--config").arg(dir.join("provost.toml")).env_remove("JOURNAL_STREAM");
    command.stdin(Stdio::null()).stderr(log);
    command
}

fn agent(program: &Path, dir: &Path) -> Command {
    let mut command = daemon(program, dir);
    command.uid(AGENT).gid(AGENT);
    command
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn until_there(path: &Path) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !path.exists() {
        assert!(Instant::now() < deadline, "in ten seconds never there: {}", path.display());
        std::thread::sleep(Duration::from_millis(1));
    }
}
