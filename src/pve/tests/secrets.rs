//! The token's secret is in the Authorization header and nowhere else.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use super::server::{Act, Identity, Server, answer, ok};
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
