//! Who sends too much, or too slowly, or does not read.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::eventually;
use crate::web::{Web, read};

#[test]
fn a_body_that_is_too_long_is_refused_at_once_and_one_that_fits_is_not() {
    let web = Web::start("");
    let token = web.token(&["--ttl", "1h"]);
    let bearer = format!("Bearer {token}");
    // By what it says, before a byte of it.
    let head = format!(
        "POST /v1/tools/status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: {bearer}\r\n\
         content-type: application/json\r\n"
    );
    let said = web.raw(format!("{head}content-length: {}\r\n\r\n", 9 << 20).as_bytes());
    assert_eq!((said.status, said.kind()), (413, "too_long".into()));
    // And by what comes.
    let mut chunked = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..9 {
        chunked.extend(format!("{:x}\r\n", 1 << 20).bytes());
        chunked.extend(std::iter::repeat_n(b' ', 1 << 20));
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    assert_eq!(web.raw(&chunked).status, 413);
    let padded = format!("{{}}{}", " ".repeat(4 << 20));
    let answer = web.ask(
        "POST",
        "/v1/tools/status",
        &[("authorization", &bearer), ("content-type", "application/json")],
        &padded,
    );
    assert_eq!(answer.status, 200, "{}", answer.body);
    // And by the values in it, by which a short one would take hundreds of megabytes.
    let values = format!("{{\"x\":[{}0]}}", "0,".repeat(3_500_000));
    for place in ["/v1/tools/status", "/a2a", "/mcp"] {
        let kinds = [
            ("authorization", &*bearer),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        let answer = web.ask("POST", place, &kinds, &values);
        assert_eq!((answer.status, answer.kind()), (413, "too_long".into()), "{place}: {}", answer.body);
    }
    // Without a token nothing of a body is read.
    let unread = web.raw(
        b"POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 1000000\r\n\r\n",
    );
    assert_eq!(unread.status, 401);
}

#[test]
fn headers_are_bounded_in_number_and_size() {
    let web = Web::start("");
    let many: String = (0..100).map(|at| format!("x-{at}: 1\r\n")).collect();
    let long = format!("x-long: {}\r\n", "x".repeat(64 << 10));
    let start = "GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
    for extra in [many, long] {
        let answer = web.raw(format!("{start}{extra}\r\n").as_bytes());
        assert!(matches!(answer.status, 431 | 400 | 0), "{}", answer.status);
    }
    // As many bytes as the head may have, and one more: in a header, and in what is asked for.
    let most = 32 << 10;
    let filled = |before: &str, after: &str, length: usize| {
        let head = format!("{before}{}{after}", "x".repeat(length - before.len() - after.len()));
        assert_eq!(head.len(), length);
        web.raw(head.as_bytes())
    };
    let begun = format!("{start}x-long: ");
    let (place, rest) = start.split_once(" HTTP").unwrap();
    let rest = format!(" HTTP{rest}\r\n");
    for (before, after) in [(begun.as_str(), "\r\n\r\n"), (&format!("{place}?"), rest.as_str())] {
        assert_eq!(filled(before, after, most).status, 200);
        for over in [most + 1, most + 4096] {
            let refused = filled(before, after, over);
            assert_eq!((refused.status, refused.kind()), (431, "headers_too_long".into()), "{over}");
        }
    }
    assert_eq!(web.get("/health/live").status, 200);
    for nonsense in
        [&b"\x16\x03\x01\x02\x00\x01"[..], b"GET\r\n\r\n", b"\0\0\0\0", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let answer = web.raw(nonsense);
        assert!(answer.status == 0 || answer.status >= 400, "{nonsense:?}: {}", answer.status);
    }
}

#[test]
fn who_is_slow_with_headers_or_body_is_hung_up_on_and_nobody_waits_for_them() {
    let web = Web::start("");
    let token = web.token(&["--ttl", "1h"]);
    let began = Instant::now();
    let mut idle = web.connect();
    let mut head = web.connect();
    head.write_all(b"GET /health HTTP/1.1\r\nhost: local").unwrap();
    let mut body = web.connect();
    let start = format!(
        "POST /v1/tools/status HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 2\r\n\r\n{{"
    );
    body.write_all(start.as_bytes()).unwrap();
    // Meanwhile others are served.
    assert_eq!(web.tool(&token, "status", &json!({})).status, 200);
    let mut rest = Vec::new();
    head.read_to_end(&mut rest).unwrap();
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    let _ = idle.read_to_end(&mut rest);
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    assert_eq!(read(&mut body).status, 408);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[test]
fn many_connections_of_one_account_leave_places_and_take_nobody_elses_for_good() {
    let web = Web::start("");
    let token = web.token(&["--ttl", "1h"]);
    let held: Vec<_> =
        (0..850).map_while(|_| std::os::unix::net::UnixStream::connect(web.socket()).ok()).collect();
    // What is more than one account may have is hung up on.
    held.iter().for_each(|stream| stream.set_nonblocking(true).unwrap());
    eventually("some are hung up on", || {
        held.iter().any(|mut stream| matches!(stream.read(&mut [0]), Ok(0)))
    });
    // The other doors are not touched by it.
    assert_eq!(web.site.client().call("status", json!({}))["isError"], false);
    drop(held);
    assert_eq!(web.tool(&token, "status", &json!({})).status, 200);
}

#[test]
fn sessions_that_were_left_behind_give_way_and_calls_need_none() {
    let web = Web::start("");
    let token = web.token(&["--ttl", "1h"]);
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {} });
    let listened = web.session(&token);
    let mut stream = web.connect();
    let bearer = format!("Bearer {token}");
    let headers =
        [("authorization", bearer.as_str()), ("accept", "text/event-stream"), ("mcp-session-id", &listened)];
    stream.write_all(crate::web::request("GET", "/mcp", &headers, "").as_bytes()).unwrap();
    let mut first = [0; 15];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    // As many as one may have, and some more.
    let sessions: Vec<String> = (0..130).map(|_| web.session(&token)).collect();
    let status = |session: &str| web.mcp(&token, Some(session), &list).status;
    assert_eq!((status(&sessions[0]), status(&sessions[2])), (404, 404), "the oldest have gone");
    assert_eq!((status(&sessions[3]), status(&sessions[129])), (200, 200));
    assert_eq!(status(&listened), 200, "what is listened to is in use");
    assert_eq!(web.tool(&token, "status", &json!({})).status, 200);
    // One that its client ends leaves its place.
    let bearer = format!("Bearer {token}");
    let ended =
        web.ask("DELETE", "/mcp", &[("authorization", &bearer), ("mcp-session-id", &sessions[129])], "");
    assert_eq!(ended.status, 204);
    web.session(&token);
    assert_eq!(status(&sessions[3]), 200);
}
