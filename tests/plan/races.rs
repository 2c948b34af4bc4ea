//! One plan, one change: whoever is late, early, somebody else, or finds the node changed is refused, with a receipt.

use std::time::Duration;

use provost::account::Account;
use provost::apply::Became;
use provost::plan::{Limits, PlanId, Refused};
use provost::sim::estate::recorded;
use serde_json::Value;

use crate::site::Site;

const CALL: &str = "PUT /nodes/pve1/lxc/101/config";

fn refusal(site: &Site, refused: &Refused) {
    let receipt = site.newest("refusal");
    assert_eq!(receipt.body["code"], Value::from(refused.kind()), "{refused}");
    assert_eq!(receipt.tool.as_deref(), Some("apply"));
}

#[tokio::test]
async fn of_two_applies_one_wins() {
    let site = Site::new(recorded()).await;
    for _ in 0..8 {
        let plan = site.plan("POST /nodes/pve1/lxc/101/snapshot", "snapname=race").await;
        let id = plan.id.to_string();
        let (one, two) = tokio::join!(site.try_apply(&id), site.try_apply(&id));
        let (won, lost) = if one.is_ok() { (one, two) } else { (two, one) };
        let lost = lost.unwrap_err();
        assert_eq!(lost.kind(), "already_applied");
        refusal(&site, &lost);
        // The container cannot be snapshotted; what matters is that it was tried once.
        assert!(matches!(won.unwrap().result, Became::Failed(_)));
        let sent = site.receipts().iter().filter(|receipt| receipt.plan.as_deref() == Some(&*id)).count();
        assert_eq!(sent, 4, "a plan, an intent, an outcome, a refusal");
    }
}

#[tokio::test]
async fn what_drifted_is_refused_and_spent() {
    let site = Site::new(recorded()).await;
    let plan = site.plan(CALL, "memory=1024").await;
    site.sim.with_estate(|estate| {
        estate.guest_mut(101).unwrap().config.insert("cores".into(), "2".into());
    });
    let refused = site.try_apply(&plan.id.to_string()).await.unwrap_err();
    assert_eq!(refused.kind(), "drifted");
    assert!(refused.to_string().contains("the configuration"), "{refused}");
    refusal(&site, &refused);
    assert!(site.try_apply(&plan.id.to_string()).await.is_err());

    let plan = site.plan("POST /nodes/pve1/lxc/101/status/start", "").await;
    site.carry_out("POST /nodes/pve1/lxc/101/status/start", "").await;
    let refused = site.try_apply(&plan.id.to_string()).await.unwrap_err();
    assert_eq!(refused.kind(), "drifted");
}

#[tokio::test]
async fn an_expired_plan_is_refused() {
    let limits = Limits { lifetime: Duration::ZERO, ..Limits::default() };
    let site = Site::with(recorded(), None, limits).await;
    let plan = site.plan(CALL, "memory=1024").await;
    let refused = site.try_apply(&plan.id.to_string()).await.unwrap_err();
    assert_eq!(refused.kind(), "expired");
    refusal(&site, &refused);
}

#[tokio::test]
async fn nobody_applies_a_plan_that_they_did_not_make() {
    let site = Site::new(recorded()).await;
    let plan = site.plan(CALL, "memory=1024").await;
    let me = site.principal.who(None).uid.unwrap();
    // Another account, and a virtual machine that happens to have its number.
    let stranger = Account::Machine(me);
    assert!(site.desk.plans.claim(plan.id, me + 1).is_err());
    assert_eq!(site.desk.plans.find(plan.id, stranger).unwrap_err().kind(), "not_your_plan");
    assert!(site.desk.plans.claim(plan.id, stranger).is_err());
    let guessed = PlanId::random().unwrap().to_string();
    for (id, kind) in [(guessed.as_str(), "no_such_plan"), ("", "arguments"), ("../../etc", "arguments")] {
        let refused = site.try_apply(id).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{id}");
        refusal(&site, &refused);
    }
    site.apply(&plan).await;
}

#[tokio::test]
async fn a_halt_and_a_door_that_closes_meanwhile_stop_it() {
    let site = Site::new(recorded()).await;
    let plan = site.plan(CALL, "memory=1024").await;
    let id = plan.id.to_string();
    site.policy.halt.halt("the test", "to see").unwrap();
    let halted = site.try_apply(&id).await.unwrap_err();
    assert_eq!(halted.kind(), "halted");
    refusal(&site, &halted);
    assert_eq!(site.refused(CALL, "memory=1024").await.kind(), "halted");
    site.policy.halt.resume().unwrap();
    site.role("profile = 'full'\napproval = []\ndeny = ['PUT /nodes/{node}/lxc/{vmid}/config']");
    refusal(&site, &site.try_apply(&id).await.unwrap_err());
    site.role("profile = 'observe'");
    refusal(&site, &site.try_apply(&id).await.unwrap_err());
    assert!(!site.receipts().iter().any(|receipt| receipt.kind.name() == "intent"));
    // Nothing was begun: the plan still holds.
    site.full();
    site.apply(&plan).await;
}

#[tokio::test]
async fn a_role_that_narrows_deletes_nothing_any_more() {
    let site = Site::new(recorded()).await;
    let plan = site.plan("DELETE /nodes/pve1/lxc/101", "").await;
    site.role("profile = 'provision'");
    assert_eq!(site.try_apply(&plan.id.to_string()).await.unwrap_err().kind(), "tier_not_allowed");
    assert!(site.sim.with_estate(|estate| estate.guest(101).is_some()));
}

#[tokio::test]
async fn applies_count_for_the_rate_and_plans_do_not() {
    let site = Site::new(recorded()).await;
    site.role("profile = 'full'\napproval = []\nrate = '1/h'");
    let plans = [site.plan(CALL, "memory=1024").await, site.plan(CALL, "swap=0").await];
    site.apply(&plans[0]).await;
    assert_eq!(site.try_apply(&plans[1].id.to_string()).await.unwrap_err().kind(), "rate");
}

#[tokio::test]
async fn plans_are_bounded_and_the_oldest_of_ones_own_give_way() {
    let limits = Limits { each: 4, ..Limits::default() };
    let site = Site::with(recorded(), None, limits).await;
    let first = site.plan(CALL, "memory=1000").await;
    for memory in 1001..1005 {
        site.plan(CALL, &format!("memory={memory}")).await;
    }
    assert_eq!(site.try_apply(&first.id.to_string()).await.unwrap_err().kind(), "no_such_plan");
    assert_eq!(site.desk.plans.waiting().len(), 4);
}
