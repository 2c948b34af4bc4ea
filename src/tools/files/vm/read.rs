//! The bytes of a VM's file, by the agent's own reading.

use crate::tools::answer::Failure;
use crate::tools::vm::agent::{Agent, MOST_READ, PIECE};

use crate::door::Part;

/// Bytes of a file whose size is not known that are gone through for its end.
const MOST_WALK: u64 = 64 << 20;

/// A part of a file.
#[derive(Debug)]
pub struct Seen {
    pub bytes: Vec<u8>,
    /// Where it begins.
    pub from: u64,
    /// Of the whole file, where that came to be known.
    pub size: Option<u64>,
}

/// `size`: as it was looked up, where it was.
pub async fn read(
    agent: &Agent,
    path: &str,
    part: Part,
    most: u64,
    size: Option<u64>,
) -> Result<Seen, Failure> {
    let (from, count) = match (part, size) {
        (Part::From(from), Some(size)) => (from.min(size), most.min(size.saturating_sub(from))),
        (Part::Last(last), Some(size)) => {
            let from = size.saturating_sub(last);
            (from, most.min(size - from))
        }
        (Part::From(from), None) => (from, most),
        (Part::Last(last), None) => return tail(agent, path, last.min(most)).await,
    };
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < count {
        let left = count - bytes.len() as u64;
        let Some(mut piece) = agent.read(path, from + bytes.len() as u64, left.min(PIECE)).await? else {
            return whole(agent, path, from, count).await;
        };
        piece.bytes.truncate(left as usize);
        let is_last = piece.is_last || piece.bytes.is_empty();
        bytes.append(&mut piece.bytes);
        if is_last {
            let end = from + bytes.len() as u64;
            // Beyond the end there is nothing, which does not say where that is.
            let size = size.or((from == 0 || !bytes.is_empty()).then_some(end));
            return Ok(Seen { bytes, from, size });
        }
    }
    Ok(Seen { bytes, from, size })
}

/// The end of a file whose size nobody has told.
async fn tail(agent: &Agent, path: &str, last: u64) -> Result<Seen, Failure> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut end = 0;
    loop {
        let Some(piece) = agent.read(path, end, PIECE).await? else {
            let seen = whole(agent, path, 0, MOST_READ).await?;
            let Some(size) = seen.size else { return Err(too_large(path, MOST_READ)) };
            let from = size.saturating_sub(last);
            return Ok(Seen { bytes: seen.bytes[from as usize..].to_vec(), from, size: Some(size) });
        };
        end += piece.bytes.len() as u64;
        let is_last = piece.is_last || piece.bytes.is_empty();
        bytes.extend(piece.bytes);
        let over = (bytes.len() as u64).saturating_sub(last);
        bytes.drain(..over as usize);
        if is_last {
            return Ok(Seen { from: end - bytes.len() as u64, bytes, size: Some(end) });
        }
        if end >= MOST_WALK {
            return Err(too_large(path, MOST_WALK));
        }
    }
}

fn too_large(path: &str, most: u64) -> Failure {
    let message = format!(
        "the end of {path:?} in the VM is beyond {most} bytes, and a guest agent by itself tells no size to count from"
    );
    Failure::new(
        "too_large",
        message,
        "give an offset; or a role with exec = \"change\", by which its size is looked up",
    )
}

/// A part of a file of which PVE gives only the beginning.
async fn whole(agent: &Agent, path: &str, from: u64, count: u64) -> Result<Seen, Failure> {
    let piece = agent.read_whole(path).await?;
    let all = piece.bytes;
    let length = all.len() as u64;
    if !piece.is_last && from.saturating_add(count) > length && count > 0 {
        let message = format!("this node's PVE gives the first {length} bytes of {path:?} and no more");
        return Err(Failure::new(
            "too_large",
            message,
            "read the rest of it by exec (tail -c) with mode \"change\"",
        ));
    }
    let start = from.min(length);
    let end = start.saturating_add(count).min(length);
    let bytes = all[start as usize..end as usize].to_vec();
    Ok(Seen { bytes, from: start, size: piece.is_last.then_some(length) })
}
