//! A client script under way: started with its task, read line by line, told to go on.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::common::root;
use crate::workstation::Missing;

/// What is searched for programs: a Node.js that `prepare` brought comes before the machine's.
pub fn path(packages: &Path) -> OsString {
    let mut path = packages.join("venv/bin").into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    path
}

/// Where tests/clients/prepare has put the SDKs.
pub fn packages() -> Result<PathBuf, Missing> {
    let prepared = Command::new(root().join("tests/clients/prepare")).output().expect("prepare");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match prepared.status.code() {
        Some(0) => Ok(said(&prepared.stdout).into()),
        Some(77) => Err(Missing(said(&prepared.stderr))),
        _ => panic!("tests/clients/prepare: {}", said(&prepared.stderr)),
    }
}

pub struct Script {
    child: Child,
    lines: Receiver<String>,
    log: PathBuf,
    name: String,
}

impl Script {
    /// Starts a script of this directory, by what its name ends in, with `dir` to work in.
    pub fn start(packages: &Path, dir: &Path, script: &str, task: &Value) -> Self {
        Self::within(packages, "venv", dir, script, task)
    }

    /// The same, by the Python packages of another environment.
    pub fn within(packages: &Path, venv: &str, dir: &Path, script: &str, task: &Value) -> Self {
        let source = root().join("tests/clients").join(script);
        let mut command;
        if script.ends_with(".py") {
            command = Command::new(packages.join(venv).join("bin/python"));
            command.arg(source);
        } else {
            // Modules are looked for beside the script.
            let (script, modules) = (dir.join(script), dir.join("node_modules"));
            fs::copy(source, &script).expect("the script");
            if !modules.exists() {
                std::os::unix::fs::symlink(packages.join("node_modules"), &modules).expect("node_modules");
            }
            command = Command::new("node");
            command.env("PATH", path(packages)).arg(script);
        }
        let log = dir.join("client.log");
        let mut child = command
            .arg(task.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("log"))
            .spawn()
            .expect("start the client");
        let (send, lines) = channel();
        let output = BufReader::new(child.stdout.take().expect("stdout"));
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, lines, log, name: task.to_string() }
    }

    /// The next line, which must be of that step.
    pub fn step(&mut self, step: &str) -> Value {
        let line = self.lines.recv_timeout(Duration::from_secs(60));
        let line = line.unwrap_or_else(|_| panic!("{}: no step \"{step}\"", self.name));
        let seen: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(seen["step"], step, "{}: {seen}", self.name);
        seen
    }

    /// Lets a script that waits go on.
    pub fn go_on(&mut self) {
        self.tell("");
    }

    /// As [`Script::go_on`], with what it waits for.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.child.stdin.as_ref().expect("stdin"), "{line}").expect("a script that waits");
    }

    /// Its end, which must be a good one.
    pub fn end(mut self) {
        let status = self.child.wait().expect("wait");
        assert!(status.success(), "{}: {status}", self.name);
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- client\n{}", fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}
