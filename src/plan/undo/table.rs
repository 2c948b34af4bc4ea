//! The rows of `table.txt`, and of `backup.txt` for a Backup Server.

use std::sync::LazyLock;

use crate::product::Product;

/// A way back, as the table writes it, `{kind}` written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// `DELETE /pools/{poolid}`
    pub endpoint: String,
    pub way: Written,
    pub why: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    Call {
        method: String,
        path: String,
        args: Vec<(String, String)>,
    },
    Recreate {
        method: String,
        path: String,
    },
    /// The name, and what follows it.
    By(String),
    Snapshot,
    None,
}

const TEXT: &str = include_str!("table.txt");
const BACKUP: &str = include_str!("backup.txt");

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| read(TEXT));
static ROWS_OF_BACKUP: LazyLock<Vec<Row>> = LazyLock::new(|| read(BACKUP));

/// Of a Mail Gateway and a Datacenter Manager there are none: there the shape of a call is all that tells.
pub fn rows(product: Product) -> &'static [Row] {
    match product {
        Product::Pve => &ROWS,
        Product::Backup => &ROWS_OF_BACKUP,
        Product::Mail | Product::Datacenter => &[],
    }
}

pub fn find(product: Product, endpoint: &str) -> Option<&'static Row> {
    rows(product).iter().find(|row| row.endpoint == endpoint)
}

fn read(text: &'static str) -> Vec<Row> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.flat_map(row).collect()
}

fn row(line: &'static str) -> Vec<Row> {
    // A name may hold a bar: `{target|node}`.
    let cells: Vec<&'static str> = line.split(" | ").map(str::trim).collect();
    let [call, way, why] = cells[..] else { return Vec::new() };
    let kinds: &[&str] = if call.contains("{kind}") { &["lxc", "qemu"] } else { &[""] };
    let row = |kind: &&str| {
        let way = way.replace("{kind}", kind);
        Some(Row { endpoint: call.replace("{kind}", kind), way: written(&way)?, why })
    };
    kinds.iter().filter_map(row).collect()
}

fn written(text: &str) -> Option<Written> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(match word {
        "call" => {
            let (method, path) = (words.next()?, words.next()?);
            let pair =
                |word: String| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
            Written::Call { method, path, args: words.map(pair).collect::<Option<_>>()? }
        }
        "recreate" => Written::Recreate { method: words.next()?, path: words.next()? },
        "by" => Written::By(rest.to_owned()),
        "snapshot" => Written::Snapshot,
        "none" => Written::None,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Method, Release};

    #[test]
    fn each_line_is_read_and_names_endpoints_that_there_are() {
        let lines = TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            assert!(!row(line).is_empty(), "{line}");
        }
        let catalogs = Release::ALL.map(Catalog::embedded);
        let is = |method: &str, path: &str| {
            let method = Method::from_name(method).unwrap();
            catalogs.iter().any(|catalog| catalog.template(method, path).is_some())
        };
        let mut seen = std::collections::BTreeSet::new();
        for row in rows(Product::Pve) {
            let (method, path) = row.endpoint.split_once(' ').unwrap();
            assert!(is(method, path), "{}", row.endpoint);
            assert!(seen.insert(&row.endpoint), "twice: {}", row.endpoint);
            if let Written::Recreate { method, path } = &row.way {
                assert!(is(method, path), "{}: {path}", row.endpoint);
            }
        }
    }

    #[test]
    fn each_line_of_a_backup_server_is_read_and_names_a_call_that_there_is() {
        for line in BACKUP.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            assert!(!row(line).is_empty(), "{line}");
        }
        let catalog = Catalog::built_in(crate::catalog::Edition::of(Product::Backup));
        let is =
            |method: &str, path: &str| catalog.template(Method::from_name(method).unwrap(), path).is_some();
        for row in rows(Product::Backup) {
            let (method, path) = row.endpoint.split_once(' ').unwrap();
            assert!(is(method, path), "{}", row.endpoint);
            match &row.way {
                Written::Recreate { method, path } | Written::Call { method, path, .. } => {
                    assert!(is(method, path), "{}: {path}", row.endpoint);
                }
                Written::By(_) | Written::Snapshot | Written::None => {}
            }
        }
    }
}
