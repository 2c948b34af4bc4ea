//! The token goes to the holder of the pinned certificate's key, and to nobody else.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio_rustls::rustls::version::{TLS12, TLS13};

use super::super::{CertificateError, PveError};
use super::server::{Identity, Server, ok};
use super::{Node, SECRET, read};

fn holds_secret(bytes: &[u8]) -> bool {
    bytes.windows(8).any(|eight| eight == &SECRET.as_bytes()[..8])
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken_with_the_pinned_leaf() {
    for version in [&TLS12, &TLS13] {
        let mut node = Node::new();
        node.identity = Identity::speaking(&[version]);
        std::fs::write(&node.options.certificate, &node.identity.pem).unwrap();
        let server = Server::tls(&node.identity, |_| ok("1")).await;
        let (_node, client) = node.client_of(&server);
        client.get(&read("/version")).await.unwrap();
        client.get(&read("/version")).await.unwrap();
        assert_eq!(server.log.accepted(), 1, "kept");
    }
}

#[tokio::test]
async fn another_certificate_is_told_nothing_and_both_are_named() {
    let node = Node::new();
    let server = Server::tls(&Identity::new(), |_| ok("1")).await;
    let (node, client) = node.client_of(&server);
    let error = client.get(&read("/version")).await.unwrap_err();
    let PveError::Certificate(CertificateError::Mismatch { path, pinned, presented, .. }) = &error else {
        panic!("{error}")
    };
    assert_eq!(path, &node.options.certificate);
    assert!(pinned != presented && pinned.len() == 95 && presented.len() == 95, "{error}");
    assert!(server.log.lines().is_empty() && !holds_secret(&server.log.raw.lock().unwrap()));
}

#[tokio::test]
async fn the_certificate_without_its_key_is_told_nothing() {
    let node = Node::new();
    let server = Server::tls(&node.identity.with_stolen_certificate(), |_| ok("1")).await;
    let (_node, client) = node.client_of(&server);
    let error = client.get(&read("/version")).await.unwrap_err();
    assert!(matches!(error, PveError::NotSent { .. }), "{error}");
    assert!(server.log.lines().is_empty());
}

#[tokio::test]
async fn a_server_without_tls_is_told_nothing() {
    let node = Node::new();
    let server = Server::plain(|_| ok("1")).await;
    let mut node = node;
    node.options.url = format!("https://127.0.0.1:{}", server.port);
    let error = node.client().get(&read("/version").within(Duration::from_secs(1))).await.unwrap_err();
    assert!(matches!(error, PveError::NotSent { .. }), "{error}");
    assert!(!holds_secret(&server.log.raw.lock().unwrap()));
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_up_at_once() {
    let node = Node::new();
    let serving = Arc::new(Mutex::new(node.identity.clone()));
    let server = Server::start(Some(serving.clone()), Duration::from_secs(5), |_| {
        // Each answer is the connection's last, so that each call makes a handshake.
        let close = "Content-Type: application/json\r\nConnection: close\r\n";
        super::server::Act::Last(super::server::with_headers("200 OK", close, "{\"data\":1}"))
    })
    .await;
    let (node, client) = node.client_of(&server);
    client.get(&read("/version")).await.unwrap();
    // As PVE does: another file in its place, then the daemon.
    let renewed = Identity::new();
    let next = node.place.path().join("next");
    std::fs::write(&next, &renewed.pem).unwrap();
    std::fs::rename(&next, &node.options.certificate).unwrap();
    *serving.lock().unwrap() = renewed;
    client.get(&read("/version")).await.unwrap();
    // Renewed in the file alone: the old one is not good any more.
    std::fs::write(&node.options.certificate, Identity::new().pem).unwrap();
    // The file is looked at now and then.
    let until = Instant::now() + Duration::from_secs(10);
    let error = loop {
        match client.get(&read("/version")).await {
            Err(error) => break error,
            Ok(_) => assert!(Instant::now() < until, "the old one goes on being good"),
        }
    };
    assert!(error.to_string().contains("reload pveproxy"), "{error}");
}

#[tokio::test]
async fn a_file_without_a_certificate_opens_no_connection() {
    let server = Server::tls(&Identity::new(), |_| ok("1")).await;
    for content in [None, Some(""), Some("not PEM"), Some("-----BEGIN CERTIFICATE-----\nAAAA")] {
        let mut node = Node::new();
        node.options.url = server.url();
        match content {
            Some(text) => std::fs::write(&node.options.certificate, text).unwrap(),
            None => std::fs::remove_file(&node.options.certificate).unwrap(),
        }
        let error = node.client().get(&read("/version")).await.unwrap_err();
        assert!(matches!(error, PveError::Certificate(_)), "{error}");
        assert!(error.to_string().contains("pve-ssl.pem"), "{error}");
    }
    assert_eq!(server.log.accepted(), 0);
}
