//! MCP resources: the cluster, its nodes, guests and tasks, and the schemas of the tools' answers.
//!
//! A resource is what [`read`](super::read) gives for a path, under a name that a person can pick from a list.

use std::sync::Arc;

use rmcp::ErrorData;
use rmcp::model::{Resource, ResourceContents, ResourceTemplate};
use serde_json::{Map, Value, json};

use super::Provost;
use super::answer::Failure;
use super::api::Reader;
use super::read::{self, ReadAnswer};
use super::record::{Call, Notes};
use super::{guests, schema};
use crate::policy::Principal;
use crate::product::Product;
use crate::pve::Upid;

struct List {
    uri: &'static str,
    title: &'static str,
    description: &'static str,
    path: &'static str,
    /// The one argument that the endpoint is given.
    kind: Option<&'static str>,
}

const LISTS: &[List] = &[
    List {
        uri: "provost://cluster",
        title: "The cluster",
        description: "Its nodes, whether they are online, and quorum",
        path: "/cluster/status",
        kind: None,
    },
    List {
        uri: "provost://nodes",
        title: "Nodes",
        description: "Each with its load and memory",
        path: "/nodes",
        kind: None,
    },
    List {
        uri: "provost://guests",
        title: "Guests",
        description: "Containers and VMs of all nodes",
        path: "/cluster/resources",
        kind: Some("vm"),
    },
    List {
        uri: "provost://storages",
        title: "Storages",
        description: "Each with its room, on each node",
        path: "/cluster/resources",
        kind: Some("storage"),
    },
    List {
        uri: "provost://tasks",
        title: "Tasks",
        description: "What was done lately, and how it ended",
        path: "/cluster/tasks",
        kind: None,
    },
];

const GUEST: &str = "provost://guest/";
const NODE: &str = "provost://node/";
const TASK: &str = "provost://task/";

/// Those that a product has: on others than Proxmox VE there is no cluster and there are no guests.
fn lists(product: Product) -> impl Iterator<Item = &'static List> {
    let is_there = move |list: &&List| match product {
        Product::Pve => true,
        Product::Backup | Product::Datacenter => list.path == "/nodes",
        Product::Mail => false,
    };
    LISTS.iter().filter(is_there)
}

/// The beginnings of the others.
fn prefixes(product: Product) -> &'static [&'static str] {
    match product {
        Product::Pve => &[GUEST, NODE, TASK],
        Product::Backup | Product::Datacenter => &[TASK],
        Product::Mail => &[],
    }
}

pub fn list(product: Product) -> Vec<Resource> {
    let lists = lists(product).map(|list| {
        Resource::new(list.uri, list.uri.trim_start_matches("provost://"))
            .with_title(list.title)
            .with_description(list.description)
            .with_mime_type("application/json")
    });
    schema::resources().into_iter().chain(lists).collect()
}

pub fn templates(product: Product) -> Vec<ResourceTemplate> {
    [
        (GUEST, "vmid", "guest", "A container or VM", "Its state and configuration, by id or by name"),
        (NODE, "node", "node", "A node", "Its load, memory, versions and uptime"),
        (TASK, "upid", "task", "A task", "How it stands, and the end of its log"),
    ]
    .into_iter()
    .filter(|(uri, ..)| prefixes(product).contains(uri))
    .map(|(uri, variable, name, title, description)| {
        ResourceTemplate::new(format!("{uri}{{{variable}}}"), name)
            .with_title(title)
            .with_description(description)
            .with_mime_type("application/json")
    })
    .collect()
}

pub async fn read(
    provost: &Provost,
    principal: &Principal,
    uri: &str,
    call: Call,
) -> Result<ResourceContents, ErrorData> {
    if uri.starts_with(schema::PREFIX) {
        // What everybody may read, and nothing of the node's.
        let _ = call.passed(|()| 0, Ok(()));
        return schema::read(uri);
    }
    let Some(asked) = Asked::of(provost.catalog.product(), uri) else {
        let shown = crate::text::brief(uri, 120);
        let message =
            format!("there is no resource {shown}; resources/list and resources/templates/list name all");
        let ErrorData { message, .. } = call.refuse(&Failure::new("no_such_resource", message, ""));
        return Err(not_found(message, uri));
    };
    let value = asked.read(provost, principal, call.notes()).await.map(|value| value.to_string());
    let text = call.passed(String::len, value).map_err(|failure| ErrorData::from(&failure))?;
    Ok(ResourceContents::text(text, uri).with_mime_type("application/json"))
}

/// With the address beside the words, where the protocol has clients look for it.
pub fn not_found(message: impl Into<std::borrow::Cow<'static, str>>, uri: &str) -> ErrorData {
    ErrorData::resource_not_found(message, Some(json!({ "uri": crate::text::brief(uri, 200) })))
}

enum Asked {
    List(&'static List),
    Guest(String),
    Node(String),
    Task(Upid),
}

impl Asked {
    fn of(product: Product, uri: &str) -> Option<Self> {
        if let Some(list) = lists(product).find(|list| list.uri == uri) {
            return Some(Self::List(list));
        }
        let rest = |prefix: &str| {
            let is_there = prefixes(product).contains(&prefix);
            let rest = uri.strip_prefix(prefix).filter(|rest| is_there && !rest.is_empty())?;
            percent_encoding::percent_decode_str(rest).decode_utf8().ok()
        };
        let guest = || rest(GUEST).map(|guest| Self::Guest(guest.into_owned()));
        let node = || rest(NODE).filter(|node| is_name(node)).map(|node| Self::Node(node.into_owned()));
        let task = || Upid::of(product, &rest(TASK)?).ok().map(Self::Task);
        guest().or_else(node).or_else(task)
    }

    async fn read(
        self,
        provost: &Provost,
        principal: &Principal,
        notes: &Arc<Notes>,
    ) -> Result<Value, Failure> {
        let reader = provost.reader(principal, notes)?;
        match self {
            Self::List(list) => {
                let args = list.kind.iter().map(|kind| ("type".to_owned(), json!(kind))).collect();
                shown(read::see_path(&reader, list.path, args).await?)
            }
            Self::Node(node) => see(&reader, &format!("/nodes/{node}/status")).await,
            Self::Task(upid) => read::see_task(&reader, upid).await.map(Value::Object),
            Self::Guest(given) => {
                let guest = guests::named(&reader, &given).await?;
                let at = format!("/nodes/{}/{}/{}", guest.node, guest.kind, guest.vmid);
                let (status, config) = (format!("{at}/status/current"), format!("{at}/config"));
                let (status, config) = tokio::join!(see(&reader, &status), see(&reader, &config));
                Ok(
                    json!({ "vmid": guest.vmid, "node": guest.node, "type": guest.kind, "status": status?, "config": config? }),
                )
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

async fn see(reader: &Reader, path: &str) -> Result<Value, Failure> {
    shown(read::see_path(reader, path, Map::new()).await?)
}

fn shown(answer: ReadAnswer) -> Result<Value, Failure> {
    serde_json::to_value(answer).map_err(|error| Failure::new("internal", error.to_string(), "report this"))
}
