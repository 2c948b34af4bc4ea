//! The simulated cluster: its tree and its API tell the same, and its changes are followed.

use provost::estate::finding::What;
use provost::estate::guest::Guest;
use provost::estate::{Api, Index, Refused, Tree, refresh};
use provost::pve::{self, Client, Path, Read};
use provost::sim::estate::{Estate, demo, recorded};
use provost::sim::{Options, Sim};
use serde_json::Value;

use crate::real::check;
use crate::tree::{findings, read};

async fn start(estate: Estate) -> (Sim, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Sim::start(Options::new(dir.path(), estate)).await.unwrap(), dir)
}

/// For a source that is read by threads of its own.
fn fetch(client: Client) -> impl Fn(&str) -> Result<Value, Refused> + Send + Sync {
    let runtime = tokio::runtime::Handle::current();
    move |path| {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let pairs = query.split_once('=');
        let read = Path::parse(path).map(Read::new);
        let read = pairs.into_iter().fold(read, |read, (name, value)| read?.with(name, value));
        let read = read.map_err(|error| Refused::Failed(error.to_string()))?;
        match runtime.block_on(client.get(&read)) {
            Ok(answer) => answer.data().map_err(|error| Refused::Failed(error.to_string())),
            Err(error) => Err(match error.status() {
                Some(401 | 403) => Refused::Denied,
                Some(501 | 404) => Refused::Absent,
                _ => Refused::Failed(error.to_string()),
            }),
        }
    }
}

async fn by_api(sim: &Sim, token: &str) -> std::sync::Arc<Index> {
    let client = Client::new(pve::Options {
        product: provost::product::Product::Pve,
        url: sim.url.clone(),
        daemon: sim.daemon_url.clone(),
        token: sim.token.with_file_name(token),
        certificate: sim.certificate.clone(),
        etc_pve: sim.etc_pve.clone(),
        node: None,
        limits: pve::Limits::default(),
    });
    let source = Api::new(fetch(client.unwrap()));
    tokio::task::spawn_blocking(move || refresh(&source, None)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_of_the_recorded_node_is_read_to_the_last_fact() {
    let (sim, _dir) = start(recorded()).await;
    check(&read(&sim.etc_pve), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_tells_what_the_tree_tells() {
    for estate in [recorded(), demo(60, &[])] {
        let (sim, _dir) = start(estate).await;
        let (tree, api) = (read(&sim.etc_pve), by_api(&sim, "pve-token").await);
        assert_eq!(findings(&tree), [""; 0]);
        let said = findings(&api);
        assert!(said.len() == 1 && said[0].starts_with("firewall: "), "{said:?}");
        // PVE's digest is of the file.
        let facts = |index: &Index| {
            index.guests().map(|guest| Guest { digest: None, ..(**guest).clone() }).collect::<Vec<_>>()
        };
        for (tree, api) in facts(&tree).iter().zip(&facts(&api)) {
            assert_eq!(tree, api);
        }
        assert_eq!(tree.guests().len(), api.guests().len());
        let (tree, api) = (tree.cluster(), api.cluster());
        assert_eq!(tree.storages, api.storages);
        assert_eq!(tree.jobs, api.jobs);
        assert_eq!(tree.resources, api.resources);
        assert_eq!(tree.vnets, api.vnets);
        assert_eq!(tree.subnets, api.subnets);
        assert_eq!(tree.mappings, api.mappings);
        assert_eq!(tree.access.pools, api.access.pools);
        assert_eq!(tree.access.groups, api.access.groups);
        assert_eq!(tree.access.tokens, api.access.tokens);
        assert_eq!(tree.access.roles, api.access.roles);
        let sorted = |acls: &[provost::estate::access::Acl]| {
            let mut acls = acls.to_vec();
            acls.sort();
            acls
        };
        assert_eq!(sorted(&tree.access.acls), sorted(&api.access.acls));
        let scope = provost::estate::firewall::Scope::Cluster;
        assert_eq!(
            tree.firewalls.get(&scope).map(|one| &one.sets),
            api.firewalls.get(&scope).map(|one| &one.sets)
        );
        assert_eq!(
            tree.firewalls.get(&scope).map(|one| &one.groups),
            api.firewalls.get(&scope).map(|one| &one.groups)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_sees_little_does_not_make_the_estate_little() {
    let (sim, _dir) = start(recorded()).await;
    let index = by_api(&sim, "pve-token-agent").await;
    let answer = index.on_storage("fast");
    assert!(answer.unseen().iter().any(|finding| finding.what == What::Denied), "{:?}", answer.unseen());
    assert!(answer.whole().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_cluster_is_followed() {
    let (sim, _dir) = start(demo(60, &[])).await;
    let source = Tree::new(&sim.etc_pve);
    let first = refresh(&source, None);
    let (vmid, from) = first.guests().next().map(|guest| (guest.vmid, guest.node.clone())).unwrap();
    let to = if from == "pve1" { "pve2" } else { "pve1" };
    sim.with_estate(|estate| {
        estate.move_guest(vmid, to);
        if let Some(guest) = estate.guest_mut(vmid) {
            guest.config.insert("tags".into(), "moved".into());
        }
    });
    let second = refresh(&source, Some(&first));
    let now: Vec<&str> = second.guest(vmid).map(|guest| guest.node.as_str()).collect();
    assert_eq!(now, [to]);
    assert_eq!(second.guests_of_tag("moved").whole().unwrap(), [vmid]);
    assert_eq!(second.guests().len(), first.guests().len());
}
