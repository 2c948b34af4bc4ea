//! The answer of `exec-status`, taken apart while it comes.
//!
//! An agent keeps 16 MiB of each stream, of which JSON makes up to six times as much, and it tells how a process ended once:
//! an answer that could not be held would take the exit code with it. So what the process wrote goes piece by piece to
//! whoever keeps what is wanted of it, and only the rest, a few numbers, is held as JSON.

use serde::Deserialize;

use super::agent::Ended;
use super::bytes;
use crate::pve::{Envelope, Held, Overfull, PveError, Sink, loose, misfit};
use crate::tools::exec::Kept;

/// Bytes of the answer beside what the process wrote.
const MOST_REST: usize = 64 << 10;
/// Bytes of a stream's JSON that are decoded at once.
const CHUNK: usize = 64 << 10;
/// Bytes of JSON that one character may take: two escapes, where it lies beyond U+FFFF.
const LONGEST: usize = 12;

/// What takes a stream.
pub trait Take: Send {
    /// Nothing yet, of which `most` bytes will be kept.
    fn of(most: usize) -> Self;
    fn take(&mut self, bytes: &[u8], most: usize);
}

/// The beginning.
impl Take for Vec<u8> {
    fn of(_: usize) -> Self {
        Self::new()
    }

    fn take(&mut self, bytes: &[u8], most: usize) {
        self.extend_from_slice(&bytes[..bytes.len().min(most.saturating_sub(self.len()))]);
    }
}

/// Head and tail.
impl Take for Kept {
    fn of(most: usize) -> Self {
        Self::new(most)
    }

    fn take(&mut self, bytes: &[u8], _: usize) {
        self.take(bytes);
    }
}

/// Takes what is told of one process.
pub struct Telling<T> {
    /// Bytes of a stream that are kept.
    most: usize,
    held: Held,
    taken: usize,
    /// The JSON, with nothing in the places of the streams.
    rest: Vec<u8>,
    within: Within,
    /// The character before was a backslash, which was none's.
    escaped: bool,
    /// Of a stream: what is not decoded yet, after a quotation mark.
    raw: Vec<u8>,
    /// Whether a character stood there that is no byte's.
    is_wide: bool,
    is_broken: bool,
    out: T,
    err: T,
}

#[derive(Clone, Copy, PartialEq)]
enum Within {
    /// No string.
    Nothing,
    /// A string that stays where it is.
    Rest,
    Out,
    Err,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Status {
    #[serde(default, deserialize_with = "loose::optional::bool")]
    exited: Option<bool>,
    #[serde(default, deserialize_with = "loose::optional::i64")]
    exitcode: Option<i64>,
    #[serde(default, deserialize_with = "loose::optional::i64")]
    signal: Option<i64>,
    #[serde(default, deserialize_with = "loose::optional::bool")]
    out_truncated: Option<bool>,
    #[serde(default, deserialize_with = "loose::optional::bool")]
    err_truncated: Option<bool>,
}

impl<T: Take> Telling<T> {
    pub fn new(most: usize, held: Held) -> Self {
        Self {
            most,
            held,
            taken: 0,
            rest: Vec::new(),
            within: Within::Nothing,
            escaped: false,
            raw: Vec::new(),
            is_wide: false,
            is_broken: false,
            out: T::of(most),
            err: T::of(most),
        }
    }

    /// How it ended; none while it runs.
    pub fn ended(self) -> Result<Option<Ended<T>>, PveError> {
        let broken = |why: String| PveError::NotJson { what: "exec-status".to_owned(), status: 200, why };
        if self.is_broken {
            return Err(broken("what the process wrote is no text of JSON's".to_owned()));
        }
        let status: Envelope<Status> =
            serde_json::from_slice(&self.rest).map_err(|error| broken(misfit(&error)))?;
        let status = status.data;
        if status.exited != Some(true) {
            return Ok(None);
        }
        // Windows has exception codes of 32 bits.
        let number = |number: Option<i64>| number.map(|number| number as i32);
        Ok(Some(Ended {
            exit_code: number(status.exitcode),
            signal: number(status.signal),
            stdout: self.out,
            stderr: self.err,
            is_cut: status.out_truncated == Some(true) || status.err_truncated == Some(true),
        }))
    }

    /// Which string begins after what is in `rest`.
    fn beginning(&self) -> Within {
        let before = |name: &[u8]| {
            let name_and_colon = self.rest.trim_ascii_end().strip_suffix(b":");
            name_and_colon.is_some_and(|rest| rest.trim_ascii_end().ends_with(name))
        };
        if before(b"\"out-data\"") {
            Within::Out
        } else if before(b"\"err-data\"") {
            Within::Err
        } else {
            Within::Rest
        }
    }

    /// Where, within a string, that ends: its closing mark.
    fn closing(&mut self, piece: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < piece.len() {
            if std::mem::take(&mut self.escaped) {
                at += 1;
                continue;
            }
            at += memchr::memchr2(b'"', b'\\', &piece[at..])?;
            if piece[at] == b'"' {
                return Some(at);
            }
            self.escaped = true;
            at += 1;
        }
        None
    }

    /// Decodes what is there of a stream, but for a character that may go on; `is_all`: none does.
    fn decode(&mut self, is_all: bool) -> Result<(), Overfull> {
        let decoded = (0..=if is_all { 0 } else { LONGEST }).find_map(|back| {
            let end = self.raw.len().checked_sub(back).filter(|end| *end > 0)?;
            let mut text = self.raw[..end].to_vec();
            text.push(b'"');
            serde_json::from_slice::<String>(&text).ok().map(|text| (end, text))
        });
        let Some((end, text)) = decoded else {
            self.is_broken = true;
            self.raw.truncate(1);
            return Ok(());
        };
        self.raw.drain(1..end);
        self.is_wide |= text.chars().any(|character| u32::from(character) > 0xff);
        let decoded = if self.is_wide { text.into_bytes() } else { bytes::from_characters(&text) };
        let room = self.most.saturating_mul(2).saturating_sub(self.taken).min(decoded.len());
        self.taken += room;
        self.held.grow_to(self.taken)?;
        match self.within {
            Within::Err => self.err.take(&decoded, self.most),
            _ => self.out.take(&decoded, self.most),
        }
        Ok(())
    }
}

impl<T: Take> Sink for Telling<T> {
    fn begin(&mut self, _: usize) -> Result<(), Overfull> {
        (self.out, self.err) = (T::of(self.most), T::of(self.most));
        (self.taken, self.within, self.escaped) = (0, Within::Nothing, false);
        (self.is_wide, self.is_broken) = (false, false);
        self.rest.clear();
        self.raw.clear();
        Ok(())
    }

    fn take(&mut self, mut piece: &[u8]) -> Result<(), Overfull> {
        while !piece.is_empty() {
            let end = match self.within {
                Within::Nothing => piece.iter().position(|byte| *byte == b'"'),
                _ => self.closing(piece),
            };
            let (here, after) = piece.split_at(end.unwrap_or(piece.len()));
            piece = after.get(1..).unwrap_or_default();
            match self.within {
                Within::Nothing | Within::Rest => self.rest.extend_from_slice(here),
                Within::Out | Within::Err => {
                    for part in here.chunks(CHUNK) {
                        self.raw.extend_from_slice(part);
                        if self.raw.len() >= CHUNK {
                            self.decode(false)?;
                        }
                    }
                }
            }
            if self.rest.len() > MOST_REST {
                return Err(Overfull::TooLong(MOST_REST));
            }
            if end.is_none() {
                continue;
            }
            match self.within {
                Within::Nothing => {
                    self.within = self.beginning();
                    self.raw = b"\"".to_vec();
                    self.is_wide = false;
                }
                Within::Rest => self.within = Within::Nothing,
                Within::Out | Within::Err => {
                    self.decode(true)?;
                    self.within = Within::Nothing;
                }
            }
            self.rest.push(b'"');
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::pve::Room;
    use crate::share::Supply;

    fn told(body: &str, step: usize) -> Result<Option<Ended<Vec<u8>>>, PveError> {
        let mut told = Telling::new(1 << 20, Room::new(Supply::halves(64 << 20), 1, 32 << 20).held());
        told.begin(body.len()).unwrap();
        body.as_bytes().chunks(step).for_each(|piece| told.take(piece).unwrap());
        told.ended()
    }

    #[test]
    fn every_byte_comes_through_wherever_the_answer_is_cut_into_pieces() {
        let all: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let text = bytes::to_characters(&all);
        let body = json!({ "data": {
            "err-data": "\\\"out-data\":\"x", "exitcode": 7, "exited": 1, "out-data": text, "out-truncated": 1,
        } });
        for body in [body.to_string(), format!("{body:#}"), body.to_string().replace('ÿ', "\\u00ff")] {
            for step in [1, 2, 3, 7, 100, 100_000] {
                let ended = told(&body, step).unwrap().unwrap();
                assert!(ended.stdout == all && ended.stderr == b"\\\"out-data\":\"x", "{step}");
                assert_eq!((ended.exit_code, ended.signal, ended.is_cut), (Some(7), None, true));
            }
        }
    }

    #[test]
    fn what_is_longer_than_a_piece_is_whole_with_its_characters() {
        for text in ["😀✓ä\n", "\u{e4}\u{1}\"\\", "\\u0041\\"] {
            let text = text.repeat(50_000);
            let body = json!({ "data": { "exited": true, "out-data": text } }).to_string();
            for step in [4096, 65_537, 10_000_000] {
                let ended = told(&body, step).unwrap().unwrap();
                assert!(ended.stdout == bytes::from_characters(&text), "{step}");
            }
        }
    }

    #[test]
    fn one_that_runs_has_no_end_and_what_is_no_answer_is_an_error() {
        assert!(told(r#"{"data":{"exited":0}}"#, 3).unwrap().is_none());
        for body in [
            "",
            "{",
            r#"{"data":null}"#,
            r#"{"data":{"exited":1,"out-data":"\ud800"}}"#,
            r#"{"data":{"exited":1,"out-data":"x"#,
        ] {
            assert!(told(body, 5).is_err(), "{body}");
        }
        let long = format!(r#"{{"data":{{"exited":1,"x":"{}"}}}}"#, "x".repeat(MOST_REST));
        let mut told: Telling<Vec<u8>> =
            Telling::new(10, Room::new(Supply::halves(1 << 20), 1, 1 << 20).held());
        told.begin(0).unwrap();
        assert!(told.take(long.as_bytes()).is_err());
    }

    #[test]
    fn no_more_is_held_than_is_wanted() {
        let body =
            json!({ "data": { "exited": 1, "exitcode": 0, "out-data": "x".repeat(4 << 20) } }).to_string();
        let mut told: Telling<Kept> =
            Telling::new(1000, Room::new(Supply::halves(128 << 10), 1, 64 << 10).held());
        told.begin(body.len()).unwrap();
        body.as_bytes().chunks(10_000).for_each(|piece| told.take(piece).unwrap());
        assert_eq!(told.ended().unwrap().unwrap().exit_code, Some(0));
    }
}
