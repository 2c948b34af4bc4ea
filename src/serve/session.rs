//! One client: its principal, its span in the log, its MCP session.

use std::sync::Arc;
use std::time::Duration;

use rmcp::service::{ServerInitializeError, ServiceExt};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::room::Room;
use super::transport::Transport;
use crate::policy::Principal;
use crate::tools::record::Visit;
use crate::tools::{Provost, Session};

/// How long a connection may be open before its session begins.
const TO_BEGIN: Duration = Duration::from_secs(30);

/// Serves one connection to its end.
pub async fn serve(stream: UnixStream, provost: Arc<Provost>, room: Arc<Room>, stop: CancellationToken) {
    let principal = match Principal::of_peer(&stream) {
        Ok(principal) => principal,
        Err(error) => {
            tracing::warn!(%error, "closed a connection");
            return;
        }
    };
    let span = tracing::info_span!(
        "session",
        provost_principal = %principal,
        process = %serde_json::Value::Object(principal.to_json())
    );
    converse(stream, principal, provost, room, stop).instrument(span).await;
}

async fn converse(
    stream: UnixStream,
    principal: Principal,
    provost: Arc<Provost>,
    room: Arc<Room>,
    stop: CancellationToken,
) {
    let transport = match Transport::new(stream, principal.uid(), room, stop.clone()) {
        Ok(transport) => transport,
        Err(error) => return tracing::warn!(%error, "closed a connection"),
    };
    tracing::info!("connected");
    let (voice, owed) = (transport.voice(), transport.owed());
    let session = Session::new(provost.clone(), principal, owed);
    let visit = session.visit();
    // A box of its own for what the beginning takes, many kilobytes: a session does not hold it to its end.
    let beginning = Box::pin(session.serve_with_ct(transport, stop));
    match tokio::time::timeout(TO_BEGIN, beginning).await {
        Ok(Ok(running)) => {
            let rules = &provost.policy.rules;
            // Who comes without a handshake says who they are in their first call, and no sooner.
            if let Some(client) = running.peer().peer_info() {
                visit.opened(rules, Some(&client.client_info), Some(&client.protocol_version));
            }
            // The last to hold it records the end.
            drop(visit);
            // However it ends, it ends with its connection.
            drop(voice);
            let _ = running.waiting().await;
            tracing::info!("disconnected");
        }
        Ok(Err(error)) => tracing::info!(why = why(&error), "disconnected before a session began"),
        Err(_) => {
            tracing::info!("closed a connection on which no session began");
            let text = format!(
                "no session has begun in {TO_BEGIN:?}; the connection ends here. Send initialize first"
            );
            visit.turned_away(&provost.policy.rules, &text);
            let _ = voice.last_word(text).await;
        }
    }
}

/// Records that there was no room for a client, and for how many others before.
pub fn turn_away(stream: &UnixStream, provost: &Provost, others: u64, why: &str) {
    if let Ok(principal) = Principal::of_peer(stream) {
        tracing::warn!(%principal, why, "turned a connection away");
        let said = match others {
            0 => why.to_owned(),
            others => {
                format!("{why} (and {others} connections more were turned away since the last receipt)")
            }
        };
        Visit::new(&provost.desk, principal).turned_away(&provost.policy.rules, &said);
    }
}

/// Why no session began. The library's own words quote the message that came, with all that a caller passes to a command.
fn why(error: &ServerInitializeError) -> &'static str {
    match error {
        ServerInitializeError::ExpectedInitializeRequest(_) => "the first message was no initialize",
        ServerInitializeError::ConnectionClosed(_) => "the connection was closed",
        ServerInitializeError::UnexpectedInitializeResponse(_) => "initialize was answered otherwise",
        ServerInitializeError::InitializeFailed(_) => "initialize failed",
        ServerInitializeError::TransportError { .. } => "the connection broke",
        ServerInitializeError::Cancelled => "the daemon is ending",
        _ => "for another reason",
    }
}

/// Tells a client that there is no room for it, in the form that MCP clients can show.
pub fn refuse(stream: &UnixStream, why: &str) {
    let error = serde_json::json!({ "code": -32000, "message": why });
    let message = format!("{}\n", serde_json::json!({ "jsonrpc": "2.0", "id": null, "error": error }));
    // A fresh socket's buffer takes a line; a client that does not read it has closed already.
    let _ = stream.try_write(message.as_bytes());
}

#[cfg(test)]
mod tests;
