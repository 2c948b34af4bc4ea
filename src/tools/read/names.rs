//! Names of fields that nothing has: a misspelt one would otherwise look like a list in which nothing passes, or in no
//! order.
//!
//! PVE leaves out of a row what is not set, so a field that no row has may still be one. It is none where PVE declares
//! what the rows have and does not name it; where PVE declares nothing, only what is like a name that is there is taken
//! for a mistake.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::page::{PageError, View};
use super::rows::Selected;

/// Names that an error lists.
const MOST_NAMES: usize = 60;

/// What `view` names, and rows that are `declared` to have these fields need not have.
pub fn undeclared<'a>(view: &'a View, declared: &[&str]) -> Vec<&'a str> {
    let shown = view.fields.iter().map(String::as_str).filter(|name| *name != "*");
    let named = view.filter.fields().chain(view.by.iter().map(|by| by.field.as_str())).chain(shown);
    named.filter(|name| !is_declared(name, declared)).collect()
}

/// Judges those of them that no row had.
pub fn check(selected: &Selected, declared: &[&str]) -> Result<(), PageError> {
    for name in &selected.unseen {
        let parsed = selected.first.iter().filter_map(|row| serde_json::from_str(row).ok());
        unknown(
            name,
            parsed.flat_map(|row: Map<String, Value>| row.into_iter().map(|(name, _)| name)),
            declared,
        )?;
    }
    Ok(())
}

/// The same of an object.
pub fn check_object(view: &View, object: &Map<String, Value>, declared: &[&str]) -> Result<(), PageError> {
    let known = |name: &str| object.contains_key(name) || is_declared(name, declared);
    for name in view.fields.iter().filter(|name| !known(name)) {
        unknown(name, object.keys().cloned(), declared)?;
    }
    Ok(())
}

/// `net3` is of the family `net`.
fn is_declared(name: &str, declared: &[&str]) -> bool {
    let family = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    declared.contains(&name)
        || (!family.is_empty() && family.len() < name.len() && declared.contains(&family))
}

fn unknown(name: &str, there: impl Iterator<Item = String>, declared: &[&str]) -> Result<(), PageError> {
    let there: BTreeSet<String> = there.chain(declared.iter().map(|name| (*name).to_owned())).collect();
    let nearest = nearest(name, there.iter().map(String::as_str));
    if declared.is_empty() && nearest.is_none() {
        return Ok(());
    }
    let clean = |text: &str| crate::text::clean(text.as_bytes());
    let brief = |text: &str| crate::text::brief(text, 64);
    let there: Vec<&str> = there.iter().take(MOST_NAMES).map(String::as_str).collect();
    Err(PageError::NoSuchField {
        field: brief(name),
        nearest: nearest.map(|name| format!("; the nearest is \"{}\"", brief(name))).unwrap_or_default(),
        there: clean(&there.join(", ")),
    })
}

fn nearest<'a>(name: &str, there: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.8;
    let name = name.to_lowercase();
    let alike = there.map(|other| (strsim::jaro_winkler(&name, &other.to_lowercase()), other));
    alike
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::super::cutter::Marks;
    use super::super::filter::{Filter, Where};
    use super::super::rows::{By, Selection, Wanted};
    use super::*;

    const ROWS: &[&str] = &[r#"{"vmid":9,"netin":1}"#, r#"{"vmid":8,"maxmem":1}"#];

    fn said_of(rows: &[&str], view: View, declared: &[&str]) -> Option<String> {
        let named = undeclared(&view, declared);
        let wanted = Wanted {
            template: "/x",
            filter: &Filter::default(),
            by: &[],
            shows: None,
            most: 0,
            named: &named,
        };
        let mut selection = Selection::new(wanted);
        rows.iter().for_each(|row| selection.row(row, Marks::default()));
        check(&selection.finish().unwrap(), declared).err().map(|error| error.to_string())
    }

    fn said(view: View, declared: &[&str]) -> Option<String> {
        said_of(ROWS, view, declared)
    }

    fn filter(text: &str) -> View {
        View { filter: Filter::parse(&Where::Text(text.into())).unwrap(), ..View::default() }
    }

    fn sorted(field: &str) -> View {
        View { by: vec![By::parse(field)], ..View::default() }
    }

    fn shown(field: &str) -> View {
        View { fields: vec![field.into()], ..View::default() }
    }

    #[test]
    fn a_name_that_nothing_has_is_answered_with_the_nearest() {
        let declared = ["vmid", "status", "lock", "mem"];
        for view in [filter("stauts = x"), sorted("-stauts"), shown("stauts"), shown("Status")] {
            let said = said(view, &declared).unwrap();
            assert!(said.contains("the nearest is \"status\"") && said.contains("netin"), "{said}");
        }
        assert!(said(filter("memory > 1G"), &declared).unwrap().contains("nearest is \"mem\""));
        let far = said(shown("qqq"), &declared).unwrap();
        assert!(!far.contains("nearest") && far.contains("vmid"), "{far}");
    }

    #[test]
    fn what_a_row_may_have_is_no_mistake() {
        let declared = ["vmid", "lock", "net"];
        for name in ["lock", "vmid", "netin", "maxmem", "net3"] {
            for view in [filter(&format!("{name} = 1")), sorted(name), shown(name)] {
                assert_eq!(said(view, &declared), None, "{name}");
            }
        }
        // Where nothing is declared, what is not set is not told from what does not exist.
        assert_eq!(said(filter("lock = backup"), &[]), None);
        assert!(said(filter("vmdi = 9"), &[]).is_some());
        assert_eq!(said_of(&[], shown("anything"), &declared), None, "an empty list tells nothing");
    }
}
