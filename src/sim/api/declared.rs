//! What has no state here: an index lists what is below it, a worker is started and ends well, all else is made from the
//! schema of what it returns.

use serde_json::Value;

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::shape;
use super::super::task::Work;
use super::{ceph, index};
use crate::catalog::{Kind, Method};

/// Writers that answer with a text which names no worker.
const PLAIN: &[&str] = &["/access/openid/auth-url", "/cluster/sdn/lock", "/nodes/{node}/wakeonlan"];

pub fn answer(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let endpoint = call.endpoint;
    ceph::configured(call.estate, endpoint)?;
    if endpoint.path.contains("{vmid}") {
        call.guest()?;
    }
    if endpoint.path.contains("{storage}") {
        call.estate.storage(&call.need("storage"))?;
    }
    if let Some(rows) = index::rows(&call.shared.catalog, endpoint) {
        return Ok(rows.into());
    }
    let worker = endpoint.method != Method::Get
        && endpoint.returns.kind == Kind::String
        && !PLAIN.contains(&endpoint.path.as_str());
    if worker {
        let last = endpoint.path.rsplit('/').find(|part| !part.starts_with('{')).unwrap_or("task");
        let kind = last.replace('-', "");
        let id = call.get("vmid").or_else(|| call.get("name")).unwrap_or_default().to_owned();
        return call.task(&kind, id, Work::new().step(1.0, "simulated: nothing was done"));
    }
    let value = shape::value(&endpoint.returns, &call.parameters);
    let value = if endpoint.method == Method::Get || endpoint.returns.kind != Kind::Any {
        value
    } else {
        Value::Null
    };
    Ok(value.into())
}
