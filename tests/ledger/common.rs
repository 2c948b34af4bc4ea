use std::path::Path;
use std::time::Duration;

use provost::config::ArgvRecord;
use provost::ledger::receipt::body::{Intent, Outcome, Read, Refusal, Result as Became};
use provost::ledger::receipt::{Argv, Json};
use provost::ledger::verify::{Against, Verdict, verify};
use provost::ledger::{Decision, Entry, Ledger, Options, Place, Receipt, Seq, Who};

/// A log whose segments are small enough that a test has many.
pub fn options(dir: &Path) -> Options {
    Options { segment_bytes: 2048, checkpoint_every: Duration::from_secs(3600), ..Options::new(dir) }
}

pub fn open(dir: &Path) -> Ledger {
    Ledger::open(options(dir)).expect("open")
}

pub fn alice() -> Who {
    Who { uid: Some(1000), user: Some("alice".into()), client: Some("tests".into()), ..Who::default() }
}

pub fn read(mark: u64) -> Entry {
    let body = Read {
        args: Some(Json::of("/nodes", serde_json::json!({ "mark": mark }))),
        bytes: 100,
        duration_us: 7,
        rows: None,
        status: Some(200),
    };
    Entry {
        principal: Some(alice()),
        tool: Some("read"),
        guest: Some(100 + (mark % 7) as u32),
        endpoint: Some("GET /nodes/{node}/lxc/{vmid}/config".into()),
        decision: Some(Decision::Allowed),
        ..Entry::of(body)
    }
}

pub fn intent(mark: u64) -> (Entry, Intent) {
    let intent = Intent {
        act: "exec",
        args: None,
        argv: Some(Argv::of(&["touch", &format!("/tmp/{mark}")], ArgvRecord::Full)),
        before: None,
        from: None,
        sha256: None,
    };
    (Entry { tool: Some("exec"), ..read(mark) }, intent)
}

pub fn outcome() -> Outcome {
    Outcome { answer: None, duration_us: 3, of: 0, result: Became::Done, status: None, upid: None }
}

pub fn refusal(mark: u64) -> Entry {
    let body = Refusal { args: None, argv: None, code: "not_your_guest".into(), next: None };
    let why = format!("guest {mark} is none of yours");
    Entry { decision: Some(Decision::Refused), why: Some(why.into()), body: body.into(), ..read(mark) }
}

/// A log of `size` entries, as a daemon leaves it that was stopped.
pub fn small_log(dir: &Path, size: u64) {
    let ledger = open(dir);
    while ledger.status().size < size {
        ledger.append_durable_blocking(refusal(ledger.status().size)).expect("append");
    }
    ledger.close();
}

pub fn verdict(dir: &Path) -> Verdict {
    verify(&Place::new(dir), &Against::default()).expect("readable")
}

/// Every line of the log, in order.
pub fn lines(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(dir)
        .expect("list")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    names.sort();
    let text: String = names.iter().map(|path| std::fs::read_to_string(path).expect("read")).collect();
    text.lines().map(str::to_owned).collect()
}

pub fn receipts(dir: &Path) -> Vec<Receipt> {
    let parse = |(seq, line): (usize, &String)| {
        let receipt = Receipt::parse(line.as_bytes()).expect("a receipt");
        assert_eq!(receipt.seq, seq as Seq);
        receipt
    };
    lines(dir).iter().enumerate().map(parse).collect()
}

pub fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).expect("make");
    for entry in std::fs::read_dir(from).expect("list").flatten() {
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copy");
    }
}

/// A directory in memory where there is one: what is tried here is order and content, and thousands of syncs on a busy
/// disk would only take long.
pub fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("directory")
}
