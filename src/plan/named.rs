//! What a DELETE of a list's own path removes: the rows that its arguments name, and none of the others that the list has.
//!
//! A list shows to each what they may see. A row that it has not got may be there all the same, unless what is shown proves
//! that all of its like would be.

use serde_json::{Map, Value};

use super::Request;
use super::eyes::{Eyes, Seen};
use super::fields::{Effect, text};
use crate::pve::PveError;

struct List {
    call: &'static str,
    path: &'static str,
    /// The list's arguments, and the call's that give them.
    query: &'static [(&'static str, &'static str)],
    /// By which the row is known.
    keys: &'static [&'static str],
    what: &'static str,
    /// Whether a list that has any row has them all: of one backup's group, who sees one sees each.
    whole: bool,
    /// Whether what lies below goes with it: the list has that too.
    below: bool,
}

const LISTS: &[List] = &[
    List {
        call: "DELETE /admin/datastore/{store}/groups",
        path: "/admin/datastore/{store}/groups",
        query: &[("ns", "ns")],
        keys: &["backup-type", "backup-id"],
        what: "backup group",
        whole: false,
        below: false,
    },
    List {
        call: "DELETE /admin/datastore/{store}/snapshots",
        path: "/admin/datastore/{store}/snapshots",
        query: &[("ns", "ns"), ("backup-type", "backup-type"), ("backup-id", "backup-id")],
        keys: &["backup-type", "backup-id", "backup-time"],
        what: "backup",
        whole: true,
        below: false,
    },
    List {
        call: "DELETE /admin/datastore/{store}/namespace",
        path: "/admin/datastore/{store}/namespace",
        query: &[("parent", "ns")],
        keys: &["ns"],
        what: "namespace",
        whole: false,
        below: true,
    },
];

fn list_of(request: &Request) -> Option<&'static List> {
    let endpoint = request.endpoint();
    LISTS.iter().find(|list| list.call == endpoint)
}

/// What such a call removes, as it is now; nothing where it is another call.
pub async fn subject(eyes: &Eyes, request: &Request) -> Result<Option<Seen>, PveError> {
    let Some(list) = list_of(request) else { return Ok(None) };
    let given = |(name, from): &(&'static str, &str)| {
        let value = request.text(from).filter(|value| !value.is_empty())?;
        Some((*name, value))
    };
    let given: Vec<(&str, String)> = list.query.iter().filter_map(given).collect();
    let query: Vec<(&str, &str)> = given.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let seen = eyes.look(list.path, &request.captured, &query).await?;
    let Seen::There(Value::Array(rows)) = seen else { return Ok(Some(seen)) };
    let is_it = |row: &&Value| {
        let is = |name: &str| row.get(name).map(text).unwrap_or_default() == named(request, name);
        list.keys.iter().all(|name| is(name))
    };
    Ok(Some(match rows.iter().find(is_it) {
        Some(_) if list.below => Seen::There(Value::Array(rows)),
        Some(row) => Seen::There(row.clone()),
        None if list.whole && !rows.is_empty() => {
            let why =
                format!("there is no {}: {} others of the group are there", told(list, request), rows.len());
            Seen::Missing(why)
        }
        None => {
            let why = "is none of those that the server lists to the agent's token";
            Seen::Hidden(format!("{} {why}", told(list, request)))
        }
    }))
}

/// Of such a call: what goes, and nothing else.
pub fn effects(request: &Request, seen: Option<&Seen>) -> Option<Vec<Effect>> {
    let list = list_of(request)?;
    let named: Map<String, Value> =
        list.keys.iter().map(|name| ((*name).to_owned(), named(request, name).into())).collect();
    if !list.below {
        let before = match seen {
            Some(Seen::There(row)) => row.clone(),
            _ => named.into(),
        };
        return Some(vec![Effect::new("definition", Some(before), None)]);
    }
    let before: Value = match seen {
        Some(Seen::There(Value::Array(rows))) => {
            rows.iter().filter_map(|row| row.get("ns").cloned()).collect()
        }
        _ => named.into(),
    };
    let after = (!request.flag("delete-groups"))
        .then(|| Value::from("gone are those that have no backup in them, nor below them"));
    Some(vec![Effect::new("namespaces", Some(before), after)])
}

fn named(request: &Request, name: &str) -> String {
    request.text(name).unwrap_or_default()
}

/// `backup vm/104/1790820000 in tank:team`
fn told(list: &List, request: &Request) -> String {
    let names: Vec<String> = list.keys.iter().map(|name| named(request, name)).collect();
    let ns = named(request, "ns");
    let within = if list.below || ns.is_empty() { String::new() } else { format!(":{ns}") };
    format!("{} {} in {}{within}", list.what, names.join("/"), named(request, "store"))
}
