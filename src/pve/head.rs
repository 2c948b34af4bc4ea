//! The status line of an answer, made into what a strict reader of HTTP takes.
//!
//! PVE puts the first line of a refusal's message there as it is, and that may quote a guest: the agent in a VM fails in words
//! of its own. With a control character in it the line is no HTTP, and with a letter beyond ASCII it is left out: what PVE
//! answered would be lost.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The stream of one connection, on which an answer follows what was written.
pub struct Readable<S> {
    stream: S,
    /// What comes next is of a status line.
    in_line: bool,
}

impl<S> Readable<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, in_line: true }
    }
}

/// Leaves nothing in a status line that `bytes` go on with but what a strict reader takes. Whether it ends in them.
fn tame(bytes: &mut [u8]) -> bool {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let length = end.unwrap_or(bytes.len());
    let line = &mut bytes[..length];
    // Where the end is yet to come it may be without its return: that is no less an end.
    let most = line.len() - usize::from(end.is_some() && line.ends_with(b"\r"));
    for byte in &mut line[..most] {
        match byte {
            _ if byte.is_ascii_control() => *byte = b' ',
            // With one letter beyond ASCII the whole of it would be dropped.
            0x80.. => *byte = b'?',
            _ => {}
        }
    }
    end.is_some()
}

impl<S: AsyncRead + Unpin> AsyncRead for Readable<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if self.in_line {
            self.in_line = !tame(&mut buffer.filled_mut()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Readable<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.in_line = true;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.in_line = true;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    /// What is read of what comes in pieces of this length.
    async fn read(text: &[u8], length: usize) -> Vec<u8> {
        let (mut ours, theirs) = tokio::io::duplex(1 << 16);
        let mut stream = Readable::new(theirs);
        let mut came = Vec::new();
        for piece in text.chunks(length) {
            tokio::io::AsyncWriteExt::write_all(&mut ours, piece).await.unwrap();
            let mut bytes = vec![0; piece.len()];
            stream.read_exact(&mut bytes).await.unwrap();
            came.extend(bytes);
        }
        came
    }

    #[tokio::test]
    async fn only_the_first_line_is_touched_however_it_comes() {
        let text = b"HTTP/1.1 500 a\x1b[31mb\x00\x7f\xf6\tc\r\nX: \x01\xf6\r\n\r\n{\"a\":\"\x1b\"}";
        for length in [1, 2, 7, text.len()] {
            let came = read(text, length).await;
            let end = came.iter().position(|byte| *byte == b'\n').unwrap();
            assert_eq!(came[..end].trim_ascii_end(), b"HTTP/1.1 500 a [31mb  ? c", "{length}");
            assert_eq!(&came[end..], &text[end..], "{length}");
        }
    }

    #[tokio::test]
    async fn a_return_within_the_line_does_not_end_it() {
        assert_eq!(read(b"HTTP/1.1 500 a\rb\r\n", 100).await, b"HTTP/1.1 500 a b\r\n");
        // Nor does one that is the last of what came by then.
        assert_eq!(read(b"HTTP/1.1 500 a\rb\r\n", 15).await, b"HTTP/1.1 500 a b\r\n");
    }
}
