//! Looks at hosts that answer, fail, or say nothing.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::connect::client::Client;
use crate::connect::fleet::{At, Spec};
use crate::connect::host::Common;
use crate::share::Supply;

/// Hosts, each of which begins a session and tells of every read; what it says to that is what `says` says, if anything.
struct Hosts {
    surveyor: Arc<Surveyor>,
    asked: UnboundedReceiver<Place>,
    _dir: tempfile::TempDir,
}

fn hosts(number: usize, says: impl Fn(Place, &Value) -> Option<Value> + Send + Sync + 'static) -> Hosts {
    let dir = tempfile::tempdir().unwrap();
    let (ask, asked) = unbounded_channel();
    let common = Arc::new(Common {
        client: Arc::new(Client::none()),
        ssh_config: None,
        unfinished: Supply::new(1 << 20, 1 << 20),
        stop: CancellationToken::new(),
        ways: TaskTracker::new(),
    });
    let says = Arc::new(says);
    let host = |place: Place| {
        let path = dir.path().join(place.to_string());
        let listener = UnixListener::bind(&path).unwrap();
        let (ask, says) = (ask.clone(), says.clone());
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let message: Value = serde_json::from_str(&line).unwrap();
                let result = match message["method"].as_str().unwrap() {
                    "initialize" => Some(json!({
                        "protocolVersion": message["params"]["protocolVersion"], "capabilities": {},
                        "serverInfo": { "name": "provost", "version": "0" },
                    })),
                    "ping" => Some(json!({})),
                    "tools/call" => {
                        ask.send(place).unwrap();
                        says(place, &message["params"]["arguments"])
                    }
                    _ => None,
                };
                if let Some(result) = result {
                    let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
                    write.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
                }
            }
        });
        let spec = Spec { name: format!("h{place}"), at: At::Socket(path), node: None };
        Host::new(spec, place, common.clone())
    };
    Hosts { surveyor: Surveyor::new((0..number).map(host).collect()), asked, _dir: dir }
}

/// An answer to every read of a host that has these guests; or the failure that it is.
fn has(guests: &[u32], asked: &Value) -> Value {
    let row = |vmid: &u32| json!({ "vmid": vmid, "node": "n", "type": "lxc", "name": "" });
    let rows: Vec<Value> = match asked["path"] == "/cluster/resources" {
        true => guests.iter().map(row).collect(),
        false => vec![json!({ "type": "node", "name": "n", "local": 1 })],
    };
    json!({ "content": [], "structuredContent": { "data": rows } })
}

fn fails(kind: &str) -> Value {
    let error = json!({ "kind": kind, "message": "no", "next": "" });
    json!({ "content": [], "structuredContent": { "error": error }, "isError": true })
}

impl Hosts {
    /// As if they had been looked at so long ago, and had had nothing.
    fn seen(&self, ago: Duration) {
        for slot in self.surveyor.slots().iter_mut() {
            let (guests, nodes) = (HashMap::new(), BTreeSet::new());
            let at = Instant::now() - ago;
            let seen = Seen { node: None, cluster: None, nodes, guests, has_guests: true, at };
            slot.seen = Some(Arc::new(seen));
        }
    }

    fn guests(&self, place: Place) -> Option<Vec<u32>> {
        let map = self.surveyor.map();
        map.seen(place).map(|seen| seen.guests.keys().copied().collect())
    }

    fn unseen(&self, among: &[Place]) -> Vec<Place> {
        self.surveyor.sight(among).1
    }
}

#[tokio::test]
async fn who_is_being_looked_at_is_looked_at_once_however_many_calls_there_are() {
    let Hosts { surveyor, mut asked, _dir } = hosts(1, |_, _| None);
    tokio::spawn(surveyor.clone().again(0, FRESH));
    asked.recv().await.unwrap();
    // Somebody has waited for it long enough.
    surveyor.slots()[0].failed = Some((Instant::now(), Trouble::connecting()));
    let before = Handle::current().metrics().num_alive_tasks();
    for _ in 0..1000 {
        surveyor.look(&[0]).await;
    }
    assert_eq!(Handle::current().metrics().num_alive_tasks(), before);
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn what_cannot_be_taken_back_waits_for_what_is_so_now_and_a_read_does_not() {
    let hosts = hosts(1, |_, asked| Some(has(&[105], asked)));
    hosts.seen(FRESH + Duration::from_secs(1));
    hosts.surveyor.look(&[0]).await;
    assert_eq!(hosts.guests(0), Some(vec![]), "a read goes by what was said before");
    hosts.surveyor.look_now(&[0]).await;
    assert_eq!((hosts.guests(0), hosts.unseen(&[0])), (Some(vec![105]), vec![]));
}

#[tokio::test]
async fn what_a_host_has_just_said_counts_while_it_is_there() {
    let hosts = hosts(1, |_, asked| Some(has(&[105], asked)));
    // It is not connected to, so that nobody knows whether it still says so.
    hosts.seen(Duration::ZERO);
    hosts.surveyor.look_now(&[0]).await;
    assert_eq!(hosts.guests(0), Some(vec![105]));
    hosts.seen(Duration::ZERO);
    hosts.surveyor.look_now(&[0]).await;
    assert_eq!(hosts.guests(0), Some(vec![]));
    // Something has moved there since.
    hosts.surveyor.doubt(0);
    hosts.surveyor.look_now(&[0]).await;
    assert_eq!(hosts.guests(0), Some(vec![105]));
}

#[tokio::test]
async fn a_host_that_cannot_say_what_it_has_keeps_what_it_said_and_is_in_doubt_until_it_can() {
    let can = Arc::new(AtomicBool::new(true));
    let say = can.clone();
    let hosts = hosts(2, move |place, asked| match place == 0 || say.load(SeqCst) {
        true => Some(has(&[105], asked)),
        false => Some(fails("pve_no_answer")),
    });
    hosts.surveyor.look_now(&[0, 1]).await;
    can.store(false, SeqCst);
    hosts.surveyor.doubt(1);
    hosts.surveyor.look_now(&[0, 1]).await;
    assert_eq!((hosts.guests(1), hosts.unseen(&[0, 1])), (Some(vec![105]), vec![1]));
    let failed = hosts.surveyor.failed();
    assert_eq!(failed[1].as_ref().map(|trouble| trouble.kind), Some(CANNOT_SAY));
    can.store(true, SeqCst);
    hosts.surveyor.look_now(&[0, 1]).await;
    assert_eq!((hosts.guests(1), hosts.unseen(&[0, 1])), (Some(vec![105]), vec![]));
}

#[tokio::test]
async fn only_what_is_not_for_the_role_or_not_of_the_product_is_not_there() {
    for (path, kind, is_seen, has_guests) in [
        ("/cluster/status", "closed_to_role", true, true),
        ("/cluster/status", "forbidden", true, true),
        ("/cluster/status", "pve_unreachable", false, true),
        ("/cluster/resources", "closed_to_role", true, true),
        ("/cluster/resources", "denied_to_role", true, true),
        ("/cluster/resources", "no_such_path", true, false),
        ("/cluster/resources", "forbidden", false, true),
        ("/cluster/resources", "rate", false, true),
        ("/cluster/resources", "busy", false, true),
    ] {
        let hosts = hosts(1, move |_, asked| match asked["path"] == path {
            true => Some(fails(kind)),
            false => Some(has(&[105], asked)),
        });
        hosts.surveyor.look_now(&[0]).await;
        assert_eq!(hosts.unseen(&[0]).is_empty(), is_seen, "{path} {kind}");
        assert_eq!(hosts.surveyor.may_have_guests(), has_guests, "{path} {kind}");
    }
}

#[tokio::test]
async fn half_a_list_is_none() {
    let hosts = hosts(1, |_, asked| match asked["cursor"].is_string() {
        true => Some(fails("closed_to_role")),
        false => {
            let mut first = has(&[105], asked);
            first["structuredContent"]["next_cursor"] = "1-x".into();
            Some(first)
        }
    });
    hosts.surveyor.look_now(&[0]).await;
    assert_eq!((hosts.guests(0), hosts.unseen(&[0])), (None, vec![0]));
}

#[tokio::test]
async fn who_lags_behind_the_others_holds_a_change_for_three_seconds() {
    let hosts = hosts(2, |place, asked| (place == 0).then(|| has(&[], asked)));
    hosts.surveyor.look_now(&[0]).await;
    let began = Instant::now();
    hosts.surveyor.look_now(&[0, 1]).await;
    assert_eq!(hosts.unseen(&[0, 1]), [1]);
    assert!(began.elapsed() < crate::connect::many::MOST / 2, "{:?}", began.elapsed());
}
