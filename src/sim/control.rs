//! The socket by which faults are set from another process: a line is a fault in words, with `@PATTERN` before it if it
//! is not to strike everywhere; `heal` takes all back. Each line is answered with `ok` or what is wrong with it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::Shared;
use super::fault::{Fault, Trap, UnknownFault};

/// In the estate's folder.
pub const SOCKET: &str = "control.sock";

pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind(path)
}

pub async fn serve(shared: Arc<Shared>, listener: UnixListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move { session(&shared, stream).await });
    }
}

async fn session(shared: &Shared, stream: UnixStream) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await.ok()? {
        let answer = match obey(shared, &line) {
            Ok(()) => "ok\n".to_owned(),
            Err(error) => format!("{error}\n"),
        };
        write.write_all(answer.as_bytes()).await.ok()?;
    }
    None
}

fn obey(shared: &Shared, line: &str) -> Result<(), UnknownFault> {
    if line.trim() == "heal" {
        shared.clear_faults();
        return Ok(());
    }
    let (pattern, words) = match line.strip_prefix('@') {
        Some(rest) => rest.split_once(' ').unwrap_or((rest, "")),
        None => ("", line),
    };
    let fault: Fault = words.parse()?;
    shared.set_fault(Trap { fault, pattern: pattern.to_owned(), times: None });
    Ok(())
}
