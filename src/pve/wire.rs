//! The TCP connection itself, below TLS and HTTP, where it is known what left.
//!
//! Two questions decide whether a request may be sent again, and only here is the answer a fact: did the server close
//! before we wrote (a kept connection is looked at right before the first byte goes), and did any byte leave.

use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

struct State {
    /// Bytes that the kernel took since the request began.
    left: u64,
    /// The connection waited before this request: it is looked at before the first byte.
    prove: bool,
    /// Nothing more may leave.
    sealed: bool,
}

pub struct Wire {
    tcp: TcpStream,
    state: Mutex<State>,
}

impl Wire {
    pub fn new(tcp: TcpStream) -> Arc<Self> {
        Arc::new(Self { tcp, state: Mutex::new(State { left: 0, prove: false, sealed: false }) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A request begins. `kept`: the connection has served before, so that the server may have closed it.
    pub fn begin(&self, kept: bool) {
        let mut state = self.state();
        state.left = 0;
        state.prove = kept;
    }

    /// Lets nothing more leave, and says whether anything did since the request began. The lock makes the answer final:
    /// no write is under way when it is given.
    pub fn seal(&self) -> bool {
        let mut state = self.state();
        state.sealed = true;
        state.left > 0
    }

    fn write(
        &self,
        context: &mut Context<'_>,
        send: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.tcp.poll_write_ready(context))?;
            let mut state = self.state();
            if state.sealed {
                return Poll::Ready(Err(io::Error::new(ErrorKind::BrokenPipe, "given up")));
            }
            if std::mem::take(&mut state.prove) {
                self.prove()?;
            }
            match send(&self.tcp) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                sent => {
                    state.left += *sent.as_ref().unwrap_or(&0) as u64;
                    return Poll::Ready(sent);
                }
            }
        }
    }

    /// An error unless the server still holds its end open and has nothing to say: a kept connection on which something
    /// came unasked is on its way out (an end of file, TLS's closing alert, an HTTP 408).
    fn prove(&self) -> io::Result<()> {
        let mut byte = [0];
        match recv(self.tcp.as_raw_fd(), &mut byte, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EAGAIN) => Ok(()),
            Ok(_) => {
                Err(io::Error::new(ErrorKind::ConnectionAborted, "the server closed it while it was idle"))
            }
            Err(errno) => Err(errno.into()),
        }
    }
}

/// The end that TLS and HTTP hold.
pub struct Stream(pub Arc<Wire>);

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.tcp.poll_read_ready(context))?;
            // Into what is not initialised: a long answer's buffer is large, and each read fills a part of it.
            match self.0.tcp.try_read_buf(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.write(context, |tcp| tcp.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.write(context, |tcp| tcp.try_write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Says to the server that nothing more comes. The socket itself closes when the last holder is gone.
    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        use nix::sys::socket::{Shutdown, shutdown};
        self.0.seal();
        match shutdown(self.0.tcp.as_raw_fd(), Shutdown::Write) {
            Ok(()) | Err(Errno::ENOTCONN) => Poll::Ready(Ok(())),
            Err(errno) => Poll::Ready(Err(errno.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// The peer is written to and closed from this very thread, so that nothing of ours can see it before we write.
    async fn pair() -> (Stream, std::net::TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let mut stream = Stream(Wire::new(tcp));
        // Seen to be writable and readable once, as a connection that has served is.
        stream.write_all(b"first").await.unwrap();
        peer.read_exact(&mut [0; 5]).unwrap();
        peer.write_all(b"1").unwrap();
        stream.read_exact(&mut [0; 1]).await.unwrap();
        (stream, peer)
    }

    #[tokio::test]
    async fn not_a_byte_leaves_on_a_kept_connection_that_the_server_closed() {
        let (mut stream, peer) = pair().await;
        drop(peer);
        stream.0.begin(true);
        let error = stream.write_all(b"POST /").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
        assert!(!stream.0.seal());
    }

    #[tokio::test]
    async fn nor_where_the_server_said_something_unasked() {
        let (mut stream, mut peer) = pair().await;
        peer.write_all(b"HTTP/1.1 408 Request Timeout\r\n").unwrap();
        stream.0.begin(true);
        assert!(stream.write_all(b"POST /").await.is_err() && !stream.0.seal());
    }

    #[tokio::test]
    async fn what_left_is_known_and_after_that_nothing_leaves() {
        let (mut stream, mut peer) = pair().await;
        stream.0.begin(true);
        stream.write_all(b"POST /").await.unwrap();
        assert!(stream.0.seal());
        assert!(stream.write_all(b"more").await.is_err());
        drop(stream);
        let mut came = vec![];
        peer.read_to_end(&mut came).unwrap();
        assert_eq!(came, b"POST /");
    }
}
