//! `provost bridge`: standard input to the daemon, the daemon to standard output.
//!
//! Three threads and nothing else, so that `ssh node provost bridge` starts in a millisecond. When input ends, the
//! socket's writing side is closed and answers go on coming; when the daemon closes, the bridge ends, whatever input
//! still says; and when nobody is left to read what it writes, it ends too, and with it the session and its commands.
//! It ends well when input has ended and every call that went by was answered.

mod daemon;

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

pub use self::daemon::Port;
use self::daemon::{At, Connection};
use super::unanswered::{Lines, Seen, Unanswered};
use crate::config;

/// The daemon went away, or would not have us: sysexits' EX_UNAVAILABLE.
const UNAVAILABLE: u8 = 69;
/// Our own output was closed before the daemon had said everything: EX_IOERR.
const OUTPUT_LOST: u8 = 74;

/// Input has ended, so the daemon's closing is the session's end and not a loss.
static INPUT_ENDED: AtomicBool = AtomicBool::new(false);

pub fn run(socket: Option<PathBuf>, vsock: Option<Port>, config: Option<PathBuf>) -> ExitCode {
    let at = match (vsock, socket) {
        (Some(port), _) => At::Vsock(port),
        (None, Some(socket)) => At::Unix(socket),
        (None, None) => match configured(config) {
            Ok(socket) => At::Unix(socket),
            Err(error) => return fail(&error.to_string(), UNAVAILABLE),
        },
    };
    let stream = match at.connect() {
        Ok(stream) => stream,
        Err(why) => return fail(&why, UNAVAILABLE),
    };
    let mut from_daemon = match stream.try_clone() {
        Ok(stream) => stream,
        Err(error) => return fail(&format!("cannot use the connection: {error}"), UNAVAILABLE),
    };
    let calls = Calls::default();
    let sent = calls.clone();
    std::thread::spawn(move || forward_input(stream, sent));
    std::thread::spawn(end_with_the_reader);

    let mut lines = Lines::default();
    let mut stdout = io::stdout().lock();
    // What comes is passed on first, and looked at then.
    let came = copy(&mut from_daemon, |bytes| {
        stdout.write_all(bytes).and_then(|()| stdout.flush())?;
        calls.with(|calls| {
            lines.feed(bytes, |line| match line {
                Seen::Line(line) => calls.came(line, true),
                Seen::Begun(line) => calls.came(line, false),
                Seen::TooLong => {
                    calls.came_unclear();
                    true
                }
            });
        });
        Ok(())
    });
    let unanswered = calls.with(|calls| calls.count());
    match came {
        Ok(()) if unanswered == 0 && INPUT_ENDED.load(Ordering::SeqCst) => ExitCode::SUCCESS,
        Ok(()) => {
            let left = match unanswered {
                0 => String::new(),
                1 => " and left 1 call unanswered".into(),
                more => format!(" and left {more} calls unanswered"),
            };
            let next = "on the node: systemctl status provost, journalctl -t provost";
            fail(&format!("the daemon closed the connection{left}; {next}"), UNAVAILABLE)
        }
        Err(Side::Read(error)) => fail(&format!("the connection to the daemon broke: {error}"), UNAVAILABLE),
        // The client is gone: it needs no message, but a script may want to know.
        Err(Side::Write) => ExitCode::from(OUTPUT_LOST),
    }
}

/// The calls that went by, between the two directions.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<Unanswered>>);

impl Calls {
    fn with<T>(&self, act: impl FnOnce(&mut Unanswered) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where the configuration says the daemon listens; its default where there is no configuration to read, as on a
/// node where the user may connect but not read it.
fn configured(path: Option<PathBuf>) -> Result<PathBuf, config::ConfigError> {
    let named = path.is_some() || std::env::var_os("PROVOST_CONFIG").is_some();
    match config::load(&config::path(path)) {
        Ok(config) => Ok(config.listen.unix),
        Err(config::ConfigError::Read { .. }) if !named => Ok(config::Listen::default().unix),
        Err(error) => Err(error),
    }
}

fn forward_input(mut stream: Connection, calls: Calls) {
    let mut lines = Lines::default();
    // A call is known before it is sent: its answer may be quick. Whichever side failed, there is no more to send.
    let _ = copy(&mut io::stdin().lock(), |bytes| {
        calls.with(|calls| {
            lines.feed(bytes, |line| {
                if let Seen::Line(line) = line {
                    calls.sent(line);
                }
                false
            });
        });
        stream.write_all(bytes)
    });
    INPUT_ENDED.store(true, Ordering::SeqCst);
    let _ = stream.end();
}

/// An SSH connection that is lost ends our input, as a client that has said all it will does, and closes our output: by
/// that alone the two are told apart, and without a write to fail by, it has to be asked for.
fn end_with_the_reader() {
    let stdout = io::stdout();
    let mut state = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    while poll(&mut state, PollTimeout::NONE) == Err(Errno::EINTR) {}
    let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
    if state[0].revents().is_some_and(|events| events.intersects(gone)) {
        std::process::exit(OUTPUT_LOST.into());
    }
}

enum Side {
    Read(io::Error),
    Write,
}

/// Each read goes out at once: a message must not wait in a buffer for the next.
fn copy(from: &mut impl Read, mut pass_on: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), Side> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Side::Read(error)),
        };
        pass_on(&buffer[..length]).map_err(|_| Side::Write)?;
    }
}

fn fail(message: &str, code: u8) -> ExitCode {
    // Whoever would read it may be gone as well.
    let _ = writeln!(io::stderr(), "provost bridge: {message}");
    ExitCode::from(code)
}
