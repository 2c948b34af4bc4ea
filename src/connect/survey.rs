//! Hosts asked what they are and what they have, when somebody wants to know, and not more often than that takes.
//!
//! It asks by `read`, as the client itself could: who may not read something is not told here either.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rmcp::model::{CallToolRequest, CallToolRequestParams, ClientRequest, RequestMetaObject, ServerResult};
use serde_json::{Map as Object, Value, json};

use super::answer::Said;
use super::host::{Host, Wanted};
use super::many::gather;
use super::places::{Guest, Map, Place, Seen};
use super::trouble::Trouble;
use crate::text::{brief, shortened};

/// What was seen counts without a second look for so long; from then on it is looked at again beside the call.
const FRESH: Duration = Duration::from_secs(20);
/// And no longer than this.
const OLD: Duration = Duration::from_secs(600);
/// A host that did not answer holds nobody again for so long.
const SPARED: Duration = Duration::from_secs(15);
/// For one look, however little by little a host answers.
const MOST_LOOK: Duration = Duration::from_secs(60);
/// Of one host's answers: pages, guests, nodes.
const MOST_PAGES: usize = 200;
const MOST_GUESTS: usize = 50_000;
const MOST_NODES: usize = 256;
const LONGEST_NAME: usize = 128;

pub struct Surveyor {
    hosts: Vec<Arc<Host>>,
    slots: Mutex<Vec<Slot>>,
    /// One look at a host at a time.
    turns: Vec<Arc<tokio::sync::Mutex<()>>>,
}

#[derive(Clone, Default)]
struct Slot {
    seen: Option<Arc<Seen>>,
    /// Something has moved since.
    is_stale: bool,
    failed: Option<(Instant, Trouble)>,
}

impl Surveyor {
    pub fn new(hosts: Vec<Arc<Host>>) -> Arc<Self> {
        let (slots, turns) = hosts.iter().map(|_| Default::default()).unzip();
        Arc::new(Self { hosts, slots: Mutex::new(slots), turns })
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known now.
    pub fn map(&self) -> Map {
        let seen = self.slots().iter().map(|slot| slot.seen.clone()).collect();
        let pins: Vec<Option<String>> = self.hosts.iter().map(|host| host.spec.node.clone()).collect();
        Map::new(seen, &pins)
    }

    /// What came to nothing with a host that was never seen.
    pub fn unseen(&self, among: &[Place]) -> Vec<(Place, Trouble)> {
        let slots = self.slots();
        let unseen = among.iter().filter(|place| slots[**place].seen.is_none());
        unseen
            .map(|place| {
                let failed = slots[*place].failed.as_ref().map(|(_, trouble)| trouble.clone());
                (*place, failed.unwrap_or_else(Trouble::connecting))
            })
            .collect()
    }

    /// An answer did not fit what was thought of that host.
    pub fn doubt(&self, place: Place) {
        self.slots()[place].is_stale = true;
    }

    /// Sees to it that what is known of these hosts is of now: where it is old, they are waited for.
    pub async fn look(self: &Arc<Self>, among: &[Place]) {
        let (mut wait, mut beside) = (Vec::new(), Vec::new());
        {
            let slots = self.slots();
            for place in among.iter().copied() {
                let slot = &slots[place];
                let spared = slot.failed.as_ref().is_some_and(|(at, _)| at.elapsed() < SPARED);
                match slot.seen.as_ref().map(|seen| seen.at.elapsed()) {
                    Some(age) if !slot.is_stale && age < FRESH => {}
                    Some(age) if spared || (!slot.is_stale && age < OLD) => beside.push(place),
                    // Each is waited for once; from then on it is told when it is there.
                    None if slot.failed.is_some() => beside.push(place),
                    _ => wait.push(place),
                }
            }
        }
        // Who is left alone for a while would only be found to be; and who is being looked at is looked at once.
        let is_due = |place: &Place| !self.hosts[*place].is_paused() && self.turns[*place].try_lock().is_ok();
        for place in beside.into_iter().filter(is_due) {
            tokio::spawn(self.clone().again(place, FRESH));
        }
        self.wait(wait, FRESH).await;
    }

    /// Looks anew, as something was not found; not when that has just been done.
    pub async fn look_again(self: &Arc<Self>, among: &[Place]) {
        const JUST: Duration = Duration::from_secs(1);
        let wait = {
            let slots = self.slots();
            let is_due = |slot: &Slot| {
                let just = |at: &Instant| at.elapsed() < JUST;
                !slot.seen.as_ref().is_some_and(|seen| just(&seen.at))
                    && slot.failed.as_ref().is_none_or(|(at, _)| at.elapsed() >= SPARED)
            };
            among.iter().copied().filter(|place| is_due(&slots[*place])).collect()
        };
        self.wait(wait, JUST).await;
    }

    async fn wait(self: &Arc<Self>, places: Vec<Place>, fresh: Duration) {
        if places.is_empty() {
            return;
        }
        let looks: Vec<_> = places
            .iter()
            .map(|place| {
                let (surveyor, place) = (self.clone(), *place);
                // Goes on where it is not waited for, so that the next call has it.
                let look = tokio::spawn(surveyor.again(place, fresh));
                async move { look.await.unwrap_or(false) }
            })
            .collect();
        let came = gather(looks, |seen| *seen).await;
        let mut slots = self.slots();
        for (place, _) in places.iter().zip(came).filter(|(_, came)| came.is_none()) {
            slots[*place].failed = Some((Instant::now(), Trouble::connecting()));
        }
    }

    /// Looks at one host, unless somebody just did: who waited for their turn meanwhile has the same answer. Whether it is
    /// seen now.
    async fn again(self: Arc<Self>, place: Place, fresh: Duration) -> bool {
        let came = Instant::now();
        let turn = self.turns[place].clone();
        let _turn = turn.lock().await;
        let known =
            |slot: &Slot| !slot.is_stale && slot.seen.as_ref().is_some_and(|seen| seen.at.elapsed() < fresh);
        let failed = |slot: &Slot| slot.failed.as_ref().is_some_and(|(at, _)| *at > came);
        {
            let slot = &self.slots()[place];
            if known(slot) || failed(slot) {
                return known(slot);
            }
        }
        let seen = tokio::time::timeout(MOST_LOOK, see(&self.hosts[place])).await;
        let seen = seen.unwrap_or_else(|_| Err(Trouble::silent(MOST_LOOK)));
        let slot = &mut self.slots()[place];
        match seen {
            Ok(seen) => {
                *slot = Slot { seen: Some(Arc::new(seen)), ..Slot::default() };
                true
            }
            Err(trouble) => {
                // It is not what it should be; what is not there is what it was.
                if trouble.kind == WRONG_NODE {
                    slot.seen = None;
                }
                slot.failed = Some((Instant::now(), trouble));
                false
            }
        }
    }
}

const WRONG_NODE: &str = "wrong_node";

/// What a host says of itself.
async fn see(host: &Arc<Host>) -> Result<Seen, Trouble> {
    let (node, cluster, nodes) = match read(host, json!({ "path": "/cluster/status", "fields": ["*"] })).await
    {
        Ok(answer) => itself(&answer),
        Err(Unread::Trouble(trouble)) => return Err(trouble),
        // Its role may not read that, or PVE does not answer: it is a host all the same.
        Err(Unread::No) => Default::default(),
    };
    if let Some(pinned) = &host.spec.node
        && node.as_ref() != Some(pinned)
    {
        let is =
            node.map_or_else(|| "does not say which node it is".into(), |node| format!("says it is {node}"));
        let message = format!("it {is}, and the fleet's file says {pinned}");
        return Err(Trouble::new(WRONG_NODE, message, "correct `ssh` or `node` of it in the fleet's file"));
    }
    let mut guests = HashMap::new();
    let mut cursor: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let mut args = json!({
            "path": "/cluster/resources", "args": { "type": "vm" }, "limit": 1000, "fields": ["vmid", "node", "type", "name"],
        });
        if let Some(cursor) = cursor.take() {
            args["cursor"] = cursor.into();
        }
        let answer = match read(host, args).await {
            Ok(answer) => answer,
            Err(Unread::Trouble(trouble)) => return Err(trouble),
            Err(Unread::No) => break,
        };
        let rows = answer.get("data").and_then(Value::as_array);
        guests.extend(rows.into_iter().flatten().filter_map(guest));
        cursor = answer.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() || guests.len() >= MOST_GUESTS {
            break;
        }
    }
    Ok(Seen { node, cluster, nodes, guests, at: Instant::now() })
}

enum Unread {
    Trouble(Trouble),
    /// It answered, and not with what was asked for.
    No,
}

async fn read(host: &Arc<Host>, arguments: Value) -> Result<Object<String, Value>, Unread> {
    let Value::Object(arguments) = arguments else { return Err(Unread::No) };
    let asked = CallToolRequestParams::new("read").with_arguments(arguments);
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(asked));
    let answer = host.ask(Wanted::AmongOthers, request, RequestMetaObject::default(), None).await;
    match answer.map_err(Unread::Trouble)? {
        Ok(ServerResult::CallToolResult(result)) => {
            let said = Said::of(&host.name, result).map_err(Unread::Trouble)?;
            if said.is_error { Err(Unread::No) } else { Ok(said.object) }
        }
        _ => Err(Unread::No),
    }
}

/// Its node, its cluster's name, and its cluster's nodes.
fn itself(
    answer: &Object<String, Value>,
) -> (Option<String>, Option<String>, std::collections::BTreeSet<String>) {
    let rows = answer.get("data").and_then(Value::as_array).into_iter().flatten();
    let (mut node, mut cluster, mut nodes) = Default::default();
    for row in rows.take(MOST_NODES) {
        let name = row.get("name").and_then(Value::as_str).map(|name| brief(name, LONGEST_NAME));
        match (row.get("type").and_then(Value::as_str), name) {
            (Some("cluster"), name) => cluster = name,
            (Some("node"), Some(name)) => {
                if truth(row.get("local")) {
                    node = Some(name.clone());
                }
                std::collections::BTreeSet::insert(&mut nodes, name);
            }
            _ => {}
        }
    }
    (node, cluster, nodes)
}

/// 1, "1" or true.
fn truth(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(yes)) => *yes,
        Some(Value::Number(number)) => number.as_u64() == Some(1),
        Some(Value::String(text)) => text == "1",
        _ => false,
    }
}

fn guest(row: &Value) -> Option<(u32, Guest)> {
    let text = |key: &str| row.get(key).and_then(Value::as_str);
    let vmid = row.get("vmid").and_then(|vmid| vmid.as_u64().or_else(|| vmid.as_str()?.parse().ok()))?;
    let is_container = match text("type")? {
        "lxc" => true,
        "qemu" => false,
        _ => return None,
    };
    let name = shortened(text("name").unwrap_or_default(), LONGEST_NAME);
    let node = brief(text("node")?, LONGEST_NAME);
    Some((u32::try_from(vmid).ok()?, Guest { node, is_container, name }))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::UnixListener;
    use tokio::runtime::Handle;
    use tokio_util::sync::CancellationToken;
    use tokio_util::task::TaskTracker;

    use super::super::client::Client;
    use super::super::fleet::{At, Spec};
    use super::super::host::Common;
    use super::*;
    use crate::share::Supply;

    /// A host that begins a session, and tells of each read that it never answers.
    async fn silent(listener: UnixListener, asked: tokio::sync::mpsc::UnboundedSender<()>) {
        let (stream, _) = listener.accept().await.unwrap();
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["method"] == "initialize" {
                let result = json!({
                    "protocolVersion": message["params"]["protocolVersion"], "capabilities": {},
                    "serverInfo": { "name": "provost", "version": "0" },
                });
                let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
                write.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
            } else if message["method"] == "tools/call" {
                asked.send(()).unwrap();
            }
        }
    }

    #[tokio::test]
    async fn who_is_being_looked_at_is_looked_at_once_however_many_calls_there_are() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("silent.sock");
        let (ask, mut asked) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(silent(UnixListener::bind(&path).unwrap(), ask));
        let common = Common {
            client: Arc::new(Client::none()),
            ssh_config: None,
            unfinished: Supply::new(1 << 20, 1 << 20),
            stop: CancellationToken::new(),
            ways: TaskTracker::new(),
        };
        let spec = Spec { name: "silent".into(), at: At::Socket(path), node: None };
        let surveyor = Surveyor::new(vec![Host::new(spec, 0, Arc::new(common))]);
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
}
