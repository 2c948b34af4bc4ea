//! A stream of lines, none of which may be longer than a message may be.
//!
//! A longer one ends the stream: dropped in silence, it leaves its sender waiting for ever. What lines hold that have
//! not ended yet is counted over all streams, as each connection may begin one and leave it at that; and what a long
//! line took is given back when it is read, as each connection may send one and then stay.

use std::future::poll_fn;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Poll, ready};

use rmcp::service::{RoleServer, RxJsonRpcMessage};
use rmcp::transport::async_rw::{JsonRpcMessageCodec, JsonRpcMessageCodecError};
use serde_json::error::Category;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio_util::bytes::{BufMut, BytesMut};
use tokio_util::codec::Decoder;

use super::unique::is_twice;
use crate::policy::{Share, Spent};
use crate::text::{MOST_VALUES, is_crowded};

/// Bytes that the unfinished lines of all streams may hold together, beyond what always fits. Their buffers, which grow
/// by doubling, take up to twice that.
pub const MOST_UNFINISHED: usize = 64 << 20;
/// Bytes that a line may have even when there are no more.
const ALWAYS_FIT: usize = 16 << 10;
/// Bytes read in one go.
const CHUNK: usize = 64 << 10;
/// A buffer's size that a session keeps for what came with a message.
const KEPT: usize = 64 << 10;
/// Bytes of a line's first read. They are on the stack: who sends nothing has no buffer.
const FIRST: usize = 4 << 10;

pub struct Lines<R, M = RxJsonRpcMessage<RoleServer>> {
    inner: R,
    longest: usize,
    buffer: BytesMut,
    /// Bytes of it in which no line ends.
    seen: usize,
    /// Bytes at its beginning that are blank, and no line's end: looked at once, however long the blank goes on.
    blank: usize,
    codec: JsonRpcMessageCodec<M>,
    /// Whether a line is held to say each key once.
    once: bool,
    /// Of the bytes of unfinished lines.
    held: Share,
    _message: PhantomData<fn() -> M>,
}

/// What a line was.
#[derive(Debug)]
pub enum Line<M> {
    Message(M),
    /// A message in which a key stands twice in one object: who looked at it on its way may have seen another.
    Twice(M),
    /// JSON, and no message.
    Invalid,
    /// Not even JSON, or not UTF-8.
    Broken,
    /// A line with more than [`MOST_VALUES`]: the stream is not read on.
    Crowded,
    /// A line with more bytes than this: the stream cannot be read on. And who has the room that it would take, when it
    /// would otherwise not be too long.
    TooLong(usize, Option<Spent>),
    End,
}

impl<R: AsyncRead + Unpin, M: serde::de::DeserializeOwned> Lines<R, M> {
    pub fn new(inner: R, longest: usize, held: Share) -> Self {
        let codec = JsonRpcMessageCodec::new_with_max_length(longest);
        Self {
            inner,
            longest,
            buffer: BytesMut::new(),
            seen: 0,
            blank: 0,
            codec,
            once: false,
            held,
            _message: PhantomData,
        }
    }

    /// What is read here is held to say each key once: [`Line::Twice`].
    pub fn once(self) -> Self {
        Self { once: true, ..self }
    }

    /// The next line that means something. Cancel-safe: what was read stays in the buffer.
    pub async fn next(&mut self) -> io::Result<Line<M>> {
        loop {
            let before = self.buffer.len();
            let end =
                self.buffer[self.seen..].iter().position(|byte| *byte == b'\n').map(|at| self.seen + at);
            let line = end.map(|end| &self.buffer[..end]);
            if line.is_some_and(|line| line.len() >= MOST_VALUES && is_crowded(line)) {
                return Ok(Line::Crowded);
            }
            let is_twice = self.once && line.is_some_and(|line| line.len() <= self.longest && is_twice(line));
            self.seen = end.unwrap_or(before);
            let is_blank = self.is_blank();
            let decoded = self.codec.decode(&mut self.buffer);
            let taken = before - self.buffer.len();
            if taken > 0 {
                (self.seen, self.blank) = (0, 0);
                let _ = self.held.resize(0);
                if self.buffer.is_empty() {
                    // The next may be long in coming.
                    self.buffer = BytesMut::new();
                } else if taken > KEPT {
                    self.buffer = BytesMut::from(&self.buffer[..]);
                }
            }
            match decoded {
                Ok(Some(message)) if is_twice => return Ok(Line::Twice(message)),
                Ok(Some(message)) => return Ok(Line::Message(message)),
                // A notification that is no business of MCP's; there may be more lines.
                Ok(None) if taken > 0 => continue,
                Ok(None) => {}
                Err(JsonRpcMessageCodecError::MaxLineLengthExceeded) => {
                    return Ok(Line::TooLong(self.longest, None));
                }
                Err(JsonRpcMessageCodecError::Serde(error)) => match error.classify() {
                    Category::Syntax | Category::Eof if is_blank => continue,
                    // The answer, if it is echoed back, is an error, and those are not answered.
                    Category::Syntax | Category::Eof => return Ok(Line::Broken),
                    Category::Data | Category::Io => return Ok(Line::Invalid),
                },
                Err(error) => return Err(error.into()),
            }
            // What is there now has not ended.
            if let Err(spent) = self.held.resize(self.buffer.len().saturating_sub(ALWAYS_FIT)) {
                return Ok(Line::TooLong(ALWAYS_FIT, Some(spent)));
            }
            if self.read().await? == 0 {
                return Ok(Line::End);
            }
        }
    }

    /// Whether the next line has nothing in it.
    fn is_blank(&mut self) -> bool {
        let more = &self.buffer[self.blank..];
        let is_other = |byte: &u8| *byte == b'\n' || !byte.is_ascii_whitespace();
        self.blank += more.iter().position(is_other).unwrap_or(more.len());
        self.buffer.get(self.blank) == Some(&b'\n')
    }

    /// Reads on: 0 at the end.
    async fn read(&mut self) -> io::Result<usize> {
        if !self.buffer.is_empty() {
            self.buffer.reserve(CHUNK.min(self.buffer.len().max(FIRST)));
            return self.inner.read_buf(&mut (&mut self.buffer).limit(CHUNK)).await;
        }
        poll_fn(|context| {
            let mut bytes = [0; FIRST];
            let mut first = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.inner).poll_read(context, &mut first))?;
            self.buffer.extend_from_slice(first.filled());
            Poll::Ready(Ok(first.filled().len()))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::policy::Supply;

    fn lines(
        text: Vec<u8>,
        step: usize,
        longest: usize,
        held: Share,
    ) -> Lines<impl AsyncRead + Unpin, Value> {
        let (mut write, read) = tokio::io::duplex(step);
        tokio::spawn(async move {
            // The reader stops early when a line is too long.
            let _ = write.write_all(&text).await;
        });
        Lines::new(read, longest, held)
    }

    #[tokio::test]
    async fn a_line_of_too_many_values_is_not_read_whatever_comes_before_and_behind_it() {
        let full = format!("[{}0]", "0,".repeat(MOST_VALUES - 2));
        let crowded = format!("[{}0]", "0,".repeat(MOST_VALUES));
        for step in [1 << 10, 1 << 20] {
            let text = format!("{full}\n1\n{full}\n{crowded}\n1\n");
            let mut lines = lines(text.into(), step, 1 << 20, plenty());
            for _ in 0..3 {
                assert!(matches!(lines.next().await.unwrap(), Line::Message(_)));
            }
            assert!(matches!(lines.next().await.unwrap(), Line::Crowded));
        }
    }

    fn plenty() -> Share {
        Supply::halves(usize::MAX / 2).none(1)
    }

    #[tokio::test]
    async fn lines_pass_until_one_is_too_long() {
        for (text, good) in [("1234\n12345\n", 2), ("1234\n123456\n\n{\n7\n", 3), ("1234\n1234567\n1\n", 1)] {
            // One byte at a time, as the worst of clients sends, and all at once.
            for step in [1, 100] {
                let mut lines = lines(text.into(), step, 6, plenty());
                let (mut passed, mut broken) = (0, 0);
                let end = loop {
                    match lines.next().await.unwrap() {
                        Line::Message(_) => passed += 1,
                        Line::Broken => broken += 1,
                        end => break end,
                    }
                };
                assert_eq!((passed, broken), (good, text.matches('{').count()), "{text}");
                assert!(
                    matches!(end, Line::End if good > 1) || matches!(end, Line::TooLong(6, None)),
                    "{end:?}"
                );
            }
        }
    }

    /// One account begins lines on many connections and ends none.
    #[tokio::test]
    async fn what_one_account_leaves_unfinished_takes_nothing_from_another() {
        let supply = Supply::halves(4 << 20);
        let unfinished = || vec![b'1'; 1 << 20];
        let mut held = Vec::new();
        for at in 0..4 {
            let mut lines = lines([unfinished(), unfinished()].concat(), CHUNK, 8 << 20, supply.none(1));
            let end = lines.next().await.unwrap();
            // Two MiB each, and the second cannot have them as long as the first does.
            assert!(
                matches!((at, &end), (0, Line::End) | (_, Line::TooLong(ALWAYS_FIT, Some(Spent::Own)))),
                "{at}: {end:?}"
            );
            held.push(lines);
        }
        let other = [unfinished(), b"\n".to_vec()].concat();
        let mut other = lines(other, CHUNK, 8 << 20, supply.none(2));
        // Digits without end are a number that JSON has and Rust's types have not.
        let one = other.next().await.unwrap();
        assert!(matches!(one, Line::End | Line::Invalid | Line::Broken | Line::Message(_)), "{one:?}");
        drop(held);
        assert!(supply.take(1, 2 << 20).is_ok());
    }

    #[tokio::test]
    async fn a_key_that_stands_twice_is_told_where_it_is_looked_for() {
        let text = "{\"a\":1,\"a\":2}\n{\"a\":{\"b\":1,\"b\":2}}\n{\"a\":1}\n";
        for (step, once) in [(1, true), (100, true), (100, false)] {
            let lines = lines(text.into(), step, 100, plenty());
            let mut lines = if once { lines.once() } else { lines };
            for told in [once, once, false] {
                let line = lines.next().await.unwrap();
                assert_eq!(matches!(line, Line::Twice(_)), told, "{line:?}");
                assert!(told || matches!(line, Line::Message(_)), "{line:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_long_message_leaves_no_long_buffer() {
        let text = format!("{}\n1\n", json!("x".repeat(4 << 20)));
        let mut lines = lines(text.into(), CHUNK, 8 << 20, plenty());
        assert!(matches!(lines.next().await.unwrap(), Line::Message(_)));
        assert!(matches!(lines.next().await.unwrap(), Line::Message(_)));
        assert!(lines.buffer.capacity() <= 2 * KEPT, "{}", lines.buffer.capacity());
    }
    #[tokio::test]
    async fn who_sends_nothing_has_no_buffer() {
        let (mut write, read) = tokio::io::duplex(100);
        let mut lines = Lines::<_, Value>::new(read, 100, plenty());
        for _ in 0..2 {
            write.write_all(b"12\n").await.unwrap();
            assert!(matches!(lines.next().await.unwrap(), Line::Message(_)));
            // It is polled once, and waits.
            assert!(tokio::time::timeout(std::time::Duration::ZERO, lines.next()).await.is_err());
            assert_eq!(lines.buffer.capacity(), 0);
        }
        // What has begun is there, whoever stopped to wait for the rest.
        write.write_all(b"1").await.unwrap();
        assert!(tokio::time::timeout(std::time::Duration::ZERO, lines.next()).await.is_err());
        write.write_all(b"2\n").await.unwrap();
        assert!(
            matches!(lines.next().await.unwrap(), Line::Message(Value::Number(all)) if all.as_u64() == Some(12))
        );
    }
}
