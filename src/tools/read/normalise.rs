//! What a client wrote for a path, to what it means: a task, a path of the API, a change, or words.
//!
//! Models write paths as they saw them: whole URLs, `/api2/json` before them, `GET` before them, without the first slash or
//! with one at the end, volume ids and UPIDs as they stand in answers. It only takes off what cannot mean anything else,
//! and encodes what stands where only one name can stand; the catalogue judges what comes out, and refuses what could
//! mean another path to somebody else.

use percent_encoding::percent_decode_str;

use crate::catalog::Method;
use crate::product::Product;
use crate::pve::Upid;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    Task(Upid),
    /// It begins as a UPID does, and is none.
    NoTask(String),
    /// A path as the catalogue reads it: it begins with a slash, and each name is one segment.
    Path(String),
    /// Some other method on a path.
    Change(Method, String),
    Words(String),
}

/// Where PVE's tree begins. What begins so is a path without its slash.
const ROOTS: &[&str] = &["access", "cluster", "nodes", "pools", "storage", "version"];

/// Where those of the other products do beside. By themselves these are words.
const OTHER_ROOTS: &[&str] = &["admin", "pbs", "pve", "remotes", "resources", "tape"];

/// As PVE's own documentation and its web interface write their URLs.
const PREFIXES: &[&str] = &["/api2/json", "/api2/extjs"];

/// Behind these, all that is left is one name, which may have slashes in it: `*` is any one segment.
const WHOLE: &[&str] = &[
    "/pools",
    "/nodes/*/storage/*/content",
    "/cluster/firewall/ipset/*",
    "/nodes/*/lxc/*/firewall/ipset/*",
    "/nodes/*/qemu/*/firewall/ipset/*",
];

/// Behind it stands a UPID, which ends with a colon.
const TASKS: &str = "/nodes/*/tasks";

pub fn normalise(product: Product, given: &str) -> Asked {
    let given = given.trim();
    let given = ['`', '"', '\'']
        .iter()
        .find_map(|quote| given.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(given);
    if let Some(task) = task(product, given) {
        return Asked::Task(task);
    }
    let begins = given.get(..5).is_some_and(|begins| begins.eq_ignore_ascii_case("UPID:"));
    if begins && !given.contains(char::is_whitespace) {
        return Asked::NoTask(given.to_owned());
    }
    let given = given.strip_prefix("pvesh ").unwrap_or(given).trim_start();
    if let Some((word, rest)) = given.split_once(char::is_whitespace)
        && let Some(method) = Method::from_name(word)
        && let Some(path) = path(rest.trim())
    {
        return match method {
            Method::Get => Asked::Path(path),
            method => Asked::Change(method, path),
        };
    }
    match path(given) {
        Some(path) => Asked::Path(path),
        None => Asked::Words(given.to_owned()),
    }
}

/// A UPID, however it is encoded.
fn task(product: Product, given: &str) -> Option<Upid> {
    let decoded = percent_decode_str(given).decode_utf8().ok()?;
    Upid::of(product, &decoded).ok()
}

fn path(given: &str) -> Option<String> {
    let from_root = match in_url(given) {
        // Of something else than a node: that is no path here, and no words either.
        Some(behind) if !behind.starts_with("/api2/") => return Some(given.to_owned()),
        Some(behind) => behind,
        None => given,
    };
    let with_slash = match from_root.starts_with('/') {
        true => from_root.to_owned(),
        false => {
            let (first, more) = from_root.split_once('/').unwrap_or((from_root, ""));
            let begins = from_root.starts_with("api2/")
                || ROOTS.contains(&first)
                || !more.is_empty() && OTHER_ROOTS.contains(&first);
            if from_root.contains(char::is_whitespace) || !begins {
                return None;
            }
            format!("/{from_root}")
        }
    };
    let bare = PREFIXES
        .iter()
        .find_map(|prefix| with_slash.strip_prefix(prefix).filter(|rest| rest.starts_with('/')))
        .unwrap_or(&with_slash);
    // One at the end; what has two is nobody's path.
    let bare = bare.strip_suffix('/').filter(|rest| !rest.is_empty() && !rest.ends_with('/')).unwrap_or(bare);
    Some(whole(bare))
}

/// What stands behind the host of a URL. The node that answers is this one, whichever the URL names.
fn in_url(given: &str) -> Option<&str> {
    let rest = ["https://", "http://"].iter().find_map(|scheme| given.strip_prefix(scheme))?;
    Some(rest.find('/').map_or("", |at| &rest[at..]))
}

/// With a name that has slashes in it as the one segment that it is.
fn whole(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').collect();
    let behind = |pattern: &str| {
        let pattern: Vec<&str> = pattern.split('/').collect();
        let fits = |(wanted, segment): (&&str, &&str)| *wanted == "*" || wanted == segment;
        (segments.len() > pattern.len() && pattern.iter().zip(&segments).all(fits)).then_some(pattern.len())
    };
    if let Some(from) = WHOLE.iter().find_map(|pattern| behind(pattern)) {
        return one_segment(&segments, from, segments.len());
    }
    if let Some(from) = behind(TASKS).filter(|from| segments[*from].starts_with("UPID:"))
        && let Some(length) = segments[from..].iter().position(|segment| segment.ends_with(':'))
    {
        return one_segment(&segments, from, from + length + 1);
    }
    path.to_owned()
}

fn one_segment(segments: &[&str], from: usize, to: usize) -> String {
    let name = segments[from..to].join("%2F");
    let parts: Vec<&str> = segments[..from]
        .iter()
        .copied()
        .chain([name.as_str()])
        .chain(segments[to..].iter().copied())
        .collect();
    parts.join("/")
}

#[cfg(test)]
#[path = "normalise_tests.rs"]
mod tests;
