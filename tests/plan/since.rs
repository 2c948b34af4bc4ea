//! What happens between a plan and its apply, and between a change and its undo: a thing that is another by then is left
//! alone.

use provost::plan::Refused;
use provost::sim::estate::{demo, recorded};

use crate::site::Site;

const RULES: &str = "POST /cluster/firewall/rules";

fn comments(site: &Site) -> Vec<String> {
    let rules = site.sim.etc_pve.join("firewall/cluster.fw");
    let text = std::fs::read_to_string(rules).unwrap_or_default();
    text.lines().filter_map(|line| line.split_once("# ").map(|(_, comment)| comment.to_owned())).collect()
}

#[tokio::test]
async fn a_rule_is_taken_back_where_it_stands_now() {
    let site = Site::new(recorded()).await;
    let made = site.carry_out(RULES, "type=in action=ACCEPT proto=tcp dport=22 enable=1 comment=mine").await;
    // Somebody else's goes before it.
    site.carry_out(RULES, "type=in action=DROP proto=tcp dport=23 enable=1 comment=theirs").await;
    site.undo(made.receipt).await;
    let left = comments(&site);
    assert!(left.iter().any(|one| one == "theirs") && !left.iter().any(|one| one == "mine"), "{left:?}");
    // It is gone; another at its place is none of it.
    let refused = site.try_undo(made.receipt).await.unwrap_err();
    assert!(matches!(refused, Refused::NoWayBack { .. }), "{refused}");
}

#[tokio::test]
async fn what_failed_is_not_taken_back() {
    let site = Site::new(recorded()).await;
    let plan = site.plan("POST /nodes/pve1/lxc/101/snapshot", "snapname=never").await;
    let failed = site.try_apply(&plan.id.to_string()).await.unwrap();
    let refused = site.try_undo(failed.receipt).await.unwrap_err();
    assert!(refused.to_string().contains("failed"), "{refused}");
}

#[tokio::test]
async fn a_change_that_was_changed_again_says_so() {
    let site = Site::new(recorded()).await;
    let first = site.carry_out("PUT /nodes/pve1/lxc/101/config", "cores=2").await;
    site.carry_out("PUT /nodes/pve1/lxc/101/config", "cores=3").await;
    let plan = site.try_undo(first.receipt).await.unwrap();
    let warnings = plan.shown["warnings"].to_string();
    assert!(warnings.contains("cores has been changed since"), "{warnings}");
}

#[tokio::test]
async fn a_disk_that_is_removed_does_not_come_back() {
    let site = Site::new(demo(12, &[])).await;
    let plan = site.plan("PUT /nodes/pve1/qemu/102/config", "delete=scsi0 force=1").await;
    let undo = plan.shown["undo"].to_string();
    assert!(undo.contains("is removed, with what is on it"), "{undo}");
    assert!(!undo.contains("\"scsi0\":"), "{undo}");
}

/// Another guest comes to the node: a person said yes to those that were there.
#[tokio::test]
async fn a_plan_that_reaches_or_hits_more_than_it_did_has_drifted() {
    let site = Site::new(demo(12, &[])).await;
    let node = site.sim.with_estate(|estate| estate.guest_mut(102).unwrap().node.clone());
    let plan = site.plan(&format!("POST /nodes/{node}/stopall"), "").await;
    let moved = site.sim.with_estate(|estate| {
        let other = (100..112).find(|id| estate.guest_mut(*id).is_some_and(|guest| guest.node != node));
        let other = other.expect("a guest elsewhere");
        estate.guest_mut(other).unwrap().node = node.clone();
        other
    });
    let refused = site.try_apply(&plan.id.to_string()).await.unwrap_err();
    assert_eq!(refused.kind(), "drifted", "{refused} {moved}");
    assert!(refused.to_string().contains("which guests it reaches"), "{refused}");

    let plan = site.plan("DELETE /storage/shared", "").await;
    site.carry_out("PUT /nodes/pve1/qemu/108/config", "scsi3=shared:4").await;
    let refused = site.try_apply(&plan.id.to_string()).await.unwrap_err();
    assert_eq!(refused.kind(), "drifted", "{refused}");
    assert!(refused.to_string().contains("qemu/108"), "{refused}");
}
