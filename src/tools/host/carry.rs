//! From a person's yes to the act: once, as it was shown, recorded before and after.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{CallToolResponse, JsonObject};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::Value;

use super::{Asked, What, shown};
use crate::config::How;
use crate::exec::wire::Mode;
use crate::plan::Refused;
use crate::policy::approval::Standing;
use crate::policy::{Needs, Principal};
use crate::tools::answer::{Answer, Failure};
use crate::tools::apply::ask;
use crate::tools::record::Call;
use crate::tools::{Owed, Provost, exec, files};

impl What {
    pub fn mode(&self) -> Mode {
        match self {
            Self::Get(_) => Mode::Inspect,
            Self::Exec { .. } | Self::Put(_) => Mode::Change,
        }
    }

    pub fn tool(&self) -> &'static str {
        match self {
            Self::Exec { .. } => "exec",
            Self::Get(_) => "file_get",
            Self::Put(_) => "file_put",
        }
    }
}

/// What was asked for on the node by that id, as far as it is the principal's and can be carried out. None where the id is no
/// such thing's.
pub fn find(provost: &Provost, principal: &Principal, id: &str) -> Result<Option<Arc<Asked>>, Refused> {
    let Ok(id) = id.parse() else { return Ok(None) };
    match provost.hosts.find(id, principal.account()) {
        Ok(asked) => Ok(Some(asked)),
        Err(Refused::NoPlan { .. }) => Ok(None),
        Err(refused) => Err(refused),
    }
}

/// `apply`, of what was asked for on the node. A person is asked first where the client can show a dialog and policy takes
/// its answer.
pub async fn apply(
    provost: &Provost,
    principal: &Principal,
    asked: Arc<Asked>,
    answers: ask::Given,
    mut record: Call,
    owed: &Owed,
    context: &RequestContext<RoleServer>,
) -> CallToolResponse {
    record.on_host(&format!("{} host", asked.what.tool()), Some(asked.id), None);
    match person(provost, principal, &asked, answers, &record, context).await {
        Ok(ask::Next::Apply) => {}
        Ok(ask::Next::Ask(question)) => {
            // What the person says is recorded when it comes.
            record.recorded_elsewhere();
            return question.into();
        }
        Err(failure) => return record.answer(Err(failure)).into(),
    }
    let done = carry(provost, principal, &asked, &mut record, owed, context).await;
    record.answer(done.map(told)).into()
}

/// As `apply` answers of any plan, with what the tool has to say.
fn told(answer: JsonObject) -> JsonObject {
    let receipt = answer.get("receipt").cloned().unwrap_or(Value::Null);
    JsonObject::from_iter([
        ("receipt".to_owned(), receipt),
        ("result".to_owned(), "done".into()),
        ("host".to_owned(), Value::Object(answer)),
    ])
}

async fn person(
    provost: &Provost,
    principal: &Principal,
    asked: &Asked,
    answers: ask::Given,
    record: &Call,
    context: &RequestContext<RoleServer>,
) -> Result<ask::Next, Failure> {
    let policy = &provost.policy;
    let leave = policy.host_again(principal, asked.what.mode(), record.notes().is_tainted())?;
    let Needs::Approval { self_approval: true, how, .. } = leave.needs() else { return Ok(ask::Next::Apply) };
    let id = asked.id.to_string();
    let standing = policy.approvals.list(|request| request.plan == id).pop().map(|held| held.standing);
    let may = how.contains(&How::Elicitation) && policy.is_approver(principal);
    let Some(form) = shown::question(asked).filter(|_| may && standing == Some(Standing::Waiting)) else {
        return Ok(ask::Next::Apply);
    };
    let subject = ask::Subject { id, sha256: asked.sha256.clone(), expires: asked.expires, form };
    ask::put_to_person(provost, principal, subject, answers, record, context).await
}

async fn carry(
    provost: &Provost,
    principal: &Principal,
    asked: &Asked,
    record: &mut Call,
    owed: &Owed,
    context: &RequestContext<RoleServer>,
) -> Answer {
    /// How long one waits for its turn.
    const PATIENCE: Duration = Duration::from_secs(60);
    let (policy, mode) = (&provost.policy, asked.what.mode());
    let leave = policy.host_again(principal, mode, record.notes().is_tainted())?;
    let claim = provost.hosts.claim(asked.id, principal.account())?;
    let turn = exec::turn(provost, principal, &leave.config().exec, PATIENCE, &context.ct).await?;
    // Halted meanwhile, or by other rules.
    let leave = policy.host_again(principal, mode, record.notes().is_tainted())?;
    record.ledger().ready()?;
    let id = asked.id.to_string();
    let cleared = policy.approvals.clear_host(leave, &id, &asked.sha256);
    let (permit, approved) = cleared.map_err(|why| Refused::Unapproved { id, why })?;
    let yes = approved.decision();
    let why = format!("approved by {}, in receipt {}", yes.by, yes.receipt);
    record.on_host(&format!("{} host", asked.what.tool()), Some(asked.id), Some(&why));
    let answer = match &asked.what {
        What::Exec { wanted, stdin } => {
            let begun = exec::Running::begin(record, &permit, wanted, stdin.as_deref()).await;
            let running = begun.inspect_err(|_| policy.approvals.give_back(approved))?;
            claim.spent(running.intent().unwrap_or(asked.receipt));
            let ran = exec::Ran { permit: &permit, wanted: wanted.clone(), stdin: stdin.clone() };
            ran.run(running, record, context).await
        }
        What::Get(wish) => {
            claim.spent(asked.receipt);
            files::get_by(provost, principal, &permit, wish.clone(), context, record).await
        }
        What::Put(wish) => {
            claim.spent(asked.receipt);
            files::put_by(provost, principal, permit, wish.clone(), context, record).await
        }
    };
    owed.keep(&context.id, turn);
    answer
}
