//! What is shown of an answer: the rows and fields that were asked for, no secret, no control sequence, no more bytes
//! than the budget.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::value::RawValue;

use super::columns::{self, Lean};
use super::filter::Filter;
use super::fit::{self, Cut};
use super::lean;
use super::names;
use super::rows::{By, Selected, Shows, Wanted};
use super::veil;
use crate::secret;
use crate::tools::answer::Failure;

/// Bytes of `data` in one answer, as JSON. Clients get it twice, as text and as structured content.
pub const BUDGET: usize = 24 * 1024;
/// Bytes that one row may take of it, so that one log line does not hide a hundred others.
const ROW: usize = 4 * 1024;
/// Names of further fields that an answer lists.
const MOST_FIELDS: usize = 60;

/// How the caller wants to see it.
#[derive(Debug, Default)]
pub struct View {
    pub filter: Filter,
    /// Empty: by the list's own key.
    pub by: Vec<By>,
    /// Empty: what matters, by the table; `*`: all.
    pub fields: Vec<String>,
    /// Rows to leave out at the start.
    pub offset: usize,
    pub limit: usize,
}

#[derive(Debug)]
pub struct Page {
    pub data: Value,
    /// Rows that pass the filter, on all pages. None: the answer is no list.
    pub total: Option<usize>,
    /// The first row of the next page.
    pub next: Option<usize>,
    /// Fields of these rows that are not shown.
    pub more_fields: Vec<String>,
    pub cut: Vec<Cut>,
    pub withheld: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum PageError {
    #[error("PVE's answer is not what it should be: {}", crate::pve::misfit(.0))]
    Json(#[from] serde_json::Error),
    #[error("nothing here has a field \"{field}\"{nearest}; there are: {there}")]
    NoSuchField { field: String, nearest: String, there: String },
    #[error("{what}: \"{field}\" is secret here, and neither shown nor compared")]
    Secret { what: &'static str, field: String },
    #[error("{0}")]
    Misfit(String),
}

impl From<PageError> for Failure {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Json(_) => Self::new("pve_not_json", error.to_string(), "this is for the operator"),
            PageError::NoSuchField { .. } => {
                Self::new("no_such_field", error.to_string(), "correct the field's name and call again")
            }
            PageError::Misfit(_) => {
                Self::new("arguments", error.to_string(), "correct the argument and call again")
            }
            PageError::Secret { .. } => {
                Self::new("secret_field", error.to_string(), "leave it out and call again")
            }
        }
    }
}

/// What is to be shown of one endpoint's answer.
pub struct Plan<'a> {
    view: &'a View,
    /// The endpoint's path template.
    template: &'a str,
    /// The fields that its schema names, and those that its rows have anyway.
    declared: Vec<&'a str>,
    lean: Option<&'static Lean>,
    by: Vec<By>,
    /// Fields that the caller names and the schema does not.
    named: Vec<&'a str>,
}

impl<'a> Plan<'a> {
    /// Refuses a view that names what is secret.
    pub fn new(view: &'a View, template: &'a str, declared: &[&'a str]) -> Result<Self, PageError> {
        veil::refuse(view, template)?;
        let lean = columns::lean(template);
        let by = order(view, lean, declared, template);
        let known = [declared, lean.map_or(&[][..], |lean| lean.columns)].concat();
        let named = names::undeclared(view, &known);
        Ok(Self { view, template, declared: known, lean, by, named })
    }

    /// What is wanted of a list; `shows` says which rows are there at all.
    pub fn wanted<'b>(&'b self, shows: Option<&'b dyn Shows>) -> Wanted<'b> {
        let most = self.view.offset.saturating_add(self.view.limit);
        let (template, filter) = (self.template, &self.view.filter);
        Wanted { template, filter, by: &self.by, shows, most, named: &self.named }
    }
}

pub fn list(selected: &Selected, plan: &Plan) -> Result<Page, PageError> {
    let Plan { view, template, lean, .. } = *plan;
    let total = selected.total;
    names::check(selected, &plan.declared)?;
    if let Some(misfit) = &selected.misfit {
        return Err(PageError::Misfit(misfit.clone()));
    }
    let shown = shown(view, lean);
    let mut page = Page::empty(total);
    let (mut rows, mut more, mut used) = (Vec::new(), BTreeSet::new(), 2);
    for row in selected.rows.iter().skip(view.offset) {
        let mut value = match &shown {
            Some(shown) => lean::parse(row, template, shown, &mut |name| {
                if view.fields.is_empty() && more.len() < MOST_FIELDS && !more.contains(name) {
                    more.insert(name.to_owned());
                }
            })?,
            None => {
                let mut value = serde_json::from_str(row)?;
                veil::hide(template, &mut value);
                value
            }
        };
        let withheld = veil::count(&value);
        let cut = fit::fit(&mut value, ROW, &format!("/{}", rows.len()));
        let size = fit::size(&value) + 1;
        if used + size > BUDGET && !rows.is_empty() {
            break;
        }
        used += size;
        page.withheld += withheld;
        page.cut.extend(cut);
        rows.push(value);
    }
    let end = view.offset + rows.len();
    page.next = (end < total && !rows.is_empty()).then_some(end);
    page.more_fields = more.into_iter().collect();
    page.data = Value::Array(rows);
    Ok(page)
}

/// Of what is no list.
pub fn one(data: &RawValue, plan: &Plan) -> Result<Page, PageError> {
    let Plan { view, template, .. } = *plan;
    let mut value: Value = serde_json::from_str(data.get())?;
    let mut page = Page { total: None, ..Page::empty(0) };
    veil::hide(template, &mut value);
    if let Value::Object(object) = &mut value
        && !view.fields.is_empty()
        && !view.fields.iter().any(|name| name == "*")
    {
        names::check_object(view, object, &plan.declared)?;
        object.retain(|name, _| view.fields.contains(name));
    }
    page.withheld = veil::count(&value);
    page.cut = fit::fit(&mut value, BUDGET, "");
    page.data = value;
    Ok(page)
}

impl Page {
    fn empty(total: usize) -> Self {
        Self {
            data: Value::Array(Vec::new()),
            total: Some(total),
            next: None,
            more_fields: Vec::new(),
            cut: Vec::new(),
            withheld: 0,
        }
    }
}

/// PVE keeps its rows in hash tables and gives them in another order each time, so that pages of them would overlap:
/// there is always an order.
fn order(view: &View, lean: Option<&Lean>, declared: &[&str], template: &str) -> Vec<By> {
    let mut by = view.by.clone();
    let key = lean
        .map(|lean| lean.key)
        .or_else(|| columns::KEYS.iter().copied().find(|key| declared.contains(key)));
    if let Some(key) = key.map(By::parse)
        && !secret::is_secret(template, &key.field)
        && !by.iter().any(|by| by.field == key.field)
    {
        by.push(key);
    }
    by
}

/// The columns to keep, or all.
fn shown<'a>(view: &'a View, lean: Option<&Lean>) -> Option<Vec<&'a str>> {
    if view.fields.iter().any(|name| name == "*") {
        return None;
    }
    match lean {
        _ if !view.fields.is_empty() => Some(view.fields.iter().map(String::as_str).collect()),
        Some(lean) if !lean.columns.is_empty() => Some(lean.columns.to_vec()),
        _ => None,
    }
}

/// All of it, of an answer's `data`: once as it comes from a parser, and once as it comes in pieces.
#[cfg(test)]
pub fn page(data: &Value, view: &View, template: &str, declared: &[&str]) -> Result<Page, PageError> {
    use super::cutter::{Cutter, Marks};
    use super::rows::Selection;
    let plan = Plan::new(view, template, declared)?;
    let Value::Array(rows) = data else {
        return one(&serde_json::value::to_raw_value(data).unwrap(), &plan);
    };
    let mut selection = Selection::new(plan.wanted(None));
    rows.iter().for_each(|row| selection.row(&row.to_string(), Marks { flat: false, key: true }));
    let parsed = list(&selection.finish().unwrap(), &plan);
    let room = crate::pve::Room::new(crate::share::Supply::halves(1 << 30), 1, 1 << 28);
    let (mut selection, mut cutter) = (Selection::new(plan.wanted(None)), Cutter::new(&room));
    for piece in serde_json::json!({ "data": data }).to_string().as_bytes().chunks(1000) {
        cutter.take(piece, &mut |row, marks| selection.row(row, marks)).unwrap();
    }
    assert!(cutter.finish(&mut |row, marks| selection.row(row, marks)).is_ok());
    let pieces = list(&selection.finish().unwrap(), &plan);
    assert_eq!(format!("{pieces:?}"), format!("{parsed:?}"));
    parsed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::filter::Where;
    use super::*;

    const QEMU: &str = "/nodes/{node}/qemu";

    fn see(data: &Value, view: &View, template: &str) -> Page {
        page(data, view, template, &["vmid", "name", "status", "lock"]).unwrap()
    }

    fn view(limit: usize) -> View {
        View { limit, ..View::default() }
    }

    fn filter(text: &str) -> Filter {
        Filter::parse(&Where::Text(text.into())).unwrap()
    }

    #[test]
    fn a_list_comes_lean_in_order_and_with_its_total() {
        let data = json!([{ "vmid": 9, "netin": 1, "name": "b" }, { "vmid": 8, "diskread": 2, "name": "a" }]);
        let page = see(&data, &view(1), QEMU);
        assert_eq!(page.data, json!([{ "vmid": 8, "name": "a" }]));
        assert_eq!((page.total, page.next), (Some(2), Some(1)));
        assert_eq!(page.more_fields, ["diskread"]);
        let last = see(&data, &View { offset: 1, ..view(5) }, QEMU);
        assert_eq!(last.data, json!([{ "vmid": 9, "name": "b" }]));
        assert_eq!((last.total, last.next), (Some(2), None));
    }

    #[test]
    fn fields_say_what_is_shown() {
        let data = json!([{ "vmid": 9, "netin": 1 }]);
        let named = View { fields: vec!["netin".into()], ..view(9) };
        assert_eq!(see(&data, &named, QEMU).data, json!([{ "netin": 1 }]));
        let all = View { fields: vec!["*".into()], ..view(9) };
        assert_eq!(see(&data, &all, QEMU).data, data);
        let object = json!({ "vmid": 9, "netin": 1 });
        assert_eq!(see(&object, &named, "/x").data, json!({ "netin": 1 }));
    }

    #[test]
    fn a_misspelt_field_is_no_empty_list() {
        let data = json!([{ "vmid": 9, "netin": 1 }]);
        for view in [
            View { filter: filter("stauts = x"), ..view(9) },
            View { fields: vec!["vmidd".into()], ..view(9) },
        ] {
            let error = page(&data, &view, QEMU, &["vmid", "status"]).unwrap_err().to_string();
            assert!(error.contains("netin") && error.contains("status"), "{error}");
        }
        // Declared, and no row has it: nothing passes, and that is the answer.
        assert_eq!(
            see(&json!([{ "vmid": 9 }]), &View { filter: filter("lock = x"), ..view(9) }, QEMU).total,
            Some(0)
        );
    }

    #[test]
    fn an_answer_stays_within_its_budget_and_pages_reach_every_row() {
        let data: Value = (0..5_000).map(|id| json!({ "vmid": id, "name": "n".repeat(50) })).collect();
        let (mut seen, mut offset) = (0, 0);
        loop {
            let page = see(&data, &View { offset, ..view(1_000) }, QEMU);
            assert!(fit::size(&page.data) <= BUDGET);
            assert_eq!(page.data[0]["vmid"], offset);
            seen += page.data.as_array().unwrap().len();
            match page.next {
                Some(next) => offset = next,
                None => break,
            }
        }
        assert_eq!(seen, 5_000);
        let huge = see(&json!([{ "vmid": 1, "name": "x".repeat(1 << 20) }, { "vmid": 2 }]), &view(9), QEMU);
        assert_eq!(huge.data.as_array().unwrap().len(), 2);
        assert_eq!(huge.cut[0].at, "/0/name");
    }

    #[test]
    fn nothing_secret_and_nothing_that_a_terminal_obeys_is_shown() {
        let data =
            json!([{ "vmid": 1, "cipassword": "hunter2", "name": "\u{1b}[31mred\u{202e}", "x\u{1b}[0m": 1 }]);
        let page = see(&data, &View { fields: vec!["*".into()], ..view(9) }, QEMU);
        assert_eq!(page.data, json!([{ "vmid": 1, "cipassword": secret::WITHHELD, "name": "red", "x": 1 }]));
        assert_eq!(page.withheld, 1);
    }
}
