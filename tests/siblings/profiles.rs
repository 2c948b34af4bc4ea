//! What a profile keeps its holder from on a Backup Server, at once and by a job that does it later.

use serde_json::json;

use crate::site::Site;

/// The default profile never deletes: what takes backups away is not for it, by whatever name.
#[tokio::test]
async fn a_profile_that_never_deletes_never_takes_a_backup_away() {
    let site = Site::new().await;
    site.role("profile = 'provision'");
    for (call, args) in [
        ("POST /admin/datastore/tank/gc", json!({})),
        (
            "POST /admin/datastore/tank/prune",
            json!({ "backup-type": "vm", "backup-id": "104", "keep-last": 1 }),
        ),
        ("POST /admin/prune/nightly/run", json!({})),
        ("POST /admin/sync/offsite/run", json!({})),
        ("POST /pull", json!({ "store": "tank", "remote-store": "tank", "remove-vanished": true })),
        ("PUT /config/datastore/tank", json!({ "keep-last": 1 })),
        ("PUT /config/sync/offsite", json!({ "schedule": "minutely" })),
        ("PUT /config/sync/offsite", json!({ "run-on-mount": true })),
        ("PUT /config/sync/offsite", json!({ "remote-ns": "empty" })),
        ("PUT /config/sync/offsite", json!({ "delete": ["remote-ns"] })),
        ("PUT /config/sync/offsite", json!({ "delete": ["remote"] })),
        ("PUT /config/sync/offsite", json!({ "delete": ["owner"] })),
        ("PUT /config/remote/far", json!({ "auth-id": "nobody@pbs" })),
        ("DELETE /admin/datastore/tank/groups", json!({ "backup-type": "vm", "backup-id": "104" })),
    ] {
        let refused = site.try_plan(call, args).await.err().unwrap_or_else(|| panic!("{call} was planned"));
        assert!(refused.to_string().contains("provision"), "{call}: {refused}");
    }
    site.plan("POST /admin/datastore/tank/verify", json!({})).await;
    site.plan("POST /admin/datastore/tank/namespace", json!({ "name": "new" })).await;
    site.plan("PUT /config/sync/offsite", json!({ "delete": ["schedule"] })).await;
}

/// It may not send backups to another server, nor write over tapes: not by a job that does it at night either.
#[tokio::test]
async fn a_profile_that_never_sends_backups_away_makes_no_job_that_does() {
    let site = Site::new().await;
    site.role("profile = 'provision'");
    let job = |direction: &str| {
        let (id, ns) = ("away", "team");
        json!({ "id": id, "store": "tank", "ns": ns, "remote": "far", "remote-store": "tank", "sync-direction": direction, "schedule": "daily" })
    };
    let tape =
        json!({ "id": "tapes", "store": "tank", "drive": "d0", "pool": "weekly", "schedule": "daily" });
    for (call, args) in [
        ("POST /push", json!({ "store": "tank", "remote": "far", "remote-store": "tank" })),
        ("POST /config/sync", job("push")),
        ("PUT /config/sync/offsite", json!({ "remote-store": "other" })),
        ("PUT /config/sync/offsite", json!({ "schedule": "daily" })),
        ("PUT /config/sync/offsite", json!({ "remote-ns": "other" })),
        ("PUT /config/sync/offsite", json!({ "delete": ["transfer-last"] })),
        ("POST /config/tape-backup-job", tape),
        ("PUT /config/datastore/tank", json!({ "gc-schedule": "hourly" })),
    ] {
        let refused = site.try_plan(call, args).await.err().unwrap_or_else(|| panic!("{call} was planned"));
        assert!(refused.to_string().contains("provision"), "{call}: {refused}");
    }
    site.plan("POST /config/sync", job("pull")).await;
}
