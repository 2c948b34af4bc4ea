//! Which rules a call has: what they need to have gathered, and the functions that look.
//!
//! One file a subject, each with a table `RULES`. A call that no rule is made for is said not to have been looked at,
//! unless `alone.txt` says why nothing else depends on it; `unseen.txt` says for some in their own words what is not looked at.

mod access;
mod backup;
mod certificate;
mod disk;
mod firewall;
mod guest;
mod ha;
mod mapping;
mod migrate;
mod network;
mod node;
mod pool;
mod replication;
mod rights;
mod sdn;
mod snapshot;
mod storage;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use super::{Found, Look};
use crate::product::Product;

/// Looks at what one change does, and says whom it hits.
pub type Check = fn(&Look<'_>, &mut Found);

pub struct Rule {
    /// `METHOD /path`; `{kind}` is lxc and qemu.
    pub calls: &'static [&'static str],
    pub needs: &'static [Need],
    pub checks: &'static [Check],
}

/// What has to be gathered beside the estate, which every rule has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Which guests run.
    Status,
    /// From where people are connected to the node.
    Peers,
    Get(Get),
}

/// The answer to a GET.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Get {
    /// What [`Look::answer`] and what could not be seen call it: "the network of the node".
    pub name: &'static str,
    /// Its blanks are the call's own; `{node}` is this node where the call names none.
    pub template: &'static str,
    /// Blanks that are filled in otherwise, and the query: `("node", "{target}")`. What is not given is left out.
    pub with: &'static [(&'static str, &'static str)],
}

const SUBJECTS: &[&[Rule]] = &[
    access::RULES,
    backup::RULES,
    certificate::RULES,
    disk::RULES,
    firewall::RULES,
    guest::RULES,
    ha::RULES,
    mapping::RULES,
    migrate::RULES,
    network::RULES,
    node::RULES,
    pool::RULES,
    replication::RULES,
    sdn::RULES,
    snapshot::RULES,
    storage::RULES,
];

/// The rules for a call such as `DELETE /storage/{storage}`. They are about an estate, which Proxmox VE alone has.
pub fn of(product: Product, endpoint: &str) -> impl Iterator<Item = &'static Rule> + use<'_> {
    let has = move |rule: &&Rule| rule.calls.iter().any(|call| fits(call, endpoint));
    SUBJECTS.iter().copied().flatten().filter(has).filter(move |_| product.has_guests())
}

/// Whether a call of a table, which may say `{kind}`, is this one.
pub(super) fn fits(call: &str, endpoint: &str) -> bool {
    match call.split_once("{kind}") {
        None => call == endpoint,
        Some((before, after)) => endpoint
            .strip_prefix(before)
            .and_then(|rest| rest.strip_prefix("lxc").or_else(|| rest.strip_prefix("qemu")))
            .is_some_and(|rest| rest == after),
    }
}

/// Lines of METHOD path | words.
type Lines = Vec<(&'static str, &'static str)>;

/// Calls on whose subject nothing else depends, and why.
static ALONE: LazyLock<Lines> = LazyLock::new(|| lines(include_str!("alone.txt")));

/// Calls of which it is known what is not looked at.
static UNSEEN: LazyLock<Lines> = LazyLock::new(|| lines(include_str!("unseen.txt")));

fn lines(text: &'static str) -> Lines {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('|')).map(|(call, words)| (call.trim(), words.trim())).collect()
}

/// What nobody looks at for a call without rules.
pub fn what_unseen(product: Product, endpoint: &str) -> Option<&'static str> {
    UNSEEN.iter().find(|(call, _)| product.has_guests() && fits(call, endpoint)).map(|(_, what)| *what)
}

/// Why nothing else depends on what a call is made on.
pub fn why_alone(product: Product, endpoint: &str) -> Option<&'static str> {
    ALONE.iter().find(|(call, _)| product.has_guests() && fits(call, endpoint)).map(|(_, why)| *why)
}
