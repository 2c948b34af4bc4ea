//! The configuration file: one TOML document that both daemons and the command line read.
//!
//! In: a path, or `$PROVOST_CONFIG`, or `/etc/provost/provost.toml`. Out: a [`Config`] whose every value was
//! checked, or a [`ConfigError`] that names the file, the line, the key and what would be right. A key that nobody
//! knows is an error: a misspelt `guests` must not mean "all guests".
//!
//! The comments on keys are for the operator: docs/configuration.md and provost.toml(5) are made of them (`reference`).

mod call;
mod file;
mod guests;
pub mod host;
mod http;
mod line;
mod not_yet;
mod range;
#[cfg(test)]
mod reference;
mod role;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use call::CallPattern;
pub use file::{Identity, identity, load_trusted};
pub use guests::{GuestSet, GuestTerm};
pub use http::{HttpPlace, is_loopback};
pub use line::Line;
pub use not_yet::NotYet;
pub use role::{ExecLane, How, Member, Profile, Rate, Role, Tier};

use crate::product::Product;

/// Where the configuration is when nobody says otherwise.
pub const DEFAULT_PATH: &str = "/etc/provost/provost.toml";

#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub listen: Listen,
    pub pve: Pve,
    pub exec: Exec,
    pub ledger: Ledger,
    pub approval: Approval,
    #[serde(rename = "role")]
    pub roles: Vec<Role>,
}

/// The doors of `provostd`. A change here holds from its next start on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// The assistants' socket. The operators' is beside it and ends in `.control.sock`. Where `provost.socket` hands them over, their
    /// places and modes are the unit's.
    pub unix: PathBuf,
    /// The mode of a socket that `provostd` binds itself, octal: who may connect.
    pub unix_mode: Mode,
    /// A port on which virtual machines of the node are served, over no network, by `provost-vsock.socket` or, where the unit allows
    /// `AF_VSOCK`, by `provostd` itself. Absent: off.
    #[cfg_attr(test, schemars(extend("unit" = "port")))]
    pub vsock: Option<u32>,
    /// A unix path, or an address of loopback such as `127.0.0.1:7180`, where MCP, OpenAPI, A2A, health and metrics are served over HTTP to
    /// whoever has a token (`provost token issue`), by `provost-http.socket` or by `provostd` itself. Absent: off.
    pub http: Option<HttpPlace>,
    /// Names that a request over HTTP may ask for (`Host`), with or without a port, beside those of loopback: a reverse proxy's.
    #[serde(deserialize_with = "http::hosts")]
    pub http_hosts: Vec<String>,
    /// Web pages that may ask (`Origin`), such as `https://chat.example.org`. A browser's request from any other is refused.
    #[serde(deserialize_with = "http::origins")]
    pub http_origins: Vec<String>,
    /// Sessions served at once; one more is told so and closed.
    #[cfg_attr(test, schemars(extend("unit" = "sessions")))]
    pub max_sessions: usize,
    /// Of these, sessions of one account. Absent: half.
    #[cfg_attr(test, schemars(extend("unit" = "sessions")))]
    pub max_sessions_per_user: Option<usize>,
}

impl Listen {
    pub fn sessions_per_user(&self) -> usize {
        self.max_sessions_per_user.unwrap_or(self.max_sessions.div_ceil(2))
    }

    /// The operators' door, beside the assistants': what forwards the one does not forward the other.
    pub fn control(&self) -> PathBuf {
        self.unix.with_extension("control.sock")
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            unix: "/run/provost/mcp.sock".into(),
            unix_mode: Mode(0o660),
            vsock: None,
            http: None,
            http_hosts: Vec::new(),
            http_origins: Vec::new(),
            max_sessions: 4096,
            max_sessions_per_user: None,
        }
    }
}

/// A file mode as an octal string (`"0660"`), so that nobody reads it as decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    test,
    derive(schemars::JsonSchema, serde::Serialize),
    schemars(with = "String"),
    serde(into = "String")
)]
#[serde(try_from = "String")]
pub struct Mode(pub u32);

impl TryFrom<String> for Mode {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        u32::from_str_radix(&text, 8)
            .ok()
            .filter(|mode| *mode <= 0o777)
            .map(Mode)
            .ok_or_else(|| format!("'{text}' is not an octal file mode such as \"0660\""))
    }
}

#[cfg(test)]
impl From<Mode> for String {
    fn from(mode: Mode) -> Self {
        format!("{:04o}", mode.0)
    }
}

/// The node's own REST API. A change here holds from `provostd`'s next start on. On a Backup Server, a Mail Gateway or a Datacenter
/// Manager it is that product's, and what is not written here is as docs/products.md has it.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Pve {
    /// Whose API it is. Absent: as what is installed says, and Proxmox VE's where several are.
    pub product: Option<Product>,
    /// Its proxy.
    pub url: String,
    /// Its daemon, for this node's own methods; `""` turns it off.
    pub daemon: String,
    /// A file of one line, `USER@REALM!ID=SECRET`, that not everybody may read; or, without a slash, the name of a systemd
    /// credential. A file that is replaced is read again.
    pub token: PathBuf,
    /// The certificate that the API must show. It is read again when it is replaced.
    pub certificate: PathBuf,
    /// The node's own description of its API. Without it, the one that is built in serves.
    pub apidoc: PathBuf,
    /// The cluster's configuration.
    pub etc_pve: PathBuf,
}

impl Default for Pve {
    fn default() -> Self {
        let facts = Product::Pve.facts();
        Self {
            product: None,
            url: facts.url.into(),
            daemon: facts.daemon_url.into(),
            token: "/etc/provost/pve-token".into(),
            certificate: facts.pinned.into(),
            apidoc: facts.apidoc.into(),
            etc_pve: "/etc/pve".into(),
        }
    }
}

impl Pve {
    /// Whose API it is. A configuration that was read has it settled.
    pub fn product(&self) -> Product {
        self.product.unwrap_or_default()
    }

    /// Settles whose API it is, and what of it was not `written`.
    fn settle(&mut self, root: &Path, written: impl Fn(&str) -> bool) {
        let product = self.product.unwrap_or_else(|| Product::installed(root).product);
        self.product = Some(product);
        let facts = product.facts();
        let unless = |key: &str, value: &'static str| (!written(key)).then_some(value);
        self.url = unless("url", facts.url).map_or_else(|| self.url.clone(), Into::into);
        self.daemon = unless("daemon", facts.daemon_url).map_or_else(|| self.daemon.clone(), Into::into);
        self.certificate =
            unless("certificate", facts.pinned).map_or_else(|| self.certificate.clone(), Into::into);
        self.apidoc = unless("apidoc", facts.apidoc).map_or_else(|| self.apidoc.clone(), Into::into);
    }
}

/// Commands and files in containers, and on the node. `provost-execd` reads this section itself, and holds to it whatever
/// `provostd` asks. It does nothing until `systemctl enable --now provost-execd.socket` has been said.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Exec {
    /// Whether commands run at all.
    pub enabled: bool,
    /// Where `provost-execd` is asked.
    pub socket: PathBuf,
    /// LXC's own directory.
    pub lxcpath: PathBuf,
    /// The only ones that can be entered, whoever asks: numbers, and ranges such as `"200-299"`.
    pub containers: GuestSet,
    /// Whether a container without a user namespace of its own may be entered. The unit's capabilities have to allow it too.
    pub privileged: bool,
    /// Whether commands and files of the node itself can be asked for: by roles with profile `full` that no `guests` and no `allow` limit,
    /// and each call after a person's yes.
    pub host: bool,
    /// Directories of the node's own under which its files may be read and replaced, where `host` is on. Private keys, password hashes and
    /// what is Provost's own stay closed.
    pub host_roots: Vec<PathBuf>,
    /// The account that `provostd` runs as: the one peer, beside root, that `provost-execd` serves.
    pub user: String,
    /// The oldest Landlock ABI on which the inspect lane is still offered. 3 is the first that guards truncation.
    #[cfg_attr(test, schemars(extend("unit" = "ABI")))]
    pub inspect_floor: u32,
    /// The longest time that a command may ask for.
    #[cfg_attr(test, schemars(extend("unit" = "seconds")))]
    pub max_timeout_s: u32,
    /// Of a command's output in one answer, stdout and stderr together.
    #[cfg_attr(test, schemars(extend("unit" = "bytes")))]
    pub max_output: usize,
    /// Commands that run at once; more wait their turn.
    #[cfg_attr(test, schemars(extend("unit" = "commands")))]
    pub max_parallel: usize,
    /// Of these, commands of one account. Absent: half.
    #[cfg_attr(test, schemars(extend("unit" = "commands")))]
    pub max_parallel_per_user: Option<usize>,
    /// Of a file that one call gives out or puts in. A call itself has 8 MiB at most.
    #[cfg_attr(test, schemars(extend("unit" = "bytes")))]
    pub max_file: usize,
    /// What all replaced files together take that are kept for undo, oldest out first; 0 keeps none.
    #[cfg_attr(test, schemars(extend("unit" = "bytes")))]
    pub keep_replaced: u64,
}

impl Exec {
    pub fn parallel_per_user(&self) -> usize {
        self.max_parallel_per_user.unwrap_or(self.max_parallel.div_ceil(2))
    }
}

impl Default for Exec {
    fn default() -> Self {
        Self {
            enabled: false,
            socket: "/run/provost/exec.sock".into(),
            lxcpath: "/var/lib/lxc".into(),
            containers: GuestSet::default(),
            privileged: false,
            host: false,
            host_roots: Vec::new(),
            user: "provost".into(),
            inspect_floor: 3,
            max_timeout_s: 3600,
            max_output: 64 * 1024,
            max_parallel: 128,
            max_parallel_per_user: None,
            max_file: 16 << 20,
            keep_replaced: 256 << 20,
        }
    }
}

/// The receipts. A change here holds from the daemons' next start on.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Ledger {
    /// Where they are.
    pub dir: PathBuf,
    /// Whether they hold a command in full, or its hash.
    pub argv: ArgvRecord,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { dir: "/var/lib/provost/ledger".into(), argv: ArgvRecord::Full }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "lowercase")]
pub enum ArgvRecord {
    Full,
    Hash,
}

/// Who decides about plans that wait, and who may halt every change.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Approval {
    /// `"user:NAME"` or `"group:NAME"`, beside root, who always may.
    pub members: Vec<Member>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {path}: {source}; create it, or name another with --config or $PROVOST_CONFIG", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: {message}", path = path.display())]
    Parse { path: PathBuf, message: String },
    #[error(
        "the configuration {path} decides who may do what, and uid {uid} (mode {mode:03o}) may write it; make it \
         root's: chown root {path} && chmod go-w {path}", path = path.display()
    )]
    Writable { path: PathBuf, uid: u32, mode: u32 },
    #[error("{path}: {line}{message}", path = path.display())]
    Range { path: PathBuf, line: Line, message: String },
    #[error(
        "{path}: {line}[approval] members names a virtual machine, and who decides about a change is a person on the node: name \
         users and groups", path = path.display()
    )]
    Approver { path: PathBuf, line: Line },
    #[error("{path}: {line}role \"{role}\" stands there twice; give each role a name of its own", path = path.display())]
    TwiceNamed { path: PathBuf, line: Line, role: String },
}

/// Whether a token's place is the name of a credential of systemd's: one without a `/`.
pub fn is_credential(token: &Path) -> bool {
    !token.is_absolute() && token.components().count() == 1
}

/// The path to read: what the caller was given, else `$PROVOST_CONFIG`, else the packaged place.
pub fn path(given: Option<PathBuf>) -> PathBuf {
    given
        .or_else(|| std::env::var_os("PROVOST_CONFIG").map(PathBuf::from))
        .unwrap_or_else(|| DEFAULT_PATH.into())
}

/// Reads and checks the whole file.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(path, &text)
}

/// As [`load`], for a text that is already here; `path` is only named in errors.
pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    parse_on(Path::new("/"), path, text)
}

/// The same on a host whose root is elsewhere.
fn parse_on(root: &Path, path: &Path, text: &str) -> Result<Config, ConfigError> {
    let mut config: Config = toml::from_str(text).map_err(|error| ConfigError::Parse {
        path: path.to_owned(),
        message: with_nearest(error.to_string().trim_end()),
    })?;
    let keys: toml::Table = toml::from_str(text).unwrap_or_default();
    let pve = keys.get("pve").and_then(toml::Value::as_table);
    config.pve.settle(root, |key| pve.is_some_and(|pve| pve.contains_key(key)));
    if config.approval.members.iter().any(Member::is_machine) {
        let line = line::of(text, "approval", 0, "members");
        return Err(ConfigError::Approver { path: path.to_owned(), line });
    }
    let mut names = std::collections::BTreeSet::new();
    for (at, role) in config.roles.iter().enumerate() {
        if !names.insert(&role.name) {
            let line = line::of(text, "role", at, "name");
            return Err(ConfigError::TwiceNamed { path: path.to_owned(), line, role: role.name.clone() });
        }
    }
    match range::outside(&config)
        .or_else(|| config.exec.host_roots.iter().find_map(|root| host::problem(root)))
    {
        Some(message) => {
            let line = line::of_message(text, &message);
            Err(ConfigError::Range { path: path.to_owned(), line, message })
        }
        None => Ok(config),
    }
}

/// serde's refusal of an unknown key or variant lists every valid one; this names the nearest first, as the reader most likely
/// mistyped it.
pub fn with_nearest(message: &str) -> String {
    let quoted: Vec<&str> = message
        .lines()
        .find(|line| line.starts_with("unknown field") || line.starts_with("unknown variant"))
        .map(|line| line.split('`').skip(1).step_by(2).collect())
        .unwrap_or_default();
    let Some((wrong, valid)) = quoted.split_first() else { return message.to_owned() };
    let nearest = valid.iter().max_by(|a, b| {
        let likeness = |name: &str| strsim::jaro_winkler(wrong, name);
        likeness(a).total_cmp(&likeness(b))
    });
    match nearest {
        Some(name) => format!("{message}\nThe nearest valid name is \"{name}\"."),
        None => message.to_owned(),
    }
}
