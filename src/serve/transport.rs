//! JSON-RPC lines over a stream, with the two things that a session needs beside rmcp's own: a client that has sent
//! all it will (`… | provost bridge`) still gets its answers, and one that is gone for good ends its calls at once.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{
    ClientNotification, ErrorCode, JsonRpcError, JsonRpcMessage, ProtocolVersion, RequestId, ServerResult,
};
use rmcp::service::{RoleServer, RxJsonRpcMessage, TxJsonRpcMessage};
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::lines::{Line, Lines};
use super::room::Room;
use super::stream::{Reader, Stream, Watch, Writer};
use super::unique::TWICE;
use crate::account::Account;
use crate::policy::Spent;
use crate::text::MOST_VALUES;
use crate::tools::Owed;

/// Bytes of one message. A longer one ends the session, with an error that says so.
const LONGEST_LINE: usize = 8 << 20;
/// Calls of one session that may be under way; one more is refused.
const MOST_CALLS: usize = 512;
/// What a client that does not read is given to hear why it is hung up on.
const LAST_WORD: Duration = Duration::from_secs(1);

pub struct Transport {
    lines: Lines<Reader>,
    voice: Voice,
    owed: Owed,
    room: Arc<Room>,
    account: Account,
    watch: Watch,
    /// Ends the session.
    session: CancellationToken,
    /// What is being said to the client outside of answers. [`Transport::receive`] may be dropped in the middle of it.
    saying: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send>>>,
    /// What is being said is the last.
    ending: bool,
}

/// The writing side. One message at a time goes out.
#[derive(Clone)]
pub struct Voice {
    stream: Arc<Mutex<Option<Writer>>>,
    /// Whether an error that belongs to no call has null as its id, or none.
    id_is_null: Arc<AtomicBool>,
}

/// JSON-RPC's error has an `id` always, and null where there is none to name. MCP leaves it out from 2025-11-25 on, and
/// rmcp does so for all.
#[derive(Serialize)]
struct NoCall<'a> {
    jsonrpc: &'static str,
    id: (),
    error: &'a ErrorData,
}

impl Voice {
    /// Sees by the answer to the handshake what the session's revision is.
    fn agreed(&self, message: &TxJsonRpcMessage<RoleServer>) {
        if let JsonRpcMessage::Response(response) = message
            && let ServerResult::InitializeResult(agreed) = &response.result
        {
            let is_null = agreed.protocol_version < ProtocolVersion::V_2025_11_25;
            self.id_is_null.store(is_null, Relaxed);
        }
    }

    fn line(&self, message: &TxJsonRpcMessage<RoleServer>) -> serde_json::Result<Vec<u8>> {
        let mut line = match message {
            JsonRpcMessage::Error(JsonRpcError { id: None, error, .. }) if self.id_is_null.load(Relaxed) => {
                serde_json::to_vec(&NoCall { jsonrpc: "2.0", id: (), error })?
            }
            message => serde_json::to_vec(message)?,
        };
        line.push(b'\n');
        Ok(line)
    }

    async fn say(&self, message: &TxJsonRpcMessage<RoleServer>) -> io::Result<()> {
        self.agreed(message);
        let mut stream = self.stream.lock().await;
        let stream = stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        // Not before its turn has come: what waits is held once.
        stream.write_all(&self.line(message)?).await
    }

    /// An error that belongs to no call. If it cannot be sent, the end of the connection says it.
    pub async fn last_word(self, text: String) -> io::Result<()> {
        let error = ErrorData::new(ErrorCode::INVALID_REQUEST, text, None);
        let message = JsonRpcMessage::error(error, None);
        tokio::time::timeout(LAST_WORD, self.say(&message)).await?
    }
}

impl Transport {
    pub fn new(
        stream: Stream,
        account: Account,
        room: Arc<Room>,
        session: CancellationToken,
    ) -> io::Result<Self> {
        let (read, write, watch) = stream.split()?;
        let lines = Lines::new(read, LONGEST_LINE, room.unfinished.none(account)).once();
        let voice = Voice { stream: Arc::new(Mutex::new(Some(write))), id_is_null: Arc::default() };
        Ok(Self {
            lines,
            voice,
            owed: Owed::default(),
            room,
            account,
            watch,
            session,
            saying: None,
            ending: false,
        })
    }

    pub fn voice(&self) -> Voice {
        self.voice.clone()
    }

    pub fn owed(&self) -> Owed {
        self.owed.clone()
    }

    /// Says an error before the next message is read.
    fn refuse(&mut self, error: ErrorData, id: Option<RequestId>) {
        let (voice, message) = (self.voice.clone(), JsonRpcMessage::error(error, id));
        self.saying = Some(Box::pin(async move { voice.say(&message).await }));
    }

    /// Says why, and ends the session before anything else is read.
    fn end(&mut self, why: String) {
        self.saying = Some(Box::pin(self.voice.clone().last_word(why)));
        self.ending = true;
    }

    /// Takes a call on, or says why not, and to whom.
    fn begin(&self, id: &RequestId) -> Result<(), (ErrorData, Option<RequestId>)> {
        let refuse = |code, text, id| Err((ErrorData::new(code, text, None), id));
        if self.owed.has(id) {
            // Not as an answer to that id: its sender would take it for the first one's.
            let id = id
                .to_string()
                .chars()
                .filter(|character| !character.is_control())
                .take(64)
                .collect::<String>();
            let text = format!("the id {id} is of a call that is still under way; this one was not begun");
            return refuse(ErrorCode::INVALID_REQUEST, text, None);
        }
        let full = |text| refuse(ErrorCode(-32000), text, Some(id.clone()));
        if self.owed.count() >= MOST_CALLS {
            return full(format!("{MOST_CALLS} calls of this session are under way; wait for some to end"));
        }
        match self.room.calls.take(self.account, 1) {
            Ok(share) => {
                self.owed.begin(id, share);
                Ok(())
            }
            Err(Spent::Own) => {
                let most = self.room.calls.each();
                full(format!("{most} calls of your account are under way; wait for some to end"))
            }
            Err(Spent::All) => full("the node has as many calls under way as it takes; call again".into()),
        }
    }
}

impl rmcp::transport::Transport<RoleServer> for Transport {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let (owed, voice) = (self.owed.clone(), self.voice.clone());
        async move {
            let sent = voice.say(&message).await;
            let answered = match message {
                JsonRpcMessage::Response(response) => Some(response.id),
                JsonRpcMessage::Error(error) => error.id,
                _ => None,
            };
            if let Some(id) = answered {
                owed.end(&id);
            }
            sent
        }
    }

    /// Cancel-safe: rmcp polls it beside other events and starts it again after each.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            if let Some(saying) = &mut self.saying {
                let said = saying.await;
                self.saying = None;
                if self.ending {
                    self.session.cancel();
                    return None;
                }
                said.ok()?;
            }
            let message = match self.lines.next().await {
                Ok(Line::Message(message)) => message,
                Ok(Line::Twice(message)) => {
                    let id = match message {
                        JsonRpcMessage::Request(request) => Some(request.id),
                        _ => None,
                    };
                    // Not to who waits for the answer to a call that is under way.
                    let id = id.filter(|id| !self.owed.has(id));
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
                Ok(Line::TooLong(most, spent)) => {
                    let why = match spent {
                        None => "",
                        Some(Spent::Own) => ", while other sessions of your account send as long ones",
                        Some(Spent::All) => ", while others send as long ones",
                    };
                    self.end(format!("a message is longer than {most} bytes{why}; the session ends here"));
                    continue;
                }
                Ok(Line::Crowded) => {
                    self.end(format!(
                        "a message holds more than {MOST_VALUES} values; the session ends here"
                    ));
                    continue;
                }
                Ok(Line::End) | Err(_) => {
                    if self.owed.count() > 0 {
                        // Answers are still owed. Each that is sent brings us here again; this only ends when nobody
                        // is left to read them.
                        self.watch.gone().await;
                        self.session.cancel();
                    }
                    return None;
                }
            };
            match &message {
                JsonRpcMessage::Request(request) => {
                    if let Err((error, id)) = self.begin(&request.id) {
                        self.refuse(error, id);
                        continue;
                    }
                }
                JsonRpcMessage::Notification(notification) => {
                    if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                        && let Some(id) = &cancelled.params.request_id
                    {
                        // A cancelled call gets no answer.
                        self.owed.end(id);
                    }
                }
                _ => {}
            }
            return Some(message);
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.voice.stream.lock().await.take();
        Ok(())
    }
}
