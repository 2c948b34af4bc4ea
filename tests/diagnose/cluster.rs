//! Simulated nodes and clusters: a healthy one gets no flag, and each that has one thing wrong has that named.

use provost::sim::Fault;
use provost::sim::estate::volume::Volume;
use provost::sim::estate::{Estate, demo, now};
use serde_json::{Value, json};

use crate::common::Client;
use crate::site::{Site, everybody};
use crate::{diagnose, names, titles};

const VM: u32 = 102;

/// The demo's cluster as its operator wants it: every guest saved last night, every clock and disk well.
pub fn healthy() -> Estate {
    let mut estate = demo(12, &[]);
    for job in &mut estate.sections_mut("jobs.cfg").list {
        job.values.shift_remove("pool");
        job.values.insert("all".to_owned(), "1".to_owned());
    }
    let guests: Vec<u32> = estate.guests().map(|guest| guest.vmid).collect();
    for vmid in guests {
        estate.add_volume(backup(vmid, now() - 40_000));
    }
    let ids: Vec<String> = estate.sections("replication.cfg").list.iter().map(|job| job.id.clone()).collect();
    for id in ids {
        let last = [("last".to_owned(), now().to_string())];
        estate.kept.insert(format!("replication {id}"), last.into());
    }
    // What the API has no figures of in the simulation.
    let at = estate.guest(VM).expect("a guest").node.clone();
    let told = json!({ "result": now() * 1_000_000_000 });
    estate.planted.insert(format!("/nodes/{at}/qemu/{VM}/agent/get-time"), told);
    for node in ["pve1", "pve2", "pve3"] {
        let row = json!({ "time": now(), "cpu": 0.1, "pressureiosome": 0.5, "pressurememorysome": 0.0, "pressurecpusome": 1.0 });
        estate.planted.insert(format!("/nodes/{node}/rrddata"), json!([row]));
        let quiet = json!(["Nov 21 21:27:04 pve1 kernel: vmbr0: port 2(tap102i0) entered forwarding state"]);
        estate.planted.insert(format!("/nodes/{node}/journal"), quiet);
        // Some hold many running guests.
        estate.node_mut(node).expect("a node").since = now() - 86_400;
    }
    estate
}

pub fn backup(vmid: u32, created: u64) -> Volume {
    Volume {
        storage: "backup".to_owned(),
        name: format!("backup/vzdump-qemu-{vmid}-2026_10_01-02_30_00.vma.zst"),
        content: "backup",
        format: "vma.zst".to_owned(),
        size: 1 << 30,
        used: 1 << 30,
        created,
        vmid: Some(vmid),
        ..Volume::default()
    }
}

pub fn site(estate: Estate) -> (Site, Client) {
    let site = Site::with(estate, &everybody("exec = \"none\""));
    let client = site.client();
    (site, client)
}

/// Plants a fault, and looks whether it is named.
fn finds(subject: &str, plant: impl FnOnce(&mut Estate), words: &[&str]) {
    let mut estate = healthy();
    plant(&mut estate);
    let (_site, mut client) = site(estate);
    names(&diagnose(&mut client, subject), words);
}

fn planted(path: &str, data: Value) -> impl FnOnce(&mut Estate) {
    move |estate| drop(estate.planted.insert(path.to_owned(), data))
}

/// Which probes could not tell something.
pub fn probes(answer: &Value) -> Vec<&str> {
    let missing = answer["incomplete"].as_array().expect("a list");
    missing.iter().map(|one| one["probe"].as_str().expect("a name")).collect()
}

#[test]
fn what_is_healthy_gets_no_flag() {
    let (_site, mut client) = site(healthy());
    for subject in ["cluster", "node/pve1", "node/pve2"] {
        let answer = diagnose(&mut client, subject);
        assert_eq!(titles(&answer), Vec::<String>::new(), "{subject}: {answer:#}");
        let missing: &[&str] = if subject == "cluster" { &[] } else { &["node_dns"] };
        assert_eq!(probes(&answer), missing, "{subject}: {answer:#}");
        assert!(answer["evidence"].as_object().expect("evidence").len() >= 7, "{answer:#}");
    }
}

#[test]
fn a_vm_that_is_well_has_nothing_but_what_the_host_cannot_tell() {
    let (_site, mut client) = site(healthy());
    let answer = diagnose(&mut client, &format!("qemu/{VM}"));
    assert_eq!(titles(&answer), Vec::<String>::new(), "{answer:#}");
    // No VM runs on this machine, and none is looked into.
    assert_eq!(probes(&answer), ["oom", "inside_vm", "throttling", "pressure", "io"], "{answer:#}");
}

#[test]
fn faults_of_a_node_are_named() {
    let at = |path: &str| format!("/nodes/pve1/{path}");
    let disk = |health: &str, left: Value| json!([{ "devpath": "/dev/sda", "health": health, "wearout": left, "model": "x", "serial": "y", "vendor": "z" }]);
    let pool = |used: f64, metadata: f64| json!([{ "lv": "data", "vg": "pve", "lv_size": 1000, "used": used * 1000.0, "metadata_size": 100, "metadata_used": metadata * 100.0 }]);
    let storage = |active: u32, kind: &str, used: u64| json!([{ "storage": "tank", "type": kind, "enabled": 1, "active": active, "used": used, "total": 100, "content": "images" }]);
    let repositories = json!({ "errors": [], "infos": [], "files": [{ "path": "x", "repositories": [{ "Enabled": 1, "Components": ["pve-enterprise"], "URIs": ["https://enterprise.proxmox.com/debian/pve"] }] }] });
    let installed = json!([{ "Package": "proxmox-kernel-6.17.9-1-pve-signed", "CurrentState": "Installed", "Version": "6.17.9-1" }]);
    for (path, data, words) in [
        ("storage", storage(0, "nfs", 1), &["critical", "tank", "not active"][..]),
        ("storage", storage(1, "dir", 97), &["critical", "tank", "97 % full"]),
        (
            "disks/zfs",
            json!([{ "name": "tank", "health": "DEGRADED", "size": 10, "alloc": 1 }]),
            &["critical", "DEGRADED"],
        ),
        ("disks/lvmthin", pool(0.95, 0.1), &["critical", "data of thin pool pve/data"]),
        ("disks/lvmthin", pool(0.2, 0.9), &["critical", "metadata of thin pool pve/data"]),
        ("disks/list", disk("FAILED!", json!(90)), &["critical", "/dev/sda", "FAILED"]),
        ("disks/list", disk("PASSED", json!(3)), &["warning", "/dev/sda", "3 %"]),
        (
            "tasks",
            json!([{ "node": "pve1", "type": "vzdump", "id": "102", "status": "job errors", "endtime": now() - 60 }]),
            &["critical", "vzdump of 102"],
        ),
        (
            "services",
            json!([{ "service": "pvestatd", "active-state": "failed", "state": "failed", "unit-state": "enabled" }]),
            &["critical", "pvestatd"],
        ),
        (
            "replication",
            json!([{ "id": "102-0", "guest": 102, "target": "pve2", "fail_count": 3, "error": "no route", "last_sync": 1 }]),
            &["warning", "102-0"],
        ),
        ("apt/repositories", repositories, &["warning", "enterprise"]),
        ("apt/versions", installed, &["info", "6.17.9-1-pve"]),
        (
            "certificates/info",
            json!([{ "filename": "pve-ssl.pem", "subject": "/CN=x", "notafter": now() - 86_400 }]),
            &["critical", "expired"],
        ),
        (
            "journal",
            json!(["Nov 21 21:27:04 pve1 kernel: I/O error, dev sda, sector 4711 op 0x0:(READ)"]),
            &["critical", "could not read or write a disk"],
        ),
        (
            "journal",
            json!(["Nov 21 21:27:04 pve1 kernel: Out of memory: Killed process 4711 (kvm) total-vm:1kB"]),
            &["critical", "want of memory"],
        ),
        ("dns", json!({ "search": "example.org" }), &["warning", "no DNS server"]),
        (
            "network",
            json!([{ "iface": "vmbr0", "type": "bridge", "autostart": 1, "method": "static", "gateway": "192.0.2.1" }]),
            &["warning", "bridge vmbr0 is not up"],
        ),
        (
            "network",
            json!([{ "iface": "vmbr0", "type": "bridge", "autostart": 1, "active": 1, "method": "static" }]),
            &["warning", "no gateway"],
        ),
        (
            "time",
            json!({ "time": now() + 600, "localtime": now(), "timezone": "UTC" }),
            &["critical", "clock"],
        ),
    ] {
        println!("{path}: {words:?}");
        finds("node/pve1", planted(&at(path), data), words);
    }
}

#[test]
fn faults_of_a_cluster_are_named() {
    finds(
        "cluster",
        |estate| estate.node_mut("pve3").expect("a node").online = false,
        &["critical", "pve3", "offline"],
    );
    finds(
        "cluster",
        |estate| estate.volumes.retain(|volume| volume.vmid != Some(VM) || volume.content != "backup"),
        &["warning", "no backup of guest 102"],
    );
    let old = |estate: &mut Estate| {
        let newest =
            estate.volumes.iter_mut().find(|volume| volume.content == "backup" && volume.vmid == Some(VM));
        newest.expect("a backup").created = now() - 30 * 86_400;
    };
    finds("cluster", old, &["warning", "102", "30 days old"]);
    let no_job = |estate: &mut Estate| estate.sections_mut("jobs.cfg").list.clear();
    finds("cluster", no_job, &["warning", "in no backup job"]);
    finds(
        "cluster",
        planted("/nodes/pve2/version", json!({ "version": "8.4.1", "release": "8.4", "repoid": "x" })),
        &["warning", "2 versions"],
    );
    finds(
        "cluster",
        planted("/nodes/pve2/time", json!({ "time": now() - 900, "localtime": now(), "timezone": "UTC" })),
        &["critical", "pve2", "off"],
    );
    finds(
        "node/pve1",
        planted("/nodes/pve2/version", json!({ "version": "8.4.1", "release": "8.4", "repoid": "x" })),
        &["warning", "2 versions"],
    );
    let error = json!([{ "type": "service", "sid": "vm:102", "state": "error", "status": "vm:102 (pve1, error)", "node": "pve1", "id": "service:vm:102" }]);
    finds("cluster", planted("/cluster/ha/status/current", error), &["critical", "vm:102", "error"]);
}

#[test]
fn faults_of_a_vm_are_named() {
    let subject = format!("qemu/{VM}");
    let stop = |estate: &mut Estate| {
        estate.guest_state_mut(VM).expect("a guest").run = provost::sim::estate::guest::Run::Stopped
    };
    finds(&subject, stop, &["critical", "stopped"]);
    let node = healthy().guest(VM).expect("a guest").node.clone();
    let start = json!({ "node": node, "type": "qmstart", "id": "102", "user": "root@pam", "status": "OK", "starttime": now() - 600, "endtime": now() - 599 });
    for (path, data, words) in [
        (
            format!("/nodes/{node}/tasks"),
            json!([start, start, start, start, start]),
            &["warning", "started 5 times"][..],
        ),
        (
            format!("/nodes/{node}/tasks"),
            json!([{ "node": node, "type": "vzdump", "id": "102", "status": "job errors", "starttime": now() - 60, "endtime": now() - 50 }]),
            &["critical", "vzdump of 102"],
        ),
        (
            format!("/nodes/{node}/{subject}/pending"),
            json!([{ "key": "memory", "value": 1024, "pending": 2048 }]),
            &["info", "1 settings wait"],
        ),
        (
            format!("/nodes/{node}/{subject}/agent/get-time"),
            json!({ "result": (now() - 3600) * 1_000_000_000 }),
            &["critical", "clock is -36"],
        ),
    ] {
        println!("{path}");
        finds(&subject, planted(&path, data), words);
    }
    let (mut estate, path) = (healthy(), format!("/nodes/pve1/qemu/{VM}/agent/get-fsinfo"));
    let node = estate.guest(VM).expect("a guest").node.clone();
    let full =
        json!({ "result": [{ "mountpoint": "/srv", "type": "ext4", "used-bytes": 98, "total-bytes": 100 }] });
    estate.planted.insert(path.replace("pve1", &node), full);
    let (site, mut client) = site(estate);
    names(&diagnose(&mut client, &subject), &["critical", "/srv is 98 % full"]);
    site.sim.fault_at(
        Fault::Status(500, "VM 102 qga command failed - got timeout".into()),
        "get-osinfo",
        None,
    );
    let answer = diagnose(&mut client, &subject);
    names(&answer, &["warning", "agent does not answer"]);
}

#[test]
fn what_could_not_be_asked_is_said_with_its_name() {
    let (site, mut client) = site(healthy());
    site.sim.fault_at(Fault::Status(403, "Permission check failed (/, Sys.Audit)".into()), "disks/zfs", None);
    let answer = diagnose(&mut client, "node/pve1");
    let missing = answer["incomplete"].as_array().expect("a list");
    let zfs = missing.iter().find(|missing| missing["probe"] == "zfs").expect("zfs");
    assert!(zfs["why"].as_str().expect("text").contains("Permission check failed"), "{zfs}");
    assert_eq!(titles(&answer), Vec::<String>::new(), "{answer:#}");
}
