//! What is removed out of a list by its name: that alone is shown as gone.

use provost::plan::Refused;
use serde_json::{Value, json};

use crate::site::{Site, radius};

const SNAPSHOTS: &str = "DELETE /admin/datastore/tank/snapshots";
const GROUPS: &str = "DELETE /admin/datastore/tank/groups";
const NAMESPACE: &str = "DELETE /admin/datastore/tank/namespace";
/// The newest backup of the demo.
const NEWEST: i64 = 1_790_820_000;

async fn before(site: &Site, call: &str, args: Value) -> (Value, Value) {
    let plan = site.plan(call, args).await;
    let effects = plan.shown["effects"].as_array().cloned().unwrap_or_default();
    assert_eq!(effects.len(), 1, "{call}: {effects:#?}");
    (effects[0]["before"].clone(), effects[0]["after"].clone())
}

#[tokio::test]
async fn only_what_is_removed_is_shown_as_gone() {
    let site = Site::new().await;
    let vm = json!({ "backup-type": "vm", "backup-id": "104" });
    let (group, after) = before(&site, GROUPS, vm.clone()).await;
    assert_eq!(
        (&group["backup-id"], &group["backup-count"], &after),
        (&json!("104"), &json!(14), &Value::Null)
    );
    let mut one = vm;
    one["backup-time"] = NEWEST.into();
    let (backup, after) = before(&site, SNAPSHOTS, one).await;
    assert_eq!((&backup["backup-time"], &backup["backup-id"]), (&json!(NEWEST), &json!("104")));
    assert_eq!(after, Value::Null);
    let (spaces, after) = before(&site, NAMESPACE, json!({ "ns": "team", "delete-groups": true })).await;
    assert_eq!((spaces, after), (json!(["team", "team/old"]), Value::Null));
    let (spaces, after) = before(&site, NAMESPACE, json!({ "ns": "team/old" })).await;
    assert_eq!(spaces, json!(["team/old"]));
    assert!(after.to_string().contains("no backup in them"), "what has backups in it stays: {after}");
}

/// Another machine's backup that comes meanwhile is nothing to the plan; one more of the group is.
#[tokio::test]
async fn a_plan_rests_on_what_it_removes_alone() {
    let site = Site::new().await;
    let come = |kind: &'static str, id: &'static str| {
        site.sim.with_server(|server| {
            let root = server.stores.get_mut("tank").unwrap().namespaces.get_mut("").unwrap();
            let group = root.get_mut(&(kind.to_owned(), id.to_owned())).unwrap();
            group.backups.insert(NEWEST + 60, Default::default());
        });
    };
    let args = json!({ "backup-type": "ct", "backup-id": "101" });
    let plan = site.plan(GROUPS, args.clone()).await;
    come("vm", "104");
    site.apply(&plan).await;
    let vm = json!({ "backup-type": "host", "backup-id": "pbs1" });
    let plan = site.plan(GROUPS, vm).await;
    come("host", "pbs1");
    assert!(matches!(site.try_apply(&plan).await, Err(Refused::Drifted { .. })));
}

#[tokio::test]
async fn a_backup_of_a_time_that_is_not_there_is_refused() {
    let site = Site::new().await;
    let args = json!({ "backup-type": "vm", "backup-id": "104", "backup-time": 1 });
    let Err(refused) = site.try_plan(SNAPSHOTS, args).await else { panic!("there is no such backup") };
    assert!(matches!(refused, Refused::NoSuchThing { .. }), "{refused:?}");
    assert!(refused.to_string().contains("there is no backup vm/104/1 in tank"), "{refused}");
}

/// What a token is not shown may be there.
#[tokio::test]
async fn what_no_list_has_is_said_and_no_other_is_named_for_it() {
    let site = Site::new().await;
    let group = json!({ "backup-type": "vm", "backup-id": "999" });
    let mut one = group.clone();
    one["backup-time"] = NEWEST.into();
    for (call, args, what) in [
        (GROUPS, group, "backup group vm/999 in tank is none of those"),
        (SNAPSHOTS, one, "backup vm/999/1790820000 in tank is none of those"),
        (NAMESPACE, json!({ "ns": "nope" }), "namespace nope in tank is none of those"),
    ] {
        let plan = site.plan(call, args).await;
        let unseen = plan.shown["not_seen"].to_string();
        assert!(unseen.contains(what), "{call}: {unseen}");
        let shown = plan.shown["effects"].to_string();
        assert!(["104", "101", "team"].iter().all(|other| !shown.contains(other)), "{call}: {shown}");
        let said = radius(&plan);
        assert!(said.len() == 1 && said[0].contains("data_lost"), "the tier's own word: {said:#?}");
    }
}
