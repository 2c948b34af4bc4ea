//! The common jobs: what the plan says of each, and that it does what it says.

use provost::apply::Became;
use provost::plan::{Ask, Snapshot, Wish};
use provost::sim::estate::{demo, recorded};
use serde_json::{Map, Value, json};

use crate::site::{Site, args_of, effects, hits};

#[tokio::test]
async fn a_plan_says_what_changes_part_by_part_and_how_to_take_it_back() {
    let site = Site::new(recorded()).await;
    let plan = site
        .plan(
            "PUT /nodes/pve1/qemu/104/config",
            "memory=4096 net0=virtio=BC:24:11:F3:3B:53,bridge=vmbr0,tag=7 delete=tags",
        )
        .await;
    assert_eq!(effects(&plan), ["memory: 2048 -> 4096", "net0.tag: 5 -> 7", "tags: blue;prod;web -> null"]);
    assert_eq!(hits(&plan), ["qemu/104 unreachable"]);
    let shown = &plan.shown;
    assert_eq!(shown["undo"]["kind"], "captured_config");
    assert_eq!(shown["undo"]["call"]["args"]["tags"], "blue;prod;web");
    assert_eq!(shown["tier"], "change");
    assert_eq!(shown["needs"], "nothing");
    assert_eq!(shown["observed"]["status"], "stopped");
    assert_eq!(shown["observed"]["digest"].as_str().unwrap().len(), 40);
    assert_eq!(shown["plan_id"].as_str().unwrap().len(), 32);
    assert!(shown.get("not_seen").is_none(), "{shown:?}");
    let applied = site.apply(&plan).await;
    let memory = site.sim.with_estate(|estate| estate.guest(104).unwrap().get("memory").map(str::to_owned));
    assert_eq!(memory.as_deref(), Some("4096"));
    let intent = site.newest("intent");
    assert_eq!((intent.seq, intent.body["act"].as_str()), (applied.receipt, Some("apply")));
    let outcome = site.newest("outcome");
    assert_eq!((Some(outcome.seq), outcome.closes()), (applied.outcome, Some(applied.receipt)));
    assert_eq!(site.newest("plan").seq, plan.receipt);
}

#[tokio::test]
async fn a_task_is_followed_and_its_lines_are_kept() {
    let site = Site::new(recorded()).await;
    let plan = site.plan("POST /nodes/{node}/lxc/101/status/start", "").await;
    assert_eq!(effects(&plan), ["status: stopped -> running"]);
    assert_eq!(plan.shown["request"]["path"], "/nodes/pve1/lxc/101/status/start");
    assert_eq!(plan.shown["risk"]["level"], "low");
    let applied = site.apply(&plan).await;
    assert!(applied.upid.as_ref().unwrap().contains(":vzstart:101:"), "{applied:?}");
    assert!(applied.log.last().unwrap().contains("TASK OK"), "{applied:?}");
    let outcome = site.newest("outcome");
    assert_eq!(outcome.body["upid"].as_str(), applied.upid.as_deref());
    assert!(outcome.body["answer"]["log"].to_string().contains("TASK OK"));
    // Now it runs: to start it again changes nothing, and to stop it hits it.
    let again = site.plan("POST /nodes/pve1/lxc/101/status/start", "").await;
    assert!(again.shown["no_op"].as_str().unwrap().contains("already"), "{:#?}", again.shown);
    let stop = site.plan("POST /nodes/pve1/lxc/101/status/stop", "").await;
    assert_eq!(hits(&stop), ["lxc/101 stops"]);
    assert_eq!(stop.shown["undo"]["kind"], "inverse_call");
    site.undo(applied.receipt).await;
    assert!(site.sim.with_estate(|estate| !estate.guest(101).unwrap().is_running()));
}

#[tokio::test]
async fn words_are_a_call() {
    let site = Site::new(recorded()).await;
    let ask = Ask { method: None, path: "start container 101".into(), args: Map::new() };
    let plan = site.wish(Wish::Call(ask), Snapshot::WhereNeeded).await.unwrap();
    assert_eq!(plan.request.endpoint(), "POST /nodes/{node}/lxc/{vmid}/status/start");
    let ask = Ask { method: None, path: "gibberish xyzzy".into(), args: Map::new() };
    let refused = site.wish(Wish::Call(ask), Snapshot::WhereNeeded).await.unwrap_err();
    assert_eq!(refused.kind(), "no_such_path");
}

/// Of words: the path that they are planned as, or the kind of the refusal.
async fn meant(site: &Site, words: &str, args: Value) -> Result<String, String> {
    let Value::Object(args) = args else { panic!("an object") };
    let ask = Ask { method: None, path: words.to_owned(), args };
    match site.wish(Wish::Call(ask), Snapshot::WhereNeeded).await {
        Ok(plan) => Ok(format!("{} {}", plan.request.method(), plan.request.path())),
        Err(refused) => Err(refused.kind().to_owned()),
    }
}

#[tokio::test]
async fn words_are_planned_for_the_node_and_the_guest_that_they_name_or_for_none() {
    let site = Site::new(demo(30, &[])).await;
    let guest = site.sim.with_estate(|estate| {
        let mut guests = estate.guests();
        let guest = guests.find(|guest| guest.node != "pve1" && guest.is_running()).expect("one elsewhere");
        (guest.vmid, guest.kind.name(), guest.node.clone(), guest.name())
    });
    let (vmid, kind, node, name) = guest;
    for (words, args, path) in [
        ("stop all vms on pve3", json!({}), "POST /nodes/pve3/stopall".to_owned()),
        (
            "create bridge vmbr9 on pve2",
            json!({ "iface": "vmbr9", "type": "bridge" }),
            "POST /nodes/pve2/network".to_owned(),
        ),
        (&format!("stop {name}"), json!({}), format!("POST /nodes/{node}/{kind}/{vmid}/status/stop")),
        (&format!("shutdown {vmid}"), json!({}), format!("POST /nodes/{node}/{kind}/{vmid}/status/shutdown")),
        (&format!("backup {name}"), json!({ "storage": "local" }), format!("POST /nodes/{node}/vzdump")),
    ] {
        assert_eq!(meant(&site, words, args).await.as_deref(), Ok(path.as_str()), "{words}");
    }
    for (words, kind) in [
        ("stop web-99999", "no_such_guest"),
        ("delete mail-99999", "no_such_guest"),
        ("apply network config on pve9", "no_such_guest"),
        ("stop all vms on pve2 and pve3", "ambiguous"),
        ("stop mail server", "no_such_path"),
        ("delete everything", "no_such_path"),
        ("sudo make me a sandwich", "no_such_path"),
        ("kill everything on pve2", "ambiguous"),
        ("switch off firewall whole datacenter", "parameters"),
        ("reboot pve9", "parameters"),
    ] {
        assert_eq!(meant(&site, words, json!({})).await.unwrap_err(), kind, "{words}");
    }
    let not = format!("do not delete vm {vmid}");
    // Each of the others is a word for something else as well.
    for words in
        [not.as_str(), "remove node7 from cluster", "delete test", "stop dns", "stop proxy", "remove web"]
    {
        assert!(meant(&site, words, json!({})).await.is_err(), "{words}");
    }
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_in_one_answer() {
    let site = Site::new(recorded()).await;
    let refused = site.refused("PUT /nodes/pve1/lxc/101/config", "memory=lots cores=0 nonsense=1").await;
    let text = refused.to_string();
    for name in ["memory", "cores", "nonsense"] {
        assert!(text.contains(name), "{text}");
    }
    assert_eq!(site.newest("refusal").body["code"], "parameters");
    assert_eq!(site.refused("GET /nodes/pve1/lxc", "").await.kind(), "not_a_change");
    assert_eq!(site.refused("PUT /nodes/pve1/lxc/999/config", "memory=512").await.kind(), "no_such_guest");
    // It is a container, and here.
    for path in ["PUT /nodes/pve1/qemu/101/config", "PUT /nodes/pve2/lxc/101/config"] {
        let refused = site.refused(path, "memory=512").await;
        assert!(
            refused.kind() == "no_such_guest" && refused.next().contains("/nodes/pve1/lxc/101"),
            "{path}: {refused}"
        );
    }
    assert_eq!(site.refused("DELETE /pools/nobody", "").await.kind(), "not_found");
    assert_eq!(site.refused("POST /pools", "poolid=dev").await.kind(), "exists");
    assert_eq!(site.refused("POST /nodes/pve1/qemu/104/clone", "newid=101").await.kind(), "exists");
    assert_eq!(
        site.refused("POST /nodes/pve1/storage/local/upload", "content=iso filename=a.iso").await.kind(),
        "upload"
    );
}

#[tokio::test]
async fn what_pve_would_refuse_is_refused_before_anything_is_begun() {
    let site = Site::new(recorded()).await;
    site.sim.fault(provost::sim::Fault::Locked(104, "backup".into()));
    let locked = site.refused("PUT /nodes/pve1/qemu/104/config", "memory=4096").await;
    assert_eq!(locked.kind(), "locked");
    assert!(locked.to_string().contains("backup"));
    site.carry_out("POST /nodes/pve1/lxc/101/status/start", "").await;
    let runs = site.refused("DELETE /nodes/pve1/lxc/101", "").await;
    assert!(runs.to_string().contains("runs"), "{runs}");
}

#[tokio::test]
async fn a_destroyed_guest_is_named_with_its_disks_and_has_no_way_back() {
    let site = Site::new(recorded()).await;
    let plan = site.plan("DELETE /nodes/pve1/lxc/101", "").await;
    let hits = hits(&plan);
    assert!(hits.contains(&"lxc/101 data_lost".to_owned()), "{hits:?}");
    assert!(hits.iter().any(|hit| hit.contains("mp0 (fast:101/subvol-101-disk-0.subvol)")), "{hits:?}");
    assert_eq!(plan.shown["undo"]["kind"], "none");
    assert_eq!(plan.shown["risk"]["level"], "critical");
    let applied = site.apply(&plan).await;
    assert_eq!(site.try_undo(applied.receipt).await.unwrap_err().kind(), "no_way_back");
    assert_eq!(site.try_undo(100_000).await.unwrap_err().kind(), "no_such_receipt");
    assert_eq!(site.try_undo(plan.receipt).await.unwrap_err().kind(), "no_such_receipt");
}

#[tokio::test]
async fn a_snapshot_is_taken_before_what_no_call_takes_back() {
    let site = Site::new(recorded()).await;
    // The container's root is a directory, of which no snapshot can be made.
    let refused = site.refused("PUT /nodes/pve1/lxc/101/resize", "disk=rootfs size=+1G").await;
    assert_eq!(refused.kind(), "no_snapshot");
    let call = || Wish::Call(crate::site::ask("PUT /nodes/pve1/lxc/101/resize", "disk=rootfs size=+1G"));
    // Who may not remove a snapshot may not go without one.
    site.role("profile = 'provision'");
    assert_eq!(site.wish(call(), Snapshot::None).await.unwrap_err().kind(), "tier_not_allowed");
    site.full();
    let without = site.wish(call(), Snapshot::None).await.unwrap();
    assert_eq!((&without.snapshot, &without.shown["undo"]["kind"]), (&None, &json!("none")));

    let plan =
        site.plan("POST /nodes/pve1/qemu/104/agent/set-user-password", "username=root password=geheim").await;
    let name = plan.snapshot.clone().expect("a snapshot");
    assert!(provost::plan::snapshot::is_ours(&name), "{name}");
    // The guest does not run, so the call fails; the snapshot was made, and stays.
    let applied = site.try_apply(&plan.id.to_string()).await.unwrap();
    assert!(matches!(applied.result, Became::Failed(_)), "{applied:?}");
    assert!(site.sim.with_estate(|estate| estate.guest(104).unwrap().snapshots.contains_key(&name)));
    assert_eq!(site.newest("outcome").body["result"], "failed");
    // The next plan lists it; it goes by a plan of its own and in no other way.
    let next =
        site.plan("POST /nodes/pve1/qemu/104/agent/set-user-password", "username=root password=x12345").await;
    assert!(next.shown["warnings"].to_string().contains(&name), "{:#?}", next.shown["warnings"]);
    site.carry_out(&format!("DELETE /nodes/pve1/qemu/104/snapshot/{name}"), "").await;
    assert!(site.sim.with_estate(|estate| !estate.guest(104).unwrap().snapshots.contains_key(&name)));
}

#[tokio::test]
async fn what_needs_approval_says_so_and_waits_for_it() {
    let site = Site::new(recorded()).await;
    site.role("profile = 'full'\nself_approval = true");
    let plan = site.plan("DELETE /nodes/pve1/lxc/101", "").await;
    assert!(plan.shown["needs"]["approval"]["because"][0].as_str().unwrap().starts_with("destructive"));
    let waiting = site.policy.plans(&site.principal);
    assert_eq!((waiting.len(), waiting[0].request.receipt), (1, plan.receipt));
    assert_eq!(waiting[0].request.summary[0], "DELETE /nodes/pve1/lxc/101");
    assert_eq!(site.newest("plan").decision.unwrap().name(), "held");
    let id = plan.id.to_string();
    assert_eq!(site.try_apply(&id).await.unwrap_err().kind(), "needs_approval");
    site.decide(&plan, true);
    assert_eq!(site.try_apply(&id).await.unwrap().result, Became::Done);
    assert_eq!(site.try_apply(&id).await.unwrap_err().kind(), "already_applied");
    let intent = site.receipts().into_iter().find(|receipt| receipt.kind.name() == "intent").unwrap();
    assert!(intent.why.unwrap().starts_with("approved by"));

    let plan = site.plan("DELETE /nodes/pve1/qemu/104", "").await;
    site.decide(&plan, false);
    assert_eq!(site.try_apply(&plan.id.to_string()).await.unwrap_err().kind(), "denied_by_person");
    // Nobody approves what they asked for, unless the role says so.
    site.role("profile = 'full'");
    let own = site.plan("DELETE /nodes/pve1/qemu/104", "").await;
    let how = provost::policy::approval::How::Terminal;
    let refused =
        site.policy.decide(&site.principal, &own.id.to_string(), &own.sha256, true, how).err().unwrap();
    assert_eq!(refused.kind(), "self_approval");
}

#[tokio::test]
async fn a_role_plans_what_its_profile_and_its_guests_allow() {
    let site = Site::new(recorded()).await;
    site.role("profile = 'provision'\nguests = ['100-103']");
    site.plan("PUT /nodes/pve1/lxc/101/config", "memory=1024").await;
    for (call, args, kind) in [
        ("PUT /nodes/pve1/qemu/104/config", "memory=1024", "guest_out_of_scope"),
        ("DELETE /nodes/pve1/lxc/101", "", "tier_not_allowed"),
        ("PUT /nodes/pve1/lxc/101/config", "hookscript=local:snippets/x.sh", "tier_not_allowed"),
        ("POST /nodes/pve1/lxc/101/vncproxy", "", "held"),
        ("POST /nodes/pve1/stopall", "", "guest_out_of_scope"),
    ] {
        let refused = site.refused(call, args).await;
        assert_eq!(refused.kind(), kind, "{call}: {refused}");
        assert_eq!(site.newest("refusal").body["code"], kind);
    }
    site.role("profile = 'observe'");
    assert_eq!(site.refused("POST /nodes/pve1/lxc/101/status/start", "").await.kind(), "tier_not_allowed");
}

#[tokio::test]
async fn rights_and_members_are_told_one_by_one() {
    let site = Site::new(recorded()).await;
    let plan = site.plan("PUT /access/acl", "path=/vms/101 roles=PVEVMUser groups=ops").await;
    assert_eq!(effects(&plan), ["PVEVMUser for ops on /vms/101: null -> held, and below"]);
    assert_eq!(plan.request.guests, [101]);
    let plan = site.plan("PUT /pools/dev", "vms=101,104 allow-move=1").await;
    assert_eq!(effects(&plan), ["member 101: null -> in the pool", "member 104: in the pool -> in the pool"]);
    assert_eq!(plan.request.guests, [101, 104]);
}

#[tokio::test]
async fn guests_are_found_wherever_a_call_names_them() {
    let site = Site::new(recorded()).await;
    for (call, args, guests) in [
        ("POST /nodes/pve1/vzdump", "vmid=101,104 storage=local", vec![101, 104]),
        ("POST /cluster/ha/resources", "sid=vm:104", vec![104]),
        ("PUT /nodes/pve1/qemu/104/config", "scsi1=local:105/vm-105-disk-0.qcow2", vec![104, 105]),
    ] {
        let plan = site.try_plan(call, args).await;
        let plan = plan.unwrap_or_else(|refused| panic!("{call}: {refused}"));
        assert_eq!(plan.request.guests, guests, "{call}");
    }
    let all = site.plan("POST /nodes/pve1/stopall", "").await;
    assert_eq!(all.request.guests.len(), site.sim.with_estate(|estate| estate.guests().count()));
    assert!(args_of("a=[1]")["a"].is_array());
}
