//! The process is killed at every system call by which the log touches the disk, and at moments that nobody chose.
//!
//! strace does the killing: at the Nth `pwrite64`, `fdatasync`, `fsync`, `rename` and so on, one run for each, so the log's own
//! code is the one that ships. Each log goes through many deaths in a row, so the mending is killed as well. A run of
//! CI takes a part; `PROVOST_CRASH_RUNS=2000` and more take all, again and again with other loads.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use provost::ledger::{Ledger, Options, Receipt};

use crate::common::*;

/// What changes a file, a directory, or what of them survives.
const CALLS: [&str; 9] =
    ["pwrite64", "fdatasync", "fsync", "rename", "ftruncate", "unlink", "mkdir", "openat", "write"];

/// The program under test: this one, started again. It appends, and says of each entry what it was told.
const LOG: &str = "PROVOST_TEST_LOG";
const LOAD: &str = "PROVOST_TEST_LOAD";

#[test]
#[ignore = "not a test: what the tests of this file start and kill"]
fn child() {
    let Some(dir) = std::env::var_os(LOG).map(PathBuf::from) else { return };
    let load: u64 = std::env::var(LOAD).ok().and_then(|load| load.parse().ok()).unwrap_or(0);
    let ledger = match Ledger::open(options(&dir)) {
        Ok(ledger) => ledger,
        Err(error) => panic!("{error}"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(work(&ledger, load));
    ledger.close();
    say("stopped");
}

async fn work(ledger: &Ledger, load: u64) {
    for step in 0..8 {
        let mark = load * 1000 + step * 10;
        for extra in 0..(load + step) % 4 {
            let _ = ledger.append(read(mark + extra)).await;
        }
        let (head, body) = intent(mark + 5);
        match ledger.intent(head, body).await {
            Ok(recorded) => {
                say(&format!("acked {} {}", recorded.seq(), mark + 5));
                match recorded.outcome(None, outcome()).await {
                    Ok(seq) => say(&format!("acked {seq} -")),
                    Err(error) => say(&format!("refused {error}")),
                }
            }
            Err(error) => say(&format!("refused {error}")),
        }
        // Several at once, so that one sync answers many.
        let at_once = (0..3).map(|index| ledger.append_durable(refusal(mark + index)));
        let all: Vec<_> = at_once.collect();
        for (index, one) in all.into_iter().enumerate() {
            match one.await {
                Ok(seq) => say(&format!("acked {seq} {}", mark + index as u64)),
                Err(error) => say(&format!("refused {error}")),
            }
        }
        if step % 3 == load % 3 {
            let _ = ledger.checkpoint().await;
        }
    }
}

/// One write: whoever reads the pipe has it, or was never told.
fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("\n@{line}\n").as_bytes());
}

struct Log {
    _dir: tempfile::TempDir,
    path: PathBuf,
    /// What was acknowledged: the number, and what was recorded under it.
    acked: BTreeMap<u64, String>,
    /// Each line that was seen after a start: it may never change again.
    lines: Vec<String>,
}

impl Log {
    fn new() -> Self {
        let dir = directory();
        // Not made: the first start is killed too.
        let path = dir.path().join("log");
        Self { _dir: dir, path, acked: BTreeMap::new(), lines: Vec::new() }
    }

    fn child(&self, load: u64, before: &[&str]) -> Command {
        let own = std::env::current_exe().expect("this program");
        let mut command = match before.split_first() {
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(own);
                command
            }
            None => Command::new(own),
        };
        command
            .args(["--exact", "crash::child", "--ignored", "--nocapture", "--test-threads=1"])
            .env(LOG, &self.path)
            .env(LOAD, load.to_string())
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// Takes in what a child was told. Whether it came to its end.
    fn listen(&mut self, child: &mut Child) -> Told {
        let stderr = child.stderr.take().expect("its words");
        let mut told = Told::default();
        for line in BufReader::new(stderr).lines() {
            let line = line.expect("text");
            let Some(line) = line.strip_prefix('@') else {
                told.other.push_str(&line);
                continue;
            };
            match line.split_once(' ') {
                Some(("acked", rest)) => {
                    let (seq, mark) = rest.split_once(' ').expect("two words");
                    let before = self.acked.insert(seq.parse().expect("a number"), mark.to_owned());
                    assert_eq!(before, None, "number {seq} was given twice");
                    told.acked += 1;
                }
                Some(("refused", why)) => told.refused.push(why.to_owned()),
                _ => told.stopped = line == "stopped",
            }
        }
        told.killed = child.wait().expect("wait").signal() == Some(9);
        told
    }

    /// After a death: the log opens, holds all that was acknowledged, verifies and goes on.
    fn survives(&mut self, what: &str) {
        let ledger = Ledger::open(options(&self.path)).expect("open");
        let status = ledger.status();
        assert_eq!(status.state, "ready", "{what}: {status:?}");
        let seq = ledger.append_durable_blocking(refusal(seq_mark(&self.acked))).expect("append");
        assert!(!self.acked.contains_key(&seq), "{what}: number {seq} was given twice");
        ledger.close();
        let verdict = verdict(&self.path);
        assert!(verdict.holds(), "{what}: {:?}", verdict.damage);
        assert_eq!(verdict.signed, verdict.size);

        let now = lines(&self.path);
        assert!(now.starts_with(&self.lines), "{what}: what a start had found was changed");
        for (seq, mark) in self.acked.range(self.lines.len() as u64..) {
            let line = now.get(*seq as usize).unwrap_or_else(|| panic!("{what}: entry {seq} is lost"));
            assert!(mark == "-" || line.contains(mark), "{what}: entry {seq} is not {mark}: {line}");
        }
        for (index, line) in now.iter().enumerate().skip(self.lines.len()) {
            assert_eq!(Receipt::parse(line.as_bytes()).expect("a receipt").seq, index as u64, "{what}");
        }
        self.lines = now;
    }
}

fn seq_mark(acked: &BTreeMap<u64, String>) -> u64 {
    acked.len() as u64
}

#[derive(Debug, Default)]
struct Told {
    acked: usize,
    refused: Vec<String>,
    stopped: bool,
    killed: bool,
    other: String,
}

fn runs(usually: usize) -> usize {
    std::env::var("PROVOST_CRASH_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(usually)
}

fn has_strace() -> bool {
    let found =
        Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    if !found {
        eprintln!("NOT RUN: strace is not here (apt-get install strace)");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI that is a failure");
    }
    found
}

/// Kills at the Nth call for every N until a run comes to its end, for every call that touches the disk; then again with
/// another load, until there were enough deaths.
#[test]
fn a_kill_at_any_call_loses_nothing_that_was_acknowledged() {
    if !has_strace() {
        return;
    }
    let wanted = runs(200);
    let began = Instant::now();
    let (mut deaths, mut load) = (0, 0);
    let mut by_call: BTreeMap<&str, usize> = BTreeMap::new();
    let mut log = Log::new();
    while deaths < wanted {
        // In CI's part each round takes every so manyth place; with enough runs, every one.
        let before = deaths;
        let step = (2000 / wanted.clamp(1, 2000)).max(1);
        for call in CALLS {
            // Of what a test program does before its log, these are the calls that come first.
            let mut nth = 1 + (load as usize % step);
            loop {
                if deaths % 40 == 39 {
                    log = Log::new();
                }
                let inject = format!("inject={call}:signal=SIGKILL:when={nth}");
                let trace = format!("trace={call}");
                let strace = ["strace", "-f", "-qqq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
                let mut child = log.child(load, &strace).spawn().expect("start strace");
                let told = log.listen(&mut child);
                assert!(told.refused.is_empty(), "{call} {nth}: {:?}", told.refused);
                if told.stopped {
                    break;
                }
                assert!(told.killed, "{call} {nth}: {told:?}");
                log.survives(&format!("killed at {call} number {nth}, load {load}"));
                deaths += 1;
                *by_call.entry(call).or_default() += 1;
                nth += step;
            }
        }
        assert!(deaths > before, "strace killed nothing");
        load += 1;
    }
    println!("{deaths} deaths in {:?}: {by_call:?}", began.elapsed());
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_acknowledged() {
    let mut log = Log::new();
    let mut delay = Duration::from_micros(500);
    for run in 0..runs(200) / 4 {
        if run % 40 == 39 {
            log = Log::new();
        }
        let mut child = log.child(run as u64, &[]).spawn().expect("start");
        let pid = nix::unistd::Pid::from_raw(child.id() as i32);
        let killer = std::thread::spawn(move || {
            std::thread::sleep(delay);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::SIGKILL);
        });
        let told = log.listen(&mut child);
        killer.join().expect("killer");
        log.survives(&format!("killed after {delay:?}"));
        // Around the whole of a run, and not twice at the same moment.
        delay = if told.stopped {
            Duration::from_micros(700 + 13 * run as u64)
        } else {
            delay + Duration::from_micros(937)
        };
    }
}

/// A line that was not written to its end is cut off at the next start, and a receipt says so.
#[test]
fn a_torn_line_is_mended_and_said_at_whatever_byte_it_ends() {
    let dir = directory();
    let (good, work) = (dir.path().join("good"), dir.path().join("work"));
    let ledger = Ledger::open(Options { segment_bytes: 1 << 20, ..options(&good) }).expect("open");
    for mark in 0..3 {
        ledger.append_durable_blocking(refusal(mark)).expect("append");
    }
    // As a crash leaves it: the state says that the daemon runs.
    copy(&good, &work);
    let whole = std::fs::read(work.join("entries-000001.jsonl")).expect("read");
    ledger.close();
    let next = String::from_utf8(whole.clone()).expect("text");
    let line = next.lines().last().expect("a line").replace("\"seq\":3", "\"seq\":4") + "\n";
    for length in 1..=line.len() {
        let torn = [whole.as_slice(), &line.as_bytes()[..length]].concat();
        let crashed = dir.path().join("crashed");
        copy(&work, &crashed);
        std::fs::write(crashed.join("entries-000001.jsonl"), torn).expect("write");
        let ledger = open(&crashed);
        assert_eq!(ledger.status().state, "ready", "{length}: {:?}", ledger.status());
        ledger.close();
        let receipts = receipts(&crashed);
        let said = receipts.iter().find(|receipt| receipt.body["what"] == "torn_line");
        if length < line.len() {
            let said = said.unwrap_or_else(|| panic!("{length} bytes were cut off and nothing said"));
            assert_eq!(said.body["bytes"], length);
        } else {
            // Written, and its writer died before it could say so: it stands.
            assert!(said.is_none() && receipts[4].kind.name() == "refusal");
        }
        assert!(verdict(&crashed).holds());
    }
}

/// An intent whose outcome nobody recorded is found at the next start, and at each one after, until it has one.
#[test]
fn an_intent_without_an_outcome_is_found_at_start() {
    let dir = directory();
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let ledger = open(dir.path());
    let (head, body) = intent(1);
    let done = runtime.block_on(ledger.intent(head, body)).expect("recorded");
    runtime.block_on(done.outcome(None, outcome())).expect("recorded");
    let (head, body) = intent(2);
    let dying = runtime.block_on(ledger.intent(head, body)).expect("recorded");
    let left = dying.seq();
    // As a daemon that is killed: one that is only dropped says by itself that nobody knows.
    std::mem::forget(dying);
    assert_eq!(ledger.status().open_intents, [left]);
    ledger.close();
    for _ in 0..2 {
        let ledger = open(dir.path());
        assert_eq!(ledger.status().open_intents, [left]);
        let start = receipts(dir.path())
            .into_iter()
            .rfind(|receipt| receipt.kind.name() == "start")
            .expect("a start");
        assert_eq!(start.body["open_intents"], serde_json::json!([left]));
        ledger.close();
    }
    let ledger = open(dir.path());
    let unknown = provost::ledger::receipt::body::Outcome {
        of: left,
        result: provost::ledger::receipt::body::Result::Unknown,
        ..outcome()
    };
    ledger.append_durable_blocking(provost::ledger::Entry::of(unknown)).expect("recorded");
    assert_eq!(ledger.status().open_intents, [0u64; 0]);
    ledger.close();
    assert!(open(dir.path()).status().open_intents.is_empty());
}

/// For the tests of full and failing disks: a child under strace that makes one call fail.
pub fn with_failing(call: &str, error: &str, when: &str, dir: &Path) -> Option<(usize, Vec<String>)> {
    if !has_strace() {
        return None;
    }
    let mut log = Log::new();
    log.path = dir.to_owned();
    let inject = format!("inject={call}:error={error}:when={when}");
    let trace = format!("trace={call}");
    let strace = ["strace", "-f", "-qqq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let mut child = log.child(1, &strace).spawn().expect("start strace");
    let told = log.listen(&mut child);
    assert!(told.stopped, "{told:?}");
    log.survives(&format!("{call} {error} {when}"));
    Some((told.acked, told.refused))
}
