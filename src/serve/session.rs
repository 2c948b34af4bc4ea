//! One client: its principal, its span in the log, its MCP session.

use std::sync::Arc;

use rmcp::service::ServiceExt;
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::transport::Transport;
use crate::policy::Principal;
use crate::tools::{Provost, Session};

/// Serves one connection to its end.
pub async fn serve(stream: UnixStream, provost: Arc<Provost>, stop: CancellationToken) {
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
        process = %principal.to_json()
    );
    async {
        let transport = match Transport::new(stream, stop.clone()) {
            Ok(transport) => transport,
            Err(error) => return tracing::warn!(%error, "closed a connection"),
        };
        tracing::info!("connected");
        let session = Session::new(provost, principal);
        match session.serve_with_ct(transport, stop).await {
            Ok(running) => {
                // However it ends, it ends with its connection.
                let _ = running.waiting().await;
                tracing::info!("disconnected");
            }
            Err(error) => tracing::info!(%error, "disconnected before a session began"),
        }
    }
    .instrument(span)
    .await;
}

/// Tells a client that there is no room for it, in the form that MCP clients can show.
pub fn turn_away(stream: &UnixStream, most: usize) {
    tracing::warn!(most, "turned a connection away: too many sessions");
    let message = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{{\"code\":-32000,\"message\":\"{most} sessions are open, and \
         [listen] max_sessions allows no more; close some and connect again\"}}}}\n"
    );
    // A fresh socket's buffer takes a line; a client that does not read it has closed already.
    let _ = stream.try_write(message.as_bytes());
}
