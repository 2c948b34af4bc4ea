//! Programs of the node's: run by their arguments, with a limit of time, and nothing of their output lost or shown.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use zeroize::Zeroizing;

/// What a program printed at most that is kept.
const MOST: u64 = 16 << 20;

pub struct Ran {
    pub status: ExitStatus,
    /// May hold a secret: it is wiped when it is dropped, and nobody prints it.
    pub stdout: Zeroizing<Vec<u8>>,
    pub stderr: String,
}

/// Runs it to its end, or ends it after `patience`. `input` is what it reads.
pub fn run(program: &Path, words: &[&str], input: &[u8], patience: Duration) -> io::Result<Ran> {
    let mut child = Command::new(program)
        .args(words)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (mut stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let input = Zeroizing::new(input.to_vec());
    thread::spawn(move || stdin.as_mut().map(|stdin| stdin.write_all(&input)));
    let (said, both) = mpsc::channel();
    for (is_error, mut pipe) in [(false, stdout.map(boxed)), (true, stderr.map(boxed))] {
        let said = said.clone();
        thread::spawn(move || {
            let mut bytes = Zeroizing::new(Vec::with_capacity(64 << 10));
            if let Some(pipe) = &mut pipe {
                let _ = pipe.take(MOST).read_to_end(&mut bytes);
            }
            let _ = said.send((is_error, bytes));
        });
    }
    let (tell, ended) = mpsc::channel();
    let pid = Pid::from_raw(child.id() as i32);
    // Its end is seen there and taken here: until then its number is nobody else's, and it can be ended by it.
    thread::spawn(move || {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while waitid(Id::Pid(pid), flags) == Err(Errno::EINTR) {}
        let _ = tell.send(());
    });
    if ended.recv_timeout(patience).is_err() {
        let _ = (child.kill(), child.wait());
        let message = format!("it did not end within {} s", patience.as_secs());
        return Err(io::Error::new(io::ErrorKind::TimedOut, message));
    }
    let status = child.wait()?;
    // Each pipe is heard to its end; a grandchild that holds one open is not waited for.
    drop(said);
    let (mut stdout, mut stderr) = (Zeroizing::default(), String::new());
    while let Ok((is_error, bytes)) = both.recv_timeout(Duration::from_secs(2)) {
        match is_error {
            true => stderr = crate::text::clean(&bytes),
            false => stdout = bytes,
        }
    }
    Ok(Ran { status, stdout, stderr })
}

fn boxed(pipe: impl Read + Send + 'static) -> Box<dyn Read + Send> {
    Box::new(pipe)
}

/// A command as a person would type it.
pub fn typed(words: &[impl AsRef<str>]) -> String {
    let words: Vec<String> = words.iter().map(|word| super::audit::quoted(word.as_ref())).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_program_is_given_its_input_and_heard_to_its_end() {
        let ran =
            run(Path::new("/bin/sh"), &["-c", "cat; echo bad >&2; exit 3"], b"good", Duration::from_secs(20));
        let ran = ran.unwrap();
        assert_eq!(
            (ran.status.code(), ran.stdout.as_slice(), ran.stderr.as_str()),
            (Some(3), &b"good"[..], "bad\n")
        );
    }

    #[test]
    fn one_that_hangs_is_ended() {
        let began = Instant::now();
        let error = run(Path::new("/bin/sleep"), &["60"], b"", Duration::from_millis(50)).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}
