//! `.members`: the cluster's nodes, as corosync sees them.

use std::collections::BTreeMap;

use serde::Deserialize;
use smol_str::SmolStr;

use super::finding::{Findings, What};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// Nothing for a node on its own.
    pub cluster: Option<SmolStr>,
    pub quorate: bool,
    /// The node that was asked.
    pub local: SmolStr,
    pub nodes: Vec<Member>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub name: SmolStr,
    pub online: bool,
    pub address: Option<SmolStr>,
}

#[derive(Deserialize)]
struct File<'a> {
    nodename: &'a str,
    #[serde(borrow)]
    cluster: Option<Cluster<'a>>,
    #[serde(borrow, default)]
    nodelist: BTreeMap<&'a str, Entry<'a>>,
}

#[derive(Deserialize)]
struct Cluster<'a> {
    name: &'a str,
    #[serde(default)]
    quorate: u8,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(default)]
    online: u8,
    ip: Option<&'a str>,
}

pub fn parse(text: &str, findings: &mut Findings<'_>) -> Members {
    let file: File<'_> = match serde_json::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            findings.add(0, What::Malformed(error.to_string().into()));
            return Members::default();
        }
    };
    let local = SmolStr::from(file.nodename);
    let mut nodes: Vec<Member> = file
        .nodelist
        .iter()
        .map(|(name, entry)| Member {
            name: (*name).into(),
            online: entry.online != 0,
            address: entry.ip.map(SmolStr::from),
        })
        .collect();
    if nodes.is_empty() {
        nodes.push(Member { name: local.clone(), online: true, address: None });
    }
    // A node on its own decides alone.
    let quorate = file.cluster.as_ref().is_none_or(|cluster| cluster.quorate != 0);
    Members { cluster: file.cluster.map(|cluster| cluster.name.into()), quorate, local, nodes }
}
