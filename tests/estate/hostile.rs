//! Files that nobody should have written: the reader ends, says which, and the rest of the estate is there.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

use provost::estate::finding::{MOST_OF_A_FILE, What};

use crate::tree::{Files, findings};

const BAD: &str = "nodes/pve1/qemu-server/100.conf";
const GOOD: (&str, &str) = ("nodes/pve1/lxc/200.conf", "tags: good\nrootfs: a:subvol-200-disk-0\n");

/// Reads a tree with this file in place of a good one. The time is so large that only an endless reader exceeds it.
fn with(bytes: &[u8]) -> Vec<What> {
    let mut tree = Files::new(&[GOOD]);
    tree.write(BAD, bytes);
    let start = Instant::now();
    let index = tree.read();
    assert!(start.elapsed() < Duration::from_secs(60));
    assert!(index.guests_of_tag("good").at_least().contains(&200));
    assert_eq!(index.guests().len(), 2, "it is there, however it looks");
    index.findings().map(|finding| finding.what.clone()).collect()
}

#[test]
fn a_file_larger_than_any_is_not_read() {
    assert_eq!(with(&vec![b'#'; (1 << 20) + 1]), [What::TooLarge(1 << 20)]);
    assert_eq!(with(&vec![b'#'; 1 << 20]), []);
}

#[test]
fn a_million_broken_lines_are_twenty_findings_and_a_number() {
    let lines = "x\n".repeat(1 << 19);
    let found = with(lines.as_bytes());
    assert_eq!(found.len(), MOST_OF_A_FILE + 1);
    assert_eq!(found.last(), Some(&What::More((1 << 19) - MOST_OF_A_FILE)));
    // And as many keys, sections and entries in a list as fit.
    with("a: b\n".repeat(200_000).as_bytes());
    with("[aa]\n".repeat(200_000).as_bytes());
    let many: String = (0..60_000).map(|number| format!("[s{number}]\nparent: s{}\n", number + 1)).collect();
    with(many.as_bytes());
    with(format!("tags: {}\n", "a;".repeat(500_000)).as_bytes());
    with(format!("cicustom: {}\n", "user=a:b,".repeat(100_000)).as_bytes());
}

#[test]
fn bytes_that_are_no_text_hide_no_line_but_their_own() {
    let found = with(b"name: \xff\xfe\ntags: good\n\x00\x01\x1b[2J: x\n");
    assert!(found.contains(&What::NotText), "{found:?}");
    let random: Vec<u8> =
        (0..1u32 << 18).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    with(&random);
    with(b"");
    with(b"\n\n\n");
    with(b"[");
    with(b"]\n[]\n[[]]\n[a\n");
    with(b"scsi0: \nscsi1:\nscsi99999: a:b\nscsi: a:b\nnet0:\nunused-1: a:b\n");
}

#[test]
fn links_and_pipes_are_not_opened() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    fs::write(secret.path(), "tags: secret\n").unwrap();
    let tree = Files::new(&[GOOD]);
    fs::create_dir_all(tree.root().join("nodes/pve1/qemu-server")).unwrap();
    symlink(secret.path(), tree.root().join(BAD)).unwrap();
    nix::unistd::mkfifo(&tree.root().join("storage.cfg"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    // A folder that leads out of the tree is no node's.
    symlink(tree.root().join("nodes/pve1"), tree.root().join("nodes/pve9")).unwrap();
    fs::create_dir(tree.root().join("user.cfg")).unwrap();
    let index = tree.read();
    let all: Vec<_> =
        index.findings().map(|finding| (finding.file.to_string(), finding.what.clone())).collect();
    let files = ["storage.cfg", "user.cfg", BAD];
    assert_eq!(all, files.map(|file| (file.to_owned(), What::NotAFile)));
    assert!(index.guests_of_tag("secret").at_least().is_empty());
    assert_eq!(index.nodes(), ["pve1"]);
}

#[test]
fn one_id_on_two_nodes_is_two_guests_and_a_finding() {
    let tree = Files::new(&[
        ("nodes/pve1/lxc/100.conf", "rootfs: a:subvol-100-disk-0\ntags: x\n"),
        ("nodes/pve2/qemu-server/100.conf", "scsi0: b:vm-100-disk-0\n"),
    ]);
    let index = tree.read();
    assert_eq!(index.guest(100).count(), 2);
    assert_eq!(findings(&index), ["nodes/pve2/qemu-server/100.conf: guest 100 is on more than one node"]);
    assert_eq!(
        (index.on_storage("a").at_least().uses.len(), index.on_storage("b").at_least().uses.len()),
        (1, 1)
    );
    assert!(!index.has_tag(100, "x"), "one of the two has it not: the set is fail-closed");
}

#[test]
fn lists_that_are_no_lists_fall_back_to_the_folders() {
    for (version, list) in [
        ("{}", "{"),
        ("{\"starttime\": 1, \"vmlist\": 1}", "[1]"),
        (
            "{\"starttime\": 1, \"vmlist\": 1}",
            "{\"ids\": {\"100\": {\"node\": \"../..\", \"type\": \"lxc\", \"version\": 1}}}",
        ),
        ("{\"starttime\": -1}", "{\"ids\": {\"x\": {}}}"),
        ("\u{0}", ""),
    ] {
        let tree = Files::new(&[GOOD]);
        fs::write(tree.root().join(".version"), version).unwrap();
        fs::write(tree.root().join(".vmlist"), list).unwrap();
        let index = tree.read();
        // A node's name that leads elsewhere is nobody's, and the list that had it is otherwise believed.
        let expected = usize::from(!list.contains(".."));
        assert_eq!(index.guests().len(), expected, "{version} {list}: {:?}", findings(&index));
    }
}

#[test]
fn what_may_not_be_read_is_named_and_read_once_it_may() {
    if nix::unistd::geteuid().is_root() {
        eprintln!("NOT RUN as root, who may read everything: run it as another user");
        return;
    }
    let tree = Files::new(&[GOOD, (BAD, "scsi0: a:vm-100-disk-0\n"), ("storage.cfg", "dir: a\n\tpath /a\n")]);
    let deny = |file: &str, mode| {
        fs::set_permissions(tree.root().join(file), fs::Permissions::from_mode(mode)).unwrap()
    };
    deny(BAD, 0);
    deny("storage.cfg", 0);
    let index = tree.read();
    let answer = index.on_storage("a");
    assert_eq!(answer.at_least().uses.len(), 1);
    assert_eq!(answer.unseen().iter().filter(|finding| finding.what == What::Denied).count(), 2);
    assert!(index.granted("/").is_whole());
    deny(BAD, 0o640);
    deny("storage.cfg", 0o640);
    let index = provost::estate::refresh(&provost::estate::Tree::new(tree.root()), Some(&index));
    assert_eq!(index.on_storage("a").whole().unwrap().uses.len(), 2);
}

#[test]
fn every_other_file_bears_anything_too() {
    let random: Vec<u8> =
        (0..1u32 << 12).map(|number| (number.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    let long = "a: b\n\tx y\n\n".repeat(90_000);
    let rules =
        "[RULES]\nIN ACCEPT -source\n|\nGROUP\nIN\n[group ]\n[IPSET]\nx\n[ALIASES]\nx\n".repeat(10_000);
    let colons = ":".repeat(1 << 20);
    for bytes in [
        random.as_slice(),
        long.as_bytes(),
        rules.as_bytes(),
        colons.as_bytes(),
        b"\xff",
        b"{",
        b"acl:1:x:y:z:\n",
    ] {
        let mut tree = Files::new(&[GOOD]);
        for file in [
            ".members",
            "datacenter.cfg",
            "firewall/cluster.fw",
            "firewall/200.fw",
            "firewall/x.fw",
            "ha/groups.cfg",
            "ha/resources.cfg",
            "ha/rules.cfg",
            "jobs.cfg",
            "mapping/directory.cfg",
            "mapping/pci.cfg",
            "mapping/usb.cfg",
            "nodes/pve1/host.fw",
            "replication.cfg",
            "sdn/controllers.cfg",
            "sdn/firewall/v.fw",
            "sdn/subnets.cfg",
            "sdn/vnets.cfg",
            "sdn/zones.cfg",
            "storage.cfg",
            "user.cfg",
            "vzdump.cron",
        ] {
            tree.write(file, bytes);
        }
        let index = tree.read();
        assert_eq!(index.guests().len(), 1);
        assert!(index.granted_to("root@pam", "/").at_least().len() == 1);
    }
}
