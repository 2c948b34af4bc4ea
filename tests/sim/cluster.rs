//! What is the cluster's: firewall, network, HA, SDN, storages, jobs, pools.

use provost::sim::estate::{demo, recorded};
use serde_json::json;

use crate::client::Lab;

#[tokio::test]
async fn firewall_rules_have_places_and_digests() {
    let lab = Lab::new(recorded()).await;
    let path = "/nodes/pve1/qemu/110/firewall/rules";
    for port in ["22", "80"] {
        lab.call("POST", path, &format!("type=in&action=ACCEPT&proto=tcp&dport={port}&enable=1"))
            .await
            .data();
    }
    let rules = lab.get(path).await;
    assert_eq!((&rules[0]["dport"], &rules[0]["pos"]), (&json!("80"), &json!(0)), "the newest is the first");
    let digest = rules[0]["digest"].as_str().unwrap();
    lab.call("PUT", &format!("{path}/0"), &format!("comment=web&digest={digest}")).await.data();
    let stale = lab.call("PUT", &format!("{path}/0"), &format!("enable=0&digest={digest}")).await;
    assert!(stale.reason.starts_with("detected modified configuration"), "{}", stale.reason);
    lab.call("DELETE", &format!("{path}/1"), "").await.data();
    assert_eq!(lab.get(path).await.as_array().unwrap().len(), 1);
    let file = std::fs::read_to_string(lab.sim.etc_pve.join("firewall/110.fw")).unwrap();
    assert_eq!(file, "[RULES]\n\nIN ACCEPT -p tcp -dport 80 # web\n\n");

    let set = "/cluster/firewall/ipset";
    lab.call("POST", set, "name=lan").await.data();
    lab.call("POST", &format!("{set}/lan"), "cidr=10.0.0.0%2F8").await.data();
    lab.get(&format!("{set}/lan/10.0.0.0%2F8")).await;
    assert_eq!(lab.call("DELETE", &format!("{set}/lan"), "").await.reason, "IPSet is not empty");
    lab.call("DELETE", &format!("{set}/lan/10.0.0.0%2F8"), "").await.data();
    lab.call("DELETE", &format!("{set}/lan"), "").await.data();
    let group = lab.call("POST", path, "type=group&action=nobody").await;
    assert_eq!(group.json()["errors"]["action"], "unknown security group 'nobody'");
}

#[tokio::test]
async fn network_changes_wait_until_they_are_applied() {
    let lab = Lab::new(demo(0, &[])).await;
    let path = "/nodes/pve1/network";
    lab.call("POST", path, "iface=vmbr7&type=bridge&autostart=1&cidr=10.7.0.1%2F24").await.data();
    let waiting = lab.call("GET", path, "").await.json();
    assert!(waiting["changes"].as_str().unwrap().contains("+iface vmbr7"));
    lab.call("DELETE", path, "").await.data();
    assert!(!lab.get(path).await.to_string().contains("vmbr7"));
    lab.call("POST", path, "iface=vmbr8&type=bridge").await.data();
    assert_eq!(lab.task("PUT", path, "").await, "OK");
    let rows = lab.by(path, "iface").await;
    assert_eq!(rows["vmbr8"]["active"], 1);
    assert!(lab.call("GET", path, "").await.json().get("changes").is_none());
}

#[tokio::test]
async fn ha_does_what_it_is_asked_for() {
    let lab = Lab::new(demo(30, &[])).await;
    let guests = lab.by("/nodes/pve1/qemu", "vmid").await;
    let (vmid, _) = guests.iter().rev().find(|(_, row)| row["status"] == "running").unwrap();
    let sid = format!("vm:{vmid}");
    lab.call("POST", "/cluster/ha/resources", &format!("sid={vmid}&max_restart=2")).await.data();
    assert_eq!(lab.by("/cluster/ha/resources", "sid").await[&sid]["max_restart"], 2);
    let current = lab.get(&format!("/nodes/pve1/qemu/{vmid}/status/current")).await;
    assert_eq!(current["ha"]["managed"], 1);
    assert_eq!(lab.task("POST", &format!("/nodes/pve1/qemu/{vmid}/status/stop"), "").await, "OK");
    assert_eq!(lab.get(&format!("/cluster/ha/resources/{sid}")).await["state"], "stopped");
    let form = format!("rule=apart&type=resource-affinity&affinity=negative&resources={sid}");
    assert_eq!(lab.call("POST", "/cluster/ha/rules", &form).await.status, 200);
    assert_eq!(lab.task("DELETE", &format!("/nodes/pve1/qemu/{vmid}?purge=1"), "").await, "OK");
    assert!(!lab.by("/cluster/ha/resources", "sid").await.contains_key(&sid));
    assert!(!lab.by("/cluster/ha/rules", "rule").await.contains_key("apart"));
}

#[tokio::test]
async fn sdn_holds_once_it_is_applied() {
    let lab = Lab::new(demo(0, &[])).await;
    lab.call("POST", "/cluster/sdn/zones", "zone=z1&type=simple").await.data();
    lab.call("POST", "/cluster/sdn/vnets", "vnet=net1&zone=z1").await.data();
    let form = "subnet=10.1.0.0%2F24&type=subnet&gateway=10.1.0.1";
    lab.call("POST", "/cluster/sdn/vnets/net1/subnets", form).await.data();
    let row = lab.get("/cluster/sdn/vnets/net1/subnets/z1-10.1.0.0-24").await;
    assert_eq!((&row["cidr"], &row["mask"]), (&json!("10.1.0.0/24"), &json!("24")));
    assert!(!lab.get("/nodes/pve1/sdn/zones").await.to_string().contains("z1"));
    assert_eq!(lab.task("PUT", "/cluster/sdn", "").await, "OK");
    assert!(lab.get("/nodes/pve1/sdn/zones").await.to_string().contains("z1"));
    assert_eq!(lab.call("DELETE", "/cluster/sdn/zones/z1", "").await.reason, "zone z1 is used by vnet net1");
    assert_eq!(
        lab.call("POST", "/cluster/sdn/vnets", "vnet=net2&zone=none").await.reason,
        "zone none does not exist"
    );
}

#[tokio::test]
async fn storages_are_added_changed_filled_and_removed() {
    let lab = Lab::new(demo(0, &[])).await;
    let missing = lab.call("POST", "/storage", "storage=extra&type=dir").await;
    assert_eq!(missing.json()["errors"]["path"], "property is missing and it is not optional");
    let added =
        lab.call("POST", "/storage", "storage=extra&type=dir&path=%2Fmnt%2Fextra&content=iso,images").await;
    assert_eq!(added.data(), json!({ "storage": "extra", "type": "dir" }));
    let file = std::fs::read_to_string(lab.sim.etc_pve.join("storage.cfg")).unwrap();
    assert!(file.contains("dir: extra\n\tpath /mnt/extra\n\tcontent iso,images\n"), "{file}");
    let again = lab.call("POST", "/storage", "storage=extra&type=dir&path=%2Fmnt%2Fextra").await;
    assert_eq!(again.reason, "storage ID 'extra' already defined");
    let form = "content=iso&filename=a.iso&url=https%3A%2F%2Fexample.org%2Fa.iso";
    assert_eq!(lab.task("POST", "/nodes/pve1/storage/extra/download-url", form).await, "OK");
    assert_eq!(lab.get("/nodes/pve1/storage/extra/content").await[0]["volid"], "extra:iso/a.iso");
    lab.call("PUT", "/storage/extra", "disable=1").await.data();
    assert_eq!(
        lab.call("GET", "/nodes/pve1/storage/extra/status", "").await.reason,
        "storage 'extra' is disabled"
    );
    lab.call("DELETE", "/storage/extra", "").await.data();
    assert_eq!(lab.call("GET", "/storage/extra", "").await.reason, "storage 'extra' does not exist");
}

#[tokio::test]
async fn jobs_replication_pools_and_realms_are_kept() {
    let lab = Lab::new(demo(20, &[])).await;
    lab.call("POST", "/cluster/backup", "id=weekly&schedule=sun%2001:00&storage=backup&all=1").await.data();
    assert_eq!(lab.get("/cluster/backup/weekly").await["all"], 1);
    assert_eq!(lab.get("/cluster/backup-info/not-backed-up").await, json!([]));
    lab.call("DELETE", "/cluster/backup/weekly", "").await.data();
    let gone = lab.call("GET", "/cluster/backup/weekly", "").await;
    assert_eq!(gone.json()["errors"]["id"], "No such job 'weekly'");

    let vmid = lab.by("/nodes/pve1/qemu", "vmid").await.into_keys().next_back().unwrap();
    let form = format!("id={vmid}-0&type=local&target=pve2&schedule=*%2F5");
    lab.call("POST", "/cluster/replication", &form).await.data();
    assert_eq!(lab.get("/nodes/pve1/replication").await[0]["target"], "pve2");
    assert_eq!(lab.call("DELETE", &format!("/nodes/pve1/qemu/{vmid}"), "").await.status, 500);

    lab.call("POST", "/pools", "poolid=mine&comment=hello").await.data();
    let moved = lab.call("PUT", "/pools/mine", &format!("vms={vmid}")).await;
    assert!(moved.reason.contains("belongs already to pool"), "{}", moved.reason);
    lab.call("PUT", "/pools/mine", &format!("vms={vmid}&allow-move=1")).await.data();
    assert_eq!(
        lab.call("DELETE", "/pools/mine", "").await.reason,
        "delete pool failed: pool 'mine' is not empty"
    );

    let form = "realm=corp&type=ldap&server1=ldap.example.org&base_dn=dc%3Dexample&user_attr=uid";
    lab.call("POST", "/access/domains", form).await.data();
    assert_eq!(lab.by("/access/domains", "realm").await["corp"]["type"], "ldap");
}

#[tokio::test]
async fn an_image_is_uploaded() {
    let lab = Lab::new(demo(0, &[])).await;
    let field = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let file = "--b\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"my.iso\"\r\n\r\nbytes\r\n--b--\r\n";
    let body = field("content", "iso") + file;
    let request = lab.request("POST", "/nodes/pve1/storage/local/upload", "x").replace(
        "application/x-www-form-urlencoded\r\nContent-Length: 1\r\n\r\nx",
        &format!("multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
    );
    let mut connection = crate::client::Connection::daemon(&lab.sim).await;
    connection.send(&request).await;
    let upid = connection.receive().await.unwrap().data();
    assert!(upid.as_str().unwrap().contains(":imgcopy:"), "{upid}");
    assert!(lab.get("/nodes/pve1/storage/local/content").await.to_string().contains("local:iso/my.iso"));
}

#[tokio::test]
async fn a_node_without_ceph_says_so() {
    let lab = Lab::new(demo(0, &[])).await;
    let answer = lab.call("GET", "/nodes/pve1/ceph/status", "").await;
    assert_eq!((answer.status, answer.reason.as_str()), (500, "binary not installed: /usr/bin/ceph-mon"));
}

#[tokio::test]
async fn a_rule_names_only_what_there_is() {
    let lab = Lab::new(recorded()).await;
    let rules = "/cluster/firewall/rules";
    for (what, name, problem) in [
        ("macro=Nope", "macro", "unknown macro 'Nope'"),
        ("source=nosuchalias", "source", "no such alias 'nosuchalias'"),
        ("dest=dc/nosuchalias", "dest", "no such alias 'dc/nosuchalias'"),
        ("source=%2Bnosuch", "source", "no such ipset 'nosuch'"),
    ] {
        let answer = lab.call("POST", rules, &format!("type=in&action=ACCEPT&{what}")).await;
        assert_eq!((answer.status, &answer.json()["errors"][name]), (400, &problem.into()), "{what}");
    }
    for what in [
        "macro=spiceproxy",
        "source=office",
        "source=dc/office",
        "source=%2Badmins",
        "source=10.0.0.0/8,10.9.0.1",
    ] {
        let answer = lab.call("POST", rules, &format!("type=in&action=ACCEPT&{what}")).await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.reason);
    }
}

#[tokio::test]
async fn a_zone_has_what_its_kind_cannot_be_without() {
    let lab = Lab::new(recorded()).await;
    for (form, missing) in [
        ("zone=z1&type=vlan", "bridge"),
        ("zone=z1&type=qinq&bridge=vmbr0", "tag"),
        ("zone=z1&type=evpn&vrf-vxlan=10", "controller"),
    ] {
        let answer = lab.call("POST", "/cluster/sdn/zones", form).await;
        let said = format!("missing value for required option '{missing}'");
        assert_eq!((answer.status, answer.reason), (500, said), "{form}");
    }
    assert_eq!(lab.call("POST", "/cluster/sdn/zones", "zone=z1&type=vlan&bridge=vmbr0").await.status, 200);
}

#[tokio::test]
async fn a_target_of_notifications_is_listed_and_its_token_is_told_to_nobody() {
    let lab = Lab::new(provost::sim::estate::demo(10, &[])).await;
    let form = "name=push&server=https%3A%2F%2Fpush.example.org&token=hunter2secret";
    assert_eq!(lab.call("POST", "/cluster/notifications/endpoints/gotify", form).await.status, 200);
    let all = lab.call("GET", "/cluster/notifications/targets", "").await.data();
    let names: Vec<&str> = all.as_array().unwrap().iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(names, ["mail-to-root", "push"]);
    for path in ["/cluster/notifications/endpoints/gotify", "/cluster/notifications/endpoints/gotify/push"] {
        let answer = lab.call("GET", path, "").await;
        let text = String::from_utf8(answer.body).unwrap();
        assert!(text.contains("push.example.org") && text.contains("user-created"), "{text}");
        assert!(!text.contains("hunter2secret"), "{path}: {text}");
    }
}

#[tokio::test]
async fn what_is_configured_of_sdn_is_told_from_what_holds() {
    let lab = Lab::new(provost::sim::estate::demo(10, &[])).await;
    assert_eq!(lab.call("POST", "/cluster/sdn/zones", "zone=zz&type=simple&mtu=1400").await.status, 200);
    let applied = lab.call("GET", "/cluster/sdn/zones?running=1", "").await.data();
    assert_eq!(applied.as_array().unwrap().len(), 1, "{applied}");
    let pending = lab.call("GET", "/cluster/sdn/zones?pending=1", "").await.data();
    let row = pending.as_array().unwrap().iter().find(|row| row["zone"] == "zz").unwrap();
    assert_eq!((&row["state"], &row["pending"]), (&json!("new"), &json!({ "mtu": 1400 })));
    assert_eq!(lab.task("PUT", "/cluster/sdn", "").await, "OK");
    let pending = lab.call("GET", "/cluster/sdn/zones?pending=1", "").await.data();
    assert!(pending.as_array().unwrap().iter().all(|row| row.get("state").is_none()), "{pending}");
    assert_eq!(lab.call("PUT", "/cluster/sdn/zones/zz", "delete=mtu").await.status, 200);
    let zone = lab.call("GET", "/cluster/sdn/zones/zz?pending=1", "").await.data();
    assert_eq!((&zone["state"], &zone["pending"]), (&json!("changed"), &json!({ "mtu": "deleted" })));
    assert_eq!(lab.call("DELETE", "/cluster/sdn/zones/zz", "").await.status, 200);
    let gone = lab.call("GET", "/cluster/sdn/zones?pending=1", "").await.data();
    assert!(gone.as_array().unwrap().iter().any(|row| row["zone"] == "zz" && row["state"] == "deleted"));
}

#[tokio::test]
async fn a_fabric_and_its_nodes_are_there_once_they_are_made_and_not_before() {
    let lab = Lab::new(provost::sim::estate::demo(10, &[])).await;
    let fabrics = "/cluster/sdn/fabrics/fabric";
    for path in [
        "/cluster/sdn/fabrics/fabric/f1",
        "/cluster/sdn/fabrics/node/f1",
        "/cluster/sdn/fabrics/node/f1/pve1",
    ] {
        assert_eq!(lab.call("GET", path, "").await.status, 500, "{path}");
    }
    let form = "id=f1&protocol=openfabric&ip_prefix=10.1.0.0%2F24&hello_interval=3";
    assert_eq!(lab.call("POST", fabrics, form).await.status, 200);
    assert_eq!(lab.call("POST", fabrics, form).await.status, 500);
    let node = "node_id=pve1&protocol=openfabric&ip=10.1.0.1";
    assert_eq!(lab.call("POST", "/cluster/sdn/fabrics/node/f1", node).await.status, 200);
    let all = lab.call("GET", "/cluster/sdn/fabrics/all", "").await.data();
    assert_eq!(
        (&all["fabrics"][0]["id"], &all["fabrics"][0]["hello_interval"], &all["nodes"][0]["node_id"]),
        (&json!("f1"), &json!(3), &json!("pve1"))
    );
    assert_eq!(lab.call("DELETE", "/cluster/sdn/fabrics/fabric/f1", "").await.status, 500, "a node is in it");
    assert_eq!(lab.call("DELETE", "/cluster/sdn/fabrics/node/f1/pve1", "").await.status, 200);
    assert_eq!(lab.call("DELETE", "/cluster/sdn/fabrics/fabric/f1", "").await.status, 200);
    assert_eq!(lab.call("DELETE", "/cluster/sdn/fabrics/fabric/f1", "").await.status, 500);
}

#[tokio::test]
async fn ha_that_was_disarmed_says_so() {
    let lab = Lab::new(provost::sim::estate::demo(10, &[])).await;
    let state = async || {
        let rows = lab.call("GET", "/cluster/ha/status/current", "").await.data();
        rows.as_array().unwrap().iter().find(|row| row["type"] == "fencing").unwrap()["armed-state"].clone()
    };
    assert_eq!(state().await, "standby");
    assert_eq!(lab.call("POST", "/cluster/ha/status/disarm-ha", "resource-mode=freeze").await.status, 200);
    assert_eq!(state().await, "disarmed");
    assert_eq!(lab.call("POST", "/cluster/ha/status/arm-ha", "").await.status, 200);
    assert_eq!(state().await, "standby");
}
