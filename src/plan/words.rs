//! Words for a change: which call they mean, and on what of what is there.
//!
//! Whoever applies a plan goes by what it shows; so words that could mean more than they say make none. A name that is
//! nobody's is refused and never passed over: what is left of the words would mean something else, and on this node.

use serde_json::{Map, Value};

use super::Refused;
use super::doubt;
use super::eyes::Eyes;
use super::request::{Ask, shown, split};
use crate::catalog::find::{Finders, Found, Guest, GuestKind, Known};
use crate::catalog::tier::{self, Tier};
use crate::catalog::{Endpoint, Method};
use crate::product::Product;
use crate::pve::PveError;

/// Arguments that a refusal names.
const MOST_NAMED: usize = 12;
/// Of the words, the share that a call has to be about at least.
const COVERS: f32 = 0.12;

/// The same with the method and the path that its words mean, what they name filled in. A path stays as it is.
///
/// `sees`: whether the caller may see a guest; the others are not there.
pub async fn to_path(
    eyes: &Eyes,
    finders: &Finders,
    ask: Ask,
    sees: impl Fn(u32) -> bool,
) -> Result<Ask, Refused> {
    let (method, words) = split(ask.method, &ask.path);
    if words.starts_with('/') {
        return Ok(ask);
    }
    let known = eyes.known(sees).await?;
    let meant = finders.of(&eyes.catalog).among(&eyes.catalog, words, &known);
    if let Some((name, ids)) = meant.unclear {
        return Err(Refused::Unclear { name: shown(&name), ids });
    }
    if let Some(name) = meant.others.first() {
        return Err(Refused::Another { name: shown(name) });
    }
    let at = |found: &Found| eyes.catalog.endpoints().get(found.endpoint);
    let changes = |endpoint: &&Endpoint| {
        endpoint.method != Method::Get && method.is_none_or(|method| method == endpoint.method)
    };
    let likely = meant.found.iter().filter(|found| !found.too_wide);
    let best = likely.filter_map(|found| Some((at(found).filter(changes)?, found))).next();
    let (endpoint, found) = best.ok_or_else(|| Refused::Words { words: shown(words) })?;
    let mut args = ask.args.clone();
    let adds = tier::of(endpoint.product, endpoint.method, &endpoint.path).0 == Tier::Additive;
    // What is made may be called so.
    let nobody = meant.nobody.as_ref().filter(|_| !adds).or(meant.nowhere.as_ref());
    if let Some(name) = nobody.filter(|name| !holds(&args, name)) {
        return Err(Refused::Nobody { name: shown(name) });
    }
    // Nothing is made of a word that says "make" and not what.
    if found.unsaid {
        return Err(Refused::Words { words: shown(words) });
    }
    if !adds {
        let says = !found.undone || method.is_some();
        let is_meant = says && (found.covers >= COVERS || meant.vmid.is_some() || reaches_all(endpoint));
        if !is_meant {
            return Err(Refused::Words { words: shown(words) });
        }
    }
    let names =
        meant.guest.iter().map(|guest| guest.name.as_str()).chain(known.nodes.iter().map(String::as_str));
    if let Some(why) = doubt::of(words, &found.path, &names.collect::<Vec<_>>()) {
        let call = format!("{} {}", endpoint.method, found.path);
        return Err(Refused::Doubtful { words: shown(words), call, why });
    }
    if let Some(guest) = meant.argument(endpoint) {
        args.entry("vmid").or_insert_with(|| guest.vmid.into());
        if found.path.contains("{node}") {
            args.entry("node").or_insert_with(|| guest.node.clone().into());
        }
    }
    let is_open = found.path.contains("{node}") && !found.path.contains("{vmid}") && meant.vmid.is_none();
    if is_open && known.nodes.len() > 1 && !args.contains_key("node") {
        // Whatever that is, it may be what the node was to be told by.
        if let Some(name) = meant.strays.iter().find(|name| !holds(&args, name)) {
            return Err(Refused::NoNode { name: shown(name), nodes: known.nodes });
        }
    }
    if args.is_empty() && changes_by_arguments(endpoint) {
        let call = format!("{} {}", endpoint.method, found.path);
        return Err(Refused::Unfinished { call, takes: takes(endpoint) });
    }
    Ok(Ask { method: Some(endpoint.method), path: found.path.clone(), args })
}

/// Whether it leaves everything as it is unless an argument says otherwise. Some do what they do by themselves.
fn changes_by_arguments(endpoint: &Endpoint) -> bool {
    const ACT: [&str; 7] = [
        "/cluster/sdn",
        "/network",
        "/cloudinit",
        "/acme/certificate",
        "/unlock-tfa",
        "/sendkey",
        "/token/{tokenid}",
    ];
    let acts = ACT.iter().any(|end| endpoint.path.ends_with(end));
    let is_config = endpoint.method == Method::Post && endpoint.path.ends_with("/qemu/{vmid}/config");
    endpoint.product == Product::Pve && (is_config || endpoint.method == Method::Put && !acts)
}

/// What it could be told, without what is in its path.
fn takes(endpoint: &Endpoint) -> Vec<String> {
    const BESIDE: [&str; 4] = ["digest", "delete", "revert", "skiplock"];
    let names = || {
        let parameters = endpoint.parameters.iter();
        parameters
            .filter(|it| !endpoint.path.contains(&format!("{{{}}}", it.name)) && !BESIDE.contains(&&*it.name))
    };
    let (needed, free) = (names().filter(|it| !it.optional), names().filter(|it| it.optional));
    let all = needed.chain(free).take(MOST_NAMED);
    all.map(|it| format!("{}{}", it.name, if it.family { "[n]" } else { "" })).collect()
}

/// What is said of all there is is said in no other words than "all".
fn reaches_all(endpoint: &Endpoint) -> bool {
    endpoint.path.ends_with("all") || endpoint.path.starts_with("/cluster/bulk-action/")
}

/// Whether the arguments say it as well: then it is theirs.
fn holds(args: &Map<String, Value>, name: &str) -> bool {
    let name = name.to_lowercase();
    args.values().any(|value| super::fields::text(value).to_lowercase().contains(&name))
}

impl Eyes {
    /// What words may name.
    async fn known(&self, sees: impl Fn(u32) -> bool) -> Result<Known, PveError> {
        if !self.catalog.product().has_guests() {
            return Ok(Known::default());
        }
        let nodes = self.look("/nodes", &Map::new(), &[]).await?;
        let name = |row: &Value| Some(row.get("node")?.as_str()?.to_owned());
        let mut nodes: Vec<String> = nodes.rows().iter().filter_map(name).collect();
        nodes.sort();
        let guests = self.guests().await?.into_iter().filter(|guest| sees(guest.vmid)).filter_map(|guest| {
            let kind = GuestKind::of(&guest.kind)?;
            Some(Guest { vmid: guest.vmid, kind, node: guest.node, name: guest.name })
        });
        Ok(Known { nodes, guests: guests.collect() })
    }
}
