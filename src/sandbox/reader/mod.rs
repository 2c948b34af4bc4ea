//! A process beside the daemon that opens files for it, by name.
//!
//! Why: `/etc/pve` holds private keys among the files that the daemon reads (`nodes/NAME/pve-ssl.key` beside
//! `pve-ssl.pem`, `pve-www.key` beside `storage.cfg`), and its account may read them. Landlock opens a directory with all
//! in it, or a file for as long as it is not replaced, and everything there is replaced by rename. So the daemon's domain
//! holds none of it, and what it reads there it is handed by this process, which looks at what a name stands for now and
//! hands out no key, whatever was replaced. The same holds for the configuration, tokens and certificate, and for names
//! of accounts, which live in files that are replaced too.
//!
//! | process | file |
//! | --- | --- |
//! | the daemon, which asks | here |
//! | the reader, which answers | [`serve`] |
//! | what it hands out | [`names`] |
//!
//! A question is one datagram with a socket of its own for the answer, so that a file system that hangs delays only who
//! asked about it.

mod ask;
mod names;
mod serve;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

pub use serve::{ReaderError, run};

/// What the daemon's own program is called with to be the reader: nobody types it.
pub const ARGUMENT: &str = "--reader";

static SOCKET: OnceLock<OwnedFd> = OnceLock::new();

/// A name that is one of these is asked for, by its number.
#[derive(Debug, Clone, Copy)]
enum Question {
    Open = 0,
    User = 1,
    Group = 2,
    Account = 3,
}

/// The reader, as the daemon sees it.
pub struct Beside {
    /// Nothing is ever said there: its other end goes with the reader.
    life: UnixStream,
    /// It ends with this process, and whoever then has it takes its end.
    _process: Child,
}

impl Beside {
    /// Waits until it has ended.
    pub async fn ended(&self) {
        match self.life.try_clone().and_then(tokio::net::UnixStream::from_std) {
            Ok(life) => drop(life.readable().await),
            Err(_) => std::future::pending().await,
        }
    }
}

/// Starts it, from this very program, and lets [`crate::files`] and the names of accounts ask it from here on.
pub fn start(config: &Path) -> io::Result<Beside> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
    let (life, its_life) = UnixStream::pair()?;
    life.set_nonblocking(true)?;
    let process = Command::new("/proc/self/exe")
        .arg(ARGUMENT)
        .arg("--config")
        .arg(config)
        // Not its affair: whoever has these speaks for the service.
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC")
        .env_remove("WATCHDOG_PID")
        .env_remove("LISTEN_FDS")
        .env_remove("LISTEN_PID")
        .stdin(Stdio::from(theirs))
        .stdout(OwnedFd::from(its_life))
        .spawn()?;
    let beside = Beside { life, _process: process };
    let _ = SOCKET.set(ours);
    crate::files::through(ask::open);
    Ok(beside)
}

/// The name of an account, where the node knows one.
pub fn user(uid: u32) -> Option<String> {
    match SOCKET.get() {
        Some(socket) => ask::name(socket, Question::User, uid),
        None => serve::user(uid),
    }
}

/// An account's name and its groups, the primary first; none where the node knows no such account. Blocks.
pub fn account(uid: u32) -> io::Result<Option<(String, Vec<u32>)>> {
    match SOCKET.get() {
        Some(socket) => ask::account(socket, uid),
        None => serve::account(uid),
    }
}

/// The name of a group.
pub fn group(gid: u32) -> Option<String> {
    match SOCKET.get() {
        Some(socket) => ask::name(socket, Question::Group, gid),
        None => serve::group(gid),
    }
}
