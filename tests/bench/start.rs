//! From the birth of `provostd` to its first answer.

use std::io;
use std::time::{Duration, Instant};

use crate::daemons::Node;
use crate::report::{Promise, table};
use crate::samples::{Samples, ms};
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

pub fn report(starts: &Samples) -> Vec<Promise> {
    let [p50, p95, min] = [starts.p50(), starts.p95(), starts.min()].map(ms);
    let row = ["provostd, to its first answer".into(), starts.len().to_string(), p50, p95, min];
    table("Start", ["ms", "starts", "p50", "p95", "min"], vec![row]);
    let measured = Some(starts.p50().as_secs_f64() * 1000.0);
    vec![Promise::at_most("provostd, start to first answer: p50", 15.0, measured).in_unit("ms")]
}
