//! Words for a read: which GET they mean, and of what of what is there.
//!
//! A name that is nobody's is refused where the answer would be another's: this node's, in place of one that is not there.

use serde_json::{Map, Value};

use crate::catalog::find::{Guest, GuestKind, Known};
use crate::tools::answer::Failure;
use crate::tools::api::Reader;
use crate::tools::guests;

/// Characters of a name that a message shows.
const SHOWN: usize = 64;

/// The path that words mean, what they name filled in, and the arguments with what of it is one.
pub async fn to_path(
    reader: &Reader,
    words: &str,
    mut args: Map<String, Value>,
) -> Result<(String, Map<String, Value>), Failure> {
    let known = known(reader).await;
    let get = reader.in_words(words, &known)?;
    let (path, meant) = (get.found.path, get.meant);
    let shown = |name: &str| crate::text::brief(name, SHOWN);
    if let Some((name, ids)) = &meant.unclear {
        let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
        let message = format!("{} guests are named \"{}\"", ids.len(), shown(name));
        return Err(Failure::new("ambiguous", message, format!("give an id: {}", ids.join(", "))));
    }
    if let Some(name) = meant.others.first() {
        let message = format!("\"{}\" is one more than a read is about", shown(name));
        return Err(Failure::new("ambiguous", message, "read each by itself, or a list with `where`"));
    }
    if let Some(name) = meant.nobody.as_ref().or(meant.nowhere.as_ref()) {
        let message = format!("nothing that this role may see is called \"{}\"", shown(name));
        return Err(Failure::new("no_such_guest", message, "read /cluster/resources for what there is"));
    }
    let endpoint = &reader.catalog.endpoints()[get.found.endpoint];
    if let Some(guest) = meant.argument(endpoint) {
        args.entry("vmid").or_insert_with(|| guest.vmid.into());
        if path.contains("{node}") {
            args.entry("node").or_insert_with(|| guest.node.clone().into());
        }
    }
    let is_open = path.contains("{node}") && meant.vmid.is_none() && !args.contains_key("node");
    if let Some(name) = meant.strays.first().filter(|_| is_open && known.nodes.len() > 1) {
        let message =
            format!("\"{}\" is no node of this cluster, and {} is read of one", shown(name), endpoint.path);
        return Err(Failure::new(
            "parameters",
            message,
            format!("give node in args: {}", known.nodes.join(", ")),
        ));
    }
    Ok((path, args))
}

/// What words may name; nothing where it cannot be read, and then what they mean will not be read either.
async fn known(reader: &Reader) -> Known {
    if !reader.catalog.product().has_guests() {
        return Known::default();
    }
    let guests = guests::all(reader).await.unwrap_or_default();
    let guests = guests.into_iter().filter_map(|guest| {
        let kind = GuestKind::of(&guest.kind)?;
        Some(Guest { vmid: guest.vmid, kind, node: guest.node, name: guest.name })
    });
    let guests: Vec<Guest> = guests.collect();
    let mut nodes = nodes(reader).await;
    // A role may see its guests and no list of nodes.
    nodes.extend(guests.iter().map(|guest| guest.node.clone()));
    nodes.sort();
    nodes.dedup();
    Known { nodes, guests }
}

async fn nodes(reader: &Reader) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Node {
        node: String,
    }
    let Ok(permitted) = reader.permit_path("/nodes", &Map::new()) else { return Vec::new() };
    let Ok(answer) = reader.get(&permitted).await else { return Vec::new() };
    let rows: Vec<Node> = answer.data().unwrap_or_default();
    rows.into_iter().map(|row| row.node).collect()
}
