//! A stream of lines, none of which may be longer than a message may be.
//!
//! A longer one ends the stream: dropped in silence, as rmcp would, it leaves its sender waiting for ever. What lines
//! hold that have not ended yet is counted over all streams, as each connection may begin one and leave it at that.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// Bytes that the unfinished lines of all streams may hold together.
const MOST_UNFINISHED: usize = 64 << 20;
/// Bytes that a line may have even when there are no more.
const ALWAYS_FIT: usize = 16 << 10;

static UNFINISHED: AtomicUsize = AtomicUsize::new(0);

pub struct Bounded<R> {
    inner: R,
    longest: usize,
    /// Bytes since the last line's end.
    line: usize,
    exceeded: Arc<AtomicUsize>,
}

impl<R> Bounded<R> {
    /// The stream, and the bytes that a line was too long for; 0 as long as none was.
    pub fn new(inner: R, longest: usize) -> (Self, Arc<AtomicUsize>) {
        let exceeded = Arc::new(AtomicUsize::new(0));
        (Self { inner, longest, line: 0, exceeded: exceeded.clone() }, exceeded)
    }

    /// Counts the unfinished line as so long; the bytes that it may have at most now.
    fn count(&mut self, line: usize) -> usize {
        UNFINISHED.fetch_sub(self.line, Ordering::Relaxed);
        let all = UNFINISHED.fetch_add(line, Ordering::Relaxed) + line;
        self.line = line;
        if all > MOST_UNFINISHED { ALWAYS_FIT.min(self.longest) } else { self.longest }
    }
}

impl<R> Drop for Bounded<R> {
    fn drop(&mut self) {
        self.count(0);
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Bounded<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.exceeded.load(Ordering::Relaxed) > 0 {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let read = &buffer.filled()[before..];
        let line = match read.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => read.len() - end - 1,
            None => self.line + read.len(),
        };
        let most = self.count(line);
        if line > most {
            self.exceeded.store(most, Ordering::Relaxed);
            self.count(0);
            buffer.set_filled(before);
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn lines_pass_until_one_is_too_long() {
        for (text, passes) in [("1234\n1234\n", true), ("1234\n123456\n", true), ("1234\n1234567\n", false)] {
            // One byte at a time, as the worst of clients sends.
            let (mut bounded, exceeded) = Bounded::new(tokio_test_bytes(text), 6);
            let mut all = String::new();
            bounded.read_to_string(&mut all).await.unwrap();
            assert_eq!((all == text, exceeded.load(Ordering::Relaxed) == 0), (passes, passes), "{text}");
        }
    }

    fn tokio_test_bytes(text: &str) -> impl AsyncRead + Unpin + use<> {
        let (mut write, read) = tokio::io::duplex(1);
        let text = text.to_owned();
        tokio::spawn(async move {
            // The reader stops early when a line is too long.
            let _ = tokio::io::AsyncWriteExt::write_all(&mut write, text.as_bytes()).await;
        });
        read
    }
}
