//! Approval in the client's own dialog, where the role lets who asked approve: asked of the person at the client, who is
//! the account that asked.
//!
//! Clients with a handshake are asked by `elicitation/create` while the call waits. From the 2026-07-28 revision on the
//! call is answered with `input_required`, and made again with the answer and a sealed state, which binds the answer to
//! this plan, this account and this start of the daemon, until the plan expires. No answer is a no: the plan waits on.

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use rmcp::model::{
    ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, InputRequest, InputRequests,
    InputRequiredResult, InputResponses, RequestStateCodec, SealOptions,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::Value;

use super::question::{APPROVE, question};
use crate::account::Account;
use crate::config::How;
use crate::plan::{Plan, PlanId, await_person, leaves, steps};
use crate::policy::approval::Standing;
use crate::policy::{Needs, Principal, record};
use crate::tools::Provost;
use crate::tools::answer::Failure;
use crate::tools::record::Call;

/// What a client gives with a call that it makes again.
#[derive(Default)]
pub struct Given {
    pub responses: Option<InputResponses>,
    pub state: Option<String>,
}

/// How it goes on.
pub enum Next {
    /// To [`crate::apply::run`], which has the last word.
    Apply,
    /// The client is to ask, and to call again.
    Ask(InputRequiredResult),
}

/// Seals what a client is given to bring back, by a key of this start.
pub struct Seal(Option<RequestStateCodec>);

impl Default for Seal {
    fn default() -> Self {
        let mut key = [0; 32];
        let random = SystemRandom::new().fill(&mut key).ok();
        Self(random.and_then(|()| RequestStateCodec::try_new(key).ok()))
    }
}

impl Seal {
    /// None where the kernel gave no key: then nobody is asked this way.
    fn close(&self, subject: &Subject, account: Account) -> Option<String> {
        let left = subject.expires.saturating_duration_since(tokio::time::Instant::now());
        let bound = bound(subject, account);
        let options = SealOptions::new().associated_data(&bound).ttl(left);
        Some(self.0.as_ref()?.seal_with(subject.id.as_bytes(), &options))
    }

    fn is_ours(&self, state: &str, subject: &Subject, account: Account) -> bool {
        let opened = self.0.as_ref().map(|codec| codec.open_with(state, &bound(subject, account)));
        opened.is_some_and(|opened| opened.is_ok_and(|id| id == subject.id.as_bytes()))
    }
}

/// What the seal is for, and counts for nothing else.
fn bound(subject: &Subject, account: Account) -> Vec<u8> {
    format!("tools/call apply|{}|{}|{account}", subject.id, subject.sha256).into_bytes()
}

/// What a person is asked about.
pub struct Subject {
    /// plan_id
    pub id: String,
    pub sha256: String,
    pub expires: tokio::time::Instant,
    /// What the dialog shows.
    pub form: ElicitRequestParams,
}

/// Asks the person at the client, where that may be, and takes the answer.
pub async fn person(
    provost: &Provost,
    principal: &Principal,
    id: &str,
    given: Given,
    call: &Call,
    context: &RequestContext<RoleServer>,
) -> Result<Next, Failure> {
    let Some(plan) = id.parse::<PlanId>().ok().and_then(|id| waiting(provost, principal, id, call)) else {
        // Whatever else is to be said about it is said there.
        return Ok(Next::Apply);
    };
    let Some(form) = question(&plan) else { return Ok(Next::Apply) };
    let subject =
        Subject { id: plan.id.to_string(), sha256: plan.sha256.clone(), expires: plan.expires, form };
    put_to_person(provost, principal, subject, given, call, context).await
}

/// Asks the person at the client, if the client can, and takes the answer. Whether that counts is for the caller to know.
pub async fn put_to_person(
    provost: &Provost,
    principal: &Principal,
    subject: Subject,
    given: Given,
    call: &Call,
    context: &RequestContext<RoleServer>,
) -> Result<Next, Failure> {
    if !can_ask(context) {
        return Ok(Next::Apply);
    }
    let plan = &subject;
    let question = subject.form.clone();
    if context.protocol_version().is_some_and(|revision| !revision.has_initialize()) {
        let account = principal.account();
        let Some(answer) = given.responses.as_ref().and_then(|responses| responses.get(APPROVE)) else {
            let Some(state) = provost.seal.close(plan, account) else { return Ok(Next::Apply) };
            let request = InputRequest::Elicitation(ElicitRequest::new(question));
            let asked = InputRequests::from([(APPROVE.to_owned(), request)]);
            return Ok(Next::Ask(InputRequiredResult::new(Some(asked), Some(state))));
        };
        if !given.state.is_some_and(|state| provost.seal.is_ours(&state, plan, account)) {
            return Err(forged());
        }
        let answer = serde_json::from_value::<ElicitResult>(answer.clone()).ok();
        return take(provost, principal, plan, answer, call).await;
    }
    let patience = plan.expires.saturating_duration_since(tokio::time::Instant::now());
    let asking =
        context.peer.create_elicitation_with_timeout(question, Some(patience.max(Duration::from_secs(1))));
    let answer = tokio::select! {
        answer = asking => answer.ok(),
        () = context.ct.cancelled() => None,
    };
    take(provost, principal, plan, answer, call).await
}

/// The plan, where it waits for a yes that its own maker may give in a dialog.
fn waiting(
    provost: &Provost,
    principal: &Principal,
    id: PlanId,
    call: &Call,
) -> Option<std::sync::Arc<Plan>> {
    let policy = &provost.policy;
    let plan = provost.planning.plans.find(id, principal.account()).ok()?;
    let taint = call.notes().is_tainted();
    let leaves = leaves(policy, principal, &plan.request, &plan.then, taint).ok()?;
    let needs = steps::needs(&leaves);
    let Needs::Approval { self_approval: true, how, .. } = &needs else { return None };
    if !how.contains(&How::Elicitation) || !policy.is_approver(principal) {
        return None;
    }
    await_person(policy, &plan, leaves.first()?.role(), &needs).ok()?;
    let id = plan.id.to_string();
    let standing = policy.approvals.list(|request| request.plan == id).pop()?.standing;
    (standing == Standing::Waiting).then_some(plan)
}

/// Whether the client can show a form.
fn can_ask(context: &RequestContext<RoleServer>) -> bool {
    let elicitation = context.client_capabilities().and_then(|capabilities| capabilities.elicitation);
    // Who names neither way means forms.
    elicitation.is_some_and(|elicitation| elicitation.form.is_some() || elicitation.url.is_none())
}

/// A yes or a no counts, recorded; anything else is no answer.
async fn take(
    provost: &Provost,
    principal: &Principal,
    plan: &Subject,
    answer: Option<ElicitResult>,
    call: &Call,
) -> Result<Next, Failure> {
    let yes = match answer.map(|answer| (answer.action, answer.content)) {
        Some((ElicitationAction::Accept, content)) => {
            content.as_ref().and_then(|content| content.get(APPROVE)) == Some(&Value::Bool(true))
        }
        Some((ElicitationAction::Decline, _)) => false,
        _ => return Ok(Next::Apply),
    };
    let claim = provost.policy.decide(principal, &plan.id, &plan.sha256, yes, How::Elicitation);
    let claim = claim
        .map_err(|why| Failure { denied: true, ..Failure::new(why.kind(), why.to_string(), why.next()) })?;
    record(call.ledger(), claim, call.who(), None).await?;
    Ok(Next::Apply)
}

fn forged() -> Failure {
    let message =
        "the answer came without the state that goes with the question, or with another's, or too late";
    Failure { denied: true, ..Failure::new("request_state", message, "call apply again, without an answer") }
}
