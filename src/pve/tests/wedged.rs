//! Who is slow, who answers nobody, and whose turn it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::super::{Client, Once, Path, PveError, Text};
use super::server::{Act, Seen, Server, answer, ok, with_headers};
use super::{Node, eventually, post, read};

const HANG: Duration = Duration::from_millis(100);

/// Longer than any of these tests may take.
const LONG: Duration = Duration::from_secs(60);

fn impatient() -> Node {
    let mut node = Node::new();
    (node.options.limits.hang, node.options.limits.hang_of_daemon) = (HANG, HANG);
    node.options.limits.patience.failures = 3;
    node.options.limits.call = LONG;
    node
}

fn slow_but_here(seen: &Seen) -> Act {
    if seen.line().contains("/slow") { Act::Hang } else { ok("1") }
}

#[tokio::test]
async fn calls_that_are_slow_by_nature_do_not_open_the_circuit() {
    let server = Server::plain(slow_but_here).await;
    let (_node, client) = impatient().client_of(&server);
    let mut calls = tokio::task::JoinSet::new();
    for at in 0..6 {
        let (client, read) = (client.clone(), read(&format!("/slow/{at}")).within(HANG * 4));
        calls.spawn(async move { client.get(&read).await.unwrap_err() });
    }
    for error in calls.join_all().await {
        let text = error.to_string();
        assert!(matches!(error, PveError::NoAnswer { .. }) && text.contains("no whole answer in"), "{text}");
    }
    client.get(&read("/quick")).await.unwrap();
    assert!(client.aside().is_empty());
}

#[tokio::test]
async fn a_daemon_that_answers_nobody_is_found_out_long_before_the_deadline() {
    let server = Server::plain(|_| Act::Hang).await;
    let (_node, client) = impatient().client_of(&server);
    let error = client.get(&read("/nodes/pve1/lxc")).await.unwrap_err().to_string();
    assert!(error.contains("no answer to GET /version either"), "{error}");
    assert!(matches!(client.get(&read("/cluster/status")).await, Err(PveError::Wedged { .. })));
    assert_eq!(client.aside()[0].0, "pveproxy");
    assert_eq!(server.log.lines(), ["GET /api2/json/nodes/pve1/lxc", "GET /api2/json/version"]);
}

#[tokio::test]
async fn a_daemon_that_stays_silent_is_tried_less_and_less() {
    const PAUSE: Duration = Duration::from_millis(400);
    let server = Server::plain(|_| Act::Hang).await;
    let mut node = impatient();
    node.options.limits.patience.pause = PAUSE;
    let (_node, client) = node.client_of(&server);
    for tries in 1..=3 {
        let error = client.get(&read("/nodes/pve1/lxc")).await.unwrap_err().to_string();
        assert!(error.contains("no answer to GET /version either"), "{error}");
        let asked = server.log.lines().iter().filter(|line| line.ends_with("/version")).count();
        assert_eq!(asked, tries, "what is said to have been asked was asked");
        let PveError::Wedged { silent, next, .. } = client.get(&read("/cluster/status")).await.unwrap_err()
        else {
            panic!("the circuit is open")
        };
        assert!(silent >= HANG * 2, "since the call began, not {silent:?}");
        // The pause before this one was half as long.
        assert!(next > PAUSE * (1 << (tries - 1)) * 3 / 5, "{tries}: {next:?}");
        eventually("the next may try", || client.aside().is_empty()).await;
    }
}

#[tokio::test]
async fn what_costs_nothing_goes_by_way_of_pveproxy_too() {
    let (daemon, proxy) = (Server::plain(|_| Act::Hang).await, Server::plain(|_| ok("1")).await);
    let (_node, client) = beside(&daemon, &proxy).await;
    client.get(&read("/version").within(HANG * 50)).await.unwrap();
    assert_eq!((daemon.log.lines().len(), proxy.log.lines().len()), (1, 1));
    assert_eq!(client.aside()[0].0, "pvedaemon");
}

/// A client of a pvedaemon that behaves so, and of a pveproxy that answers.
async fn beside(daemon: &Server, proxy: &Server) -> (Node, Client) {
    let mut node = impatient();
    (node.options.daemon, node.options.url) = (daemon.url(), proxy.url());
    let client = node.client();
    (node, client)
}

#[tokio::test]
async fn reads_that_pvedaemon_takes_and_does_not_answer_go_by_way_of_pveproxy() {
    let (daemon, proxy) = (Server::plain(|_| Act::Hang).await, Server::plain(|_| ok("1")).await);
    let (_node, client) = beside(&daemon, &proxy).await;
    client.get(&read("/nodes/pve1/lxc")).await.unwrap();
    assert_eq!(client.aside()[0].0, "pvedaemon");
    let asked = daemon.log.lines().len();
    client.get(&read("/nodes/pve1/qemu")).await.unwrap();
    assert_eq!(daemon.log.lines().len(), asked, "it is left alone");
    client.send(post("/nodes/pve1/lxc")).await.unwrap();
    assert_eq!(proxy.log.lines().len(), 3);
}

/// PVE keeps who shows it a token that it does not know waiting for three seconds, whatever is asked: one role's token that has
/// run out must not take pvedaemon from the others.
#[tokio::test]
async fn a_token_that_is_refused_after_three_seconds_is_no_daemon_that_is_dead() {
    let refused = with_headers("401 Authentication failed!", "", "");
    let daemon = Server::plain(move |_| Act::Late(refused.clone(), Duration::from_secs(3))).await;
    let proxy = Server::plain(|_| ok("1")).await;
    let mut node = Node::new();
    (node.options.daemon, node.options.url) = (daemon.url(), proxy.url());
    let client = node.client();
    let error = client.get(&read("/nodes/pve1/lxc")).await.unwrap_err();
    assert!(matches!(error, PveError::Unauthorized { .. }), "{error}");
    assert!(client.aside().is_empty(), "{:?}", client.aside());
    assert_eq!(proxy.log.lines().len(), 0);
}

#[tokio::test]
async fn a_write_that_pvedaemon_took_is_sent_to_nobody_else() {
    let (daemon, proxy) = (Server::plain(|_| Act::Hang).await, Server::plain(|_| ok("1")).await);
    let (_node, client) = beside(&daemon, &proxy).await;
    let error = client.send(post("/nodes/pve1/lxc").within(HANG * 5)).await.unwrap_err();
    assert!(error.is_unknown(), "{error}");
    let writes = |server: &Server| server.log.lines().iter().filter(|line| line.starts_with("POST")).count();
    assert_eq!((writes(&daemon), writes(&proxy)), (1, 0));
}

#[tokio::test]
async fn what_is_told_once_is_asked_once_of_one_daemon_however_long_that_takes() {
    let asked = |server: &Server| server.log.lines().iter().filter(|line| line.ends_with("/told")).count();
    let once = || Once::new(Path::parse("/nodes/pve1/told").unwrap());
    let (daemon, proxy) = (Server::plain(|_| Act::Hang).await, Server::plain(|_| ok("1")).await);
    let (_node, client) = beside(&daemon, &proxy).await;
    let mut text = Text::new(client.room());
    let error = client.get_once(once().within(HANG * 5), &mut text).await.unwrap_err();
    assert!(matches!(error, PveError::NoAnswer { .. }), "{error}");
    assert_eq!((asked(&daemon), asked(&proxy)), (1, 0));

    // Nor when the connection breaks once it has left, which a read is asked again after.
    let daemon =
        Server::plain(|seen| if seen.line().ends_with("/told") { Act::Reset } else { ok("1") }).await;
    let (_node, client) = beside(&daemon, &proxy).await;
    client.get(&read("/nodes/pve1/lxc")).await.unwrap();
    let error = client.get_once(once(), &mut text).await.unwrap_err();
    assert!(matches!(error, PveError::NoAnswer { .. }), "{error}");
    assert_eq!((asked(&daemon), asked(&proxy)), (1, 0));

    // Slow it may be: nothing else is answered meanwhile, and it comes.
    let body = answer("200 OK", "{\"data\":1}");
    let daemon = Server::plain(move |seen| match seen.line().ends_with("/told") {
        true => Act::Drip(body.clone(), 20, HANG),
        false => Act::Hang,
    })
    .await;
    let (_node, client) = beside(&daemon, &proxy).await;
    client.get_once(once(), &mut text).await.unwrap();
    assert_eq!((asked(&daemon), asked(&proxy)), (1, 0));
}

#[tokio::test]
async fn one_account_s_storm_leaves_turns_and_places_to_the_others() {
    let open = Arc::new(AtomicBool::new(false));
    let server = Server::plain(slow_but_here).await;
    let mut node = Node::new();
    (node.options.limits.parallel, node.options.limits.queue) = (4, 20);
    let (_node, client) = node.client_of(&server);
    let mut storm = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (client, open) = (client.for_account(1), open.clone());
        storm.spawn(async move {
            let error = client.get(&read("/slow").within(LONG)).await.map(drop);
            assert!(matches!(error, Err(PveError::Busy { waiting: 10, .. })), "{error:?}");
            open.store(true, Ordering::SeqCst);
        });
    }
    eventually("the storm has its turns", || server.log.lines().len() == 3 && open.load(Ordering::SeqCst))
        .await;
    for _ in 0..20 {
        let quick = client.for_account(2).get(&read("/quick")).await;
        quick.expect("a turn that the storm does not have");
    }
    assert_eq!(server.log.lines().iter().filter(|line| line.ends_with("/slow")).count(), 3);
}

#[tokio::test]
async fn answers_that_are_held_leave_memory_to_the_others() {
    let body = format!("{{\"data\":\"{}\"}}", "x".repeat(900_000));
    let server = Server::plain(move |_| Act::Send(answer("200 OK", &body))).await;
    let mut node = Node::new();
    (node.options.limits.answer, node.options.limits.answers) = (1 << 20, 4 << 20);
    let (_node, client) = node.client_of(&server);
    let (one, other) = (client.for_account(1), client.for_account(2));
    let mut held = vec![];
    let error = loop {
        match one.get(&read("/x")).await {
            Ok(answer) => held.push(answer),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, PveError::NoRoom { .. }) && error.is_passing(), "{error}");
    assert_eq!(held.len(), 2);
    other.get(&read("/x")).await.expect("its own share");
    held.pop();
    one.get(&read("/x")).await.expect("what was given back");
}

#[tokio::test]
async fn twenty_answers_of_fifty_megabytes_at_once_are_refused_and_the_next_is_served() {
    let server = Server::plain(|seen| match seen.line().ends_with("/huge") {
        true => Act::Last(answer("200 OK", &format!("{{\"data\":\"{}\"}}", "x".repeat(50 << 20)))),
        false => ok("1"),
    })
    .await;
    let (_node, client) = Node::new().client_of(&server);
    let mut calls = tokio::task::JoinSet::new();
    for account in 0..20 {
        let client = client.for_account(account % 4);
        calls.spawn(async move { client.get(&read("/huge")).await.map(drop).unwrap_err() });
    }
    for error in calls.join_all().await {
        assert!(matches!(error, PveError::TooLong { .. }), "{error}");
        assert!(error.to_string().contains("narrower path"), "{error}");
    }
    client.get(&read("/version")).await.unwrap();
}
