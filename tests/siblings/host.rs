//! A Backup Server that goes down, and one that does not answer.

use provost::plan::Refused;
use provost::plan::undo::Way;
use provost::sim::backup::{BackupSim, Options, Server};
use serde_json::json;

use crate::site::{Site, client_of, radius};

const CALL: &str = "POST /nodes/pbs1/status";

#[tokio::test]
async fn a_server_that_goes_down_takes_its_tasks_and_datastores_away() {
    let site = Site::new().await;
    let backup = json!({
        "upid": "UPID:pbs1:000002C5:00000A3B:00000001:6ABC0000:backup:tank\\x3avm-104:alice@pbs!pve:", "node": "pbs1",
        "starttime": 1_790_820_000, "worker_type": "backup", "worker_id": "tank:vm/104", "user": "alice@pbs!pve",
    });
    let mut over = backup.clone();
    over["endtime"] = json!(1_790_820_060);
    over["worker_id"] = json!("tank:vm/999");
    site.sim.with_server(|server| {
        server.planted.insert("/nodes/{node}/tasks".to_owned(), json!([backup, over]));
    });
    for (command, until) in
        [("reboot", "until it is up again"), ("shutdown", "until somebody has started it")]
    {
        let plan = site.plan(CALL, json!({ "command": command })).await;
        assert_eq!(plan.shown["tier"], "host");
        assert_eq!(plan.undo.way, Way::None);
        let said = radius(&plan);
        for hit in [
            "task backup of tank:vm/104 stops: alice@pbs!pve's, runs now",
            "node pbs1 unreachable: ",
            "datastore archive unreachable: nobody can back up to it or restore from it",
            "datastore tank unreachable: nobody can back up to it or restore from it",
        ] {
            assert!(said.iter().any(|one| one.starts_with(hit)), "{hit}: {said:#?}");
        }
        assert_eq!(said.len(), 4, "{said:#?}");
        assert!(
            said.iter().any(|one| one.contains(until) && one.contains("21 of alice@pbs!pve")),
            "{said:#?}"
        );
        assert!(plan.shown.get("not_seen").is_none(), "{:#?}", plan.shown["not_seen"]);
    }
    let plan = site.plan(CALL, json!({ "command": "reboot" })).await;
    site.apply(&plan).await;
}

/// A token is listed its own tasks alone, unless it may see all.
#[tokio::test]
async fn tasks_that_a_token_is_not_shown_are_said_not_to_have_been_looked_at() {
    let site = Site::new().await;
    site.sim.with_server(|server| {
        server.planted.insert("/access/permissions".to_owned(), json!({}));
    });
    let plan = site.plan(CALL, json!({ "command": "reboot" })).await;
    let unseen = plan.shown["not_seen"].to_string();
    assert!(unseen.contains("tasks of others"), "{unseen}");
}

#[tokio::test]
async fn what_to_look_at_is_the_products_own_daemon() {
    let mut site = Site::new().await;
    let dir = tempfile::tempdir().unwrap();
    let gone = BackupSim::start(Options::new(dir.path(), Server::demo())).await.unwrap();
    site.node.client = client_of(&gone, &gone.token);
    drop(gone);
    let Err(refused) = site.try_plan("PUT /config/datastore/tank", json!({ "comment": "x" })).await else {
        panic!("nobody answers")
    };
    assert!(matches!(refused, Refused::Pve(_)), "{refused:?}");
    for said in [refused.to_string(), refused.next()] {
        assert!(said.contains("proxmox-backup-proxy") && !said.contains("pve"), "{said}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_the_pinned_one_names_the_products_own_service() {
    let site = Site::new().await;
    let dir = tempfile::tempdir().unwrap();
    let another = BackupSim::start(Options::new(dir.path(), Server::demo())).await.unwrap();
    std::fs::copy(&another.certificate, &site.sim.certificate).unwrap();
    let Err(refused) = site.try_plan("PUT /config/datastore/tank", json!({ "comment": "x" })).await else {
        panic!("it is somebody else")
    };
    let said = refused.to_string();
    assert!(said.contains("reload proxmox-backup-proxy") && !said.contains("pveproxy"), "{said}");
}
