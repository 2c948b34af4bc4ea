//! Who is not let in any more, or has fewer rights: whose backups that hits, and the way back.

use provost::plan::undo::Way;
use serde_json::{Value, json};

use crate::site::{Site, radius};

const TOKEN: &str = "PUT /access/users/bob@pbs/token/team";
const OWNED: &str = "backup group tank:team/vm/120 loses_backup: 3 backups of bob@pbs!team";

#[tokio::test]
async fn a_token_that_is_barred_leaves_the_groups_that_it_owns_without_newer_backups() {
    let site = Site::new().await;
    for (args, until) in [
        (json!({ "enable": 0 }), "until the token is let in again"),
        (json!({ "expire": 1 }), "until the token is let in again"),
        (json!({ "regenerate": 1 }), "until whoever backs up by the token has its new secret"),
    ] {
        let said = site.hits(TOKEN, args.clone()).await;
        assert!(said.iter().any(|hit| hit.starts_with(OWNED) && hit.contains(until)), "{args}: {said:#?}");
        assert!(
            said.iter().any(|hit| hit.starts_with("token bob@pbs!team loses_access")),
            "{args}: {said:#?}"
        );
        assert_eq!(said.len(), 2, "its rights stay: {said:#?}");
    }
    for args in [json!({ "enable": 1 }), json!({ "expire": 0 }), json!({ "comment": "x" })] {
        let said = site.hits(TOKEN, args.clone()).await;
        assert!(!said.iter().any(|hit| hit.contains("vm/120")), "{args}: {said:#?}");
    }
    let said = site.hits("PUT /access/users/bob@pbs", json!({ "enable": 0 })).await;
    assert!(said.iter().any(|hit| hit.starts_with(OWNED) && hit.contains("let in again")), "{said:#?}");
    assert!(!said.iter().any(|hit| hit.contains("goes with it")), "a right that is there stays: {said:#?}");
}

#[tokio::test]
async fn who_is_barred_is_let_in_again_by_the_undo_and_a_secret_that_is_gone_is_not() {
    let site = Site::new().await;
    let field = |name: &'static str| {
        site.sim.with_server(|server| server.tokens["bob@pbs!team"].0.get(name).cloned())
    };
    for (name, barred, first) in [("enable", json!(0), "1"), ("expire", json!(1), "0")] {
        let plan = site.plan(TOKEN, json!({ name: barred })).await;
        assert_eq!(plan.undo.way, Way::CapturedConfig, "{name}: {}", plan.undo.why);
        let applied = site.apply(&plan).await;
        assert_eq!(field(name).map(|value| text(&value)), Some(text(&barred)));
        site.undo(&applied).await;
        assert_eq!(field(name).map(|value| text(&value)), Some(first.to_owned()), "{name}");
    }
    let plan = site.plan(TOKEN, json!({ "regenerate": 1 })).await;
    assert_eq!(plan.undo.way, Way::None);
    assert!(plan.undo.why.contains("old secret is gone"), "{}", plan.undo.why);
    let plan = site.plan("PUT /access/users/bob@pbs", json!({ "enable": 0 })).await;
    assert_eq!(plan.undo.call.as_ref().map(|call| json!(call.args)), Some(json!({ "enable": 1 })));
    assert!(!radius(&plan).is_empty());
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A token has what it holds and its user does, both.
#[tokio::test]
async fn a_users_right_that_is_taken_is_missed_by_its_tokens_and_their_groups() {
    let site = Site::new().await;
    let groups = ["backup group tank:vm/104 loses_access", "backup group tank:ct/101 loses_access"];
    let taken = json!({ "path": "/datastore/tank", "role": "DatastoreBackup", "auth-id": "alice@pbs", "delete": true });
    let barred = json!({ "path": "/datastore/tank", "role": "NoAccess", "auth-id": "alice@pbs" });
    let above = json!({ "path": "/datastore", "role": "NoAccess", "auth-id": "alice@pbs" });
    for right in [taken, barred, above] {
        let said = site.hits("PUT /access/acl", right.clone()).await;
        let token = "token alice@pbs!pve loses_access: DatastoreBackup, which it holds on /datastore/tank";
        assert!(said.iter().any(|hit| hit.starts_with(token)), "{right}: {said:#?}");
        for hit in groups {
            assert!(said.iter().any(|one| one.starts_with(hit)), "{right}: {hit}: {said:#?}");
        }
        assert!(!said.iter().any(|hit| hit.contains("bob@pbs")), "{right}: {said:#?}");
    }
    // What one token loses is its own.
    let right = json!({ "path": "/datastore/tank/team", "role": "DatastorePowerUser", "auth-id": "bob@pbs!team", "delete": true });
    let said = site.hits("PUT /access/acl", right).await;
    assert_eq!(said.len(), 2, "{said:#?}");
    // A namespace beside is none of what is lost.
    let right = json!({ "path": "/datastore/tank/other", "role": "NoAccess", "auth-id": "bob@pbs" });
    let said = site.hits("PUT /access/acl", right).await;
    assert!(said.len() == 1 && said[0].starts_with("bob@pbs loses_access"), "{said:#?}");
}

#[tokio::test]
async fn a_right_that_is_given_or_taken_is_shown_and_is_no_change_of_nothing() {
    let site = Site::new().await;
    let right = |role: &str| json!({ "path": "/datastore/tank", "role": role, "auth-id": "alice@pbs" });
    let mut taken = right("DatastoreBackup");
    taken["delete"] = json!(true);
    let plan = site.plan("PUT /access/acl", taken).await;
    assert!(plan.shown.get("no_op").is_none(), "{}", plan.shown["no_op"]);
    assert_ne!(plan.shown["risk"]["level"], "low", "{}", plan.shown["risk"]);
    let field = "DatastoreBackup for alice@pbs on /datastore/tank";
    let gone = json!([{ "field": field, "before": "held, and below", "after": null }]);
    assert_eq!(plan.shown["effects"], gone);
    let plan = site.plan("PUT /access/acl", right("DatastoreAudit")).await;
    assert!(plan.shown.get("no_op").is_none(), "{}", plan.shown["no_op"]);
    let plan = site.plan("PUT /access/acl", right("DatastoreBackup")).await;
    assert!(plan.shown["no_op"].is_string(), "it is held already: {}", plan.shown["effects"]);
}
