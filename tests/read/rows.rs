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
fn a_row_that_goes_between_two_pages_is_told_of() {
    let site = Site::with(demo(30, &[]), &everybody(""));
    let mut client = site.client();
    let page = |cursor: &serde_json::Value| json!({ "path": "/cluster/resources", "args": { "type": "vm" }, "fields": ["vmid"], "limit": 3, "cursor": cursor });
    let first = read(&mut client, page(&json!(null)));
    let same = read(&mut client, page(&first["next_cursor"]));
    assert!(same.get("note").is_none(), "{same}");
    let gone = first["data"][0]["vmid"].as_u64().unwrap();
    site.sim.with_estate(|estate| drop(estate.remove_guest(gone as u32)));
    let second = read(&mut client, page(&first["next_cursor"]));
    assert!(second["note"].as_str().is_some_and(|note| note.contains("a row may be missing")), "{second}");
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

/// A log of a task in the estate, of so many lines, and the last of them.
fn long_log(site: &Site, lines: usize) -> String {
    let upid = site.post("/nodes/pve1/vzdump", &[("vmid", "104"), ("storage", "backup")]);
    let upid = upid.as_str().unwrap().to_owned();
    site.sim.with_estate(|estate| {
        let task = estate.tasks.get_mut(&upid).expect("the task");
        task.lines = (1..=lines).map(|number| format!("line {number}")).collect();
    });
    format!("/nodes/pve1/tasks/{upid}/log")
}

#[test]
fn a_caller_s_own_start_and_limit_keep_the_total_and_lead_on() {
    let site = Site::start();
    let mut client = site.client();
    let log = long_log(&site, 120);
    let part = |client: &mut crate::common::Client, arguments: serde_json::Value| {
        let mut asked = json!({ "path": log });
        asked.as_object_mut().unwrap().extend(arguments.as_object().unwrap().clone());
        let page = read(client, asked);
        let lines: Vec<u64> =
            page["data"].as_array().unwrap().iter().map(|line| line["n"].as_u64().unwrap()).collect();
        (lines, page)
    };
    let args = json!({ "start": 100, "limit": "15" });
    let (lines, first) = part(&mut client, json!({ "args": args }));
    assert_eq!((lines, &first["total"]), ((101..=115).collect(), &json!(120)), "{first}");
    let (lines, last) = part(&mut client, json!({ "args": args, "cursor": first["next_cursor"] }));
    assert_eq!((lines, &last["total"]), ((116..=120).collect(), &json!(120)), "{last}");
    assert!(last.get("next_cursor").is_none(), "{last}");
    let (lines, small) = part(&mut client, json!({ "args": { "start": 10, "limit": 50 }, "limit": 5 }));
    assert_eq!((lines, small["next_cursor"].is_string()), ((11..=15).collect(), true), "{small}");
    let (lines, by_number) = part(&mut client, json!({ "cursor": 118 }));
    assert_eq!((lines, &by_number["total"]), (vec![119, 120], &json!(120)), "{by_number}");
    // Searched: the part is what is searched, and that is said.
    let (lines, found) = part(&mut client, json!({ "args": { "limit": 20 }, "where": "t ~ 9" }));
    assert_eq!((lines, &found["total"]), (vec![9, 19], &json!(2)), "{found}");
    assert!(found["note"].as_str().unwrap().contains("0 to 20 of 120"), "{found}");
    for (arguments, kind) in [
        (json!({ "path": log, "args": { "start": u64::MAX } }), "parameters"),
        (json!({ "path": log, "cursor": u64::MAX }), "cursor"),
        (json!({ "path": log, "cursor": "18446744073709551615-0000000000000000" }), "cursor"),
    ] {
        assert_eq!(refused(&mut client, arguments.clone())["kind"], kind, "{arguments}");
    }
    read(&mut client, json!({ "path": log, "cursor": 1_000_000_000 }));
}

#[test]
fn of_an_object_that_is_too_large_the_first_members_are_there_and_how_to_see_the_rest() {
    let site = Site::start();
    site.sim.with_estate(|estate| {
        for vmid in 20_000..20_500 {
            estate.access_mut().acl.insert(format!("/vms/{vmid}"), Default::default());
        }
    });
    let mut client = site.client();
    let some = read(&mut client, path("/access/permissions"));
    let cut = &some["cut"][0];
    let shown = some["data"].as_object().unwrap();
    assert_eq!((&cut["at"], cut["kept"].as_u64()), (&json!(""), Some(shown.len() as u64)), "{cut}");
    assert!(shown.len() > 10 && cut["of"].as_u64().unwrap() > 500, "{cut}");
    assert!(shown["/"].as_object().unwrap().contains_key("VM.Audit"), "whole members: {}", shown["/"]);
    let note = some["note"].as_str().unwrap();
    assert!(note.contains("`fields`") && note.contains(r#"{"path": "/vms/102"}"#), "{note}");
    // Both ways lead there.
    for asked in [
        json!({ "path": "/access/permissions", "fields": ["/vms/20499"] }),
        json!({ "path": "/access/permissions", "args": { "path": "/vms/20499" } }),
    ] {
        let one = read(&mut client, asked.clone());
        assert_eq!(one["data"]["/vms/20499"], shown["/"], "{asked}");
        assert!(one.get("cut").is_none() && one.get("note").is_none(), "{one}");
    }
}

#[test]
fn a_list_is_asked_for_in_every_way_that_models_write() {
    let site = Site::start();
    let mut client = site.client();
    let plain = read(&mut client, path("/nodes/pve1/qemu"));
    for asked in [
        json!({ "path": "nodes/pve1/qemu/" }),
        json!({ "path": "GET /nodes/pve1/qemu" }),
        json!({ "path": "https://pve1.example.org:8006/api2/json/nodes/pve1/qemu" }),
        json!({ "path": "/api2/extjs/nodes/pve1/qemu", "args": "{}", "limit": "100", "wait": "0" }),
        json!({ "path": "/nodes/{node}/qemu", "args": "{\"node\": \"pve1\"}", "limit": 100.0 }),
    ] {
        let answer = read(&mut client, asked.clone());
        assert_eq!((&answer["data"], &answer["path"]), (&plain["data"], &plain["path"]), "{asked}");
    }
    let ids = |answer: serde_json::Value| -> Vec<u64> {
        answer["data"].as_array().unwrap().iter().map(|row| row["vmid"].as_u64().unwrap()).collect()
    };
    for sort in ["-vmid", "vmid:desc", "vmid desc"] {
        let answer =
            read(&mut client, json!({ "path": "/nodes/pve1/qemu", "sort": sort, "fields": "vmid name" }));
        assert_eq!(ids(answer)[..2], [9000, 111], "{sort}");
    }
    let volume = "/nodes/pve1/storage/fast/content/fast:110/vm-110-disk-0.raw";
    assert_eq!(read(&mut client, path(volume))["data"]["format"], "raw");
    let clamped = read(&mut client, json!({ "path": "/nodes", "limit": 100_000 }));
    assert!(clamped["note"].as_str().unwrap().contains("1 to 1000"), "{clamped}");
    for arguments in [
        json!({ "path": "/nodes/pve1/qemu", "sort": "-memm" }),
        json!({ "path": "/nodes/pve1/qemu", "where": "memm > 1" }),
        json!({ "path": "/nodes/pve1/qemu", "fields": ["memm"] }),
    ] {
        let error = refused(&mut client, arguments.clone());
        assert_eq!(error["kind"], "no_such_field", "{arguments}: {error}");
        assert!(error["message"].as_str().unwrap().contains("nearest is \"mem\""), "{error}");
    }
    for filter in [json!("mem > maxmem"), json!("disk > 0.9*maxdisk"), json!({ "mem": "> maxmem" })] {
        let error = refused(&mut client, json!({ "path": "/nodes/pve1/qemu", "where": filter }));
        assert_eq!(error["kind"], "arguments", "{error}");
        assert!(error["message"].as_str().unwrap().contains("4G, 90%, 1700000000"), "{error}");
    }
    let total = |client: &mut crate::common::Client, filter: serde_json::Value| {
        read(client, json!({ "path": "/nodes/pve1/qemu", "where": filter }))["total"].as_u64().unwrap()
    };
    let (more, all) =
        (total(&mut client, json!({ "maxmem": ">1" })), total(&mut client, json!("maxmem > 1")));
    assert!(more > 0 && more == all, "{more} and {all}");
    let running = total(&mut client, json!("status = running"));
    let others = total(&mut client, json!("status is not running"));
    assert!(others > 0 && running + others == plain["total"].as_u64().unwrap(), "{running} and {others}");
    let config = json!({ "path": "/nodes/pve1/qemu/104/config", "where": "cores = 2", "sort": "name" });
    assert!(read(&mut client, config)["note"].as_str().unwrap().contains("for lists"));
}

#[test]
fn a_list_that_is_null_has_no_rows_and_says_so() {
    let mut estate = demo(5, &[]);
    estate.planted.insert("/pools".to_owned(), json!(null));
    let site = Site::with(estate, &everybody(""));
    let mut client = site.client();
    let pools = read(&mut client, path("/pools"));
    assert_eq!((&pools["data"], &pools["total"]), (&json!([]), &json!(0)));
    assert!(pools["note"].as_str().unwrap().contains("the answer was null"), "{pools}");
}
