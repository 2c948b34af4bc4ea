//! A checked request as the write that is sent, which is consumed by being sent.

use crate::catalog::Method;
use crate::plan::eyes::segments;
use crate::plan::{Refused, Request};
use crate::pve::{CallError, Path, Write};

/// The digest of what was observed goes along where the endpoint takes one.
pub fn write(request: &Request) -> Result<Write, Refused> {
    Ok(of(request)?)
}

fn of(request: &Request) -> Result<Write, CallError> {
    let checked = &request.checked;
    let path = Path::of(segments(checked.path()))?;
    let mut write = match checked.method() {
        Method::Post => Write::post(path),
        Method::Put => Write::put(path),
        Method::Delete => Write::delete(path),
        // A request is never one: `Request::of` refuses it.
        Method::Get => {
            return Err(CallError::Path { path: checked.path().to_owned(), why: "it changes nothing" });
        }
    };
    for (name, value) in checked.pairs() {
        write = write.with(name, value)?;
    }
    match checked.node() {
        Some(node) => write.on_node(node),
        None => Ok(write),
    }
}
