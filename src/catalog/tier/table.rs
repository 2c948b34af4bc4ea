//! The rows of `table.txt`, and of the file of each other product. A row that cannot be read is as if it were not there, so its call is destructive; a test
//! sees to it that there is none.

use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::value::{Error, StrDeserializer};

use super::Tier;
use crate::catalog::Method;
use crate::product::Product;

#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub method: Method,
    pub path: &'static str,
    pub tier: Tier,
    pub why: &'static str,
}

pub(super) const fn text(product: Product) -> &'static str {
    match product {
        Product::Pve => include_str!("table.txt"),
        Product::Backup => include_str!("backup.txt"),
        Product::Mail => include_str!("mail.txt"),
        Product::Datacenter => include_str!("datacenter.txt"),
    }
}

type Rows = LazyLock<Vec<Row>>;

static PVE: Rows = LazyLock::new(|| read(Product::Pve));
static BACKUP: Rows = LazyLock::new(|| read(Product::Backup));
static MAIL: Rows = LazyLock::new(|| read(Product::Mail));
static DATACENTER: Rows = LazyLock::new(|| read(Product::Datacenter));

fn read(product: Product) -> Vec<Row> {
    let mut rows: Vec<Row> = lines(text(product)).filter_map(row).collect();
    rows.sort_unstable_by_key(|row| (row.path, row.method));
    rows
}

/// In the order of path, then method.
pub fn rows(product: Product) -> &'static [Row] {
    match product {
        Product::Pve => &PVE,
        Product::Backup => &BACKUP,
        Product::Mail => &MAIL,
        Product::Datacenter => &DATACENTER,
    }
}

pub(super) fn find(product: Product, method: Method, path: &str) -> Option<&'static Row> {
    let rows = rows(product);
    let found = rows.binary_search_by_key(&(path, method), |row| (row.path, row.method));
    found.ok().map(|at| &rows[at])
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
