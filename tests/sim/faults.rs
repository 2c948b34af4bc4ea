//! Faults on demand.

use std::time::{Duration, Instant};

use provost::sim::estate::demo;
use provost::sim::{Fault, HUGE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::client::{Connection, Lab};

async fn lab() -> Lab {
    Lab::new(demo(30, &[101])).await
}

#[tokio::test]
async fn an_answer_is_slow_or_never_comes() {
    let lab = lab().await;
    lab.sim.fault_at(Fault::Slow(Duration::from_millis(300)), "GET /api2/json/version", Some(1));
    let start = Instant::now();
    lab.get("/version").await;
    assert!(start.elapsed() >= Duration::from_millis(300));
    lab.sim.fault(Fault::Hang);
    let mut connection = Connection::daemon(&lab.sim).await;
    connection.send(&lab.request("GET", "/version", "")).await;
    let waited = tokio::time::timeout(Duration::from_millis(500), connection.receive()).await;
    assert!(waited.is_err(), "an answer came");
    lab.sim.heal();
    lab.get("/version").await;
}

#[tokio::test]
async fn answers_are_not_what_they_should_be() {
    let lab = lab().await;
    let once = |fault| lab.sim.fault_at(fault, "/version", Some(1));
    once(Fault::Status(503, "Service Unavailable".to_owned()));
    assert_eq!(lab.call("GET", "/version", "").await.status, 503);
    once(Fault::Html);
    let answer = lab.call("GET", "/version", "").await;
    assert!(answer.body.starts_with(b"<!DOCTYPE html>") && answer.status == 200);
    once(Fault::InvalidUtf8);
    let answer = lab.call("GET", "/version", "").await;
    assert!(String::from_utf8(answer.body).is_err());
    once(Fault::Huge);
    let answer = lab.call("GET", "/version", "").await;
    assert!(answer.body.len() >= HUGE && answer.json()["data"].is_array());
    once(Fault::Cut);
    let answer = lab.call("GET", "/version", "").await;
    assert!(answer.short && !answer.body.is_empty());
    lab.get("/version").await;
}

#[tokio::test]
async fn without_a_quorum_nothing_can_be_written() {
    let lab = lab().await;
    lab.sim.fault(Fault::NoQuorum);
    let answer = lab.call("POST", "/pools", "poolid=new").await;
    assert_eq!((answer.status, answer.reason.as_str()), (500, "cluster not ready - no quorum?"));
    let status = lab.get("/cluster/status").await;
    let cluster = status.as_array().unwrap().iter().find(|row| row["type"] == "cluster").unwrap();
    assert_eq!(cluster["quorate"], 0);
    lab.sim.heal();
    assert_eq!(lab.call("POST", "/pools", "poolid=new").await.status, 200);
}

#[tokio::test]
async fn a_node_that_is_gone_is_a_595() {
    let lab = lab().await;
    lab.sim.fault(Fault::NodeGone("pve2".to_owned()));
    let answer = lab.by_proxy("GET", "/nodes/pve2/status", "").await;
    assert_eq!((answer.status, answer.body.len()), (595, 0));
    let nodes = lab.by("/nodes", "node").await;
    assert_eq!(nodes["pve2"]["status"], "offline");
    let guests = lab.get("/cluster/resources?type=vm").await;
    let of_it = guests.as_array().unwrap().iter().filter(|row| row["node"] == "pve2");
    assert!(of_it.map(|row| &row["status"]).all(|status| status == "unknown"));
    lab.sim.heal();
    lab.by_proxy("GET", "/nodes/pve2/status", "").await.data();
}

#[tokio::test]
async fn a_task_fails_half_way_and_a_lock_is_held() {
    let lab = lab().await;
    let guests = lab.by("/nodes/pve1/qemu", "vmid").await;
    let vmid = guests.keys().next().unwrap();
    lab.sim.fault_at(Fault::TaskFails("disk full".to_owned()), "vzdump", Some(1));
    let form = format!("vmid={vmid}&storage=backup");
    assert_eq!(lab.task("POST", "/nodes/pve1/vzdump", &form).await, "disk full");
    let config = lab.get(&format!("/nodes/pve1/qemu/{vmid}/config")).await;
    assert!(config.get("lock").is_none(), "{config}");

    lab.sim.fault(Fault::Locked(vmid.parse().unwrap(), "backup".to_owned()));
    let answer = lab.call("PUT", &format!("/nodes/pve1/qemu/{vmid}/config"), "tags=x").await;
    assert_eq!((answer.status, answer.reason.as_str()), (500, "VM is locked (backup)"));

    lab.sim.heal();
    let answer = lab.call("PUT", &format!("/nodes/pve1/qemu/{vmid}/config"), "tags=x").await;
    assert_eq!(answer.status, 200, "a lock that is a fault ends with the faults: {}", answer.reason);
}

#[tokio::test]
async fn a_renewed_certificate_is_another_one_in_the_file_too() {
    let lab = lab().await;
    let old = std::fs::read(&lab.sim.certificate).unwrap();
    lab.sim.fault(Fault::Renewed);
    assert!(Connection::try_proxy(&lab.sim, &old).await.is_err(), "the old one still serves");
    Connection::proxy(&lab.sim).await;
    let in_tree = std::fs::read(lab.sim.etc_pve.join("local/pve-ssl.pem")).unwrap();
    assert_eq!(in_tree, std::fs::read(&lab.sim.certificate).unwrap());
}

#[tokio::test]
async fn faults_are_set_from_outside_by_socket_and_by_header() {
    let lab = lab().await;
    let mut control = UnixStream::connect(&lab.sim.control).await.unwrap();
    let mut say = async |line: &str| {
        control.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        let mut answer = vec![0; 512];
        let length = control.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    };
    assert_eq!(say("@/version status 500 no").await, "ok\n");
    assert_eq!(lab.call("GET", "/version", "").await.status, 500);
    assert_eq!(lab.call("GET", "/nodes", "").await.status, 200);
    assert_eq!(say("heal").await, "ok\n");
    assert!(say("explode").await.starts_with("no fault \"explode\"; there are: slow MS"));
    lab.get("/version").await;

    let request = lab.request("GET", "/version", "").replace("Host:", "Provost-Sim-Fault: html\r\nHost:");
    let mut connection = Connection::daemon(&lab.sim).await;
    connection.send(&request).await;
    assert!(connection.receive().await.unwrap().body.starts_with(b"<!DOCTYPE"));
}
