//! Guests from their creation to their end, by calls alone.

use provost::sim::estate::{demo, recorded};
use serde_json::{Value, json};

use crate::client::Lab;

const QEMU: &str = "/nodes/pve1/qemu";
const LXC: &str = "/nodes/pve1/lxc";

async fn ok(lab: &Lab, method: &str, path: &str, form: &str) {
    assert_eq!(lab.task(method, path, form).await, "OK", "{method} {path} {form}");
}

#[tokio::test]
async fn a_vm_is_made_configured_started_and_destroyed() {
    let lab = Lab::new(demo(0, &[])).await;
    assert_eq!(lab.get("/cluster/nextid").await, "100");
    let form = "vmid=100&name=new&memory=2048&cores=2&scsi0=local-lvm%3A8&net0=virtio%2Cbridge%3Dvmbr0&pool=lab\
                &ide2=local-lvm%3Acloudinit";
    ok(&lab, "POST", QEMU, form).await;
    let config = lab.get("/nodes/pve1/qemu/100/config").await;
    assert_eq!(config["scsi0"], "local-lvm:vm-100-disk-0,size=8G");
    assert_eq!(config["ide2"], "local-lvm:vm-100-cloudinit,media=cdrom");
    assert!(config["net0"].as_str().unwrap().starts_with("virtio=BC:24:11:"), "{config}");
    assert!(config["smbios1"].as_str().unwrap().starts_with("uuid="));
    assert_eq!(lab.get("/cluster/nextid").await, "101");
    let exists = lab.call("POST", QEMU, "vmid=100").await;
    assert_eq!(exists.reason, "unable to create VM 100 - VM 100 already exists on node 'pve1'");
    let members = lab.get("/pools/lab").await["members"].clone();
    assert_eq!(members[0]["vmid"], 100);

    ok(&lab, "POST", "/nodes/pve1/qemu/100/status/start", "").await;
    let status = lab.get("/nodes/pve1/qemu/100/status/current").await;
    assert_eq!((&status["status"], &status["qmpstatus"]), (&json!("running"), &json!("running")));
    assert!(status["pid"].is_number());
    assert_eq!(lab.task("POST", "/nodes/pve1/qemu/100/status/start", "").await, "VM 100 already running");

    // What a running one cannot take waits for a restart.
    lab.call("PUT", "/nodes/pve1/qemu/100/config", "memory=4096&tags=now").await.data();
    let pending = lab.by("/nodes/pve1/qemu/100/pending", "key").await;
    assert_eq!(
        (&pending["memory"]["value"], &pending["memory"]["pending"]),
        (&json!("2048"), &json!("4096"))
    );
    assert_eq!(pending["tags"]["value"], "now");
    ok(&lab, "POST", "/nodes/pve1/qemu/100/status/reboot", "").await;
    assert_eq!(lab.get("/nodes/pve1/qemu/100/config?current=1").await["memory"], "4096");

    ok(&lab, "POST", "/nodes/pve1/qemu/100/status/suspend", "").await;
    assert_eq!(lab.get("/nodes/pve1/qemu/100/status/current").await["qmpstatus"], "paused");
    ok(&lab, "POST", "/nodes/pve1/qemu/100/status/resume", "").await;
    let running = lab.call("DELETE", "/nodes/pve1/qemu/100", "").await;
    assert_eq!(running.reason, "VM 100 is running - destroy failed");
    ok(&lab, "POST", "/nodes/pve1/qemu/100/status/shutdown", "").await;
    ok(&lab, "DELETE", "/nodes/pve1/qemu/100", "").await;
    assert_eq!(lab.call("GET", "/nodes/pve1/qemu/100/config", "").await.status, 500);
    assert!(!lab.get("/nodes/pve1/storage/local-lvm/content").await.to_string().contains("vm-100-"));
    assert_eq!(lab.get("/pools/lab").await["members"], json!([]));
}

#[tokio::test]
async fn a_container_is_made_from_a_template_that_is_there() {
    let lab = Lab::new(demo(0, &[])).await;
    let missing = "vmid=100&ostemplate=local:vztmpl/none.tar.zst&storage=local-lvm";
    assert_eq!(
        lab.call("POST", LXC, missing).await.reason,
        "volume 'local:vztmpl/none.tar.zst' does not exist"
    );
    let form = "vmid=100&ostemplate=local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst&hostname=ct\
                &rootfs=local-lvm%3A4&net0=name%3Deth0%2Cbridge%3Dvmbr0%2Cip%3Ddhcp&start=1";
    ok(&lab, "POST", LXC, form).await;
    let config = lab.get("/nodes/pve1/lxc/100/config").await;
    assert_eq!((&config["ostype"], &config["unprivileged"]), (&json!("debian"), &json!(1)));
    assert!(config["net0"].as_str().unwrap().contains("hwaddr=BC:24:11:"));
    let interfaces = lab.get("/nodes/pve1/lxc/100/interfaces").await;
    assert_eq!(interfaces[1]["name"], "eth0");
    // A running one takes memory at once.
    lab.call("PUT", "/nodes/pve1/lxc/100/config", "memory=2048").await.data();
    assert_eq!(lab.get("/nodes/pve1/lxc/100/config?current=1").await["memory"], 2048);
    assert_eq!(
        lab.call("POST", "/nodes/pve1/lxc/100/status/start", "").await.reason,
        "CT 100 already running"
    );
}

#[tokio::test]
async fn snapshots_have_parents_and_late_failures() {
    let lab = Lab::new(demo(60, &[])).await;
    let vmid = lab.by(QEMU, "vmid").await.into_keys().next().unwrap();
    let path = format!("{QEMU}/{vmid}/snapshot");
    for name in ["one", "two", "three"] {
        ok(&lab, "POST", &path, &format!("snapname={name}&description=d")).await;
    }
    assert_eq!(lab.task("POST", &path, "snapname=one").await, "snapshot name 'one' already used");
    let rows = lab.by(&path, "name").await;
    assert_eq!((&rows["three"]["parent"], &rows["current"]["parent"]), (&json!("two"), &json!("three")));
    ok(&lab, "DELETE", &format!("{path}/two"), "").await;
    assert_eq!(lab.by(&path, "name").await["three"]["parent"], "one");
    lab.call("PUT", &format!("{QEMU}/{vmid}/config"), "tags=changed").await.data();
    ok(&lab, "POST", &format!("{path}/one/rollback"), "").await;
    let config = lab.get(&format!("{QEMU}/{vmid}/config")).await;
    assert_eq!(config["parent"], "one");
    assert_ne!(config["tags"], "changed");

    // Of a guest that is not there, the call is accepted and its worker fails.
    let late = lab.task("POST", "/nodes/pve1/lxc/999/snapshot", "snapname=late").await;
    assert_eq!(late, "Configuration file 'nodes/pve1/lxc/999.conf' does not exist");
}

#[tokio::test]
async fn where_disks_cannot_be_snapshotted_nothing_is() {
    let lab = Lab::new(recorded()).await;
    let end = lab.task("POST", "/nodes/pve1/qemu/110/snapshot", "snapname=late").await;
    assert_eq!(end, "snapshot feature is not available");
    assert!(lab.get("/nodes/pve1/qemu/110/config").await.get("lock").is_none());
}

#[tokio::test]
async fn clones_are_full_or_lean_on_their_template() {
    let lab = Lab::new(recorded()).await;
    ok(&lab, "POST", "/nodes/pve1/qemu/9000/clone", "newid=200&name=linked2").await;
    let config = lab.get("/nodes/pve1/qemu/200/config").await;
    assert_eq!(config["scsi0"], "fast:9000/base-9000-disk-0.qcow2/200/vm-200-disk-0.qcow2,size=1G");
    assert_eq!((config["name"].clone(), config.get("template")), (json!("linked2"), None));
    ok(&lab, "POST", "/nodes/pve1/qemu/9000/clone", "newid=201&full=1&storage=local").await;
    assert!(
        lab.get("/nodes/pve1/qemu/201/config").await["scsi0"].as_str().unwrap().starts_with("local:201/")
    );
    let refused = lab.call("POST", "/nodes/pve1/qemu/110/clone", "newid=202&full=0").await;
    assert_eq!(refused.status, 500);
    let end = lab.task("DELETE", "/nodes/pve1/qemu/9000", "").await;
    assert_eq!(end, "base volume 'fast:9000/base-9000-disk-0.qcow2' is still in use by linked clones");
    ok(&lab, "POST", "/nodes/pve1/qemu/110/template", "").await;
    assert_eq!(
        lab.get("/nodes/pve1/qemu/110/config").await["scsi0"],
        "fast:110/base-110-disk-0.raw,discard=on,iothread=1,size=2G"
    );
}

#[tokio::test]
async fn disks_grow_move_and_are_left_over() {
    let lab = Lab::new(recorded()).await;
    let path = "/nodes/pve1/qemu/110";
    ok(&lab, "PUT", &format!("{path}/resize"), "disk=scsi0&size=%2B2G").await;
    assert!(lab.get(&format!("{path}/config")).await["scsi0"].as_str().unwrap().ends_with("size=4G"));
    let shrunk = lab.call("PUT", &format!("{path}/resize"), "disk=scsi0&size=1G").await;
    assert_eq!(shrunk.reason, "shrinking disks is not supported");
    ok(&lab, "POST", &format!("{path}/move_disk"), "disk=scsi0&storage=local&delete=1").await;
    let config = lab.get(&format!("{path}/config")).await;
    assert!(config["scsi0"].as_str().unwrap().starts_with("local:110/vm-110-disk-1.raw"), "{config}");
    lab.call("PUT", &format!("{path}/config"), "delete=scsi0").await.data();
    let config = lab.get(&format!("{path}/config")).await;
    assert_eq!((config.get("scsi0"), &config["unused1"]), (None, &json!("local:110/vm-110-disk-1.raw")));
    lab.call("PUT", &format!("{path}/unlink"), "idlist=unused1&force=1").await.data();
    let content = lab.get("/nodes/pve1/storage/local/content").await;
    assert!(!content.to_string().contains("vm-110-disk-1"), "{content}");
}

#[tokio::test]
async fn backups_are_made_shown_pruned_and_restored() {
    let lab = Lab::new(demo(20, &[])).await;
    let vmid = lab.by(QEMU, "vmid").await.into_keys().next().unwrap();
    lab.call("PUT", &format!("{QEMU}/{vmid}/config"), "ide2=local-lvm%3Acloudinit").await.data();
    for _ in 0..4 {
        ok(&lab, "POST", "/nodes/pve1/vzdump", &format!("vmid={vmid}&storage=backup&compress=zstd")).await;
    }
    let content = lab.get("/nodes/pve1/storage/backup/content").await;
    let volumes: Vec<&str> =
        content.as_array().unwrap().iter().map(|row| row["volid"].as_str().unwrap()).collect();
    assert_eq!(volumes.len(), 4);
    assert!(volumes[0].starts_with(&format!("backup:backup/vzdump-qemu-{vmid}-20")), "{volumes:?}");
    let encoded = volumes[0].replace([':', '/'], "%2F").replacen("%2F", "%3A", 1);
    let path = format!("/nodes/pve1/storage/backup/content/{encoded}");
    lab.call("PUT", &path, "protected=1&notes=keep").await.data();
    assert_eq!(lab.call("DELETE", &path, "").await.status, 500);
    ok(&lab, "DELETE", "/nodes/pve1/storage/backup/prunebackups?prune-backups=keep-last%3D1", "").await;
    let left = lab.get("/nodes/pve1/storage/backup/content").await;
    assert_eq!(left.as_array().unwrap().len(), 2, "the newest, and the protected one");
    let form = format!("vmid=500&archive={}&storage=local-lvm&unique=1", volumes[0]);
    ok(&lab, "POST", QEMU, &form).await;
    let old = lab.get(&format!("{QEMU}/{vmid}/config")).await;
    let new = lab.get("/nodes/pve1/qemu/500/config").await;
    for (key, name) in [("scsi0", "vm-500-disk-0"), ("ide2", "local-lvm:vm-500-cloudinit")] {
        assert!(new[key].as_str().unwrap().contains(name), "{new}");
    }
    for key in ["smbios1", "vmgenid", "net0"] {
        assert!(new[key].is_string() && new[key] != old[key], "{key}: {new}");
    }
    let none = lab.call("POST", "/nodes/pve1/vzdump", &format!("vmid={vmid}&storage=local-lvm")).await;
    assert_eq!(none.reason, "storage 'local-lvm' does not support backups");
}

#[tokio::test]
async fn guests_move_to_another_node_with_their_disks() {
    let lab = Lab::new(demo(30, &[])).await;
    let guests = lab.by(QEMU, "vmid").await;
    let (vmid, _) = guests.iter().rev().find(|(_, row)| row["status"] == "running").unwrap();
    let path = format!("{QEMU}/{vmid}/migrate");
    assert_eq!(
        lab.call("POST", &path, "target=pve2").await.reason,
        "can't migrate running VM without --online"
    );
    assert_eq!(
        lab.call("POST", &path, "target=pve1").await.json()["errors"]["target"],
        "target is local node."
    );
    ok(&lab, "POST", &path, "target=pve2&online=1&with-local-disks=1").await;
    let there = lab.by_proxy("GET", &format!("/nodes/pve2/qemu/{vmid}/status/current"), "").await.data();
    assert_eq!(there["status"], "running");
    assert_eq!(lab.call("GET", &format!("{QEMU}/{vmid}/config"), "").await.status, 500);
    let disks = lab.by_proxy("GET", "/nodes/pve2/storage/local-lvm/content", "").await.data();
    assert!(disks.to_string().contains(&format!("vm-{vmid}-disk-0")));
}

#[tokio::test]
async fn a_worker_takes_its_time_holds_its_lock_and_can_be_stopped() {
    let lab = Lab::with(demo(20, &[]), Some(20.0)).await;
    let vmid = lab.by(QEMU, "vmid").await.into_keys().next().unwrap();
    let form = format!("vmid={vmid}&storage=backup");
    let upid = lab.call("POST", "/nodes/pve1/vzdump", &form).await.data();
    let upid = upid.as_str().unwrap();
    let parts: Vec<&str> = upid.split(':').collect();
    assert_eq!(
        (parts.len(), parts[0], parts[1], parts[5], parts[6], parts[7]),
        (9, "UPID", "pve1", "vzdump", &*vmid, "root@pam!t1")
    );
    let task = format!("/nodes/pve1/tasks/{}", upid.replace(':', "%3A"));
    assert_eq!(lab.get(&format!("{task}/status")).await["status"], "running");
    assert_eq!(
        lab.call("PUT", &format!("{QEMU}/{vmid}/config"), "tags=x").await.reason,
        "VM is locked (backup)"
    );
    let running = lab.get("/nodes/pve1/tasks?source=active").await;
    assert!(running[0].get("endtime").is_none() && running[0]["upid"] == upid);
    let elsewhere = task.replace("/nodes/pve1/", "/nodes/pve2/");
    for (method, path) in [
        ("GET", format!("{elsewhere}/status")),
        ("GET", format!("{elsewhere}/log")),
        ("DELETE", elsewhere.clone()),
    ] {
        let answer = lab.by_proxy(method, &path, "").await;
        assert_eq!(answer.status, 400, "{method} {path}: the log is a file of the node that ran the task");
        assert_eq!(answer.json()["errors"]["upid"], "no such task", "{method} {path}");
    }
    lab.call("DELETE", &task, "").await.data();
    let end = loop {
        let status = lab.get(&format!("{task}/status")).await;
        if status["status"] == "stopped" {
            break status["exitstatus"].clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!(end, "received interrupt");
    let log = lab.call("GET", &format!("{task}/log"), "").await.json();
    let lines = log["data"].as_array().unwrap();
    assert_eq!(log["total"].as_u64().unwrap() as usize, lines.len());
    assert_eq!(lines.last().unwrap()["t"], "TASK ERROR: received interrupt");
    assert_eq!(lines[0]["n"], 1);
    lab.call("PUT", &format!("{QEMU}/{vmid}/config"), "tags=x").await.data();
}

#[tokio::test]
async fn two_upids_are_never_the_same() {
    let lab = Lab::new(demo(3, &[])).await;
    let mut seen = std::collections::HashSet::new();
    for _ in 0..50 {
        let upid = lab.call("POST", "/nodes/pve1/startall", "").await.data();
        assert!(seen.insert(upid.to_string()));
    }
    let rows = lab.get("/nodes/pve1/tasks?limit=100").await;
    assert_eq!(rows.as_array().unwrap().len(), 50);
    assert!(rows.as_array().unwrap().iter().all(|row: &Value| row["status"] == "OK"));
}

#[tokio::test]
async fn containers_that_are_really_there_are_listed_as_running() {
    let lab = Lab::new(demo(10, &[101, 777])).await;
    let rows = lab.by(LXC, "vmid").await;
    assert_eq!((&rows["101"]["status"], &rows["777"]["status"]), (&json!("running"), &json!("running")));
}

#[tokio::test]
async fn a_machine_takes_no_setting_that_it_cannot_have() {
    let lab = Lab::new(recorded()).await;
    let path = "/nodes/pve1/qemu/110/config";
    for (path, form, errors) in [
        (path, "delete=nope", ("delete", "unknown option 'nope'")),
        (path, "delete=net99", ("delete", "unknown option 'net99'")),
        (path, "revert=node", ("revert", "unknown option 'node'")),
        ("/nodes/pve1/lxc/101/config", "delete=balloon", ("delete", "unknown option 'balloon'")),
    ] {
        let answer = lab.call("PUT", path, form).await;
        assert_eq!((answer.status, &answer.json()["errors"][errors.0]), (400, &errors.1.into()), "{form}");
    }
    for form in ["cpu=foo", "cpu=host%2Creported-model%3Dkvm64", "boot=order%3Dscsi99", "startup=%2B5"] {
        assert_eq!(lab.call("PUT", path, form).await.status, 400, "{form}");
    }
    for (form, reason) in [
        ("memory=512&balloon=1024", "balloon value too large (must be smaller than assigned memory)"),
        ("boot=order%3Dscsi0%3Bscsi29", "invalid bootorder: device 'scsi29' does not exist'"),
        ("boot=order%3Dscsi0%3Bnet0&delete=net0", "invalid bootorder: device 'net0' does not exist'"),
    ] {
        let answer = lab.call("PUT", path, form).await;
        assert_eq!((answer.status, answer.reason.as_str()), (500, reason), "{form}");
    }
    for form in ["memory=1024&balloon=512", "boot=order%3Dnet0%20scsi0", "delete=onboot", "cpu=custom-mine"] {
        assert_eq!(lab.call("PUT", path, form).await.status, 200, "{form}");
    }
    assert_eq!(lab.get(path).await["boot"], "order=net0;scsi0");
}
