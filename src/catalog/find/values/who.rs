//! The nodes and guests that are named, by what there is.

use super::super::known::{Guest, Known, is_like_a_guest, is_like_a_node};
use super::{INTRODUCE, Means, SAYS, Values, escaped};

/// Before a node, or a guest, of whose name nobody could tell that it is none of the usual words.
const AT: [&str; 9] = ["on", "of", "at", "for", "in", "into", "inside", "within", "from"];
/// Where something goes.
const TO: [&str; 5] = ["to", "onto", "another", "target", "towards"];
const GUEST: [&str; 11] =
    ["vm", "ct", "lxc", "container", "guest", "qemu", "machine", "vmid", "ctid", "id", "instance"];
const NUMBERS: [&str; 17] = [
    "port", "vlan", "tag", "to", "memory", "ram", "mtu", "size", "by", "every", "last", "tail", "head",
    "first", "newest", "latest", "osd",
];
const UNITS: [&str; 28] = [
    "line",
    "lines",
    "entries",
    "rows",
    "times",
    "messages",
    "weeks",
    "months",
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

impl Values {
    /// Each node of the cluster that is named; the first that is not where something goes is the one that is meant.
    pub(super) fn nodes(&mut self, known: &Known, means: &impl Fn(&str) -> Means) {
        for at in 0..self.raws.len() {
            let (raw, lower) = self.raws[at].clone();
            let Some(node) = known.node(&lower) else {
                // Whoever that is, it stays a stray.
                self.has_node |= is_like_a_node(&lower) && !self.goes(at);
                continue;
            };
            let (before, goes) = (self.before(at, 1), self.goes(at));
            // A node may be called "storage".
            let is_it =
                INTRODUCE[0].0.contains(&before) || AT.contains(&before) || means(&lower) == Means::Nothing;
            if !goes && !is_it {
                continue;
            }
            self.has_node |= !goes;
            match escaped(node).filter(|_| !goes) {
                Some(node) if self.get("node").is_none() => self.named.push(("node", node)),
                Some(node) if self.get("node") != Some(node.clone()) => self.others.push(raw),
                _ => {}
            }
            self.taken.push(lower);
        }
    }

    /// Whether something goes to what stands there: "to pve2", "to node pve2", "to vm 105".
    pub(super) fn goes(&self, at: usize) -> bool {
        let (before, introduced) = (self.before(at, 1), INTRODUCE[0].0);
        let is_said = introduced.contains(&before) || is_of_guests(before);
        TO.contains(&before) || is_said && TO.contains(&self.before(at, 2))
    }

    /// The guest whose id is named. A number may be anything; one that a guest's word stands before is an id.
    pub(super) fn guest_by_id(&mut self, known: &Known) {
        let number = |text: &str| text.parse::<u32>().ok().filter(|id| (100..=999_999_999).contains(id));
        let mut found: Vec<(u32, usize)> = Vec::new();
        for (at, (_, lower)) in self.raws.iter().enumerate() {
            let Some(id) = number(lower) else { continue };
            let (before, after) =
                (self.before(at, 1), self.raws.get(at + 1).map_or("", |raw| raw.1.as_str()));
            let is_id = is_of_guests(before) || !NUMBERS.contains(&before) && !UNITS.contains(&after);
            if is_id {
                found.push((id, at));
            }
        }
        let first = found.iter().find(|(_, at)| is_of_guests(self.before(*at, 1))).or(found.first());
        let Some(&(id, first)) = first else { return };
        self.vmid = Some(id);
        self.taken.push(self.raws[first].1.clone());
        let others = found
            .iter()
            .filter(|(other, at)| *other != id && known.guest(*other).is_some() && !self.goes(*at));
        let others: Vec<String> = others.map(|(other, _)| other.to_string()).collect();
        self.others.extend(others);
    }

    /// The guest that is named, where no id is.
    pub(super) fn guest_by_name(&mut self, known: &Known, means: &impl Fn(&str) -> Means) {
        for at in 0..self.raws.len() {
            let (raw, lower) = self.raws[at].clone();
            let says = SAYS.contains(&self.before(at, 1)) && self.before(at, 1) != "from";
            if self.taken.contains(&lower) || says || self.goes(at) {
                continue;
            }
            let named: Vec<&Guest> = known.guests_named(&lower).collect();
            if named.is_empty() {
                // Whoever that is, no part of the name says what is wanted; it stays a stray.
                self.has_guest |= is_like_a_guest(&lower) && self.introduced(&lower).is_none();
                continue;
            }
            if !self.stands_for_a_guest(at, means) {
                continue;
            }
            self.has_guest = true;
            match (named.as_slice(), self.vmid) {
                ([guest], None) => self.vmid = Some(guest.vmid),
                ([guest], Some(vmid)) if guest.vmid == vmid => {}
                (_, Some(_)) => self.others.push(raw),
                (guests, None) => {
                    self.unclear = Some((raw, guests.iter().map(|guest| guest.vmid).collect()));
                }
            }
            self.taken.push(lower);
        }
    }

    /// A name that is also one of the usual words has to stand where a guest's stands: "stop mail", "config of mail",
    /// "ct mail".
    fn stands_for_a_guest(&self, at: usize, means: &impl Fn(&str) -> Means) -> bool {
        let (_, lower) = &self.raws[at];
        let after = self.raws.get(at + 1).map_or("", |raw| raw.1.as_str());
        let is_at = AT.contains(&self.before(at, 1));
        if is_like_a_guest(lower)
            || [self.before(at, 1), after].iter().any(|word| is_of_guests(word) || *word == "server")
        {
            return true;
        }
        // "stop web-104 and mail"
        if self.vmid.is_some() && ["and", "or"].contains(&self.before(at, 1)) {
            return true;
        }
        // "stop mail": there is nothing else that it could be done to.
        let alone = || {
            let others = self.raws.iter().enumerate().filter(|(other, _)| *other != at);
            let mut others = others.map(|(_, (_, lower))| means(lower)).peekable();
            others.peek().is_some() && others.all(|means| matches!(means, Means::Doing | Means::Idle))
        };
        match means(lower) {
            Means::Nothing => true,
            Means::Itself => is_at && after.is_empty(),
            Means::Idle | Means::Doing | Means::Thing => is_at || alone(),
        }
    }
}

fn is_of_guests(word: &str) -> bool {
    GUEST.contains(&word.strip_suffix('s').unwrap_or(word))
}
