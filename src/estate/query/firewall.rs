//! Where a firewall's alias, address set or security group is used.

use smol_str::SmolStr;

use crate::estate::firewall::{Firewall, Named, Place, Rule, Scope};
use crate::estate::index::Index;
use crate::estate::part::Part;
use crate::estate::seen::Seen;

/// A place in a firewall that names something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirewallUse {
    pub scope: Scope,
    pub within: Within,
    /// A rule that is off names it still: it cannot be removed.
    pub enabled: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Within {
    /// From 0, as the API counts.
    Rule(usize),
    GroupRule(SmolStr, usize),
    Set(SmolStr),
}

const PARTS: &[Part] = &[Part::Firewall];

impl Index {
    /// Whose firewall takes in a security group's rules. Groups are the cluster's.
    pub fn users_of_group(&self, name: &str) -> Seen<Vec<FirewallUse>> {
        let name = name.to_lowercase();
        let found = self.firewall_uses(|_, rule| rule.group().is_some_and(|group| *group == name));
        self.seen(found, PARTS)
    }

    /// Where an alias that `owner` defines is used.
    pub fn users_of_alias(&self, owner: &Scope, name: &str) -> Seen<Vec<FirewallUse>> {
        let name = name.to_lowercase();
        let is_it = |scope: &Scope, firewall: &Firewall, named: &Named| match named {
            Named::Alias { place, name: used } if *used == name => {
                self.means(owner, scope, *place, firewall.aliases.iter().any(|alias| alias.name == name))
            }
            _ => false,
        };
        self.seen(self.named_by(is_it), PARTS)
    }

    /// Where an address set that `owner` defines is used.
    pub fn users_of_set(&self, owner: &Scope, name: &str) -> Seen<Vec<FirewallUse>> {
        let name = name.to_lowercase();
        let is_it = |scope: &Scope, firewall: &Firewall, named: &Named| match named {
            Named::Set { place, name: used } if *used == name => {
                self.means(owner, scope, *place, firewall.sets.iter().any(|set| set.name == name))
            }
            _ => false,
        };
        self.seen(self.named_by(is_it), PARTS)
    }

    /// Whether a name in `scope` means the one that `owner` defines. A guest's own goes before the cluster's.
    fn means(&self, owner: &Scope, scope: &Scope, place: Place, has_own: bool) -> bool {
        match (owner, place) {
            (Scope::Cluster, Place::Cluster) => true,
            (Scope::Cluster, Place::Nearest) => scope == owner || !has_own,
            (Scope::Cluster, Place::Guest | Place::Sdn) => false,
            (_, Place::Nearest | Place::Guest) => scope == owner,
            (_, Place::Cluster | Place::Sdn) => false,
        }
    }

    fn named_by(&self, is_it: impl Fn(&Scope, &Firewall, &Named) -> bool) -> Vec<FirewallUse> {
        let firewalls = &self.cluster().firewalls;
        let mut found = self.firewall_uses(|scope, rule| {
            rule.named()
                .any(|named| firewalls.get(scope).is_some_and(|firewall| is_it(scope, firewall, &named)))
        });
        for (scope, firewall) in firewalls.iter() {
            for set in &firewall.sets {
                let mut members = set.members.iter().filter_map(|member| Named::of_member(member));
                if members.any(|named| is_it(scope, firewall, &named)) {
                    let within = Within::Set(set.name.clone());
                    found.push(FirewallUse { scope: scope.clone(), within, enabled: true });
                }
            }
        }
        found
    }

    fn firewall_uses(&self, is_it: impl Fn(&Scope, &Rule) -> bool) -> Vec<FirewallUse> {
        let mut found = Vec::new();
        for (scope, firewall) in self.cluster().firewalls.iter() {
            let mut take = |rules: &[Rule], group: Option<&SmolStr>| {
                for (number, rule) in rules.iter().enumerate().filter(|(_, rule)| is_it(scope, rule)) {
                    let within =
                        group.map_or(Within::Rule(number), |name| Within::GroupRule(name.clone(), number));
                    found.push(FirewallUse { scope: scope.clone(), within, enabled: rule.enabled });
                }
            };
            take(&firewall.rules, None);
            firewall.groups.iter().for_each(|group| take(&group.rules, Some(&group.name)));
        }
        found
    }
}
