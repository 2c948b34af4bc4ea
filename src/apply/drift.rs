//! Whether what a plan rests on still holds: looked at again, a moment before the call.

use serde_json::Value;

use crate::plan::{Desk, Eyes, Plan, Refused, Request, observed_again, reached, thought};
use crate::secret::told;

/// Characters of an object's name in a refusal.
const MOST_OBJECT: usize = 200;

/// That everything was as observed a moment ago, and the request with PVE's own guard against the moment after.
pub struct Undrifted {
    request: Request,
}

impl Undrifted {
    pub fn request(&self) -> &Request {
        &self.request
    }
}

pub async fn check(desk: &Desk, eyes: &Eyes, plan: &Plan) -> Result<Undrifted, Refused> {
    let drifted = |what: &str| Refused::Drifted { id: plan.id.to_string(), what: what.to_owned() };
    let now = match observed_again(eyes, plan).await {
        Ok(now) => now,
        Err(Refused::NoGuest { .. }) => return Err(drifted("the guest, which is gone or elsewhere,")),
        Err(other) => return Err(other),
    };
    if now.fingerprint() != plan.fingerprint {
        let guest = |of: &crate::plan::Observed| {
            of.guest.as_ref().map(|guest| (guest.status.clone(), guest.lock.clone()))
        };
        return Err(drifted(match () {
            () if now.digest != plan.observed.digest => "the configuration",
            () if guest(&now) != guest(&plan.observed) => "the guest's state",
            () => "what it is about",
        }));
    }
    // Policy looked at whom it reached then, and a person at who was hit.
    if reached(eyes, &plan.request).await? != plan.request.guests {
        return Err(drifted("which guests it reaches"));
    }
    let hits = thought(desk, eyes, &plan.request).await?;
    if let Some(more) = hits.iter().find(|hit| !plan.hits.contains(hit)) {
        return Err(drifted(&format!("what is hit, {} among it,", told(&more.object, MOST_OBJECT))));
    }
    let request = guarded(eyes, &plan.request, now.digest)?;
    Ok(Undrifted { request })
}

/// After a snapshot of our own, which changes the configuration's digest and nothing else.
pub async fn after_snapshot(eyes: &Eyes, plan: &Plan) -> Result<Undrifted, Refused> {
    let now = observed_again(eyes, plan).await?;
    let settings = |of: &crate::plan::Observed| {
        let mut config = of.guest.as_ref().map(|guest| guest.config.clone()).unwrap_or_default();
        config.retain(|name, _| !["digest", "parent", "lock"].contains(&name.as_str()));
        config
    };
    if settings(&now) != settings(&plan.observed) {
        return Err(Refused::Drifted { id: plan.id.to_string(), what: "the configuration".to_owned() });
    }
    Ok(Undrifted { request: guarded(eyes, &plan.request, now.digest)? })
}

pub(super) fn guarded(eyes: &Eyes, request: &Request, digest: Option<String>) -> Result<Request, Refused> {
    let takes = eyes
        .catalog
        .template(request.method(), request.template())
        .is_some_and(|endpoint| endpoint.parameter("digest").is_some());
    match digest.filter(|_| takes) {
        Some(digest) => request.with(&eyes.catalog, "digest", Value::from(digest)),
        None => Ok(request.clone()),
    }
}
