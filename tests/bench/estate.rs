//! What the estate costs: 10,000 guests on 20 nodes read from a plain tree, one of them changed, and a storage's users
//! asked for. Beside it as many guests of a simulated cluster, in a process of its own: from its tree, and as whoever has
//! no tree must read them, each configuration by a GET of its own on kept connections.
//!
//! ```sh
//! cargo bench --no-default-features --features sim --bench estate
//! ```
//!
//! The tree is made in a temporary folder, with counters as pmxcfs keeps them; `$TMPDIR` on a RAM disk leaves the disk out
//! of it. `--strict` makes a missed promise the exit code. A real pmxcfs takes a quarter of a second for the reading alone.

#[allow(dead_code)]
mod bare;
#[allow(dead_code)]
mod report;
#[allow(dead_code)]
mod samples;
#[allow(dead_code)]
mod session;
#[allow(dead_code)]
mod site;

use std::cell::RefCell;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use provost::catalog::{Catalog, Method, Release};
use provost::estate::guest::Role;
use provost::estate::{Api, Index, Object, Refused, Tree, refresh};
use provost::plan::blast::View;
use provost::plan::{Observed, Request, radius};
use report::{Promise, promises, table};
use site::Cluster;

const GUESTS: u32 = 10_000;
const NODES: u32 = 20;
const ROUNDS: usize = 20;

/// Readings by the API: each takes seconds.
const BY_API: usize = 3;

fn main() -> ExitCode {
    if let Some(ended) = site::be_the_cluster() {
        return ended.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let root = directory.path();
    write(root);
    let tree = Tree::new(root);

    // Before all else, while nothing was allocated that could be used again.
    let rest = resident();
    let index = refresh(&tree, None);
    let grown = resident() - rest;
    assert_eq!(index.guests().len(), GUESTS as usize);
    assert_eq!(index.findings().count(), 0);
    for round in 0..ROUNDS {
        publish(root, &[(100, round as u64 + 2)]);
        black_box(refresh(&tree, Some(&index)));
    }
    let kept = resident() - rest;

    let cold = quantiles(|_| drop(black_box(refresh(&tree, None))));
    let mut last = Arc::clone(&index);
    let mut version: u64 = 1000;
    let one = quantiles_after(
        || {
            version += 1;
            let vmid = 100 + (version as u32 * 37) % GUESTS;
            fs::write(root.join(config_file(vmid)), config(vmid, "changed")).expect("a configuration");
            publish(root, &[(vmid, version)]);
        },
        || last = refresh(&tree, Some(&last)),
    );
    let still = quantiles(|_| drop(black_box(refresh(&tree, Some(&last)))));
    let blast = quantiles(|round| {
        let found = index.on_storage(&format!("store{}", round % 30)).whole().expect("all of it");
        assert!(found.guests(Role::Boot).count() > 100);
    });
    let hit = quantiles(goes(&index));
    let edges = quantiles(|round| {
        let storage = format!("store{}", round % 30);
        assert!(index.dependents(Object::Storage(&storage)).whole().expect("all of it").len() > 100);
    });
    let clones = quantiles(|_| drop(black_box(index.linked_clones(9000))));
    let tags = quantiles(|_| drop(black_box(index.guests_of_tag("tag3"))));

    let row = |what: &str, [least, middle, most]: [Duration; 3]| {
        [
            what.to_owned(),
            format!("{:.2}", ms(least)),
            format!("{:.2}", ms(middle)),
            format!("{:.2}", ms(most)),
        ]
    };
    table(
        "10,000 guests on 20 nodes, in ms",
        ["", "least", "p50", "p95"],
        vec![
            row("read from nothing", cold),
            row("one guest changed", one),
            row("nothing changed", still),
            row("what is on a storage", blast),
            row("who is hit when it goes", hit),
            row("edges into a storage", edges),
            row("linked clones of a template", clones),
            row("guests of a tag", tags),
        ],
    );
    let [tree, api] = both_ways().expect("a simulated cluster");
    table(
        "As many guests of a simulated cluster, in ms",
        ["", "least", "p50", "p95"],
        vec![row("from its tree", tree), row("by its API", api)],
    );
    println!(
        "\nResident: {:.1} MiB more with one index, {:.1} MiB after {ROUNDS} more.",
        mib(grown),
        mib(kept)
    );
    let kept = promises(&[
        Promise::at_most("estate of 10,000 guests, cold: p50", 150.0, Some(ms(cold[1]))).in_unit("ms"),
        Promise::at_most("one guest of them changed: p50", 10.0, Some(ms(one[1]))).in_unit("ms"),
        Promise::at_most("what is on a storage: p50", 10.0, Some(ms(blast[1]))).in_unit("ms"),
        Promise::at_most("who is hit when a storage goes: p50", 10.0, Some(ms(hit[1]))).in_unit("ms"),
        Promise::at_most("the process grows by", 40.0, Some(mib(kept))).in_unit("MiB"),
    ]);
    drop(index);
    if env::args().any(|argument| argument == "--strict") && !kept {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// The whole blast radius of a storage that is removed.
fn goes(index: &Arc<Index>) -> impl FnMut(usize) {
    let catalog = Catalog::embedded(Release::LATEST);
    let status = index.guests().map(|guest| (guest.vmid, "running".to_owned())).collect();
    let view = View { estate: Some(Arc::clone(index)), status: Some(status), ..View::default() };
    let observed = Observed { subject: None, digest: None, guest: None, taken: None };
    let requests: Vec<Request> = (0..30)
        .map(|number| {
            let path = format!("/storage/store{number}");
            Request::of(&catalog, Method::Delete, &path, Default::default(), Vec::new()).expect("a request")
        })
        .collect();
    move |round| {
        let found = radius(&catalog, &requests[round % 30], &observed, &view);
        assert!(found.hits.len() > 100 && found.not_seen.is_empty());
    }
}

/// The same cluster read from its tree and by its API: what is found is the same guests.
fn both_ways() -> std::io::Result<[[Duration; 3]; 2]> {
    let cluster = Cluster::start(GUESTS)?;
    let fetch = |path: &str| {
        thread_local!(static KEPT: RefCell<Option<bare::Bare>> = const { RefCell::new(None) });
        KEPT.with_borrow_mut(|kept| {
            let failed = |error: std::io::Error| Refused::Failed(error.to_string());
            let connection = match kept {
                Some(connection) => connection,
                None => kept.insert(bare::Bare::connect(&cluster).map_err(failed)?),
            };
            connection.renew().map_err(failed)?;
            let request = connection.request(path);
            let body = connection.body(&request).inspect_err(|_| *kept = None).map_err(failed)?;
            let mut answer: serde_json::Value =
                serde_json::from_slice(&body).map_err(|error| failed(error.into()))?;
            Ok(answer["data"].take())
        })
    };
    let (tree, api) = (Tree::new(cluster.tree()), Api::new(fetch));
    let guests = |index: &Index| index.guests().len();
    // A template among them.
    let all = guests(&refresh(&tree, None));
    assert!(all >= GUESTS as usize);
    let from_tree = quantiles(|_| drop(black_box(refresh(&tree, None))));
    let mut times: Vec<Duration> = (0..BY_API)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(guests(&refresh(&api, None)), all);
            start.elapsed()
        })
        .collect();
    times.sort();
    Ok([from_tree, [times[0], times[BY_API / 2], times[BY_API - 1]]])
}

fn node(vmid: u32) -> u32 {
    vmid % NODES + 1
}

fn is_container(vmid: u32) -> bool {
    vmid % 5 < 2
}

fn config_file(vmid: u32) -> String {
    let folder = if is_container(vmid) { "lxc" } else { "qemu-server" };
    format!("nodes/pve{}/{folder}/{vmid}.conf", node(vmid))
}

/// Of the length that a real one has, near a kilobyte with a snapshot.
fn config(vmid: u32, name: &str) -> String {
    let (one, two) = (vmid % 30, (vmid / 7) % 30);
    if is_container(vmid) {
        return format!(
            "#managed by us%3A see the wiki\narch: amd64\ncores: 2\nfeatures: nesting=1\nhostname: {name}-{vmid}\nmemory: 1024\n\
             mp0: store{two}:subvol-{vmid}-disk-1,mp=/data,backup=1,size=32G\n\
             net0: name=eth0,bridge=vmbr0,firewall=1,gw=192.0.2.1,hwaddr=BC:24:11:00:00:01,ip=192.0.2.9/24,tag={one},type=veth\n\
             onboot: 1\nostype: debian\nrootfs: store{one}:subvol-{vmid}-disk-0,size=8G\nswap: 512\ntags: tag{one};prod\nunprivileged: 1\n"
        );
    }
    let disk = if vmid.is_multiple_of(10) {
        format!("store{one}:9000/base-9000-disk-0.qcow2/{vmid}/vm-{vmid}-disk-0.qcow2")
    } else {
        format!("store{one}:vm-{vmid}-disk-0")
    };
    let body = format!(
        "agent: 1\nboot: order=scsi0;ide2;net0\ncipassword: $5$abc$def\nciuser: ops\ncores: 4\ncpu: x86-64-v2-AES\n\
         ide2: store{one}:vm-{vmid}-cloudinit,media=cdrom,size=4M\nipconfig0: ip=dhcp\nmemory: 4096\n\
         meta: creation-qemu=10.1.2,ctime=1790000000\nname: {name}-{vmid}\n\
         net0: virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1,tag={one}\nnuma: 0\nonboot: 1\nostype: l26\n\
         scsi0: {disk},discard=on,iothread=1,size=32G,ssd=1\nscsi1: store{two}:vm-{vmid}-disk-1,iothread=1,size=100G\n\
         scsihw: virtio-scsi-single\nsmbios1: uuid=0bc90ac8-11ae-4258-b898-87edc72c5b8a\nsockets: 1\ntags: tag{one};prod\n\
         vmgenid: 0bc90ac8-11ae-4258-b898-87edc72c5b8a\n"
    );
    if vmid.is_multiple_of(3) {
        format!("parent: before\n{body}\n[before]\n{body}snaptime: 1790000000\n")
    } else {
        body
    }
}

fn write(root: &Path) {
    for number in 1..=NODES {
        for folder in ["lxc", "qemu-server"] {
            fs::create_dir_all(root.join(format!("nodes/pve{number}/{folder}"))).expect("a node's folders");
        }
    }
    let put = |file: &str, text: &str| {
        let path = root.join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    (100..100 + GUESTS).for_each(|vmid| put(&config_file(vmid), &config(vmid, "guest")));
    // A tenth has a firewall of its own.
    (100..100 + GUESTS).step_by(10).for_each(|vmid| {
        let text = "[OPTIONS]\n\nenable: 1\npolicy_in: DROP\n\n[RULES]\n\nGROUP web -i net0\nIN SSH(ACCEPT) -source +admins\n";
        put(&format!("firewall/{vmid}.fw"), text);
    });
    put(
        "firewall/cluster.fw",
        "[OPTIONS]\n\nenable: 1\n\n[IPSET admins]\n\n192.0.2.0/24\n\n[group web]\n\nIN ACCEPT -p tcp -dport 443\n",
    );
    let storages = (0..30)
        .map(|number| format!("zfspool: store{number}\n\tpool tank/{number}\n\tcontent images,rootdir\n\n"));
    put("storage.cfg", &storages.collect::<String>());
    let mut users = String::new();
    for number in 0..100 {
        let _ = writeln!(users, "user:user{number}@pve:1:0::::::");
        let members =
            (0..100).map(|place| (100 + number * 100 + place).to_string()).collect::<Vec<_>>().join(",");
        let _ = writeln!(
            users,
            "pool:pool{number}::{members}::\nacl:1:/pool/pool{number}:user{number}@pve:PVEVMUser:"
        );
    }
    put("user.cfg", &users);
    put("jobs.cfg", "vzdump: nightly\n\tall 1\n\tstorage store0\n\tschedule 01:00\n\n");
    publish(root, &[]);
}

/// The counters, these guests' beside.
fn publish(root: &Path, changed: &[(u32, u64)]) {
    let vmlist = changed.iter().map(|(_, version)| *version).max().unwrap_or(1);
    let mut list = format!("{{\n\"version\": {vmlist},\n\"ids\": {{\n");
    for vmid in 100..100 + GUESTS {
        let version = changed.iter().find(|(changed, _)| *changed == vmid).map_or(1, |(_, version)| *version);
        let kind = if is_container(vmid) { "lxc" } else { "qemu" };
        let comma = if vmid == 100 { "" } else { ",\n" };
        let _ = write!(
            list,
            "{comma}\"{vmid}\": {{ \"node\": \"pve{}\", \"type\": \"{kind}\", \"version\": {version} }}",
            node(vmid)
        );
    }
    list.push_str("}\n\n}\n");
    let counted = ["storage.cfg", "user.cfg", "jobs.cfg", "firewall/cluster.fw"]
        .map(|file| format!("\"{file}\": 1,\n"));
    let versions = format!(
        "{{\n\"starttime\": 7,\n\"clinfo\": 0,\n\"vmlist\": {vmlist},\n{}\"kvstore\": {{}}\n}}\n",
        counted.concat()
    );
    fs::write(root.join(".vmlist"), list).expect("the list");
    fs::write(root.join(".version"), versions).expect("the counters");
}

/// The least, the middle, and what 95 of 100 do not exceed.
fn quantiles(mut run: impl FnMut(usize)) -> [Duration; 3] {
    let mut round = 0;
    quantiles_after(
        || (),
        || {
            run(round);
            round += 1;
        },
    )
}

fn quantiles_after(mut before: impl FnMut(), mut run: impl FnMut()) -> [Duration; 3] {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            before();
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort();
    [times[0], times[ROUNDS / 2], times[ROUNDS * 95 / 100]]
}

/// Bytes.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("the process's own status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its size");
    line.trim().trim_end_matches(" kB").trim().parse::<f64>().expect("a number") * 1024.0
}

fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
