//! A datastore that is set into maintenance: what is not to be had meanwhile, whose it is, and how grave that is.

use provost::plan::undo::Way;
use serde_json::{Value, json};

use crate::site::{Site, radius};

const PUT: &str = "PUT /config/datastore/tank";

/// What is shown is what a role's approval is asked for.
#[tokio::test]
async fn a_maintenance_is_shown_and_approved_as_what_it_was_raised_to() {
    let site = Site::new().await;
    for (mode, tier) in [
        ("offline", "disruptive"),
        ("type=offline,message=x", "disruptive"),
        ("read-only", "disruptive"),
        ("s3-refresh", "disruptive"),
        ("unmount", "destructive"),
        ("type=delete", "destructive"),
    ] {
        site.role("profile = 'full'\napproval = []");
        let plan = site.plan(PUT, json!({ "maintenance-mode": mode })).await;
        assert_eq!(plan.shown["tier"], tier, "{mode}");
        assert_eq!(plan.shown["needs"], "nothing", "{mode}");
        site.role(&format!("profile = 'full'\napproval = ['{tier}']"));
        let plan = site.plan(PUT, json!({ "maintenance-mode": mode })).await;
        let because = plan.shown["needs"]["approval"]["because"].to_string();
        assert!(because.contains(tier), "{mode}: {because}");
    }
    let plan = site.plan(PUT, json!({ "comment": "x" })).await;
    assert_eq!((&plan.shown["tier"], &plan.shown["needs"]), (&json!("change"), &json!("nothing")));
}

#[tokio::test]
async fn what_a_maintenance_keeps_from_whom_is_as_its_kind_says() {
    let site = Site::new().await;
    let said = |mode: &'static str| {
        let site = &site;
        async move { site.hits(PUT, json!({ "maintenance-mode": mode })).await }
    };
    for mode in ["offline", "unmount", "delete", "s3-refresh", "type=s3-refresh", "offline,message=read-only"]
    {
        let said = said(mode).await;
        assert!(said.len() == 1 && said[0].starts_with("datastore tank unreachable: "), "{mode}: {said:#?}");
        assert!(!said[0].contains("restores go on"), "{mode}: {said:#?}");
        assert!(said[0].ends_with(OF_TANK), "{mode}: {said:#?}");
    }
    for mode in ["read-only", "type=read-only,message=offline soon"] {
        let said = said(mode).await;
        assert!(said.len() == 1 && said[0].starts_with("datastore tank loses_backup: "), "{mode}: {said:#?}");
        assert!(said[0].contains("restores go on"), "{mode}: {said:#?}");
    }
}

const OF_TANK: &str =
    "There are 25 backups in 4 groups (21 of alice@pbs!pve, 3 of bob@pbs!team, 1 of root@pam)";

#[tokio::test]
async fn a_maintenance_is_ended_by_the_undo_unless_none_ends_it() {
    let site = Site::new().await;
    let mode = |site: &Site| {
        site.sim.with_server(|server| server.stores["tank"].config.get("maintenance-mode").cloned())
    };
    let plan = site.plan(PUT, json!({ "maintenance-mode": "offline" })).await;
    let applied = site.apply(&plan).await;
    assert_eq!(mode(&site), Some(json!("offline")));
    site.undo(&applied).await;
    assert_eq!(mode(&site), None::<Value>);
    let plan = site.plan(PUT, json!({ "maintenance-mode": "delete" })).await;
    assert_eq!(plan.undo.way, Way::None);
    assert!(radius(&plan)[0].contains("no call ends that"), "{:#?}", radius(&plan));
}
