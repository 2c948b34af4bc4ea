//! What a person is asked in the client's own dialog: the plan, in a few lines that no value in it can forge.
//!
//! Nothing of what the model says about it is here. What the call is given stands in quotes, as a value, on its own line.

use rmcp::model::{ElicitRequestParams, ElicitationSchema};
use serde_json::Value;

use crate::plan::Plan;
use crate::text::{clean, shortened};

/// What the person's yes is called in the form.
pub const APPROVE: &str = "approve";

const MOST_ROWS: usize = 12;
const MOST_VALUE: usize = 120;

pub fn question(plan: &Plan) -> Option<ElicitRequestParams> {
    form(text(plan))
}

/// A form with one thing to say yes to.
pub fn form(message: String) -> Option<ElicitRequestParams> {
    let title = "Yes, let this be done";
    let schema = ElicitationSchema::builder()
        .required_bool_property(APPROVE, |field| field.title(title).description("No answer is a no"))
        .build()
        .ok()?;
    Some(ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema: schema })
}

/// The plan for a person.
pub fn text(plan: &Plan) -> String {
    let shown = &plan.shown;
    let mut lines = vec![format!("Provost asks whether this may be done, for {}:", word(&plan.asker.name))];
    let call = |call: &Value| format!("  {} {}", plain(&call["method"]), plain(&call["path"]));
    lines.extend(shown.get("request").map(&call));
    section(&mut lines, "then", rows(shown.get("then")).iter().map(call).collect());
    let effects = rows(shown.get("effects")).iter().map(|effect| {
        format!("  {}: {} -> {}", plain(&effect["field"]), value(&effect["before"]), value(&effect["after"]))
    });
    section(&mut lines, "What changes:", effects.collect());
    let hits = rows(shown.get("blast_radius")).iter().map(|hit| {
        format!("  {} ({}): {}", plain(&hit["object"]), plain(&hit["severity"]), plain(&hit["why"]))
    });
    section(&mut lines, "Who is hit:", hits.collect());
    section(&mut lines, "Not looked at:", texts(shown.get("not_seen")));
    section(&mut lines, "Mind:", texts(shown.get("warnings")));
    if let Some(risk) = shown.get("risk") {
        section(&mut lines, &format!("Risk: {}", plain(&risk["level"])), texts(risk.get("reasons")));
    }
    if let Some(undo) = shown.get("undo") {
        lines.push(format!("Way back: {} ({})", plain(&undo["kind"]), plain(&undo["why"])));
        section(&mut lines, "Lost all the same:", texts(undo.get("lost")));
    }
    if let Some(name) = &plan.snapshot {
        lines.push(format!("A snapshot is taken first: {}", word(name)));
    }
    lines.push(format!("Plan {}, until {}", plan.id, plan.expires_at.strftime("%Y-%m-%d %H:%M:%S UTC")));
    lines.join("\n")
}

fn section(lines: &mut Vec<String>, title: &str, rows: Vec<String>) {
    if rows.is_empty() {
        return;
    }
    lines.push(title.to_owned());
    let more = rows.len().saturating_sub(MOST_ROWS);
    lines.extend(rows.into_iter().take(MOST_ROWS));
    if more > 0 {
        lines.push(format!("  and {more} more: provost plans shows all"));
    }
}

fn rows(list: Option<&Value>) -> &[Value] {
    list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn texts(list: Option<&Value>) -> Vec<String> {
    rows(list).iter().map(|row| format!("  {}", plain(row))).collect()
}

/// Our own words, and names: on one line.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), word)
}

fn word(text: &str) -> String {
    shortened(&clean(text.as_bytes()).replace('\n', " "), 2 * MOST_VALUE)
}

/// A value, in quotes where it is text: nothing in it begins a line or ends the quotes.
fn value(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => Value::from(shortened(&clean(text.as_bytes()), MOST_VALUE)).to_string(),
        other => shortened(&other.to_string(), MOST_VALUE),
    }
}
