use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::*;
use crate::catalog::Release;
use crate::catalog::testing;

/// A directory with an `apidoc.js` of 9.1.
struct Place {
    directory: TempDir,
    file: PathBuf,
    cache: Cache,
}

impl Place {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("apidoc.js");
        let place = Self { cache: Cache::new(directory.path()), directory, file };
        place.put(Release::V9_1);
        place
    }

    /// As dpkg does: another file under the same name.
    fn put(&self, release: Release) {
        self.put_text(&testing::catalog(release).to_script());
    }

    fn put_text(&self, text: &str) {
        let new = self.directory.path().join("apidoc.js.dpkg-new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, Permissions::from_mode(0o644)).unwrap();
        fs::rename(&new, &self.file).unwrap();
    }

    /// One that looks each time it is asked.
    fn source(&self) -> Source {
        Source::open(&self.file, Some(self.cache.clone()), Release::V8_4)
    }

    fn cached(&self) -> PathBuf {
        self.directory.path().join("catalog.cache")
    }
}

fn is(loaded: &Loaded, release: Release) -> bool {
    *loaded.catalog == *testing::catalog(release)
}

/// Asks until it is so.
fn wait_for(source: &Source, so: impl Fn(&Loaded) -> bool) -> Loaded {
    let start = Instant::now();
    loop {
        let loaded = source.current();
        if so(&loaded) {
            return loaded;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", loaded.problem);
        thread::yield_now();
    }
}

fn problem(loaded: &Loaded) -> String {
    loaded.problem.as_ref().map(ToString::to_string).unwrap_or_default()
}

#[test]
fn the_second_start_reads_what_the_first_kept() {
    let place = Place::new();
    let first = place.source().current();
    assert!(is(&first, Release::V9_1) && first.origin == Origin::Node && first.problem.is_none());
    let second = place.source().current();
    assert!(is(&second, Release::V9_1) && second.origin == Origin::Cache);
    let mode = fs::metadata(place.cached()).unwrap().mode() & 0o7777;
    assert_eq!(mode, 0o600);
    let left: Vec<_> =
        fs::read_dir(place.directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_damaged_cache_is_made_anew() {
    let place = Place::new();
    let _ = place.source();
    let whole = fs::read(place.cached()).unwrap();
    type Damage<'a> = &'a dyn Fn(&mut Vec<u8>);
    let damages: [Damage<'_>; 6] = [
        &|bytes| bytes.clear(),
        &|bytes| bytes.truncate(20),
        &|bytes| bytes.truncate(whole.len() - 1),
        &|bytes| bytes[0] ^= 1,
        &|bytes| bytes[12] ^= 1,
        &|bytes| bytes[whole.len() / 2] ^= 1,
    ];
    for (number, damage) in damages.iter().enumerate() {
        let mut bytes = whole.clone();
        damage(&mut bytes);
        fs::write(place.cached(), bytes).unwrap();
        let loaded = place.source().current();
        assert!(loaded.origin == Origin::Node && is(&loaded, Release::V9_1), "{number}");
        assert_eq!(place.source().current().origin, Origin::Cache, "{number}");
    }
    fs::remove_file(place.cached()).unwrap();
    fs::create_dir(place.cached()).unwrap();
    assert_eq!(place.source().current().origin, Origin::Node, "one that cannot be written is done without");
}

#[test]
fn a_cache_of_another_file_or_program_is_not_used() {
    let place = Place::new();
    let _ = place.source();
    let identity = Identity::of_path(&place.file).unwrap();
    assert!(place.cache.load(&identity).is_some());
    for other in [
        Identity { inode: identity.inode + 1, ..identity },
        Identity { device: identity.device + 1, ..identity },
        Identity { size: identity.size + 1, ..identity },
        Identity { modified: (identity.modified.0, identity.modified.1 ^ 1), ..identity },
        Identity { changed: (identity.changed.0 + 1, 0), ..identity },
    ] {
        assert!(place.cache.load(&other).is_none());
    }
}

#[test]
fn an_upgrade_is_noticed_while_everybody_goes_on() {
    let place = Place::new();
    let source = place.source();
    let before = source.current();
    place.put(Release::V9_2);
    let after = wait_for(&source, |loaded| is(loaded, Release::V9_2));
    assert!(after.origin == Origin::Node && after.problem.is_none());
    assert!(is(&before, Release::V9_1), "what somebody holds stays what it was");
}

#[test]
fn nobody_waits_for_the_file() {
    let place = Place::new();
    let source = place.source();
    place.put(Release::V9_2);
    // Longer than any of these may take, even on a busy machine, the reading takes here.
    let _held = source.shared.watch.lock().unwrap();
    assert!(is(&source.current(), Release::V9_1));
}

#[test]
fn who_asks_after_an_upgrade_is_answered_by_what_is_there_now() {
    let place = Place::new();
    let source = place.source();
    for release in [Release::V9_2, Release::V8_4, Release::V9_1] {
        assert!(!is(&source.current(), release));
        place.put(release);
        assert!(is(&source.current(), release), "{release:?}");
    }
}

#[test]
fn a_file_that_goes_leaves_what_it_said() {
    let place = Place::new();
    let source = place.source();
    fs::remove_file(&place.file).unwrap();
    let loaded = source.refreshed();
    assert!(is(&loaded, Release::V9_1));
    assert!(
        problem(&loaded).ends_with("apidoc.js: is gone; what it said last still serves"),
        "{}",
        problem(&loaded)
    );
    place.put(Release::V9_2);
    let loaded = wait_for(&source, |loaded| is(loaded, Release::V9_2));
    assert!(loaded.problem.is_none());
}

#[test]
fn a_file_that_is_no_description_leaves_the_last_that_was() {
    let place = Place::new();
    let source = place.source();
    for (text, says) in [
        ("<html>404</html>", "holds no `apiSchema = [`"),
        ("apiSchema = [{\"path\": \"/a\"", "line 1, column 26: EOF"),
        ("", "holds no `apiSchema = [`"),
    ] {
        place.put_text(text);
        let loaded = source.refreshed();
        assert!(is(&loaded, Release::V9_1) && problem(&loaded).contains(says), "{}", problem(&loaded));
    }
    // It is not read again and again.
    assert!(!source.shared.look());
}

#[test]
fn without_the_file_the_embedded_catalogue_serves() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("apidoc.js");
    let loaded = Source::open(&file, None, Release::V9_2).current();
    assert!(is(&loaded, Release::V9_2) && loaded.origin == Origin::Embedded(Release::V9_2.into()));
    assert!(problem(&loaded).contains("is not there (package pve-docs brings it)"), "{}", problem(&loaded));
}

#[test]
fn a_file_that_others_could_write_is_not_believed() {
    let place = Place::new();
    for mode in [0o666, 0o664, 0o646] {
        fs::set_permissions(&place.file, Permissions::from_mode(mode)).unwrap();
        let loaded = place.source().current();
        assert!(matches!(loaded.problem.as_deref(), Some(SourceError::Untrusted { .. })), "{mode:o}");
        assert_eq!(loaded.origin, Origin::Embedded(Release::V8_4.into()));
    }
}

#[test]
fn what_is_no_file_holds_nobody_up() {
    let place = Place::new();
    fs::remove_file(&place.file).unwrap();
    fs::create_dir(&place.file).unwrap();
    assert!(matches!(place.source().current().problem.as_deref(), Some(SourceError::NotAFile { .. })));
    fs::remove_dir(&place.file).unwrap();
    nix::unistd::mkfifo(&place.file, nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert!(matches!(place.source().current().problem.as_deref(), Some(SourceError::NotAFile { .. })));
}

#[test]
fn what_a_reading_would_find_is_foreseen_without_one() {
    let place = Place::new();
    let foresee = || Source::foresee(Product::Pve, &place.file, &place.cache);
    assert!(matches!(foresee(), Foreseen::Unread));
    assert!(place.source().current().problem.is_none());
    assert!(matches!(foresee(), Foreseen::Good));
    place.put(Release::V8_4);
    assert!(matches!(foresee(), Foreseen::Unread), "another file");
    fs::set_permissions(&place.file, Permissions::from_mode(0o666)).unwrap();
    assert!(matches!(foresee(), Foreseen::Bad(SourceError::Untrusted { .. })));
    fs::remove_file(&place.file).unwrap();
    assert!(matches!(foresee(), Foreseen::Bad(SourceError::Absent { .. })));
    fs::create_dir(&place.file).unwrap();
    assert!(matches!(foresee(), Foreseen::Bad(SourceError::NotAFile { .. })));
}
