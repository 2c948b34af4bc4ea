//! Following a task to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::task::{Outcome, follow};
use super::super::{PveError, Upid};
use super::server::{Act, Server, answer, ok};
use super::{Node, eventually};

const UPID: &str = "UPID:pve1:00002578:00074193:6B012E72:vzdump:110:root@pam!t1:";

/// A task of `lines` lines, of which some more are there each time its state is asked for.
async fn task(lines: usize, step: usize, exit: &'static str) -> Server {
    let written = Arc::new(AtomicUsize::new(0));
    Server::plain(move |seen| {
        let (path, query) = seen.line().split_once('?').unwrap_or((seen.line(), ""));
        assert!(path.contains("/nodes/pve1/tasks/UPID%3Apve1%3A00002578%3A"), "{path}");
        if path.ends_with("/status") {
            let now = written.fetch_add(step, Ordering::SeqCst) + step;
            return ok(&match now >= lines + step {
                true => format!("{{\"status\":\"stopped\",\"exitstatus\":\"{exit}\"}}"),
                false => "{\"status\":\"running\"}".to_owned(),
            });
        }
        let number = |name: &str| -> usize {
            query.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap().parse().unwrap()
        };
        let (start, limit) = (number("start="), number("limit="));
        let there = written.load(Ordering::SeqCst).saturating_sub(step).min(lines);
        let rows: Vec<String> = (start..there)
            .take(limit)
            .map(|at| {
                format!("{{\"n\":{},\"t\":\"line {} \\u001b[1m{}%\"}}", at + 1, at + 1, at * 100 / lines)
            })
            .collect();
        let body = match there {
            0 => "{\"total\":1,\"data\":[{\"n\":1,\"t\":\"no content\"}]}".to_owned(),
            _ => format!("{{\"total\":{there},\"data\":[{}]}}", rows.join(",")),
        };
        Act::Send(answer("200 OK", &body))
    })
    .await
}

#[tokio::test]
async fn every_line_is_given_once_and_then_the_end() {
    for (lines, step, exit) in [(3, 1, "OK"), (1700, 800, "WARNINGS: 2"), (5, 5, "interrupted by signal")] {
        let server = task(lines, step, exit).await;
        let (_node, client) = Node::new().client_of(&server);
        let upid: Upid = UPID.parse().unwrap();
        let mut seen = vec![];
        let outcome = follow(&client, &upid, |line| seen.push(line)).await.unwrap();
        assert_eq!(outcome, Outcome::parse(exit));
        assert_eq!(outcome.is_done(), exit != "interrupted by signal");
        let numbers: Vec<u64> = seen.iter().map(|line| line.number).collect();
        assert_eq!(numbers, (1..=lines as u64).collect::<Vec<_>>());
        assert_eq!(seen[0].text, "line 1 0%", "cleaned");
        assert_eq!(seen[0].percent, Some(0.0));
    }
}

#[tokio::test]
async fn a_node_that_blinks_does_not_end_the_following() {
    let count = AtomicUsize::new(0);
    let server = Server::plain(move |seen| match count.fetch_add(1, Ordering::SeqCst) {
        0..=3 => Act::Reset,
        _ if seen.line().ends_with("/status") => ok("{\"status\":\"stopped\",\"exitstatus\":\"OK\"}"),
        _ => ok("[]"),
    })
    .await;
    let (_node, client) = Node::new().client_of(&server);
    assert_eq!(follow(&client, &UPID.parse().unwrap(), |_| ()).await.unwrap(), Outcome::Done);
}

#[tokio::test]
async fn a_task_that_is_none_ends_it() {
    let server = Server::plain(|_| {
        Act::Send(answer("500 no such task", "{\"data\":null,\"message\":\"no such task\"}"))
    })
    .await;
    let (_node, client) = Node::new().client_of(&server);
    let error = follow(&client, &UPID.parse().unwrap(), |_| ()).await.unwrap_err();
    assert!(matches!(error, PveError::Failed { .. }), "{error}");
}

#[tokio::test]
async fn dropped_it_stops_asking_and_stops_nothing_else() {
    let server = Server::plain(|seen| match seen.line().ends_with("/status") {
        true => ok("{\"status\":\"running\"}"),
        false => ok("[]"),
    })
    .await;
    let (_node, client) = Node::new().client_of(&server);
    let following = tokio::spawn(async move {
        let upid = UPID.parse().unwrap();
        follow(&client, &upid, |_| ()).await.map(drop)
    });
    eventually("it asks", || server.log.lines().len() >= 4).await;
    following.abort();
    let _ = following.await;
    let asked = server.log.lines();
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    assert_eq!(server.log.lines().len(), asked.len());
    assert!(asked.iter().all(|line| line.starts_with("GET ")));
}
