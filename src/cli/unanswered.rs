//! Which calls that went by still owe an answer, read from the lines of both directions as they pass.
//!
//! It only looks: what it does not understand passes like anything else, and is not counted. What it holds is bounded.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Bytes of a line that is looked at; the daemon takes no longer ones.
const LONGEST: usize = 16 << 20;
/// Calls that are kept in mind, and bytes of an id.
const MOST: usize = 16 << 10;
const LONGEST_ID: usize = 256;

#[derive(Default)]
pub struct Unanswered {
    ids: HashSet<String>,
    /// Answers of which it is not clear whose they are.
    unclear: usize,
    /// Lines that are no message, whose refusals say of no call that it is over.
    refused: usize,
}

/// What of a request says what it asks.
#[derive(Deserialize)]
struct Asked<'a> {
    id: Option<Value>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
}

/// What of the daemon's messages says whose answer it is. It is looked for no further than it takes: `id` comes before
/// `result`, which may be long.
#[derive(Default)]
struct Answered {
    id: Option<Value>,
    asks: bool,
    answers: bool,
}

impl<'de> Visitor<'de> for &mut Answered {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "id" => self.id = Some(map.next_value()?),
                "method" => self.asks = true,
                "result" | "error" => self.answers = true,
                _ => {}
            }
            if self.is_clear() {
                return Err(A::Error::custom("enough"));
            }
            if key != "id" {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl Answered {
    fn is_clear(&self) -> bool {
        self.asks || (self.answers && self.id.is_some())
    }
}

#[derive(Deserialize)]
struct Cancelled {
    params: CancelledParams,
}

#[derive(Deserialize)]
struct CancelledParams {
    #[serde(rename = "requestId")]
    id: Value,
}

impl Unanswered {
    /// A line of the client's, whole: one that is wrong anywhere is no call.
    pub fn sent(&mut self, line: &[u8]) {
        let Ok(asked) = serde_json::from_slice::<Asked>(line) else {
            self.refused += usize::from(!line.trim_ascii().is_empty());
            return;
        };
        match (asked.id, asked.method) {
            (Some(id), Some(_)) if self.ids.len() < MOST => {
                key(&id).map(|id| self.ids.insert(id));
            }
            (None, Some(method)) if method == "notifications/cancelled" => {
                // A cancelled call gets no answer.
                let cancelled = serde_json::from_slice::<Cancelled>(line).ok();
                cancelled.and_then(|cancelled| key(&cancelled.params.id)).map(|id| self.ids.remove(&id));
            }
            _ => {}
        }
    }

    /// A line of the daemon's, or its beginning; whether that was enough.
    pub fn came(&mut self, line: &[u8], whole: bool) -> bool {
        let mut answered = Answered::default();
        // Its error is most often that enough was seen.
        let _ = serde_json::Deserializer::from_slice(line).deserialize_map(&mut answered);
        if !whole && !answered.is_clear() {
            return false;
        }
        match answered.id {
            _ if answered.asks || !answered.answers => {}
            Some(id) if !id.is_null() => {
                key(&id).map(|id| self.ids.remove(&id));
            }
            // Something was refused that had no id, or none that could be told.
            _ if self.refused > 0 => self.refused -= 1,
            _ => self.unclear += 1,
        }
        true
    }

    /// A line of the daemon's that was too long to look at to its end, which only an answer is.
    pub fn came_unclear(&mut self) {
        self.unclear += 1;
    }

    pub fn count(&self) -> usize {
        self.ids.len().saturating_sub(self.unclear)
    }
}

fn key(id: &Value) -> Option<String> {
    let is_id = id.is_string() || id.is_number();
    is_id.then(|| id.to_string()).filter(|id| id.len() <= LONGEST_ID)
}

/// A stream's bytes as lines.
#[derive(Default)]
pub struct Lines {
    /// The beginning of a line that has not ended.
    begun: Vec<u8>,
    /// What is to come of the line is of no interest.
    skips: bool,
}

/// How a line is seen.
pub enum Seen<'a> {
    /// Whole, with its end.
    Line(&'a [u8]),
    /// The beginning of one that goes on: once, when it begins. Whoever says true needs no more of it.
    Begun(&'a [u8]),
    /// It has become too long to keep.
    TooLong,
}

impl Lines {
    /// Shows `see` every line that `bytes` ends or begins.
    pub fn feed(&mut self, mut bytes: &[u8], mut see: impl FnMut(Seen) -> bool) {
        while !bytes.is_empty() {
            let end = memchr::memchr(b'\n', bytes).map(|at| at + 1);
            let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            bytes = rest;
            match end {
                Some(_) if self.skips => self.skips = false,
                None if self.skips => {}
                Some(_) if self.begun.is_empty() => {
                    see(Seen::Line(part));
                }
                None if self.begun.is_empty() && see(Seen::Begun(part)) => self.skips = true,
                _ if self.begun.len() + part.len() > LONGEST => {
                    see(Seen::TooLong);
                    self.begun = Vec::new();
                    self.skips = end.is_none();
                }
                _ => {
                    self.begun.extend_from_slice(part);
                    if end.is_some() {
                        see(Seen::Line(&self.begun));
                        // Not kept for the next: few lines are long.
                        self.begun = Vec::new();
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_owes_an_answer_until_one_came_or_it_was_cancelled() {
        let mut calls = Unanswered::default();
        for (sent, line, owed) in [
            (true, r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#, 1),
            (true, r#"{"method":"tools/call","params":{},"id":"one"}"#, 2),
            (true, r#"{"method":"notifications/initialized"}"#, 2),
            // Of the daemon's asking, and the answer to it.
            (false, r#"{"id":1,"method":"roots/list"}"#, 2),
            (true, r#"{"id":1,"result":{}}"#, 2),
            (false, r#"{"method":"notifications/progress","params":{"requestId":1}}"#, 2),
            (false, r#"{"id":1,"result":{"id":"one"}}"#, 1),
            (false, r#"{"id":"other","result":{}}"#, 1),
            (false, r#"{"id":"\u006fne","error":{"code":1}}"#, 0),
            (true, r#"{"id":2,"method":"ping"}"#, 1),
            (true, r#"{"method":"notifications/cancelled","params":{"requestId":2,"reason":"r"}}"#, 0),
            (true, r#"{"id":3,"method":"ping","params":[]}"#, 1),
            (false, r#"{"id":null,"error":{"code":-32600}}"#, 0),
            (true, "no JSON", 0),
            (true, "[{}]", 0),
            (true, "\n", 0),
            (true, r#"{"id":4,"method":"ping"}"#, 1),
            (false, r#"{"id":null,"error":{"code":-32700}}"#, 1),
            (false, r#"{"error":{"code":-32600}}"#, 1),
            (false, r#"{"id":null,"error":{"code":-32600}}"#, 0),
        ] {
            match sent {
                true => calls.sent(line.as_bytes()),
                false => assert!(calls.came(line.as_bytes(), true)),
            }
            assert_eq!(calls.count(), owed, "{line}");
        }
    }

    #[test]
    fn an_answer_is_known_by_its_beginning_and_waited_for_where_it_is_not() {
        let mut calls = Unanswered::default();
        calls.sent(br#"{"id":1,"method":"ping"}"#);
        for (begun, enough) in [
            (r#"{"jsonrpc":"2.0","i"#, false),
            (r#"{"jsonrpc":"2.0","result":{"x":"lo"#, false),
            (r#"{"jsonrpc":"2.0","method":"notifications/prog"#, true),
        ] {
            assert_eq!((calls.came(begun.as_bytes(), false), calls.count()), (enough, 1), "{begun}");
        }
        assert!(calls.came(br#"{"jsonrpc":"2.0","id":1,"result":{"content":"lo"#, false));
        assert_eq!(calls.count(), 0);
    }

    #[test]
    fn lines_are_found_however_they_come_and_none_is_kept_without_bound() {
        let long = "x".repeat(LONGEST);
        let text = format!("one\ntwo\n{long}\n\nlast\nunfinished");
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        for part in text.as_bytes().chunks(64 << 10) {
            lines.feed(part, |line| {
                match line {
                    Seen::Line(line) => seen.push(Some(String::from_utf8_lossy(line).into_owned())),
                    Seen::TooLong => seen.push(None),
                    Seen::Begun(_) => {}
                }
                false
            });
            assert!(lines.begun.capacity() <= 2 * LONGEST);
        }
        let one = |text: &str| Some(text.to_owned());
        assert_eq!(seen, [one("one\n"), one("two\n"), None, one("\n"), one("last\n")]);
        let (mut lines, mut seen) = (Lines::default(), 0);
        for byte in "{\"a\"\n:1}\n\n".bytes() {
            lines.feed(&[byte], |line| {
                seen += usize::from(matches!(line, Seen::Line(_)));
                matches!(line, Seen::Begun(b":"))
            });
        }
        assert_eq!(seen, 2, "of the second, its beginning was enough");
    }
}
