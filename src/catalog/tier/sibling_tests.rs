//! The tables of the other products.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Tier, judge, of, raise, rows, table};
use crate::catalog::Method;
use crate::product::Product;

/// The three siblings: no call that changes something is without a tier and its reason, and no row without a call.
#[test]
fn every_call_of_every_sibling_has_a_row_and_every_row_a_call() {
    for product in Product::SIBLINGS {
        let catalog = crate::catalog::Catalog::built_in(crate::catalog::Edition::of(product));
        assert_eq!(super::unclassified(&catalog).map(|one| one.path.as_str()).collect::<Vec<_>>(), [""; 0]);
        let unread: Vec<&str> =
            table::lines(table::text(product)).filter(|line| table::row(line).is_none()).collect();
        assert!(unread.is_empty(), "{unread:#?}");
        let mut seen = BTreeSet::new();
        for row in rows(product) {
            assert!(seen.insert((row.path, row.method)), "twice: {row:?}");
            assert!(row.why.len() >= 7 && row.tier != Tier::Read, "{row:?}");
            assert!(catalog.template(row.method, row.path).is_some(), "{product} has no {row:?}");
        }
    }
}

#[test]
fn what_deletes_at_a_sibling_is_destructive() {
    for product in Product::SIBLINGS {
        for row in rows(product).iter().filter(|row| row.method == Method::Delete) {
            let ends_a_task = row.path.ends_with("/tasks/{upid}") && row.tier == Tier::Disruptive;
            let ends_a_login = row.path == "/access/ticket" && row.tier == Tier::Held;
            assert!(row.tier == Tier::Destructive || ends_a_task || ends_a_login, "{product} {row:?}");
        }
    }
}

#[test]
fn logins_consoles_and_protocols_of_siblings_are_held() {
    for product in Product::SIBLINGS {
        for row in rows(product) {
            let held =
                ["ticket", "login", "auth-url", "websocket", "termproxy", "vncproxy", "/link", "/sendlink"]
                    .iter()
                    .any(|word| row.path.ends_with(word))
                    || ["/backup", "/reader"].contains(&row.path)
                    || row.path.contains("_upgrade_")
                    || ["/upload-backup-log", "/auto-install/answer", "/post-hook"]
                        .iter()
                        .any(|word| row.path.ends_with(word));
            // The backups of a Mail Gateway's own host are no protocol.
            assert_eq!(row.tier == Tier::Held, held, "{product} {row:?}");
        }
    }
}

#[test]
fn every_raise_of_a_sibling_is_about_a_parameter_of_its_call_and_adds_to_it() {
    for product in Product::SIBLINGS {
        let catalog = crate::catalog::Catalog::built_in(crate::catalog::Edition::of(product));
        for raise in raise::read(raise::text(product)) {
            let raise = raise.unwrap_or_else(|line| panic!("{product}: {line}"));
            for (method, path) in &raise.calls {
                let endpoint = catalog.template(*method, path).unwrap_or_else(|| panic!("{product} {path}"));
                assert!(endpoint.parameter(raise.parameter).is_some(), "{product} {path} {raise:?}");
                // Of the call itself: some are so where nothing is said, too.
                let alone = judge(product, *method, path, &Map::new());
                let alone = alone.grounds().iter().find(|ground| ground.argument.is_none()).expect("its own");
                assert!(raise.tier != alone.tier, "{raise:?} adds nothing to {path}");
            }
        }
    }
}

/// One path of two products is two calls.
#[test]
fn a_path_is_judged_by_its_own_product() {
    let gc = "/admin/datastore/{store}/gc";
    assert_eq!(of(Product::Backup, Method::Post, gc).0, Tier::Destructive);
    assert!(of(Product::Backup, Method::Post, gc).1.contains("chunks"));
    assert_eq!(of(Product::Pve, Method::Post, gc), (Tier::Destructive, super::UNKNOWN));
    assert_eq!(of(Product::Mail, Method::Get, "/access/ticket").0, Tier::Held);
    assert_eq!(of(Product::Pve, Method::Get, "/access/ticket").0, Tier::Read);
    let pull = |args: Value| judge(Product::Backup, Method::Post, "/pull", args.as_object().unwrap()).tier();
    assert_eq!(pull(json!({})), Tier::Additive);
    assert_eq!(pull(json!({ "remove-vanished": true })), Tier::Destructive);
}

/// What a job or a schedule does later is no less than the call that does it at once.
#[test]
fn what_happens_by_itself_is_judged_as_what_is_done_at_once() {
    let judged = |product, method, path: &str, args: Value| {
        let judged = judge(product, method, path, args.as_object().unwrap());
        judged.grounds().iter().map(|ground| ground.tier).collect::<Vec<_>>()
    };
    let (sync, tape) = ("/config/sync", "/config/tape-backup-job");
    let (to_push, to_tape) = (json!({ "sync-direction": "push" }), json!({ "schedule": "daily" }));
    for (path, args, at_once) in [(sync, to_push, "/push"), (tape, to_tape, "/tape/backup")] {
        let at_once = of(Product::Backup, Method::Post, at_once).0;
        let is = judged(Product::Backup, Method::Post, path, args.clone());
        assert!(is.contains(&at_once), "POST {path} {args}");
    }
    let changed = |kind: &str, args: Value, at_once: &[&str]| {
        let path = format!("/config/{kind}");
        let is = judged(Product::Backup, Method::Put, &path, args.clone());
        for at_once in at_once {
            let tier = of(Product::Backup, Method::Post, at_once).0;
            assert!(is.contains(&tier), "PUT {path} {args} is {is:?}, and POST {at_once} {tier:?}");
        }
    };
    // A job that is there may fetch and remove, or send: which of them, its definition says, and not the call.
    for args in [
        json!({ "sync-direction": "push" }),
        json!({ "schedule": "minutely" }),
        json!({ "run-on-mount": true }),
        json!({ "remote": "other" }),
        json!({ "remote-store": "other" }),
        json!({ "remote-ns": "other" }),
        json!({ "store": "other" }),
        json!({ "ns": "other" }),
        json!({ "max-depth": 0 }),
        json!({ "group-filter": ["all"] }),
        json!({ "delete": ["remote"] }),
        json!({ "delete": "remote-ns" }),
        json!({ "delete": ["comment", "ns"] }),
        json!({ "delete": ["max-depth"] }),
        json!({ "delete": ["group-filter"] }),
        json!({ "delete": ["owner"] }),
    ] {
        changed("sync/{id}", args, &["/admin/sync/{id}/run", "/push"]);
    }
    for args in [
        json!({ "transfer-last": 9 }),
        json!({ "verified-only": false }),
        json!({ "delete": ["transfer-last"] }),
        json!({ "delete": ["encrypted-only"] }),
    ] {
        changed("sync/{id}", args, &["/push"]);
    }
    for args in [
        json!({ "owner": "bob@pbs" }),
        json!({ "sync-direction": "pull" }),
        json!({ "delete": ["sync-direction"] }),
    ] {
        changed("sync/{id}", args, &["/admin/sync/{id}/run"]);
    }
    for args in [json!({ "host": "192.0.2.9" }), json!({ "auth-id": "other@pbs" })] {
        changed("remote/{name}", args, &["/admin/sync/{id}/run"]);
    }
    for args in [
        json!({ "schedule": "daily" }),
        json!({ "pool": "other" }),
        json!({ "drive": "other" }),
        json!({ "store": "other" }),
        json!({ "latest-only": false }),
        json!({ "delete": ["group-filter"] }),
    ] {
        changed("tape-backup-job/{id}", args, &["/tape/backup"]);
    }
    for args in [
        json!({ "gc-schedule": "hourly" }),
        json!({ "gc-on-unmount": true }),
        json!({ "tuning": "gc-atime-cutoff=1" }),
        json!({ "delete": ["tuning"] }),
    ] {
        changed("datastore/{name}", args, &["/admin/datastore/{store}/gc"]);
    }
    for args in [json!({ "prune-schedule": "hourly" }), json!({ "delete": ["keep-daily"] })] {
        changed("datastore/{name}", args, &["/admin/datastore/{store}/prune-datastore"]);
    }
    changed("prune/{id}", json!({ "schedule": "hourly" }), &["/admin/prune/{id}/run"]);
    let made = json!({ "reuse-datastore": true, "keep-last": 1, "prune-schedule": "hourly" });
    assert!(judged(Product::Backup, Method::Post, "/config/datastore", made).contains(&Tier::Destructive));
    // What makes a job do less is a change as any other.
    for args in [
        json!({ "comment": "x" }),
        json!({ "delete": ["schedule"] }),
        json!({ "run-on-mount": false }),
        json!({ "remove-vanished": false }),
        json!({ "verified-only": true }),
    ] {
        assert_eq!(judged(Product::Backup, Method::Put, "/config/sync/{id}", args), [Tier::Change]);
    }
    assert_eq!(
        judged(Product::Backup, Method::Post, sync, json!({ "sync-direction": "pull" })),
        [Tier::Additive]
    );
    assert_eq!(judged(Product::Backup, Method::Post, tape, json!({ "pool": "weekly" })), [Tier::Additive]);
    // A Datacenter Manager asks a node for what the node judges by its own table.
    for kind in ["lxc", "qemu"] {
        let delete = json!({ "delete": true });
        let there = format!("/nodes/{{node}}/{kind}/{{vmid}}/remote_migrate");
        let here = format!("/pve/remotes/{{remote}}/{kind}/{{vmid}}/remote-migrate");
        assert!(judged(Product::Pve, Method::Post, &there, delete.clone()).contains(&Tier::Destructive));
        assert!(judged(Product::Datacenter, Method::Post, &here, delete).contains(&Tier::Destructive));
    }
    let force = json!({ "force": true });
    let migrate = "/pve/remotes/{remote}/qemu/{vmid}/migrate";
    assert!(judged(Product::Datacenter, Method::Post, migrate, force).contains(&Tier::Destructive));
}

/// An argument that makes a mild call do what another call is judged gravely for.
#[test]
fn what_merges_unmounts_takes_over_or_silences_is_as_grave_as_the_call_that_does_it_alone() {
    let (post, put) = (Method::Post, Method::Put);
    for (method, path, args, tier) in [
        (post, "/admin/datastore/{store}/move-group", json!({ "merge-group": true }), Tier::Destructive),
        // Where nothing is said, a server merges, and removes what it moved from.
        (post, "/admin/datastore/{store}/move-group", json!({}), Tier::Destructive),
        (post, "/admin/datastore/{store}/move-group", json!({ "merge-group": null }), Tier::Destructive),
        (post, "/admin/datastore/{store}/move-namespace", json!({}), Tier::Destructive),
        (
            post,
            "/admin/datastore/{store}/move-namespace",
            json!({ "merge-groups": false }),
            Tier::Destructive,
        ),
        (post, "/admin/datastore/{store}/move-namespace", json!({ "delete-source": "0" }), Tier::Destructive),
        (post, "/admin/datastore/{store}/move-namespace", json!({ "merge-groups": true }), Tier::Destructive),
        (
            post,
            "/admin/datastore/{store}/move-namespace",
            json!({ "delete-source": true }),
            Tier::Destructive,
        ),
        (post, "/config/sync", json!({ "unmount-on-done": true }), Tier::Destructive),
        (put, "/config/sync/{id}", json!({ "unmount-on-done": true }), Tier::Destructive),
        (post, "/config/datastore", json!({ "overwrite-in-use": true }), Tier::Destructive),
        (put, "/config/datastore/{name}", json!({ "maintenance-mode": "offline" }), Tier::Disruptive),
        (put, "/config/datastore/{name}", json!({ "maintenance-mode": "unmount" }), Tier::Destructive),
        (put, "/config/datastore/{name}", json!({ "maintenance-mode": "type=unmount" }), Tier::Destructive),
        (
            put,
            "/config/datastore/{name}",
            json!({ "maintenance-mode": "message=offline,type=delete" }),
            Tier::Destructive,
        ),
        (put, "/config/datastore/{name}", json!({ "maintenance-mode": "another" }), Tier::Destructive),
        (put, "/config/datastore/{name}", json!({ "maintenance-mode": "message=x" }), Tier::Destructive),
        (put, "/config/datastore/{name}", json!({ "delete": ["notify-user"] }), Tier::Lockout),
        (put, "/config/datastore/{name}", json!({ "delete": "comment,notification-mode" }), Tier::Lockout),
        (put, "/config/datastore/{name}", json!({ "delete": ["notify"] }), Tier::Lockout),
    ] {
        let is = judge(Product::Backup, method, path, args.as_object().unwrap());
        assert!(is.grounds().iter().any(|ground| ground.tier == tier), "{path} {args}: {is:?}");
    }
    for (path, args) in [
        ("/admin/datastore/{store}/move-group", json!({ "merge-group": false })),
        ("/admin/datastore/{store}/move-namespace", json!({ "merge-groups": false, "delete-source": false })),
    ] {
        let is = judge(Product::Backup, Method::Post, path, args.as_object().unwrap());
        assert_eq!(is.tier(), Tier::Disruptive, "{path} {args}");
    }
    for mode in ["offline", "read-only", "type=s3-refresh,message=x"] {
        let args = json!({ "maintenance-mode": mode });
        let is = judge(Product::Backup, put, "/config/datastore/{name}", args.as_object().unwrap());
        assert_eq!(is.tier(), Tier::Disruptive, "{mode}: what is graver in it is shown, and no graver");
    }
}

/// What is no clear yes is none: it takes the call's own ground away.
#[test]
fn a_dry_run_changes_nothing_and_only_one_that_is_surely_one() {
    for path in ["/admin/datastore/{store}/prune", "/admin/datastore/{store}/prune-datastore"] {
        for (dry, tier) in [
            (json!(true), Tier::Reversible),
            (json!(1), Tier::Reversible),
            (json!("1"), Tier::Reversible),
            (json!(false), Tier::Destructive),
            (json!("perhaps"), Tier::Destructive),
            (json!([1]), Tier::Destructive),
            (json!(null), Tier::Destructive),
        ] {
            let args = json!({ "keep-last": 1, "dry-run": dry });
            let is = judge(Product::Backup, Method::Post, path, args.as_object().unwrap());
            assert_eq!(is.tier(), tier, "{path} {args}");
            assert_eq!(is.only_tries(), tier == Tier::Reversible, "{path} {args}");
        }
        let other = json!({ "dry-run": 1 });
        let is =
            judge(Product::Backup, Method::Post, "/admin/datastore/{store}/gc", other.as_object().unwrap());
        assert_eq!(is.tier(), Tier::Destructive, "of a call that has none");
    }
}
