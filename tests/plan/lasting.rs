//! What became of a change is recorded, whoever listens and whatever ends in the middle.

use std::time::Duration;

use provost::apply::{Became, resolve};
use provost::ledger::receipt::{Json, body};
use provost::ledger::{self, Entry, Ledger, Receipt, Seq};
use provost::sim::Fault;
use provost::sim::estate::recorded;
use serde_json::{Value, json};

use crate::site::{Site, eventually, open, receipts};

#[tokio::test]
async fn a_client_that_hangs_up_does_not_lose_the_outcome() {
    let site = Site::paced(recorded(), 4.0).await;
    let plan = site.plan("POST /nodes/pve1/lxc/101/status/start", "").await;
    let id = plan.id.to_string();
    let running = site.run(&id).await.unwrap();
    let intent = running.receipt();
    drop(running);
    let dir = site.dir.path().to_owned();
    let outcome = eventually("an outcome", || {
        receipts(&dir).into_iter().find(|receipt| receipt.kind.name() == "outcome")
    })
    .await;
    assert_eq!((outcome.closes(), outcome.body["result"].as_str()), (Some(intent), Some("done")));
    assert!(site.sim.with_estate(|estate| estate.guest(101).unwrap().is_running()));
}

#[tokio::test]
async fn who_does_not_wait_is_told_that_it_goes_on() {
    let site = Site::paced(recorded(), 1.0).await;
    let plan = site.plan("POST /nodes/pve1/lxc/101/status/start", "").await;
    let id = plan.id.to_string();
    let running = site.run(&id).await.unwrap();
    let applied = running.wait(Duration::ZERO, |_| {}).await.unwrap();
    assert_eq!((applied.result, applied.outcome), (Became::Running, None));
}

#[tokio::test]
async fn what_nobody_answered_is_unknown_and_never_sent_again() {
    let site = Site::new(recorded()).await;
    let plan = site.plan("PUT /nodes/pve1/lxc/101/config", "memory=1024").await;
    site.sim.fault_at(Fault::Cut, "PUT /api2/json/nodes/pve1/lxc/101/config", None);
    let applied = site.try_apply(&plan.id.to_string()).await.unwrap();
    assert!(matches!(applied.result, Became::Unknown(_)), "{applied:?}");
    assert_eq!(site.newest("outcome").body["result"], "unknown");
    assert_eq!(site.try_apply(&plan.id.to_string()).await.unwrap_err().kind(), "already_applied");
}

#[tokio::test]
async fn a_task_that_fails_is_said_to_have_failed_with_its_own_words() {
    let site = Site::new(recorded()).await;
    let plan = site.plan("POST /nodes/pve1/lxc/101/status/start", "").await;
    site.sim.fault_at(Fault::TaskFails("no space".into()), "vzstart", Some(1));
    let applied = site.try_apply(&plan.id.to_string()).await.unwrap();
    assert!(matches!(&applied.result, Became::Failed(why) if why.contains("no space")), "{applied:?}");
    let outcome = site.newest("outcome");
    assert_eq!(outcome.body["result"], "failed");
    assert!(outcome.why.unwrap().contains("no space"));
}

/// An intent as `apply` leaves it, and no outcome: what a kill leaves behind.
async fn left_open(site: &Site, ledger: &Ledger, call: &str, guest: u32, args: Value) -> Seq {
    let (method, path) = call.split_once(' ').unwrap();
    let template = site
        .node
        .catalog
        .endpoint(provost::catalog::Method::from_name(method).unwrap(), path)
        .unwrap()
        .endpoint
        .path
        .clone();
    let head = Entry {
        guest: Some(guest),
        endpoint: Some(format!("{method} {template}").into()),
        ..Entry::of(body::Halt { halted: false })
    };
    let intent = body::Intent {
        act: "apply",
        args: Some(Json::of(&template, args)),
        argv: None,
        before: Some(Json::of(&template, json!({ "call": { "method": method, "path": path } }))),
        from: None,
        sha256: None,
    };
    let recorded = ledger.intent(head, intent).await.unwrap();
    let seq = recorded.seq();
    std::mem::forget(recorded);
    seq
}

#[tokio::test]
async fn intents_that_a_kill_left_open_are_resolved_from_tasks_and_from_how_things_are() {
    let site = Site::new(recorded()).await;
    let ledger = open(&site.dir.path().join("killed"));
    let started = left_open(&site, &ledger, "POST /nodes/pve1/lxc/101/status/start", 101, json!({})).await;
    let done =
        left_open(&site, &ledger, "PUT /nodes/pve1/lxc/101/config", 101, json!({ "memory": 768 })).await;
    let not = left_open(&site, &ledger, "POST /pools", 101, json!({ "poolid": "never" })).await;
    let nobody = left_open(&site, &ledger, "POST /nodes/pve1/qemu/104/status/start", 104, json!({})).await;
    site.carry_out("POST /nodes/pve1/lxc/101/status/start", "").await;
    ledger.close();

    let ledger = open(&site.dir.path().join("killed"));
    assert_eq!(ledger.status().open_intents, [started, done, not, nobody]);
    let eyes = site.eyes();
    let open = ledger.status().open_intents;
    let fate = async |intent: &Receipt| resolve::fate(&eyes, intent).await;
    let closed = ledger::resolve::resolve(&ledger, &open, fate).await;
    assert_eq!(closed.unwrap(), 4);
    let outcomes = receipts(&site.dir.path().join("killed"));
    for (seq, result) in [(started, "done"), (done, "done"), (not, "failed"), (nobody, "unknown")] {
        let outcome = outcomes.iter().find(|receipt| receipt.closes() == Some(seq)).unwrap();
        assert_eq!(outcome.body["result"], result, "{outcome:?}");
    }
    assert!(ledger.status().open_intents.is_empty());
}

#[tokio::test]
async fn without_a_ledger_nothing_is_planned_or_sent() {
    let site = Site::new(recorded()).await;
    let plan = site.plan("PUT /nodes/pve1/lxc/101/config", "memory=1024").await;
    site.ledger.clone().close();
    assert_eq!(site.try_apply(&plan.id.to_string()).await.unwrap_err().kind(), "stopping");
    assert_eq!(site.refused("PUT /nodes/pve1/lxc/101/config", "memory=1024").await.kind(), "stopping");
    let memory = site.sim.with_estate(|estate| estate.guest(101).unwrap().get("memory").map(str::to_owned));
    assert_eq!(memory.as_deref(), Some("768"));
}
