//! What a plan asks, on estates made for it: one that hits, one that misses, one that is a trap.

use provost::estate::finding::What;
use provost::estate::firewall::Scope;
use provost::estate::guest::Role;
use provost::estate::{Lack, Using, Within};

use crate::tree::{Files, findings};

const VM: &str = "boot: order=scsi0\nscsi0: local-zfs:vm-100-disk-0,size=8G\nnet0: virtio=BC:24:11:00:00:01,bridge=vmbr0\n";

/// The article's case: two VMs boot from it, and one container has its data there.
#[test]
fn a_storages_guests_are_named_by_what_they_have_there() {
    let tree = Files::new(&[
        (
            "storage.cfg",
            "zfspool: local-zfs\n\tpool rpool/data\n\tcontent images,rootdir\n\ndir: local\n\tpath /var/lib/vz\n",
        ),
        ("nodes/pve1/qemu-server/100.conf", VM),
        (
            "nodes/pve2/qemu-server/101.conf",
            "virtio0: local-zfs:vm-101-disk-0\nide2: local:iso/x.iso,media=cdrom\n",
        ),
        (
            "nodes/pve1/lxc/102.conf",
            "rootfs: local:102/vm-102-disk-0.raw\nmp0: local-zfs:subvol-102-disk-1,mp=/srv\n",
        ),
        // Only an old snapshot still has something there.
        (
            "nodes/pve1/qemu-server/103.conf",
            "scsi0: local:103/vm-103-disk-0.qcow2\nparent: old\n\n[old]\nscsi0: local:103/vm-103-disk-0.qcow2\n\
             scsi1: local-zfs:vm-103-disk-1\nvmstate: local-zfs:vm-103-state-old\n",
        ),
        (
            "nodes/pve1/qemu-server/104.conf",
            "scsi0: local:104/a.raw\nvmstatestorage: local-zfs\n[PENDING]\nscsi1: local-zfs:vm-104-disk-9\n",
        ),
        // A description and a name say it, and nothing else does.
        (
            "nodes/pve1/lxc/105.conf",
            "#rootfs: local-zfs:x\nhostname: local-zfs\nrootfs: local:105/vm-105-disk-0.raw\n",
        ),
        ("nodes/pve1/lxc/106.conf", "rootfs: local-zfs2:subvol-106-disk-0\n"),
    ]);
    let index = tree.read();
    let found = index.on_storage("local-zfs").whole().unwrap();
    assert_eq!(found.guests(Role::Boot).collect::<Vec<_>>(), [100, 101]);
    assert_eq!(found.guests(Role::Data).collect::<Vec<_>>(), [102, 104]);
    let of = |vmid| {
        found
            .uses
            .iter()
            .filter(move |one| one.guest == vmid)
            .map(|one| one.using.clone())
            .collect::<Vec<_>>()
    };
    let old = || "old".into();
    assert_eq!(of(103), [Using::SnapshotState(old()), Using::SnapshotOnly(old()), Using::SnapshotOn(old())]);
    assert!(matches!(of(104)[..], [Using::Disk { pending: true, .. }, Using::SuspendsTo]));
    assert!(of(105).is_empty() && of(106).is_empty());
    assert!(index.on_storage("nowhere").whole().unwrap().is_empty());
}

#[test]
fn one_place_under_two_names_is_told() {
    let tree = Files::new(&[(
        "storage.cfg",
        "nfs: a\n\tserver x\n\texport /e\n\tpath /mnt/pve/a\n\nnfs: b\n\tserver x\n\texport /e\n\tpath /mnt/pve/b\n\n\
         nfs: c\n\tserver y\n\texport /e\n\nlvm: thick\n\tvgname v\n\tbase san:lun1\n\niscsi: san\n\ttarget iqn\n\tportal p\n",
    )]);
    let index = tree.read();
    assert_eq!(index.on_storage("a").whole().unwrap().twins, ["b"]);
    assert_eq!(index.on_storage("san").whole().unwrap().stands, ["thick"]);
    assert!(index.storage("local").is_some(), "PVE has it without being told");
}

#[test]
fn a_bridge_has_those_of_the_virtual_networks_on_it_too() {
    let tree = Files::new(&[
        ("sdn/zones.cfg", "vlan: z1\n\tbridge vmbr0\n\nsimple: z2\n\tnodes pve2\n"),
        ("sdn/vnets.cfg", "vnet: v1\n\tzone z1\n\ttag 9\n\nvnet: v2\n\tzone z2\n"),
        ("nodes/pve1/qemu-server/100.conf", VM),
        ("nodes/pve1/lxc/101.conf", "net0: name=eth0,bridge=v1\n"),
        ("nodes/pve1/lxc/102.conf", "net0: name=eth0,bridge=v2\n"),
        ("nodes/pve2/lxc/103.conf", "net0: name=eth0,bridge=vmbr0\n"),
    ]);
    let index = tree.read();
    let on = |node| {
        index.on_bridge("vmbr0", node).whole().unwrap().iter().map(|net| net.guest).collect::<Vec<_>>()
    };
    assert_eq!(on(None), [100, 103, 101]);
    assert_eq!(on(Some("pve1")), [100, 101]);
    assert_eq!(index.in_zone("z2").whole().unwrap()[0].guest, 102);
    let lacks = index.lacks(index.guest(102).next().unwrap(), "pve1").whole().unwrap();
    assert_eq!(lacks, [Lack::Zone("z2".into())]);
}

#[test]
fn grants_follow_pves_rules() {
    let tree = Files::new(&[(
        "user.cfg",
        "user:a@pve:1:0::::::\nuser:b@pve:1:0::::::\ntoken:a@pve!full:0:0::\ntoken:a@pve!own:0:1::\ngroup:g:a@pve,b@pve::\n\
         pool:p::100:st:\nacl:1:/:@g:PVEAuditor:\nacl:0:/vms:a@pve:PVEVMUser:\nacl:1:/vms/100:@g:NoAccess,PVEVMAdmin:\n\
         acl:1:/pool/p:b@pve:PVEAdmin:\nacl:1:/storage:b@pve:PVEDatastoreUser:\nacl:1:/vms/101:a@pve!own:PVEVMUser:\n",
    )]);
    let index = tree.read();
    let roles = |who: &str, path: &str| -> Vec<String> {
        index.granted_to(who, path).whole().unwrap().iter().map(|grant| grant.role.to_string()).collect()
    };
    assert_eq!(findings(&index), [""; 0]);
    // A role without propagation holds at its own path alone, and there in place of what comes from above.
    assert_eq!(roles("a@pve", "/vms"), ["PVEVMUser"]);
    assert_eq!(roles("a@pve", "/vms/101"), ["PVEAuditor"]);
    assert_eq!(roles("a@pve", "/vms/100"), ["NoAccess"]);
    assert_eq!(roles("b@pve", "/vms/100"), ["NoAccess"], "what a pool gives does not lift it");
    assert_eq!(roles("b@pve", "/storage/st"), ["PVEDatastoreUser", "PVEAdmin"]);
    assert_eq!(roles("a@pve!full", "/vms/101"), ["PVEAuditor"]);
    assert_eq!(roles("a@pve!own", "/vms/101"), ["PVEVMUser"]);
    assert_eq!(roles("root@pam", "/anything"), ["Administrator"]);
}

#[test]
fn a_name_in_a_firewall_is_the_nearest_one() {
    let tree = Files::new(&[
        (
            "firewall/cluster.fw",
            "[ALIASES]\nOffice 192.0.2.0/24 # all\n[IPSET ops]\noffice\n!192.0.2.9\n[RULES]\n|IN SSH(ACCEPT) -source dc/office,10.0.0.1\n\
             [group web]\nIN ACCEPT -source +ops -p tcp -dport 443\n",
        ),
        (
            "firewall/100.fw",
            "[ALIASES]\noffice 198.51.100.1\n[RULES]\nIN ACCEPT -source office\nIN DROP -source dc/office\nGROUP web -i net0\n",
        ),
        ("firewall/101.fw", "[RULES]\nIN ACCEPT -source office\nIN ACCEPT -source +guest/ops\n"),
        ("nodes/pve1/host.fw", "[RULES]\n|GROUP web\n"),
    ]);
    let index = tree.read();
    let uses = |all: Vec<provost::estate::FirewallUse>| {
        all.into_iter().map(|one| (one.scope, one.within, one.enabled)).collect::<Vec<_>>()
    };
    assert_eq!(
        uses(index.users_of_alias(&Scope::Cluster, "office").whole().unwrap()),
        [
            (Scope::Cluster, Within::Rule(0), false),
            (Scope::Guest(100), Within::Rule(1), true),
            (Scope::Guest(101), Within::Rule(0), true),
            (Scope::Cluster, Within::Set("ops".into()), true),
        ]
    );
    let own = uses(index.users_of_alias(&Scope::Guest(100), "office").whole().unwrap());
    assert_eq!(own, [(Scope::Guest(100), Within::Rule(0), true)]);
    let set = uses(index.users_of_set(&Scope::Cluster, "ops").whole().unwrap());
    assert_eq!(set, [(Scope::Cluster, Within::GroupRule("web".into(), 0), true)]);
    let group = uses(index.users_of_group("web").whole().unwrap());
    assert_eq!(
        group,
        [(Scope::Node("pve1".into()), Within::Rule(0), false), (Scope::Guest(100), Within::Rule(2), true)]
    );
}

#[test]
fn backup_jobs_take_whom_they_say() {
    let tree = Files::new(&[
        (
            "jobs.cfg",
            "vzdump: all\n\tall 1\n\texclude 101\n\tstorage bk\n\tnode pve1\n\nvzdump: listed\n\tvmid 101,102\n\tenabled 0\n\n\
             vzdump: pooled\n\tpool p\n\nvzdump: none\n\tschedule daily\n\nrealm-sync: other\n\trealm x\n",
        ),
        ("user.cfg", "pool:p::101,103::\n"),
        (
            "nodes/pve1/lxc/100.conf",
            "rootfs: a:subvol-100-disk-0\nmp0: a:subvol-100-disk-1,mp=/d\nmp1: /srv,mp=/s\n",
        ),
        ("nodes/pve1/lxc/101.conf", "rootfs: a:subvol-101-disk-0\n"),
        ("nodes/pve2/lxc/102.conf", "rootfs: a:subvol-102-disk-0\n"),
    ]);
    let index = tree.read();
    let by = |vmid| {
        let covered = index.backups_of(index.guest(vmid).next().unwrap()).whole().unwrap();
        covered.by.iter().map(|cover| cover.job.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        (by(100), by(101), by(102)),
        (vec!["all".into()], vec!["listed".into(), "pooled".into()], vec!["listed".into()])
    );
    let left: Vec<_> = index.backups_of(index.guest(100).next().unwrap()).whole().unwrap().left_out;
    assert_eq!(left.iter().map(|slot| slot.name()).collect::<Vec<_>>(), ["mp0", "mp1"]);
    assert_eq!(
        index.only_backed_up_by("pooled").whole().unwrap(),
        [101],
        "the other job that names it is off"
    );
    assert_eq!(index.guests_of_pool("p").whole().unwrap(), [101], "103 is not there any more");
}

#[test]
fn what_could_not_be_seen_stands_beside_the_answer() {
    let tree = Files::new(&[
        ("nodes/pve1/qemu-server/100.conf", VM),
        ("nodes/pve1/qemu-server/101.conf", "scsi0: what/ever\n"),
        ("vzdump.cron", "0 1 * * 6 root vzdump 100 --storage bk\n"),
    ]);
    let index = tree.read();
    let answer = index.on_storage("other");
    assert!(answer.at_least().is_empty());
    assert!(
        matches!(&answer.unseen()[0].what, What::Value(key) if &**key == "scsi0"),
        "{:?}",
        answer.unseen()
    );
    assert!(answer.whole().is_err(), "nobody can say that nothing is there");
    assert!(
        index.backups_of(index.guest(100).next().unwrap()).whole().is_err(),
        "a job stands where it cannot be read"
    );
    assert!(index.granted("/").is_whole(), "that rests on neither");
}
