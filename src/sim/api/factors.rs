//! Second factors of logins: only shown, as only a person with a ticket can change them.

use serde_json::{Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::access::{Factor, User};
use super::super::route::Row;
use crate::catalog::Method::Get;

pub const TABLE: &[Row] = &[
    (Get, "/access/tfa", all),
    (Get, "/access/tfa/{userid}", of_user),
    (Get, "/access/tfa/{userid}/{id}", one),
    (Get, "/access/users/{userid}/tfa", types),
];

fn entry((id, factor): (&String, &Factor)) -> Value {
    json!({ "id": id, "type": factor.kind, "description": factor.description, "created": factor.created })
}

fn entries(user: &User) -> Value {
    user.factors.iter().map(entry).collect()
}

/// One's own, or everybody's for who may look after users.
fn all(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let caller = call.caller();
    let audits = caller.may_any("/access/groups", &["User.Modify", "Sys.Audit"]);
    let own = call.who.split('!').next().unwrap_or_default();
    let users = caller
        .access
        .users
        .iter()
        .filter(|(name, user)| !user.factors.is_empty() && (audits || *name == own));
    let rows = users.map(|(name, user)| json!({ "userid": name, "entries": entries(user) }));
    Ok(rows.collect::<Value>().into())
}

fn of_user(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let user = call.estate.access().users.get(&call.need("userid"));
    Ok(user.map_or_else(|| json!([]), entries).into())
}

fn one(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let id = call.need("id");
    let user = call.estate.access().users.get(&call.need("userid"));
    let found = user.and_then(|user| user.factors.get_key_value(&id));
    let missing = || Refusal::status(404, format!("No such tfa entry '{id}'"));
    found.map(|found| entry(found).into()).ok_or_else(missing)
}

fn types(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let user = call.estate.access().users.get(&call.need("userid"));
    let mut kinds: Vec<&str> =
        user.iter().flat_map(|user| user.factors.values()).map(|factor| factor.kind).collect();
    kinds.dedup();
    Ok(if kinds.is_empty() { json!({}) } else { json!({ "types": kinds }) }.into())
}
