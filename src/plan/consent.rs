//! What policy says of a plan: of each of its calls, and whether a person has to say yes.

use std::sync::{Arc, PoisonError};

use serde_json::Map;

use super::{Ask, Asked, Desk, Eyes, Plan, Refused, Request, only};
use crate::catalog::{Catalog, tier};
use crate::policy::approval::Request as Approval;
use crate::policy::{Leave, Needs, Policy, Principal, Wanted, promises};

impl Desk {
    /// Holds the profiles' promises against all of a catalogue that comes into use, once: no plan is made over one that would
    /// give a profile what it never has.
    pub(super) fn promise(&self, catalog: &Arc<Catalog>) -> Result<(), Refused> {
        let mut promised = self.promised.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::ptr::eq(promised.as_ptr(), Arc::as_ptr(catalog)) {
            promises(catalog)?;
            *promised = Arc::downgrade(catalog);
        }
        Ok(())
    }

    /// Refuses a call that the profile never has, before anybody looks at its arguments: no argument opens that door.
    pub(super) fn closed(
        &self,
        policy: &Policy,
        principal: &Principal,
        asked: &mut Asked,
        eyes: &Eyes,
        ask: &Ask,
    ) -> Result<(), Refused> {
        let found = Request::endpoint_of(&eyes.catalog, ask);
        let Some((endpoint, guest)) = found else { return Ok(()) };
        let template = endpoint.path.as_str();
        asked.endpoint = Some(format!("{} {template}", endpoint.method));
        asked.template = Some(template.to_owned());
        asked.guest = guest;
        let judgement = tier::judge(endpoint.product, endpoint.method, template, &Map::new());
        let wanted = Wanted {
            method: endpoint.method,
            template,
            path: template,
            judgement: &judgement,
            guests: &[],
            taint: false,
        };
        policy.profile(principal, &wanted).map_err(Refused::from)
    }
}

/// What policy says of a request now, which counts for nothing yet.
pub fn foresee(
    policy: &Policy,
    principal: &Principal,
    request: &Request,
    taint: bool,
) -> Result<Leave, Refused> {
    Ok(policy.foresee(principal, &wanted(request, taint))?)
}

pub fn wanted(request: &Request, taint: bool) -> Wanted<'_> {
    Wanted {
        method: request.method(),
        template: request.template(),
        path: request.path(),
        judgement: &request.judgement,
        guests: &request.guests,
        taint,
    }
}

/// What policy says of each call of a plan, in their order.
pub fn leaves(
    policy: &Policy,
    principal: &Principal,
    first: &Request,
    then: &[Request],
    taint: bool,
) -> Result<Vec<Leave>, Refused> {
    let all = std::iter::once(first).chain(then);
    all.map(|request| foresee(policy, principal, request, taint)).collect()
}

/// Lets the plan wait for a person, where one has to say yes. One that waits already is announced no second time.
pub fn await_person(policy: &Policy, plan: &Plan, role: &str, needs: &Needs) -> Result<(), Refused> {
    let Needs::Approval { because, self_approval, how } = needs else { return Ok(()) };
    let request = &plan.request;
    let approval = Approval {
        plan: plan.id.to_string(),
        sha256: plan.sha256.clone(),
        account: plan.asker.account,
        behind: plan.asker.behind,
        who: plan.asker.name.clone(),
        role: role.to_owned(),
        endpoint: request.endpoint(),
        guest: request.guest().or_else(|| only(&request.guests)),
        summary: plan.summary.clone(),
        text: serde_json::to_string_pretty(&plan.shown).unwrap_or_default(),
        because: because.clone(),
        receipt: plan.receipt,
        expires: plan.expires,
        expires_at: plan.expires_at,
        self_approval: *self_approval,
        how: how.clone(),
    };
    let asked = policy.approvals.ask(approval);
    asked.map(drop).map_err(|full| Refused::NoRoom { why: full.to_string() })
}
