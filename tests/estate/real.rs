//! A tree as PVE 9.2 writes it: a linked clone on a template, an unused disk, a container's volume on a second storage, a
//! password in clear.

use std::path::Path;
use std::sync::Arc;

use provost::estate::access::Through;
use provost::estate::firewall::Scope;
use provost::estate::guest::Role;
use provost::estate::{Index, NetUse, Object, Tie, Using, Why, Within};

use crate::tree::{Files, findings, read};

/// Of the same shape as the tree of the node that was looked at.
const SMALL: &[(&str, &str)] = &[
    (".members", "{\n\"nodename\": \"pve1\",\n\"version\": 0\n}\n"),
    ("datacenter.cfg", "#a cluster\n\nmax_workers: 3\n"),
    (
        "storage.cfg",
        "dir: backup\n\tpath /mnt/backup\n\tcontent backup,iso\n\ndir: local\n\tpath /var/lib/vz\n\tcontent images,rootdir,iso\n\n\
         dir: fast\n\tpath /mnt/fast\n\tcontent rootdir,images,snippets\n\tshared 1\n\n",
    ),
    (
        "user.cfg",
        "user:agent@pve:1:0::::agent::\ntoken:agent@pve!mcp:0:1::\nuser:root@pam:1:0::::::\ntoken:root@pam!t1:0:0::\n\n\
         group:ops:agent@pve::\n\npool:dev:for development:104::\n\nrole:AgentRole:Datastore.Audit,VM.Audit:\n\n\
         acl:1:/pool/dev:@ops:PVEVMUser:\nacl:1:/vms/104:agent@pve:AgentRole:\n",
    ),
    (
        "jobs.cfg",
        "vzdump: backup-weekly\n\tschedule sun 01:00\n\tenabled 1\n\tstorage backup\n\tvmid 104,105\n\n\
         vzdump: backup-pool\n\tschedule daily\n\tenabled 0\n\tpool dev\n\tstorage backup\n\n",
    ),
    ("ha/resources.cfg", "vm: 105\n\tstate stopped\n\n"),
    ("ha/rules.cfg", "node-affinity: keep\n\tnodes pve1\n\tresources vm:105\n\n"),
    ("mapping/directory.cfg", "share\n\tmap node=pve1,path=/srv\n\n"),
    ("sdn/zones.cfg", "simple: lab\n\n"),
    ("sdn/vnets.cfg", "vnet: labnet\n\tzone lab\n\n"),
    ("sdn/subnets.cfg", "subnet: lab-10.99.0.0-24\n\tvnet labnet\n\tgateway 10.99.0.1\n\n"),
    (
        "firewall/cluster.fw",
        "[OPTIONS]\n\nenable: 0\n\n[ALIASES]\n\noffice 198.51.100.0/24\n\n[IPSET admins]\n\n198.51.100.7\n\n[RULES]\n\n\
         IN ACCEPT -source +admins -p tcp -dport 8006 # gui\n\n[group webgrp] # web servers\n\nIN ACCEPT -p tcp -dport 443\n\n",
    ),
    ("firewall/104.fw", "[OPTIONS]\n\npolicy_in: DROP\nenable: 1\n\n[RULES]\n\nGROUP webgrp\n\n"),
    (
        "nodes/pve1/lxc/101.conf",
        "arch: amd64\nhostname: ct101\nmp0: fast:101/subvol-101-disk-0.subvol,mp=/data,backup=1,size=0T\n\
         rootfs: local:101/subvol-101-disk-0.subvol,size=0T\nunprivileged: 1\n",
    ),
    (
        "nodes/pve1/qemu-server/104.conf",
        "boot: order=net0\nmemory: 3072\nname: web\nnet0: virtio=BC:24:11:00:00:04,bridge=vmbr0,tag=7\nparent: before\n\
         tags: blue;prod;web\n\n[before]\nboot: order=net0\nname: web\nnet0: virtio=BC:24:11:00:00:05,bridge=vmbr0,tag=5\n\
         snaptime: 1795239505\n",
    ),
    (
        "nodes/pve1/qemu-server/105.conf",
        "#line one\n#line two%3A 100%25\nboot: order=net0\nname: db\nnet0: virtio=BC:24:11:00:00:06,bridge=vmbr0\nonboot: 1\n",
    ),
    (
        "nodes/pve1/qemu-server/110.conf",
        "boot: order=scsi0;net0\nname: app\nnet0: virtio=BC:24:11:00:00:07,bridge=vmbr0\n\
         scsi0: fast:110/vm-110-disk-0.raw,discard=on,iothread=1,size=2G\nunused0: local:110/vm-110-disk-0.raw\n",
    ),
    (
        "nodes/pve1/qemu-server/111.conf",
        "boot: order=scsi0;ide2;net0\ncipassword: hunter2\nciuser: ops\nide2: fast:111/vm-111-cloudinit.qcow2,media=cdrom,size=4M\n\
         name: linked\nnet0: virtio=BC:24:11:00:00:08,bridge=vmbr1\n\
         scsi0: fast:9000/base-9000-disk-0.qcow2/111/vm-111-disk-0.qcow2,size=1G\n",
    ),
    (
        "nodes/pve1/qemu-server/9000.conf",
        "boot: order=scsi0;ide2;net0\ncipassword: hunter2\nide2: fast:9000/vm-9000-cloudinit.qcow2,media=cdrom\nname: tmpl\n\
         net0: virtio=BC:24:11:00:00:09,bridge=vmbr1\nscsi0: fast:9000/base-9000-disk-0.qcow2,size=1G\ntemplate: 1\n",
    ),
];

pub fn check(index: &Arc<Index>) {
    assert_eq!(findings(index), [""; 0]);
    let ids: Vec<u32> = index.guests().map(|guest| guest.vmid).collect();
    assert_eq!(ids, [101, 104, 105, 110, 111, 9000]);

    let fast = index.on_storage("fast").whole().unwrap();
    let on = |role| fast.guests(role).collect::<Vec<_>>();
    assert_eq!(on(Role::Boot), [110, 111, 9000]);
    assert_eq!(on(Role::Data), [101]);
    assert_eq!(on(Role::CloudInit), [111, 9000]);
    assert_eq!(on(Role::Unused), [0; 0]);
    let local = index.on_storage("local").whole().unwrap();
    assert_eq!(local.guests(Role::Boot).collect::<Vec<_>>(), [101]);
    assert_eq!(local.guests(Role::Unused).collect::<Vec<_>>(), [110]);
    let backup = index.on_storage("backup").whole().unwrap();
    assert_eq!((backup.uses.len(), backup.jobs.len()), (0, 2));

    let clones = index.linked_clones(9000).whole().unwrap();
    assert_eq!(clones.len(), 1);
    assert_eq!(clones[0].0, 111);
    assert_eq!(clones[0].1.base().unwrap().to_string(), "fast:9000/base-9000-disk-0.qcow2");

    let vmbr1: Vec<u32> =
        index.on_bridge("vmbr1", None).whole().unwrap().iter().map(|net: &NetUse| net.guest).collect();
    assert_eq!(vmbr1, [111, 9000]);
    let vmbr0: Vec<u32> =
        index.on_bridge("vmbr0", Some("pve1")).whole().unwrap().iter().map(|net| net.guest).collect();
    assert_eq!(vmbr0, [104, 105, 110]);

    assert_eq!(index.guests_of_pool("dev").whole().unwrap(), [104]);
    assert_eq!(index.guests_of_tag("prod").whole().unwrap(), [104]);
    assert!(index.is_in_pool(104, "dev") && !index.is_in_pool(105, "dev") && index.has_tag(104, "web"));

    let granted = index.granted_to("agent@pve", "/vms/104").whole().unwrap();
    let roles: Vec<(&str, &Through)> =
        granted.iter().map(|grant| (grant.role.as_str(), &grant.through)).collect();
    assert_eq!(roles, [("AgentRole", &Through::Itself), ("PVEVMUser", &Through::Group("ops".into()))]);
    assert!(
        index.granted_to("agent@pve!mcp", "/vms/104").whole().unwrap().is_empty(),
        "it has privileges of its own"
    );
    assert!(index.granted_to("agent@pve", "/vms/105").whole().unwrap().is_empty());

    let guest = |vmid| index.guest(vmid).next().unwrap();
    let covered = index.backups_of(guest(104)).whole().unwrap();
    let by: Vec<(&str, bool)> = covered.by.iter().map(|cover| (cover.job.as_str(), cover.enabled)).collect();
    assert_eq!(by, [("backup-weekly", true), ("backup-pool", false)]);
    assert_eq!(index.only_backed_up_by("backup-weekly").whole().unwrap(), [104, 105]);
    assert!(!index.backups_of(guest(110)).whole().unwrap().is_backed_up());

    assert!(guest(111).has_password && guest(9000).template && guest(104).snapshots.len() == 1);
    assert!(!format!("{index:?}").contains("hunter2"), "no secret outlives the parse");
    assert_eq!(index.ties(guest(101)).whole().unwrap().len(), 1, "fast is shared, local is not");
    assert!(
        matches!(&index.ties(guest(101)).whole().unwrap()[0], Tie::Disk(_, storage) if storage == "local")
    );

    let group = index.users_of_group("webgrp").whole().unwrap();
    assert_eq!((&group[0].scope, &group[0].within), (&Scope::Guest(104), &Within::Rule(0)));
    let set = index.users_of_set(&Scope::Cluster, "admins").whole().unwrap();
    assert_eq!((set.len(), &set[0].scope), (1, &Scope::Cluster));
    assert!(index.users_of_alias(&Scope::Cluster, "office").whole().unwrap().is_empty());

    let kept = index.dependents(Object::Guest(105)).whole().unwrap();
    let why: Vec<Why> = kept.iter().map(|edge| edge.why).collect();
    assert_eq!(why, [Why::Keeps, Why::BacksUp], "{kept:?}");
    let edges = index.dependents(Object::Guest(9000)).whole().unwrap();
    assert!(
        edges.iter().any(|edge| edge.from == Object::Guest(111) && edge.why == Why::CloneOf),
        "{edges:?}"
    );
    assert_eq!(Why::BootsFrom.name(), "boots_from");
    assert_eq!(index.cluster().vnets[0].zone.as_deref(), Some("lab"));
    assert_eq!(index.cluster().members.local, "pve1");
    let frozen = index.on_storage("fast").whole().unwrap();
    assert!(frozen.uses.iter().all(|one| !matches!(one.using, Using::SnapshotState(_))));
}

#[test]
fn a_small_tree_is_read_to_the_last_fact() {
    let tree = Files::new(SMALL);
    let index = tree.read();
    check(&index);
    // 104's card had another tag when it was snapshotted: the present counts.
    assert_eq!(index.guest(104).next().unwrap().nets[0].tag, Some(7));
    // And the same by its counters.
    tree.publish();
    check(&tree.read());
}

#[test]
fn the_real_tree_is_too() {
    let Some(dir) = std::env::var_os("PROVOST_APIDOC_DIR") else {
        eprintln!("PROVOST_APIDOC_DIR is not set: the tree of a real node is not read");
        return;
    };
    check(&read(&Path::new(&dir).join("etc-pve-9.2")));
}
