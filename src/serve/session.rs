//! One client: its principal, its span in the log, its MCP session.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rmcp::service::{ServerInitializeError, ServiceExt};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::crowd::Crowd;
use super::room::Room;
use super::stream::Stream;
use super::transport::Transport;
use crate::policy::Principal;
use crate::tools::record::Visit;
use crate::tools::{Provost, Session};

/// How long a connection may be open before its session begins.
const TO_BEGIN: Duration = Duration::from_secs(30);

/// Serves one connection to its end.
pub async fn serve(
    stream: Stream,
    principal: Principal,
    provost: Arc<Provost>,
    room: Arc<Room>,
    stop: CancellationToken,
) {
    let span = tracing::info_span!(
        "session",
        provost_principal = %principal,
        process = %serde_json::Value::Object(principal.to_json())
    );
    converse(stream, principal, provost, room, stop).instrument(span).await;
}

async fn converse(
    stream: Stream,
    principal: Principal,
    provost: Arc<Provost>,
    room: Arc<Room>,
    stop: CancellationToken,
) {
    let transport = match Transport::new(stream, principal.account(), room, stop.clone()) {
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

/// Turns away a client for which there is no room.
pub fn refuse(
    stream: &Stream,
    principal: impl FnOnce() -> Option<Principal>,
    provost: &Provost,
    crowd: &Mutex<Crowd>,
    why: &str,
) {
    tell(stream, why);
    if let Some(others) = Crowd::one_more(crowd)
        && let Some(principal) = principal()
    {
        tracing::warn!(%principal, why, "turned a connection away");
        Visit::new(&provost.desk, principal).turned_away(&provost.policy.rules, &Crowd::among(others, why));
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

/// Tells a client why it is hung up on, in the form that MCP clients can show.
pub fn tell(stream: &Stream, why: &str) {
    let error = serde_json::json!({ "code": -32000, "message": why });
    stream
        .say(format!("{}\n", serde_json::json!({ "jsonrpc": "2.0", "id": null, "error": error })).as_bytes());
}

#[cfg(test)]
mod tests;
