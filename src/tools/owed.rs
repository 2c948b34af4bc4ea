//! The calls of one session that still owe an answer, each with what it holds until that has been sent.
//!
//! A client that does not read its answers thereby keeps its own places taken, and no memory beyond them.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::ErrorData;
use rmcp::model::{ErrorCode, RequestId};

/// What a call gives back by being dropped.
type Hold = Box<dyn Any + Send>;

#[derive(Clone, Default)]
pub struct Owed(Arc<Mutex<HashMap<RequestId, Vec<Hold>>>>);

impl Owed {
    /// A call begins; it holds `hold` to its end. False when one with that id is under way.
    pub fn begin(&self, id: &RequestId, hold: impl Any + Send) -> bool {
        let mut calls = self.calls();
        if calls.contains_key(id) {
            return false;
        }
        calls.insert(id.clone(), vec![Box::new(hold)]);
        true
    }

    /// A call begins, and ends when what this gives is dropped. None when one with that id is under way.
    pub fn hold(&self, id: &RequestId, hold: impl Any + Send) -> Option<Held> {
        self.begin(id, hold).then(|| Held { owed: self.clone(), id: id.clone() })
    }

    /// What a call that is under way holds as well. One that has ended meanwhile, as a cancelled one does, holds nothing.
    pub fn keep(&self, id: &RequestId, hold: impl Any + Send) {
        if let Some(holds) = self.calls().get_mut(id) {
            holds.push(Box::new(hold));
        }
    }

    /// Its answer was sent, or it gets none.
    pub fn end(&self, id: &RequestId) {
        let ended = self.calls().remove(id);
        // Outside the lock: what is given back may wake others.
        drop(ended);
    }

    pub fn count(&self) -> usize {
        self.calls().len()
    }

    pub fn has(&self, id: &RequestId) -> bool {
        self.calls().contains_key(id)
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<RequestId, Vec<Hold>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that is under way.
pub struct Held {
    owed: Owed,
    id: RequestId,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.owed.end(&self.id);
    }
}

pub fn too_many() -> ErrorData {
    let text = "as many calls of your token, or of all, are under way as there may be; wait for some to end";
    ErrorData::new(ErrorCode(-32000), text, Some(serde_json::json!({ "kind": "busy", "next": "call again" })))
}

pub fn same_id() -> ErrorData {
    ErrorData::invalid_request("the id is of a call that is still under way; this one was not begun", None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_holds_is_given_back_when_its_answer_was_sent_and_at_once_if_it_gets_none() {
        let (owed, id) = (Owed::default(), RequestId::Number(1));
        let (first, second, late) = (Arc::new(()), Arc::new(()), Arc::new(()));
        assert!(owed.begin(&id, first.clone()) && !owed.begin(&id, second.clone()));
        assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (2, 1));
        owed.keep(&id, second.clone());
        assert_eq!(Arc::strong_count(&second), 2);
        owed.end(&id);
        assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (1, 1));
        owed.keep(&id, late.clone());
        assert_eq!((Arc::strong_count(&late), owed.count()), (1, 0));
    }
}
