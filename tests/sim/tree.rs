//! The `/etc/pve` tree agrees with the estate, file by file.

use std::collections::BTreeMap;
use std::path::Path;

use provost::sim::Fault;
use provost::sim::estate::{demo, digest, recorded};
use serde_json::Value;

use crate::client::Lab;

fn json(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap_or_else(|error| panic!("{file:?}: {error}"))
}

/// SHA-1 of files as a real node wrote them from the same estate: its API names them as digests.
const WRITTEN: &[(&str, &str)] = &[
    ("nodes/pve1/lxc/101.conf", "fe165b4954c09034c70b59d7ae7a05dffaa9642b"),
    ("nodes/pve1/qemu-server/104.conf", "745ccb62ef961943c99d9d18bd0ee49b5ca9ac7a"),
    ("nodes/pve1/qemu-server/105.conf", "b9f22a64c099d5945bcdef80ad8eb1b98e6f5fb1"),
    ("nodes/pve1/qemu-server/110.conf", "de6e151624d507f142f7154ed644f5af59c813a6"),
    ("nodes/pve1/qemu-server/111.conf", "1d309a717ce18a3db5123142eb3e0f6babe60505"),
    ("nodes/pve1/qemu-server/9000.conf", "993e816e435718d17e73342329f59e4a04662ff0"),
    ("storage.cfg", "53675a9f8f05f4c212a8a6c43b91d1c884785f76"),
    ("ha/resources.cfg", "6f6fc8642249f7d7f9bdd8c99e5d51d841b6443f"),
    ("ha/rules.cfg", "f7267b5e2e09d760c6941ad7b19bc85ab7f458f8"),
    ("sdn/zones.cfg", "6a53ac02e00b846e1f2653a6497b08c592dcb44d"),
    ("sdn/vnets.cfg", "414fa5966f4416d1ea1d53b2c6bf26f0a16d942c"),
    ("sdn/subnets.cfg", "6774a2ec5e74aee5c65c2ed5163218b653be4494"),
    ("mapping/directory.cfg", "1e028da0910655677855e5d75c6ceb55649bdc02"),
    ("firewall/cluster.fw", "fd74d48d2bf15e78f61fb50674a8f12748dfe4de"),
];

#[tokio::test]
async fn files_are_to_the_byte_what_a_real_node_wrote() {
    let lab = Lab::new(recorded()).await;
    let root = &lab.sim.etc_pve;
    for (file, wanted) in WRITTEN {
        let text = std::fs::read(root.join(file)).unwrap();
        assert_eq!(digest(&text), *wanted, "{file}:\n{}", String::from_utf8_lossy(&text));
    }
    let Some(dir) = std::env::var_os("PROVOST_APIDOC_DIR") else {
        eprintln!("PROVOST_APIDOC_DIR is not set: not compared with the tree itself");
        return;
    };
    let real = Path::new(&dir).join("etc-pve-9.2");
    for file in ["user.cfg", "datacenter.cfg", "jobs.cfg", "firewall/104.fw", "firewall/cluster.fw"] {
        let wanted = std::fs::read_to_string(real.join(file)).unwrap();
        assert_eq!(std::fs::read_to_string(root.join(file)).unwrap(), wanted, "{file}");
    }
}

#[tokio::test]
async fn versions_say_what_changed_and_nothing_else() {
    let lab = Lab::new(demo(30, &[])).await;
    let root = &lab.sim.etc_pve;
    let versions = || -> BTreeMap<String, u64> {
        let all = json(&root.join(".vmlist"));
        all["ids"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(id, row)| (id.clone(), row["version"].as_u64().unwrap()))
            .collect()
    };
    let (before, files) = (versions(), json(&root.join(".version")));
    let vmid = lab.by("/nodes/pve1/qemu", "vmid").await.into_keys().next().unwrap();
    let inode = |file: &Path| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(file).unwrap());
    let config = root.join(format!("nodes/pve1/qemu-server/{vmid}.conf"));
    let old = inode(&config);
    lab.call("PUT", &format!("/nodes/pve1/qemu/{vmid}/config"), "tags=new").await.data();
    let after = versions();
    let changed: Vec<&String> = after.keys().filter(|id| before[*id] != after[*id]).collect();
    assert_eq!(changed, [&vmid]);
    assert_ne!(inode(&config), old, "a write replaces the file");
    let now = json(&root.join(".version"));
    assert!(now["vmlist"].as_u64() > files["vmlist"].as_u64());
    assert_eq!(now["storage.cfg"], files["storage.cfg"]);
    lab.call("POST", "/pools", "poolid=x").await.data();
    let then = json(&root.join(".version"));
    assert!(then["user.cfg"].as_u64() > now["user.cfg"].as_u64());
    assert_eq!(then["vmlist"], now["vmlist"]);
}

#[tokio::test]
async fn the_lists_name_each_guest_and_where_it_is() {
    let lab = Lab::new(demo(100, &[])).await;
    let root = &lab.sim.etc_pve;
    let list = json(&root.join(".vmlist"));
    let rows = lab.get("/cluster/resources?type=vm").await;
    assert_eq!(list["ids"].as_object().unwrap().len(), rows.as_array().unwrap().len());
    for row in rows.as_array().unwrap() {
        let entry = &list["ids"][row["vmid"].to_string()];
        assert_eq!((&entry["node"], &entry["type"]), (&row["node"], &row["type"]));
        let folder = if row["type"] == "qemu" { "qemu-server" } else { "lxc" };
        let file =
            root.join(format!("nodes/{}/{folder}/{}.conf", row["node"].as_str().unwrap(), row["vmid"]));
        assert!(file.exists(), "{file:?}");
    }
    let members = json(&root.join(".members"));
    assert_eq!((&members["nodename"], &members["cluster"]["nodes"]), (&"pve1".into(), &3.into()));
    let target = std::fs::read_link(root.join("local")).unwrap();
    assert_eq!(target, Path::new("nodes/pve1"));
}

#[tokio::test]
async fn what_a_file_keeps_in_clear_the_api_masks() {
    let lab = Lab::new(recorded()).await;
    let file = std::fs::read_to_string(lab.sim.etc_pve.join("nodes/pve1/qemu-server/9000.conf")).unwrap();
    assert!(file.contains("cipassword: hunter2"));
    assert_eq!(lab.get("/nodes/pve1/qemu/9000/config").await["cipassword"], "**********");
}

#[tokio::test]
async fn what_is_root_s_is_no_group_s_and_the_rest_is_the_group_s_to_read() {
    use std::os::unix::fs::PermissionsExt;
    let lab = Lab::new(demo(10, &[])).await;
    let mode =
        |name: &str| std::fs::metadata(lab.sim.etc_pve.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("priv"), mode("user.cfg"), mode(".vmlist")), (0o700, 0o640, 0o640));
    assert_eq!(mode("nodes/pve1/lxc"), 0o755);
}

#[tokio::test]
async fn the_members_say_who_is_heard_and_whether_that_is_enough() {
    let lab = Lab::new(demo(10, &[])).await;
    let members = || {
        let members = json(&lab.sim.etc_pve.join(".members"));
        (members["cluster"]["quorate"].clone(), members["nodelist"]["pve2"]["online"].clone())
    };
    let clinfo = || json(&lab.sim.etc_pve.join(".version"))["clinfo"].as_u64().unwrap();
    let before = clinfo();
    assert_eq!(members(), (1.into(), 1.into()));
    lab.sim.fault(Fault::NodeGone("pve2".into()));
    assert_eq!(members(), (1.into(), 0.into()));
    assert!(clinfo() > before);
    lab.sim.fault(Fault::NodeGone("pve3".into()));
    assert_eq!(members().0, 0, "one of three is not enough");
    lab.sim.heal();
    assert_eq!(members(), (1.into(), 1.into()));
    lab.sim.fault(Fault::NoQuorum);
    assert_eq!(members().0, 0);
}
