//! What is found out about a call while it is served, for its receipt.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};

use crate::tools::taint::Taint;

use crate::ledger::receipt::Argv;

/// Bytes of arguments that a receipt looks at. Longer ones can only be meant to burden it.
const MOST_ARGS: usize = 64 << 10;

/// Shared between a call and what reads for it.
#[derive(Debug, Default)]
pub struct Notes {
    noted: Mutex<Noted>,
    /// The session's.
    taint: Taint,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Noted {
    /// Whether the node's API was asked, or may have been.
    pub reached: bool,
    pub guest: Option<u32>,
    /// The template of the path.
    pub endpoint: Option<String>,
    pub args: Option<Value>,
    pub argv: Option<Argv>,
    pub rows: Option<u64>,
    pub status: Option<u16>,
}

impl Notes {
    pub(super) fn of(args: Option<&Map<String, Value>>, taint: Taint) -> Self {
        let args = args.filter(|args| !args.is_empty()).map(|args| match weight(args.values()) {
            bytes if bytes > MOST_ARGS => serde_json::json!({ "bytes": bytes }),
            _ => Value::Object(args.clone()),
        });
        Self { noted: Mutex::new(Noted { args, ..Noted::default() }), taint }
    }

    /// Text that a guest wrote is about to go out: the session is marked for good.
    pub fn made_by_guest(&self) {
        self.taint.mark();
    }

    /// Whether the session has been given any.
    pub fn is_tainted(&self) -> bool {
        self.taint.is()
    }

    /// From here on it may have reached the node's API.
    pub fn reached(&self) {
        self.held().reached = true;
    }

    pub fn status(&self, status: u16) {
        self.held().status = Some(status);
    }

    /// What is read: the template of its path, and the guest that it is about.
    pub fn target(&self, template: &str, guest: Option<u32>) {
        let mut noted = self.held();
        noted.endpoint = Some(template.to_owned());
        noted.guest = guest.or(noted.guest);
    }

    pub fn guest(&self, guest: u32) {
        self.held().guest = Some(guest);
    }

    /// Many paths were read, and none of them says what for: the arguments do.
    pub fn several(&self, guest: Option<u32>) {
        let mut noted = self.held();
        (noted.endpoint, noted.rows, noted.status) = (None, None, None);
        noted.guest = guest;
    }

    pub fn rows(&self, rows: usize) {
        self.held().rows = Some(rows as u64);
    }

    pub fn command(&self, argv: Argv) {
        self.held().argv = Some(argv);
    }

    /// The guest that it is about, and the template of the path.
    pub(super) fn subject(&self) -> (Option<u32>, Option<String>) {
        let noted = self.held();
        (noted.guest, noted.endpoint.clone())
    }

    pub(super) fn now(&self) -> Noted {
        self.held().clone()
    }

    fn held(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of the texts in it, more or less.
fn weight<'a>(values: impl Iterator<Item = &'a Value>) -> usize {
    let of = |value: &'a Value| match value {
        Value::String(text) => text.len(),
        Value::Array(items) => 8 + weight(items.iter()),
        Value::Object(object) => {
            object.keys().map(|name| name.len() + 8).sum::<usize>() + weight(object.values())
        }
        _ => 8,
    };
    values.map(of).sum()
}
