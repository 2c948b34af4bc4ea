//! A write is done once or not at all, or it is said that nobody knows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::{Method, Methods, PveError};
use super::server::{Act, Server, ok};
use super::{Node, post, read};

/// Many writers against a server that closes what is idle at once and resets at random: each write arrived once if it was
/// acknowledged, never if it was said not to be sent, and at most once if nobody knows.
async fn race(tls: bool) {
    let node = Node::new();
    let identity = tls.then(|| Arc::new(std::sync::Mutex::new(node.identity.clone())));
    let server = Server::start(identity, Duration::from_micros(300), |seen| {
        match (seen.connection * 31 + seen.nth * 7) % 23 {
            0 => Act::Reset,
            1 => Act::Last(super::server::answer("200 OK", "{\"data\":null}")),
            2 => Act::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"da".to_vec()),
            _ => ok("null"),
        }
    })
    .await;
    let (_node, client) = node.client_of(&server);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..16u64 {
        let client = client.clone();
        writers.spawn(async move {
            let mut outcomes = vec![];
            for number in 0..100u64 {
                let mark = format!("w{writer}n{number}");
                let write = post("/nodes/pve1/lxc").with("mark", &mark).unwrap();
                outcomes.push((mark, client.send(write).await));
                // Around the moment at which the server closes.
                tokio::time::sleep(Duration::from_micros((writer * 97 + number * 53) % 700)).await;
            }
            outcomes
        });
    }
    let outcomes: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    let mut arrived: HashMap<String, usize> = HashMap::new();
    for seen in server.log.seen.lock().unwrap().iter() {
        *arrived.entry(seen.body.strip_prefix("mark=").unwrap().to_owned()).or_default() += 1;
    }
    let (mut acknowledged, mut unknown, mut unsent) = (0, 0, 0);
    for (mark, outcome) in &outcomes {
        let times = arrived.get(mark).copied().unwrap_or(0);
        match outcome {
            Ok(_) => {
                acknowledged += 1;
                assert_eq!(times, 1, "{mark} was acknowledged");
            }
            Err(PveError::MayHaveHappened { why, .. }) => {
                unknown += 1;
                assert!(!why.contains("no whole answer"), "{mark} hung: {why}");
                assert!(times <= 1, "{mark} is unknown, and arrived {times} times");
            }
            Err(PveError::NotSent { why, .. }) => {
                unsent += 1;
                assert!(!why.contains(" in "), "{mark} hung: {why}");
                assert_eq!(times, 0, "{mark} was said not to be sent");
            }
            Err(other) => panic!("{mark}: {other}"),
        }
    }
    println!(
        "tls {tls}: {acknowledged} acknowledged, {unknown} unknown, {unsent} not sent, {} connections",
        server.log.accepted()
    );
    assert_eq!(outcomes.len(), 1600);
    assert!(
        acknowledged > 800 && unknown > 0,
        "the race was none: {acknowledged} acknowledged, {unknown} unknown"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writes_that_race_with_closing_are_neither_doubled_nor_lost() {
    race(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nor_over_tls() {
    race(true).await;
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_not_repeated() {
    type Make = fn() -> Act;
    let cases: [(&str, Make); 6] = [
        ("cut before the answer", || Act::Reset),
        ("cut in the body", || {
            Act::Last(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{\"da"
                    .to_vec(),
            )
        }),
        ("no answer", || Act::Hang),
        ("garbage", || Act::Last(b"\x00\x01\x02 what?\r\n\r\n".to_vec())),
        ("a page", || {
            Act::Send(super::server::with_headers("200 OK", "Content-Type: text/html\r\n", "<html>"))
        }),
        ("a proxy's loss", || {
            Act::Send(super::server::answer("596 Connection timed out", "{\"data\":null}"))
        }),
    ];
    for (case, act) in cases {
        let server = Server::plain(move |_| act()).await;
        let (_node, client) = Node::new().client_of(&server);
        let write = post("/nodes/pve1/lxc/101/snapshot").with("snapname", "a").unwrap();
        let error = client.send(write.within(Duration::from_millis(300))).await.expect_err(case);
        let PveError::MayHaveHappened { check, .. } = &error else { panic!("{case}: {error}") };
        assert!(check.iter().any(|line| line == "read /nodes/pve1/lxc/101/snapshot"), "{check:?}");
        assert!(check.iter().any(|line| line.contains("/nodes/pve1/tasks")), "{check:?}");
        assert!(error.is_unknown() && error.to_string().contains("Do not repeat it"), "{error}");
        assert_eq!(server.log.lines().len(), 1, "{case}");
    }
}

#[tokio::test]
async fn a_write_that_reached_nobody_is_said_not_to_be_sent() {
    let node = Node::new();
    let error = node.client().send(post("/nodes/pve1/lxc")).await.unwrap_err();
    assert!(matches!(error, PveError::NotSent { .. }), "{error}");
    // A listener that accepts nothing: the handshake never comes.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut node = Node::new();
    node.options.url = format!("https://{}", silent.local_addr().unwrap());
    node.options.limits.connect = Duration::from_millis(100);
    let error = node.client().send(post("/nodes/pve1/lxc")).await.unwrap_err();
    assert!(matches!(error, PveError::NotSent { .. }), "{error}");
}

#[tokio::test]
async fn a_node_that_the_proxy_could_not_reach_got_nothing() {
    let server =
        Server::plain(|_| Act::Send(super::server::answer("595 No route to host", "{\"data\":null}"))).await;
    let (_node, client) = Node::new().client_of(&server);
    let error = client.send(post("/nodes/pve2/lxc")).await.unwrap_err();
    assert!(matches!(error, PveError::Proxy { status: 595, .. }), "{error}");
}

#[tokio::test]
async fn a_read_is_asked_again_when_its_answer_broke() {
    let server = Server::plain(|seen| match seen.connection {
        0 => Act::Reset,
        1 => Act::Last(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{\"da".to_vec(),
        ),
        _ => ok("1"),
    })
    .await;
    let (_node, client) = Node::new().client_of(&server);
    assert_eq!(client.get(&read("/version")).await.unwrap().data::<u32>().unwrap(), 1);
    assert_eq!(server.log.lines().len(), 3);
    let server = Server::plain(|_| Act::Reset).await;
    let (_node, client) = Node::new().client_of(&server);
    let error = client.get(&read("/version")).await.unwrap_err();
    assert!(matches!(error, PveError::NoAnswer { .. }), "{error}");
    assert_eq!(server.log.lines().len(), 4, "once, and three times more");
}

#[tokio::test]
async fn a_handle_has_no_more_methods_than_it_was_given() {
    let server = Server::plain(|_| ok("null")).await;
    let (_node, client) = Node::new().client_of(&server);
    let delete = || super::super::Write::delete(super::super::Path::parse("/pools/a").unwrap());
    assert_eq!(delete().method(), Method::Delete);
    let careful = client.limited_to(Methods::NoDelete);
    assert!(matches!(careful.send(delete()).await, Err(PveError::Withheld { .. })));
    assert!(careful.send(post("/pools")).await.is_ok());
    let reader = careful.limited_to(Methods::Reads).limited_to(Methods::All);
    assert!(matches!(reader.send(post("/pools")).await, Err(PveError::Withheld { .. })));
    assert!(reader.get(&read("/pools")).await.is_ok());
    assert_eq!(server.log.lines(), ["POST /api2/json/pools", "GET /api2/json/pools"]);
    assert!(client.send(delete()).await.is_ok());
}
