//! What a role that has only some of the guests may have changed: the rows of `scoped.txt`, and calls that are on a guest.
//!
//! It errs on the side of no: what belongs to everybody's guests is closed, and so is what a newer PVE brings.

use std::sync::LazyLock;

use super::Wanted;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Guests,
    Nothing,
}

const TEXT: &str = include_str!("scoped.txt");

static ROWS: LazyLock<Vec<(&'static str, By)>> = LazyLock::new(|| {
    let lines = TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(row).collect()
});

fn row(line: &'static str) -> Option<(&'static str, By)> {
    let mut cells = line.split('|').map(str::trim);
    let (call, by, why) = (cells.next()?, cells.next()?, cells.next()?);
    let by = match by {
        "guests" => By::Guests,
        "free" => By::Nothing,
        _ => return None,
    };
    (!why.is_empty()).then_some((call, by))
}

/// Whether such a role may have it, given that every guest in `wanted.guests` is the role's. Its guests are this node's and
/// its cluster's: a number that a Datacenter Manager knows is that of any guest of any remote.
pub(super) fn is_open(wanted: &Wanted<'_>) -> bool {
    if !wanted.judgement.product().has_guests() {
        return false;
    }
    let call = wanted.call();
    let by = match wanted.template.contains("/{vmid}") {
        true => Some(By::Guests),
        false => ROWS.iter().find(|(row, _)| *row == call).map(|(_, by)| *by),
    };
    match by {
        Some(By::Guests) => !wanted.guests.is_empty(),
        Some(By::Nothing) => true,
        None => false,
    }
}

/// Whether such a role may have it for some guests at least.
pub(super) fn could_be_open(method: &str, template: &str) -> bool {
    let call = format!("{method} {template}");
    template.contains("/{vmid}") || ROWS.iter().any(|(row, _)| *row == call)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Method, Release};

    #[test]
    fn each_line_is_read_and_names_a_change_of_some_release() {
        let catalogs = Release::ALL.map(Catalog::embedded);
        for line in TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (call, _) = row(line).unwrap_or_else(|| panic!("{line}"));
            let (method, path) = call.split_once(' ').unwrap();
            let method = Method::from_name(method).unwrap();
            assert_ne!(method, Method::Get);
            assert!(catalogs.iter().any(|catalog| catalog.template(method, path).is_some()), "{line}");
        }
    }
}
