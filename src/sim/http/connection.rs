//! A connection's life: up to 100 requests, five idle seconds, and the answers that end it: every refusal is one.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::request::{Request, Unread};
use super::response::Response;
use crate::sim::Shared;

/// Requests on one connection; the last answer says `Connection: close`.
pub const MAX_REQUESTS: usize = 100;
/// How long a kept connection waits for the next one.
pub const IDLE: Duration = Duration::from_secs(5);

/// Which daemon is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daemon {
    /// Unprivileged: what is protected goes on to pvedaemon, what is another node's to that node.
    Proxy,
    /// Root, on loopback: serves all of this node, forwards nothing.
    Pvedaemon,
}

pub async fn serve(shared: Arc<Shared>, daemon: Daemon, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut buffer = Vec::new();
    for number in 1..=MAX_REQUESTS {
        let request = match tokio::time::timeout(IDLE, Request::read(&mut stream, &mut buffer)).await {
            Ok(Ok(request)) => request,
            Ok(Err(Unread::Refused(status, reason))) => {
                let _ = stream.write_all(&Response::bare(status, reason).bytes(false, true, false)).await;
                break;
            }
            Ok(Err(Unread::Closed)) | Err(_) => break,
        };
        let Some(response) = shared.answer(daemon, &request).await else {
            // A hang: the client must give up by itself, and the connection stays for as long as it does not.
            return forever(stream).await;
        };
        let gzip = request.header("accept-encoding").is_some_and(|accepted| accepted.contains("gzip"));
        let last = number == MAX_REQUESTS || request.last || response.ends();
        let close = last || response.forwarded || response.cut;
        let bytes = response.bytes(gzip, last || response.cut, request.method == "HEAD");
        if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        if response.cut {
            // No farewell: as when the process dies.
            return;
        }
        if close {
            break;
        }
    }
    let _ = stream.shutdown().await;
}

async fn forever(mut stream: impl AsyncRead + Unpin) {
    let mut unread = Vec::new();
    while Request::read(&mut stream, &mut unread).await.is_ok() {}
}
