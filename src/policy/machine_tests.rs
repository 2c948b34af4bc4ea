//! With processes that are real, started by real command lines; the folder of scopes is the test's own.

use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};

use nix::unistd::Uid;
use tempfile::TempDir;

use super::*;
use crate::estate::Tree;

/// What PVE starts a VM as, as far as it counts.
const DEVICE: &str = "vhost-vsock-pci,guest-cid=1101";

struct Node {
    dir: TempDir,
    started: Vec<Child>,
}

impl Drop for Node {
    fn drop(&mut self) {
        for child in &mut self.started {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Node {
    /// None, and a word that says so, without root, whose a VM's process has to be.
    fn new() -> Option<Self> {
        if !Uid::effective().is_root() {
            eprintln!("NOT RUN without root: {}", std::thread::current().name().unwrap_or_default());
            return None;
        }
        Some(Self { dir: tempfile::tempdir().unwrap(), started: Vec::new() })
    }

    fn configure(&self, node: &str, vmid: u32, args: &str) {
        let dir = self.dir.path().join(format!("etc/nodes/{node}/qemu-server"));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(format!("{vmid}.conf")), format!("memory: 512\n{args}\n")).unwrap();
    }

    /// A process of VM `vmid`'s scope with these words, and what it runs meanwhile.
    fn start(&mut self, scope: u32, program: &[&str], script: &str, words: &[&str]) -> Vec<i32> {
        let (program, before) = program.split_first().unwrap();
        let mut child = Command::new(program)
            .args(before)
            .args(["-e", script, "--"])
            .args(words)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut more = [0];
        child.stdout.as_mut().unwrap().read_exact(&mut more).unwrap();
        let mut pids = vec![child.id() as i32];
        if more == [b'2'] {
            let tree = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap();
            pids.extend(tree.split_ascii_whitespace().map(|pid| pid.parse::<i32>().unwrap()));
        }
        let dir = self.slice().join(format!("{scope}.scope"));
        fs::create_dir_all(&dir).unwrap();
        let listed: String = pids.iter().map(|pid| format!("{pid}\n")).collect();
        fs::write(dir.join("cgroup.procs"), listed).unwrap();
        self.started.push(child);
        pids
    }

    fn run(&mut self, scope: u32, words: &[&str]) {
        self.start(scope, &["perl"], "$|=1; print 1; sleep 600", words);
    }

    fn slice(&self) -> PathBuf {
        self.dir.path().join("qemu.slice")
    }

    async fn with_cid(&self, cid: u32) -> Result<u32, &'static str> {
        let keeper = Keeper::start(Tree::new(self.dir.path().join("etc"))).unwrap();
        let machines = Machines::in_slices(Arc::new(keeper), vec![self.slice()]);
        let machine = machines.with_cid(cid).await.map_err(|unknown| {
            assert!(!unknown.to_string().is_empty() && !unknown.next().is_empty());
            unknown.kind()
        })?;
        assert_eq!(machine.cid(), cid);
        Ok(machine.vmid())
    }
}

#[tokio::test]
async fn a_machine_is_the_vm_that_runs_with_the_cid_and_is_configured_so() {
    let Some(mut node) = Node::new() else { return };
    node.configure("pve1", 120, &format!("args: -device {DEVICE}"));
    assert_eq!(node.with_cid(1101).await, Err("cid_not_running"), "configured, and it does not run");
    node.run(120, &["-id", "120", "-device", DEVICE]);
    assert_eq!(node.with_cid(1101).await, Ok(120));
    assert_eq!(node.with_cid(1102).await, Err("cid_not_running"));
    // CIDs are each node's own.
    node.configure("pve2", 220, &format!("args: -device {DEVICE}"));
    assert_eq!(node.with_cid(1101).await, Ok(120));
    node.configure("pve1", 121, &format!("args: -device {DEVICE}"));
    assert_eq!(node.with_cid(1101).await, Err("cid_shared"), "121 does not run, and claims it");
}

#[tokio::test]
async fn a_configuration_that_was_edited_under_a_running_vm_opens_nothing() {
    let Some(mut node) = Node::new() else { return };
    node.run(120, &["-id", "120", "-device", DEVICE]);
    for args in [
        "",
        "args: -device vhost-vsock-pci,guest-cid=1102",
        "[snap]\nargs: -device vhost-vsock-pci,guest-cid=1101",
    ] {
        node.configure("pve1", 120, args);
        assert_eq!(node.with_cid(1101).await, Err("cid_not_configured"), "{args}");
    }
    // What it says it is to have next, it has not yet.
    node.configure("pve1", 120, "args: -device vhost-vsock-pci,guest-cid=1102");
    assert_eq!(node.with_cid(1102).await, Err("cid_not_running"));
}

#[tokio::test]
async fn what_only_looks_like_a_vm_is_none() {
    let Some(mut node) = Node::new() else { return };
    for vmid in [120, 121] {
        node.configure("pve1", vmid, &format!("args: -device {DEVICE}"));
    }
    // Of another VM than its scope says; with another device; without one.
    for words in [
        &["-id", "121", "-device", DEVICE][..],
        &["-id", "120", "-name", DEVICE],
        &["-id", "120"],
        &["-device", DEVICE],
    ] {
        node.run(120, words);
        assert_eq!(node.with_cid(1101).await, Err("cid_not_running"), "{words:?}");
    }
    // Of another account, which may hold /dev/vhost-vsock too.
    let nobody = ["setpriv", "--reuid", "65534", "perl"];
    node.start(120, &nobody, "$|=1; print 1; sleep 600", &["-id", "120", "-device", DEVICE]);
    assert_eq!(node.with_cid(1101).await, Err("cid_not_running"));
    // No scope of a VM's, whatever runs in it.
    node.run(0, &["-id", "0", "-device", DEVICE]);
    fs::rename(node.slice().join("0.scope"), node.slice().join("backup.scope")).unwrap();
    assert_eq!(node.with_cid(1101).await, Err("cid_not_running"));
}

/// As long as the first process of two waits for the second, somebody else may have the CID.
#[tokio::test]
async fn a_vm_that_has_not_finished_starting_is_not_let_in() {
    let Some(mut node) = Node::new() else { return };
    node.configure("pve1", 120, &format!("args: -device {DEVICE}"));
    let words = ["-id", "120", "-device", DEVICE];
    // Both are of one scope and one command line, as QEMU's are until its devices stand.
    let script = "$|=1; print 2 if fork; sleep 600";
    let pids = node.start(120, &["perl"], script, &words);
    assert_eq!(pids.len(), 2);
    assert_eq!(node.with_cid(1101).await, Err("cid_starting"));
    let second = nix::unistd::Pid::from_raw(pids[1]);
    nix::sys::signal::kill(second, nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn two_that_run_with_one_cid_are_neither() {
    let Some(mut node) = Node::new() else { return };
    for vmid in [120, 121] {
        node.configure("pve1", vmid, &format!("args: -device {DEVICE}"));
        node.run(vmid, &["-id", &vmid.to_string(), "-device", DEVICE]);
    }
    assert_eq!(node.with_cid(1101).await, Err("cid_shared"));
}

#[tokio::test]
async fn what_the_kernel_keeps_for_itself_is_nobodys() {
    let keeper = Keeper::start(Tree::new("/nonexistent")).unwrap();
    let machines = Machines::new(Arc::new(keeper));
    // Any hypervisor, this machine by itself, what it runs on, any.
    for cid in [0, 1, 2, u32::MAX] {
        assert_eq!(machines.with_cid(cid).await, Err(Unknown::Reserved(cid)));
    }
}
