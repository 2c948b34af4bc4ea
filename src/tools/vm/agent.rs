//! The agent's calls by way of PVE's API, and why one fails.

use std::marker::PhantomData;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::json;

use super::bytes;
use super::system::{OsInfo, System};
use super::told::{Take, Telling};
use crate::ledger::{Ready, Recorded};
use crate::policy::{Deed, Inside, Unsent};
use crate::pve::{Answer, PveError, loose};
use crate::text::clean;
use crate::tools::answer::Failure;

/// Bytes of input that the agent's `exec` takes.
pub const MOST_INPUT: usize = 64 << 10;
/// Bytes that one call of `file-read` is asked for: PVE reads so many in one go, and encodes each go by itself.
pub const PIECE: u64 = 1 << 20;
/// Bytes of a file that one call of `file-write` takes, and of one that any gives where it knows no offset.
pub const MOST_WRITE: usize = 60 * 1024 / 4 * 3;
pub const MOST_READ: u64 = 16 << 20;

/// That a call may leave the process. Only a durable intent lets one change anything; what only reads needs a log that takes
/// receipts.
#[derive(Clone, Copy)]
pub struct Proof<'a>(PhantomData<&'a ()>);

impl<'a> Proof<'a> {
    pub fn recorded(_: &'a Recorded) -> Self {
        Self(PhantomData)
    }

    /// For a fixed script of this program's own that changes nothing.
    pub fn reads(_: &'a Ready) -> Self {
        Self(PhantomData)
    }
}

#[derive(Clone)]
pub struct Agent {
    pub(super) hand: Inside,
}

/// A process that has ended, and what is kept of its streams.
#[derive(Debug, Default)]
pub struct Ended<T = Vec<u8>> {
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: T,
    pub stderr: T,
    /// The agent kept no more of one of them.
    pub is_cut: bool,
}

/// A part of a file.
pub struct Piece {
    pub bytes: Vec<u8>,
    /// Whether the file ends with it.
    pub is_last: bool,
}

#[derive(Deserialize)]
struct Started {
    #[serde(deserialize_with = "loose::u64")]
    pid: u64,
}

#[derive(Deserialize)]
struct Content {
    content: String,
    #[serde(default, deserialize_with = "loose::optional::bool")]
    truncated: Option<bool>,
}

/// What an agent's own command gives: an error of its is an answer of PVE's.
#[derive(Deserialize)]
struct Wrapped {
    result: Told,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Told {
    Error { error: Said },
    Os(OsInfo),
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    desc: String,
}

impl Agent {
    pub fn new(hand: Inside) -> Self {
        Self { hand }
    }

    pub fn node(&self) -> &str {
        self.hand.node()
    }

    /// What runs in the guest. An agent that does not tell is one of an unknown system; that there is none is a failure.
    pub async fn system(&self) -> Result<System, Failure> {
        let answer = self.hand.ask(Deed::OsInfo, &[]).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(unsent) => return Err(self.failure(unsent).await),
        };
        match answer.data::<Wrapped>() {
            Ok(Wrapped { result: Told::Os(info) }) => Ok(System::of(&info)),
            Ok(Wrapped { result: Told::Error { error } }) => {
                Ok(System::Unknown(clean(bytes::message(&error.desc).as_bytes())))
            }
            Err(_) => Ok(System::Unknown("its answer is not understood".to_owned())),
        }
    }

    /// Starts a process, and answers with its pid in the guest.
    pub async fn exec(&self, argv: &[String], input: Option<&[u8]>, _: Proof<'_>) -> Result<u64, Failure> {
        let command: Vec<String> = argv.iter().map(|word| bytes::to_characters(word.as_bytes())).collect();
        let mut parameters = json!({ "command": command });
        if let Some(input) = input {
            parameters["input-data"] = bytes::to_characters(input).into();
        }
        let parameters = parameters.as_object().cloned().unwrap_or_default();
        let answer = match self.hand.tell(Deed::Exec, &parameters).await {
            Ok(answer) => answer,
            Err(unsent) => return Err(self.failure(unsent).await),
        };
        Ok(answer.data::<Started>()?.pid)
    }

    /// How a process ended, with so many bytes of each stream; none while it runs. The agent tells it once, and forgets it
    /// then.
    pub async fn ended<T: Take>(&self, pid: u64, most: usize) -> Result<Option<Ended<T>>, Failure> {
        let mut told = Telling::new(most, self.hand.room());
        match self.hand.ended(pid, &mut told).await {
            Ok(()) => Ok(told.ended()?),
            Err(unsent) => Err(self.failure(unsent).await),
        }
    }

    /// At most [`PIECE`] bytes from `offset` on. `None`: this node's PVE knows no offset.
    pub async fn read(&self, path: &str, offset: u64, count: u64) -> Result<Option<Piece>, Failure> {
        let file = bytes::to_characters(path.as_bytes());
        let (offset, count) = (offset.to_string(), count.clamp(1, PIECE).to_string());
        let parameters = [("file", &*file), ("offset", &offset), ("count", &count), ("decode", "0")];
        let answer = match self.hand.ask(Deed::FileRead, &parameters).await {
            Ok(answer) => answer,
            Err(Unsent::Pve(PveError::BadParameters { errors, .. })) if errors.contains_key("count") => {
                return Ok(None);
            }
            Err(unsent) => return Err(self.of_file(path, unsent).await),
        };
        let Content { content, truncated } = answer.data()?;
        let broken = || {
            Failure::new("agent_broken", "what the guest agent gave of the file is no base64", "call again")
        };
        let bytes = BASE64.decode(content.trim_end()).map_err(|_| broken())?;
        Ok(Some(Piece { bytes, is_last: truncated != Some(true) }))
    }

    /// The file from its beginning on, as far as one call gives it.
    pub async fn read_whole(&self, path: &str) -> Result<Piece, Failure> {
        let file = bytes::to_characters(path.as_bytes());
        let answer = match self.hand.ask(Deed::FileRead, &[("file", &file)]).await {
            Ok(answer) => answer,
            Err(Unsent::Pve(PveError::TooLong { .. })) => {
                let message = format!(
                    "{path:?} is larger than what this node's PVE gives of a file in a VM: it knows no offset"
                );
                let next = "read a part of it by exec (tail -c, dd) with mode \"change\"";
                return Err(Failure::new("too_large", message, next));
            }
            Err(unsent) => return Err(self.of_file(path, unsent).await),
        };
        let Content { content, truncated } = answer.data()?;
        Ok(Piece { bytes: bytes::from_characters(&content), is_last: truncated != Some(true) })
    }

    /// Replaces what is in a file, at most [`MOST_WRITE`] bytes: in place, and so not at once.
    pub async fn write(&self, path: &str, content: &[u8], _: &Recorded) -> Result<(), Failure> {
        let file = bytes::to_characters(path.as_bytes());
        // Encoded here: PVE's own encoding takes no character beyond U+00FF.
        let parameters = json!({ "file": file, "content": BASE64.encode(content), "encode": false });
        let parameters = parameters.as_object().cloned().unwrap_or_default();
        match self.hand.tell(Deed::FileWrite, &parameters).await {
            Ok(_) => Ok(()),
            Err(unsent) => Err(self.of_file(path, unsent).await),
        }
    }

    /// Kills a process group in the guest, and says whether that could be asked for.
    pub async fn end(&self, group: u64) -> Result<u64, Failure> {
        let started = |answer: Answer| Ok::<_, Failure>(answer.data::<Started>()?.pid);
        match self.hand.end(group).await {
            Ok(answer) => started(answer),
            Err(unsent) => Err(self.failure(unsent).await),
        }
    }
}
