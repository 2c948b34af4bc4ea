//! Plan → apply → undo → apply leaves the configuration as it was, byte for byte, order aside.

use provost::sim::estate::recorded;

use crate::site::Site;

/// A call, its arguments, and whether its undo restores the whole tree.
const TAKEN_BACK: &[(&str, &str)] = &[
    ("PUT /nodes/pve1/lxc/101/config", "memory=1024 swap=0 hostname=other"),
    ("PUT /nodes/pve1/lxc/101/config", "net0=name=eth0,bridge=vmbr0,ip=dhcp onboot=1 tags=a;b"),
    ("PUT /nodes/pve1/lxc/101/config", "delete=swap cores=2"),
    ("PUT /nodes/pve1/lxc/101/config", "description=a%20line"),
    ("PUT /nodes/pve1/qemu/104/config", "memory=4096 cores=4 delete=tags,startup"),
    ("PUT /nodes/pve1/qemu/104/config", "net0=virtio=BC:24:11:F3:3B:53,bridge=vmbr0"),
    ("POST /nodes/pve1/qemu/104/config", "name=other agent=1"),
    ("PUT /nodes/pve1/qemu/105/config", "description=x delete=onboot"),
    ("POST /pools", "poolid=mine comment=hello"),
    ("PUT /pools/dev", "comment=other"),
    ("PUT /pools/dev", "vms=101"),
    ("PUT /pools/dev", "vms=104 delete=1"),
    ("PUT /pools", "poolid=dev vms=101"),
    ("PUT /access/acl", "path=/vms/101 roles=PVEVMUser groups=ops"),
    ("PUT /access/acl", "path=/pool/dev roles=PVEVMUser groups=ops delete=1"),
    ("PUT /access/acl", "path=/pool/dev roles=PVEVMUser groups=ops propagate=0"),
    ("POST /access/users", "userid=carol@pve comment=new"),
    ("PUT /access/users/agent@pve", "comment=other enable=0"),
    ("POST /access/groups", "groupid=new"),
    ("PUT /access/groups/ops", "comment=theirs"),
    ("POST /access/roles", "roleid=Mine privs=VM.Audit"),
    ("PUT /access/roles/AgentRole", "privs=VM.Audit"),
    ("PUT /cluster/options", "description=other max_workers=5"),
    ("PUT /cluster/options", "delete=max_workers"),
    ("PUT /cluster/firewall/options", "enable=1 policy_in=ACCEPT"),
    ("PUT /nodes/pve1/firewall/options", "enable=0"),
    ("PUT /nodes/pve1/qemu/104/firewall/options", "enable=1 dhcp=0"),
    ("POST /cluster/firewall/rules", "type=in action=ACCEPT proto=tcp dport=22 enable=1"),
    ("POST /nodes/pve1/qemu/104/firewall/rules", "type=in action=DROP"),
    ("POST /cluster/firewall/aliases", "name=lan cidr=10.0.0.0/8"),
    ("POST /cluster/firewall/ipset", "name=lan"),
    ("POST /cluster/firewall/groups", "group=web"),
    ("POST /storage", "storage=extra type=dir path=/mnt/extra content=iso"),
    ("PUT /storage/local", "content=iso,vztmpl,backup,images"),
    ("POST /cluster/backup", "id=weekly schedule=sun%2001:00 storage=local all=1"),
    ("POST /cluster/ha/resources", "sid=vm:104 max_restart=2"),
    ("POST /cluster/sdn/zones", "zone=z1 type=simple"),
    ("POST /nodes/pve1/network", "iface=vmbr7 type=bridge autostart=1"),
    ("PUT /nodes/pve1/dns", "search=example.org dns1=192.0.2.53"),
    ("POST /nodes/pve1/qemu/104/snapshot", "snapname=point"),
    ("POST /nodes/pve1/qemu/104/clone", "newid=900 name=copy"),
    ("POST /nodes/pve1/qemu", "vmid=901 name=new memory=512"),
];

#[tokio::test]
async fn what_is_applied_and_taken_back_leaves_every_file_as_it_was() {
    let site = Site::new(recorded()).await;
    let (mut wrong, mut none) = (Vec::new(), Vec::new());
    for (call, args) in TAKEN_BACK {
        let before = site.tree();
        let plan = match site.try_plan(call, args).await {
            Ok(plan) => plan,
            Err(refused) => {
                wrong.push(format!("{call} {args}: {refused}"));
                continue;
            }
        };
        if plan.shown["undo"]["kind"] == "none" {
            none.push(format!("{call} {args}: {}", plan.shown["undo"]["why"]));
            continue;
        }
        let applied = site.apply(&plan).await;
        let during = site.tree();
        // The node's own files are not in the tree.
        let elsewhere = ["/nodes/pve1/dns", "/nodes/pve1/network"].iter().any(|path| call.ends_with(path));
        if during == before && !elsewhere {
            wrong.push(format!("{call} {args}: changed nothing"));
        }
        match site.try_undo(applied.receipt).await {
            Ok(back) => drop(site.apply(&back).await),
            Err(refused) => {
                wrong.push(format!("undo of {call} {args}: {refused}"));
                continue;
            }
        }
        let after = site.tree();
        for (name, lines) in &before {
            if after.get(name) != Some(lines) {
                wrong.push(format!("{call} {args}: {name}\n  was {lines:?}\n  is  {:?}", after.get(name)));
            }
        }
        let sets = |lines: &[String]| lines.iter().any(|line| !line.starts_with('['));
        let new = after.iter().filter(|(name, lines)| !before.contains_key(*name) && sets(lines));
        wrong.extend(new.map(|(name, lines)| format!("{call} {args}: {name} is new: {lines:?}")));
    }
    assert!(wrong.is_empty() && none.is_empty(), "{}\nno way back:\n{}", wrong.join("\n"), none.join("\n"));
}

#[tokio::test]
async fn an_undo_is_a_change_that_can_be_undone() {
    let site = Site::new(recorded()).await;
    let first = site.carry_out("PUT /nodes/pve1/lxc/101/config", "memory=1024").await;
    let changed = site.tree();
    let back = site.undo(first.receipt).await;
    assert_eq!(site.newest("intent").body["act"], "undo");
    assert_eq!(site.newest("intent").body["from"], first.receipt);
    // By the outcome's number too.
    site.undo(back.outcome.unwrap()).await;
    assert_eq!(site.tree(), changed);
    // What is as it was already says so.
    let again = site.try_undo(back.receipt).await.unwrap();
    assert!(again.shown["no_op"].is_string(), "{:#?}", again.shown);
}

#[tokio::test]
async fn a_rule_that_is_removed_comes_back_and_one_that_is_moved_moves_back() {
    let site = Site::new(recorded()).await;
    let rules = "/nodes/pve1/qemu/104/firewall/rules";
    for port in ["22", "80"] {
        site.carry_out(&format!("POST {rules}"), &format!("type=in action=ACCEPT proto=tcp dport={port}"))
            .await;
    }
    let before = site.tree();
    let first = site.plan(&format!("DELETE {rules}/0"), "").await;
    assert!(first.undo.lost.is_empty(), "{:?}", first.undo);
    let applied = site.apply(&first).await;
    site.undo(applied.receipt).await;
    assert_eq!(site.tree(), before);
    // Moved, and moved back.
    let moved = site.carry_out(&format!("PUT {rules}/0"), "moveto=2").await;
    assert_ne!(unsorted(&site), unsorted_of(&before));
    site.undo(moved.receipt).await;
}

fn unsorted(site: &Site) -> String {
    std::fs::read_to_string(site.sim.etc_pve.join("firewall/104.fw")).unwrap()
}

fn unsorted_of(tree: &std::collections::BTreeMap<String, Vec<String>>) -> String {
    tree["firewall/104.fw"].join("\n")
}
