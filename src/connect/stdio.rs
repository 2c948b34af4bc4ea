//! Standard input and output as an MCP transport. A client that has sent all it will (`… | provost connect`) still gets
//! its answers; one that is gone for good ends its calls at once.
//!
//! Pipes and sockets are waited for by the runtime itself: a thread between would take longer than all the rest.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex as Lock, PoisonError};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};
use rmcp::model::{ClientNotification, ErrorData, JsonRpcMessage, RequestId};
use rmcp::service::{RoleServer, RxJsonRpcMessage, TxJsonRpcMessage};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::halves::{Writing, reading};
use super::link::{Reader, Voice, Writer};
use crate::account::Account;
use crate::serve::lines::{Line, Lines};
use crate::serve::unique::TWICE;
use crate::share::Supply;
use crate::text::MOST_VALUES;

/// Bytes of one message; a node takes no longer ones.
const LONGEST_LINE: usize = 8 << 20;

pub struct Stdio {
    lines: Lines<Reader, RxJsonRpcMessage<RoleServer>>,
    voice: Voice,
    owed: Arc<Owed>,
    /// Standard output again, to see whether anybody is left to read; none where that cannot be seen.
    reader: Option<OwnedFd>,
    /// What a line that is no message is answered with, until it is said.
    saying: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send>>>,
    /// Ends the session with everything that is under way.
    stop: CancellationToken,
}

/// Requests that have no answer yet.
#[derive(Default)]
struct Owed {
    ids: Lock<HashSet<RequestId>>,
    changed: Notify,
}

impl Owed {
    fn change<T>(&self, change: impl FnOnce(&mut HashSet<RequestId>) -> T) -> T {
        let changed = change(&mut self.ids.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_waiters();
        changed
    }

    /// Returns when nothing is owed.
    async fn none(&self) {
        loop {
            let changed = self.changed.notified();
            if self.ids.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                return;
            }
            changed.await;
        }
    }
}

impl Stdio {
    pub fn new(stop: CancellationToken) -> io::Result<Self> {
        let read: Reader = match waitable(io::stdin().as_fd())? {
            Some(stdin) => Box::new(reading(stdin)?),
            None => Box::new(tokio::io::stdin()),
        };
        let reader = waitable(io::stdout().as_fd())?;
        let write: Writer = match &reader {
            Some(stdout) => Box::new(Writing::new(stdout.try_clone()?)?),
            None => Box::new(tokio::io::stdout()),
        };
        let held = Supply::<Account>::new(4 * LONGEST_LINE, 4 * LONGEST_LINE).none(0);
        let lines = Lines::new(read, LONGEST_LINE, held).once();
        Ok(Self { lines, voice: Voice::new(write), owed: Arc::default(), reader, saying: None, stop })
    }

    /// Says an error before the next message is read; whose it is, nobody can tell.
    fn refuse(&mut self, error: ErrorData, id: Option<RequestId>) {
        let (voice, message) = (self.voice.clone(), TxJsonRpcMessage::<RoleServer>::error(error, id));
        self.saying = Some(Box::pin(async move { voice.say(&message).await }));
    }
}

/// Returns when nobody is left to read what is written there.
async fn gone(reader: Option<&OwnedFd>) {
    let Some(reader) = reader else { return std::future::pending().await };
    // A pipe too: nothing but readiness is asked of it.
    let Ok(reader) = reader.try_clone().and_then(socket) else { return std::future::pending().await };
    loop {
        if reader.writable().await.is_err() {
            return;
        }
        let mut state = [PollFd::new(reader.as_fd(), PollFlags::empty())];
        let end = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
        let polled = poll(&mut state, PollTimeout::ZERO);
        if polled.is_err() || state[0].revents().is_none_or(|events| events.intersects(end)) {
            return;
        }
        // Not yet: wait for the next change.
        let _ = reader.try_io(Interest::WRITABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
    }
}

/// A pipe or a socket, which the runtime can wait for.
fn waitable(of: BorrowedFd) -> io::Result<Option<OwnedFd>> {
    let kind = SFlag::from_bits_truncate(fstat(of)?.st_mode & SFlag::S_IFMT.bits());
    match kind == SFlag::S_IFIFO || kind == SFlag::S_IFSOCK {
        true => of.try_clone_to_owned().map(Some),
        false => Ok(None),
    }
}

fn socket(of: OwnedFd) -> io::Result<UnixStream> {
    let stream = std::os::unix::net::UnixStream::from(of);
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

impl rmcp::transport::Transport<RoleServer> for Stdio {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let (voice, owed) = (self.voice.clone(), self.owed.clone());
        async move {
            let sent = voice.say(&message).await;
            match &message {
                JsonRpcMessage::Response(response) => owed.change(|ids| ids.remove(&response.id)),
                JsonRpcMessage::Error(error) => {
                    owed.change(|ids| error.id.as_ref().is_some_and(|id| ids.remove(id)))
                }
                _ => false,
            };
            if sent.is_err() {
                // Nobody is left to read it.
                owed.change(HashSet::clear);
            }
            sent
        }
    }

    /// Cancel-safe: what was read stays in the buffer.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            if let Some(saying) = &mut self.saying {
                let said = saying.await;
                self.saying = None;
                said.ok()?;
            }
            let message = match self.lines.next().await {
                Ok(Line::Message(message)) => message,
                Ok(Line::Twice(message)) => {
                    let id = match message {
                        JsonRpcMessage::Request(request) => Some(request.id),
                        _ => None,
                    };
                    let id = id.filter(|id| !self.owed.change(|ids| ids.contains(id)));
                    self.refuse(ErrorData::invalid_request(TWICE, None), id);
                    continue;
                }
                Ok(Line::Invalid) => {
                    self.refuse(ErrorData::invalid_request("Invalid request", None), None);
                    continue;
                }
                Ok(Line::Broken) => {
                    self.refuse(ErrorData::parse_error("the line is no JSON, or not UTF-8", None), None);
                    continue;
                }
                Ok(Line::TooLong(most, _)) => {
                    eprintln!(
                        "provost connect: a message is longer than {most} bytes; the session ends here"
                    );
                    return None;
                }
                Ok(Line::Crowded) => {
                    eprintln!(
                        "provost connect: a message holds more than {MOST_VALUES} values; the session ends here"
                    );
                    return None;
                }
                Ok(Line::End) | Err(_) => {
                    tokio::select! {
                        () = self.owed.none() => {}
                        () = gone(self.reader.as_ref()) => self.stop.cancel(),
                    }
                    return None;
                }
            };
            match &message {
                JsonRpcMessage::Request(request) => {
                    self.owed.change(|ids| ids.insert(request.id.clone()));
                }
                JsonRpcMessage::Notification(notification) => {
                    if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                        && let Some(id) = &cancelled.params.request_id
                    {
                        // A cancelled call gets no answer.
                        self.owed.change(|ids| ids.remove(id));
                    }
                }
                _ => {}
            }
            return Some(message);
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.voice.close();
        Ok(())
    }
}
