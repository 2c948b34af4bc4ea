//! What is where: which node each host is, which cluster it is in, and which guests there are, as the hosts say.
//!
//! A host is believed about itself. That two are members of one cluster both have to say, with the same members, each
//! being another of them; who claims a node that another host is, shares no cluster with anybody. A guest that two hosts
//! have which are not of one cluster is two guests.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

/// A host's place in the fleet.
pub type Place = usize;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    pub node: String,
    /// Whether it is a container.
    pub is_container: bool,
    pub name: String,
}

/// What one host says.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The node that it is; none where its role may not read that.
    pub node: Option<String>,
    /// Name of its cluster; none for a node by itself.
    pub cluster: Option<String>,
    /// Every node of its cluster, or itself.
    pub nodes: BTreeSet<String>,
    pub guests: HashMap<u32, Guest>,
    /// Whether it is of a product that has guests.
    pub has_guests: bool,
    /// Since when it says so: it was not asked earlier.
    pub at: Instant,
}

/// What all say, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Map {
    seen: Vec<Option<Arc<Seen>>>,
    /// Hosts that are one cluster, or one node by itself.
    domains: Vec<Vec<Place>>,
}

impl Map {
    /// `pins`: the node that each host has to be, where the operator said so.
    pub fn new(seen: Vec<Option<Arc<Seen>>>, pins: &[Option<String>]) -> Self {
        let domains = domains(&seen, pins);
        Self { seen, domains }
    }

    pub fn seen(&self, place: Place) -> Option<&Seen> {
        self.seen.get(place)?.as_deref()
    }

    /// The clusters and nodes by themselves that these hosts stand for.
    pub fn domains(&self, among: &[Place]) -> Vec<Vec<Place>> {
        let only = |domain: &Vec<Place>| -> Vec<Place> {
            domain.iter().copied().filter(|place| among.contains(place)).collect()
        };
        self.domains.iter().map(only).filter(|domain| !domain.is_empty()).collect()
    }

    /// Where there is such a guest: the hosts that say so, by domain.
    pub fn holders(&self, vmid: u32, among: &[Place]) -> Vec<Holder> {
        let mut found = Vec::new();
        for domain in self.domains(among) {
            let mut holders: Vec<Holder> = Vec::new();
            for place in &domain {
                let Some(guest) = self.seen(*place).and_then(|seen| seen.guests.get(&vmid)) else { continue };
                let is_own = self.is_node(*place, &guest.node);
                match holders.iter_mut().find(|holder| holder.guest.node == guest.node) {
                    Some(holder) if is_own => holder.says_so = true,
                    Some(_) => {}
                    None => {
                        holders.push(Holder { guest: guest.clone(), domain: domain.clone(), says_so: is_own })
                    }
                }
            }
            // What a node says of itself counts more than what others have not heard yet; two that both say so do not agree.
            if holders.iter().any(|holder| holder.says_so) {
                holders.retain(|holder| holder.says_so);
            } else {
                holders.truncate(1);
            }
            found.extend(holders);
        }
        found
    }

    /// Guests of this name.
    pub fn named(&self, name: &str, among: &[Place]) -> BTreeSet<u32> {
        let seen = among.iter().filter_map(|place| self.seen(*place));
        let guests = seen.flat_map(|seen| seen.guests.iter());
        guests.filter(|(_, guest)| guest.name == name).map(|(vmid, _)| *vmid).collect()
    }

    /// The domains that have a node of this name.
    pub fn with_node(&self, node: &str, among: &[Place]) -> Vec<Vec<Place>> {
        let has = |place: &Place| self.seen(*place).is_some_and(|seen| seen.nodes.contains(node));
        self.domains(among).into_iter().filter(|domain| domain.iter().any(has)).collect()
    }

    /// Whether they are of one cluster, in which a guest's number is given once.
    pub fn are_one(&self, a: Place, b: Place) -> bool {
        self.domains.iter().any(|domain| domain.contains(&a) && domain.contains(&b))
    }

    pub fn is_node(&self, place: Place, node: &str) -> bool {
        self.seen(place).is_some_and(|seen| seen.node.as_deref() == Some(node))
    }

    pub fn nodes(&self, among: &[Place]) -> BTreeSet<&str> {
        let seen = among.iter().filter_map(|place| self.seen(*place));
        seen.flat_map(|seen| seen.nodes.iter().map(String::as_str)).collect()
    }
}

/// A guest, and the hosts of the one domain that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub guest: Guest,
    pub domain: Vec<Place>,
    /// Whether the node that it is on says so itself.
    says_so: bool,
}

fn domains(seen: &[Option<Arc<Seen>>], pins: &[Option<String>]) -> Vec<Vec<Place>> {
    let claim = |place: Place| {
        let seen = seen[place].as_deref()?;
        let (cluster, node) = (seen.cluster.as_deref()?, seen.node.as_deref()?);
        // Who is not in its own list of members says two things.
        seen.nodes.contains(node).then_some((cluster, &seen.nodes, node))
    };
    let pinned = |place: Place| pins.get(place).is_some_and(Option::is_some);
    let contested = |place: Place| {
        let mine = claim(place);
        let rivals =
            (0..seen.len()).filter(|other| *other != place && mine.is_some() && claim(*other) == mine);
        let mut rivals = rivals.peekable();
        // Of two that say they are the same node, the one that the operator says is that.
        rivals.peek().is_some() && (!pinned(place) || rivals.any(pinned))
    };
    type Cluster<'a> = (&'a str, &'a BTreeSet<String>);
    let mut domains: Vec<(Option<Cluster>, Vec<Place>)> = Vec::new();
    for place in 0..seen.len() {
        let cluster = claim(place).filter(|_| !contested(place)).map(|(cluster, nodes, _)| (cluster, nodes));
        match domains.iter_mut().find(|(known, _)| cluster.is_some() && *known == cluster) {
            Some((_, members)) => members.push(place),
            None => domains.push((cluster, vec![place])),
        }
    }
    domains.into_iter().map(|(_, members)| members).collect()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// `node`, and of a cluster `demo` of these; guests as `(vmid, node)`.
    pub fn seen(node: &str, cluster: &[&str], guests: &[(u32, &str)]) -> Option<Arc<Seen>> {
        let guest = |(vmid, node): &(u32, &str)| {
            let guest =
                Guest { node: (*node).into(), is_container: vmid % 2 == 1, name: format!("guest-{vmid}") };
            (*vmid, guest)
        };
        let nodes = if cluster.is_empty() { &[node][..] } else { cluster };
        Some(Arc::new(Seen {
            node: Some(node.into()),
            cluster: (!cluster.is_empty()).then(|| "demo".into()),
            nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
            guests: guests.iter().map(guest).collect(),
            has_guests: true,
            at: Instant::now(),
        }))
    }

    const MEMBERS: &[&str] = &["pve1", "pve2", "pve3"];

    #[test]
    fn members_are_one_cluster_when_all_say_so_and_each_is_another() {
        let all = [0, 1, 2, 3];
        let of = |seen: Vec<_>| Map::new(seen, &[]).domains(&all);
        let (one, two) = (|| seen("pve1", MEMBERS, &[]), || seen("pve2", MEMBERS, &[]));
        assert_eq!(of(vec![one(), seen("solo", &[], &[]), two()]), [vec![0, 2], vec![1]]);
        // Of another list of members, though of that name.
        assert_eq!(of(vec![one(), seen("pve4", &["pve1", "pve4"], &[])]), [[0], [1]]);
        // No member of what it calls its cluster.
        assert_eq!(of(vec![one(), seen("evil", MEMBERS, &[])]), [[0], [1]]);
        // Two that say they are the same node; the third is alone, too, as nobody knows whose it is.
        assert_eq!(of(vec![one(), one(), two()]), [[0], [1], [2]]);
        // Nothing is known of the second.
        assert_eq!(of(vec![one(), None, two()]), [vec![0, 2], vec![1]]);
    }

    #[test]
    fn of_two_that_say_they_are_the_same_node_the_operators_word_counts() {
        let seen = vec![seen("pve1", MEMBERS, &[]), seen("pve1", MEMBERS, &[]), seen("pve2", MEMBERS, &[])];
        let pins = [None, Some("pve1".to_owned()), None];
        assert_eq!(Map::new(seen, &pins).domains(&[0, 1, 2]), [vec![0], vec![1, 2]]);
    }

    #[test]
    fn a_guest_of_two_hosts_that_share_no_cluster_is_two_guests() {
        let map = Map::new(
            vec![
                seen("pve1", MEMBERS, &[(101, "pve1"), (102, "pve2"), (103, "pve3")]),
                seen("pve2", MEMBERS, &[(101, "pve1"), (102, "pve2"), (103, "pve3")]),
                seen("solo", &[], &[(101, "solo")]),
            ],
            &[],
        );
        let holders = |vmid| -> Vec<(String, Vec<Place>)> {
            map.holders(vmid, &[0, 1, 2]).into_iter().map(|one| (one.guest.node, one.domain)).collect()
        };
        assert_eq!(holders(101), [("pve1".to_owned(), vec![0, 1]), ("solo".to_owned(), vec![2])]);
        assert_eq!(holders(102), [("pve2".to_owned(), vec![0, 1])]);
        assert_eq!(holders(103), [("pve3".to_owned(), vec![0, 1])]);
        assert_eq!(holders(104), []);
        assert_eq!(map.holders(101, &[2]).len(), 1);
    }

    #[test]
    fn a_member_that_claims_anothers_guest_makes_it_two() {
        let map = Map::new(
            vec![seen("pve1", MEMBERS, &[(101, "pve1")]), seen("pve2", MEMBERS, &[(101, "pve2")])],
            &[],
        );
        assert_eq!(map.holders(101, &[0, 1]).len(), 2);
        // One that only has not heard yet where it went does not.
        let map = Map::new(
            vec![seen("pve1", MEMBERS, &[(101, "pve2")]), seen("pve2", MEMBERS, &[(101, "pve2")])],
            &[],
        );
        assert_eq!(map.holders(101, &[0, 1]).len(), 1);
    }
}
