//! Lists: lean, filtered, in order, in pages.

use provost::sim::estate::demo;
use serde_json::json;

use crate::site::{Site, everybody, path, read, refused};

#[test]
fn a_list_comes_lean_with_its_total_and_all_of_it_on_demand() {
    let site = Site::start();
    let mut client = site.client();
    let guests = read(&mut client, path("/nodes/pve1/qemu"));
    let rows = guests["data"].as_array().unwrap();
    assert_eq!(guests["total"], rows.len());
    assert!(rows.is_sorted_by_key(|row| row["vmid"].as_u64()), "{guests}");
    assert!(
        rows[0].get("netin").is_none() && guests["more_fields"].to_string().contains("netin"),
        "{guests}"
    );
    let by_url = read(&mut client, path("/api2/json/nodes/pve1/qemu"));
    assert_eq!(by_url["data"], guests["data"]);
    let all = read(&mut client, json!({ "path": "/nodes/pve1/qemu", "fields": ["*"] }));
    assert!(all["data"][0].get("netin").is_some(), "{all}");
}

#[test]
fn rows_are_filtered_sorted_and_cut_by_what_they_mean() {
    let site = Site::start();
    let mut client = site.client();
    let found = read(
        &mut client,
        json!({ "path": "/cluster/resources", "where": "type = qemu and vmid > 104", "sort": "-vmid",
                "fields": ["vmid", "name"], "limit": 2 }),
    );
    let ids: Vec<_> =
        found["data"].as_array().unwrap().iter().map(|row| row["vmid"].as_u64().unwrap()).collect();
    assert_eq!(ids, [9000, 111]);
    assert_eq!(found["total"], 4);
    let next = read(
        &mut client,
        json!({ "path": "/cluster/resources", "where": "type = qemu and vmid > 104", "sort": "-vmid",
                "fields": ["vmid"], "limit": 9, "cursor": found["next_cursor"] }),
    );
    let ids: Vec<_> =
        next["data"].as_array().unwrap().iter().map(|row| row["vmid"].as_u64().unwrap()).collect();
    assert_eq!(ids, [110, 105]);
    assert!(next.get("next_cursor").is_none());
    let wrong = refused(&mut client, json!({ "path": "/nodes", "cursor": found["next_cursor"] }));
    assert_eq!(wrong["kind"], "cursor");
}

#[test]
fn pages_of_thousands_of_guests_hold_each_once() {
    let site = Site::with(demo(3_000, &[]), &everybody(""));
    let mut client = site.client();
    let (mut seen, mut cursor) = (std::collections::BTreeSet::new(), json!(null));
    let mut total = 0;
    loop {
        let page = read(
            &mut client,
            json!({ "path": "/cluster/resources", "args": { "type": "vm" }, "fields": ["vmid"], "limit": 1000, "cursor": cursor }),
        );
        total = page["total"].as_u64().unwrap().max(total);
        for row in page["data"].as_array().unwrap() {
            assert!(seen.insert(row["vmid"].as_u64().unwrap()), "{row} came twice");
        }
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(seen.len() as u64, total);
    assert!(total >= 3_000, "{total}");
}

#[test]
fn a_log_is_read_in_the_parts_that_pve_gives() {
    let site = Site::start();
    let mut client = site.client();
    let tasks = read(&mut client, path("/nodes/pve1/tasks"));
    let upid = tasks["data"][0]["upid"].as_str().unwrap().to_owned();
    let log = format!("/nodes/pve1/tasks/{upid}/log");
    let first = read(&mut client, json!({ "path": log, "limit": 1 }));
    assert_eq!(first["data"][0]["n"], 1, "{first}");
    assert!(first["total"].as_u64().unwrap() > 1, "{first}");
    let second = read(&mut client, json!({ "path": log, "limit": 1, "cursor": first["next_cursor"] }));
    assert_eq!(second["data"][0]["n"], 2, "{second}");
}

#[test]
fn a_list_that_pve_gives_in_parts_is_searched_beyond_the_first() {
    let site = Site::start();
    for _ in 0..60 {
        site.post("/nodes/pve1/vzdump", &[("vmid", "104"), ("storage", "backup")]);
    }
    let mut client = site.client();
    let all =
        read(&mut client, json!({ "path": "/nodes/pve1/tasks", "limit": 1 }))["total"].as_u64().unwrap();
    assert!(all > 60, "{all}");
    let found =
        read(&mut client, json!({ "path": "/nodes/pve1/tasks", "where": "type = vzdump", "limit": 1 }));
    assert!(found["total"].as_u64().unwrap() >= 60, "{found}");
    let others = read(&mut client, json!({ "path": "/nodes/pve1/tasks", "where": "type != vzdump" }));
    assert!(others["total"].as_u64().unwrap() > 0, "what stands behind the newest fifty is found: {others}");
}

#[test]
fn secrets_are_withheld_and_nothing_of_the_token_is_logged() {
    let site = Site::start();
    let mut client = site.client();
    let config = read(&mut client, path("/nodes/pve1/qemu/9000/config"));
    assert_eq!(config["data"]["cipassword"], "[withheld]", "{config}");
    let pending = read(&mut client, path("/nodes/pve1/qemu/9000/pending"));
    assert!(!pending.to_string().contains("****"), "{pending}");
    let token = std::fs::read_to_string(&site.sim.token).unwrap();
    let (_, secret) = token.trim().split_once('=').unwrap();
    assert!(secret.len() > 8 && !site.log().contains(secret));
}
