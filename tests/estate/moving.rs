//! The index is kept current: what moved is read again and nothing else, and a tree that moves meanwhile is caught up with.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use provost::estate::finding::What;
use provost::estate::{Index, Keeper, Source, Survey, Tree, Unread, refresh};

use crate::tree::{Files, findings};

/// Is told how many readings there were, and what is read next.
type Before = Box<dyn Fn(usize, &str) + Send + Sync>;

/// Notes what is read, and does something of its own before one reading.
struct Watched {
    tree: Tree,
    read: Arc<Mutex<Vec<String>>>,
    before: Before,
    times: AtomicUsize,
}

impl Watched {
    fn new(files: &Files, before: impl Fn(usize, &str) + Send + Sync + 'static) -> Self {
        let (read, times) = (Arc::default(), AtomicUsize::new(0));
        Self { tree: Tree::new(files.root()), read, before: Box::new(before), times }
    }

    fn taken(&self) -> Vec<String> {
        let mut read = std::mem::take(&mut *self.read.lock().unwrap());
        read.sort();
        read
    }
}

impl Source for Watched {
    fn survey(&self, last: Option<&Survey>) -> Survey {
        self.tree.survey(last)
    }

    fn read(&self, file: &str, into: &mut Vec<u8>) -> Result<(), Unread> {
        (self.before)(self.times.fetch_add(1, Ordering::SeqCst), file);
        self.read.lock().unwrap().push(file.to_owned());
        self.tree.read(file, into)
    }
}

fn tags(index: &Index, tag: &str) -> Vec<u32> {
    index.guests_of_tag(tag).whole().unwrap()
}

const ONE: &str = "nodes/pve1/lxc/101.conf";

fn some() -> Files {
    let mut files = Files::new(&[(ONE, "tags: a\n"), ("nodes/pve1/qemu-server/100.conf", "tags: a\n")]);
    files.write("storage.cfg", "dir: x\n\tpath /x\n");
    files.write("firewall/100.fw", "[OPTIONS]\nenable: 1\n");
    files.publish();
    files
}

#[test]
fn only_what_moved_is_read_again() {
    let mut files = some();
    let source = Watched::new(&files, |_, _| {});
    let first = refresh(&source, None);
    assert_eq!(source.taken(), ["firewall/100.fw", ONE, "nodes/pve1/qemu-server/100.conf", "storage.cfg"]);
    let same = refresh(&source, Some(&first));
    assert!(Arc::ptr_eq(&first, &same), "nothing moved, nothing is made anew");
    assert!(source.taken().is_empty());

    files.write(ONE, "tags: b\n");
    files.publish();
    let second = refresh(&source, Some(&first));
    assert_eq!(source.taken(), [ONE]);
    assert_eq!((tags(&second, "a"), tags(&second, "b")), (vec![100], vec![101]));
    assert_eq!(tags(&first, "a"), [100, 101], "who holds the old one keeps it");
    assert!(Arc::ptr_eq(first.guest(100).next().unwrap(), second.guest(100).next().unwrap()));

    // What nobody counts is seen all the same.
    files.write("firewall/100.fw", "[OPTIONS]\nenable: 0\n");
    files.publish();
    let third = refresh(&source, Some(&second));
    assert_eq!(source.taken(), ["firewall/100.fw"]);
    files.remove("firewall/100.fw");
    files.remove(ONE);
    files.publish();
    let fourth = refresh(&source, Some(&third));
    assert!(source.taken().is_empty());
    assert!(fourth.cluster().firewalls.is_empty() && fourth.guest(101).next().is_none());
    // A file system that was started anew counts anew, from the same numbers on.
    let version = std::fs::read_to_string(files.root().join(".version")).unwrap();
    std::fs::write(files.root().join(".version"), version.replace("\"starttime\": 7", "\"starttime\": 8"))
        .unwrap();
    let _ = refresh(&source, Some(&fourth));
    assert_eq!(source.taken(), ["nodes/pve1/qemu-server/100.conf", "storage.cfg"]);
}

#[test]
fn a_guest_that_moves_between_list_and_read_is_found_where_it_went() {
    let files = Arc::new(Mutex::new(some()));
    let moving = Arc::clone(&files);
    let source = Watched::new(&files.lock().unwrap(), move |_, file| {
        if file == ONE {
            let mut files = moving.lock().unwrap();
            files.rename(ONE, "nodes/pve2/lxc/101.conf");
            files.publish();
        }
    });
    let index = refresh(&source, None);
    let nodes: Vec<&str> = index.guest(101).map(|guest| guest.node.as_str()).collect();
    assert_eq!(nodes, ["pve2"]);
    assert_eq!(findings(&index), [""; 0]);
}

#[test]
fn a_file_that_is_replaced_while_others_are_read_is_read_again() {
    let files = Arc::new(Mutex::new(some()));
    let moving = Arc::clone(&files);
    let source = Watched::new(&files.lock().unwrap(), move |time, _| {
        if time == 3 {
            let mut files = moving.lock().unwrap();
            files.write(ONE, "tags: late\n");
            files.write("storage.cfg", "dir: late\n\tpath /x\n");
            files.publish();
        }
    });
    let index = refresh(&source, None);
    assert_eq!(tags(&index, "late"), [101]);
    assert!(index.storage("late").is_some());
}

#[test]
fn what_never_holds_still_is_named_and_hides_nothing_else() {
    let files = some();
    // The list says that it is there; it never is.
    std::fs::remove_file(files.root().join(ONE)).unwrap();
    let index = refresh(&Watched::new(&files, |_, _| {}), None);
    assert_eq!(index.guests().len(), 2, "it is there, unseen");
    let all: Vec<_> = index.findings().map(|finding| (&*finding.file, finding.what.clone())).collect();
    assert_eq!(all, [(ONE, What::Moving)]);
    assert!(index.on_storage("x").whole().is_err());
    assert!(!index.has_tag(101, "a"), "what is not seen is in no set");
    // Once it is there, it is read, though its version is the same.
    std::fs::write(files.root().join(ONE), "tags: back\n").unwrap();
    assert_eq!(tags(&refresh(&Tree::new(files.root()), Some(&index)), "back"), [101]);
}

#[test]
fn a_tree_that_goes_and_comes_back_is_never_an_estate_without_guests() {
    let files = some();
    let index = files.read();
    let (here, away) = (files.root().join("nodes"), files.root().join("away"));
    std::fs::rename(&here, &away).unwrap();
    [".version", ".vmlist"].iter().for_each(|file| std::fs::remove_file(files.root().join(file)).unwrap());
    let gone = refresh(&Tree::new(files.root()), Some(&index));
    assert!(gone.guests_of_tag("a").whole().is_err());
    assert!(gone.granted("/").whole().is_err() && !gone.is_in_pool(100, "x"));
    std::fs::rename(&away, &here).unwrap();
    assert_eq!(tags(&refresh(&Tree::new(files.root()), Some(&gone)), "a"), [100, 101]);
}

#[tokio::test]
async fn the_keeper_answers_with_what_was_there_when_it_was_asked() {
    let mut files = some();
    let keeper = Keeper::start(Tree::new(files.root())).unwrap();
    assert!(keeper.published().is_none(), "nothing is read before the first question");
    assert_eq!(tags(&keeper.current().await.unwrap(), "a"), [100, 101]);
    for round in 0..20 {
        files.write(ONE, format!("tags: round{round}\n"));
        files.publish();
        let (one, two) = tokio::join!(keeper.current(), keeper.current());
        assert_eq!(tags(&one.unwrap(), &format!("round{round}")), [101]);
        assert_eq!(tags(&two.unwrap(), &format!("round{round}")), [101]);
    }
    assert!(keeper.published().is_some());
}

#[tokio::test]
async fn a_reader_that_panics_is_an_error_and_the_next_one_reads() {
    let files = some();
    let source = Watched::new(&files, |time, _| assert!(time != 0, "on purpose"));
    let keeper = Keeper::start(source).unwrap();
    assert!(keeper.current().await.is_err());
    assert_eq!(tags(&keeper.current().await.unwrap(), "a"), [100, 101]);
}
