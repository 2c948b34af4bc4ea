//! The values that a query names: a guest's id, a task, a user, a node, a storage. They fill an endpoint's path.
//!
//! What was typed may hold anything, so a value is only taken in characters that mean nothing in a path.

mod who;

use super::known::{Guest, GuestKind, Known};

const MAX_LENGTH: usize = 128;

/// Words before a value, and the path parameters that it is then for.
const INTRODUCE: &[(&[&str], &[&str])] = &[
    (&["node", "host", "hypervisor"], &["node"]),
    (&["storage", "datastore"], &["storage"]),
    (&["snapshot", "snap", "checkpoint"], &["snapname"]),
    (&["pool"], &["poolid", "name"]),
    (&["group"], &["groupid", "group"]),
    (&["role"], &["roleid"]),
    (&["realm"], &["realm"]),
    (&["zone"], &["zone"]),
    (&["vnet"], &["vnet"]),
    (&["subnet"], &["subnet"]),
    (&["service", "daemon"], &["service"]),
    (&["interface", "bridge", "iface"], &["iface"]),
    (&["token"], &["tokenid"]),
    (&["job"], &["id"]),
    (&["ipset", "alias"], &["name"]),
    (&["rule"], &["pos"]),
    (&["osd"], &["osdid"]),
];
/// Behind them stands what the arguments say: "called web2".
const SAYS: [&str; 18] = [
    "called",
    "named",
    "name",
    "as",
    "hostname",
    "comment",
    "description",
    "tag",
    "tagged",
    "from",
    "with",
    "using",
    "iso",
    "image",
    "template",
    "by",
    "to",
    "onto",
];

/// Before what something is on, or of.
const PLACE: [&str; 7] = ["on", "of", "at", "in", "into", "inside", "within"];

/// What a word means that is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    /// Nothing that anybody knows.
    Nothing,
    /// Nothing that matters: "the", "please".
    Idle,
    /// Something that is done, and no thing.
    Doing,
    /// Another word for a thing.
    Thing,
    /// A thing by its own name: "storage".
    Itself,
}

#[derive(Debug, Default)]
pub(super) struct Values {
    /// As typed, and in lower case.
    raws: Vec<(String, String)>,
    taken: Vec<String>,
    pub vmid: Option<u32>,
    /// The guest that is meant, if it is there.
    pub guest: Option<Guest>,
    /// Somebody's name is among the words, whoever that is.
    pub has_guest: bool,
    /// So is a node's, or what is written as one.
    pub has_node: bool,
    /// A name that several guests have, and their ids.
    pub unclear: Option<(String, Vec<u32>)>,
    /// Nodes and guests that are named beside those, as typed: of one call there is one.
    pub others: Vec<String>,
    /// By path parameter, escaped as a path needs it.
    named: Vec<(&'static str, String)>,
}

impl Values {
    /// `means`: what a word of no name would be.
    pub fn read(text: &str, known: &Known, means: impl Fn(&str) -> Means) -> Self {
        let trimmed = |raw: &str| raw.trim_matches(|c: char| !c.is_alphanumeric() && c != ':').to_owned();
        let raws = text.split_whitespace().map(|raw| (trimmed(raw), trimmed(raw).to_lowercase())).collect();
        let mut values = Self { raws, ..Self::default() };
        values.nodes(known, &means);
        values.guest_by_id(known);
        values.shaped();
        values.guest_by_name(known, &means);
        values.guest = values.vmid.and_then(|vmid| known.guest(vmid)).cloned();
        values
    }

    pub fn kind(&self) -> Option<GuestKind> {
        self.guest.as_ref().map(|guest| guest.kind)
    }

    /// Names among the words that are nobody's who is there, and no value that a call's path or arguments would have.
    /// `is_word`: a word that somebody may say who names nobody.
    pub fn strays(&self, is_word: impl Fn(&str) -> bool) -> Vec<String> {
        let is_name = |lower: &str| {
            let plain = lower.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
            plain && lower.len() > 1 && lower.starts_with(|c: char| c.is_ascii_alphabetic())
        };
        let stray = |at: &usize| {
            let (_, lower) = &self.raws[*at];
            is_name(lower)
                && !self.taken.contains(lower)
                && !SAYS.contains(&self.before(*at, 1))
                && self.introduced(lower).is_none()
                && !is_word(lower)
        };
        (0..self.raws.len()).filter(stray).map(|at| self.raws[at].0.clone()).collect()
    }

    /// Whether a stray stands where something is: "on pve9".
    pub fn is_place(&self, stray: &str) -> bool {
        let at = self.raws.iter().position(|(raw, _)| raw == stray);
        at.is_some_and(|at| PLACE.contains(&self.before(at, 1)))
    }

    /// Whether a name stands behind a word that makes it the place of something else, or behind "node".
    pub fn is_beside(&self, name: &str) -> bool {
        const BESIDE: [&str; 8] = ["on", "at", "in", "inside", "to", "onto", "from", "for"];
        let at = self.raws.iter().position(|(_, lower)| lower == name);
        at.is_some_and(|at| {
            BESIDE.contains(&self.before(at, 1)) || INTRODUCE[0].0.contains(&self.before(at, 1))
        })
    }

    /// Whether any of these was said.
    pub fn says(&self, words: &[&str]) -> bool {
        self.raws.iter().any(|(_, lower)| words.contains(&lower.as_str()))
    }

    fn before(&self, at: usize, back: usize) -> &str {
        at.checked_sub(back).and_then(|at| self.raws.get(at)).map_or("", |raw| raw.1.as_str())
    }

    /// Whether this is a value and no word.
    pub fn took(&self, raw: &str) -> bool {
        self.taken.iter().any(|taken| taken == raw.trim_matches(|c: char| !c.is_alphanumeric() && c != ':'))
    }

    /// Whether this stands where a value stands: `local-lvm` after "storage".
    pub fn may_be(&self, raw: &str) -> bool {
        self.introduced(raw).is_some()
    }

    /// This is no word that anybody knows, so it is a value if it stands where one stands.
    pub fn unknown(&mut self, raw: &str) {
        let Some((parameters, value)) = self.introduced(raw) else { return };
        for parameter in parameters {
            if self.get(parameter).is_none() {
                self.named.push((parameter, value.clone()));
            }
        }
    }

    pub fn get(&self, parameter: &str) -> Option<String> {
        match (parameter, self.vmid) {
            ("vmid" | "sid", Some(vmid)) => Some(vmid.to_string()),
            _ => self.named.iter().find(|(name, _)| *name == parameter).map(|(_, value)| value.clone()),
        }
    }

    /// Whether there is a value of anything but a guest or a node.
    pub fn has_names(&self) -> bool {
        self.named.iter().any(|(name, _)| *name != "node")
    }

    fn introduced(&self, raw: &str) -> Option<(&'static [&'static str], String)> {
        let raw = raw.trim_matches(|c: char| !c.is_alphanumeric());
        let at = self.raws.iter().position(|(_, lower)| lower == raw)?;
        let before = |back: usize| Some(self.raws.get(at.checked_sub(back)?)?.1.as_str());
        let (_, parameters) = INTRODUCE.iter().find(|(words, _)| words.contains(&before(1).unwrap_or("")))?;
        // "osd out" says what it is to be.
        if parameters[0] == "osdid" && !raw.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // "to node pve2" is where something goes, not where it is.
        if parameters[0] == "node" && self.goes(at) {
            return None;
        }
        escaped(&self.raws[at].0).map(|value| (*parameters, value))
    }

    /// What its shape gives away.
    fn shaped(&mut self) {
        for at in 0..self.raws.len() {
            let (raw, lower) = self.raws[at].clone();
            if lower.starts_with("upid:") {
                // UPID:node:pid:pstart:starttime:type:id:user:
                if let (Some(upid), Some(node)) = (escaped(&raw), raw.split(':').nth(1).and_then(escaped)) {
                    self.named.extend([("upid", upid), ("node", node)]);
                    self.taken.push(lower);
                }
            } else if let Some((user, realm)) = raw.split_once('@').filter(|(user, _)| !user.is_empty()) {
                let (realm, token) =
                    realm.split_once('!').map_or((realm, None), |(realm, token)| (realm, Some(token)));
                if let Some(userid) = escaped(&format!("{user}@{realm}")) {
                    self.named.push(("userid", userid));
                    self.named.extend(token.and_then(escaped).map(|token| ("tokenid", token)));
                    self.taken.push(lower);
                }
            }
        }
    }
}

/// A value as one segment of a path, if it is made of what values are made of.
fn escaped(value: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-@!:+".contains(c);
    let fits = !value.is_empty() && value.len() <= MAX_LENGTH && value.chars().all(plain);
    let dots = value.chars().all(|c| c == '.');
    (fits && !dots).then(|| value.replace(':', "%3A").replace('+', "%2B"))
}
