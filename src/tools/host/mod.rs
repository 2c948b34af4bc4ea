//! Commands and files on the node itself: asked for by `exec`, `file_get` and `file_put` with guest "host", carried out by
//! `apply` once a person has said yes.
//!
//! In: what a tool was asked for, with a leave of policy's. Out: a plan_id, and nothing is done. What a person is shown and
//! what is carried out are one value that nothing changes between: [`Asked`]. It must never be carried out twice, by another
//! account, late, or with anything else in it.
//!
//! [`shown`] is what a person sees of it, [`carry`] the way from a yes to the act.

pub mod carry;
pub mod shown;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rmcp::model::JsonObject;
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Provost;
use super::answer::{Answer, Failure, to_object};
use super::exec::run;
use super::files::{GetWish, PutWish};
use super::record::Call;
use crate::account::Account;
use crate::config::host;
use crate::ledger::canonical::canonical;
use crate::ledger::receipt::{Clean, Json, body};
use crate::ledger::tree::sha256_hex;
use crate::ledger::{Decision, Seq};
use crate::plan::{Kept, LIFETIME, Limits, PlanId, Refused, Store};
use crate::policy::approval::Request;
use crate::policy::{HostLeave, Needs, Policy, Principal};

pub type Desk = Store<Asked>;

/// What all accounts may have waiting.
pub fn limits() -> Limits {
    Limits { all: 64, each: 16, bytes: 192 << 20, ..Limits::default() }
}

/// What is to be done.
pub enum What {
    Exec { wanted: run::Wanted, stdin: Option<String> },
    Get(GetWish),
    Put(PutWish),
}

/// What somebody asked for, word for word, until it is carried out or forgotten.
pub struct Asked {
    pub id: PlanId,
    pub account: Account,
    /// Of a token: the account behind it.
    pub behind: Option<Account>,
    /// `user:alice (uid 1000)`
    pub who: String,
    pub what: What,
    /// All of it, for a person.
    pub shown: JsonObject,
    /// Of `shown`, in canonical form.
    pub sha256: String,
    pub receipt: Seq,
    pub expires: Instant,
    pub expires_at: Timestamp,
}

impl Kept for Asked {
    fn id(&self) -> PlanId {
        self.id
    }

    fn account(&self) -> Account {
        self.account
    }

    fn bytes(&self) -> usize {
        const OWN: usize = 4096;
        let of = match &self.what {
            What::Exec { wanted, stdin } => wanted.size() + stdin.as_ref().map_or(0, String::len),
            What::Get(_) => 0,
            What::Put(wish) => wish.content.len(),
        };
        // It is shown as well.
        OWN + 3 * of
    }
}

/// It waits for a person's yes.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PendingAnswer {
    /// For `apply`, by you, once, until `expires`.
    plan_id: String,
    /// An approval: because, by.
    needs: Value,
    /// RFC 3339.
    expires: String,
    /// Number of the receipt of what was asked.
    receipt: Seq,
    next: String,
}

/// Lets it wait for a person. `tool` is the one that was called.
pub async fn ask(
    provost: &Provost,
    principal: &Principal,
    leave: &HostLeave,
    tool: &'static str,
    what: What,
    record: &mut Call,
) -> Answer {
    what.check(leave)?;
    provost.policy.planned(principal)?;
    let id = PlanId::random().map_err(Refused::from)?;
    record.on_host(&format!("{tool} host"), Some(id), None);
    let expires_at = Timestamp::now() + SignedDuration::from_secs(LIFETIME.as_secs() as i64);
    let tainted = record.notes().is_tainted();
    let shown = shown::whole(tool, &what, &principal.to_string(), tainted, expires_at);
    let sha256 = sha256_hex(canonical(Value::Object(shown.clone())).get().as_bytes());
    let Needs::Approval { because, self_approval, how } = leave.needs().clone() else {
        return Err(unneeded());
    };
    let needs = json!({ "approval": { "because": because, "by": if self_approval { "a person: an approver, or you at the client" } else { "a person: an approver who is not you" } } });
    let plan = body::Plan {
        args: Json::of_clean(what.recorded(record.ledger().argv())),
        blast_radius: Json::of_clean(
            json!([{ "object": "node", "severity": "unknown", "why": "nothing tells what it does" }]),
        ),
        digest: None,
        effects: Json::of_clean(json!([])),
        expires: Clean::ours(expires_at.to_string()),
        needs: Json::of_clean(needs.clone()),
        risk: Clean::ours("critical: it is done on the node itself"),
        sha256: sha256.clone(),
        tier: Clean::ours("host"),
        undo: Json::of_clean(what.undo()),
    };
    let entry = record.entry(Decision::Held, None, plan);
    let receipt = record.ledger().append_durable(entry).await?;
    record.recorded_elsewhere();
    let summary = shown::summary(&what);
    let expires = Instant::now() + LIFETIME;
    let asked = Asked {
        id,
        account: principal.account(),
        behind: principal.behind(),
        who: principal.to_string(),
        what,
        shown,
        sha256,
        receipt,
        expires,
        expires_at,
    };
    let asked = Arc::new(asked);
    provost.hosts.keep(asked.clone())?;
    wait(&provost.policy, &asked, tool, leave.role(), summary, (because, self_approval, how))?;
    to_object(PendingAnswer {
        plan_id: id.to_string(),
        needs,
        expires: expires_at.to_string(),
        receipt,
        next: format!(
            "nothing is done yet: a person runs on the node: provost approve {id}; then `apply` with this plan_id carries it out"
        ),
    })
}

fn wait(
    policy: &Policy,
    asked: &Asked,
    tool: &str,
    role: &str,
    summary: Vec<String>,
    (because, self_approval, how): (Vec<String>, bool, Vec<crate::config::How>),
) -> Result<(), Refused> {
    let request = Request {
        plan: asked.id.to_string(),
        sha256: asked.sha256.clone(),
        account: asked.account,
        behind: asked.behind,
        who: asked.who.clone(),
        role: role.to_owned(),
        endpoint: format!("{tool} host"),
        guest: None,
        summary,
        text: serde_json::to_string_pretty(&asked.shown).unwrap_or_default(),
        because,
        receipt: asked.receipt,
        expires: asked.expires,
        expires_at: asked.expires_at,
        self_approval,
        how,
    };
    let asked = policy.approvals.ask(request);
    asked.map(drop).map_err(|full| Refused::NoRoom { why: full.to_string() })
}

fn unneeded() -> Failure {
    Failure::new(
        "internal",
        "nothing is done on the node without a person, and policy asked for none",
        "report this",
    )
}

impl What {
    /// What can be said of a path before anybody is asked; `provost-execd` says it again of where it really leads.
    fn check(&self, leave: &HostLeave) -> Result<(), Failure> {
        let Some(path) = self.path() else { return Ok(()) };
        let config = leave.config();
        if host::root(config, path.as_ref()).is_none() {
            let roots: Vec<String> =
                config.exec.host_roots.iter().map(|root| root.display().to_string()).collect();
            let next = match roots.is_empty() {
                true => "the operator has listed no directory under [exec] host_roots".to_owned(),
                false => format!("files of the node are reached under: {}", roots.join(", ")),
            };
            let message = format!("{path:?} lies under none of [exec] host_roots");
            return Err(Failure { denied: true, ..Failure::new("not_listed", message, next) });
        }
        match host::closed(config, path.as_ref()) {
            Some(why) => {
                let next = "whatever [exec] host_roots lists, nobody is given this through Provost";
                Err(Failure {
                    denied: true,
                    ..Failure::new("closed", format!("{path:?} is closed: {why}"), next)
                })
            }
            None => Ok(()),
        }
    }

    fn path(&self) -> Option<&str> {
        match self {
            Self::Exec { .. } => None,
            Self::Get(wish) => Some(wish.errand.path()),
            Self::Put(wish) => Some(wish.errand.path()),
        }
    }

    fn undo(&self) -> Value {
        match self {
            Self::Exec { .. } => json!({ "kind": "none", "why": "what a command does, nothing takes back" }),
            Self::Get(_) => json!({ "kind": "none", "why": "it changes nothing" }),
            Self::Put(_) => {
                json!({ "kind": "captured_config", "why": "file_put with restore, within [exec] keep_replaced" })
            }
        }
    }
}
