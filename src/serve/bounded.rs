//! A stream of lines, none of which may be longer than a message may be.
//!
//! A longer one ends the stream: dropped in silence, as rmcp would, it leaves its sender waiting for ever.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

pub struct Bounded<R> {
    inner: R,
    longest: usize,
    /// Bytes since the last line's end.
    line: usize,
    exceeded: Arc<AtomicBool>,
}

impl<R> Bounded<R> {
    /// The stream, and whether a line was too long for it.
    pub fn new(inner: R, longest: usize) -> (Self, Arc<AtomicBool>) {
        let exceeded = Arc::new(AtomicBool::new(false));
        (Self { inner, longest, line: 0, exceeded: exceeded.clone() }, exceeded)
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Bounded<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.exceeded.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let read = &buffer.filled()[before..];
        self.line = match read.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => read.len() - end - 1,
            None => self.line + read.len(),
        };
        if self.line > self.longest {
            self.exceeded.store(true, Ordering::Relaxed);
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
            assert_eq!((all == text, exceeded.load(Ordering::Relaxed)), (passes, !passes), "{text}");
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
