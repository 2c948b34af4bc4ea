//! The hand in a virtual machine: what may be asked of its guest agent, and by whom.
//!
//! In: a [`Permit`], which is for that guest, and the node that it is on. Out: what PVE answers. No other call leaves by it
//! than those of [`Deed`], and to no other guest; what runs or writes takes a permit for changes. The role's `deny` and
//! `allow` hold for these calls as for all, and its token is who asks. Of the tier of these calls nothing is asked here:
//! they are what `exec` of the role gives, past which nobody comes to them.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use super::halt::Halt;
use super::hand::Unsent;
use super::{Barred, Denied, Permit, Policy};
use crate::config::Role;
use crate::exec::wire::Mode;
use crate::pve::{Answer, CallError, Client, Held, Methods, Once, Path, Read, Sink, Write};

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// What the node says of the VM: whether an agent is configured.
    Config,
    OsInfo,
    FileRead,
    Exec,
    ExecStatus,
    FileWrite,
}

/// How it is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// As often as it takes.
    Ask,
    /// Once, though it is a GET: the agent forgets a process whose end it has told, whether or not anybody heard.
    AskOnce,
    Tell,
}

impl Deed {
    fn manner(self) -> Manner {
        match self {
            Self::Config | Self::OsInfo | Self::FileRead => Manner::Ask,
            Self::ExecStatus => Manner::AskOnce,
            Self::Exec | Self::FileWrite => Manner::Tell,
        }
    }

    fn method(self) -> &'static str {
        match self.manner() {
            Manner::Ask | Manner::AskOnce => "GET",
            Manner::Tell => "POST",
        }
    }

    /// Below `/nodes/{node}/qemu/{vmid}`.
    fn leaf(self) -> &'static [&'static str] {
        match self {
            Self::Config => &["config"],
            Self::OsInfo => &["agent", "get-osinfo"],
            Self::FileRead => &["agent", "file-read"],
            Self::Exec => &["agent", "exec"],
            Self::ExecStatus => &["agent", "exec-status"],
            Self::FileWrite => &["agent", "file-write"],
        }
    }

    fn template(self) -> String {
        format!("/nodes/{{node}}/qemu/{{vmid}}/{}", self.leaf().join("/"))
    }

    /// Whether it needs a permit for changes. What a command printed is nobody's who may not run one.
    fn changes(self) -> bool {
        matches!(self, Self::Exec | Self::ExecStatus | Self::FileWrite)
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} {}", self.method(), self.template())
    }
}

/// The way to one VM's agent. Only [`Policy::inside`] makes one.
#[derive(Clone)]
pub struct Inside {
    client: Client,
    role: Role,
    mode: Mode,
    node: String,
    vmid: u32,
    halt: Halt,
}

impl Policy {
    /// `client` is the node's; what comes of it has the role's token, and is counted as the asker's.
    pub fn inside(&self, permit: &Permit, client: &Client, node: &str) -> Inside {
        let role = permit.role().clone();
        let client = match &role.token {
            Some(token) => client.for_token(token),
            None => client.clone(),
        };
        /// Of a file of 16 MiB that comes as text, JSON makes more.
        const LONGEST: usize = 32 << 20;
        let methods = match permit.mode {
            Mode::Inspect => Methods::Reads,
            Mode::Change => Methods::NoDelete,
        };
        Inside {
            client: client.limited_to(methods).for_account(permit.account).for_answers_of(LONGEST),
            role,
            mode: permit.mode,
            node: node.to_owned(),
            // The node itself has no agent, and 0 is no guest's.
            vmid: permit.guest.vmid().unwrap_or_default(),
            halt: self.halt.clone(),
        }
    }
}

impl Inside {
    pub fn node(&self) -> &str {
        &self.node
    }

    pub fn vmid(&self) -> u32 {
        self.vmid
    }

    /// Asks what changes nothing.
    pub async fn ask(&self, deed: Deed, parameters: &[(&str, &str)]) -> Result<Answer, Unsent> {
        let mut read = Read::new(self.path(deed, Manner::Ask)?);
        for (name, value) in parameters {
            read = read.with(name, value)?;
        }
        Ok(self.client.get(&read).await?)
    }

    /// Asks how a process ended: at most once, of one daemon, whose answer is waited for however long it is. What comes goes to
    /// `sink`.
    pub async fn ended(&self, pid: u64, sink: &mut dyn Sink) -> Result<(), Unsent> {
        /// For all that the agent kept of its output, by way of two daemons that are busy.
        const PATIENCE: Duration = Duration::from_secs(60);
        let once = Once::new(self.path(Deed::ExecStatus, Manner::AskOnce)?);
        Ok(self.client.get_once(once.with("pid", pid.to_string())?.within(PATIENCE), sink).await?)
    }

    /// The memory for what is kept of an answer.
    pub fn room(&self) -> Held {
        self.client.room().held()
    }

    /// Has something done. As with [`Client::send`], to drop the future is to give up knowing.
    pub async fn tell(&self, deed: Deed, parameters: &Map<String, Value>) -> Result<Answer, Unsent> {
        let path = self.path(deed, Manner::Tell)?;
        self.halt.check()?;
        Ok(self.client.send(body(path, parameters)?).await?)
    }

    /// Ends a process group that [`Inside::tell`] began: also while everything is halted, as it ends what should not run.
    pub async fn end(&self, group: u64) -> Result<Answer, Unsent> {
        /// With `-9 -N` every `kill` that there is takes a group.
        const KILL: &str = "kill -9 \"-$1\"";
        // 0 is the agent's own group, and 1 everybody.
        if group < 2 {
            return Err(Unsent::Promise(format!("the end of process group {group}")));
        }
        let parameters = serde_json::json!({ "command": ["/bin/sh", "-c", KILL, "sh", group.to_string()] });
        let parameters = parameters.as_object().cloned().unwrap_or_default();
        let path = self.path(Deed::Exec, Manner::Tell)?;
        Ok(self.client.send(body(path, &parameters)?).await?)
    }

    /// Where it is asked, once that is the role's to ask.
    fn path(&self, deed: Deed, manner: Manner) -> Result<Path, Unsent> {
        let (template, vmid) = (deed.template(), self.vmid.to_string());
        if deed.manner() != manner || deed.changes() && self.mode != Mode::Change {
            return Err(Unsent::Promise(deed.to_string()));
        }
        let segments = || ["nodes", &self.node, "qemu", &vmid].into_iter().chain(deed.leaf().iter().copied());
        let denies =
            |pattern: &&crate::config::CallPattern| pattern.matches(deed.method(), &template, segments());
        if let Some(pattern) = self.role.deny.iter().find(denies) {
            let (role, pattern) = (self.role.name.clone(), pattern.text().to_owned());
            return Err(Denied::from(Barred::Pattern { call: deed.to_string(), role, pattern }).into());
        }
        if !self.role.allows(deed.method(), &template, segments()) {
            let role = self.role.name.clone();
            return Err(Denied::from(Barred::Unlisted { call: deed.to_string(), role }).into());
        }
        Ok(Path::of(segments())?)
    }
}

/// As a form, which every PVE reads, where it is short and PVE reads the same out of it; else as JSON.
fn body(path: Path, parameters: &Map<String, Value>) -> Result<Write, CallError> {
    /// Bytes of values: older daemons take 64 KiB of a body, and a byte may become six in a form.
    const SHORT: usize = 8 << 10;
    let texts: Option<Vec<(&str, &str)>> =
        parameters.iter().try_fold(Vec::new(), |mut texts, (name, value)| {
            match value {
                Value::String(text) => texts.push((name.as_str(), text.as_str())),
                Value::Bool(flag) => texts.push((name.as_str(), if *flag { "1" } else { "0" })),
                // Of a form's list PVE forgets what stands before an empty item, and one of one item is none.
                Value::Array(items) if items.len() > 1 => {
                    for item in items {
                        texts.push((name.as_str(), item.as_str()?));
                    }
                }
                _ => return None,
            }
            Some(texts)
        });
    let is_fit = |texts: &Vec<(&str, &str)>| {
        let whole = texts.iter().all(|(_, text)| !text.is_empty() && !text.contains('\0'));
        whole && texts.iter().map(|(_, text)| text.len()).sum::<usize>() <= SHORT
    };
    match texts.filter(is_fit) {
        Some(texts) => texts.iter().try_fold(Write::post(path), |write, (name, text)| write.with(name, text)),
        None => Write::post(path).with_json(parameters),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(parameters: Value) -> &'static str {
        let path = Path::of(["x"]).unwrap();
        let write = body(path, parameters.as_object().unwrap()).unwrap();
        if write.is_form() { "form" } else { "json" }
    }

    #[test]
    fn what_a_form_would_lose_goes_as_json() {
        assert_eq!(kind(json!({ "command": ["ls", "-l"], "input-data": "x" })), "form");
        assert_eq!(kind(json!({ "file": "/x", "content": "eA==", "encode": false })), "form");
        for parameters in [
            json!({ "command": ["ls"] }),
            json!({ "command": ["printf", "", "x"] }),
            json!({ "command": ["cat", "-"], "input-data": "a\0b" }),
            json!({ "command": ["cat", "-"], "input-data": "x".repeat(9000) }),
        ] {
            assert_eq!(kind(parameters.clone()), "json", "{parameters}");
        }
    }
}
