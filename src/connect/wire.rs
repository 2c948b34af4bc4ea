//! One host's messages, as rmcp's client gets them: bounded, in order, and without what nobody asked for.
//!
//! Progress goes straight to whoever waits for it, so that none comes after its answer. Of what a host may ask, the question
//! to a person and a ping pass; whatever else it tells or asks is dropped or refused here.

use std::io;
use std::sync::Arc;

use rmcp::model::{ClientRequest, JsonRpcMessage, ServerNotification, ServerRequest};
use rmcp::service::{RoleClient, RxJsonRpcMessage, TxJsonRpcMessage};
use tokio_util::sync::CancellationToken;

use super::ears::{Counted, Ears, LONGEST_LINE, MESSAGE, QUESTION};
use super::heard::Heard;
use super::link::{Reader, Voice, Writer};
use crate::serve::lines::{Line, Lines};
use crate::share::Share;

pub struct Wire {
    lines: Lines<Counted<Reader>, Heard>,
    voice: Voice,
    ears: Arc<Ears>,
    /// Ends the session, and whoever waits for an answer.
    stop: CancellationToken,
}

impl Wire {
    /// `held`: of what the unfinished lines of all hosts may take.
    pub fn new(read: Reader, write: Writer, ears: Arc<Ears>, held: Share, stop: CancellationToken) -> Self {
        let counted = Counted { inner: read, ears: ears.clone() };
        let lines = Lines::new(counted, LONGEST_LINE, held);
        Self { lines, voice: Voice::new(write), ears, stop }
    }

    /// The next message that is anybody's business; none at the end. Cancel-safe, as [`Lines::next`] is.
    async fn next(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            let line = self.lines.next().await;
            self.ears.line_ended();
            let message = match line {
                Ok(Line::Message(Heard(message)) | Line::Twice(Heard(message))) => message,
                // What a shell prints before the session begins.
                Ok(Line::Invalid | Line::Broken) if !self.ears.has_answered() && self.ears.takes(MESSAGE) => {
                    continue;
                }
                // It may have been the answer that somebody waits for, and nobody can tell whose.
                Ok(Line::Invalid | Line::Broken) => {
                    self.ears.over("it sent a line that is no message, and was hung up on");
                    return None;
                }
                Ok(Line::TooLong(..) | Line::Crowded) => {
                    self.ears.over("it sent a message that is longer than any answer, and was hung up on");
                    return None;
                }
                Ok(Line::End) | Err(_) => return None,
            };
            let (costs, passes) = match &message {
                JsonRpcMessage::Response(response) if self.ears.answered(&response.id) => (0, true),
                JsonRpcMessage::Error(error)
                    if error.id.as_ref().is_some_and(|id| self.ears.answered(id)) =>
                {
                    (0, true)
                }
                JsonRpcMessage::Notification(notification) => match &notification.notification {
                    ServerNotification::ProgressNotification(progress) => {
                        let is_wanted = self.ears.progress(&progress.params);
                        (if is_wanted { 0 } else { MESSAGE }, false)
                    }
                    // It takes a question back.
                    ServerNotification::CancelledNotification(_) => (MESSAGE, true),
                    _ => (MESSAGE, false),
                },
                JsonRpcMessage::Request(request) => {
                    let known = matches!(
                        request.request,
                        ServerRequest::ElicitRequest(_) | ServerRequest::PingRequest(_)
                    );
                    (QUESTION, known || self.ears.owes())
                }
                _ => (MESSAGE, false),
            };
            if costs > 0 && !self.ears.takes(costs) {
                return None;
            }
            if passes {
                return Some(message);
            }
        }
    }
}

impl rmcp::transport::Transport<RoleClient> for Wire {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        if let JsonRpcMessage::Request(request) = &message {
            let is_apply = matches!(&request.request, ClientRequest::CallToolRequest(call) if call.params.name == super::APPLY);
            self.ears.asked(&request.id, is_apply);
        }
        let voice = self.voice.clone();
        async move { voice.say(&message).await }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        let message = self.next().await;
        if message.is_none() {
            self.stop.cancel();
        }
        message
    }

    async fn close(&mut self) -> io::Result<()> {
        self.voice.close();
        Ok(())
    }
}
