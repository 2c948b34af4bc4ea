//! A plan as it is shown: to the model, to the person who approves it, and in its receipt. Secrets are withheld, hidden
//! characters are gone, and what is long is cut.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::blast::Hit;
use super::fields::{self, Effect};
use super::risk::Risk;
use super::undo::Way;
use super::{Draft, PlanId, risk};
use crate::catalog::tier::Tier;
use crate::policy::{Needs, approvers};
use crate::{secret, text};

/// Characters of one value.
const MOST_TEXT: usize = 2_000;
/// Entries of one list.
const MOST_ROWS: usize = 500;

#[derive(Debug, Serialize)]
pub struct View {
    pub plan_id: String,
    /// The exact call.
    pub request: Call,
    /// The calls that follow it in their order, each once the one before is done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<Call>,
    pub asked_by: String,
    pub observed: Map<String, Value>,
    pub effects: Vec<Value>,
    /// Why nothing would change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_op: Option<String>,
    pub blast_radius: Vec<Hit>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_seen: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    pub tier: &'static str,
    pub risk: Risk,
    pub undo: Undo,
    /// The snapshot that is taken first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// The receipt that this takes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undoes: Option<u64>,
    pub needs: Needed,
    /// RFC 3339.
    pub expires: String,
}

#[derive(Debug, Serialize)]
pub struct Call {
    pub method: &'static str,
    pub path: String,
    pub args: Value,
}

#[derive(Debug, Serialize)]
pub struct Undo {
    /// snapshot, captured_config, inverse_call or none
    pub kind: Way,
    pub why: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<Call>,
}

/// "nothing", or an approval, why, and by whom.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Needed {
    Nothing,
    Approval { because: Vec<String>, by: String },
}

pub fn view(draft: &Draft, id: PlanId, expires: String) -> View {
    let request = &draft.request;
    let template = request.template();
    let call = |method, template: &str, path: &str, args: &Map<String, Value>| Call {
        method,
        path: path.to_owned(),
        args: shown(template, Value::Object(args.clone())),
    };
    let undo = &draft.undo;
    View {
        plan_id: id.to_string(),
        request: call(request.method().name(), template, request.path(), &request.args),
        then: draft
            .then
            .iter()
            .map(|step| call(step.method().name(), step.template(), step.path(), &step.args))
            .collect(),
        asked_by: draft.asker.name.clone(),
        observed: observed(draft),
        effects: draft.effects.iter().take(MOST_ROWS).map(|effect| shown_effect(template, effect)).collect(),
        no_op: draft.no_op.clone(),
        blast_radius: draft.found.hits.iter().take(MOST_ROWS).map(clean_hit).collect(),
        not_seen: not_seen(draft),
        warnings: draft.warnings.iter().map(|warning| clean(warning)).collect(),
        tier: risk::name(tier(draft)),
        risk: draft.risk.clone(),
        undo: Undo {
            kind: undo.way,
            why: clean(&undo.why),
            lost: undo.lost.iter().map(|lost| clean(lost)).collect(),
            // Their own templates are not at hand: by the fields' names alone.
            call: undo
                .call
                .as_ref()
                .map(|inverse| call(inverse.method.name(), template, &inverse.path, &inverse.args)),
            then: undo
                .then
                .iter()
                .take(MOST_ROWS)
                .map(|inverse| call(inverse.method.name(), template, &inverse.path, &inverse.args))
                .collect(),
        },
        snapshot: draft.snapshot.clone(),
        undoes: draft.undoes,
        needs: needed(&draft.needs),
        expires,
    }
}

/// The gravest of all its calls: what an approval is asked for is what is shown.
fn tier(draft: &Draft) -> Tier {
    let all = std::iter::once(&draft.request).chain(&draft.then);
    all.map(|request| request.judgement.tier()).max().unwrap_or(Tier::Destructive)
}

fn needed(needs: &Needs) -> Needed {
    let Needs::Approval { because, self_approval, how } = needs else { return Needed::Nothing };
    Needed::Approval { because: because.clone(), by: approvers(*self_approval, how) }
}

fn not_seen(draft: &Draft) -> Vec<String> {
    let mut all: Vec<String> = draft.found.not_seen.iter().map(|text| clean(text)).collect();
    for (what, count) in [("effects", draft.effects.len()), ("objects that are hit", draft.found.hits.len())]
    {
        if count > MOST_ROWS {
            all.push(format!("{} more {what} are not listed", count - MOST_ROWS));
        }
    }
    all
}

fn observed(draft: &Draft) -> Map<String, Value> {
    let observed = &draft.observed;
    let mut shown = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            shown.insert(name.to_owned(), value);
        }
    };
    put("digest", observed.digest.clone().map(Value::from));
    if let Some(guest) = &observed.guest {
        put("guest", Some(guest.object().into()));
        put("name", (!guest.name.is_empty()).then(|| clean(&guest.name).into()));
        put("node", Some(guest.node.clone().into()));
        put("status", Some(guest.status.clone().into()));
        put("lock", guest.lock.clone().map(Value::from));
        put("ha", guest.ha.clone().map(Value::from));
    }
    shown
}

fn clean_hit(hit: &Hit) -> Hit {
    Hit { object: clean(&hit.object), severity: hit.severity, why: clean(&hit.why) }
}

fn clean(said: &str) -> String {
    let said = secret::cut(said).map_or_else(|| said.to_owned(), |(said, _)| said);
    cut(&text::revealed(&said).replace('\n', " "))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_TEXT) {
        Some((end, _)) => format!("{}… [{} bytes]", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

/// Any value as it may be shown, which the endpoint of `template` takes or gives.
pub fn shown(template: &str, mut value: Value) -> Value {
    secret::withhold(template, &mut value);
    // Nothing is left away: what is approved is what is sent.
    text::reveal_json(&mut value);
    shorten(&mut value);
    value
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => *text = cut(text),
        Value::Array(items) => {
            items.truncate(MOST_ROWS);
            items.iter_mut().for_each(shorten);
        }
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
    }
}

/// An effect, whose name says whether its values are secret.
pub fn shown_effect(template: &str, effect: &Effect) -> Value {
    let is_secret = effect.field.split('.').any(|name| secret::is_secret(template, name));
    let value = |value: &Option<Value>| match value {
        Some(_) if is_secret => secret::WITHHELD.into(),
        Some(value) => shown(template, value.clone()),
        None => Value::Null,
    };
    json!({ "field": clean(&effect.field), "before": value(&effect.before), "after": value(&effect.after) })
}

/// A few lines for who is asked to approve: the call, what changes, who is hit.
pub fn summary(draft: &Draft) -> Vec<String> {
    let request = &draft.request;
    let mut lines = vec![format!("{} {}", request.method(), request.path())];
    if !draft.then.is_empty() {
        lines.push(format!("and {} calls that follow it", draft.then.len()));
    }
    let effects = draft.effects.iter().take(3).map(|effect| {
        let shown = shown_effect(request.template(), effect);
        let text = |name: &str| shown.get(name).map(fields::text).filter(|text| !text.is_empty());
        let value =
            |name| text(name).map_or_else(|| "nothing".to_owned(), |text| text.chars().take(60).collect());
        format!("{}: {} -> {}", text("field").unwrap_or_default(), value("before"), value("after"))
    });
    lines.extend(effects);
    let hits = draft.found.hits.iter().take(3).map(clean_hit);
    lines.extend(hits.map(|hit| format!("{}: {}", hit.object, hit.why)));
    lines
}
