//! The rows of `raises.txt`: what an argument adds to the tier of the call that it is given to.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::table::{cells, endpoint, lines, tier};
use super::{Ground, Tier};
use crate::catalog::Method;

#[derive(Debug)]
pub(super) struct Raise {
    /// Parameters' paths in braces; `{kind}` is written out.
    pub calls: Vec<(Method, String)>,
    pub parameter: &'static str,
    pub when: When,
    pub tier: Tier,
    pub why: &'static str,
}

#[derive(Debug)]
pub(super) enum When {
    Given,
    True,
    False,
    Is(Vec<&'static str>),
    Path,
    Beyond(Vec<&'static str>),
    Lists(Vec<&'static str>),
}

pub(super) const TEXT: &str = include_str!("raises.txt");

static RAISES: LazyLock<Vec<Raise>> = LazyLock::new(|| read(TEXT).flatten().collect());

pub(super) fn grounds(
    method: Method,
    path: &str,
    arguments: &Map<String, Value>,
) -> impl Iterator<Item = Ground> {
    let here =
        RAISES.iter().filter(move |raise| raise.calls.iter().any(|call| call.0 == method && call.1 == path));
    here.filter(move |raise| {
        arguments.iter().any(|(name, value)| names(raise.parameter, name) && raise.when.holds(value))
    })
    .map(|raise| Ground { tier: raise.tier, why: raise.why, argument: Some(raise.parameter) })
}

/// Each row, or the line that is none.
pub(super) fn read(text: &'static str) -> impl Iterator<Item = Result<Raise, &'static str>> {
    let mut calls = Vec::new();
    lines(text).filter_map(move |line| match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
        Some(section) => {
            calls = section.split(';').flat_map(both_kinds).collect();
            None
        }
        None => Some(row(line, &calls).ok_or(line)),
    })
}

fn both_kinds(call: &str) -> Vec<(Method, String)> {
    let Some((method, path)) = endpoint(call) else { return Vec::new() };
    match path.contains("{kind}") {
        true => ["lxc", "qemu"].map(|kind| (method, path.replace("{kind}", kind))).to_vec(),
        false => vec![(method, path.to_owned())],
    }
}

fn row(line: &'static str, calls: &[(Method, String)]) -> Option<Raise> {
    let [parameter, when, name, why] = cells(line)?;
    let (word, rest) = when.split_once(' ').unwrap_or((when, ""));
    let of: Vec<&str> = rest.split_whitespace().collect();
    let when = match (word, of.is_empty()) {
        ("given", true) => When::Given,
        ("true", true) => When::True,
        ("false", true) => When::False,
        ("path", true) => When::Path,
        ("is", false) => When::Is(of),
        ("beyond", false) => When::Beyond(of),
        ("lists", false) => When::Lists(of),
        _ => return None,
    };
    Some(Raise { calls: calls.to_vec(), parameter, when, tier: tier(name)?, why })
}

/// Whether `name` is `parameter`, or a member of the family `parameter[n]`.
fn names(parameter: &str, name: &str) -> bool {
    match parameter.strip_suffix("[n]") {
        None => parameter == name,
        Some(family) => name
            .strip_prefix(family)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())),
    }
}

impl When {
    fn holds(&self, value: &Value) -> bool {
        match self {
            When::Given => !value.is_null(),
            // What is no clear no is taken as a yes, and the other way round: PVE may read it either way.
            When::True => !value.is_null() && boolean(value) != Some(false),
            When::False => !value.is_null() && boolean(value) != Some(true),
            When::Is(values) => texts(value).iter().any(|text| values.contains(&text.as_str())),
            When::Path => texts(value).iter().any(|text| text.split(',').any(is_path)),
            When::Beyond(known) => texts(value).iter().flat_map(|text| text.split(',')).any(|property| {
                let name = property.split('=').next().unwrap_or_default().trim();
                !name.is_empty() && !known.contains(&name)
            }),
            When::Lists(wanted) => texts(value).iter().any(|text| {
                // As PVE splits its lists.
                let listed = text.split([',', ';', ' ', '\t', '\n', '\0']).filter(|name| !name.is_empty());
                listed.into_iter().any(|name| wanted.iter().any(|wanted| names(wanted, name)))
            }),
        }
    }
}

/// A property that names a volume: bare, or by one of the keys that PVE has for it.
fn is_path(property: &str) -> bool {
    let value = match property.split_once('=') {
        None => property,
        Some((key, value)) if ["volume", "file", "import-from"].contains(&key.trim()) => value,
        Some(_) => return false,
    };
    let value = value.trim();
    // "-" is the standard input, which nobody here has anything good to do with.
    value.starts_with('/') || value == "-"
}

fn boolean(value: &Value) -> Option<bool> {
    let text = match value {
        Value::Bool(value) => return Some(*value),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.to_ascii_lowercase(),
        _ => return None,
    };
    match text.as_str() {
        "1" | "on" | "yes" | "true" => Some(true),
        "0" | "off" | "no" | "false" => Some(false),
        _ => None,
    }
}

/// A value as PVE would see it: its text, or each item's.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        other => vec![other.to_string()],
    }
}
