//! One firewall: the cluster's, a node's, a guest's or a virtual network's, as its `.fw` file holds it.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::digest;

/// By the API's names: `type`, `action`, `enable`, `source`, `dest`, `proto`, `dport`, `sport`, `iface`, `macro`, `log`,
/// `icmp-type`, `comment`.
pub type Rule = BTreeMap<String, String>;

#[derive(Debug, Clone, Default)]
pub struct Firewall {
    pub options: BTreeMap<String, String>,
    pub aliases: BTreeMap<String, Alias>,
    pub sets: BTreeMap<String, Set>,
    pub rules: Vec<Rule>,
    pub groups: BTreeMap<String, Group>,
}

#[derive(Debug, Clone, Default)]
pub struct Alias {
    pub cidr: String,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Set {
    pub comment: Option<String>,
    pub members: Vec<Member>,
}

#[derive(Debug, Clone, Default)]
pub struct Member {
    pub cidr: String,
    pub nomatch: bool,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Group {
    pub comment: Option<String>,
    pub rules: Vec<Rule>,
}

impl Firewall {
    pub const EMPTY: Self = Self {
        options: BTreeMap::new(),
        aliases: BTreeMap::new(),
        sets: BTreeMap::new(),
        rules: Vec::new(),
        groups: BTreeMap::new(),
    };

    pub fn text(&self) -> String {
        let mut text = String::new();
        if !self.options.is_empty() {
            text.push_str("[OPTIONS]\n\n");
            for (key, value) in self.options.iter().rev() {
                let _ = writeln!(text, "{key}: {value}");
            }
            text.push('\n');
        }
        if !self.aliases.is_empty() {
            text.push_str("[ALIASES]\n\n");
            for (name, alias) in &self.aliases {
                let _ = writeln!(text, "{name} {}{}", alias.cidr, after(&alias.comment));
            }
            text.push('\n');
        }
        for (name, set) in &self.sets {
            let _ = writeln!(text, "[IPSET {name}]{}\n", after(&set.comment));
            for member in &set.members {
                let not = if member.nomatch { "!" } else { "" };
                let _ = writeln!(text, "{not}{}{}", member.cidr, after(&member.comment));
            }
            text.push('\n');
        }
        if !self.rules.is_empty() {
            text.push_str("[RULES]\n\n");
            self.rules.iter().for_each(|rule| write_rule(&mut text, rule));
            text.push('\n');
        }
        for (name, group) in &self.groups {
            let _ = writeln!(text, "[group {name}]{}\n", after(&group.comment));
            group.rules.iter().for_each(|rule| write_rule(&mut text, rule));
            text.push('\n');
        }
        text
    }
}

fn after(comment: &Option<String>) -> String {
    comment.as_deref().map(|comment| format!(" # {comment}")).unwrap_or_default()
}

fn write_rule(text: &mut String, rule: &Rule) {
    let get = |key: &str| rule.get(key).map(String::as_str);
    if get("enable") == Some("0") {
        text.push('|');
    }
    let kind = get("type").unwrap_or("in").to_uppercase();
    let _ = write!(text, "{kind} ");
    match get("macro") {
        Some(name) => {
            let _ = write!(text, "{name}({})", get("action").unwrap_or_default());
        }
        None => text.push_str(get("action").unwrap_or_default()),
    }
    for (key, flag) in [
        ("iface", "i"),
        ("source", "source"),
        ("dest", "dest"),
        ("proto", "p"),
        ("dport", "dport"),
        ("sport", "sport"),
        ("log", "log"),
        ("icmp-type", "icmp-type"),
    ] {
        if let Some(value) = get(key) {
            let _ = write!(text, " -{flag} {value}");
        }
    }
    text.push_str(&after(&rule.get("comment").cloned()));
    text.push('\n');
}

/// The digest of a list or of one of its rows: of what the API shows of it.
pub fn shown_digest(shown: &impl std::fmt::Debug) -> String {
    digest(format!("{shown:?}").as_bytes())
}
