//! The values that a query names: a guest's id, a task, a user, a node, a storage. They fill an endpoint's path.
//!
//! What was typed may hold anything, so a value is only taken in characters that mean nothing in a path.

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
];
const GUEST: [&str; 11] =
    ["vm", "ct", "lxc", "container", "guest", "qemu", "machine", "vmid", "ctid", "id", "instance"];
const NUMBERS: [&str; 10] = ["port", "vlan", "tag", "to", "memory", "ram", "mtu", "size", "by", "every"];
const UNITS: [&str; 20] = [
    "mb",
    "gb",
    "tb",
    "kb",
    "mib",
    "gib",
    "tib",
    "m",
    "g",
    "t",
    "cores",
    "core",
    "cpus",
    "minutes",
    "seconds",
    "hours",
    "days",
    "megabytes",
    "gigabytes",
    "percent",
];

#[derive(Debug, Default)]
pub(super) struct Values {
    /// As typed, and in lower case.
    raws: Vec<(String, String)>,
    taken: Vec<String>,
    pub vmid: Option<u32>,
    /// By path parameter, escaped as a path needs it.
    named: Vec<(&'static str, String)>,
}

impl Values {
    pub fn read(text: &str) -> Self {
        let trimmed = |raw: &str| raw.trim_matches(|c: char| !c.is_alphanumeric() && c != ':').to_owned();
        let raws = text.split_whitespace().map(|raw| (trimmed(raw), trimmed(raw).to_lowercase())).collect();
        let mut values = Self { raws, ..Self::default() };
        values.guest();
        values.shaped();
        values
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

    /// How many path parameters there are values for, the guest's id and the node aside.
    pub fn named(&self) -> u8 {
        self.named.iter().filter(|(name, _)| *name != "node").count().min(8) as u8
    }

    fn introduced(&self, raw: &str) -> Option<(&'static [&'static str], String)> {
        let raw = raw.trim_matches(|c: char| !c.is_alphanumeric());
        let at = self.raws.iter().position(|(_, lower)| lower == raw)?;
        let before = |back: usize| Some(self.raws.get(at.checked_sub(back)?)?.1.as_str());
        let (_, parameters) = INTRODUCE.iter().find(|(words, _)| words.contains(&before(1).unwrap_or("")))?;
        // "to node pve2" is where something goes, not where it is.
        if parameters[0] == "node" && matches!(before(2), Some("to" | "onto" | "another" | "target")) {
            return None;
        }
        escaped(&self.raws[at].0).map(|value| (*parameters, value))
    }

    fn guest(&mut self) {
        let number = |text: &str| text.parse::<u32>().ok().filter(|id| (100..=999_999_999).contains(id));
        let word = |at: Option<usize>| at.and_then(|at| self.raws.get(at)).map_or("", |raw| raw.1.as_str());
        let mut found = None;
        for (at, (_, lower)) in self.raws.iter().enumerate() {
            let Some(id) = number(lower) else { continue };
            let before = word(at.checked_sub(1));
            let singular = before.strip_suffix('s').unwrap_or(before);
            if GUEST.contains(&singular) {
                found = Some((id, at));
                break;
            }
            if found.is_none() && !NUMBERS.contains(&before) && !UNITS.contains(&word(Some(at + 1))) {
                found = Some((id, at));
            }
        }
        if let Some((id, at)) = found {
            self.vmid = Some(id);
            self.taken.push(self.raws[at].1.clone());
        }
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
