//! The daemon killed while it serves: what a client was told stays, and the log goes on.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use provost::ledger::Kind;
use serde_json::json;

use crate::common::Client;
use crate::place::{Place, role};

#[test]
fn a_daemon_killed_under_load_opens_its_log_again_and_uses_no_number_twice() {
    let runs = std::env::var("PROVOST_CRASH_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(12);
    let mut place = Place::start(&role("reader", "profile = \"observe\""));
    let mut least = 0;
    for run in 0..runs {
        let served = AtomicU64::new(0);
        let socket = place.socket();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let Ok(stream) = std::os::unix::net::UnixStream::connect(&socket) else { return };
                    // Until the daemon is gone, which for this client is the end of the stream.
                    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        std::panic::set_hook(Box::new(|_| {}));
                        let mut client = Client::raw(stream);
                        let info = json!({ "name": "test", "version": "1" });
                        let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info });
                        client.request("initialize", hello);
                        client.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
                        loop {
                            client.call("read", json!({ "path": "/version" }));
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                    }));
                });
            }
            std::thread::sleep(Duration::from_millis(fastrand_of(run)));
            place.kill();
        });
        let _ = std::panic::take_hook();
        place.start_again();
        let receipts = place.receipts();
        let seqs: BTreeSet<_> = receipts.iter().map(|receipt| receipt.seq).collect();
        assert_eq!(seqs.len(), receipts.len());
        assert_eq!(seqs.last().map(|last| last + 1), Some(receipts.len() as u64));
        let starts = receipts.iter().filter(|receipt| receipt.kind == Kind::Start).count();
        assert_eq!(starts, run as usize + 2);
        assert!(receipts.len() >= least, "nothing that was there is gone");
        least = receipts.len();
    }
    place.stop();
    let verdict = place.verdict();
    assert!(verdict.holds(), "{:?}", verdict.damage);
}

/// From 5 to 250 ms, another for each run.
fn fastrand_of(run: u64) -> u64 {
    5 + run.wrapping_mul(2_654_435_761) % 245
}
