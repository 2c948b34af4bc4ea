//! One look at a host: which node it is, and which guests it has, as it says itself.
//!
//! It asks by `read`, as the client itself could: who may not read something is not told here either. What is not for the
//! role, or not of the product, is not there for this session. Anything else that is no answer is the look's failure: a
//! host that cannot say what it has is never taken for one that has nothing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use rmcp::model::{CallToolRequest, CallToolRequestParams, ClientRequest, RequestMetaObject, ServerResult};
use serde_json::{Map as Object, Value, json};

use super::answer::Said;
use super::host::{Host, Wanted};
use super::places::{Guest, Seen};
use super::trouble::Trouble;
use crate::text::{brief, shortened};

/// Of one host's answers: pages, guests, nodes.
const MOST_PAGES: usize = 200;
const MOST_GUESTS: usize = 50_000;
const MOST_NODES: usize = 256;
const LONGEST_NAME: usize = 128;
/// Characters of a host's words about why it cannot say it.
const LONGEST_REASON: usize = 300;

/// It is another node than the fleet's file says.
pub const WRONG_NODE: &str = "wrong_node";
/// It is there, and what stands behind it does not tell.
pub const CANNOT_SAY: &str = "cannot_say";

/// Failures of `read` by which the role has no such thing, and by which the product has none.
const CLOSED: &[&str] = &["closed_to_role", "denied_to_role", "no_role"];
const ABSENT: &str = "no_such_path";
/// PVE's own: the token of the role has not the privilege.
const FORBIDDEN: &str = "forbidden";

/// What a host says of itself. All of it, or none: half a list of guests would be a lie about the other half.
pub async fn look(host: &Arc<Host>) -> Result<Seen, Trouble> {
    // What moves while it speaks may not be in what it says.
    let at = Instant::now();
    let (node, cluster, nodes) = match read(host, json!({ "path": "/cluster/status", "fields": ["*"] })).await
    {
        Ok((_, rows)) => itself(&rows),
        // It is a host all the same.
        Err(unread) if unread.is_one_of(CLOSED) || unread.is_one_of(&[ABSENT, FORBIDDEN]) => {
            Default::default()
        }
        Err(unread) => return Err(unread.trouble),
    };
    if let Some(pinned) = &host.spec.node
        && node.as_ref() != Some(pinned)
    {
        let is =
            node.map_or_else(|| "does not say which node it is".into(), |node| format!("says it is {node}"));
        let message = format!("it {is}, and the fleet's file says {pinned}");
        return Err(Trouble::new(WRONG_NODE, message, "correct `ssh` or `node` of it in the fleet's file"));
    }
    let (guests, has_guests) = match guests(host).await {
        Ok(guests) => (guests, true),
        // To a token without the privilege PVE gives a shorter list, and no such refusal.
        Err(unread) if unread.is_one_of(CLOSED) => (HashMap::new(), true),
        Err(unread) if unread.is_one_of(&[ABSENT]) => (HashMap::new(), false),
        Err(unread) => return Err(unread.trouble),
    };
    Ok(Seen { node, cluster, nodes, guests, has_guests, at })
}

async fn guests(host: &Arc<Host>) -> Result<HashMap<u32, Guest>, Unread> {
    let mut guests = HashMap::new();
    let mut cursor: Option<String> = None;
    for page in 0..MOST_PAGES {
        let mut args = json!({
            "path": "/cluster/resources", "args": { "type": "vm" }, "limit": 1000, "fields": ["vmid", "node", "type", "name"],
        });
        if let Some(cursor) = cursor.take() {
            args["cursor"] = cursor.into();
        }
        let (answer, rows) = read(host, args).await.map_err(|unread| unread.of_page(page))?;
        guests.extend(rows.iter().filter_map(guest));
        cursor = answer.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            return Ok(guests);
        }
        if guests.len() >= MOST_GUESTS {
            break;
        }
    }
    Err(Trouble::no_answer("its list of guests has no end").into())
}

/// Why something was not read.
struct Unread {
    trouble: Trouble,
    /// The kind of the failure that it answered with.
    said: Option<String>,
}

impl Unread {
    fn is_one_of(&self, kinds: &[&str]) -> bool {
        self.said.as_deref().is_some_and(|said| kinds.contains(&said))
    }

    /// A list of which there is a first page is not closed or absent on the next: that is a failure like any other.
    fn of_page(self, page: usize) -> Self {
        Self { said: self.said.filter(|_| page == 0), ..self }
    }
}

impl From<Trouble> for Unread {
    fn from(trouble: Trouble) -> Self {
        Self { trouble, said: None }
    }
}

/// The answer, and the list that it holds.
async fn read(host: &Arc<Host>, arguments: Value) -> Result<(Object<String, Value>, Vec<Value>), Unread> {
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    let asked = CallToolRequestParams::new("read").with_arguments(arguments);
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(asked));
    let answer = host.ask(Wanted::AmongOthers, request, RequestMetaObject::default(), None).await?;
    let result = match answer {
        Ok(ServerResult::CallToolResult(result)) => result,
        Ok(_) => return Err(Trouble::no_answer("its answer is none to a call of a tool").into()),
        Err(refused) => return Err(cannot_say(&refused.message).into()),
    };
    let mut said = Said::of(&host.name, result)?;
    if let Some(error) = said.error() {
        let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
        let trouble = cannot_say(&format!("{} ({})", text("message"), text("kind")));
        return Err(Unread { trouble, said: Some(text("kind").to_owned()) });
    }
    match said.object.remove("data") {
        Some(Value::Array(rows)) => Ok((said.object, rows)),
        _ => Err(Trouble::no_answer("where a list was asked for it gave none").into()),
    }
}

fn cannot_say(why: &str) -> Trouble {
    let message = format!("it could not say what it has: {}", brief(why, LONGEST_REASON));
    Trouble::new(CANNOT_SAY, message, "on that node: provost doctor; what names it by `host` goes there")
}

/// Its node, its cluster's name, and its cluster's nodes.
fn itself(rows: &[Value]) -> (Option<String>, Option<String>, BTreeSet<String>) {
    let (mut node, mut cluster, mut nodes) = (None, None, BTreeSet::new());
    for row in rows.iter().take(MOST_NODES) {
        let name = row.get("name").and_then(Value::as_str).map(|name| brief(name, LONGEST_NAME));
        match (row.get("type").and_then(Value::as_str), name) {
            (Some("cluster"), name) => cluster = name,
            (Some("node"), Some(name)) => {
                if truth(row.get("local")) {
                    node = Some(name.clone());
                }
                nodes.insert(name);
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
