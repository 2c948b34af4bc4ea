//! JSON-RPC lines over a stream, with the two things that a session needs beside rmcp's own: a client that has sent
//! all it will (`… | provost bridge`) still gets its answers, and one that is gone for good ends its calls at once.

use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rmcp::ErrorData;
use rmcp::model::{ClientNotification, ErrorCode, JsonRpcMessage, RequestId};
use rmcp::service::{RoleServer, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio_util::sync::CancellationToken;

use super::bounded::Bounded;

/// Bytes of one message. A longer one ends the session, with an error that says so.
const LONGEST_LINE: usize = 8 << 20;
/// Calls of one session that may be under way; one more is refused.
const MOST_CALLS: usize = 512;

pub struct Transport {
    inner: AsyncRwTransport<RoleServer, Bounded<OwnedReadHalf>, OwnedWriteHalf>,
    /// The bytes that a message was too long for, which has ended the stream.
    too_long: Arc<AtomicUsize>,
    calls: Calls,
    /// The same socket, to see whether the other side is gone or has only stopped sending.
    socket: UnixStream,
    /// Ends the session.
    session: CancellationToken,
}

/// The calls that still owe an answer.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<HashSet<RequestId>>>);

impl Calls {
    fn with<T>(&self, act: impl FnOnce(&mut HashSet<RequestId>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Transport {
    pub fn new(stream: UnixStream, session: CancellationToken) -> io::Result<Self> {
        let socket = UnixStream::from_std(stream.as_fd().try_clone_to_owned()?.into())?;
        let (read, write) = stream.into_split();
        let (read, too_long) = Bounded::new(read, LONGEST_LINE);
        let inner = AsyncRwTransport::new_server(read, write).with_max_line_length(usize::MAX);
        Ok(Self { inner, too_long, calls: Calls::default(), socket, session })
    }

    /// Returns when the other side has closed both directions.
    async fn gone(&self) {
        loop {
            if self.socket.writable().await.is_err() {
                return;
            }
            let mut state = [PollFd::new(self.socket.as_fd(), PollFlags::empty())];
            let polled = poll(&mut state, PollTimeout::ZERO);
            let end = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
            if polled.is_err() || state[0].revents().is_none_or(|events| events.intersects(end)) {
                return;
            }
            // Not yet: wait for the next change. By the writing side, as a closed reading side stays ready for good.
            let _ = self.socket.try_io(Interest::WRITABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        }
    }
}

impl rmcp::transport::Transport<RoleServer> for Transport {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let answered = match &message {
            JsonRpcMessage::Response(response) => Some(response.id.clone()),
            JsonRpcMessage::Error(error) => error.id.clone(),
            _ => None,
        };
        let (calls, sending) = (self.calls.clone(), self.inner.send(message));
        async move {
            let sent = sending.await;
            if let Some(id) = answered {
                calls.with(|calls| calls.remove(&id));
            }
            sent
        }
    }

    /// Cancel-safe: rmcp polls it beside other events and starts it again after each.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let Some(message) = self.inner.receive().await else {
                let most = self.too_long.swap(0, Ordering::Relaxed);
                if most > 0 {
                    let why = if most < LONGEST_LINE { ", while others send as long ones" } else { "" };
                    let text = format!("a message is longer than {most} bytes{why}; the session ends here");
                    let error = ErrorData::new(ErrorCode::INVALID_REQUEST, text, None);
                    // Whose id it had nobody knows. If it cannot be sent, the end of the session says it.
                    let _ = self.inner.send(JsonRpcMessage::error(error, None)).await;
                    self.session.cancel();
                    return None;
                }
                if self.calls.with(|calls| !calls.is_empty()) {
                    // Answers are still owed. Each that is sent brings us here again; this only ends when nobody is
                    // left to read them.
                    self.gone().await;
                    self.session.cancel();
                }
                return None;
            };
            match &message {
                JsonRpcMessage::Request(request) => {
                    let refused = self.calls.with(|calls| {
                        let full = calls.len() >= MOST_CALLS;
                        if !full {
                            calls.insert(request.id.clone());
                        }
                        full
                    });
                    if refused {
                        let text =
                            format!("{MOST_CALLS} calls of this session are under way; wait for some to end");
                        let error = ErrorData::new(ErrorCode(-32000), text, None);
                        let refusal = JsonRpcMessage::error(error, Some(request.id.clone()));
                        if self.inner.send(refusal).await.is_err() {
                            return None;
                        }
                        continue;
                    }
                }
                JsonRpcMessage::Notification(notification) => {
                    if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                        && let Some(id) = &cancelled.params.request_id
                    {
                        // A cancelled call gets no answer.
                        self.calls.with(|calls| calls.remove(id));
                    }
                }
                _ => {}
            }
            return Some(message);
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.inner.close().await
    }
}
