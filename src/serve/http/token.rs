//! `POST /v1/token/refresh`: the holder of a token has it signed anew, inside its window.

use serde_json::json;

use super::Door;
use super::answer::{Answer, json, refuse};
use crate::ledger::receipt::Clean;
use crate::ledger::receipt::body::{Refusal, TokenEvent};
use crate::ledger::{Decision, Entry};
use crate::policy::token::{NotIssued, TokenId};
use crate::policy::{Principal, role};
use crate::serve::control::receipt;

pub async fn refresh(door: &Door, principal: &Principal) -> Answer {
    let Some(id) = principal.token().map(|bearer| bearer.id()) else {
        return refuse(403, "no_token", "nothing but a token is refreshed", "");
    };
    let policy = &door.provost.policy;
    let renewed = async {
        policy.may_renew(id)?;
        renewed(door, principal, id).await
    };
    match renewed.await {
        Ok(answer) => answer,
        // Who asks again and again fills no disk with it.
        Err(error @ NotIssued::Rate(..)) => refuse(429, error.kind(), &error.to_string(), &error.next()),
        Err(error) => {
            let why = format!("refresh a token: {error}");
            let code = Clean::ours(error.kind());
            let body = Refusal { args: None, argv: None, code, next: Some((&*error.next()).into()) };
            let entry = Entry { why: Some(why.into()), ..entry(door, principal, Entry::of(body)) };
            door.provost.desk.ledger.leave(Entry { decision: Some(Decision::Refused), ..entry });
            refuse(403, error.kind(), &error.to_string(), &error.next())
        }
    }
}

async fn renewed(door: &Door, principal: &Principal, id: TokenId) -> Result<Answer, NotIssued> {
    let policy = &door.provost.policy;
    let page = policy.tokens.page().await;
    let record = policy.renewed(&page, principal, id).await?;
    let body = Entry::of(receipt(&record, TokenEvent::Refreshed));
    let entry = Entry { decision: Some(Decision::Allowed), ..entry(door, principal, body) };
    // It is recorded before it holds.
    let recorded = door.provost.desk.ledger.append_durable(entry).await;
    recorded.map_err(|error| NotIssued::Disk(error.to_string()))?;
    let issued = policy.tokens.renew(page, record, &door.audience()).await?;
    let record = &issued.record;
    Ok(json(
        200,
        &json!({
            "token": issued.token,
            "id": record.id.to_string(),
            "expires": record.expires.to_string(),
            "refresh_until": record.refresh_until.to_string(),
        }),
    ))
}

fn entry(door: &Door, principal: &Principal, entry: Entry) -> Entry {
    let config = door.provost.policy.rules.now();
    Entry { principal: Some(principal.who(role(&config, principal))), ..entry }
}
