//! The token's secret is in the Authorization header and nowhere else.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use super::server::{Act, Identity, Server, answer, ok, with_headers};
use super::{Node, SECRET, post, read, write_token};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_secret_occurs_in_no_log_and_no_error() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(captured.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut shown = String::new();
    let mut note = |result: Result<super::super::Answer, super::super::PveError>| match result {
        Ok(answer) => shown += &format!("{answer:?}\n"),
        Err(error) => shown += &format!("{error} {error:?} {error:#?}\n"),
    };
    let acts: [fn() -> Act; 7] = [
        || ok("1"),
        || Act::Reset,
        || Act::Hang,
        || Act::Send(answer("401 Authentication failed!", "")),
        || Act::Send(answer("500 no", "{\"data\":null,\"message\":\"no\"}")),
        || Act::Last(b"garbage".to_vec()),
        || Act::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_vec()),
    ];
    for act in acts {
        let mut node = Node::new();
        let proxy = Server::tls(&node.identity, move |_| act()).await;
        node.options.url = proxy.url();
        node.options.daemon = "http://127.0.0.1:1".into();
        let client = node.client();
        for _ in 0..2 {
            note(client.get(&read("/version").within(Duration::from_millis(100))).await);
            let write = post("/x").with("password", SECRET).unwrap().within(Duration::from_millis(100));
            shown_write(&write);
            note(client.send(write).await);
        }
    }
    // Another certificate, and tokens that are none.
    let mut node = Node::new();
    let wrong = Server::tls(&Identity::new(), |_| ok("1")).await;
    node.options.url = wrong.url();
    note(node.client().get(&read("/version")).await);
    for secret in [format!("{SECRET} "), format!("={SECRET}"), format!("{SECRET}\n{SECRET}")] {
        write_token(&node.options.token, &secret);
        note(node.client().get(&read("/version")).await);
    }
    let logged = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("tried again"), "the log was captured: {logged}");
    for text in [&shown, &logged] {
        for part in SECRET.split('-').filter(|part| part.len() > 4) {
            assert!(!text.contains(part), "{part}: {text}");
        }
    }
}

fn shown_write(write: &super::super::Write) {
    assert!(!format!("{write:?} {write:#?}").contains(SECRET));
}

/// What the server says to a call that sent a password, a key and a token.
async fn refused(act: fn() -> Act) -> String {
    let server = Server::plain(move |_| act()).await;
    let (_node, client) = Node::new().client_of(&server);
    let mut shown = String::new();
    let write =
        post("/access/users").with("password", "hunter2 &%").unwrap().with("comment", "plain").unwrap();
    let write = write.with("apiKey", "hunter2key").unwrap();
    if let Err(error) = client.send(write).await {
        shown += &format!("{error} {error:?}\n");
    }
    let read = read("/x").with("password", "hunter2 &%").unwrap().with("apiKey", "hunter2key").unwrap();
    match client.get(&read).await {
        Ok(answer) => {
            for error in [answer.data::<u64>().err(), answer.data::<Vec<u64>>().err()].into_iter().flatten() {
                shown += &format!("{error} {error:?}\n");
            }
        }
        Err(error) => shown += &format!("{error} {error:?}\n"),
    }
    assert!(!shown.is_empty());
    shown
}

#[tokio::test]
async fn no_secret_that_pve_quotes_is_repeated() {
    let json = "Content-Type: application/json\r\n";
    let acts: Vec<fn() -> Act> = vec![
        || Act::Send(answer("500 login failed: password=hunter2", "")),
        || {
            Act::Send(answer(
                "500 x",
                r#"{"data":null,"message":"user ops: 'hunter2 &%' is too short, hunter2key as well"}"#,
            ))
        },
        || {
            Act::Send(answer(
                "500 x",
                r#"{"data":null,"message":"Authorization: Bearer hunter2hunter2 refused"}"#,
            ))
        },
        || {
            Act::Send(answer(
                "400 x",
                r#"{"data":null,"errors":{"password":"value 'hunter2' is weak","key":"got 'hunter2'"}}"#,
            ))
        },
        || {
            Act::Send(answer(
                "400 x",
                r#"{"data":null,"errors":{"net0":"invalid format - 'a=1,password=hunter2'"}}"#,
            ))
        },
        || {
            Act::Send(answer(
                "401 no ticket PVE:root@pam:6B012E72::hunter2AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                "",
            ))
        },
        || Act::Send(answer("403 Permission check failed (token=hunter2)", "")),
        || Act::Send(answer("596 http://ops:hunter2@pve2/", "")),
        || Act::Send(answer("200 OK", r#"{"data":"hunter2"}"#)),
        || Act::Send(answer("200 OK", r#"{"data":["hunter2"]}"#)),
        || Act::Send(answer("200 OK", r#"{"data":"hunter2"#)),
    ];
    for act in acts {
        let shown = refused(act).await;
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    for body in
        ["hunter2", "{\"data\":hunter2}", "<html><title>hunter2</title>", "[\"hunter2\"]", "\"hunter2\""]
    {
        for headers in [json, "Content-Type: text/html\r\n", ""] {
            let bytes = with_headers("200 OK", headers, body);
            let server = Server::plain(move |_| Act::Send(bytes.clone())).await;
            let (_node, client) = Node::new().client_of(&server);
            let shown = match client.get(&read("/x")).await {
                Ok(answer) => format!("{:?}", answer.data::<u64>()),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!shown.contains("hunter2") && !shown.contains("<"), "{shown}");
        }
    }
}

#[tokio::test]
async fn what_is_said_of_a_secret_parameter_is_shown_where_it_cannot_quote_it() {
    let shown = refused(|| {
        Act::Send(answer(
            "400 x",
            r#"{"data":null,"errors":{"password":"property is missing and it is not optional"}}"#,
        ))
    })
    .await;
    assert!(shown.contains("password: property is missing"), "{shown}");
}

#[tokio::test]
async fn a_message_is_as_long_as_may_be_and_says_how_long_it_was() {
    let shown = refused(|| {
        let body =
            format!("{{\"data\":null,\"message\":\"{}\",\"errors\":{{\"a\":\"{0}\"}}}}", "x".repeat(100_000));
        Act::Send(answer("500 x", &body))
    })
    .await;
    assert!(shown.contains("[98000 more characters]") && shown.len() < 20_000, "{}", shown.len());
}
