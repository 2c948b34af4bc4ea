//! A disk that is full, fails, or may not be written: changes are refused with that reason, reading goes on, and so does
//! everything once the disk takes receipts again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use provost::ledger::{Ledger, Unrecorded};

use crate::common::*;
use crate::crash::with_failing;

#[test]
fn a_failing_call_refuses_what_it_would_have_recorded_and_no_more() {
    for (call, error, says) in [
        ("pwrite64", "ENOSPC", "No space left"),
        ("pwrite64", "EIO", "Input/output error"),
        ("pwrite64", "EROFS", "Read-only"),
        ("fdatasync", "EIO", "Input/output error"),
        ("fdatasync", "ENOSPC", "No space left"),
    ] {
        for when in ["8..9", "9..12", "6..20+3", "12..13"] {
            let dir = directory();
            let Some((acked, refused)) = with_failing(call, error, when, &dir.path().join("log")) else {
                return;
            };
            assert!(acked > 0, "{call} {error} {when}: it recovered");
            assert!(refused.iter().all(|why| why.contains(says)), "{call} {error} {when}: {refused:?}");
        }
    }
}

/// What only makes heads and states fails: receipts are taken all the same.
#[test]
fn a_head_that_cannot_be_written_refuses_nothing() {
    for (call, error) in [("rename", "ENOSPC"), ("fsync", "EIO")] {
        let dir = directory();
        small_log(dir.path(), 3);
        let Some((acked, refused)) = with_failing(call, error, "4..12", dir.path()) else { return };
        assert!(acked > 20 && refused.is_empty(), "{call}: {acked} {refused:?}");
    }
}

/// A small file system of its own, in memory.
struct Small(PathBuf, #[allow(dead_code, reason = "it removes the directory")] tempfile::TempDir);

impl Small {
    /// None, loudly, where mounting is not allowed.
    fn mount(bytes: usize) -> Option<Self> {
        let dir = directory();
        let path = dir.path().join("small");
        std::fs::create_dir(&path).expect("make");
        let options = format!("size={bytes},mode=0700");
        match mount(Some("tmpfs"), &path, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())) {
            Ok(()) => Some(Self(path, dir)),
            Err(error) => {
                eprintln!("NOT RUN: cannot mount a file system: {error} (as root it can)");
                assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI that is a failure");
                None
            }
        }
    }

    fn remount(&self, flags: MsFlags) {
        mount(None::<&str>, &self.0, None::<&str>, MsFlags::MS_REMOUNT | flags, None::<&str>)
            .expect("remount");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_full_disk_refuses_changes_by_name_and_recovers_by_itself() {
    let Some(small) = Small::mount(512 << 10) else { return };
    let dir = small.0.join("log");
    let ledger = open(&dir);
    let seq = ledger.append_durable_blocking(refusal(1)).expect("room yet");
    let ballast = small.0.join("ballast");
    fill(&ballast);
    // The last page may still take some.
    let refused =
        (0..200).find_map(|mark| ledger.append_durable_blocking(refusal(mark)).err()).expect("full");
    assert!(matches!(refused, Unrecorded::Unavailable(_)), "{refused}");
    assert!(refused.to_string().contains("No space left"), "{refused}");
    assert_eq!(ledger.status().state, "unavailable");
    // Reads go on, and what they leave no receipt of is counted.
    ledger.leave(read(1));
    ledger.leave(read(2));
    assert!(ledger.append_durable_blocking(refusal(3)).is_err());
    assert!(provost::ledger::Segments::open(ledger.place()).expect("readable").line(seq).is_ok());
    std::fs::remove_file(&ballast).expect("make room");
    let after = ledger.append_durable_blocking(refusal(4)).expect("room again");
    assert!(after > seq);
    assert_eq!(ledger.status().state, "ready");
    let end = Instant::now() + Duration::from_secs(10);
    while !lines(&dir).iter().any(|line| line.contains(r#""what":"unrecorded""#)) {
        assert!(Instant::now() < end, "nothing said that reads were not recorded");
        std::thread::sleep(Duration::from_millis(20));
    }
    ledger.close();
    assert!(verdict(&dir).holds(), "{:?}", verdict(&dir).damage);
}

/// A change that was made while the disk filled up: its outcome is told to be missing, and recorded once there is room.
#[test]
fn an_outcome_that_finds_no_room_is_recorded_before_anything_else_once_there_is() {
    let Some(small) = Small::mount(512 << 10) else { return };
    let dir = small.0.join("log");
    let ledger = open(&dir);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let (head, body) = intent(1);
    let recorded = runtime.block_on(ledger.intent(head, body)).expect("room yet");
    let (head, body) = intent(2);
    let dropped = runtime.block_on(ledger.intent(head, body)).expect("room yet");
    let of = [recorded.seq(), dropped.seq()];
    let ballast = small.0.join("ballast");
    fill(&ballast);
    while ledger.append_durable_blocking(refusal(3)).is_ok() {}
    let refused = runtime.block_on(recorded.outcome(None, outcome())).expect_err("no room");
    assert_eq!(refused.kind(), "ledger_unavailable");
    drop(dropped);
    assert!(ledger.ready().is_err());
    std::fs::remove_file(&ballast).expect("make room");
    let end = Instant::now() + Duration::from_secs(10);
    while !ledger.status().open_intents.is_empty() || ledger.ready().is_err() {
        assert!(Instant::now() < end, "{:?}", ledger.status());
        std::thread::sleep(Duration::from_millis(20));
    }
    let closing: Vec<_> = receipts(&dir).into_iter().filter(|receipt| receipt.closes().is_some()).collect();
    assert_eq!(closing.iter().filter_map(|receipt| receipt.closes()).collect::<Vec<_>>(), of);
    assert_eq!(closing[0].body["result"], "done");
    assert_eq!(closing[1].body["result"], "unknown");
    ledger.close();
    assert!(verdict(&dir).holds(), "{:?}", verdict(&dir).damage);
}

fn fill(path: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).expect("create");
    while file.write_all(&[0; 4096]).is_ok() {}
    while file.write_all(&[0; 1]).is_ok() {}
}

#[test]
fn a_log_on_a_disk_that_may_not_be_written_opens_for_reading_and_recovers_by_itself() {
    let Some(small) = Small::mount(1 << 20) else { return };
    let dir = small.0.join("log");
    small_log(&dir, 5);
    small.remount(MsFlags::MS_RDONLY);
    let ledger = Ledger::open(options(&dir)).expect("open");
    let refused = ledger.append_durable_blocking(refusal(1)).expect_err("read-only").to_string();
    assert!(refused.contains("Read-only"), "{refused}");
    assert_eq!(receipts(&dir).len(), 5);
    small.remount(MsFlags::empty());
    let seq = ledger.append_durable_blocking(refusal(2)).expect("may be written again");
    assert_eq!(receipts(&dir)[5].kind.name(), "start");
    assert!(seq > 5);
    ledger.close();
    assert!(verdict(&dir).holds());
}
