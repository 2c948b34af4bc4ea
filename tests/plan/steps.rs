//! What one call took apart and several put together again: in their order, each on record, and up to the first that fails.

use provost::apply::Became;
use provost::sim::Fault;
use provost::sim::estate::recorded;

use crate::site::Site;

const SETS: &str = "/cluster/firewall/ipset";

async fn with_set() -> Site {
    let site = Site::new(recorded()).await;
    site.carry_out(&format!("POST {SETS}"), "name=lan").await;
    for member in ["cidr=192.0.2.0/24 comment=office", "cidr=192.0.2.7 nomatch=1", "cidr=198.51.100.0/24"] {
        site.carry_out(&format!("POST {SETS}/lan"), member).await;
    }
    site
}

#[tokio::test]
async fn a_set_comes_back_with_all_its_members_and_goes_and_comes_again() {
    let site = with_set().await;
    let before = site.tree();
    let plan = site.plan(&format!("DELETE {SETS}/lan"), "force=1").await;
    assert_eq!(plan.undo.then.len(), 3, "{:?}", plan.undo);
    let gone = site.apply(&plan).await;
    let without = site.tree();
    assert_ne!(without, before);
    let back = site.try_undo(gone.receipt).await.unwrap();
    assert_eq!(back.then.len(), 3);
    let applied = site.apply(&back).await;
    assert_eq!(site.tree(), before);
    assert_eq!(applied.steps.len(), 3);
    assert!(applied.steps.iter().all(|step| step.receipt.is_some() && step.result == Some(Became::Done)));
    // Each call has its own intent and outcome.
    let id = back.id.to_string();
    let of = |kind: &str| {
        let receipts = site.receipts();
        receipts.iter().filter(|it| it.kind.name() == kind && it.plan.as_deref() == Some(&*id)).count()
    };
    assert_eq!((of("plan"), of("intent"), of("outcome")), (1, 4, 4));
    // Taken back once more, the last first; and back again.
    let again = site.undo(applied.receipt).await;
    assert_eq!(site.tree(), without);
    site.undo(again.receipt).await;
    assert_eq!(site.tree(), before);
}

#[tokio::test]
async fn rights_that_were_held_by_some_come_back_as_each_was() {
    let site = Site::new(recorded()).await;
    site.carry_out("POST /access/groups", "groupid=new").await;
    site.carry_out("PUT /access/acl", "path=/pool/dev roles=PVEVMUser groups=new propagate=0").await;
    let before = site.tree();
    for args in [
        "path=/pool/dev roles=PVEVMUser,PVEAuditor groups=ops,new users=agent@pve",
        "path=/pool/dev roles=PVEVMUser,PVEAuditor groups=ops,new users=agent@pve delete=1",
        "path=/pool/dev roles=PVEVMUser groups=new,ops delete=1",
    ] {
        let plan = site.plan("PUT /access/acl", args).await;
        assert!(plan.undo.call.is_some(), "{args}: {:?}", plan.undo);
        let applied = site.apply(&plan).await;
        assert_ne!(site.tree(), before, "{args}");
        site.undo(applied.receipt).await;
        assert_eq!(site.tree(), before, "{args}");
    }
}

#[tokio::test]
async fn a_rule_comes_back_to_its_place_wherever_it_stood() {
    let site = Site::new(recorded()).await;
    for rules in ["/nodes/pve1/qemu/104/firewall/rules", "/cluster/firewall/rules"] {
        for port in ["22", "80", "443", "8006"] {
            let rule = format!("type=in action=ACCEPT proto=tcp dport={port} enable=1 comment=p{port}");
            site.carry_out(&format!("POST {rules}"), &rule).await;
        }
        let file = if rules.contains("104") { "firewall/104.fw" } else { "firewall/cluster.fw" };
        let text = || std::fs::read_to_string(site.sim.etc_pve.join(file)).unwrap();
        let before = text();
        for place in 0..4 {
            let applied = site.carry_out(&format!("DELETE {rules}/{place}"), "").await;
            let without = text();
            assert_ne!(without, before);
            let back = site.undo(applied.receipt).await;
            assert_eq!(text(), before, "{rules}/{place}");
            let again = site.undo(back.receipt).await;
            assert_eq!(text(), without, "{rules}/{place}");
            site.undo(again.receipt).await;
            assert_eq!(text(), before, "{rules}/{place}");
        }
    }
}

#[tokio::test]
async fn the_first_that_fails_stops_the_rest_and_what_was_done_is_said_and_can_be_taken_back() {
    let site = with_set().await;
    let gone = site.carry_out(&format!("DELETE {SETS}/lan"), "force=1").await;
    let without = site.tree();
    let back = site.try_undo(gone.receipt).await.unwrap();
    let member = "POST /api2/json/cluster/firewall/ipset/lan";
    site.sim.fault_at(Fault::Slow(std::time::Duration::ZERO), member, Some(1));
    site.sim.fault_at(Fault::Status(500, "no quorum!".into()), member, Some(1));
    let applied = site.try_apply(&back.id.to_string()).await.unwrap();
    let Became::Failed(why) = &applied.result else { panic!("{applied:?}") };
    for part in ["call 3 of 4", "no quorum", "done: POST /cluster/firewall/ipset, ", "not begun: POST"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    let results: Vec<&str> =
        applied.steps.iter().map(|step| step.result.as_ref().map_or("not begun", Became::name)).collect();
    assert_eq!(results, ["done", "failed", "not begun"]);
    assert_eq!(site.newest("outcome").body["result"], "failed");
    // Of four calls two were made: those are taken back.
    let undo = site.try_undo(applied.receipt).await.unwrap();
    assert_eq!(undo.then.len(), 1, "{:?}", undo.shown["request"]);
    site.apply(&undo).await;
    assert_eq!(site.tree(), without);
}

#[tokio::test]
async fn every_call_of_a_plan_is_policys_to_allow_and_one_yes_is_for_all() {
    let site = with_set().await;
    let before = site.tree();
    let gone = site.carry_out(&format!("DELETE {SETS}/lan"), "force=1").await;
    site.role("profile = 'full'\napproval = []\ndeny = ['POST /cluster/firewall/ipset/{name}']");
    assert_eq!(site.try_undo(gone.receipt).await.unwrap_err().kind(), "denied_to_role");
    site.role("profile = 'full'\napproval = ['lockout']\nself_approval = true");
    let back = site.try_undo(gone.receipt).await.unwrap();
    assert_eq!(site.try_apply(&back.id.to_string()).await.unwrap_err().kind(), "needs_approval");
    site.decide(&back, true);
    site.apply(&back).await;
    assert_eq!(site.tree(), before);
}

#[tokio::test]
async fn a_rule_that_is_off_comes_back_to_its_place_and_goes_again() {
    let site = Site::new(recorded()).await;
    let rules = "/cluster/firewall/rules";
    for (port, enable) in [("953", 0), ("322", 1), ("9648", 1)] {
        let rule = format!("type=in action=ACCEPT proto=tcp dport={port} enable={enable}");
        site.carry_out(&format!("POST {rules}"), &rule).await;
    }
    let text = || std::fs::read_to_string(site.sim.etc_pve.join("firewall/cluster.fw")).unwrap();
    for place in [2, 1, 0] {
        let before = text();
        let applied = site.carry_out(&format!("DELETE {rules}/{place}"), "").await;
        let without = text();
        let undo = site.try_undo(applied.receipt).await.unwrap();
        let back = site.apply(&undo).await;
        assert_eq!(text(), before, "{place}");
        let redo = site.try_undo(back.receipt).await.unwrap();
        site.apply(&redo).await;
        let calls: Vec<String> = std::iter::once(&redo.request)
            .chain(&redo.then)
            .map(|request| format!("{} {} {:?}", request.method(), request.path(), request.args))
            .collect();
        assert_eq!(text(), without, "{place}: {calls:?}");
        site.undo(applied.receipt).await;
    }
}
