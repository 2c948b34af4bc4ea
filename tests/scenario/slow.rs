//! "Find out why 105 is slow, and fix it."

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::common::{Client, Node, eventually};
use crate::group::{Group, pid_of};
use crate::guest::{Guest, Recipe};
use crate::record;

/// The account that approves, which is not the one that asks.
const APPROVER: u32 = 65_534;

/// Who asks may inspect, and change what a person has approved; for the other account there is no role at all.
const ROLES: &str = "[approval]\nmembers = [\"user:65534\", \"user:root\"]\n\
                     [[role]]\nname = \"helper\"\nmembers = [\"user:root\"]\nprofile = \"provision\"\nexec = \"inspect\"\n\
                     approval = [\"change\"]\n";

/// The calls of one session, against one container that has too little CPU.
struct Scene {
    guest: Guest,
    group: Group,
    cluster: Cluster,
    node: Node,
    client: Client,
    config: String,
}

impl Scene {
    fn set() -> Self {
        let guest = Recipe::new().file("/opt/work.py", 0o644, "while True: pass\n").start();
        let words = format!("/opt/work.py {}", guest.id);
        guest.run(&format!("setsid python3 {words} </dev/null >/dev/null 2>&1 &"));
        let group = Group::of("cpu", &guest);
        eventually("it runs", || pid_of(&words).is_some());
        group.add(&pid_of(&words).expect("a pid"));
        let cluster = Cluster::with(guest.id, &[("cpulimit", "0.05"), ("cores", "2")]);
        let node = Node::with(
            "v2",
            &format!("containers = [{}]", guest.id),
            &format!("{ROLES}{}", cluster.section()),
        );
        let client = node.client();
        let config = format!("/nodes/pve1/lxc/{}/config", guest.id);
        let scene = Self { guest, group, cluster, node, client, config };
        scene.as_pve_does();
        scene
    }

    /// Limits the container by what its configuration says, as a node does when that is changed while it runs.
    fn as_pve_does(&self) {
        let limit: f64 = self.setting("cpulimit").parse().expect("a number");
        match limit > 0.0 {
            true => {
                let quota = format!("{:.0}", limit * 100_000.0);
                self.group.set(&[("cpu.max", &format!("{quota} 100000")), ("cpu.cfs_quota_us", &quota)]);
            }
            false => self.group.set(&[("cpu.max", "max 100000"), ("cpu.cfs_quota_us", "-1")]),
        }
    }

    /// Of the cluster's own configuration, whatever anybody was answered.
    fn setting(&self, name: &str) -> String {
        let id = self.guest.id;
        let value = |guest: &provost::sim::estate::guest::Guest| guest.get(name).map(str::to_owned);
        self.cluster.sim.with_estate(|estate| estate.guest(id).and_then(value)).unwrap_or_default()
    }

    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let shown = arguments.to_string();
        let result = self.client.call(tool, arguments);
        assert_ne!(result["isError"], true, "{tool} {shown}: {result}");
        result["structuredContent"].clone()
    }

    fn refused(&mut self, tool: &str, arguments: Value) -> Value {
        let result = self.client.call(tool, arguments);
        assert_eq!(result["isError"], true, "{result}");
        result["structuredContent"].clone()
    }

    fn subject(&self) -> Value {
        json!({ "subject": format!("lxc/{}", self.guest.id) })
    }

    /// The flag about its limit, asked for until the kernel has counted enough to tell.
    fn throttled(&mut self) -> Value {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let answer = self.call("diagnose", self.subject());
            let flags = answer["flags"].as_array().expect("flags");
            if let Some(flag) = flags.iter().take(2).find(|flag| says(flag, "CPU limit")) {
                return flag.clone();
            }
            assert!(Instant::now() < deadline, "{answer:#}");
        }
    }

    /// `provost …` as somebody types it on the node: whether it went well, and what it said.
    fn provost(&self, uid: u32, words: &[&str]) -> (bool, String) {
        let uid = uid.to_string();
        let output = Command::new("setpriv")
            .args(["--reuid", &uid, "--regid", &uid, "--clear-groups"])
            .arg(env!("CARGO_BIN_EXE_provost"))
            .args(words)
            .env("PROVOST_CONFIG", self.node.config())
            .output()
            .expect("provost");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// Applies a plan: it waits, who asked for it cannot approve it, another account does, and it is done once.
    fn applied(&mut self, plan: &Value) -> Value {
        let id = plan["plan_id"].as_str().expect("an id").to_owned();
        let apply = || json!({ "plan_id": id });
        assert_eq!(self.refused("apply", apply())["error"]["kind"], "needs_approval");
        let (well, said) = self.provost(0, &["approve", &id, "--yes"]);
        assert!(!well, "who asked cannot approve: {said}");
        let (well, said) = self.provost(APPROVER, &["approve", &id, "--yes"]);
        assert!(well && said.contains("cpulimit") && said.contains(&self.config), "{said}");
        let applied = self.call("apply", apply());
        assert_eq!(applied["result"], "done", "{applied}");
        assert_eq!(self.refused("apply", apply())["error"]["kind"], "already_applied");
        self.as_pve_does();
        applied
    }
}

fn says(flag: &Value, words: &str) -> bool {
    flag["what"].as_str().is_some_and(|what| what.contains(words))
}

#[test]
fn find_out_why_105_is_slow_and_fix_it_and_take_it_back() {
    let mut scene = Scene::set();
    let (id, config) = (scene.guest.id, scene.config.clone());

    // Inspect: what is it, and what does it do?
    let status = scene.call("status", json!({}));
    assert_eq!(
        (&status["role"], &status["exec"]["lane"]),
        (&json!("helper"), &json!("inspect")),
        "{status:#}"
    );
    let listed = scene.call("read", json!({ "path": "/cluster/resources", "where": format!("vmid = {id}") }));
    assert_eq!(listed["data"][0]["status"], "running", "{listed}");
    let busy = scene.client.inspect(id, &["sh", "-c", "ps -eo pcpu,args --sort=-pcpu | head -n 5"]);
    assert!(busy["stdout"].as_str().expect("text").contains("/opt/work.py"), "{busy}");

    // Diagnose: its own limit holds it back, by the host's count. The flag says where to look next.
    let flag = scene.throttled();
    assert!(flag["evidence"].as_str().expect("text").contains("a limit of 0.05 CPUs"), "{flag}");
    let next =
        flag["next"].as_str().expect("text").strip_prefix("find: ").expect("words for find").to_owned();
    let found = scene.call("find", json!({ "query": next }));
    assert!(found.to_string().contains("/config"), "{found}");
    let was = scene.call("read", json!({ "path": config }));
    assert_eq!(was["data"]["cpulimit"].to_string().trim_matches('"'), "0.05", "{was}");

    // Plan: who may only inspect cannot help itself by a command; the change is shown before it is made.
    let by_hand = json!({ "guest": id, "argv": ["kill", "1"], "mode": "change" });
    assert_eq!(scene.client.refused(by_hand)["kind"], "lane_not_allowed");
    let change = json!({ "method": "PUT", "path": config, "args": { "cpulimit": 0 } });
    let plan = scene.call("plan", change);
    assert_eq!(
        (&plan["tier"], &plan["undo"]["kind"]),
        (&json!("change"), &json!("captured_config")),
        "{plan:#}"
    );
    let effect = &plan["effects"][0];
    let shown = effect.to_string();
    assert!(["cpulimit", "0.05", "0"].iter().all(|word| shown.contains(word)), "{plan:#}");
    assert_eq!(scene.setting("cpulimit"), "0.05", "a plan changes nothing");

    // Apply, once another account has approved; and verify, by reading and by diagnosing again.
    let applied = scene.applied(&plan);
    assert_eq!(scene.setting("cpulimit"), "0");
    let now = scene.call("read", json!({ "path": config }));
    assert_eq!(now["data"]["cpulimit"].to_string().trim_matches('"'), "0", "{now}");
    let better = scene.call("diagnose", scene.subject());
    let flags = better["flags"].as_array().expect("flags");
    assert!(!flags.iter().any(|flag| says(flag, "CPU limit")), "{better:#}");
    assert!(
        better["evidence"]["throttling"].as_str().expect("text").contains("no CPU limit now"),
        "{better:#}"
    );

    // Undo, by the receipt: a plan as any other.
    let back = scene.call("plan", json!({ "undo": applied["receipt"] }));
    let undone = scene.applied(&back);
    assert_eq!(scene.setting("cpulimit"), "0.05");
    scene.throttled();

    // The client can see what it did.
    let audit = scene.call("audit", json!({ "guest": id, "limit": 100, "verify": true }));
    assert_eq!(audit["verified"]["holds"], true, "{audit:#}");
    on_record(&scene, [(&plan, &applied), (&back, &undone)]);
}

/// Every receipt, in order.
fn on_record(scene: &Scene, changes: [(&Value, &Value); 2]) {
    let id = scene.guest.id;
    let receipts = record::all(&scene.node.ledger());
    println!("{:#?}", record::outline(&receipts));
    for (number, receipt) in receipts.iter().enumerate() {
        assert_eq!(receipt.seq, receipts[0].seq + number as u64, "none is missing");
    }
    for (plan, outcome) in changes {
        let of_plan: Vec<_> = receipts
            .iter()
            .filter(|receipt| receipt.plan.as_ref().is_some_and(|of| plan["plan_id"] == of.as_str()))
            .collect();
        let kinds: Vec<_> = of_plan.iter().map(|receipt| receipt.kind.name()).collect();
        assert_eq!(
            kinds,
            ["plan", "refusal", "refusal", "approval", "intent", "outcome", "refusal"],
            "{of_plan:#?}"
        );
        let [planned, waits, own, approval, intent, done, again] = of_plan[..] else { unreachable!() };
        assert_eq!(planned.seq, plan["receipt"].as_u64().unwrap_or(planned.seq));
        assert_eq!(
            (&waits.body["code"], &again.body["code"]),
            (&json!("needs_approval"), &json!("already_applied"))
        );
        let uid = |receipt: &provost::ledger::Receipt| receipt.principal.as_ref().and_then(|who| who.uid);
        assert_eq!((uid(own), uid(approval)), (Some(0), Some(APPROVER)), "{own:?} {approval:?}");
        assert_eq!(approval.decision.map(|decision| decision.name()), Some("allowed"));
        // What was approved is what was planned, and that is what was done.
        assert_eq!(approval.body["sha256"], planned.body["sha256"], "{approval:?} {planned:?}");
        assert_eq!(done.closes(), Some(intent.seq));
        assert_eq!(record::numbered(&receipts, &outcome["receipt"]).seq, intent.seq, "what an undo names");
        assert_eq!(done.body["result"], "done", "{done:?}");
        assert_eq!((intent.guest, done.guest), (Some(id), Some(id)));
        for receipt in [planned, intent, done] {
            let endpoint = receipt.endpoint.as_deref().unwrap_or_default();
            assert!(endpoint.ends_with("PUT /nodes/{node}/lxc/{vmid}/config"), "{receipt:?}");
        }
    }
    let intent = record::numbered(&receipts, &changes[1].1["receipt"]);
    assert_eq!((&intent.body["act"], intent.body["from"].is_u64()), (&json!("undo"), true), "{intent:?}");
    let (well, said) =
        scene.provost(0, &["audit", "--dir", scene.node.ledger().to_str().expect("text"), "verify"]);
    assert!(well && said.contains("verified"), "{said}");
}
