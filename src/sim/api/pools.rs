//! `/pools`.

use serde_json::{Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::access::Pool;
use super::super::route::Row;
use super::resources;
use crate::catalog::Method::{Delete, Get, Post, Put};

pub const TABLE: &[Row] = &[
    (Get, "/pools", list),
    (Post, "/pools", create),
    (Put, "/pools", change),
    (Delete, "/pools", remove),
    (Get, "/pools/{poolid}", read),
    (Put, "/pools/{poolid}", change),
    (Delete, "/pools/{poolid}", remove),
];

fn list(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    if call.get("poolid").is_some() {
        let row = members(call)?;
        return Ok(json!([row]).into());
    }
    let caller = call.caller();
    let pools = call.estate.access().pools.iter();
    let rows =
        pools.filter(|(name, _)| caller.may(&format!("/pool/{name}"), "Pool.Audit")).map(|(name, pool)| {
            let mut row = json!({ "poolid": name });
            if let Some(comment) = &pool.comment {
                row["comment"] = json!(comment);
            }
            row
        });
    Ok(rows.collect::<Value>().into())
}

fn existing(call: &Call<'_>) -> Result<Pool, Refusal> {
    let name = call.need("poolid");
    let pool = call.estate.access().pools.get(&name).cloned();
    pool.ok_or_else(|| Refusal::die(format!("no such pool '{name}'")))
}

fn members(call: &Call<'_>) -> Result<Value, Refusal> {
    let pool = existing(call)?;
    let kind = call.get("type");
    let guests = pool.vms.iter().filter_map(|vmid| call.estate.guest(*vmid));
    let guests = guests.filter(|guest| kind.is_none_or(|kind| guest.kind.name() == kind));
    let mut rows: Vec<Value> = guests.map(|guest| resources::member(call.estate, guest)).collect();
    if kind.is_none_or(|kind| kind == "storage") {
        let node = call.estate.local();
        let storages = pool.storages.iter().filter_map(|name| call.estate.storage(name).ok());
        rows.extend(storages.map(|storage| Value::Object(resources::storage(call.estate, storage, node))));
    }
    let mut row = json!({ "poolid": call.need("poolid"), "members": rows });
    if let Some(comment) = pool.comment {
        row["comment"] = json!(comment);
    }
    Ok(row)
}

fn read(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(members(call)?.into())
}

fn create(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = call.need("poolid");
    if call.estate.access().pools.contains_key(&name) {
        return Err(Refusal::die(format!("create pool failed: pool '{name}' already exists")));
    }
    let comment = call.get("comment").map(str::to_owned);
    call.estate.access_mut().pools.insert(name, Pool { comment, ..Pool::default() });
    Ok(Reply::NULL)
}

fn change(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let mut pool = existing(call)?;
    let name = call.need("poolid");
    pool.comment = call.get("comment").map(str::to_owned).or(pool.comment);
    let delete = call.flag("delete");
    for vmid in call.list("vms") {
        let vmid: u32 = vmid.parse().unwrap_or_default();
        call.caller().need(&format!("/vms/{vmid}"), &["VM.Allocate"])?;
        if delete {
            if !pool.vms.remove(&vmid) {
                return Err(Refusal::die(format!("update pools failed: VM {vmid} is not a pool member")));
            }
            continue;
        }
        if call.estate.guest(vmid).is_none() {
            return Err(Refusal::die(format!("update pools failed: VM {vmid} does not exist")));
        }
        match call.estate.access().pool_of(vmid).map(str::to_owned) {
            Some(other) if other != name && !call.flag("allow-move") => {
                return Err(Refusal::die(format!(
                    "update pools failed: VM {vmid} belongs already to pool '{other}' and allow-move is not set"
                )));
            }
            Some(other) if other != name => {
                if let Some(other) = call.estate.access_mut().pools.get_mut(&other) {
                    other.vms.remove(&vmid);
                }
            }
            _ => {}
        }
        pool.vms.insert(vmid);
    }
    for storage in call.list("storage") {
        call.caller().need(&format!("/storage/{storage}"), &["Datastore.Allocate"])?;
        if delete {
            pool.storages.remove(&storage);
        } else {
            call.estate.storage(&storage)?;
            pool.storages.insert(storage);
        }
    }
    call.estate.access_mut().pools.insert(name, pool);
    Ok(Reply::NULL)
}

fn remove(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let pool = existing(call)?;
    let name = call.need("poolid");
    if !pool.vms.is_empty() {
        return Err(Refusal::die(format!("delete pool failed: pool '{name}' is not empty")));
    }
    let access = call.estate.access_mut();
    access.pools.remove(&name);
    access.acl.remove(&format!("/pool/{name}"));
    Ok(Reply::NULL)
}
