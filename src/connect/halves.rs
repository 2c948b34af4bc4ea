//! The two directions of a connection, each of which is waited for only while somebody waits for it.
//!
//! The runtime's own sockets and pipes are told of both from the first moment on: whoever has sent a message is woken once more
//! when the other side takes it, on a processor that the other side needs, twice in each call.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tokio::io::AsyncWrite;
use tokio::net::unix::pipe::{Receiver, Sender};

/// Of a pipe or a socket: read(2) does for both. Only within a runtime.
pub fn reading(from: OwnedFd) -> io::Result<Receiver> {
    never_blocks(&from)?;
    Receiver::from_owned_fd_unchecked(from)
}

/// Writes at once what there is room for.
pub struct Writing {
    to: OwnedFd,
    /// While the other side has not taken what was written before.
    full: Option<Sender>,
}

/// Nobody who shares it may count on its blocking from here on.
fn never_blocks(of: &OwnedFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(of, FcntlArg::F_GETFL)?);
    fcntl(of, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

impl Writing {
    /// To a pipe or a socket.
    pub fn new(to: OwnedFd) -> io::Result<Self> {
        never_blocks(&to)?;
        Ok(Self { to, full: None })
    }
}

impl AsyncWrite for Writing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(full) = &mut self.full {
                let written = ready!(Pin::new(full).poll_write(context, bytes));
                self.full = None;
                return Poll::Ready(written);
            }
            match nix::unistd::write(&self.to, bytes) {
                Err(nix::Error::EINTR) => {}
                Err(nix::Error::EAGAIN) => {
                    self.full = Some(Sender::from_owned_fd_unchecked(self.to.try_clone()?)?);
                }
                written => return Poll::Ready(Ok(written?)),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_is_more_than_fits_goes_as_it_is_taken_and_its_end_is_seen() {
        for by_pipe in [false, true] {
            let (from, to): (OwnedFd, OwnedFd) = match by_pipe {
                true => nix::unistd::pipe().unwrap(),
                false => UnixStream::pair().map(|(from, to)| (from.into(), to.into())).unwrap(),
            };
            let (mut reading, mut writing) = (reading(from).unwrap(), Writing::new(to).unwrap());
            let sent: Vec<u8> = (0..4 << 20).map(|at: u32| at as u8).collect();
            let expected = sent.clone();
            let writer = tokio::spawn(async move {
                writing.write_all(&sent).await.unwrap();
                assert!(writing.full.is_none());
            });
            let mut came = Vec::new();
            reading.read_to_end(&mut came).await.unwrap();
            writer.await.unwrap();
            assert!(came == expected, "{} bytes", came.len());
        }
    }

    #[tokio::test]
    async fn who_writes_to_nobody_hears_of_it() {
        let (from, to) = UnixStream::pair().unwrap();
        drop(from);
        let error = Writing::new(to.into()).unwrap().write_all(b"x").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
