//! What PVE says, as types. Status lines and bodies as the real daemons send them.

use std::time::Duration;

use super::super::{Envelope, Failure, Privileges, PveError};
use super::server::{Act, Server, answer, ok, with_headers};
use super::{Node, post, read};

async fn refused(bytes: Vec<u8>) -> PveError {
    let server = Server::plain(move |_| Act::Send(bytes.clone())).await;
    let (_node, client) = Node::new().client_of(&server);
    client.get(&read("/nodes/pve1/lxc/101/config")).await.expect_err("a refusal")
}

#[tokio::test]
async fn a_refusal_is_known_by_its_status_and_words() {
    let error = refused(with_headers("401 No ticket", "", "")).await;
    assert!(matches!(&error, PveError::Unauthorized { message, .. } if message == "No ticket"), "{error}");
    let error = refused(with_headers("401 Authentication failed!", "", "")).await;
    assert!(matches!(&error, PveError::Unauthorized { message, .. } if message == "Authentication failed!"));

    let line = "Permission check failed (/vms/104, VM.Config.Disk|VM.Config.CDROM)";
    let body = format!("{{\"data\":null,\"message\":\"{line}\\n\"}}");
    for bytes in [answer(&format!("403 {line}"), &body), with_headers(&format!("403 {line}"), "", "")] {
        let error = refused(bytes).await;
        let PveError::Forbidden { forbidden, .. } = &error else { panic!("{error}") };
        assert_eq!(forbidden.object.as_deref(), Some("/vms/104"));
        assert!(matches!(&forbidden.needs, Privileges::Any(names) if names.len() == 2), "{error}");
    }

    let body = r#"{"data":null,"message":"Parameter verification failed.\n","errors":{"vmid":"property is missing and it is not optional","x":"property is not defined in schema\n"}}"#;
    let error = refused(answer("400 Parameter verification failed.", body)).await;
    let PveError::BadParameters { errors, .. } = &error else { panic!("{error}") };
    assert_eq!(errors["x"], "property is not defined in schema");
    assert!(
        error.to_string().ends_with(
            "; vmid: property is missing and it is not optional; x: property is not defined in schema"
        ),
        "{error}"
    );

    let body = r#"{"data":null,"message":"No such tfa entry 'x'"}"#;
    assert!(matches!(refused(answer("404 No such tfa entry 'x'", body)).await, PveError::NotFound { .. }));
    let body = r#"{"data":null,"message":"Method 'DELETE /version' not implemented"}"#;
    let error = refused(answer("501 Method 'DELETE /version' not implemented", body)).await;
    assert!(matches!(error, PveError::NotImplemented { .. }), "{error}");
    let body = r#"{"data":null,"message":"node is not in a cluster, no join info available!"}"#;
    let error = refused(answer("424 node is not in a cluster, no join info available!", body)).await;
    assert!(matches!(error, PveError::Unexpected { status: 424, .. }), "{error}");
    for status in
        ["595 No route to host", "596 ssl3_get_server_certificate: failed", "599 Too many redirections"]
    {
        let error = refused(with_headers(status, "", "")).await;
        assert!(matches!(&error, PveError::Proxy { message, .. } if message == &status[4..]), "{error}");
    }
}

#[tokio::test]
async fn a_500_has_the_whole_message_of_the_body() {
    let body = r#"{"data":null,"message":"detected modified configuration - file changed by other user? Try again.\nsecond line\n"}"#;
    let error =
        refused(answer("500 detected modified configuration - file changed by other user? Try again.", body))
            .await;
    let PveError::Failed { failure: Failure::Changed, message, .. } = &error else { panic!("{error}") };
    assert!(message.ends_with("second line"), "{message:?}");
    let error = refused(with_headers("500 storage 'none' does not exist", "", "")).await;
    assert!(matches!(error, PveError::Failed { failure: Failure::NoSuchStorage, .. }), "{error}");
    // No words at all, and bytes that are no text.
    assert!(matches!(refused(with_headers("500 ", "", "")).await, PveError::Failed { .. }));
    let mut bytes = b"HTTP/1.1 500 gr\xf6\xdfer\xff\r\nContent-Length: 0\r\n\r\n".to_vec();
    assert!(matches!(refused(bytes.clone()).await, PveError::Failed { .. }));
    bytes = answer("500 x", "{\"data\":null,\"message\":7,\"errors\":[]}");
    assert!(matches!(refused(bytes).await, PveError::Failed { .. }));
}

#[tokio::test]
async fn what_somebody_wrote_is_shown_without_its_control_characters() {
    let body = "{\"data\":null,\"message\":\"\\u001b[2J\\u202eevil\\u0007\",\"errors\":{\"a\\u001b[31m\":\"\\u001b]0;x\\u0007b\"}}";
    for status in ["500 x", "400 x"] {
        let text = format!("{0} {0:?}", refused(answer(status, body)).await);
        assert!(text.contains("evil") && !text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text:?}");
        assert!(!text.contains("\\u{1b}") && !text.contains("\\u{202e}"), "{text}");
    }
    let long = format!("{{\"data\":null,\"message\":\"{}\"}}", "x".repeat(1 << 20));
    assert!(refused(answer("500 x", &long)).await.to_string().len() < 5000);
}

/// The agent of a VM fails in words of its own, and PVE puts them where it says no.
#[tokio::test]
async fn a_status_line_that_quotes_a_guest_is_read() {
    let error = refused(with_headers("500 VM is locked (\u{1b}[31mbackup)\u{7}\r\u{0}", "", "")).await;
    let PveError::Failed { failure: Failure::Locked, message, .. } = &error else { panic!("{error}") };
    assert!(!message.contains(char::is_control), "{message:?}");
    let error = refused(answer("403 Permission\u{8} check failed", "{\"data\":null}")).await;
    assert!(matches!(error, PveError::Forbidden { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_no_http_is_asked_for_once_and_no_sign_of_a_dead_daemon() {
    let long = format!("HTTP/1.1 500 {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(100_000));
    for head in [long.as_str(), "220 mail.example.org ESMTP\r\n\r\n"] {
        let head = head.as_bytes().to_vec();
        let server = Server::plain(move |seen| match seen.line().contains("/agent/") {
            true => Act::Last(head.clone()),
            false => ok("1"),
        })
        .await;
        let mut node = Node::new();
        node.options.limits.patience.failures = 3;
        let (_node, client) = node.client_of(&server);
        for count in 1..=5 {
            let error = client.get(&read("/nodes/pve1/qemu/104/agent/info")).await.unwrap_err();
            assert!(matches!(error, PveError::NoAnswer { .. }), "{error}");
            assert_eq!(server.log.lines().len(), count, "another try brings the same");
        }
        assert!(client.aside().is_empty(), "{:?}", client.aside());
        client.get(&read("/version")).await.unwrap();
        let error = client.send(post("/nodes/pve1/qemu/104/agent/ping")).await.unwrap_err();
        assert!(error.is_unknown(), "{error}");
    }
}

#[tokio::test]
async fn what_is_not_pves_json_is_said_to_be_none() {
    let json = "Content-Type: application/json\r\n";
    for bytes in [
        with_headers("200 OK", "Content-Type: text/html\r\n", "<!DOCTYPE html><html>login</html>"),
        with_headers("200 OK", json, "<html>"),
        with_headers("200 OK", json, ""),
        with_headers("200 OK", json, "[1]"),
        with_headers("200 OK", "", "{\"data\":1}"),
    ] {
        let error = refused(bytes).await;
        assert!(matches!(error, PveError::NotJson { status: 200, .. }), "{error}");
    }
    // Cut off, where nothing says how long it was to be.
    let server = Server::plain(|_| {
        Act::Last(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"data\":[1,".to_vec())
    })
    .await;
    let (_node, client) = Node::new().client_of(&server);
    let cut = client.get(&read("/x")).await.unwrap();
    assert!(matches!(cut.data::<Vec<u32>>(), Err(PveError::NotJson { .. })));
    // Nested beyond reason.
    let deep = format!("{{\"data\":{}", "[".repeat(100_000));
    let server = Server::plain(move |_| Act::Send(answer("200 OK", &deep))).await;
    let (_node, client) = Node::new().client_of(&server);
    assert!(client.get(&read("/x")).await.unwrap().data::<serde_json::Value>().is_err());
    assert!(matches!(
        refused(with_headers("301 Moved", "Location: https://x/\r\n", "")).await,
        PveError::Unexpected { .. }
    ));
    let server = Server::plain(|_| {
        Act::Last(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_vec())
    })
    .await;
    let (_node, client) = Node::new().client_of(&server);
    assert!(client.get(&read("/x").within(Duration::from_secs(1))).await.is_err());
}

#[tokio::test]
async fn data_comes_with_what_stands_beside_it() {
    let server = Server::plain(|seen| match seen.line().rsplit('/').next() {
        Some("null") => ok("null"),
        Some("log") => Act::Send(answer("200 OK", r#"{"total":"5","data":[{"n":1,"t":"a"}],"x":{}}"#)),
        _ => Act::Send(answer("200 OK", "{\"changes\":\"--- a\\n+++ b\\n\",\"data\":[]}")),
    })
    .await;
    let (_node, client) = Node::new().client_of(&server);
    let answer = client.get(&read("/null")).await.unwrap();
    assert_eq!(answer.data::<Option<String>>().unwrap(), None);
    assert_eq!(answer.raw().unwrap(), "null");
    let answer = client.get(&read("/log")).await.unwrap();
    let log: Envelope<Vec<serde_json::Value>> = answer.envelope().unwrap();
    assert_eq!((log.total, log.data.len(), answer.raw().unwrap()), (Some(5), 1, r#"[{"n":1,"t":"a"}]"#));
    let answer = client.get(&read("/network")).await.unwrap();
    assert!(answer.envelope::<Vec<u32>>().unwrap().changes.is_some());
    assert!(matches!(answer.data::<String>(), Err(PveError::NotJson { .. })));
}

#[tokio::test]
async fn bytes_that_are_no_utf8_are_replaced() {
    let mut bytes =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n".to_vec();
    bytes.extend(b"{\"data\":\"a\xff\xfeb\"}");
    let server = Server::plain(move |_| Act::Send(bytes.clone())).await;
    let (_node, client) = Node::new().client_of(&server);
    assert_eq!(client.get(&read("/x")).await.unwrap().data::<&str>().unwrap(), "a\u{fffd}\u{fffd}b");
}

#[tokio::test]
async fn an_answer_beyond_the_budget_is_not_held() {
    // Announced, and not.
    let huge = "x".repeat(3 << 20);
    for bytes in [
        answer("200 OK", &format!("{{\"data\":\"{huge}\"}}")),
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{{\"data\":\"{huge}\"}}")
            .into_bytes(),
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999999999999\r\n\r\n{"
            .to_vec(),
    ] {
        let server = Server::plain(move |_| Act::Last(bytes.clone())).await;
        let mut node = Node::new();
        node.options.limits.answer = 1 << 20;
        let (_node, client) = node.client_of(&server);
        let error = client.get(&read("/x")).await.unwrap_err();
        assert!(matches!(error, PveError::TooLong { most: 1_048_576, .. }), "{error}");
        assert!(error.to_string().contains("ask for less"), "{error}");
        assert!(client.send(post("/x")).await.unwrap_err().is_unknown());
    }
    // Heads have a budget of their own.
    let head = with_headers("200 OK", &format!("X: {}\r\n", "x".repeat(200_000)), "{\"data\":1}");
    assert!(matches!(refused(head).await, PveError::NoAnswer { .. }));
}

#[tokio::test]
async fn half_a_character_spoils_no_answer() {
    let body = r#"{"data":[{"name":"a\ud83d"},{"name":"b"}]}"#;
    let server = Server::plain(move |_| Act::Send(answer("200 OK", body))).await;
    let (_node, client) = Node::new().client_of(&server);
    let answer = client.get(&read("/nodes/pve1/lxc/101/config")).await.unwrap();
    let rows: serde_json::Value = answer.data().unwrap();
    assert_eq!(rows, serde_json::json!([{ "name": "a\u{fffd}" }, { "name": "b" }]));
}
