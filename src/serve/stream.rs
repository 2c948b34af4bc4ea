//! A client's connection, whichever kind of socket it came by.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::UnixStream;
use tokio_vsock::VsockStream;

pub enum Stream {
    Unix(UnixStream),
    Vsock(VsockStream),
}

pub type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub type Writer = Box<dyn AsyncWrite + Send + Unpin>;

impl Stream {
    /// Its two directions, and what sees its end.
    pub fn split(self) -> io::Result<(Reader, Writer, Watch)> {
        let watch = Watch::on(&self)?;
        Ok(match self {
            Self::Unix(stream) => {
                let (read, write) = stream.into_split();
                (Box::new(read), Box::new(write), watch)
            }
            Self::Vsock(stream) => {
                let (read, write) = stream.into_split();
                (Box::new(read), Box::new(write), watch)
            }
        })
    }

    /// Sends what a fresh socket's buffer takes, and no more. A client that does not read it has closed already.
    pub fn say(&self, bytes: &[u8]) {
        let _ = send(self.as_fd().as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL);
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Vsock(stream) => stream.as_fd(),
        }
    }
}

/// The same socket, to see whether the other side is gone or has only stopped sending.
pub struct Watch {
    /// As what the runtime waits for; a vsock too, of which nothing but readiness is asked here.
    socket: UnixStream,
    is_vsock: bool,
}

impl Watch {
    fn on(stream: &Stream) -> io::Result<Self> {
        let socket = UnixStream::from_std(stream.as_fd().try_clone_to_owned()?.into())?;
        Ok(Self { socket, is_vsock: matches!(stream, Stream::Vsock(_)) })
    }

    /// Returns when the other side has closed both directions.
    pub async fn gone(&self) {
        loop {
            if self.socket.writable().await.is_err() || self.is_gone() {
                return;
            }
            // Not yet: wait for the next change. By the writing side, as a closed reading side stays ready for good.
            let _ = self.socket.try_io(Interest::WRITABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        }
    }

    fn is_gone(&self) -> bool {
        let mut state = [PollFd::new(self.socket.as_fd(), PollFlags::empty())];
        let polled = poll(&mut state, PollTimeout::ZERO);
        let end = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
        if polled.is_err() || state[0].revents().is_none_or(|events| events.intersects(end)) {
            return true;
        }
        // A vsock whose peer has closed both directions hangs up only once this side has as well. What would be sent is
        // nothing, and an error says that nobody could read it.
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        self.is_vsock && send(self.socket.as_raw_fd(), &[], flags).is_err()
    }
}
