//! `/access/users`: users and their tokens.

use serde_json::{Map, Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::access::{Holder, Token, User};
use super::super::permission::ROOT;
use super::super::route::Row;
use crate::catalog::Method::{Delete, Get, Post, Put};

pub const TABLE: &[Row] = &[
    (Get, "/access/users", list),
    (Post, "/access/users", create),
    (Get, "/access/users/{userid}", read),
    (Put, "/access/users/{userid}", change),
    (Delete, "/access/users/{userid}", remove),
    (Get, "/access/users/{userid}/token", tokens),
    (Get, "/access/users/{userid}/token/{tokenid}", token),
    (Post, "/access/users/{userid}/token/{tokenid}", create_token),
    (Put, "/access/users/{userid}/token/{tokenid}", change_token),
    (Delete, "/access/users/{userid}/token/{tokenid}", remove_token),
];

fn existing<'a>(call: &'a Call<'_>) -> Result<&'a User, Refusal> {
    let name = call.need("userid");
    let user = call.estate.access().users.get(&name);
    user.ok_or_else(|| Refusal::die(format!("no such user ('{name}')")))
}

/// Whether the caller sees this user: itself, or by a privilege on one of its groups.
fn sees(call: &Call<'_>, name: &str) -> bool {
    let caller = call.caller();
    let wanted = &["User.Modify", "Sys.Audit"];
    if call.who == name || caller.may_any("/access/groups", wanted) {
        return true;
    }
    let mut groups = call.estate.access().groups.iter();
    groups.any(|(group, members)| {
        members.users.contains(name) && caller.may_any(&format!("/access/groups/{group}"), wanted)
    })
}

fn list(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let full = call.flag("full");
    let wanted = call.get("enabled").map(|flag| flag == "1");
    let users = call.estate.access().users.iter();
    let rows =
        users.filter(|(name, user)| wanted.is_none_or(|wanted| user.enable == wanted) && sees(call, name));
    let rows: Vec<Value> = rows
        .map(|(name, user)| {
            let mut row = shown(user);
            row.insert("userid".to_owned(), json!(name));
            let realm = name.rsplit_once('@').map_or("pam", |(_, realm)| realm);
            row.insert("realm-type".to_owned(), json!(realm));
            if full {
                row.insert("groups".to_owned(), json!(groups_of(call, name).join(",")));
                row.insert("tokens".to_owned(), user.tokens.iter().map(token_row).collect());
            }
            Value::Object(row)
        })
        .collect();
    Ok(Value::Array(rows).into())
}

fn shown(user: &User) -> Map<String, Value> {
    let mut row = Map::new();
    row.insert("enable".to_owned(), json!(u8::from(user.enable)));
    row.insert("expire".to_owned(), json!(user.expire));
    for (key, value) in [("firstname", &user.firstname), ("lastname", &user.lastname)] {
        if !value.is_empty() {
            row.insert(key.to_owned(), json!(value));
        }
    }
    for (key, value) in [("email", &user.email), ("comment", &user.comment), ("keys", &user.keys)] {
        if let Some(value) = value {
            row.insert(key.to_owned(), json!(value));
        }
    }
    row
}

fn groups_of(call: &Call<'_>, user: &str) -> Vec<String> {
    let groups = call.estate.access().groups.iter();
    groups.filter(|(_, group)| group.users.contains(user)).map(|(name, _)| name.clone()).collect()
}

fn read(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let user = existing(call)?;
    let mut row = shown(user);
    row.insert("groups".to_owned(), json!(groups_of(call, &call.need("userid"))));
    if !user.tokens.is_empty() {
        let tokens =
            user.tokens.iter().map(|(name, token)| (name.clone(), Value::Object(token_values(token))));
        row.insert("tokens".to_owned(), Value::Object(tokens.collect()));
    }
    Ok(Value::Object(row).into())
}

fn assign(call: &Call<'_>, user: &mut User) {
    let text = |key: &str| call.get(key).map(str::to_owned);
    if let Some(enable) = call.get("enable") {
        user.enable = enable == "1";
    }
    user.expire = call.number("expire").unwrap_or(user.expire);
    user.firstname = text("firstname").unwrap_or(std::mem::take(&mut user.firstname));
    user.lastname = text("lastname").unwrap_or(std::mem::take(&mut user.lastname));
    user.email = text("email").or(user.email.take());
    user.comment = text("comment").or(user.comment.take());
    user.keys = text("keys").or(user.keys.take());
}

fn create(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = call.need("userid");
    if call.estate.access().users.contains_key(&name) {
        return Err(Refusal::die(format!("create user failed: user '{name}' already exists")));
    }
    let mut user = User { enable: true, ..User::default() };
    assign(call, &mut user);
    call.estate.access_mut().users.insert(name.clone(), user);
    join(call, &name, false)
}

fn change(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let mut user = existing(call)?.clone();
    assign(call, &mut user);
    let name = call.need("userid");
    call.estate.access_mut().users.insert(name.clone(), user);
    join(call, &name, !call.flag("append"))
}

/// Into the groups that the call names; out of the others, if it `replaces`.
fn join(call: &mut Call<'_>, user: &str, replaces: bool) -> Result<Reply, Refusal> {
    if call.get("groups").is_none() {
        return Ok(Reply::NULL);
    }
    let wanted = call.list("groups");
    if let Some(missing) = wanted.iter().find(|group| !call.estate.access().groups.contains_key(*group)) {
        return Err(Refusal::die(format!("no such group '{missing}'")));
    }
    for (name, group) in &mut call.estate.access_mut().groups {
        if wanted.contains(name) {
            group.users.insert(user.to_owned());
        } else if replaces {
            group.users.remove(user);
        }
    }
    Ok(Reply::NULL)
}

fn remove(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    existing(call)?;
    let name = call.need("userid");
    if name == ROOT {
        return Err(Refusal::die(format!("delete user failed: cannot delete '{ROOT}'")));
    }
    let access = call.estate.access_mut();
    access.users.remove(&name);
    access.groups.values_mut().for_each(|group| {
        group.users.remove(&name);
    });
    let of_user = format!("{name}!");
    access.forget(|holder| match holder {
        Holder::User(user) => *user == name,
        Holder::Token(token) => token.starts_with(&of_user),
        Holder::Group(_) => false,
    });
    Ok(Reply::NULL)
}

fn token_values(token: &Token) -> Map<String, Value> {
    let mut row = Map::new();
    row.insert("privsep".to_owned(), json!(u8::from(token.privsep)));
    row.insert("expire".to_owned(), json!(token.expire));
    if let Some(comment) = &token.comment {
        row.insert("comment".to_owned(), json!(comment));
    }
    row
}

fn token_row((name, token): (&String, &Token)) -> Value {
    let mut row = token_values(token);
    row.insert("tokenid".to_owned(), json!(name));
    Value::Object(row)
}

fn tokens(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(existing(call)?.tokens.iter().map(token_row).collect::<Value>().into())
}

fn existing_token(call: &Call<'_>) -> Result<Token, Refusal> {
    let (user, id) = (call.need("userid"), call.need("tokenid"));
    let token = existing(call)?.tokens.get(&id).cloned();
    token.ok_or_else(|| Refusal::die(format!("no such token '{id}' for user '{user}'")))
}

fn token(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(Value::Object(token_values(&existing_token(call)?)).into())
}

fn create_token(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (user, id) = (call.need("userid"), call.need("tokenid"));
    if existing(call)?.tokens.contains_key(&id) {
        return Err(Refusal::parameter("tokenid", "Token already exists."));
    }
    let token = Token {
        secret: call.estate.uuid(),
        expire: call.number("expire").unwrap_or_default(),
        privsep: call.get("privsep") != Some("0"),
        comment: call.get("comment").map(str::to_owned),
    };
    let info = token_values(&token);
    let value = token.secret.clone();
    if let Some(owner) = call.estate.access_mut().users.get_mut(&user) {
        owner.tokens.insert(id.clone(), token);
    }
    let info: Map<String, Value> = info
        .into_iter()
        .map(|(key, value)| match value.as_u64() {
            // Said back as it was stored: a text.
            Some(number) if key == "privsep" => (key, json!(number.to_string())),
            _ => (key, value),
        })
        .collect();
    Ok(json!({ "full-tokenid": format!("{user}!{id}"), "info": info, "value": value }).into())
}

fn change_token(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (user, id) = (call.need("userid"), call.need("tokenid"));
    let mut token = existing_token(call)?;
    token.expire = call.number("expire").unwrap_or(token.expire);
    if let Some(privsep) = call.get("privsep") {
        token.privsep = privsep == "1";
    }
    token.comment = call.get("comment").map(str::to_owned).or(token.comment);
    if call.list("delete").iter().any(|key| key == "comment") {
        token.comment = None;
    }
    let mut row = token_values(&token);
    if call.flag("regenerate") {
        token.secret = call.estate.uuid();
        row.insert("value".to_owned(), json!(token.secret));
    }
    if let Some(owner) = call.estate.access_mut().users.get_mut(&user) {
        owner.tokens.insert(id, token);
    }
    Ok(Value::Object(row).into())
}

fn remove_token(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (user, id) = (call.need("userid"), call.need("tokenid"));
    existing_token(call)?;
    let full = format!("{user}!{id}");
    let access = call.estate.access_mut();
    if let Some(owner) = access.users.get_mut(&user) {
        owner.tokens.remove(&id);
    }
    access.forget(|holder| matches!(holder, Holder::Token(token) if *token == full));
    Ok(Reply::NULL)
}
