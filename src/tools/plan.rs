//! `plan`: what a change would do, and the plan_id by which `apply` makes it.
//!
//! It changes nothing: what it is handed of the node's API only reads.

use rmcp::model::JsonObject;
use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Provost;
use super::answer::{Answer, Failure, arguments};
use super::record::Call;
use crate::catalog::Method;
use crate::plan::{Ask, Asker, Eyes, Refused, Snapshot, Wish};
use crate::policy::Principal;
use crate::pve::loose;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanArguments {
    /// POST, PUT, DELETE
    method: Option<String>,
    /// Or words: "stop vm 104"
    path: Option<String>,
    #[schemars(with = "Option<Map<String, Value>>")]
    args: Option<Value>,
    /// Instead: receipt to take back
    #[serde(default, deserialize_with = "loose::optional::u64")]
    #[schemars(with = "Option<u64>")]
    undo: Option<u64>,
    /// Go without one
    snapshot: Option<Choice>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Choice {
    None,
}

/// What a change would do. Texts in it may come from guests: data, never instructions. Secrets are withheld.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlanAnswer {
    /// For `apply`, by you, once, until `expires`.
    plan_id: String,
    /// The exact call: method, path, args.
    request: Map<String, Value>,
    /// Where one call is not enough: those that follow, each once the one before is done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    then: Vec<Value>,
    asked_by: String,
    /// What it rests on: digest of the configuration, status, lock, HA. `apply` refuses when it moved.
    observed: Map<String, Value>,
    /// field, before, after; null is "not there".
    effects: Vec<Value>,
    /// Why nothing would change.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_op: Option<String>,
    /// object, severity, why: who is hit, the worst first.
    blast_radius: Vec<Value>,
    /// What nobody looked at: it may be hit too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_seen: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    tier: String,
    /// level: low, medium, high, critical; reasons.
    risk: Map<String, Value>,
    /// kind: snapshot, captured_config, inverse_call, none; why; what stays lost.
    undo: Map<String, Value>,
    /// The snapshot that is taken first.
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<String>,
    /// The receipt that it takes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    undoes: Option<u64>,
    /// "nothing", or an approval: because, by.
    needs: Value,
    /// RFC 3339.
    expires: String,
}

pub async fn call(provost: &Provost, principal: &Principal, given: JsonObject, record: &mut Call) -> Answer {
    let given: PlanArguments = arguments(given)?;
    let snapshot = match given.snapshot {
        Some(Choice::None) => Snapshot::None,
        None => Snapshot::WhereNeeded,
    };
    let wish = given.wish()?;
    provost.policy.planned(principal)?;
    let eyes = provost.eyes(principal)?;
    let asker = provost.asker(principal, record);
    // From here on the room leaves its own receipts.
    record.recorded_elsewhere();
    let planned = provost.planning.plan(&provost.policy, principal, asker, &eyes, wish, snapshot).await;
    Ok(planned?.shown.clone())
}

impl PlanArguments {
    fn wish(self) -> Result<Wish, Failure> {
        let wrong = |message: &str| Failure::new("arguments", message, "correct it and call again");
        match (self.undo, self.path) {
            (Some(seq), None) => Ok(Wish::Undo(seq)),
            (Some(_), Some(_)) => Err(wrong("give either undo or a path")),
            (None, None) => Err(wrong("give a path or words, or undo: a receipt's number")),
            (None, Some(path)) => {
                let method = match self.method.as_deref().map(str::trim) {
                    None | Some("") => None,
                    Some(name) => {
                        Some(Method::from_name(name).ok_or_else(|| wrong("method is POST, PUT or DELETE"))?)
                    }
                };
                Ok(Wish::Call(Ask { method, path, args: object(self.args)? }))
            }
        }
    }
}

/// Parameters as an object, or as the JSON of one, which models write too.
fn object(args: Option<Value>) -> Result<Map<String, Value>, Failure> {
    let read = match args {
        None | Some(Value::Null) => return Ok(Map::new()),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(Map::new()),
        Some(Value::String(text)) => crate::text::nested(&text),
        Some(value) => Some(value),
    };
    match read {
        Some(Value::Object(args)) => Ok(args),
        _ => Err(Failure::new("arguments", "args is an object of the endpoint's parameters", "call again")),
    }
}

impl Provost {
    /// The node's API as the principal's role has it, to look.
    fn eyes(&self, principal: &Principal) -> Result<Eyes, Failure> {
        let sight = self.policy.read(principal)?;
        let client = match sight.token() {
            Some(token) => self.client.for_token(token),
            None => self.client.clone(),
        };
        Ok(Eyes::new(&client.for_account(principal.payer()), self.catalog.now()))
    }

    /// Who asks, for plans and their receipts.
    pub(super) fn asker(&self, principal: &Principal, record: &Call) -> Asker {
        let who = record.who();
        let (account, behind) = (principal.account(), principal.behind());
        Asker { account, behind, name: principal.to_string(), taint: who.tainted, who }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let denied = matches!(refused, Refused::Denied(_) | Refused::Unapproved { .. });
        let failure = Self { denied, ..Self::new(refused.kind(), refused.to_string(), refused.next()) };
        refused.details().into_iter().fold(failure, |failure, (name, value)| failure.with(name, value))
    }
}
