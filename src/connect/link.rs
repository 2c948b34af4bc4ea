//! The way to one host: OpenSSH's own client that runs the bridge there, or a socket.
//!
//! Whatever ssh asks of a user's configuration, keys and agent it asks as it always does; it is only kept from asking a
//! person (`BatchMode`), as what it would print is no MCP.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, ChildStderr, Command};

use super::fleet::{At, Spec};
use super::halves::{Writing, reading};
use super::trouble::Trouble;

pub type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// A writing side: one message at a time goes out, as a line.
#[derive(Clone)]
pub struct Voice(Arc<tokio::sync::Mutex<Option<Writer>>>);

impl Voice {
    pub fn new(write: Writer) -> Self {
        Self(Arc::new(tokio::sync::Mutex::new(Some(write))))
    }

    pub async fn say(&self, message: &impl serde::Serialize) -> io::Result<()> {
        let mut write = self.0.lock().await;
        let write = write.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        write.write_all(&line).await?;
        write.flush().await
    }

    /// What is still being written to somebody who does not read is not waited for.
    pub fn close(&self) {
        if let Ok(mut write) = self.0.try_lock() {
            write.take();
        }
    }
}

/// Bytes of ssh's stderr that are kept: its end, where it says why.
const KEPT: usize = 4 << 10;
/// Characters of one line that are shown.
const SHOWN: usize = 300;
/// How long a program that has closed its output may take to end and to have said why.
const TO_END: Duration = Duration::from_secs(2);

/// An open way, and what can be told of its end.
pub struct Link {
    pub read: Reader,
    pub write: Writer,
    pub end: End,
}

/// Whatever is behind the way; it ends with this.
pub struct End(Option<(Child, Arc<Mutex<Vec<u8>>>)>);

pub async fn open(spec: &Spec, ssh_config: Option<&Path>) -> Result<Link, Trouble> {
    match &spec.at {
        At::Socket(path) => {
            let stream = UnixStream::connect(path).await.map_err(|error| no_socket(path, &error))?;
            let (read, write) = halves(stream).map_err(|error| no_socket(path, &error))?;
            Ok(Link { read: Box::new(read), write: Box::new(write), end: End(None) })
        }
        At::Ssh(to) => ssh(to, ssh_config).map_err(|error| {
            let next = "install OpenSSH's client on this machine (Debian: openssh-client)";
            Trouble::new("no_ssh", format!("cannot start ssh: {error}"), next)
        }),
    }
}

fn halves(stream: UnixStream) -> io::Result<(Receiver, Writing)> {
    let to = OwnedFd::from(stream.into_std()?);
    Ok((reading(to.try_clone()?)?, Writing::new(to)?))
}

/// What ssh is called with. Everything that is somebody's word comes after `--`; and whatever the user's own configuration
/// forwards to this host for a shell, as the agent with the keys of all hosts, is not for a connection that a model begins.
pub fn arguments<'a>(to: &'a str, ssh_config: Option<&'a Path>) -> Vec<&'a std::ffi::OsStr> {
    let mut words: Vec<&std::ffi::OsStr> = Vec::new();
    if let Some(config) = ssh_config {
        words.extend(["-F".as_ref(), config.as_os_str()]);
    }
    words.extend(["-T", "-a", "-x"].map(std::ffi::OsStr::new));
    words.extend(
        ["-o", "BatchMode=yes", "-o", "ClearAllForwardings=yes", "--", to, "provost", "bridge"]
            .map(std::ffi::OsStr::new),
    );
    words
}

fn ssh(to: &str, ssh_config: Option<&Path>) -> io::Result<Link> {
    let mut child = Command::new("ssh")
        .args(arguments(to, ssh_config))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A Ctrl-C at a terminal is for this program, which then ends what it began.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
    let read = reading(child.stdout.take().ok_or_else(gone)?.into_owned_fd()?)?;
    let write = Writing::new(child.stdin.take().ok_or_else(gone)?.into_owned_fd()?)?;
    let stderr = child.stderr.take().ok_or_else(gone)?;
    let said = Arc::<Mutex<Vec<u8>>>::default();
    tokio::spawn(listen(stderr, said.clone()));
    Ok(Link { read: Box::new(read), write: Box::new(write), end: End(Some((child, said))) })
}

/// Keeps the end of what is said, however much that is.
async fn listen(mut stderr: ChildStderr, said: Arc<Mutex<Vec<u8>>>) {
    let mut chunk = [0; 4096];
    while let Ok(length @ 1..) = stderr.read(&mut chunk).await {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend_from_slice(&chunk[..length]);
        let over = said.len().saturating_sub(KEPT);
        said.drain(..over);
    }
}

impl End {
    /// Ends what is behind the way, and says why it was over where it says so itself.
    pub async fn why(mut self, to: &Spec) -> Option<Trouble> {
        let (child, said) = self.0.as_mut()?;
        let status = tokio::time::timeout(TO_END, child.wait()).await.ok().and_then(Result::ok);
        if status.is_none() {
            let _ = child.start_kill();
        }
        // What it said last may still be on its way here.
        tokio::task::yield_now().await;
        let line = last_line(&said.lock().unwrap_or_else(PoisonError::into_inner));
        let At::Ssh(to) = &to.at else { return None };
        Some(told(to, status, line))
    }
}

/// The last line that says something, clean and short.
fn last_line(said: &[u8]) -> Option<String> {
    let text = crate::text::clean(said);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(crate::text::brief(line, SHOWN))
}

fn told(to: &str, status: Option<ExitStatus>, line: Option<String>) -> Trouble {
    let code = status.and_then(|status| status.code());
    let said = line.unwrap_or_else(|| match (code, status) {
        (Some(code), _) => format!("ssh ended with {code}, without a word"),
        (None, Some(status)) => format!("ssh ended: {status}"),
        (None, None) => "the connection was closed".to_owned(),
    });
    let (kind, next) = match code {
        // By ssh's own word: what it ran ends otherwise.
        Some(255) => ("ssh", format!("try by hand: ssh -T -o BatchMode=yes -- {to} provost --version")),
        Some(127) => ("not_installed", "install Provost there: apt install ./provost_*.deb".to_owned()),
        Some(69) => ("no_daemon", "on that node: provost doctor".to_owned()),
        _ => ("closed", format!("try by hand: ssh -T -- {to} provost doctor")),
    };
    Trouble::new(kind, said, next)
}

fn no_socket(path: &Path, error: &io::Error) -> Trouble {
    let next = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "is the tunnel (ssh -L) or the daemon there? On the node: systemctl status provost.socket"
        }
        io::ErrorKind::PermissionDenied => "whoever runs this has to be in the group provost",
        _ => "on the node: journalctl -t provost",
    };
    Trouble::new("no_socket", format!("cannot connect to {}: {error}", path.display()), next)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn what_somebody_typed_comes_after_what_ends_options() {
        let words = arguments("alice@pve1", Some(Path::new("/c")));
        let end = words.iter().position(|word| *word == "--").unwrap();
        assert_eq!(&words[end..], ["--", "alice@pve1", "provost", "bridge"]);
        assert_eq!(&words[..2], ["-F", "/c"]);
        assert!(words.contains(&"-a".as_ref()) && words.contains(&"ClearAllForwardings=yes".as_ref()));
    }

    #[test]
    fn the_last_line_is_shown_clean_and_short_and_says_whose_word_it_is() {
        let line = last_line(b"Warning: x\r\n\x1b[31malice@pve1: Permission denied (publickey).\r\n\r\n");
        assert_eq!(line.as_deref(), Some("alice@pve1: Permission denied (publickey)."));
        assert!(last_line(&b"x".repeat(1 << 16)).is_some_and(|line| line.chars().count() <= SHOWN + 1));
        assert_eq!(last_line(b"\n \n"), None);
        for (code, kind) in [(255, "ssh"), (127, "not_installed"), (69, "no_daemon"), (1, "closed")] {
            let trouble = told("pve1", Some(ExitStatus::from_raw(code << 8)), None);
            assert_eq!(trouble.kind, kind);
        }
    }
}
