//! What runs in a simulated VM and answers as its guest agent: processes, and files.
//!
//! A machine of its own has a file system in memory, and no program in it. A *bound* one is the machine on which the
//! simulation runs: commands are real processes there, paths real files. Only a test binds one, and knows what it runs.

pub mod process;

use std::collections::BTreeMap;
use std::fs;
use std::io;

use serde_json::{Value, json};

use process::Process;

/// Bytes that an agent keeps of each stream.
const MOST_OUTPUT: usize = 16 << 20;

#[derive(Debug)]
pub struct Machine {
    /// Whether an agent is installed and runs.
    pub answers: bool,
    /// Of an agent that is too old for them: `guest-exec`.
    pub lacks: Vec<&'static str>,
    /// Those that the guest's operator has turned off.
    pub disabled: Vec<&'static str>,
    /// Its file systems are frozen.
    pub frozen: bool,
    /// What `guest-get-osinfo` tells.
    pub os: Value,
    /// Programs that it does not have.
    pub without: Vec<&'static str>,
    /// Bytes that the agent keeps of each stream.
    pub most_output: usize,
    /// Commands begun since it was made: path and arguments.
    pub commands: Vec<Vec<String>>,
    /// Answers to `exec-status` that still fail, as on a bad connection to the agent.
    pub lost_looks: u32,
    bound: bool,
    files: BTreeMap<String, Vec<u8>>,
    processes: BTreeMap<u64, Process>,
}

impl Default for Machine {
    fn default() -> Self {
        let os = json!({
            "id": "debian", "name": "Debian GNU/Linux", "version": "13 (trixie)", "machine": "x86_64",
            "kernel-release": "6.12.0", "pretty-name": "Debian GNU/Linux 13 (trixie)", "version-id": "13",
            "kernel-version": "#1 SMP",
        });
        Self {
            answers: true,
            lacks: Vec::new(),
            disabled: Vec::new(),
            frozen: false,
            os,
            without: Vec::new(),
            most_output: MOST_OUTPUT,
            commands: Vec::new(),
            lost_looks: 0,
            bound: false,
            files: BTreeMap::new(),
            processes: BTreeMap::new(),
        }
    }
}

/// An agent's error: its class, and its own words.
#[derive(Debug)]
pub struct AgentError {
    pub class: &'static str,
    pub desc: String,
}

impl AgentError {
    fn generic(desc: impl Into<String>) -> Self {
        Self { class: "GenericError", desc: desc.into() }
    }
}

impl Machine {
    /// The machine on which the simulation runs.
    pub fn bound() -> Self {
        Self { bound: true, ..Self::default() }
    }

    /// Whether the agent takes a command now: `guest-exec`.
    pub fn allows(&self, command: &str) -> Result<(), AgentError> {
        let not = |desc: String| Err(AgentError { class: "CommandNotFound", desc });
        if self.lacks.contains(&command) {
            return not(format!("The command {command} has not been found"));
        }
        if self.disabled.contains(&command) {
            return not(format!("Command {command} has been disabled: the command is not allowed"));
        }
        if self.frozen && !["guest-ping", "guest-info", "guest-fsfreeze-thaw"].contains(&command) {
            return not(format!("Command {command} has been disabled: the agent is in frozen state"));
        }
        Ok(())
    }

    /// Starts a process, as a child of the agent: in its directory, with its environment, and nothing of its own.
    pub fn exec(&mut self, command: &[String], input: Option<Vec<u8>>) -> Result<u64, AgentError> {
        let path = command.first().map(String::as_str).unwrap_or_default();
        self.commands.push(command.to_vec());
        let failed = |error: io::Error| {
            let words = error.to_string();
            let words = words.split(" (os error").next().unwrap_or_default();
            AgentError::generic(format!(
                "Guest agent command failed, error was 'Failed to execute child process “{path}” ({words})'"
            ))
        };
        if !self.bound || self.without.contains(&path) {
            return Err(failed(io::Error::from_raw_os_error(2)));
        }
        let process = Process::start(command, input, self.most_output).map_err(failed)?;
        let pid = process.pid();
        self.processes.insert(pid, process);
        Ok(pid)
    }

    /// As `guest-exec-status`: the end of a process is told once.
    pub fn status(&mut self, pid: u64) -> Result<Value, AgentError> {
        let process = self.processes.get(&pid);
        let process = process.ok_or_else(|| AgentError::generic(format!("PID {pid} does not exist")))?;
        let Some(ended) = process.ended() else { return Ok(json!({ "exited": 0 })) };
        self.processes.remove(&pid);
        Ok(ended)
    }

    pub fn read(&self, path: &str) -> Result<Vec<u8>, AgentError> {
        let not_opened =
            |words: &str| AgentError::generic(format!("failed to open file '{path}' (mode: 'r'): {words}"));
        if !self.bound {
            return self.files.get(path).cloned().ok_or_else(|| not_opened("No such file or directory"));
        }
        if fs::metadata(path).is_ok_and(|meta| meta.is_dir()) {
            return Err(AgentError::generic("failed to read file: Is a directory"));
        }
        fs::read(path).map_err(|error| not_opened(words(&error).trim()))
    }

    pub fn write(&mut self, path: &str, content: Vec<u8>) -> Result<(), AgentError> {
        if !self.bound {
            self.files.insert(path.to_owned(), content);
            return Ok(());
        }
        fs::write(path, content).map_err(|error| {
            AgentError::generic(format!("failed to open file '{path}' (mode: 'wb'): {}", words(&error)))
        })
    }

    /// It stops, and all that runs in it.
    pub fn stop(&mut self) {
        self.processes.clear();
    }
}

fn words(error: &io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or_default().to_owned()
}
