//! What a plan says of a datastore that is configured otherwise.

use serde_json::{Value, json};

use crate::site::{Site, radius};

/// A demo whose `tank` has these settings too.
async fn site(settings: Value) -> Site {
    let site = Site::new().await;
    site.sim.with_server(|server| {
        let config = &mut server.stores.get_mut("tank").unwrap().config;
        config.extend(settings.as_object().unwrap().clone());
    });
    site
}

async fn hits(site: &Site, args: Value) -> Vec<String> {
    site.hits("PUT /config/datastore/tank", args).await
}

#[tokio::test]
async fn a_schedule_alone_prunes_by_the_retention_that_is_there() {
    let site = site(json!({ "keep-last": "1" })).await;
    let said = hits(&site, json!({ "prune-schedule": "daily" })).await;
    let lost: Vec<&String> = said.iter().filter(|hit| hit.contains(" data_lost: ")).collect();
    assert_eq!(lost.len(), 3, "vm/104, ct/101 and team's vm/120 have more than one: {said:#?}");
    assert!(
        said.iter().any(|hit| hit.starts_with(
            "backup group tank:vm/104 data_lost: 13 backups of alice@pbs!pve go when it is pruned next"
        )),
        "{said:#?}"
    );
}

#[tokio::test]
async fn a_rule_that_is_taken_out_leaves_the_others_to_prune_by() {
    let site = site(json!({ "keep-last": "2", "keep-daily": "14" })).await;
    let said = hits(&site, json!({ "delete": ["keep-daily"] })).await;
    assert!(
        said.iter().any(|hit| hit.contains("tank:vm/104 data_lost: 12 backups") && hit.ends_with("2 stay")),
        "{said:#?}"
    );
    // With none left, all is kept.
    assert_eq!(hits(&site, json!({ "delete": ["keep-daily", "keep-last"] })).await, [""; 0]);
}

#[tokio::test]
async fn a_rule_that_is_added_is_tried_beside_those_that_stay() {
    let site = site(json!({ "keep-last": "30" })).await;
    assert_eq!(hits(&site, json!({ "keep-weekly": 1 })).await, [""; 0]);
    let said = hits(&site, json!({ "keep-weekly": 1, "delete": ["keep-last"] })).await;
    assert!(said.iter().any(|hit| hit.contains("tank:vm/104 data_lost: 13 backups")), "{said:#?}");
}

#[tokio::test]
async fn a_collection_by_a_schedule_is_told_as_one_that_is_made_now() {
    let site = site(json!({ "gc-schedule": "daily" })).await;
    site.sim.with_server(|server| server.stores.get_mut("tank").unwrap().pending = 4096);
    for (args, at) in [
        (json!({ "gc-schedule": "hourly" }), "by its schedule, "),
        (json!({ "gc-on-unmount": true }), "whenever it is unmounted, "),
        (json!({ "tuning": "gc-atime-cutoff=1" }), "as soon as its tuning then says, "),
        (json!({ "delete": ["tuning"] }), "as soon as its tuning then says, "),
    ] {
        let said = hits(&site, args.clone()).await;
        assert_eq!(said.len(), 1, "{args}: {said:#?}");
        assert!(said[0].starts_with("datastore tank degraded: "), "{args}: {said:#?}");
        for part in [at, "no backup loses any", "4096 bytes waited"] {
            assert!(said[0].contains(part), "{args}: {part}: {said:#?}");
        }
    }
    let said = hits(&site, json!({ "delete": ["gc-schedule"] })).await;
    assert!(said.len() == 1 && said[0].contains("nothing is freed there by itself"), "{said:#?}");
    assert_eq!(hits(&site, json!({ "gc-on-unmount": false })).await, [""; 0]);
    assert_eq!(hits(&site, json!({ "comment": "x" })).await, [""; 0]);
}

#[tokio::test]
async fn what_a_datastore_no_longer_does_by_itself_is_told() {
    let site = site(json!({ "verify-new": true, "prune-schedule": "daily", "keep-last": "1" })).await;
    for (args, why) in [
        (json!({ "verify-new": false }), "There are 25 backups in 4 groups (21 of alice@pbs!pve, "),
        (json!({ "delete": ["verify-new"] }), "no longer read through as they come"),
        (json!({ "delete": ["prune-schedule"] }), "nothing is pruned there by its own schedule"),
        (json!({ "notify-user": "bob@pbs" }), "others are told"),
    ] {
        let said = hits(&site, args.clone()).await;
        assert!(said.len() == 1 && said[0].contains(why), "{args}: {said:#?}");
    }
}

/// The tier's own word stands where nobody could look.
#[tokio::test]
async fn a_retention_that_could_not_be_tried_is_no_empty_radius() {
    let site = site(json!({ "keep-last": "30" })).await;
    let plant = |template: &str, answer: Value| {
        site.sim.with_server(|server| drop(server.planted.insert(template.to_owned(), answer)));
    };
    plant("/config/datastore/{name}", json!("not what it should be"));
    let plan = site.plan("PUT /config/datastore/tank", json!({ "keep-weekly": 1 })).await;
    let unseen = plan.shown["not_seen"].to_string();
    assert!(unseen.contains("the configuration of datastore tank could not be read"), "{unseen}");
    let said = radius(&plan);
    assert!(
        said.len() == 1 && said[0].contains("data_lost: backups that the retention does not keep go"),
        "no rule is tried without those beside it: {said:#?}"
    );
    plant("/admin/datastore/{store}/groups", json!([]));
    let group = json!({ "backup-type": "vm", "backup-id": "104" });
    let plan = site.plan("DELETE /admin/datastore/tank/groups", group).await;
    let unseen = plan.shown["not_seen"].to_string();
    assert!(unseen.contains("none of those that the server lists"), "{unseen}");
    let said = radius(&plan);
    assert!(said.len() == 1 && said[0].contains("data_lost: every backup of the group is gone"), "{said:#?}");
}

#[tokio::test]
async fn a_datastore_that_goes_names_the_local_job_that_reads_from_it() {
    let site = Site::new().await;
    let local = json!({ "store": "archive", "ns": "copies", "remote-store": "tank", "schedule": "daily" });
    site.sim.with_server(|server| {
        let jobs = server.sections.get_mut("sync").unwrap();
        jobs.insert("local".to_owned(), local.as_object().unwrap().clone());
    });
    for args in [json!({}), json!({ "keep-job-configs": true })] {
        let said = site.hits("DELETE /config/datastore/tank", args).await;
        let hit = "sync job local loses_backup: it fetches from tank, and fails from then on: archive:copies gets no newer copies";
        assert!(said.iter().any(|said| said == hit), "{said:#?}");
        assert!(!said.iter().any(|said| said.contains("offsite")), "its tank is another server's: {said:#?}");
        assert!(said.iter().any(|said| said.starts_with("verify job weekly")), "{said:#?}");
    }
}

#[tokio::test]
async fn a_move_names_what_it_is_merged_with_and_the_retention_that_holds_there() {
    let site = Site::new().await;
    site.sim.with_server(|server| {
        let namespaces = &mut server.stores.get_mut("tank").unwrap().namespaces;
        let key = ("vm".to_owned(), "120".to_owned());
        let mut other = namespaces["team"][&key].clone();
        while other.backups.len() > 1 {
            other.backups.pop_first();
        }
        namespaces.get_mut("").unwrap().insert(key, other);
        let own = json!({ "store": "tank", "ns": "team", "keep-last": "1" });
        let prune = server.sections.get_mut("prune").unwrap();
        prune.insert("hard".to_owned(), own.as_object().unwrap().clone());
    });
    let (there, kept) =
        ("backup group tank:team/vm/120 degraded: 3 backups of bob@pbs!team", "prune job hard (keep-last 1)");
    let group = json!({ "backup-type": "vm", "backup-id": "120", "target-ns": "team", "merge-group": true });
    let said = site.hits("POST /admin/datastore/tank/move-group", group.clone()).await;
    assert!(said.iter().any(|hit| hit.starts_with(there) && hit.contains("put among them")), "{said:#?}");
    assert!(
        said.iter().any(|hit| hit.starts_with("backup group tank:vm/120 loses_backup") && hit.contains(kept)),
        "{said:#?}"
    );
    let mut apart = group;
    apart["merge-group"] = false.into();
    let said = site.hits("POST /admin/datastore/tank/move-group", apart).await;
    assert!(!said.iter().any(|hit| hit.contains("put among them")), "{said:#?}");
}

/// The job that prunes them where they are prunes them where they come to: nothing is worse.
#[tokio::test]
async fn a_move_names_no_retention_that_they_had_before() {
    let site = Site::new().await;
    let prunes = |said: &[String]| said.iter().filter(|hit| hit.contains("are pruned by")).count();
    let moved = json!({ "backup-type": "vm", "backup-id": "104", "target-ns": "team" });
    let said = site.hits("POST /admin/datastore/tank/move-group", moved.clone()).await;
    assert!(said.len() == 1 && said[0].starts_with("backup group tank:vm/104 degraded"), "{said:#?}");
    let space = json!({ "ns": "team", "target-ns": "archive" });
    let said = site.hits("POST /admin/datastore/tank/move-namespace", space).await;
    assert!(said.len() == 1 && said[0].starts_with("backup group tank:team/vm/120 degraded"), "{said:#?}");
    // Where it goes out of one job's reach into another's, that is said.
    site.sim.with_server(|server| {
        let own = json!({ "store": "tank", "ns": "team", "keep-last": "1" });
        server.sections.get_mut("prune").unwrap().insert("hard".to_owned(), own.as_object().unwrap().clone());
    });
    let said = site.hits("POST /admin/datastore/tank/move-group", moved.clone()).await;
    assert!(prunes(&said) == 1 && said.iter().any(|hit| hit.contains("prune job hard")), "{said:#?}");
    assert!(!said.iter().any(|hit| hit.contains("nightly")), "{said:#?}");
    // Counted together with what is there, fewer of each are kept by the same job.
    site.sim.with_server(|server| {
        let namespaces = &mut server.stores.get_mut("tank").unwrap().namespaces;
        let key = ("vm".to_owned(), "104".to_owned());
        let like = namespaces[""][&key].clone();
        namespaces.get_mut("team").unwrap().insert(key, like);
        server.sections.get_mut("prune").unwrap().remove("hard");
    });
    let said = site.hits("POST /admin/datastore/tank/move-group", moved).await;
    assert!(
        said.iter().any(|hit| hit.contains("nightly (keep-last 3), as one group with those that are there")),
        "{said:#?}"
    );
}
