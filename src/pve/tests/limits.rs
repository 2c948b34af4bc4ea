//! Deadlines, turns, and a daemon that is left alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::super::PveError;
use super::super::circuit::Patience;
use super::server::{Act, Server, answer, ok};
use super::{Node, eventually, post, read};

#[tokio::test]
async fn a_call_ends_at_its_deadline_wherever_it_hangs() {
    let slow = answer("200 OK", "{\"data\":1}");
    let drip = move |_: &_| Act::Drip(slow.clone(), 1, Duration::from_millis(50));
    for server in [Server::plain(|_| Act::Hang).await, Server::plain(drip).await] {
        let (_node, client) = Node::new().client_of(&server);
        let began = Instant::now();
        let error = client.get(&read("/version").within(Duration::from_millis(200))).await.unwrap_err();
        assert!(matches!(error, PveError::NoAnswer { .. }), "{error}");
        assert!(began.elapsed() < Duration::from_millis(1000), "{:?}", began.elapsed());
        assert_eq!(server.log.lines().len(), 1, "a deadline is not tried again");
    }
}

#[tokio::test]
async fn calls_beyond_the_turns_wait_and_beyond_the_queue_are_told() {
    let server = Server::plain(|_| Act::Hang).await;
    let mut node = Node::new();
    // Of the queue, one account has half.
    (node.options.limits.parallel, node.options.limits.queue) = (2, 6);
    let (_node, client) = node.client_of(&server);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..9 {
        let client = client.clone();
        calls.spawn(
            async move { client.send(post("/x").within(Duration::from_millis(500))).await.unwrap_err() },
        );
    }
    let errors = calls.join_all().await;
    let count = |which: fn(&PveError) -> bool| errors.iter().filter(|error| which(error)).count();
    assert_eq!(count(|error| matches!(error, PveError::MayHaveHappened { .. })), 2, "{errors:#?}");
    assert_eq!(count(|error| matches!(error, PveError::NotSent { .. })), 3);
    assert_eq!(count(|error| matches!(error, PveError::Busy { waiting: 3.., .. })), 4);
    assert_eq!(server.log.lines().len(), 2);
}

#[tokio::test]
async fn a_call_that_was_dropped_gives_its_turn_back() {
    let server = Server::plain(|seen| if seen.line().ends_with("/hang") { Act::Hang } else { ok("1") }).await;
    let mut node = Node::new();
    node.options.limits.parallel = 1;
    let (_node, client) = node.client_of(&server);
    for _ in 0..5 {
        let hanging = tokio::spawn({
            let client = client.clone();
            async move { client.get(&read("/hang")).await.map(drop) }
        });
        let before = server.log.lines().len();
        eventually("it is asked", || server.log.lines().len() > before).await;
        hanging.abort();
        client.get(&read("/version")).await.unwrap();
    }
    let open = || server.log.open.load(Ordering::SeqCst);
    eventually("what hung is closed", || open() <= 1).await;
}

#[tokio::test]
async fn a_wedged_daemon_is_left_alone_and_found_again() {
    let wedged = Arc::new(AtomicBool::new(true));
    let answers = wedged.clone();
    let server =
        Server::plain(move |_| if answers.load(Ordering::SeqCst) { Act::Hang } else { ok("1") }).await;
    let mut node = Node::new();
    node.options.limits.hang = Duration::from_millis(50);
    node.options.limits.patience =
        Patience { failures: 3, pause: Duration::from_millis(300), longest: Duration::from_millis(300) };
    let (_node, client) = node.client_of(&server);
    let ask = async || client.get(&read("/version")).await;
    for _ in 0..3 {
        let error = client.get(&read("/version").within(Duration::from_millis(60))).await.unwrap_err();
        assert!(matches!(error, PveError::NoAnswer { .. }), "{error}");
    }
    let began = Instant::now();
    let error = ask().await.unwrap_err();
    assert!(began.elapsed() < Duration::from_millis(50), "at once");
    let text = error.to_string();
    assert!(text.contains("pveproxy at 127.0.0.1:") && text.contains("has not answered for"), "{text}");
    assert!(text.contains("next try in "), "{text}");
    let PveError::Wedged { next, .. } = error else { panic!("{text}") };
    assert_eq!(server.log.lines().len(), 3, "it is not asked");
    assert!(client.send(post("/x")).await.is_err_and(|error| matches!(error, PveError::Wedged { .. })));
    wedged.store(false, Ordering::SeqCst);
    while ask().await.is_err() {
        assert!(began.elapsed() < next + Duration::from_secs(10), "it is not found again");
        tokio::task::yield_now().await;
    }
    assert!(began.elapsed() >= next.mul_f32(0.9), "it is left alone until then");
    ask().await.unwrap();
}

#[tokio::test]
async fn refusals_and_short_deadlines_do_not_open_the_circuit() {
    let server = Server::plain(|seen| match seen.line().ends_with("/hang") {
        true => Act::Hang,
        false => Act::Send(answer("500 no", "{\"data\":null}")),
    })
    .await;
    let mut node = Node::new();
    node.options.limits.patience.failures = 2;
    let (_node, client) = node.client_of(&server);
    for _ in 0..4 {
        let error = client.get(&read("/hang").within(Duration::from_millis(40))).await.unwrap_err();
        assert!(!matches!(error, PveError::Wedged { .. }), "{error}");
        assert!(matches!(client.get(&read("/x")).await, Err(PveError::Failed { .. })));
    }
}

#[tokio::test]
async fn an_answer_that_always_breaks_off_takes_no_other_call_with_it() {
    let begun =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"data\":[1,";
    let server = Server::plain(move |seen| match seen.line().ends_with("/broken") {
        true => Act::Last(begun.as_bytes().to_vec()),
        false => ok("1"),
    })
    .await;
    let mut node = Node::new();
    node.options.limits.patience.failures = 3;
    let (_node, client) = node.client_of(&server);
    for _ in 0..2 {
        let error = client.get(&read("/broken")).await.unwrap_err();
        assert!(
            matches!(&error, PveError::NoAnswer { why, .. } if why.contains("before its end")),
            "{error}"
        );
    }
    assert!(client.aside().is_empty(), "{:?}", client.aside());
    client.get(&read("/x")).await.unwrap();
}
