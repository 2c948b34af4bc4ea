//! From the birth of `provostd` to its first answer.

use std::io;
use std::time::{Duration, Instant};

use crate::daemons::Node;
use crate::samples::Samples;
use crate::session::{Call, Session};

pub fn measure(node: &mut Node, rounds: usize) -> io::Result<Samples> {
    let status = Call::status();
    let mut times = Samples::default();
    for _ in 0..rounds {
        node.stop_provostd();
        let began = Instant::now();
        node.start_provostd();
        let mut session = loop {
            match Session::open(&node.socket()) {
                Ok(session) => break session,
                Err(error) if began.elapsed() > Duration::from_secs(10) => return Err(error),
                // Not listening yet. A service manager would hold the socket and spare this wait.
                Err(_) => std::thread::sleep(Duration::from_micros(100)),
            }
        };
        let answer = session.call(&status)?;
        times.add(began.elapsed());
        if !answer.contains("reachable") {
            return Err(io::Error::other(answer));
        }
    }
    Ok(times)
}
