//! Where a call goes: by the host that it names, by the guest or node that it is about, or to all.
//!
//! It decides from what is known and asks nobody. Where more than one host would fit, none gets the call: a command in the
//! wrong container is worse than a question.

use std::sync::LazyLock;

use serde_json::{Map as Object, Value};

use super::places::{Holder, Map, Place};
use crate::catalog::find::Finder;
use crate::catalog::{Catalog, Release};
use crate::text::quoted;
use crate::tools::face::Failure;

/// What a call is about.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct About {
    pub guest: Option<u32>,
    pub node: Option<String>,
    /// In which a guest or node may be named.
    pub words: Option<String>,
    /// What runs inside the guest, on the node where it is.
    pub is_inside: bool,
    /// What it does is done when its answer is read: nobody is shown a plan first.
    pub is_at_once: bool,
    pub otherwise: Otherwise,
}

/// Where it goes when it is about no guest and no node.
#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
pub enum Otherwise {
    /// Every host, as each has its own.
    EachHost,
    /// One host of each cluster, and every node by itself.
    EachDomain,
    /// Any host: all would say the same.
    Any,
    /// The one cluster that there is.
    OneDomain,
    /// The one host that there is.
    #[default]
    OneHost,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// The first of these that can be reached.
    One(Vec<Place>),
    /// One of each of these.
    Each(Vec<Vec<Place>>),
}

/// What a call to a tool is about. `apply` and `plan` with `undo` are decided by who made what, before this.
pub fn about(tool: &str, args: &Object<String, Value>) -> About {
    let text = |key: &str| args.get(key).and_then(Value::as_str).map(str::trim).unwrap_or_default();
    let otherwise = |otherwise| About { otherwise, ..About::default() };
    match tool {
        "exec" | "file_get" | "file_put" => {
            // "host" is a node itself, and which one nothing else says.
            let mode = args.get("mode").and_then(Value::as_str);
            let is_at_once =
                tool == "file_put" || tool == "exec" && mode.is_some_and(|mode| mode != "inspect");
            About { guest: args.get("guest").and_then(vmid), is_inside: true, is_at_once, ..About::default() }
        }
        "status" => otherwise(Otherwise::EachHost),
        // A receipt's number is one host's.
        "audit" if args.contains_key("before") => About::default(),
        "audit" => otherwise(Otherwise::EachHost),
        "diagnose" => {
            let mut parts = text("subject").split('/');
            match (parts.next().unwrap_or_default(), parts.next()) {
                ("cluster", _) => otherwise(Otherwise::EachDomain),
                ("node", Some(node)) => About { node: Some(node.into()), ..About::default() },
                ("lxc" | "qemu" | "ct" | "vm", Some(id)) => {
                    About { guest: id.parse().ok(), ..About::default() }
                }
                (id, None) => About {
                    guest: id.parse().ok(),
                    words: Some(format!("guest {id}")),
                    ..otherwise(Otherwise::Any)
                },
                _ => otherwise(Otherwise::Any),
            }
        }
        "find" => About { words: Some(text("query").into()), ..otherwise(Otherwise::Any) },
        "read" => of_path(text("path"), Otherwise::EachDomain),
        "plan" => of_path(text("path"), Otherwise::OneDomain),
        _ => About::default(),
    }
}

/// A path of the API, a task, or words.
pub fn of_path(path: &str, otherwise: Otherwise) -> About {
    if let Some(upid) = path.strip_prefix("UPID:") {
        return About { node: upid.split(':').next().map(str::to_owned), ..About::default() };
    }
    if !path.contains('/') || path.contains(char::is_whitespace) {
        return About { words: Some(path.into()), otherwise, ..About::default() };
    }
    let mut parts =
        path.split('/').filter(|part| !part.is_empty()).skip_while(|part| *part == "api2" || *part == "json");
    match (parts.next(), parts.next()) {
        (Some("nodes"), Some(node)) => {
            let is_guest = matches!(parts.next(), Some("qemu" | "lxc"));
            let guest = parts.next().filter(|_| is_guest).and_then(|id| id.parse().ok());
            // What a blank stands for is for the node to say.
            let node = (!node.starts_with('{') && node != "localhost").then(|| node.to_owned());
            let otherwise = if node.is_some() || otherwise == Otherwise::OneDomain {
                Otherwise::OneHost
            } else {
                otherwise
            };
            About { guest, node, otherwise, ..About::default() }
        }
        _ => About { otherwise, ..About::default() },
    }
}

fn vmid(value: &Value) -> Option<u32> {
    let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())?;
    u32::try_from(number).ok()
}

/// A word of those that may name a guest or a node.
struct Token<'a> {
    text: &'a str,
    before: &'a str,
}

fn tokens(words: &str) -> impl Iterator<Item = Token<'_>> {
    const MOST: usize = 64;
    let texts = words.split(|c: char| !(c.is_alphanumeric() || "-_.".contains(c)));
    let texts = texts.filter(|text| !text.is_empty()).take(MOST);
    texts.scan("", |before, text| Some(Token { text, before: std::mem::replace(before, text) }))
}

impl Token<'_> {
    /// Before a name, whatever that is.
    const INTRODUCING: [&'static str; 12] = [
        "called",
        "container",
        "ct",
        "guest",
        "host",
        "lxc",
        "machine",
        "named",
        "node",
        "qemu",
        "server",
        "vm",
    ];

    fn number(&self) -> Option<u32> {
        self.text.parse().ok().filter(|vmid| *vmid >= 100)
    }

    /// A host calls its guests and nodes as it likes. One that is called "backup" is not named by who says "backup jobs", or
    /// it would get what was meant for all.
    fn may_name(&self) -> bool {
        static FINDER: LazyLock<Finder> = LazyLock::new(|| Finder::new(&Catalog::embedded(Release::LATEST)));
        self.number().is_none()
            && (Self::INTRODUCING.iter().any(|word| self.before.eq_ignore_ascii_case(word))
                || !FINDER.is_usual(self.text))
    }
}

/// Whether anything has to be known of the hosts for it.
pub fn needs_map(about: &About, among: &[Place]) -> bool {
    let all = matches!(about.otherwise, Otherwise::EachDomain | Otherwise::OneDomain);
    among.len() > 1 && (all || about.guest.is_some() || about.node.is_some() || about.words.is_some())
}

/// What is decided by.
pub struct Sight<'a> {
    pub map: &'a Map,
    /// Hosts that may be meant at all.
    pub among: &'a [Place],
    pub names: &'a [std::sync::Arc<str>],
    /// Those of them of which nothing is known, or nothing new.
    pub unseen: &'a [Place],
}

pub fn decide(about: &About, sight: &Sight) -> Result<Target, Failure> {
    let Sight { map, among, .. } = sight;
    if among.len() == 1 {
        return Ok(Target::One(among.to_vec()));
    }
    if let Some(vmid) = about.guest {
        return sight.guest(vmid, about);
    }
    if let Some(node) = &about.node {
        return sight.node(node);
    }
    if let Some(words) = &about.words
        && let Some(target) = sight.words(words, about)
    {
        return target;
    }
    match about.otherwise {
        Otherwise::EachHost => Ok(Target::Each(among.iter().map(|place| vec![*place]).collect())),
        Otherwise::EachDomain => Ok(Target::Each(map.domains(among))),
        Otherwise::Any => Ok(Target::One(among.to_vec())),
        Otherwise::OneDomain => {
            let mut domains = map.domains(among);
            match domains.len() {
                1 => Ok(Target::One(domains.remove(0))),
                _ => Err(sight.which_host("this could be meant for any of several clusters and nodes")),
            }
        }
        Otherwise::OneHost => Err(sight.which_host("this could be meant for any of several hosts")),
    }
}

impl Sight<'_> {
    fn list(&self, places: &[Place]) -> String {
        places.iter().map(|place| &*self.names[*place]).collect::<Vec<_>>().join(", ")
    }

    fn which_host(&self, message: &str) -> Failure {
        let next = format!("call again with `host`, one of: {}", self.list(self.among));
        Failure::new("which_host", message, next).with("hosts", self.among_names())
    }

    fn among_names(&self) -> Vec<String> {
        self.among.iter().map(|place| self.names[*place].to_string()).collect()
    }

    fn guest(&self, vmid: u32, about: &About) -> Result<Target, Failure> {
        let mut holders = self.map.holders(vmid, self.among);
        if let Some(node) = &about.node
            && holders.len() != 1
        {
            // A path that names the node says which of them, or where a new one is to be.
            holders.retain(|holder| holder.guest.node == *node);
            if holders.is_empty() {
                return self.node(node);
            }
        }
        match &holders[..] {
            [holder] => self.within(holder, vmid, about),
            [] => Err(self.nowhere(format!("no host that answers has a guest {vmid}"), "no_such_guest")),
            several => {
                let shown = |holder: &Holder| {
                    let name = quoted(&holder.guest.name, 64);
                    format!("{name} on node {} ({})", holder.guest.node, self.list(&holder.domain))
                };
                let list: Vec<String> = several.iter().map(shown).collect();
                let first = |holder: &Holder| self.names[self.ordered(holder)[0]].to_string();
                let hosts: Vec<String> = several.iter().map(first).collect();
                let message = format!("{} guests have the id {vmid}: {}", several.len(), list.join("; "));
                let next = format!(
                    "call again with `host`, one of: {}. If they are one and the same, `node` of each [[host]] in the \
                     fleet's file says which node it is",
                    hosts.join(", ")
                );
                Err(Failure::new("ambiguous", message, next).with("hosts", hosts))
            }
        }
    }

    /// The hosts of a guest's domain: the node that it is on first.
    fn ordered(&self, holder: &Holder) -> Vec<Place> {
        let mut places = holder.domain.clone();
        places.sort_by_key(|place| !self.map.is_node(*place, &holder.guest.node));
        places
    }

    fn within(&self, holder: &Holder, vmid: u32, about: &About) -> Result<Target, Failure> {
        let places = self.ordered(holder);
        let is_there = self.map.is_node(places[0], &holder.guest.node);
        if about.is_inside && holder.guest.is_container {
            if !is_there && self.map.seen(places[0]).is_some_and(|seen| seen.node.is_some()) {
                let node = &holder.guest.node;
                let message = format!("container {vmid} is on node {node}, and no host here is that node");
                let next = format!("add {node} to the fleet: what runs in a container runs on its own node");
                return Err(Failure::new("node_not_in_fleet", message, next));
            }
            // No other can enter it.
            return Ok(Target::One(places[..1].to_vec()));
        }
        Ok(Target::One(places))
    }

    fn node(&self, node: &str) -> Result<Target, Failure> {
        let domains = self.map.with_node(node, self.among);
        match &domains[..] {
            [domain] => {
                let mut places = domain.clone();
                places.sort_by_key(|place| !self.map.is_node(*place, node));
                Ok(Target::One(places))
            }
            [] => {
                let nodes: Vec<&str> = self.map.nodes(self.among).into_iter().collect();
                let message = format!(
                    "no host that answers knows a node {}; there are: {}",
                    quoted(node, 64),
                    nodes.join(", ")
                );
                Err(self.nowhere(message, "no_such_node"))
            }
            several => {
                let hosts: Vec<Place> = several.iter().flatten().copied().collect();
                let list = self.list(&hosts);
                let message = format!("{} nodes are named {}: {list}", several.len(), quoted(node, 64));
                let next = format!("call again with `host`, one of: {list}");
                let names: Vec<String> = hosts.iter().map(|place| self.names[*place].to_string()).collect();
                Err(Failure::new("ambiguous", message, next).with("hosts", names))
            }
        }
    }

    /// By the guests and nodes that are named in it, where they all are in one place.
    fn words(&self, words: &str, about: &About) -> Option<Result<Target, Failure>> {
        let mut targets = Vec::new();
        for token in tokens(words) {
            let is_guest = |vmid: &u32| !self.map.holders(*vmid, self.among).is_empty();
            match token.number().filter(is_guest) {
                Some(vmid) => targets.push(self.guest(vmid, about)),
                None if self.is_node(&token) => targets.push(self.node(token.text)),
                None => targets.extend(self.guests(&token).iter().map(|vmid| self.guest(*vmid, about))),
            }
        }
        let mut targets = targets.into_iter();
        let first = targets.next()?;
        let same_domain = |a: &Target, b: &Target| match (a, b) {
            (Target::One(a), Target::One(b)) => a.iter().any(|place| b.contains(place)),
            _ => false,
        };
        let Ok(first) = first else { return Some(first) };
        for other in targets {
            match other {
                Ok(other) if same_domain(&first, &other) => {}
                Ok(_) => return Some(Err(self.which_host("the words name things of more than one host"))),
                Err(failure) => return Some(Err(failure)),
            }
        }
        Some(Ok(first))
    }

    /// The first name in these words by which they go to whom they go to; none where numbers do that.
    pub fn named_in<'b>(&self, words: &'b str) -> Option<&'b str> {
        tokens(words)
            .find(|token| self.is_node(token) || !self.guests(token).is_empty())
            .map(|token| token.text)
    }

    fn is_node(&self, token: &Token) -> bool {
        token.may_name() && !self.map.with_node(token.text, self.among).is_empty()
    }

    fn guests(&self, token: &Token) -> std::collections::BTreeSet<u32> {
        match token.may_name() {
            true => self.map.named(token.text, self.among),
            false => std::collections::BTreeSet::new(),
        }
    }

    /// What is not there, as far as anybody can tell.
    fn nowhere(&self, message: String, kind: &str) -> Failure {
        let next = match self.unseen.is_empty() {
            true => "read /cluster/resources for what there is; a role sees its own part of it".to_owned(),
            false => format!(
                "it may be on a host that does not answer ({}): `status` says why; or name it by `host`",
                self.list(self.unseen)
            ),
        };
        Failure::new(kind, message, next)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::super::places::Guest;

    use super::super::places::tests::seen;
    use super::*;

    const MEMBERS: &[&str] = &["pve1", "pve2", "pve3"];

    /// Two members of three, two nodes by themselves of which one is called as the other, and one that nobody has seen.
    fn map() -> (Map, Vec<Arc<str>>) {
        let guests = &[(101, "pve1"), (102, "pve2"), (103, "pve3"), (105, "pve1"), (120, "pve3")];
        let map = Map::new(
            vec![
                seen("pve1", MEMBERS, guests),
                seen("pve2", MEMBERS, guests),
                seen("solo", &[], &[(201, "solo"), (105, "solo")]),
                seen("solo", &[], &[(301, "solo")]),
                None,
            ],
            &[],
        );
        (map, ["a", "b", "c", "d", "e"].map(Arc::from).to_vec())
    }

    fn decided(tool: &str, args: Value, among: &[Place]) -> Result<Target, Failure> {
        let (map, names) = map();
        let sight = Sight { map: &map, among, names: &names, unseen: &[4] };
        decide(&about(tool, args.as_object().unwrap()), &sight)
    }

    const ALL: &[Place] = &[0, 1, 2, 3, 4];

    #[test]
    fn a_call_goes_where_its_guest_or_node_is() {
        for (tool, args, places) in [
            ("exec", json!({ "guest": 101 }), &[0][..]),
            ("exec", json!({ "guest": "101" }), &[0]),
            ("exec", json!({ "guest": 102 }), &[1, 0]),
            ("file_get", json!({ "guest": 201 }), &[2]),
            ("exec", json!({ "guest": 120 }), &[0, 1]),
            ("diagnose", json!({ "subject": "lxc/201/unit/x.service" }), &[2]),
            ("diagnose", json!({ "subject": "node/pve2" }), &[1, 0]),
            ("read", json!({ "path": "/nodes/pve3/qemu/120/config" }), &[0, 1]),
            ("read", json!({ "path": "/nodes/solo/lxc/301/config" }), &[3]),
            ("read", json!({ "path": "UPID:pve2:0000:1:2:x:102:root@pam:" }), &[1, 0]),
            ("read", json!({ "path": "config of vm 102" }), &[1, 0]),
            ("read", json!({ "path": "guest-201" }), &[2]),
            ("plan", json!({ "path": "stop guest-301" }), &[3]),
            (
                "plan",
                json!({ "method": "POST", "path": "/nodes/pve2/lxc", "args": { "vmid": 999 } }),
                &[1, 0],
            ),
            ("find", json!({ "query": "grow the disk of 201" }), &[2]),
            ("find", json!({ "query": "grow a disk" }), ALL),
        ] {
            assert_eq!(
                decided(tool, args.clone(), ALL).ok(),
                Some(Target::One(places.to_vec())),
                "{tool} {args}"
            );
        }
    }

    #[test]
    fn what_is_about_nothing_in_particular_goes_to_each_once() {
        let each = |places: &[&[Place]]| Some(Target::Each(places.iter().map(|one| one.to_vec()).collect()));
        let domains = each(&[&[0, 1], &[2], &[3], &[4]]);
        assert_eq!(decided("read", json!({ "path": "/cluster/resources" }), ALL).ok(), domains);
        assert_eq!(decided("read", json!({ "path": "/nodes" }), ALL).ok(), domains);
        assert_eq!(decided("diagnose", json!({ "subject": "cluster" }), ALL).ok(), domains);
        let hosts = each(&[&[0], &[1], &[2], &[3], &[4]]);
        assert_eq!(decided("status", json!({}), ALL).ok(), hosts);
        assert_eq!(decided("audit", json!({ "guest": 101 }), ALL).ok(), hosts);
    }

    #[test]
    fn where_more_than_one_would_fit_none_gets_it_and_all_are_named() {
        for (tool, args, kind, says) in [
            ("exec", json!({ "guest": 105 }), "ambiguous", "one of: a, c"),
            ("file_put", json!({ "guest": 105 }), "ambiguous", "one of: a, c"),
            ("read", json!({ "path": "config of vm 105" }), "ambiguous", "one of: a, c"),
            ("read", json!({ "path": "/nodes/solo/status" }), "ambiguous", "one of: c, d"),
            ("exec", json!({ "guest": "host" }), "which_host", "one of: a, b, c, d, e"),
            ("plan", json!({ "method": "DELETE", "path": "/storage/local-lvm" }), "which_host", "one of: a"),
            ("plan", json!({ "path": "move 101 beside 201" }), "which_host", "one of: a"),
            ("audit", json!({ "before": 7 }), "which_host", "one of: a"),
            ("exec", json!({ "guest": 103 }), "node_not_in_fleet", "add pve3"),
            ("exec", json!({ "guest": 999 }), "no_such_guest", "does not answer (e)"),
            ("read", json!({ "path": "/nodes/nowhere/status" }), "no_such_node", "does not answer (e)"),
        ] {
            let failure = decided(tool, args.clone(), ALL).unwrap_err();
            assert_eq!(failure.kind, kind, "{tool} {args}");
            let said = format!("{} {}", failure.message, failure.next);
            assert!(said.contains(says), "{tool} {args}: {said}");
        }
    }

    /// A host calls what it has as it likes.
    #[test]
    fn a_usual_word_names_nobody_unless_it_is_said_that_it_does() {
        let guest = |name: &str| Guest { node: "solo".into(), is_container: true, name: name.into() };
        let names = ["backup", "jobs", "start", "list", "a", "web", "web-01", "resources"];
        let mut solo = seen("solo", &[], &[]).unwrap();
        std::sync::Arc::get_mut(&mut solo).unwrap().guests = (501..).zip(names.map(guest)).collect();
        let map = Map::new(vec![seen("pve1", MEMBERS, &[(101, "pve1")]), Some(solo)], &[]);
        let names = ["one", "two"].map(Arc::from);
        let among = [0, 1];
        let sight = Sight { map: &map, among: &among, names: &names, unseen: &[] };
        let decided = |tool: &str, words: &str| {
            decide(&about(tool, json!({ "path": words }).as_object().unwrap()), &sight)
        };
        let each = Some(Target::Each(vec![vec![0], vec![1]]));
        for words in ["backup jobs", "failed backups", "list nodes", "start a backup", "cluster resources"] {
            assert_eq!(decided("read", words).ok(), each, "{words}");
            assert_eq!(sight.named_in(words), None, "{words}");
            assert_eq!(decided("plan", words).unwrap_err().kind, "which_host", "{words}");
        }
        for (words, name) in
            [("config of web-01", "web-01"), ("stop ct backup", "backup"), ("status of solo", "solo")]
        {
            assert_eq!(decided("read", words).ok(), Some(Target::One(vec![1])), "{words}");
            assert_eq!(sight.named_in(words), Some(name), "{words}");
        }
        assert_eq!(decided("plan", "start ct 101").ok(), Some(Target::One(vec![0])));
        assert_eq!(sight.named_in("start ct 101"), None);
    }

    #[test]
    fn the_host_that_is_named_gets_it_whatever_it_is_about() {
        for args in [json!({ "guest": 105 }), json!({ "guest": "host" }), json!({ "guest": 999 })] {
            assert_eq!(decided("exec", args, &[2]).ok(), Some(Target::One(vec![2])));
        }
        // A group leaves fewer to choose among.
        assert_eq!(decided("exec", json!({ "guest": 105 }), &[0, 1]).ok(), Some(Target::One(vec![0])));
    }

    #[test]
    fn a_path_that_names_node_and_guest_says_which_of_two() {
        let read = |path: &str| decided("read", json!({ "path": path }), ALL).ok();
        assert_eq!(read("/nodes/pve1/lxc/105/config"), Some(Target::One(vec![0, 1])));
        assert_eq!(read("/nodes/solo/lxc/105/config"), Some(Target::One(vec![2])));
    }
}
