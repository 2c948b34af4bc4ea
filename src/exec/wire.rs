//! One request and one reply over a SOCK_SEQPACKET connection, as JSON, with the command's three descriptors beside
//! the request. A message is one packet: there is no framing to get out of step.
//!
//! Maps are written as lists of pairs, so that a key that stands twice is seen and not merged, and every number fits a
//! double, so that no reader rounds it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use super::guest::Guest;
use crate::door::Errand;

/// Bytes that a request or a reply has at most. Longer input belongs on the command's stdin.
pub const LONGEST: usize = 160 * 1024;
/// The version of this wire; the two daemons come in one package, so there is one.
pub const VERSION: u32 = 1;

const MOST_ARGUMENTS: usize = 4096;
const MOST_VARIABLES: usize = 1024;

/// How far the command may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Inspect,
    Change,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Self::Inspect => "inspect",
            Self::Change => "change",
        }
    }
}

/// What `provostd` asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub version: u32,
    pub guest: Guest,
    pub mode: Mode,
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    pub cwd: String,
    pub user: Option<String>,
    pub timeout_ms: u64,
    /// Who asked `provostd`, for the journal. Nothing is decided by it.
    pub asked_by: String,
    /// What `provostd` says of the script that it feeds to the command, for the journal too.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub script: Option<Script>,
    /// A file in place of a command: nothing of the container's runs, and `argv` is empty.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<Errand>,
}

/// A script by its length and its SHA-256, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    pub bytes: u64,
    pub sha256: String,
}

impl Script {
    pub fn of(text: &str) -> Self {
        let hash = Sha256::digest(text);
        Self { bytes: text.len() as u64, sha256: hash.iter().map(|byte| format!("{byte:02x}")).collect() }
    }

    fn is_right(&self) -> bool {
        self.sha256.len() == 64 && self.sha256.bytes().all(|digit| digit.is_ascii_hexdigit())
    }
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RequestError {
    #[error("the request is {0} bytes, and at most {LONGEST} fit; pass long input on stdin")]
    Long(usize),
    #[error("the request is not understood: {0}")]
    Json(String),
    #[error(
        "the request is of version {0}, and this is version {VERSION}; restart both daemons after an upgrade"
    )]
    Version(u32),
    #[error("{what} {problem}")]
    Field { what: String, problem: &'static str },
}

impl Request {
    pub fn encode(&self) -> Result<Vec<u8>, RequestError> {
        self.check()?;
        let bytes = serde_json::to_vec(self).map_err(|error| RequestError::Json(error.to_string()))?;
        if bytes.len() > LONGEST { Err(RequestError::Long(bytes.len())) } else { Ok(bytes) }
    }

    /// Reads a packet and checks every field of it.
    pub fn decode(bytes: &[u8]) -> Result<Self, RequestError> {
        if bytes.len() > LONGEST {
            return Err(RequestError::Long(bytes.len()));
        }
        let request: Self =
            serde_json::from_slice(bytes).map_err(|error| RequestError::Json(error.to_string()))?;
        request.check()?;
        Ok(request)
    }

    fn check(&self) -> Result<(), RequestError> {
        let wrong = |what: &str, problem| Err(RequestError::Field { what: what.into(), problem });
        if self.version != VERSION {
            return Err(RequestError::Version(self.version));
        }
        if let Some(errand) = &self.file {
            return self.check_file(errand);
        }
        if self.argv.first().is_none_or(String::is_empty) {
            return wrong("argv", "needs a program as its first element");
        }
        if self.argv.len() > MOST_ARGUMENTS {
            return wrong("argv", "has more than 4096 elements");
        }
        if self.argv.iter().any(|argument| argument.contains('\0')) {
            return wrong("argv", "holds a NUL byte, which no argument can");
        }
        if self.env.len() > MOST_VARIABLES {
            return wrong("env", "has more than 1024 variables");
        }
        for (at, (name, value)) in self.env.iter().enumerate() {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return wrong(
                    &format!("env {name:?}"),
                    "is no variable: a name has no '=', and neither part a NUL byte",
                );
            }
            if self.env[..at].iter().any(|(earlier, _)| earlier == name) {
                return wrong(&format!("env {name:?}"), "stands there twice");
            }
        }
        if !self.cwd.starts_with('/') || self.cwd.contains('\0') {
            return wrong("cwd", "must be an absolute path inside the container");
        }
        if self
            .user
            .as_ref()
            .is_some_and(|user| user.is_empty() || user.len() > 256 || user.contains(['\0', '\n']))
        {
            return wrong("user", "must be a name, a uid or uid:gid");
        }
        if self.script.as_ref().is_some_and(|script| !script.is_right()) {
            return wrong("script", "must be told by 64 hexadecimal digits");
        }
        if self.timeout_ms == 0 {
            return wrong("timeout_ms", "must be more than zero");
        }
        match self.guest {
            Guest::Host => self.check_host(),
            Guest::Vmid(_) => Ok(()),
        }
    }

    /// What a command on the node has less of than one in a container.
    fn check_host(&self) -> Result<(), RequestError> {
        let wrong = |what: &str, problem| Err(RequestError::Field { what: what.into(), problem });
        if self.mode != Mode::Change {
            return wrong("mode", "is \"inspect\", and the node has no such lane");
        }
        if self.script.is_some() {
            return wrong("script", "is for a shell, and the node runs none between");
        }
        if !self.env.is_empty() {
            return wrong("env", "is set, and a command on the node begins with none of the caller's");
        }
        if !self.argv.first().is_some_and(|program| program.starts_with('/')) {
            return wrong("argv", "needs the program's whole path as its first element, on the node");
        }
        Ok(())
    }

    fn check_file(&self, errand: &Errand) -> Result<(), RequestError> {
        let wrong = |what: &str, problem| Err(RequestError::Field { what: what.into(), problem });
        let mode = if errand.changes() { Mode::Change } else { Mode::Inspect };
        if self.mode != mode {
            return wrong("mode", "is another than the errand's");
        }
        let plain = self.argv.is_empty() && self.env.is_empty() && self.cwd == "/";
        if !plain || self.user.is_some() || self.script.is_some() {
            return wrong("file", "comes beside a command, where only one of the two may");
        }
        if self.timeout_ms == 0 {
            return wrong("timeout_ms", "must be more than zero");
        }
        errand.problem().map_or(Ok(()), |(what, problem)| wrong(what, problem))
    }
}

/// What `provost-execd` answers, once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case", deny_unknown_fields)]
pub enum Reply {
    /// The command ran and ended.
    Ended(Outcome),
    /// It did not run, or not to its end.
    Refused(Refusal),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Exactly one of the two is there.
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub timed_out: bool,
    /// The container itself stopped while the command ran.
    pub container_stopped: bool,
    /// From the birth of the process to its end.
    pub duration_us: u64,
    pub cpu_us: Option<u64>,
    pub peak_bytes: Option<u64>,
    /// `cgroup`, or `process` where no controller of the host counts a cgroup's memory.
    pub peak_of: PeakOf,
    /// Descendants that go on after the command itself ended.
    pub left_running: usize,
    pub lane: LaneReport,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeakOf {
    Cgroup,
    Process,
}

/// The lane that the command ran in, and what held it there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneReport {
    pub mode: Mode,
    /// `cgroup`, or `pid_namespace_walk` where no cgroup leaf could be made.
    pub kill: String,
    /// In the inspect lane: the kernel's Landlock ABI, whether the system call filter stood, and which guarantees
    /// this kernel is too old to give.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub landlock_abi: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seccomp: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub not_guarded: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// A short name that programs can compare.
    pub kind: String,
    /// What was tried, on what, and what answered.
    pub message: String,
    /// What the reader can do about it.
    pub next: String,
}

impl Reply {
    pub fn encode(&self) -> Vec<u8> {
        // Numbers, texts and flags: nothing here that JSON cannot hold.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

#[cfg(test)]
impl Request {
    pub fn for_tests() -> Self {
        Self {
            version: VERSION,
            guest: Guest::Vmid(101),
            mode: Mode::Inspect,
            argv: vec!["df".into(), "-h".into()],
            env: vec![("LANG".into(), "C".into())],
            cwd: "/".into(),
            user: None,
            timeout_ms: 1000,
            asked_by: "user:alice".into(),
            script: Some(Script::of("df")),
            file: None,
        }
    }

    pub fn for_a_file(errand: Errand) -> Self {
        let mode = if errand.changes() { Mode::Change } else { Mode::Inspect };
        let (argv, env) = (Vec::new(), Vec::new());
        Self { mode, argv, env, script: None, file: Some(errand), ..Self::for_tests() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_the_wire() {
        let bytes = Request::for_tests().encode().unwrap();
        assert_eq!(Request::decode(&bytes), Ok(Request::for_tests()));
    }

    #[test]
    fn a_file_is_asked_for_alone_and_in_its_own_lane() {
        use crate::door::{Get, Part};
        let get = || Errand::Get(Get { path: "/etc/motd".into(), part: Part::From(0), most: 1 });
        let right = Request::for_a_file(get());
        assert_eq!(Request::decode(&right.encode().unwrap()), Ok(right.clone()));
        for wrong in [
            Request { mode: Mode::Change, ..right.clone() },
            Request { argv: vec!["df".into()], ..right.clone() },
            Request { user: Some("root".into()), ..right.clone() },
            Request { cwd: "/tmp".into(), ..right.clone() },
            Request { timeout_ms: 0, ..right.clone() },
            Request::for_a_file(Errand::Get(Get { path: "etc".into(), part: Part::From(0), most: 1 })),
        ] {
            assert!(wrong.encode().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_command_on_the_node_has_no_shell_no_variables_and_no_inspect_lane() {
        let argv = vec!["/usr/bin/uptime".into()];
        let mode = Mode::Change;
        let right =
            Request { guest: Guest::Host, mode, argv, env: vec![], script: None, ..Request::for_tests() };
        assert_eq!(Request::decode(&right.encode().unwrap()), Ok(right.clone()));
        for wrong in [
            Request { mode: Mode::Inspect, ..right.clone() },
            Request { script: Some(Script::of("id")), ..right.clone() },
            Request { env: vec![("A".into(), "b".into())], ..right.clone() },
            Request { argv: vec!["uptime".into()], ..right.clone() },
        ] {
            assert!(wrong.encode().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_means_two_things_is_refused() {
        let text = String::from_utf8(Request::for_tests().encode().unwrap()).unwrap();
        for (from, to) in [
            ("\"guest\":101", "\"guest\":101,\"guest\":102"),
            ("\"guest\":101", "\"guest\":101.5"),
            ("\"guest\":101", "\"guest\":4294967397"),
            ("\"guest\":101", "\"guest\":101,\"host\":true"),
            ("[\"LANG\",\"C\"]", "[\"LANG\",\"C\"],[\"LANG\",\"D\"]"),
            ("\"LANG\"", "\"LANG=C\""),
            ("\"df\"", "\"d\\u0000f\""),
            ("\"df\",\"-h\"", ""),
            ("\"cwd\":\"/\"", "\"cwd\":\"tmp\""),
            ("\"timeout_ms\":1000", "\"timeout_ms\":0"),
            ("\"version\":1", "\"version\":2"),
            ("inspect", "INSPECT"),
            ("\"sha256\":\"", "\"sha256\":\"x"),
        ] {
            assert!(text.contains(from), "{from}");
            assert!(Request::decode(text.replace(from, to).as_bytes()).is_err(), "{to}");
        }
        assert!(Request::decode(&[0xff; 10]).is_err());
        assert_eq!(Request::decode(&vec![b' '; LONGEST + 1]), Err(RequestError::Long(LONGEST + 1)));
    }
}
