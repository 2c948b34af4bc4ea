//! `file_get` and `file_put`: a file out of a guest, or into one.
//!
//! Both go the way of `exec`, with the same door of policy: permit, a turn, then the file door of `provost-execd`, where no
//! program of the container runs; of a VM its guest agent (`vm`). On the node itself a person approves each first
//! ([`super::host`]). What is in a file goes to the caller and, where it is replaced, to what is kept for undo:
//! never into a receipt, a log or an error.

mod door;
mod get;
mod kept;
mod put;
pub mod resolve;
mod restore;
mod shown;
mod vm;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::model::JsonObject;

use super::answer::Failure;
use crate::exec::wire::Guest;
pub use get::{FileGetAnswer, FileGetArguments, Wish as GetWish, get, get_by};
pub use put::{FilePutAnswer, FilePutArguments, Wanted as PutWish, put, put_by};

/// What all calls share.
pub struct Desk {
    kept: kept::Kept,
    /// One change of a file at a time in each guest: what one of ours has looked at, no other of ours replaces meanwhile.
    guests: Mutex<HashMap<Guest, Arc<tokio::sync::Mutex<()>>>>,
}

impl Desk {
    pub fn beside(ledger: &Path) -> Self {
        Self { kept: kept::Kept::beside(ledger), guests: Mutex::default() }
    }

    fn guest(&self, guest: Guest) -> Arc<tokio::sync::Mutex<()>> {
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        guests.retain(|_, lock| Arc::strong_count(lock) > 1);
        guests.entry(guest).or_default().clone()
    }
}

/// A call's arguments without what is in a file, where it brings some.
pub fn recordable(tool: &str, arguments: &JsonObject) -> Option<JsonObject> {
    (tool == "file_put").then(|| {
        let kept = arguments.iter().filter(|(name, _)| *name != "content");
        kept.map(|(name, value)| (name.clone(), value.clone())).collect()
    })
}

fn wrong(message: impl Into<String>) -> Failure {
    Failure::new("arguments", message, "correct the argument and call again")
}

/// An errand that cannot be meant, said before anybody is asked.
fn meant(errand: crate::door::Errand) -> Result<crate::door::Errand, Failure> {
    match errand.problem() {
        Some((field, problem)) => Err(wrong(format!("{field} {problem}"))),
        None => Ok(errand),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_in_a_file_is_not_among_what_may_be_recorded() {
        let arguments = json!({ "guest": 101, "path": "/etc/motd", "content": "hunter2" });
        let arguments = arguments.as_object().unwrap();
        let kept = recordable("file_put", arguments).unwrap();
        assert_eq!(serde_json::Value::Object(kept), json!({ "guest": 101, "path": "/etc/motd" }));
        assert!(recordable("file_get", arguments).is_none());
    }
}
