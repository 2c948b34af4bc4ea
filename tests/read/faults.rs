//! A cluster on a bad day: each trouble has a name, a next step and an end in bounded time.

use std::time::{Duration, Instant};

use provost::sim::Fault;
use serde_json::json;

use crate::site::{Site, path, read, refused};

#[test]
fn what_is_no_answer_of_pve_s_is_never_shown_as_one() {
    let site = Site::start();
    let mut client = site.client();
    for (fault, kind) in [
        (Fault::Html, "pve_not_json"),
        (Fault::Status(503, "Service Unavailable".into()), "pve"),
        (Fault::Status(500, "it broke".into()), "pve"),
        (Fault::Status(595, "Connection refused".into()), "node_unreachable"),
    ] {
        site.sim.fault_at(fault.clone(), "/version", None);
        let error = refused(&mut client, path("/version"));
        assert_eq!(error["kind"], kind, "{fault:?}: {error}");
        assert!(!error.to_string().contains("</html>"), "{fault:?}: {error}");
        site.sim.heal();
    }
    read(&mut client, path("/version"));
}

#[test]
fn a_read_that_was_cut_is_asked_again() {
    let site = Site::start();
    let mut client = site.client();
    site.sim.fault_at(Fault::Cut, "/version", Some(1));
    assert!(read(&mut client, path("/version"))["data"]["version"].is_string());
    site.sim.fault_at(Fault::Cut, "/version", None);
    let error = refused(&mut client, path("/version"));
    assert_eq!(error["kind"], "pve_no_answer", "{error}");
    // It was this one that broke.
    read(&mut client, path("/nodes"));
}

#[test]
fn bytes_that_are_no_text_are_shown_as_such() {
    let site = Site::start();
    let mut client = site.client();
    site.sim.fault_at(Fault::InvalidUtf8, "/version", None);
    let result = client.call("read", path("/version"));
    assert!(result["structuredContent"].is_object(), "{result}");
}

#[test]
fn fifty_megabytes_cost_an_answer_of_bounded_size() {
    let site = Site::start();
    let mut client = site.client();
    site.sim.fault_at(Fault::Huge, "/version", None);
    let result = client.call("read", path("/version"));
    assert!(result.to_string().len() < 100_000);
    site.sim.heal();
    read(&mut client, path("/version"));
    let status = std::fs::read_to_string(format!("/proc/{}/status", site.pid())).unwrap();
    let rss: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    assert!(rss < 150 << 10, "{rss} KiB stay");
}

#[test]
fn a_call_to_a_cluster_that_hangs_can_be_cancelled_and_others_go_on() {
    let site = Site::start();
    let mut client = site.client();
    site.sim.fault_at(Fault::Hang, "/cluster/status", None);
    let began = Instant::now();
    let id = client.start("read", path("/cluster/status"));
    read(&mut client, path("/version"));
    client.cancel(id);
    read(&mut client, path("/nodes"));
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_renewed_certificate_is_taken_and_another_s_is_not() {
    let site = Site::without_daemon();
    let mut client = site.client();
    read(&mut client, path("/version"));
    site.sim.fault(Fault::Renewed);
    read(&mut client, path("/nodes"));
    let other = rcgen::generate_simple_self_signed(vec!["pve1".into()]).unwrap();
    std::fs::write(&site.sim.certificate, other.cert.pem()).unwrap();
    // The file is looked at once a second, and kept connections were trusted when they were made.
    std::thread::sleep(Duration::from_secs(6));
    let error = refused(&mut client, path("/version"));
    assert_eq!(error["kind"], "pve_setup", "{error}");
    assert!(error["message"].as_str().unwrap().contains("pve-ssl.pem"), "{error}");
}

#[test]
fn a_node_that_is_gone_is_named() {
    let site = Site::with(provost::sim::estate::demo(30, &[]), &crate::site::everybody(""));
    let mut client = site.client();
    site.sim.fault(Fault::NodeGone("pve2".into()));
    let error = refused(&mut client, path("/nodes/pve2/status"));
    assert_eq!(error["kind"], "node_unreachable", "{error}");
    read(&mut client, path("/nodes/pve1/status"));
}

#[test]
fn pve_s_refusals_come_with_the_next_step() {
    let site = Site::start();
    let mut client = site.client();
    for (asked, kind) in [
        (json!({ "path": "/nodes/pve1/qemu/999/config" }), "no_such_guest"),
        (json!({ "path": "/nodes/pve9/status" }), "no_such_node"),
        (json!({ "path": "/storage/none" }), "no_such_storage"),
        (json!({ "path": "/nodes/pve1/qemu/104/agent/get-osinfo" }), "no_guest_agent"),
        (json!({ "path": "/cluster/backup-info" }), "forbidden"),
    ] {
        let error = refused(&mut client, asked.clone());
        assert_eq!(error["kind"], kind, "{asked}: {error}");
        assert!(!error["next"].as_str().unwrap().is_empty(), "{asked}: {error}");
    }
}

#[test]
fn without_a_quorum_reads_go_on_and_say_so() {
    let site = Site::with(provost::sim::estate::demo(30, &[]), &crate::site::everybody(""));
    let mut client = site.client();
    let quorate = |client: &mut crate::common::Client| {
        let status = read(client, json!({ "path": "/cluster/status", "where": "type = cluster" }));
        status["data"][0]["quorate"].clone()
    };
    assert_eq!(quorate(&mut client), 1);
    site.sim.fault(Fault::NoQuorum);
    assert_eq!(quorate(&mut client), 0);
    assert_eq!(read(&mut client, path("/nodes/pve1/qemu/102/config"))["data"]["cores"], 2);
    let refused = site.try_post("/nodes/pve1/qemu/102/status/stop", &[]).unwrap_err();
    assert!(refused.contains("no quorum"), "{refused}");
    site.sim.heal();
    assert_eq!(quorate(&mut client), 1);
}

#[test]
fn a_task_that_fails_half_way_is_told_with_its_log_and_its_error() {
    const SAID: &str = "job failed with err -5 - Input/output error";
    for site in [Site::start(), Site::paced()] {
        let mut client = site.client();
        site.sim.fault_at(Fault::TaskFails(SAID.into()), ":vzdump:", Some(1));
        let upid = site.post("/nodes/pve1/vzdump", &[("vmid", "104"), ("storage", "backup")]);
        let told = read(&mut client, json!({ "path": upid, "wait": 30 }));
        let data = &told["data"];
        assert_eq!((&data["status"], &data["exitstatus"]), (&json!("stopped"), &json!(SAID)), "{told}");
        let log: Vec<&str> =
            data["log"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        assert!(log.len() > 1, "what it had done is told: {told}");
        assert_eq!(*log.last().unwrap(), format!("TASK ERROR: {SAID}"));
        let failed = json!({ "path": "/nodes/pve1/tasks", "where": "status != OK and type = vzdump" });
        assert_eq!(read(&mut client, failed)["data"][0]["status"], SAID);
        let done = read(&mut client, json!({ "path": "/nodes/pve1/storage/backup/content" }));
        assert_eq!(done["total"], 0, "{done}");
    }
}

#[test]
fn a_lock_that_is_held_is_seen_and_so_is_what_it_stopped() {
    let site = Site::start();
    let mut client = site.client();
    site.sim.fault(Fault::Locked(104, "backup".into()));
    let config = read(&mut client, path("/nodes/pve1/qemu/104/config"));
    assert_eq!(config["data"]["lock"], "backup", "{config}");
    let locked = read(&mut client, json!({ "path": "/nodes/pve1/qemu", "where": "lock = backup" }));
    assert_eq!(locked["data"][0]["vmid"], 104, "{locked}");
    let upid = site.post("/nodes/pve1/qemu/104/status/start", &[]);
    let told = read(&mut client, json!({ "path": upid, "wait": 5 }));
    assert_eq!(told["data"]["exitstatus"], "VM is locked (backup)", "{told}");
}
