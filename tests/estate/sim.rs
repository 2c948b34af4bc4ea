//! The simulated cluster: its tree and its API tell the same, and its changes are followed.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use provost::estate::finding::What;
use provost::estate::guest::Guest;
use provost::estate::{Api, Index, Refused, Tree, refresh};
use provost::sim::estate::{Estate, demo, recorded};
use provost::sim::{Options, Sim};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::Value;

use crate::real::check;
use crate::tree::{findings, read};

async fn start(estate: Estate) -> (Sim, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Sim::start(Options::new(dir.path(), estate)).await.unwrap(), dir)
}

/// By pveproxy, which forwards to the other nodes; a connection each. It blocks: the source is read by threads.
fn fetch(
    address: String,
    certificate: &Path,
    token: String,
) -> impl Fn(&str) -> Result<Value, Refused> + Send + Sync + use<> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    move |path| {
        let failed = |error: std::io::Error| Refused::Failed(error.to_string());
        let name = ServerName::try_from("localhost").unwrap();
        let session = ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut stream = StreamOwned::new(session, TcpStream::connect(&address).map_err(failed)?);
        let request = format!(
            "GET /api2/json{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: PVEAPIToken={token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).map_err(failed)?;
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            // It closes without a farewell, as pveproxy does.
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => return Err(failed(error)),
            _ => {}
        }
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) =
            answer.split_once("\r\n\r\n").ok_or_else(|| Refused::Failed("no answer".into()))?;
        match head.split(' ').nth(1) {
            Some("200") => {
                let body: Value =
                    serde_json::from_str(body).map_err(|error| Refused::Failed(error.to_string()))?;
                Ok(body["data"].clone())
            }
            Some("401" | "403") => Err(Refused::Denied),
            Some("501" | "404") => Err(Refused::Absent),
            _ => Err(Refused::Failed(format!("{head}{body}"))),
        }
    }
}

async fn by_api(sim: &Sim, token: &str) -> Arc<Index> {
    let token = std::fs::read_to_string(sim.token.with_file_name(token)).unwrap().trim().to_owned();
    let address = sim.url.trim_start_matches("https://").to_owned();
    let source = Api::new(fetch(address, &sim.certificate, token));
    tokio::task::spawn_blocking(move || refresh(&source, None)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_of_the_recorded_node_is_read_to_the_last_fact() {
    let (sim, _dir) = start(recorded()).await;
    check(&read(&sim.etc_pve));
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
