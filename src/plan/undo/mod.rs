//! The way back from a change, worked out before it is made: fields set back, the inverse call, a snapshot, or none, and
//! why.
//!
//! In: the request and what was observed. Out: an [`Undo`], whose call is checked as any other. It must never promise
//! what it cannot give back: what is lost all the same is named.

mod several;
pub mod table;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::effects::{self, CONTROLS, listed};
use super::fields::{self, text};
use super::observe::Observed;
use super::shape::Shape;
use super::{Request, blast, fill};
use crate::catalog::{Catalog, Method};
use crate::product::Product;
use crate::secret;
use table::Written;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    Snapshot,
    CapturedConfig,
    InverseCall,
    None,
}

/// The way back. Written into the intent's receipt, and read from there when it is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    pub way: Way,
    /// What it gives back, or why there is none.
    pub why: String,
    /// What stays lost all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Inverse>,
    /// The calls that follow it, where one is not enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<Inverse>,
}

/// A call that takes another back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inverse {
    pub method: Method,
    /// Filled in and encoded.
    pub path: String,
    pub args: Map<String, Value>,
}

impl Undo {
    pub fn none(why: impl Into<String>) -> Self {
        Self { way: Way::None, why: why.into(), lost: Vec::new(), call: None, then: Vec::new() }
    }

    /// Whether a secret that nobody could read, or that no receipt holds, is among what the call would need.
    pub fn lacks_secret(&self) -> Option<String> {
        let masked = |call: &'_ Inverse| {
            let found = call.args.iter().find(|(_, value)| is_masked(value));
            found.map(|(name, _)| name.clone())
        };
        self.calls().find_map(masked)
    }

    /// The calls in their order.
    pub fn calls(&self) -> impl Iterator<Item = &Inverse> {
        self.call.iter().chain(&self.then)
    }

    /// With one more call after it, if both are to be had.
    fn and(mut self, next: Self) -> Self {
        match next.call {
            _ if self.call.is_none() => self,
            None => next,
            Some(call) => {
                self.then.push(call);
                self.then.extend(next.then);
                self.lost.extend(next.lost);
                self
            }
        }
    }
}

/// A value that stands in the place of a secret: ours, or the stars that PVE shows.
fn is_masked(value: &Value) -> bool {
    let text = text(value);
    text.contains(secret::WITHHELD) || (text.len() > 3 && text.bytes().all(|byte| byte == b'*'))
}

/// Texts for people, of which an empty one is none.
const PROSE: &[&str] = &["comment", "email", "firstname", "lastname", "notes"];

/// What the way back is worked out from.
struct Back<'a> {
    catalog: &'a Catalog,
    request: &'a Request,
    observed: &'a Observed,
}

pub fn undo(catalog: &Catalog, request: &Request, shape: &Shape, observed: &Observed) -> Undo {
    let back = Back { catalog, request, observed };
    let undo = match table::find(request.product(), &request.endpoint()) {
        _ if request.judgement.only_tries() => Undo::none("it is only tried: there is nothing to take back"),
        Some(row) => back.written(&row.way, row.why),
        None => match shape {
            Shape::Set { .. } => back.set(),
            Shape::Create { item, key } => back.made(item, key),
            Shape::Remove { .. } => Undo::none("nothing brings back what is removed"),
            Shape::Act => Undo::none("no call takes it back"),
        },
    };
    match undo.lacks_secret() {
        Some(name) if undo.way == Way::InverseCall => {
            Undo::none(format!("\"{name}\" is a secret, which nobody can read and so nobody can give back"))
        }
        _ => undo,
    }
}

impl Back<'_> {
    fn written(&self, way: &Written, why: &'static str) -> Undo {
        match way {
            Written::None => Undo::none(why),
            Written::Snapshot => Undo {
                way: Way::Snapshot,
                why: why.to_owned(),
                lost: Vec::new(),
                call: None,
                then: Vec::new(),
            },
            Written::Call { method, path, args } => {
                let given = args
                    .iter()
                    .filter_map(|(name, value)| Some((name.clone(), fill(value, self.request)?.into())));
                self.call(method, path, given.collect(), why)
            }
            Written::Recreate { method, path } => self.recreate(method, path, why),
            Written::By(name) => self.by(name, why),
        }
    }

    fn by(&self, name: &str, why: &'static str) -> Undo {
        match name.split_once(' ').unwrap_or((name, "")) {
            ("new", _) => self.new_guest(why),
            ("move", _) => self.moved(why),
            ("unlink", _) => self.unlinked(why),
            ("rights", _) => self.rights(why),
            ("right", _) => self.right(why),
            ("pool", _) => self.pool(why),
            ("token", _) => self.token(),
            ("maintenance", _) => self.maintenance(why),
            ("set", _) => self.emptied_set(why),
            ("subnet", _) => self.subnet(why),
            ("rule", rest) => match rest.split_once(' ') {
                Some((method, path)) => self.rule(method, path, why),
                None => Undo::none(why),
            },
            _ => Undo::none(why),
        }
    }

    /// A call of a path whose blanks are arguments of the request.
    fn call(&self, method: &str, path: &str, args: Map<String, Value>, why: &str) -> Undo {
        let mut segments = Vec::new();
        for segment in path.split('/').skip(1) {
            match fill(segment, self.request) {
                Some(segment) => segments.push(segment),
                None => return Undo::none(format!("{why}, if it were known what {segment} is")),
            }
        }
        let path = match crate::pve::Path::of(&segments) {
            Ok(path) => path.to_string(),
            Err(error) => return Undo::none(error.to_string()),
        };
        self.checked(Way::InverseCall, method, &path, args, why)
    }

    /// The call, if it is one that PVE would take.
    fn checked(&self, way: Way, method: &str, path: &str, args: Map<String, Value>, why: &str) -> Undo {
        let Some(method) = Method::from_name(method) else { return Undo::none(why) };
        let known: Map<String, Value> = args
            .iter()
            .filter(|(_, value)| !is_masked(value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        match Request::of(self.catalog, method, path, known, Vec::new()) {
            Ok(_) => Undo {
                way,
                why: why.to_owned(),
                lost: Vec::new(),
                call: Some(Inverse { method, path: path.to_owned(), args }),
                then: Vec::new(),
            },
            Err(error) => Undo::none(format!("the way back would not be taken: {error}")),
        }
    }

    /// Each field that the call sets as it was, and those that were not there taken away.
    fn set(&self) -> Undo {
        let request = self.request;
        let Some(fields) = self.observed.fields() else {
            return Undo::none("how it was could not be read");
        };
        if request.args.contains_key("moveto") {
            return self.moved_rule();
        }
        let Some(endpoint) = self.catalog.template(request.method(), request.template()) else {
            return Undo::none("this node's API does not describe the call");
        };
        let (mut args, mut gone, mut lost) = (Map::new(), Vec::new(), Vec::new());
        let names = request.args.keys().filter(|name| !CONTROLS.contains(&name.as_str())).cloned();
        let deleted = listed(request, "delete");
        let removed = |name: &String, value: &Value| {
            let volume =
                self.observed.guest.is_some() && text(value).contains(':') && !name.starts_with("net");
            let whole = name.starts_with("unused") || request.flag("force");
            volume && whole && deleted.contains(name)
        };
        let names: Vec<String> = names.chain(deleted.iter().cloned()).collect();
        for name in names {
            match fields.get(&name) {
                Some(value) if removed(&name, value) => {
                    let volume = text(value).split(',').next().map(str::to_owned).unwrap_or_default();
                    lost.push(format!("{name}: {volume} is removed, with what is on it"));
                }
                Some(value) if is_masked(value) => lost.push(format!("{name}: nobody can read what it was")),
                Some(value) => {
                    if let Some(after) = request.args.get(&name) {
                        lost.extend(self.volume(&name, value, after));
                    }
                    args.insert(name.clone(), restored(value));
                }
                None if self.at_first(&name).is_some() => {
                    args.extend(self.at_first(&name).map(|value| (name, value.into())));
                }
                None if endpoint.parameter("delete").is_some() => gone.push(name),
                None => {
                    match endpoint.parameter(&name).and_then(|parameter| parameter.schema.default.clone()) {
                        Some(default) => drop(args.insert(name, default)),
                        // PVE keeps no empty one.
                        None if PROSE.contains(&name.as_str()) => drop(args.insert(name, "".into())),
                        None => lost.push(format!("{name}: no call takes it away again")),
                    }
                }
            }
        }
        for name in &gone {
            if let Some(after) = request.args.get(name).filter(|after| is_new_volume(&text(after))) {
                lost.push(format!("{name}: the volume that {} makes stays, as an unused one", text(after)));
            }
        }
        if !gone.is_empty() {
            args.insert("delete".to_owned(), gone.join(",").into());
        }
        if args.is_empty() {
            return Undo::none(match lost.is_empty() {
                true => "nothing of it changes anything".to_owned(),
                false => lost.join("; "),
            });
        }
        // What has to be given whatever else is: as it is.
        for parameter in endpoint.parameters.iter().filter(|parameter| !parameter.optional) {
            if let Some(value) = fields.get(&parameter.name)
                && !request.captured.contains_key(&parameter.name)
            {
                args.entry(parameter.name.clone()).or_insert_with(|| restored(value));
            }
        }
        let mut path = request.path().to_owned();
        if let Some(name) = request.args.get("rename") {
            let renamed = request.path().rsplit_once('/').map(|(list, _)| list.to_owned());
            path = format!("{}/{}", renamed.unwrap_or_default(), text(name));
            args.insert("rename".to_owned(), request.captured.get("name").cloned().unwrap_or_default());
        }
        let why = "each field that changes is captured, and set back";
        let mut undo = self.checked(Way::CapturedConfig, request.method().name(), &path, args, why);
        undo.lost.extend(lost);
        undo
    }

    /// What whoever is let in at a Backup Server has where nothing is set, in fields that its `delete` does not take out.
    fn at_first(&self, name: &str) -> Option<u8> {
        let of_people = self.request.product() == Product::Backup
            && self.request.template().starts_with("/access/users/{userid}");
        match name {
            "enable" if of_people => Some(1),
            "expire" if of_people => Some(0),
            _ => None,
        }
    }

    /// What cannot come back of a disk that is exchanged for another.
    fn volume(&self, name: &str, before: &Value, after: &Value) -> Option<String> {
        let (before, after) = (text(before), text(after));
        let of = |text: &str| text.split(',').next().unwrap_or_default().to_owned();
        let volumes = before.contains(':') && after.contains(':') && self.observed.guest.is_some();
        (volumes && !name.starts_with("net") && of(&before) != of(&after)).then(|| {
            format!("{name}: {} is kept as an unused disk meanwhile, and {} then", of(&before), of(&after))
        })
    }

    /// A rule that was moved, moved back: PVE takes it out first and puts it in before the one named.
    fn moved_rule(&self) -> Undo {
        let number = |name: &str| self.request.text(name).and_then(|text| text.parse::<u64>().ok());
        let (Some(from), Some(to)) = (number("pos"), number("moveto")) else {
            return Undo::none("where the rule stands is not said");
        };
        let (stands, back) = if to > from { (to - 1, from) } else { (to, from + 1) };
        let list = self.request.path().rsplit_once('/').map_or("", |(list, _)| list);
        let args = Map::from_iter([("moveto".to_owned(), Value::from(back))]);
        self.checked(Way::InverseCall, "PUT", &format!("{list}/{stands}"), args, "the rule moves back")
    }

    fn made(&self, item: &str, key: &str) -> Undo {
        let request = self.request;
        if let (Some(old), Some(new)) = (request.args.get("rename"), request.text(key)) {
            let args = Map::from_iter([(key.to_owned(), old.clone()), ("rename".to_owned(), new.into())]);
            return self.checked(Way::InverseCall, "POST", request.path(), args, "it gets its old name back");
        }
        let mut named = request.captured.clone();
        match request.text(key) {
            Some(name) => drop(named.insert(key.to_owned(), name.into())),
            // Where PVE puts a rule in by itself: before all others.
            None if key == "pos" => drop(named.insert(key.to_owned(), "0".into())),
            None => return Undo::none("PVE chooses its name: read the list, and plan its DELETE"),
        }
        if key == "pos" {
            // PVE takes no notice of a position here.
            named.insert(key.to_owned(), "0".into());
        }
        let Some(endpoint) = self.catalog.template(Method::Delete, item) else {
            return Undo::none("nothing removes it again");
        };
        match endpoint.render(&named) {
            Ok((path, _)) => {
                self.checked(Way::InverseCall, "DELETE", &path, Map::new(), "what is made is removed again")
            }
            Err(_) => Undo::none("its name is not said"),
        }
    }

    /// The call that makes the thing again, with those of its fields that the call takes.
    fn recreate(&self, method: &str, template: &str, why: &str) -> Undo {
        let Some(fields) = self.observed.fields() else { return Undo::none("how it was could not be read") };
        let method_of = Method::from_name(method);
        let Some(endpoint) = method_of.and_then(|method| self.catalog.template(method, template)) else {
            return Undo::none("this node's API has no call that makes it again");
        };
        let mut args = Map::new();
        let mut lost = Vec::new();
        for (name, value) in fields.iter().chain(&self.request.captured) {
            let taken = endpoint.parameter(name).is_some() && !CONTROLS.contains(&name.as_str());
            if !taken || value.is_null() || text(value).is_empty() {
                continue;
            }
            if is_masked(value) {
                lost.push(format!("{name}: nobody can read what it was"));
            } else {
                args.insert(name.clone(), restored(value));
            }
        }
        let Ok((path, rest)) = endpoint.render(&args) else { return Undo::none("its name is not said") };
        let mut undo = self.checked(Way::InverseCall, method, &path, rest, why);
        // As the table says after what comes back: what does not.
        lost.extend(why.split_once("; ").map(|(_, not)| not.to_owned()));
        undo.lost.extend(lost);
        undo
    }

    fn new_guest(&self, why: &str) -> Undo {
        if self.observed.taken.is_some() {
            return Undo::none("the guest that has the id is overwritten: only a backup brings it back");
        }
        let kind = self.request.template().rsplit('/').next().unwrap_or_default();
        self.call("DELETE", &format!("/nodes/{{node}}/{kind}/{{vmid}}"), Map::new(), why)
    }

    fn moved(&self, why: &str) -> Undo {
        let request = self.request;
        let name = if request.kind() == Some("qemu") { "disk" } else { "volume" };
        if request.text("target-vmid").is_some() {
            return Undo::none("the disk is another guest's then: plan its move back from there");
        }
        let disk = request.text(name).unwrap_or_default();
        let was = self.observed.guest.as_ref().and_then(|guest| guest.config.get(&disk)).map(text);
        let Some(storage) = was.as_deref().and_then(|volume| volume.split(':').next()) else {
            return Undo::none("where the disk lies now could not be read");
        };
        let mut args =
            Map::from_iter([(name.to_owned(), disk.clone().into()), ("storage".to_owned(), storage.into())]);
        if request.flag("delete") {
            args.insert("delete".to_owned(), 1.into());
        }
        let mut undo = self.checked(Way::InverseCall, "POST", request.path(), args, why);
        if !request.flag("delete") {
            undo.lost.push("each copy that is left behind stays, as an unused disk".to_owned());
        }
        undo
    }

    fn unlinked(&self, why: &str) -> Undo {
        let request = self.request;
        let names = listed(request, "idlist");
        if request.flag("force") || names.iter().any(|name| name.starts_with("unused")) {
            return Undo::none("the disk's data are gone");
        }
        let there = names.iter().filter_map(|name| Some((name.clone(), self.observed.field(name)?.clone())));
        let path = request.path().replace("/unlink", "/config");
        self.checked(Way::CapturedConfig, "PUT", &path, there.collect(), why)
    }

    fn pool(&self, why: &str) -> Undo {
        let request = self.request;
        let there = effects::pool_members(self.observed);
        let takes = request.flag("delete");
        let mut args = Map::new();
        for name in ["vms", "storage"] {
            let moved: Vec<String> =
                listed(request, name).into_iter().filter(|member| there.contains(member) == takes).collect();
            if !moved.is_empty() {
                args.insert(name.to_owned(), moved.join(",").into());
            }
        }
        if !args.is_empty() && !takes {
            args.insert("delete".to_owned(), 1.into());
        }
        if let Some(pool) = request.args.get("poolid") {
            args.insert("poolid".to_owned(), pool.clone());
        }
        if request.args.contains_key("comment") {
            let comment = self.observed.field("comment").cloned().unwrap_or_else(|| "".into());
            args.insert("comment".to_owned(), comment);
        }
        let mut undo = self.checked(Way::InverseCall, "PUT", request.path(), args, why);
        if request.flag("allow-move") {
            undo.lost.push("the pools that members are taken out of do not get them back".to_owned());
        }
        undo
    }

    fn token(&self) -> Undo {
        if self.request.flag("regenerate") {
            return Undo::none("the token's old secret is gone");
        }
        self.set()
    }

    /// Of a Backup Server's datastore, whose last maintenance has no end.
    fn maintenance(&self, why: &str) -> Undo {
        match self.request.text("maintenance-mode").is_some_and(|mode| blast::is_for_good(&mode)) {
            true => Undo::none(why),
            false => self.set(),
        }
    }

    fn subnet(&self, why: &str) -> Undo {
        let mut undo = self.recreate("POST", "/cluster/sdn/vnets/{vnet}/subnets", why);
        let network = self.observed.field("cidr").cloned();
        match (&mut undo.call, network) {
            (Some(call), Some(network)) => {
                call.args.insert("subnet".to_owned(), network);
                call.args.entry("type").or_insert_with(|| "subnet".into());
                undo
            }
            _ => Undo::none("which network it was could not be read"),
        }
    }
}

/// `local-lvm:32`: a volume that PVE makes.
fn is_new_volume(value: &str) -> bool {
    let volume = value.split(',').next().unwrap_or_default();
    volume.split_once(':').is_some_and(|(_, size)| size.parse::<f64>().is_ok())
}

/// A value as it is given to set it to what it was.
fn restored(value: &Value) -> Value {
    match value {
        // The API ends a description with a line break that nobody gave it.
        Value::String(text) => text.strip_suffix('\n').unwrap_or(text).into(),
        Value::Array(items) if items.iter().all(|item| !item.is_object()) => fields::text(value).into(),
        other => other.clone(),
    }
}
