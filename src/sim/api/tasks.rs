//! `/nodes/{node}/tasks`: what workers there are and were, their logs and their ends.

use serde_json::{Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::route::Row;
use super::super::task::{Task, Upid};
use crate::catalog::Method::{Delete, Get};

pub const TABLE: &[Row] = &[
    (Get, "/nodes/{node}/tasks", list),
    (Get, "/nodes/{node}/tasks/{upid}/status", status),
    (Get, "/nodes/{node}/tasks/{upid}/log", log),
    (Delete, "/nodes/{node}/tasks/{upid}", stop),
];

/// Whether it is the caller's own: its own token's, or any of its user's.
fn own(call: &Call<'_>, upid: &Upid) -> bool {
    upid.user == call.who || (!call.who.contains('!') && upid.user.split('!').next() == Some(call.who))
}

fn list(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let node = call.node();
    let audit = call.caller().may(&format!("/nodes/{node}"), "Sys.Audit");
    let source = call.get("source").unwrap_or("archive");
    let failed = |task: &Task| task.end.as_ref().is_some_and(|(_, outcome)| outcome != "OK");
    let (since, until) = (call.number::<u64>("since"), call.number::<u64>("until"));
    let tasks = call.estate.tasks.all().rev().filter(|task| {
        let upid = &task.upid;
        let ended = task.end.is_some();
        upid.node == node
            && (audit || own(call, upid))
            && (source == "all" || ended == (source == "archive"))
            && call.get("vmid").is_none_or(|vmid| upid.id == vmid)
            && call.get("typefilter").is_none_or(|kind| upid.kind == kind)
            && call.get("userfilter").is_none_or(|user| upid.user.contains(user))
            && (!call.flag("errors") || failed(task))
            && call.get("statusfilter").is_none_or(|wanted| {
                let name = match &task.end {
                    None => "unknown",
                    Some((_, outcome)) if outcome == "OK" => "ok",
                    Some((_, outcome)) if outcome.starts_with("WARNINGS") => "warning",
                    Some(_) => "error",
                };
                wanted.split([',', '\0']).any(|wanted| wanted == name)
            })
            && since.is_none_or(|since| upid.start >= since)
            && until.is_none_or(|until| upid.start <= until)
    });
    let (start, limit) = (call.number("start").unwrap_or(0), call.number("limit").unwrap_or(50));
    let total = tasks.clone().count();
    let rows: Value = tasks.skip(start).take(limit).map(Task::listed).collect();
    Ok(Reply::Lines { lines: rows, total })
}

pub fn of_cluster(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let all = call.caller().may("/", "Sys.Audit");
    let tasks = call.estate.tasks.all().rev().filter(|task| all || own(call, &task.upid)).take(25);
    let rows = tasks.map(|task| {
        let mut row = task.listed();
        row["saved"] = json!(if task.end.is_some() { "1" } else { "0" });
        row
    });
    Ok(rows.collect::<Value>().into())
}

fn found<'a>(call: &'a Call<'_>) -> Result<&'a Task, Refusal> {
    let upid = call.need("upid");
    let parsed = Upid::parse(&upid)
        .ok_or_else(|| Refusal::parameter("upid", format!("unable to parse worker upid '{upid}'")))?;
    if !own(call, &parsed) {
        call.caller().need(&format!("/nodes/{}", call.node()), &["Sys.Audit"])?;
    }
    call.estate.tasks.get(&upid).filter(|_| is_here(call, &parsed)).ok_or_else(no_such_task)
}

/// A task's log is a file of the node that ran it, and no other node has it.
fn is_here(call: &Call<'_>, upid: &Upid) -> bool {
    upid.node == call.node()
}

fn no_such_task() -> Refusal {
    Refusal::parameter("upid", "no such task")
}

fn status(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(found(call)?.status().into())
}

fn log(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (start, limit) = (call.number("start").unwrap_or(0), call.number("limit").unwrap_or(50));
    let task = found(call)?;
    let lines = task.lines.iter().enumerate().skip(start);
    let lines = lines.take(if limit == 0 { usize::MAX } else { limit });
    let rows: Vec<Value> = lines.map(|(number, text)| json!({ "n": number + 1, "t": text })).collect();
    let total = task.lines.len();
    let rows = if rows.is_empty() && total == 0 { vec![json!({ "n": 1, "t": "no content" })] } else { rows };
    Ok(Reply::Lines { total: total.max(rows.len()), lines: Value::Array(rows) })
}

fn stop(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let upid = call.need("upid");
    let parsed = Upid::parse(&upid)
        .ok_or_else(|| Refusal::parameter("upid", format!("unable to parse worker upid '{upid}'")))?;
    if !own(call, &parsed) {
        call.caller().need(&format!("/nodes/{}", call.node()), &["Sys.Modify"])?;
    }
    let is_here = is_here(call, &parsed);
    let task = call.estate.tasks.get_mut(&upid).filter(|_| is_here).ok_or_else(no_such_task)?;
    if task.end.is_none() {
        task.stopping = true;
    }
    Ok(Reply::NULL)
}
