//! Many nodes behind one MCP client: what `provost connect` does, on a workstation.
//!
//! In: a client's session on standard input and output. Out: a session with each host, by OpenSSH's own client or a socket;
//! started when a call first needs it, kept, and started again with growing pauses. It decides nothing: each node's daemon
//! knows by its kernel who ssh's user is there, and what that one may do.
//!
//! It must never let one host answer for another, hold another up, or be the reason that another is asked for something: what
//! a host says is data of that host's. There is nothing here to keep: it has no state on the disk and no secret.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`fleet`] | which hosts there are |
//! | `link`, `halves`, `wire`, `ears`, `session`, `host` | one host: the way, its directions, its messages, what it may say, its session, its life |
//! | `places`, `look`, `survey` | what is where, how a host says so, and when it is asked |
//! | `route`, `made` | where a call goes |
//! | `front`, `calls`, `many` | the calls, at one host or at many |
//! | `answer`, `merge`, `standing`, `taint` | what comes back |
//! | `face`, `list`, `resources`, `tasks`, `client`, `stdio` | the client's side |

mod answer;
mod calls;
pub mod check;
mod client;
mod ears;
mod face;
pub mod fleet;
mod front;
mod halves;
mod heard;
mod host;
mod link;
mod list;
mod look;
mod made;
mod many;
mod merge;
mod places;
mod resources;
mod route;
mod session;
mod standing;
mod stdio;
mod survey;
mod taint;
mod tasks;
mod trouble;
mod wire;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rmcp::service::serve_server_with_ct;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use fleet::Fleet;

/// What hosts are given to end their sessions.
const TO_END: Duration = Duration::from_secs(2);

/// The tool for which a person may be asked.
const APPLY: &str = "apply";

/// Serves the client on standard input and output to its end.
pub async fn serve(fleet: Fleet) -> io::Result<()> {
    let stop = CancellationToken::new();
    let client = Arc::<client::Client>::default();
    let front = front::Front::new(fleet, client, stop.clone());
    let (mut terminated, mut interrupted, mut hung_up) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
    let session = async {
        let transport = stdio::Stdio::new(stop.clone())?;
        match serve_server_with_ct(face::Face::new(front.clone()), transport, stop.clone()).await {
            Ok(running) => drop(running.waiting().await),
            // A client that went away again without a word is none.
            Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => {}
            Err(_) => return Err(io::Error::other("no session began: the first message was none of MCP's")),
        }
        Ok(())
    };
    let ended = tokio::select! {
        ended = session => ended,
        _ = terminated.recv() => Ok(()),
        _ = interrupted.recv() => Ok(()),
        _ = hung_up.recv() => Ok(()),
    };
    // What does not end is killed with the runtime.
    let _ = tokio::time::timeout(TO_END, front.end()).await;
    ended
}
