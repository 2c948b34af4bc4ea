//! The inspect lane in real containers: everything that only looks works there, and nothing that changes anything does,
//! though the very same attempt goes through in the change lane.

#[path = "../common/mod.rs"]
mod common;

use common::{Client, Node, eventually};
use serde_json::{Value, json};

/// Makes what the attempts aim at, in a directory of the test's own, and a process for them to harm.
struct Aim<'a> {
    client: &'a mut Client,
    guest: u32,
    dir: String,
    victim: String,
}

impl<'a> Aim<'a> {
    fn prepare(client: &'a mut Client, guest: u32) -> Self {
        let dir = format!("/var/tmp/aim-{}", std::process::id());
        let program = include_str!("attempts.py");
        let script = format!("mkdir -p {dir} && cat > {dir}.py && python3 {dir}.py prepare {dir}");
        let arguments =
            json!({ "guest": guest, "argv": ["sh", "-c", script], "stdin": program, "mode": "change" });
        let prepared = client.exec(arguments);
        assert_eq!(prepared["exit_code"], 0, "{prepared}");
        let victim =
            client.change(guest, &["sh", "-c", "setsid sleep 3600 </dev/null >/dev/null 2>&1 & echo $!"]);
        let victim = victim["stdout"].as_str().expect("a pid").trim().to_owned();
        Self { client, guest, dir, victim }
    }

    fn python(&mut self, mode: &str, words: &[&str]) -> Value {
        let program = format!("{}.py", self.dir);
        let mut argv = vec!["python3", &program];
        argv.extend(words);
        let answer = self.client.exec(json!({ "guest": self.guest, "argv": argv, "mode": mode }));
        assert_eq!(answer["exit_code"], 0, "{words:?}: {answer}");
        answer
    }

    /// Every attempt's outcome.
    fn run(&mut self, mode: &str) -> Vec<Value> {
        let (dir, victim) = (self.dir.clone(), self.victim.clone());
        let answer = self.python(mode, &["run", &dir, "--victim", &victim]);
        let lines = answer["stdout"].as_str().expect("text").lines();
        lines.map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
    }

    fn state(&mut self) -> Value {
        let dir = self.dir.clone();
        self.python("change", &["state", &dir])["stdout"].take()
    }
}

impl Drop for Aim<'_> {
    fn drop(&mut self) {
        let clean = format!(
            "kill {}; chattr -R -ia {dir} 2>/dev/null; rm -rf {dir} {dir}.py",
            self.victim,
            dir = self.dir
        );
        let arguments = json!({ "guest": self.guest, "argv": ["sh", "-c", clean], "mode": "change" });
        self.client.call("exec", arguments);
    }
}

fn wide(guest: u32) -> Node {
    Node::with(
        "v2",
        &format!("containers = [{guest}]\nprivileged = true\nmax_output = 1000000"),
        common::node::ROOT_MAY_ALL,
    )
}

fn nothing_changes_in(guest: u32) {
    let node = wide(guest);
    let mut client = node.client();
    let mut aim = Aim::prepare(&mut client, guest);
    let before = aim.state();
    let attempts = aim.run("inspect");
    assert_eq!(aim.state(), before, "what the attempts aimed at is as it was");
    assert!(attempts.len() >= 60, "{} attempts", attempts.len());
    let through: Vec<&Value> = attempts
        .iter()
        .filter(|attempt| attempt["expect"] == "refused" && attempt["outcome"] == "done")
        .collect();
    assert!(through.is_empty(), "went through: {through:#?}");
    let refused = attempts.iter().filter(|attempt| attempt["outcome"] == "refused").count();
    assert!(refused >= 50, "only {refused} were refused: the rest had nothing to aim at");
}

#[test]
fn nothing_changes_an_unprivileged_container() {
    nothing_changes_in(101);
}

#[test]
fn nothing_changes_a_privileged_container() {
    nothing_changes_in(106);
}

/// The control: were it not for the lane, the attempts would go through.
#[test]
fn the_same_attempts_go_through_in_the_change_lane() {
    let node = wide(101);
    let mut client = node.client();
    let attempts = Aim::prepare(&mut client, 101).run("change");
    let failed: Vec<&Value> = attempts
        .iter()
        .filter(|attempt| attempt["control"] == true && attempt["outcome"] != "done")
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(attempts.iter().filter(|attempt| attempt["control"] == true).count() >= 30);
}

#[test]
fn ordinary_diagnostics_work_as_they_do_for_root() {
    let node = wide(101);
    let mut client = node.client();
    let database =
        "mkdir -p /var/tmp/attempts && cd /var/tmp/attempts && rm -f db && sqlite3 db 'create table t (x)'";
    assert_eq!(client.change(101, &["sh", "-c", database])["exit_code"], 0);
    let (mut ran, mut failed) = (0, Vec::new());
    for line in
        include_str!("diagnostics.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let answer = client.inspect(101, &["sh", "-c", line]);
        match answer["exit_code"].as_i64() {
            Some(0) => ran += 1,
            _ if answer["stderr"].as_str().is_some_and(|said| said.contains(": not found")) => {}
            _ => failed.push(format!("{line}: {answer}")),
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(ran >= 40, "only {ran} of the diagnostics are installed");
}

#[test]
fn the_answer_says_which_guarantees_held() {
    let node = Node::start();
    let mut client = node.client();
    let answer = client.inspect(101, &["true"]);
    assert_eq!((&answer["lane"], &answer["seccomp"]), (&json!("inspect"), &json!(true)));
    assert!(answer["landlock_abi"].as_u64().unwrap() >= 1);
    assert!(client.change(101, &["true"])["landlock_abi"].is_null());
}

#[test]
fn what_the_lane_refused_is_named_with_where_it_would_go_through() {
    let node = Node::start();
    let mut client = node.client();
    for (what, command) in [
        ("write", "echo x > /etc/motd"),
        ("write", "touch /root/x"),
        ("write", "rm -f /etc/hostname"),
        ("write", "python3 -c 'open(\"/etc/motd\", \"w\")'"),
        ("bus", "systemctl restart cron"),
        ("bus", "systemctl status"),
        ("bus", "hostnamectl"),
        ("socket", "python3 -c 'import socket; socket.socket(socket.AF_INET)'"),
        ("socket", "logger -s hello"),
        ("write", "chmod 777 /etc/motd"),
        ("privilege", "mount -t tmpfs none /mnt"),
        ("privilege", "kill 1"),
        ("privilege", "hostname other"),
    ] {
        let answer = client.inspect(101, &["sh", "-c", command]);
        assert_ne!(answer["exit_code"], 0, "{command}: {answer}");
        assert_eq!(answer["refused"]["what"], what, "{command}: {answer}");
        assert!(!answer["refused"]["next"].as_str().unwrap().is_empty());
    }
    for innocent in ["exit 3", "ls /nowhere", "grep nothing /etc/motd", "cat /etc/nowhere"] {
        let answer = client.inspect(101, &["sh", "-c", innocent]);
        assert!(answer["refused"].is_null(), "{innocent}: {answer}");
    }
}

#[test]
fn a_kernel_below_the_floor_is_refused_the_lane() {
    let node = Node::with("v2", "containers = [101]\ninspect_floor = 99", common::node::ROOT_MAY_ALL);
    let mut client = node.client();
    let error = client.refused(json!({ "guest": 101, "argv": ["true"] }));
    assert_eq!(error["kind"], "inspect_floor");
    assert!(
        error["message"].as_str().unwrap().contains("99")
            && error["next"].as_str().unwrap().contains("change")
    );
    assert_eq!(client.change(101, &["true"])["exit_code"], 0);
}

#[test]
fn nothing_outlives_a_command_in_the_lane() {
    let node = Node::start();
    let mut client = node.client();
    let answer = client.inspect(101, &["sh", "-c", "setsid sleep 4720 & setsid sleep 4720 & echo started"]);
    assert_eq!(answer["stdout"], "started\n");
    assert!(answer["left_running"].is_null(), "{answer}");
    eventually("the cgroup is gone", || node.leaves("v2", 101).is_empty());
}

#[test]
fn another_user_of_the_container_is_held_as_tightly() {
    let node = Node::start();
    let mut client = node.client();
    let arguments = |script: &str| json!({ "guest": 101, "argv": ["sh", "-c", script], "user": "nobody" });
    let status = client.exec(arguments("id -un; grep -E '^Cap(Prm|Eff|Bnd)|^NoNewPrivs' /proc/self/status"));
    let text = status["stdout"].as_str().unwrap();
    assert!(text.starts_with("nobody\n") && text.contains("NoNewPrivs:\t1"), "{text}");
    assert!(
        text.contains("CapEff:\t0000000000000000") && text.contains("CapBnd:\t0000000000000004"),
        "{text}"
    );
    let write = client.exec(arguments("echo x > /tmp/by-nobody"));
    assert!(write["exit_code"] != 0 && write["stderr"].as_str().unwrap().contains("denied"), "{write}");
    // Whether it was the lane or the file's mode nobody can tell, for a user who is not root: so nothing is said of it.
    assert!(write["refused"].is_null(), "{write}");
    let mut in_change = arguments("echo x > /tmp/by-nobody && rm /tmp/by-nobody");
    in_change["mode"] = json!("change");
    assert_eq!(client.exec(in_change)["exit_code"], 0, "there the same user may");
}
