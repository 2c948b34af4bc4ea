//! What is shown of an answer: the rows and fields that were asked for, no secret, no control sequence, no more bytes
//! than the budget.

use std::collections::BTreeSet;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::columns::{self, Lean};
use super::filter::Filter;
use super::fit::{self, Cut};
use super::rows::{By, Keep, Selected, Wanted};
use crate::secret;
use crate::text::clean_json;
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
    #[error("PVE's answer is no JSON after all: {0}")]
    Json(#[from] serde_json::Error),
    #[error("no row has a field \"{field}\"; there are: {there}")]
    NoSuchField { field: String, there: String },
}

impl From<PageError> for Failure {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Json(_) => Self::new("pve_not_json", error.to_string(), "this is for the operator"),
            PageError::NoSuchField { .. } => {
                Self::new("no_such_field", error.to_string(), "correct the field's name and call again")
            }
        }
    }
}

/// What is to be shown of one endpoint's answer.
pub struct Plan<'a> {
    view: &'a View,
    /// The endpoint's path template.
    template: &'a str,
    /// The fields that its schema names.
    declared: &'a [&'a str],
    lean: Option<&'static Lean>,
    by: Vec<By>,
    /// Fields that the caller names and the schema does not.
    named: Vec<&'a str>,
}

impl<'a> Plan<'a> {
    pub fn new(view: &'a View, template: &'a str, declared: &'a [&'a str]) -> Self {
        let lean = columns::lean(template);
        let fields = view.fields.iter().map(String::as_str).filter(|name| *name != "*");
        let mut named: Vec<&str> =
            view.filter.fields().chain(fields).filter(|name| !declared.contains(name)).collect();
        named.dedup();
        Self { view, template, declared, lean, by: order(view, lean, declared), named }
    }

    /// What is wanted of a list; `keep` says which rows are there at all.
    pub fn wanted(&self, keep: Option<Keep<'a>>) -> Wanted<'_> {
        let most = self.view.offset.saturating_add(self.view.limit);
        Wanted { filter: &self.view.filter, by: &self.by, keep, most, named: &self.named }
    }
}

pub fn list(selected: &Selected, plan: &Plan) -> Result<Page, PageError> {
    let Plan { view, template, lean, .. } = *plan;
    let total = selected.total;
    // A misspelt field would otherwise look like a list in which nothing passes.
    if let Some(name) = selected.unseen.first()
        && (total == 0 || !view.fields.is_empty())
    {
        let mut there: BTreeSet<String> = plan.declared.iter().map(|name| (*name).to_owned()).collect();
        for row in &selected.first {
            if let Ok(object) = serde_json::from_str::<Map<String, Value>>(row) {
                there.extend(object.into_iter().map(|(name, _)| name));
            }
        }
        return Err(no_such_field(name, there.iter().map(String::as_str)));
    }
    let shown = shown(view, lean);
    let mut page = Page::empty(total);
    let (mut rows, mut more, mut used) = (Vec::new(), BTreeSet::new(), 2);
    for row in selected.rows.iter().skip(view.offset) {
        let mut value: Value = serde_json::from_str(row)?;
        if let (Value::Object(object), Some(shown)) = (&mut value, &shown) {
            object.retain(|name, _| {
                let keep = shown.contains(&name.as_str());
                if !keep && view.fields.is_empty() && more.len() < MOST_FIELDS {
                    more.insert(name.clone());
                }
                keep
            });
        }
        // Cleaned first: what hides inside a name would hide the name.
        clean_json(&mut value);
        let withheld = secret::withhold(template, &mut value);
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
    page.more_fields = more.into_iter().map(|name| crate::text::clean(name.as_bytes())).collect();
    page.data = Value::Array(rows);
    Ok(page)
}

/// Of what is no list.
pub fn one(data: &RawValue, plan: &Plan) -> Result<Page, PageError> {
    let Plan { view, template, declared, .. } = *plan;
    let mut value: Value = serde_json::from_str(data.get())?;
    let mut page = Page { total: None, ..Page::empty(0) };
    if let Value::Object(object) = &mut value
        && !view.fields.is_empty()
        && !view.fields.iter().any(|name| name == "*")
    {
        // What is declared and not there is not set: PVE leaves it out.
        let known = |name: &String| object.contains_key(name) || declared.contains(&name.as_str());
        if let Some(field) = view.fields.iter().find(|name| !known(name)) {
            return Err(no_such_field(field, object.keys().map(String::as_str)));
        }
        object.retain(|name, _| view.fields.contains(name));
    }
    clean_json(&mut value);
    page.withheld = secret::withhold(template, &mut value);
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
fn order(view: &View, lean: Option<&Lean>, declared: &[&str]) -> Vec<By> {
    let mut by = view.by.clone();
    let key = lean
        .map(|lean| lean.key)
        .or_else(|| columns::KEYS.iter().copied().find(|key| declared.contains(key)));
    if let Some(key) = key.map(By::parse)
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

fn no_such_field<'a>(field: &str, there: impl Iterator<Item = &'a str>) -> PageError {
    let there: Vec<&str> = there.take(MOST_FIELDS).collect();
    let clean = |text: &str| crate::text::clean(text.as_bytes());
    PageError::NoSuchField { field: clean(field), there: clean(&there.join(", ")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::filter::Where;
    use super::super::rows::Selection;
    use super::*;

    const QEMU: &str = "/nodes/{node}/qemu";

    fn see(data: &Value, view: &View, template: &str) -> Page {
        page(data, view, template, &["vmid", "name", "status", "lock"]).unwrap()
    }

    fn page(data: &Value, view: &View, template: &str, declared: &[&str]) -> Result<Page, PageError> {
        let plan = Plan::new(view, template, declared);
        let Value::Array(rows) = data else {
            return one(&serde_json::value::to_raw_value(data).unwrap(), &plan);
        };
        let mut selection = Selection::new(plan.wanted(None));
        rows.iter().for_each(|row| selection.row(&row.to_string(), false));
        list(&selection.finish().unwrap(), &plan)
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
