//! The snapshot of a guest before a change that no call takes back.
//!
//! It is named after Provost and the time, stays until somebody plans its removal, and is listed as any other.

use serde_json::{Map, Value};

use super::write::write;
use crate::catalog::Method;
use crate::plan::{Eyes, Refused, Request};
use crate::pve::task::{self, Line, Outcome};
use crate::pve::{Client, Upid};

/// Whether Provost made the snapshot of this name.
pub fn is_ours(name: &str) -> bool {
    name.strip_prefix("provost-").is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// Takes the snapshot and waits for its end.
pub async fn take(
    client: &Client,
    eyes: &Eyes,
    request: &Request,
    name: &str,
    on_line: impl FnMut(Line),
) -> Result<(), Refused> {
    let vmid = request.guest().unwrap_or_default();
    let failed = |why: String| Refused::SnapshotFailed { name: name.to_owned(), vmid, why };
    let node = request.text("node").unwrap_or_default();
    let path = format!("/nodes/{node}/{}/{vmid}/snapshot", request.kind().unwrap_or("qemu"));
    let args = Map::from_iter([
        ("snapname".to_owned(), Value::from(name)),
        ("description".to_owned(), format!("before {} {}", request.method(), request.path()).into()),
    ]);
    let take = Request::of(&eyes.catalog, Method::Post, &path, args, vec![vmid])?;
    let answer = client.send(write(&take)?).await.map_err(|error| failed(error.to_string()))?;
    let upid: Upid = answer.data().map_err(|error| failed(error.to_string()))?;
    match task::follow(client, &upid, on_line).await {
        Ok(Outcome::Done | Outcome::Warnings(_)) => Ok(()),
        Ok(Outcome::Failed { message, .. }) => Err(failed(message)),
        Err(error) => Err(failed(error.to_string())),
    }
}
