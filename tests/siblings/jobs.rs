//! What a plan says of jobs that synchronise or verify: run, changed and removed.

use serde_json::{Value, json};

use crate::site::{Site, radius};

/// A demo whose `offsite` fetches into `tank` and has these settings too.
async fn fetching(settings: Value) -> Site {
    let site = Site::new().await;
    site.sim.with_server(|server| {
        let job = server.sections.get_mut("sync").unwrap().get_mut("offsite").unwrap();
        job.insert("store".to_owned(), "tank".into());
        job.extend(settings.as_object().unwrap().clone());
    });
    site
}

async fn changed(site: &Site, args: Value) -> Vec<String> {
    site.hits("PUT /config/sync/offsite", args).await
}

fn has(said: &[String], start: &str) -> bool {
    said.iter().any(|hit| hit.starts_with(start))
}

#[tokio::test]
async fn a_sync_job_is_judged_as_it_is_once_what_is_deleted_is_gone() {
    let site = fetching(json!({ "ns": "team", "owner": "alice@pbs" })).await;
    let said = changed(&site, json!({ "delete": ["ns"] })).await;
    // A token's groups are its user's.
    for group in ["tank:vm/104", "tank:ct/101"] {
        assert!(has(&said, &format!("backup group {group} loses_backup: of ")), "{said:#?}");
    }
    assert!(!has(&said, "backup group tank:team/vm/120"), "bob's are left alone: {said:#?}");
    assert!(has(&said, "sync job offsite loses_backup: tank:team gets no newer copies by it"), "{said:#?}");

    let site = fetching(json!({ "owner": "alice@pbs" })).await;
    let said = changed(&site, json!({ "delete": "owner" })).await;
    assert!(has(&said, "backup group tank:host/pbs1 loses_backup: of 1 backup of root@pam"), "{said:#?}");
    assert!(
        has(
            &said,
            "backup group tank:vm/104 loses_backup: 14 backups of alice@pbs!pve, the newest of 2026-10-01T02:00:00Z get no newer ones by it"
        ),
        "{said:#?}"
    );

    let site = fetching(json!({ "owner": "bob@pbs", "max-depth": 0 })).await;
    assert!(!has(&changed(&site, json!({ "schedule": "hourly" })).await, "backup group tank:team"));
    let said = changed(&site, json!({ "delete": ["max-depth"] })).await;
    assert!(
        has(&said, "backup group tank:team/vm/120 loses_backup: of 3 backups of bob@pbs!team"),
        "{said:#?}"
    );
}

#[tokio::test]
async fn a_sync_job_without_its_schedule_leaves_its_target_without_newer_copies() {
    for settings in [json!({ "remove-vanished": false }), json!({ "remove-vanished": true })] {
        let site = fetching(settings).await;
        let said = changed(&site, json!({ "delete": ["schedule"] })).await;
        assert_eq!(
            said,
            [
                "sync job offsite loses_backup: it no longer runs by itself (daily until now): tank gets no newer copies unless somebody runs it"
            ]
        );
        assert_eq!(changed(&site, json!({ "comment": "x" })).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_sync_job_that_goes_elsewhere_or_takes_less_leaves_something_behind() {
    let site = fetching(json!({ "remove-vanished": false })).await;
    for (args, hit) in [
        (
            json!({ "remote-ns": "new" }),
            "sync job offsite loses_backup: what is in tank at far is copied by it no more: what is in tank:new at far is",
        ),
        (
            json!({ "store": "archive" }),
            "sync job offsite loses_backup: tank gets no newer copies by it, and what is there stays: they go to archive",
        ),
        (
            json!({ "max-depth": 0, "verified-only": true }),
            "sync job offsite loses_backup: what max-depth and verified-only then leaves out gets no newer copies in tank",
        ),
        (
            json!({ "schedule": "minutely" }),
            "sync job offsite degraded: it fetches from tank at far into tank, which fills by it, and removes nothing there",
        ),
    ] {
        let said = changed(&site, args).await;
        assert!(said.iter().any(|said| said == hit), "{hit}: {said:#?}");
    }
}

#[tokio::test]
async fn what_a_job_sends_is_told_with_whose_it_is() {
    let site = fetching(json!({ "sync-direction": "push", "ns": "team", "remove-vanished": false })).await;
    let sends = |hit: &str| {
        hit.contains("tank:team leaves for tank at far")
            && hit.contains("3 backups in 1 group (3 of bob@pbs!team)")
    };
    let said = changed(&site, json!({ "schedule": "hourly" })).await;
    assert!(
        said.len() == 1 && said[0].starts_with("sync job offsite degraded") && sends(&said[0]),
        "{said:#?}"
    );
    let plan = site.plan("PUT /config/sync/offsite", json!({ "remove-vanished": true })).await;
    let said = radius(&plan);
    assert!(
        has(&said, "datastore tank at far loses_backup: backups there that tank:team has not got any more"),
        "{said:#?}"
    );
    assert!(plan.shown["not_seen"].to_string().contains("another server's"), "{:#?}", plan.shown);
    let call = json!({ "store": "tank", "ns": "team", "remote": "far", "remote-store": "tank" });
    let said = site.hits("POST /push", call).await;
    assert!(said.len() == 1 && said[0].starts_with("/push degraded") && sends(&said[0]), "{said:#?}");
}

#[tokio::test]
async fn a_remote_that_leads_elsewhere_hits_the_jobs_that_go_by_it() {
    let site = fetching(json!({})).await;
    let said = site.hits("PUT /config/remote/far", json!({ "host": "192.0.2.9" })).await;
    assert!(
        has(&said, "sync job offsite loses_backup: tank at far is what the remote then leads to"),
        "{said:#?}"
    );
    assert!(has(&said, "backup group tank:host/pbs1 loses_backup: of 1 backup of root@pam"), "{said:#?}");
    let said = site.hits("PUT /config/remote/far", json!({ "comment": "x" })).await;
    assert!(!has(&said, "sync job"), "{said:#?}");
}

const ALL: &str = "25 backups in 4 groups (21 of alice@pbs!pve, 3 of bob@pbs!team, 1 of root@pam)";

#[tokio::test]
async fn what_a_verify_job_no_longer_reads_is_told_with_whose_it_is() {
    let site = Site::new().await;
    assert_eq!(
        site.hits("DELETE /config/verify/weekly", json!({})).await,
        [format!(
            "verify job weekly degraded: in tank, {ALL} are not read through by it any more (weekly until now): damage is found when they are restored"
        )]
    );
    let call = "PUT /config/verify/weekly";
    for (args, hit) in [
        (
            json!({ "delete": ["schedule"] }),
            format!("in tank, {ALL} are not read through unless somebody runs it (weekly until now): damage is found when they are restored"),
        ),
        (
            json!({ "ns": "team" }),
            "in tank, 22 backups in 3 groups (21 of alice@pbs!pve, 1 of root@pam) are not read through by it any more (weekly until now): damage is found when they are restored".to_owned(),
        ),
        (
            json!({ "max-depth": 0 }),
            "in tank, 3 backups in 1 group (3 of bob@pbs!team)".to_owned()
                + " are not read through by it any more (weekly until now): damage is found when they are restored",
        ),
        (json!({ "schedule": "monthly" }), format!("in tank, {ALL} are read through monthly, and no longer weekly")),
    ] {
        let said = site.hits(call, args.clone()).await;
        assert_eq!(said, [format!("verify job weekly degraded: {hit}")], "{args}");
    }
    assert_eq!(site.hits(call, json!({ "comment": "x" })).await, [""; 0]);
    assert_eq!(site.hits(call, json!({ "ignore-verified": false })).await, [""; 0]);
    site.sim.with_server(|server| {
        let job = server.sections.get_mut("verify").unwrap().get_mut("weekly").unwrap();
        job.insert("outdated-after".to_owned(), "7".into());
    });
    for (args, again) in [
        (json!({ "outdated-after": 90 }), "is read again after 90 days at the earliest"),
        (json!({ "delete": ["outdated-after"] }), "is read again no more"),
    ] {
        let said = site.hits(call, args.clone()).await;
        assert!(said.len() == 1 && said[0].ends_with(again), "{args}: {said:#?}");
    }
}

#[tokio::test]
async fn a_look_for_damage_says_what_it_reads() {
    let site = Site::new().await;
    let of = |what: &str| {
        format!(
            "datastore tank degraded: what is due of {what} is read through, and the disks are busy meanwhile; a broken one is marked, and nothing is removed"
        )
    };
    let call = "POST /admin/datastore/tank/verify";
    assert_eq!(site.hits(call, json!({})).await, [of(ALL)]);
    assert_eq!(site.hits("POST /admin/verify/weekly/run", json!({})).await, [of(ALL)]);
    let team = [of("3 backups in 1 group (3 of bob@pbs!team)")];
    assert_eq!(site.hits(call, json!({ "ns": "team" })).await, team);
    let one = json!({ "ns": "team", "backup-type": "vm", "backup-id": "120" });
    assert_eq!(site.hits(call, one).await, team);
}

#[tokio::test]
async fn a_verify_job_that_is_made_says_what_it_reads_and_how_often() {
    let site = Site::new().await;
    let made =
        json!({ "id": "new", "store": "tank", "ns": "team", "schedule": "daily", "outdated-after": 30 });
    assert_eq!(
        site.hits("POST /config/verify", made).await,
        [
            "verify job new degraded: in tank:team, 3 backups in 1 group (3 of bob@pbs!team) are read through daily, and the disks are busy meanwhile; what was read through once is read again after 30 days at the earliest"
        ]
    );
}

#[tokio::test]
async fn a_sync_that_unmounts_names_the_datastore_that_goes_away() {
    let site = Site::new().await;
    let made = json!({ "id": "usb", "store": "tank", "remote": "far", "remote-store": "tank", "unmount-on-done": true });
    let changed = json!({ "unmount-on-done": true });
    for (call, args, store) in
        [("POST /config/sync", made, "tank"), ("PUT /config/sync/offsite", changed, "archive")]
    {
        let said = site.hits(call, args).await;
        let goes = format!("datastore {store} unreachable: it is unmounted whenever the job has run");
        assert!(has(&said, &goes), "{said:#?}");
    }
}
