//! The rows of `table.txt`. A row that cannot be read is as if it were not there, so its call is destructive; a test
//! sees to it that there is none.

use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::value::{Error, StrDeserializer};

use super::Tier;
use crate::catalog::Method;

#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub method: Method,
    pub path: &'static str,
    pub tier: Tier,
    pub why: &'static str,
}

pub(super) const TEXT: &str = include_str!("table.txt");

/// In the order of path, then method.
static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let mut rows: Vec<Row> = lines(TEXT).filter_map(row).collect();
    rows.sort_unstable_by_key(|row| (row.path, row.method));
    rows
});

pub fn rows() -> &'static [Row] {
    &ROWS
}

pub(super) fn find(method: Method, path: &str) -> Option<&'static Row> {
    let found = ROWS.binary_search_by_key(&(path, method), |row| (row.path, row.method));
    found.ok().map(|at| &ROWS[at])
}

/// Without comments and empty lines.
pub(super) fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

pub(super) fn row(line: &'static str) -> Option<Row> {
    let [call, name, why] = cells(line)?;
    let (method, path) = endpoint(call)?;
    Some(Row { method, path, tier: tier(name)?, why })
}

pub(super) fn cells<const N: usize>(line: &'static str) -> Option<[&'static str; N]> {
    line.split('|').map(str::trim).collect::<Vec<_>>().try_into().ok()
}

pub(super) fn endpoint(call: &str) -> Option<(Method, &str)> {
    let (method, path) = call.trim().split_once(' ')?;
    Some((Method::deserialize(StrDeserializer::<Error>::new(method)).ok()?, path))
}

pub(super) fn tier(name: &str) -> Option<Tier> {
    Tier::deserialize(StrDeserializer::<Error>::new(name)).ok()
}
