//! The promised numbers of the ledger: `cargo bench --bench ledger`, with `--full` for ten million entries, and `--strict` to
//! fail where one does not hold.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use provost::ledger::receipt::Json;
use provost::ledger::receipt::body::Read as ReadBody;
use provost::ledger::verify::{Against, verify};
use provost::ledger::{Decision, Entry, Ledger, Options, Place, Who};
use ring::digest::{Context, SHA256};

const MILLION: u64 = 1_000_000;

struct Promises {
    strict: bool,
    broken: usize,
}

impl Promises {
    fn say(&mut self, what: &str, limit: &str, measured: String, holds: bool) {
        let word = if holds { "holds" } else { "BROKEN" };
        println!("{what:<62} {limit:>16} {measured:>22}  {word}");
        self.broken += usize::from(!holds);
    }
}

fn main() {
    let asked = |name: &str| std::env::args().any(|argument| argument == name);
    let mut promises = Promises { strict: asked("--strict"), broken: 0 };
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("directory");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");

    durable(&runtime, &dir.path().join("durable"), &mut promises);
    let million = dir.path().join("million");
    buffered(&runtime, &million, &mut promises);
    verifying(&million, &mut promises);
    let size = if asked("--full") { 10 * MILLION } else { MILLION };
    opening(&runtime, &million, size, &mut promises);
    mirrored(&runtime, dir.path(), &mut promises);
    if promises.strict && promises.broken > 0 {
        std::process::exit(1);
    }
}

fn entry() -> Entry {
    let args = Json::of("/nodes/{node}/lxc/{vmid}/config", serde_json::json!({ "current": 1 }));
    let body =
        ReadBody { args: Some(args), bytes: 1834, duration_us: 2210, rows: Some(24), status: Some(200) };
    let who = Who {
        uid: Some(1000),
        user: Some("alice".into()),
        role: Some("operator".into()),
        client: Some("claude-code".into()),
        client_version: Some("2.1.0".into()),
        ..Who::default()
    };
    Entry {
        principal: Some(who),
        tool: Some("read"),
        guest: Some(105),
        endpoint: Some("GET /nodes/{node}/lxc/{vmid}/config".into()),
        decision: Some(Decision::Allowed),
        ..Entry::of(body)
    }
}

fn durable(runtime: &tokio::runtime::Runtime, dir: &Path, promises: &mut Promises) {
    const ALONE: u32 = 200;
    const CALLERS: u32 = 64;
    const EACH: u32 = 100;
    // What anybody gets who writes a line and syncs it, one after the other.
    std::fs::create_dir_all(dir).expect("make");
    let mut file = File::create(dir.join("plain")).expect("create");
    let line = vec![b'x'; 450];
    let begun = Instant::now();
    for _ in 0..ALONE {
        file.write_all(&line).expect("write");
        file.sync_data().expect("sync");
    }
    let plain = f64::from(ALONE) / begun.elapsed().as_secs_f64();

    let ledger = Ledger::open(Options::new(dir.join("log"))).expect("open");
    let begun = Instant::now();
    for _ in 0..ALONE {
        ledger.append_durable_blocking(entry()).expect("append");
    }
    let alone = f64::from(ALONE) / begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    runtime.block_on(async {
        let callers = (0..CALLERS).map(|_| {
            let (ledger, entry) = (ledger.clone(), entry());
            tokio::spawn(async move {
                for _ in 0..EACH {
                    ledger.append_durable(entry.clone()).await.expect("append");
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.expect("caller");
        }
    });
    let together = f64::from(CALLERS * EACH) / begun.elapsed().as_secs_f64();
    ledger.close();
    println!(
        "plain write and sync {plain:.0}/s; the ledger, one caller {alone:.0}/s, {CALLERS} callers {together:.0}/s"
    );
    let ratio = together / plain;
    promises.say(
        "durable receipts of 64 callers, of one-at-a-time syncs",
        ">= 20",
        format!("{ratio:.1}"),
        ratio >= 20.0,
    );
}

/// Receipts a second, until all of them are on the disk.
fn fill(runtime: &tokio::runtime::Runtime, ledger: &Ledger, count: u64) -> f64 {
    let begun = Instant::now();
    let callers = 2;
    runtime.block_on(async {
        let tasks = (0..callers).map(|_| {
            let (ledger, entry) = (ledger.clone(), entry());
            tokio::spawn(async move {
                for _ in 0..count / callers {
                    ledger.append(entry.clone()).await.expect("append");
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("task");
        }
        ledger.append_durable(entry()).await.expect("append");
    });
    count as f64 / begun.elapsed().as_secs_f64()
}

fn buffered(runtime: &tokio::runtime::Runtime, dir: &Path, promises: &mut Promises) {
    let ledger = Ledger::open(Options::new(dir)).expect("open");
    fill(runtime, &ledger, MILLION / 10);
    let before = resident();
    let rate = fill(runtime, &ledger, MILLION - MILLION / 10);
    let grown = resident().saturating_sub(before);
    ledger.close();
    promises.say(
        "receipts a second that nobody waits for, until durable",
        ">= 200000",
        format!("{rate:.0}"),
        rate >= 200_000.0,
    );
    promises.say(
        "the process grows meanwhile",
        "<= 8 MiB",
        format!("{:.1} MiB", grown as f64 / 1024.0),
        grown <= 8 << 10,
    );
}

fn verifying(dir: &Path, promises: &mut Promises) {
    let place = Place::new(dir);
    let plain = || {
        let mut context = Context::new(&SHA256);
        let (mut piece, mut bytes) = (vec![0; 1 << 20], 0u64);
        let begun = Instant::now();
        for number in 1.. {
            let Ok(mut file) = File::open(place.segment(number)) else { break };
            loop {
                let read = file.read(&mut piece).expect("read");
                if read == 0 {
                    break;
                }
                context.update(&piece[..read]);
                bytes += read as u64;
            }
        }
        context.finish();
        (bytes as f64 / begun.elapsed().as_secs_f64(), bytes)
    };
    let ours = || {
        let begun = Instant::now();
        let verdict = verify(&place, &Against::default()).expect("readable");
        assert!(verdict.holds(), "{:?}", verdict.damage);
        verdict.bytes as f64 / begun.elapsed().as_secs_f64()
    };
    // Once each for the cache, then in turn.
    let (_, bytes) = plain();
    ours();
    let mut ratios: Vec<f64> = (0..5).map(|_| ours() / plain().0).collect();
    ratios.sort_by(f64::total_cmp);
    let (speed, ratio) = (ours() / 1e6, ratios[2]);
    println!("{} MB in a million receipts, verified at {speed:.0} MB/s", bytes / 1_000_000);
    promises.say(
        "speed of verification, of plain SHA-256 over the same bytes",
        ">= 0.5",
        format!("{ratio:.2}"),
        ratio >= 0.5,
    );
}

fn opening(runtime: &tokio::runtime::Runtime, dir: &Path, size: u64, promises: &mut Promises) {
    let ledger = Ledger::open(Options::new(dir)).expect("open");
    let more = size.saturating_sub(ledger.status().size);
    if more > 0 {
        fill(runtime, &ledger, more);
    }
    ledger.close();
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        let ledger = Ledger::open(Options::new(dir)).expect("open");
        times.push(begun.elapsed());
        assert_eq!(ledger.status().state, "ready");
        ledger.close();
    }
    times.sort();
    let (time, millions) = (times[2], size / MILLION);
    let what = format!("opening {millions} million receipts, the first one durable: p50");
    promises.say(
        &what,
        "<= 50 ms",
        format!("{:.1} ms", time.as_secs_f64() * 1e3),
        time <= Duration::from_millis(50),
    );
}

/// Beside it: what the journal's copy costs, with a reader that takes all, and with one that takes nothing.
fn mirrored(runtime: &tokio::runtime::Runtime, dir: &Path, promises: &mut Promises) {
    for (name, reads) in [("reads", true), ("hangs", false)] {
        let path = dir.join(name);
        let socket = std::os::unix::net::UnixDatagram::bind(&path).expect("bind");
        if reads {
            std::thread::spawn(move || {
                let mut held = vec![0; 1 << 16];
                while socket.recv(&mut held).is_ok() {}
            });
        } else {
            std::mem::forget(socket);
        }
        let options = Options { journal: Some(path), ..Options::new(dir.join(format!("log-{name}"))) };
        let ledger = Ledger::open(options).expect("open");
        let rate = fill(runtime, &ledger, MILLION / 10);
        let mut slowest = Duration::ZERO;
        for _ in 0..100 {
            let begun = Instant::now();
            ledger.append_durable_blocking(entry()).expect("append");
            slowest = slowest.max(begun.elapsed());
        }
        let dropped = ledger.status().unmirrored;
        println!(
            "with a journal that {name}: {rate:.0}/s, {dropped} not taken so far, slowest durable receipt {slowest:?}"
        );
        promises.say(
            "a durable receipt beside it waits at most",
            "<= 1 s",
            format!("{slowest:?}"),
            slowest <= Duration::from_secs(1),
        );
        if reads {
            ledger.close();
        } else {
            // Its journal is waited for at the end, entry by entry.
            std::mem::forget(ledger);
        }
    }
}

/// KiB
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("read");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
