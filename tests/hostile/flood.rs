//! An MCP client that wants too much at once: it costs little and hinders nobody.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Client, Node, eventually};
use crate::ground::{self, Ground};
use crate::guest::Guest;
use crate::memory::{peak, peak_from_now};

#[test]
fn a_line_without_end_ends_its_session_alone() {
    let node = Node::start();
    let mut bystander = node.client();
    let before = peak_from_now(node.provostd.id());
    for newline in [false, true] {
        let mut client = node.client();
        let mut stream = client.stream().try_clone().expect("clone");
        let flood = std::thread::spawn(move || {
            let part = [b'x'; 1 << 16];
            let sent = (0..1600).take_while(|_| stream.write_all(&part).is_ok()).count();
            let _ = stream.write_all(if newline { b"\n" } else { b"" });
            sent
        });
        let error = client.next().expect("a word about it");
        assert!(error["error"]["message"].as_str().expect("text").contains("longer than"), "{error}");
        assert!(flood.join().expect("the flood") < 1600, "read to its end");
    }
    assert!(peak(node.provostd.id()) - before < 64 << 20, "{}", peak(node.provostd.id()) - before);
    assert_eq!(bystander.change(101, &["/bin/echo", "on"])["stdout"], "on\n");
}

/// Two bytes each, which are two hundred as they are read: a message that is short enough would take all that the unit has.
#[test]
fn a_message_of_millions_of_values_ends_its_session_alone() {
    let node = Node::start();
    let mut bystander = node.client();
    let before = peak_from_now(node.provostd.id());
    let values = format!("[{}0]", "0,".repeat(3_500_000));
    let mut client = node.client();
    let call = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{{\"name\":\"status\",\"arguments\":{{\"x\":{values}}}}}}}\n"
    );
    client.stream().write_all(call.as_bytes()).expect("write");
    let error = client.next().expect("a word about it");
    assert!(error["error"]["message"].as_str().expect("text").contains("more than 131072 values"), "{error}");
    assert!(peak(node.provostd.id()) - before < 64 << 20, "{}", peak(node.provostd.id()) - before);
    assert_eq!(bystander.change(101, &["/bin/echo", "on"])["stdout"], "on\n");
}

#[test]
fn thousands_of_connections_are_turned_away_politely() {
    // What one account may have.
    const MOST: usize = 2048;
    let node = Node::start();
    let mut bystander = node.client();
    let mut idle = Vec::new();
    while idle.len() < MOST - 1 {
        idle.push(UnixStream::connect(node.socket()).expect("connect"));
    }
    for _ in 0..200 {
        let over = UnixStream::connect(node.socket()).expect("connect");
        over.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout");
        let mut said = String::new();
        BufReader::new(over).read_line(&mut said).expect("a word");
        let said: Value = serde_json::from_str(&said).expect("JSON");
        assert!(said["error"]["message"].as_str().expect("text").contains("2048 sessions"), "{said}");
    }
    println!("with {MOST} sessions: {} MiB", peak(node.provostd.id()) >> 20);
    let other = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "provost"];
    let (code, answers) =
        crate::client::bridge(&node, &other, json!({ "guest": 101, "argv": ["/bin/true"] }));
    assert_eq!((code, answers.len()), (Some(0), 3), "another account finds room: {answers:?}");
    assert_eq!(bystander.change(101, &["/bin/echo", "on"])["stdout"], "on\n");
    drop(idle);
    eventually("there is room again", || {
        let mut stream = UnixStream::connect(node.socket()).expect("connect");
        stream.set_read_timeout(Some(Duration::from_millis(200))).expect("timeout");
        // Whoever has room waits for a word; whoever has none says so.
        stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    });
    assert_eq!(node.client().change(101, &["/bin/echo", "on"])["stdout"], "on\n");
}

#[test]
fn a_flood_of_requests_whose_answers_nobody_reads_costs_little() {
    let node = Node::start();
    let mut bystander = node.client();
    let before = peak_from_now(node.provostd.id());
    let floods: Vec<Client> = (0..4).map(|_| node.client()).collect();
    for client in &floods {
        let mut stream = client.stream().try_clone().expect("clone");
        stream.set_write_timeout(Some(Duration::from_millis(300))).expect("timeout");
        for id in 0..20_000 {
            let request = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/list", "params": {} });
            // Until nobody takes any more.
            if stream.write_all(format!("{request}\n").as_bytes()).is_err() {
                break;
            }
        }
        let started = Instant::now();
        assert_eq!(bystander.change(101, &["/bin/echo", "on"])["stdout"], "on\n");
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }
    assert!(peak(node.provostd.id()) - before < 64 << 20, "{}", peak(node.provostd.id()) - before);
}

#[test]
fn a_storm_of_cancels_leaves_nothing_running() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    for round in 0..3 {
        let ids: Vec<u64> = (0..60).map(|_| client.start("exec", sleep(&guest))).collect();
        if round == 1 {
            eventually("they run", || ground::leaves(&node).len() == 60);
        }
        for id in ids.iter().rev().chain(&ids) {
            client.cancel(*id);
        }
        let started = Instant::now();
        let id = client.send("ping", json!({}));
        client.answer(id);
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        ground.is_as_before(&node, &guest);
    }
    assert_eq!(client.change(guest.id, &["/bin/echo", "on"])["stdout"], "on\n");
}

/// More calls than run at once: those that wait can be cancelled too, and are never started.
#[test]
fn calls_that_wait_their_turn_can_be_cancelled() {
    let (node, guest) = (Node::start(), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let ids: Vec<u64> = (0..300).map(|_| client.start("exec", sleep(&guest))).collect();
    eventually("as many as one account may run", || ground::leaves(&node).len() == 64);
    for id in ids.iter().rev() {
        client.cancel(*id);
    }
    ground.is_as_before(&node, &guest);
    let log = node.execd_log();
    assert_eq!(
        log.lines().filter(|line| line.contains("/bin/sleep")).count(),
        64,
        "those that waited were started"
    );
    assert_eq!(client.change(guest.id, &["/bin/echo", "on"])["stdout"], "on\n");
}

/// Lines that are begun on many sessions and never ended, by users who may do nothing else.
#[test]
fn lines_that_never_end_cost_little_however_many() {
    let node = Node::start();
    let mut bystander = node.client();
    let before = peak_from_now(node.provostd.id());
    let long = vec![b'x'; 7 << 20];
    let begun: Vec<UnixStream> = (0..60)
        .map(|_| {
            let mut stream = UnixStream::connect(node.socket()).expect("connect");
            // Whoever is one too many is told so and closed.
            let _ = stream.write_all(&long);
            stream
        })
        .collect();
    assert!(peak(node.provostd.id()) - before < 200 << 20, "{}", peak(node.provostd.id()) - before);
    assert_eq!(bystander.change(101, &["/bin/echo", "on"])["stdout"], "on\n");
    let mut said = String::new();
    BufReader::new(begun.last().expect("the last")).read_line(&mut said).expect("a word");
    assert!(said.contains("while other sessions of your account send as long ones"), "{said}");
    drop(begun);
    // There is room again.
    let stdin = "y".repeat(6 << 20);
    let call = json!({ "guest": 101, "argv": ["/usr/bin/wc", "-c"], "mode": "change", "stdin": stdin });
    eventually("they are gone", || {
        let mut stream = node.client();
        let id = stream.start("exec", call.clone());
        stream.next().is_some_and(|answer| answer["id"] == id && answer["result"]["isError"] != true)
    });
}

#[test]
fn calls_that_hold_too_much_input_are_refused() {
    let (node, guest) = (Node::start(), Guest::idle());
    let (mut client, mut bystander) = (node.client(), node.client());
    let ground = Ground::of(&node, &guest, &mut client);
    let mut call = sleep(&guest);
    call["stdin"] = json!("y".repeat(5 << 20));
    for _ in 0..14 {
        client.start("exec", call.clone());
    }
    let error = client.next().expect("an answer")["result"]["structuredContent"]["error"].clone();
    assert_eq!(error["kind"], "busy", "{error}");
    assert_eq!(bystander.change(guest.id, &["/bin/echo", "on"])["stdout"], "on\n");
    drop((client, bystander));
    let mut client = node.client();
    let mut bystander = node.client();
    bystander.change(guest.id, &["/bin/true"]);
    client.change(guest.id, &["/bin/true"]);
    ground.is_as_before(&node, &guest);
}

/// All places taken by commands that take their time: the next call is answered within its own, and another account
/// does not notice.
#[test]
fn a_call_that_never_gets_its_turn_is_told_so() {
    let roles = "[[role]]\nname = \"all\"\nmembers = [\"user:root\", \"user:65534\"]\nprofile = \"full\"";
    let (node, guest) = (Node::with("v2", "containers = [\"1-999999\"]", roles), Guest::idle());
    let mut client = node.client();
    let ground = Ground::of(&node, &guest, &mut client);
    let mut greedy = node.client();
    for _ in 0..100 {
        greedy.start("exec", sleep(&guest));
    }
    eventually("all places of its account are taken", || ground::leaves(&node).len() == 64);
    let started = Instant::now();
    let call = json!({ "guest": guest.id, "argv": ["/bin/true"], "mode": "change", "timeout_s": 1 });
    let error = client.refused(call);
    assert_eq!(error["kind"], "busy", "{error}");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    let other = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "provost"];
    let call = json!({ "guest": guest.id, "argv": ["/bin/echo", "on"], "mode": "change", "timeout_s": 5 });
    let (_, answers) = crate::client::bridge(&node, &other, call);
    let answer = answers.iter().find(|answer| answer["id"] == 2).expect("an answer");
    assert_eq!(answer["result"]["structuredContent"]["stdout"], "on\n", "{answer}");
    drop(greedy);
    ground.is_as_before(&node, &guest);
}

fn sleep(guest: &Guest) -> Value {
    json!({ "guest": guest.id, "argv": ["/bin/sleep", "4301"], "mode": "change" })
}
