//! The cache, on real files.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::*;
use crate::enter::policy::{MAX_POLICY_BYTES, PolicyCache, PolicyFileError};

const POLICY: &str = "2\ndenylist\nno_such_call\nswapon errno 1\n";

/// A directory with a policy file in it, and a cache that trusts the user who runs the test and takes each
/// file for settled.
fn file() -> (tempfile::TempDir, PathBuf, PolicyCache) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("policy");
    fs::write(&path, POLICY).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let cache = PolicyCache::trusting(fs::metadata(&path).unwrap().uid(), Duration::ZERO);
    (dir, path, cache)
}

#[test]
fn a_policy_is_compiled_once_and_its_skipped_rules_told_once() {
    let (_dir, path, mut cache) = file();
    let first = cache.load(&path).unwrap();
    let second = cache.load(&path).unwrap();
    assert!(first.fresh && !second.fresh);
    assert_eq!(first.compiled.skipped.len(), 1);
    assert!(Rc::ptr_eq(&first.compiled, &second.compiled));
}

#[test]
fn a_changed_or_replaced_file_is_compiled_again() {
    let (dir, path, mut cache) = file();
    let swapon = |cache: &mut PolicyCache| {
        let loaded = cache.load(&path).unwrap();
        (loaded.fresh, answer(&loaded.compiled, NATIVE, "swapon", &[]))
    };
    assert_eq!(swapon(&mut cache), (true, errno(1)));
    // The clock of file times may tick only every 10 ms.
    std::thread::sleep(Duration::from_millis(30));
    fs::write(&path, POLICY.replace("errno 1", "errno 2")).unwrap();
    assert_eq!(swapon(&mut cache), (true, errno(2)));
    let new = dir.path().join("new");
    fs::write(&new, POLICY.replace("errno 1", "errno 3")).unwrap();
    fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
    fs::rename(&new, &path).unwrap();
    assert_eq!(swapon(&mut cache), (true, errno(3)));
    assert_eq!(swapon(&mut cache), (false, errno(3)));
}

#[test]
fn a_file_that_has_just_changed_is_read_again() {
    let (_dir, path, cache) = file();
    drop(cache);
    let mut cache = PolicyCache::trusting(fs::metadata(&path).unwrap().uid(), Duration::from_secs(3600));
    assert!(cache.load(&path).unwrap().fresh);
    assert!(cache.load(&path).unwrap().fresh);
}

#[test]
fn a_symlink_leads_to_the_file_and_its_entry() {
    let (dir, path, mut cache) = file();
    let link = dir.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(cache.load(&path).unwrap().fresh);
    assert!(!cache.load(&link).unwrap().fresh);
}

#[test]
fn a_file_that_somebody_else_could_change_is_refused_even_after_it_was_read() {
    let (_dir, path, mut cache) = file();
    assert!(cache.load(&path).unwrap().fresh);
    for mode in [0o666, 0o664, 0o646] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let error = cache.load(&path).unwrap_err();
        assert!(matches!(error, PolicyFileError::Untrusted { mode: told, .. } if told == mode), "{error}");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let mut strangers = PolicyCache::trusting(fs::metadata(&path).unwrap().uid() + 1, Duration::ZERO);
    assert!(matches!(strangers.load(&path).unwrap_err(), PolicyFileError::Untrusted { .. }));
}

#[test]
fn what_is_no_policy_file_is_refused_without_waiting() {
    let (dir, path, mut cache) = file();
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
    for not_a_file in [fifo.as_path(), dir.path(), "/dev/null".as_ref()] {
        let error = cache.load(not_a_file).unwrap_err();
        assert!(matches!(error, PolicyFileError::NotAFile { .. }), "{error}");
    }

    let error = cache.load(&dir.path().join("missing")).unwrap_err();
    assert!(
        matches!(&error, PolicyFileError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound),
        "{error}"
    );

    fs::write(&path, "2\ndenylist\nswapon deny\n").unwrap();
    let error = cache.load(&path).unwrap_err();
    assert!(matches!(error, PolicyFileError::Policy { .. }), "{error}");
    assert!(error.to_string().contains("policy: line 3: \"swapon deny\""), "{error}");

    fs::write(&path, "#".repeat(MAX_POLICY_BYTES + 1)).unwrap();
    assert!(matches!(cache.load(&path).unwrap_err(), PolicyFileError::TooLong { .. }));
}

#[test]
fn bytes_that_are_no_utf8_are_no_obstacle_in_a_comment() {
    let (_dir, path, mut cache) = file();
    fs::write(&path, b"2\ndenylist\n# caf\xe9\nswapon errno 1 # \xff\n").unwrap();
    let loaded = cache.load(&path).unwrap();
    assert_eq!(answer(&loaded.compiled, NATIVE, "swapon", &[]), errno(1));
}

#[test]
fn a_policy_seen_before_costs_microseconds() {
    let (_dir, path, mut cache) = file();
    cache.load(&path).unwrap();
    // The best of many: what else the machine does is not measured.
    let best = (0..200)
        .map(|_| {
            let start = Instant::now();
            assert!(!cache.load(&path).unwrap().fresh);
            start.elapsed()
        })
        .min();
    assert!(best < Some(Duration::from_micros(200)), "{best:?}");
}
