//! The rows of `raises.txt`, and of the file of each other product: what an argument adds to the tier of the call that it is given to.

use std::net::IpAddr;
use std::sync::LazyLock;

use hyper::Uri;
use serde_json::{Map, Value};

use super::table::{cells, endpoint, lines, tier};
use super::{Ground, Tier};
use crate::catalog::{Method, list};
use crate::product::Product;

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
    NotFalse,
    Is(Vec<&'static str>),
    Path,
    Beyond(Vec<&'static str>),
    Lists(Vec<&'static str>),
    /// A property string whose property of the first name, its default key, is none of the others.
    Other(Vec<&'static str>),
    Private,
    /// Surely true: its tier stands in the place of what the call is without it.
    Instead,
}

pub(super) const fn text(product: Product) -> &'static str {
    match product {
        Product::Pve => include_str!("raises.txt"),
        Product::Backup => include_str!("raises-backup.txt"),
        Product::Mail => include_str!("raises-mail.txt"),
        Product::Datacenter => include_str!("raises-datacenter.txt"),
    }
}

type Raises = LazyLock<Vec<Raise>>;

static PVE: Raises = LazyLock::new(|| read(text(Product::Pve)).flatten().collect());
static BACKUP: Raises = LazyLock::new(|| read(text(Product::Backup)).flatten().collect());
static MAIL: Raises = LazyLock::new(|| read(text(Product::Mail)).flatten().collect());
static DATACENTER: Raises = LazyLock::new(|| read(text(Product::Datacenter)).flatten().collect());

fn raises(product: Product) -> &'static [Raise] {
    match product {
        Product::Pve => &PVE,
        Product::Backup => &BACKUP,
        Product::Mail => &MAIL,
        Product::Datacenter => &DATACENTER,
    }
}

fn rows_of(product: Product, method: Method, path: &str) -> impl Iterator<Item = &'static Raise> {
    raises(product)
        .iter()
        .filter(move |raise| raise.calls.iter().any(|call| call.0 == method && call.1 == path))
}

/// What a call is in place of what it is without its arguments: one that only tries what would be done.
pub(super) fn instead(
    product: Product,
    method: Method,
    path: &str,
    arguments: &Map<String, Value>,
) -> Option<Ground> {
    let says = |raise: &&Raise| {
        matches!(raise.when, When::Instead)
            && arguments.get(raise.parameter).is_some_and(|value| raise.when.holds(value))
    };
    let raise = rows_of(product, method, path).find(says)?;
    Some(Ground { tier: raise.tier, why: raise.why, argument: Some(raise.parameter) })
}

pub(super) fn grounds(
    product: Product,
    method: Method,
    path: &str,
    arguments: &Map<String, Value>,
) -> impl Iterator<Item = Ground> {
    let here = rows_of(product, method, path).filter(|raise| !matches!(raise.when, When::Instead));
    here.filter(move |raise| {
        let mut given = arguments.iter().filter(|(name, _)| names(raise.parameter, name));
        match raise.when {
            When::NotFalse => !given.any(|(_, value)| boolean(value) == Some(false)),
            _ => given.any(|(_, value)| raise.when.holds(value)),
        }
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
        ("not-false", true) => When::NotFalse,
        ("path", true) => When::Path,
        ("is", false) => When::Is(of),
        ("beyond", false) => When::Beyond(of),
        ("lists", false) => When::Lists(of),
        ("other", false) => When::Other(of),
        ("private", true) => When::Private,
        ("instead", true) => When::Instead,
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
            // Also where it is not given, which no value tells.
            When::NotFalse => boolean(value) != Some(false),
            // It takes a ground away: what is no clear yes is taken as a no.
            When::Instead => boolean(value) == Some(true),
            When::False => !value.is_null() && boolean(value) != Some(true),
            When::Private => texts(value).iter().any(|text| is_private(text)),
            When::Is(values) => texts(value).iter().any(|text| values.contains(&text.as_str())),
            When::Path => texts(value).iter().any(|text| text.split(',').any(is_path)),
            When::Beyond(known) => texts(value).iter().flat_map(|text| text.split(',')).any(|property| {
                let name = property.split('=').next().unwrap_or_default().trim();
                !name.is_empty() && !known.contains(&name)
            }),
            When::Other(known) => texts(value).iter().any(|text| is_other(text, known)),
            When::Lists(wanted) => texts(value)
                .iter()
                .any(|text| list(text).any(|name| wanted.iter().any(|wanted| names(wanted, name)))),
        }
    }
}

/// Of `["type", "offline"]`: whether `offline,message=x` or `type=offline` is anything else; also where it is neither.
fn is_other(text: &str, known: &[&str]) -> bool {
    let Some((key, known)) = known.split_first() else { return true };
    let of = |property: &'_ str| match property.split_once('=') {
        None => Some(property.trim().to_owned()),
        Some((name, value)) => (name.trim() == *key).then(|| value.trim().to_owned()),
    };
    let given: Vec<String> = text.split(',').filter_map(of).collect();
    given.is_empty() || given.iter().any(|given| !known.contains(&given.as_str()))
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

/// Whether a URL's host is the node itself or in its own network, as far as its name tells; what cannot be read is taken
/// to be.
fn is_private(url: &str) -> bool {
    let Some(host) = url.parse::<Uri>().ok().and_then(|url| url.host().map(str::to_owned)) else {
        return true;
    };
    let host = host.trim_matches(['[', ']']).trim_end_matches('.');
    match host.parse::<IpAddr>() {
        Ok(address) => match address.to_canonical() {
            IpAddr::V4(four) => {
                four.is_loopback() || four.is_private() || four.is_link_local() || four.is_unspecified()
            }
            IpAddr::V6(six) => {
                six.is_loopback()
                    || six.is_unique_local()
                    || six.is_unicast_link_local()
                    || six.is_unspecified()
            }
        },
        // A name without a dot is of the node's own domain; numbers are addresses in another writing.
        Err(_) => {
            !host.contains('.')
                || host.split('.').all(|part| part.starts_with(|first: char| first.is_ascii_digit()))
        }
    }
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
        // A property string that is given part by part.
        Value::Object(parts) => {
            let part = |(name, value): (&String, &Value)| {
                texts(value).into_iter().map(move |text| format!("{name}={text}")).collect::<Vec<_>>()
            };
            vec![parts.iter().flat_map(part).collect::<Vec<_>>().join(",")]
        }
        other => vec![other.to_string()],
    }
}
