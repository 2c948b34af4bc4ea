//! Whom a call goes to.

use std::time::{Duration, Instant};

use super::super::PveError;
use super::server::{Act, Server, answer, ok, with_headers};
use super::{Node, post, read, write_token};

#[tokio::test]
async fn this_nodes_own_methods_go_to_pvedaemon_and_the_rest_to_pveproxy() {
    let mut node = Node::new();
    let daemon = Server::plain(|_| ok("1")).await;
    let proxy = Server::tls(&node.identity, |_| ok("2")).await;
    (node.options.daemon, node.options.url) = (daemon.url(), proxy.url());
    let client = node.client();
    let asked = async |request| client.get(&request).await.unwrap().data::<u32>().unwrap();
    assert_eq!(asked(read("/version")).await, 1);
    assert_eq!(asked(read("/nodes/pve1/lxc")).await, 1);
    assert_eq!(asked(read("/nodes/localhost/lxc")).await, 1);
    assert_eq!(asked(read("/nodes/pve2/lxc")).await, 2);
    assert_eq!(asked(read("/cluster/sdn/dry-run").on_node("pve3").unwrap()).await, 2);
    assert_eq!(asked(read("/cluster/sdn/dry-run").on_node("pve1").unwrap()).await, 1);
    assert_eq!(asked(read("/nodes/pve1/lxc").through_proxy()).await, 2);
    assert_eq!(client.send(post("/nodes/pve1/lxc")).await.unwrap().data::<u32>().unwrap(), 1);
    node.options.daemon = String::new();
    assert_eq!(node.client().get(&read("/version")).await.unwrap().data::<u32>().unwrap(), 2);
}

#[tokio::test]
async fn without_pvedaemon_pveproxy_is_asked_for_a_while() {
    let proxy = Server::plain(|_| ok("2")).await;
    // A port that is free, for pvedaemon to come to later.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut node = Node::new();
    (node.options.daemon, node.options.url) = (format!("http://127.0.0.1:{port}"), proxy.url());
    node.options.limits.away = Duration::from_millis(100);
    let client = node.client();
    assert_eq!(client.get(&read("/version")).await.unwrap().data::<u32>().unwrap(), 2);
    assert_eq!(client.send(post("/nodes/pve1/lxc")).await.unwrap().data::<u32>().unwrap(), 2);
    assert_eq!(proxy.log.lines().len(), 2, "each once");
    let came = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let serving = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = came.accept().await.unwrap();
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).await.unwrap();
        stream.write_all(&answer("200 OK", "{\"data\":1}")).await.unwrap();
        let _ = stream.read(&mut head).await;
    });
    let until = Instant::now() + Duration::from_secs(10);
    while client.get(&read("/version")).await.unwrap().data::<u32>().unwrap() != 1 {
        assert!(Instant::now() < until, "pvedaemon is not found again");
    }
    serving.abort();
}

#[tokio::test]
async fn a_pvedaemon_that_got_a_write_is_not_gone_around() {
    let proxy = Server::plain(|_| ok("2")).await;
    let daemon = Server::plain(|_| Act::Reset).await;
    let mut node = Node::new();
    (node.options.daemon, node.options.url) = (daemon.url(), proxy.url());
    let error = node.client().send(post("/nodes/pve1/lxc")).await.unwrap_err();
    assert!(matches!(error, PveError::MayHaveHappened { .. }), "{error}");
    assert!(proxy.log.lines().is_empty());
}

#[tokio::test]
async fn the_nodes_name_is_found_by_the_link_or_the_api() {
    let rows = r#"[{"type":"cluster","name":"c","nodes":2},{"type":"node","name":"pve7","local":"1","id":"node/pve7"},{"type":"node","name":"pve8","local":0}]"#;
    let daemon = Server::plain(move |seen| match seen.line().ends_with("/cluster/status") {
        true => ok(rows),
        false => ok("1"),
    })
    .await;
    let mut node = Node::new();
    node.options.daemon = daemon.url();
    node.options.node = None;
    let client = node.client();
    assert_eq!(client.node().await.unwrap(), "pve7");
    client.get(&read("/nodes/pve7/lxc")).await.unwrap();
    client.get(&read("/nodes/pve7/lxc")).await.unwrap();
    let asked = daemon.log.lines().iter().filter(|line| line.ends_with("/cluster/status")).count();
    assert_eq!(asked, 1, "remembered");
    node.options.etc_pve = node.place.path().to_owned();
    std::os::unix::fs::symlink("nodes/pve9", node.place.path().join("local")).unwrap();
    assert_eq!(node.client().node().await.unwrap(), "pve9");
}

#[tokio::test]
async fn a_token_that_may_not_know_the_nodes_name_falls_back_to_the_hosts() {
    let daemon =
        Server::plain(|_| Act::Send(with_headers("403 Permission check failed (/, Sys.Audit)", "", "")))
            .await;
    let mut node = Node::new();
    node.options.daemon = daemon.url();
    node.options.node = None;
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let client = node.client();
    assert_eq!(client.node().await.unwrap(), host.split('.').next().unwrap());
    client.node().await.unwrap();
    assert_eq!(daemon.log.lines().len(), 1, "asked once");
}

#[tokio::test]
async fn each_token_speaks_for_itself_over_shared_connections() {
    let server = Server::plain(|seen| {
        let token = seen.head.lines().find_map(|line| line.split_once("PVEAPIToken=")).unwrap().1;
        ok(&format!("\"{token}\""))
    })
    .await;
    let (node, client) = Node::new().client_of(&server);
    let other = node.place.path().join("other");
    write_token(&other, "00000000-feed-4bad-8cab-0123456789ab");
    let other = client.for_token(&other);
    for _ in 0..20 {
        let answer = client.get(&read("/x")).await.unwrap();
        assert!(answer.data::<&str>().unwrap().ends_with(super::SECRET));
        let answer = other.get(&read("/x")).await.unwrap();
        assert!(answer.data::<&str>().unwrap().contains("=00000000-"));
    }
    assert_eq!(server.log.accepted(), 1);
}
