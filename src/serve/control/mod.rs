//! The operators' door: one question and one answer a connection, on a socket of its own.
//!
//! Anybody on the node may knock; what they are answered, their credentials say. It is apart from the assistants' socket,
//! so that a workstation to which that one is forwarded cannot approve what its assistant asks for.

mod porter;
#[cfg(test)]
mod tests;
mod tokens;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use self::porter::Porter;
pub(super) use self::tokens::{audience, receipt};
use super::crowd::Crowds;
use crate::account::Account;
use crate::control::{MOST_ASKED, Reply};
use crate::policy::{Principal, Supply};
use crate::tools::Provost;

/// Connections at once, and of one account.
const MOST: usize = 64;
const MOST_EACH: usize = 8;
/// What a connection may take, question, answer and all.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Door {
    pub listener: UnixListener,
    /// The socket file, when it is ours to remove.
    pub path: Option<PathBuf>,
}

impl Door {
    /// Answers until `stop`.
    pub async fn serve(self, provost: Arc<Provost>, stop: CancellationToken) {
        let places = Supply::<Account>::new(MOST, MOST_EACH);
        let crowds = Arc::<Crowds>::default();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stop.cancelled() => break,
            };
            let Ok((stream, _)) = accepted else {
                // Most likely out of descriptors: wait for one rather than spin.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            // Who finds no place is hung up on, and may knock again.
            let Ok(uid) = stream.peer_cred().map(|peer| peer.uid()) else { continue };
            let Ok(place) = places.take(uid, 1) else { continue };
            let (provost, crowds) = (provost.clone(), crowds.clone());
            tokio::spawn(async move {
                let conversed = tokio::time::timeout(PATIENCE, converse(stream, &provost, &crowds)).await;
                if let Ok(Err(error)) = conversed {
                    tracing::debug!(%error, "an operator's question was not answered");
                }
                drop(place);
            });
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

async fn converse(mut stream: UnixStream, provost: &Provost, refused: &Crowds) -> io::Result<()> {
    let principal = Principal::of_peer(&stream).map_err(io::Error::other)?;
    let mut line = String::new();
    BufReader::new((&mut stream).take(MOST_ASKED)).read_line(&mut line).await?;
    let reply = match serde_json::from_str(&line) {
        Ok(ask) => {
            let (policy, ledger) = (&provost.policy, &provost.desk.ledger);
            let porter = Porter { policy, ledger, node: provost, refused };
            porter.answer(&principal, ask).await
        }
        Err(error) => Reply::Refused(porter::refused(
            "no_question",
            format!("this is no question that provostd knows: {error}"),
            "are `provost` and `provostd` of the same version?",
        )),
    };
    let mut text = serde_json::to_vec(&reply)?;
    text.push(b'\n');
    stream.write_all(&text).await?;
    stream.shutdown().await
}
