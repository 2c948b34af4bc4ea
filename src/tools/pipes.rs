//! The three pipes of a process in a container, command or errand.

use std::io;
use std::os::fd::OwnedFd;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use tokio::net::unix::pipe::{Receiver, Sender};

use super::answer::Failure;

pub fn no_pipes(error: io::Error) -> Failure {
    Failure::new(
        "resources",
        format!("cannot make the command's pipes: {error}"),
        "call again when less runs at once",
    )
}

/// The command's three pipes. Pipes and not /dev/null or a socket, so that the command is given no object that stands
/// anywhere else on the node.
pub struct Pipes<In = OwnedFd, Out = OwnedFd, End = OwnedFd> {
    pub stdin: In,
    pub stdout: Out,
    pub stderr: Out,
    pub stdin_end: End,
    pub stdout_end: End,
    pub stderr_end: End,
}

impl Pipes {
    pub fn new() -> io::Result<Self> {
        let (stdin_end, stdin) = pipe2(OFlag::O_CLOEXEC)?;
        let (stdout, stdout_end) = pipe2(OFlag::O_CLOEXEC)?;
        let (stderr, stderr_end) = pipe2(OFlag::O_CLOEXEC)?;
        // So that the command may open /dev/stdout and its like, whoever it is inside.
        let everybody = nix::sys::stat::Mode::from_bits_truncate(0o666);
        for end in [&stdin_end, &stdout_end, &stderr_end] {
            nix::sys::stat::fchmod(end, everybody)?;
        }
        Ok(Self { stdin, stdout, stderr, stdin_end, stdout_end, stderr_end })
    }

    /// Closes the command's ends, so that a stream ends when the command's last process has closed it.
    pub fn keep_ours(self) -> io::Result<Pipes<Sender, Receiver, ()>> {
        Ok(Pipes {
            stdin: Sender::from_owned_fd(self.stdin)?,
            stdout: Receiver::from_owned_fd(self.stdout)?,
            stderr: Receiver::from_owned_fd(self.stderr)?,
            stdin_end: (),
            stdout_end: (),
            stderr_end: (),
        })
    }
}
