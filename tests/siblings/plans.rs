//! What a plan says of a change on a Backup Server, against what then happens.

use provost::plan::undo::Way;
use provost::sim::backup::{Group, Server};
use serde_json::json;

use crate::site::{Site, radius};

fn group<'a>(server: &'a Server, store: &str, ns: &str, kind: &str, id: &str) -> Option<&'a Group> {
    server.stores[store].namespaces.get(ns)?.get(&(kind.to_owned(), id.to_owned()))
}

#[tokio::test]
async fn a_datastore_that_is_destroyed_names_every_group_its_owner_and_its_newest() {
    let site = Site::new().await;
    let plan = site.plan("DELETE /config/datastore/tank", json!({ "destroy-data": true })).await;
    let radius = radius(&plan);
    let lost: Vec<&String> = radius.iter().filter(|hit| hit.contains("data_lost")).collect();
    assert_eq!(lost.len(), 4, "{radius:#?}");
    assert!(
        radius.contains(
            &"backup group tank:vm/104 data_lost: 14 backups of alice@pbs!pve, the newest of 2026-10-01T02:00:00Z are destroyed with the datastore"
                .to_owned()
        ),
        "{radius:#?}"
    );
    assert!(
        lost.iter().any(|hit| hit.contains("tank:team/vm/120") && hit.contains("3 backups of bob@pbs!team"))
    );
    assert!(radius.iter().any(|hit| hit.starts_with("prune job nightly loses_backup")), "{radius:#?}");
    assert_eq!(plan.undo.way, Way::None);
    // Without its data it is only out of reach, and the way back is said.
    let plan = site.plan("DELETE /config/datastore/tank", json!({})).await;
    assert!(crate::site::radius(&plan).iter().all(|hit| !hit.contains("data_lost")), "{:#?}", plan.shown);
    assert!(plan.undo.why.contains("reuse-datastore"), "{}", plan.undo.why);
}

#[tokio::test]
async fn a_datastores_jobs_go_with_it_those_that_send_too() {
    let site = Site::new().await;
    site.sim.with_server(|server| {
        let mut job = server.sections["sync"]["offsite"].clone();
        job.extend([("store".to_owned(), json!("tank")), ("sync-direction".to_owned(), json!("push"))]);
        server.sections.get_mut("sync").unwrap().insert("away".to_owned(), job);
    });
    let plan = site.plan("DELETE /config/datastore/tank", json!({})).await;
    let radius = radius(&plan);
    for job in ["prune job nightly", "sync job away", "verify job weekly"] {
        assert!(radius.iter().any(|hit| hit.starts_with(job)), "{job}: {radius:#?}");
    }
    let plan = site.plan("DELETE /config/remote/far", json!({})).await;
    let radius = crate::site::radius(&plan);
    assert!(["away", "offsite"].iter().all(|job| radius.iter().any(|hit| hit.contains(job))), "{radius:#?}");
}

#[tokio::test]
async fn what_a_prune_takes_is_what_the_plan_said() {
    let site = Site::new().await;
    let newest = provost_newest(&site);
    site.sim.with_server(|server| {
        let key = ("vm".to_owned(), "104".to_owned());
        let root = server.stores.get_mut("tank").unwrap().namespaces.get_mut("").unwrap();
        root.get_mut(&key).unwrap().backups.get_mut(&(newest - 9 * 86_400)).unwrap().protected = true;
    });
    let args = json!({ "backup-type": "vm", "backup-id": "104", "keep-last": 3 });
    let plan = site.plan("POST /admin/datastore/tank/prune", args).await;
    let said = radius(&plan);
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("10 backups of alice@pbs!pve go now, by the server's own dry run"), "{said:#?}");
    assert!(said[0].ends_with("4 stay"), "{said:#?}");
    let before = site.sim.with_server(|server| group(server, "tank", "", "vm", "104").unwrap().backups.len());
    assert_eq!(before, 14, "a plan changes nothing");
    assert_eq!(plan.undo.way, Way::None);
    site.apply(&plan).await;
    let left = site.sim.with_server(|server| group(server, "tank", "", "vm", "104").unwrap().backups.len());
    assert_eq!(left, 4);
}

/// So nobody is asked to say yes to it; a profile that has not got the call is not given it by an argument all the same.
#[tokio::test]
async fn a_retention_that_is_only_tried_takes_nothing() {
    let site = Site::new().await;
    site.role("profile = 'full'");
    let newest = provost_newest(&site);
    for (call, args) in [
        (
            "POST /admin/datastore/tank/prune",
            json!({ "backup-type": "vm", "backup-id": "104", "keep-last": 1, "dry-run": 1 }),
        ),
        ("POST /admin/datastore/tank/prune-datastore", json!({ "keep-last": 1, "dry-run": true })),
    ] {
        let plan = site.plan(call, args).await;
        assert_eq!((&plan.shown["tier"], &plan.shown["needs"]), (&json!("reversible"), &json!("nothing")));
        assert_eq!(radius(&plan), [""; 0], "{call}");
        assert!(plan.undo.why.contains("only tried"), "{call}: {}", plan.undo.why);
        site.apply(&plan).await;
        assert_eq!(provost_newest(&site), newest);
        let left =
            site.sim.with_server(|server| group(server, "tank", "", "vm", "104").unwrap().backups.len());
        assert_eq!(left, 14, "{call}");
    }
    let mut args = json!({ "backup-type": "vm", "backup-id": "104", "keep-last": 1, "dry-run": 0 });
    let plan = site.plan("POST /admin/datastore/tank/prune", args.clone()).await;
    assert_eq!(plan.shown["tier"], "destructive");
    assert!(plan.shown["needs"]["approval"].is_object(), "{}", plan.shown["needs"]);
    site.role("profile = 'provision'");
    args["dry-run"] = json!(1);
    assert!(site.try_plan("POST /admin/datastore/tank/prune", args).await.is_err());
}

fn provost_newest(site: &Site) -> i64 {
    site.sim
        .with_server(|server| *group(server, "tank", "", "vm", "104").unwrap().backups.keys().last().unwrap())
}

#[tokio::test]
async fn a_retention_that_takes_nothing_hits_nothing() {
    let site = Site::new().await;
    let args = json!({ "backup-type": "ct", "backup-id": "101", "keep-last": 30 });
    let plan = site.plan("POST /admin/datastore/tank/prune", args).await;
    assert_eq!(radius(&plan), [""; 0]);
    // A job is asked about with its own retention.
    let plan = site.plan("POST /admin/prune/nightly/run", json!({})).await;
    let said = radius(&plan);
    assert_eq!(said.iter().filter(|hit| hit.contains("data_lost")).count(), 2, "{said:#?}");
    assert!(said.iter().any(|hit| hit.contains("tank:ct/101") && hit.contains("4 backups")), "{said:#?}");
}

#[tokio::test]
async fn a_backup_that_is_forgotten_is_said_to_be_the_newest_the_only_one_or_protected() {
    let site = Site::new().await;
    let newest = provost_newest(&site);
    let at = |kind: &str, id: &str| json!({ "backup-type": kind, "backup-id": id, "backup-time": newest });
    let call = "DELETE /admin/datastore/tank/snapshots";
    let plan = site.plan(call, at("vm", "104")).await;
    assert!(
        radius(&plan)[0].contains("it is the newest; what is left is of 2026-09-30"),
        "{:#?}",
        radius(&plan)
    );
    let plan = site.plan(call, at("host", "pbs1")).await;
    assert!(radius(&plan)[0].contains("it is the only backup of host/pbs1"), "{:#?}", radius(&plan));
    let applied = site.apply(&plan).await;
    assert!(applied.upid.is_none());
    let gone =
        site.sim.with_server(|server| group(server, "tank", "", "host", "pbs1").unwrap().backups.is_empty());
    assert!(gone);
}

#[tokio::test]
async fn a_user_that_goes_takes_tokens_rights_and_the_next_backups_with_it() {
    let site = Site::new().await;
    let plan = site.plan("DELETE /access/users/bob@pbs", json!({})).await;
    let said = radius(&plan);
    for hit in [
        "user bob@pbs loses_access",
        "token bob@pbs!team loses_access",
        "backup group tank:team/vm/120 loses_backup",
    ] {
        assert!(said.iter().any(|one| one.starts_with(hit)), "{hit}: {said:#?}");
    }
    assert!(said.iter().any(|one| one.contains("DatastorePowerUser on /datastore/tank/team")), "{said:#?}");
    let own = site.plan("DELETE /access/users/root@pam/token/t1", json!({})).await;
    assert!(radius(&own).iter().any(|hit| hit.contains("the agent's own")), "{:#?}", radius(&own));
}

#[tokio::test]
async fn a_right_that_is_taken_is_named_and_given_back_by_the_undo() {
    let site = Site::new().await;
    let right = json!({ "path": "/datastore/tank", "role": "DatastoreBackup", "auth-id": "alice@pbs!pve", "delete": true });
    let plan = site.plan("PUT /access/acl", right).await;
    let said = radius(&plan);
    assert!(
        said.iter()
            .any(|hit| hit.starts_with("alice@pbs!pve loses_access: it no longer holds DatastoreBackup")),
        "{said:#?}"
    );
    assert!(said.iter().any(|hit| hit.starts_with("backup group tank:vm/104 loses_access")), "{said:#?}");
    let before = site.sim.with_server(|server| server.rights.len());
    let applied = site.apply(&plan).await;
    assert_eq!(site.sim.with_server(|server| server.rights.len()), before - 1);
    site.undo(&applied).await;
    let held = site.sim.with_server(|server| {
        server
            .rights
            .iter()
            .any(|right| right.who == "alice@pbs!pve" && right.path == "/datastore/tank" && right.propagate)
    });
    assert!(held);
}

#[tokio::test]
async fn a_sync_that_removes_names_what_it_may_remove_and_says_who_alone_knows() {
    let site = Site::new().await;
    let plan = site.plan("POST /admin/sync/offsite/run", json!({})).await;
    let said = radius(&plan);
    assert!(said[0].starts_with("backup group archive:vm/104 loses_backup"), "{said:#?}");
    assert!(plan.shown["not_seen"].to_string().contains("only the source knows"), "{:#?}", plan.shown);
    let plan = site
        .plan(
            "POST /config/sync",
            json!({ "id": "other", "store": "archive", "remote": "far", "remote-store": "tank" }),
        )
        .await;
    assert_eq!(radius(&plan), [""; 0]);
}

#[tokio::test]
async fn a_collection_loses_no_backup_and_has_no_way_back() {
    let site = Site::new().await;
    let plan = site.plan("POST /admin/datastore/tank/gc", json!({})).await;
    let said = radius(&plan);
    assert!(said.len() == 1 && said[0].contains("no backup loses any"), "{said:#?}");
    assert!(plan.undo.why.contains("freed are gone"));
    let applied = site.apply(&plan).await;
    assert!(applied.upid.is_some_and(|upid| upid.to_string().contains(":garbage_collection:tank:")));
}

#[tokio::test]
async fn a_job_that_was_removed_is_made_again_by_the_undo() {
    let site = Site::new().await;
    let plan = site.plan("DELETE /config/verify/weekly", json!({})).await;
    let before = site.sim.with_server(|server| server.sections["verify"].clone());
    let applied = site.apply(&plan).await;
    assert!(site.sim.with_server(|server| server.sections["verify"].is_empty()));
    site.undo(&applied).await;
    assert_eq!(site.sim.with_server(|server| server.sections["verify"].clone()), before);
}

/// A plan lists five hundred; who is hit beyond them is known all the same, and is not taken for somebody new.
#[tokio::test]
async fn a_plan_that_hits_more_than_it_lists_is_carried_out() {
    let site = Site::new().await;
    site.sim.with_server(|server| {
        let root = server.stores.get_mut("tank").unwrap().namespaces.get_mut("").unwrap();
        let like = root[&("vm".to_owned(), "104".to_owned())].clone();
        for id in 1000..1600 {
            root.insert(("vm".to_owned(), id.to_string()), like.clone());
        }
    });
    let plan = site.plan("DELETE /config/datastore/tank", json!({ "destroy-data": true })).await;
    assert_eq!(radius(&plan).len(), 500);
    assert!(
        plan.shown["not_seen"].to_string().contains("more objects that are hit are not listed"),
        "{:#?}",
        plan.shown["not_seen"]
    );
    site.apply(&plan).await;
    assert!(site.sim.with_server(|server| !server.stores.contains_key("tank")));
}

#[tokio::test]
async fn whoever_comes_to_be_hit_after_the_plan_ends_it_listed_or_not() {
    let site = Site::new().await;
    let add = |ids: std::ops::Range<u32>| {
        site.sim.with_server(|server| {
            let root = server.stores.get_mut("tank").unwrap().namespaces.get_mut("").unwrap();
            let like = root[&("vm".to_owned(), "104".to_owned())].clone();
            for id in ids {
                root.insert(("vm".to_owned(), id.to_string()), like.clone());
            }
        });
    };
    add(1000..1600);
    let plan = site.plan("DELETE /config/datastore/tank", json!({ "destroy-data": true })).await;
    add(9000..9001);
    let Err(refused) = site.try_apply(&plan).await else { panic!("it is no longer what was planned") };
    assert!(refused.to_string().contains("vm/9000"), "{refused}");
    assert!(site.sim.with_server(|server| server.stores.contains_key("tank")));
}

#[tokio::test]
async fn notes_and_a_mark_are_shown_as_they_were() {
    let site = Site::new().await;
    let newest = provost_newest(&site);
    site.sim.with_server(|server| {
        let root = server.stores.get_mut("tank").unwrap().namespaces.get_mut("").unwrap();
        root.get_mut(&("vm".to_owned(), "104".to_owned())).unwrap().notes = "the shop".to_owned();
    });
    let of = json!({ "backup-type": "vm", "backup-id": "104", "notes": "the new shop" });
    let plan = site.plan("PUT /admin/datastore/tank/group-notes", of).await;
    assert_eq!(
        plan.shown["effects"],
        json!([{ "field": "notes", "before": "the shop", "after": "the new shop" }])
    );
    let of = json!({ "backup-type": "vm", "backup-id": "104", "backup-time": newest, "protected": true });
    let plan = site.plan("PUT /admin/datastore/tank/protected", of).await;
    assert_eq!(plan.shown["effects"], json!([{ "field": "protected", "before": false, "after": 1 }]));
    site.apply(&plan).await;
    let held = site
        .sim
        .with_server(|server| group(server, "tank", "", "vm", "104").unwrap().backups[&newest].protected);
    assert!(held);
}
