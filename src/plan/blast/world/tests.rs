//! What is gathered, and that nobody waits for ever.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::json;

use super::*;
use crate::catalog::{Catalog, Method, Release};
use crate::estate::{Source, Survey, Unread};
use crate::pve::{Limits, Options};

fn catalog() -> Arc<Catalog> {
    Arc::new(Catalog::embedded(Release::LATEST))
}

fn request(method: Method, path: &str, args: Value) -> Request {
    Request::of(&catalog(), method, path, args.as_object().cloned().unwrap_or_default(), Vec::new()).unwrap()
}

/// Nobody listens where these eyes look.
fn eyes() -> Eyes {
    let client = Client::new(Options {
        product: crate::product::Product::Pve,
        url: "https://127.0.0.1:9".into(),
        daemon: String::new(),
        token: "/nowhere/token".into(),
        certificate: "/nowhere/certificate".into(),
        etc_pve: "/nowhere".into(),
        node: Some("pve1".into()),
        limits: Limits::default(),
    });
    Eyes::new(&client.unwrap(), catalog())
}

/// A file system that hangs until it is let go.
struct Wedged(Mutex<Receiver<()>>);

impl Wedged {
    fn new() -> (Self, Sender<()>) {
        let (go, held) = channel();
        (Self(Mutex::new(held)), go)
    }
}

impl Source for Wedged {
    fn survey(&self, _: Option<&Survey>) -> Survey {
        // It ends when whoever holds it does.
        let _ = self.0.lock().unwrap().recv();
        Survey::default()
    }

    fn read(&self, _: &str, _: &mut Vec<u8>) -> Result<(), Unread> {
        Err(Unread::Absent)
    }
}

fn world(source: impl Source + 'static) -> World {
    let keeper = Arc::new(Keeper::start(source).unwrap());
    World::new(keeper, None).with(Connections::of([""; 0]), Duration::from_millis(50))
}

#[tokio::test]
async fn a_file_system_that_hangs_is_not_waited_for_and_said() {
    let (source, go) = Wedged::new();
    let world = world(source);
    let request = request(Method::Delete, "/storage/local-zfs", json!({}));
    let view = world.view(&eyes(), &request).await;
    assert!(view.estate.is_none());
    let said = view.not_seen.join("\n");
    assert!(
        said.contains(
            "what depends on it was not looked at: the cluster's configuration did not answer within 50ms"
        ),
        "{said}"
    );
    assert!(said.contains("which guests run could not be read"), "{said}");
    assert!(said.contains("the list of backups on the storage was not seen"), "{said}");
    drop(go);
}

#[tokio::test]
async fn what_was_read_before_it_hung_counts_and_is_said_to_be_old() {
    let (source, go) = Wedged::new();
    let world = world(source);
    // As many surveys as a reading may take.
    (0..4).for_each(|_| go.send(()).unwrap());
    world.keeper().current().await.unwrap();
    // What is left of them is taken by a reading that nobody waits for.
    let request = request(Method::Delete, "/storage/local-zfs", json!({}));
    let mut view = world.view(&eyes(), &request).await;
    for _ in 0..4 {
        if !view.not_seen.join("\n").contains("did not answer") {
            view = world.view(&eyes(), &request).await;
        }
    }
    assert!(view.estate.is_some());
    let said = view.not_seen.join("\n");
    assert!(
        said.contains("did not answer within 50ms: what depends on it is told by how it was when last read"),
        "{said}"
    );
    drop(go);
}

#[tokio::test]
async fn a_call_without_rules_asks_for_nothing() {
    let (source, go) = Wedged::new();
    let world = world(source);
    let request = request(Method::Post, "/nodes/pve1/wakeonlan", json!({}));
    let view = world.view(&eyes(), &request).await;
    assert!(view.not_seen.is_empty() && view.estate.is_none(), "{:?}", view.not_seen);
    drop(go);
}

#[test]
fn blanks_and_queries_are_filled_from_the_call() {
    let migrate = request(Method::Post, "/nodes/pve1/qemu/104/migrate", json!({"target": "pve3"}));
    let get = Get {
        name: "x",
        template: "/nodes/{node}/network",
        with: &[("node", "{target}"), ("type", "any_bridge"), ("none", "{bwlimit}")],
    };
    let (named, query) = filled(&get, &migrate, Some("pve1")).unwrap();
    assert_eq!(named["node"], "pve3");
    assert_eq!(query, [("type", "any_bridge".to_owned())]);
    let remove = request(Method::Delete, "/storage/nas", json!({}));
    let get = Get { name: "x", template: "/nodes/{node}/storage/{storage}/content", with: &[] };
    let (named, _) = filled(&get, &remove, Some("pve1")).unwrap();
    assert_eq!((&named["node"], &named["storage"]), (&json!("pve1"), &json!("nas")));
    let get = Get { name: "x", template: "/nodes/{node}/network", with: &[("node", "{target}")] };
    assert!(filled(&get, &remove, Some("pve1")).is_none(), "the call names no target");
}
