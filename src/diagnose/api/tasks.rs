//! Tasks: what failed, and what is done again and again.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::{Gathered, Page};
use super::{Fields, rows};

const DAY: i64 = 86_400;

/// Those that failed within a day, of a node or of all.
pub fn failed(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let list = gathered.answer("node_tasks").or_else(|_| gathered.answer("cluster_tasks"))?;
    flag_failed(rows(list)?, page);
    Ok(())
}

/// Those of a guest, and how often it was started.
pub fn of_guest(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let list = rows(gathered.answer("guest_tasks")?)?;
    flag_failed(list, page);
    let is_start = |task: &&Value| {
        matches!(task.text("type"), "vzstart" | "qmstart" | "vzreboot" | "qmreboot" | "qmreset" | "hastart")
            && task.number("starttime").is_some_and(|at| page.now - (at as i64) < DAY)
    };
    let starts: Vec<&Value> = list.iter().filter(is_start).collect();
    page.fact(format!("started {} times in a day", starts.len()));
    if starts.len() as f64 >= page.limit("restarts") {
        let by: Vec<String> = starts
            .iter()
            .take(5)
            .map(|task| format!("{} by {}", task.text("type"), task.text("user")))
            .collect();
        page.flag("restarts", format!("it was started {} times in a day", starts.len()), by.join(", "));
    }
    Ok(())
}

fn flag_failed(tasks: &[Value], page: &mut Page<'_>) {
    let mut failed: BTreeMap<(&str, &str, &str), (usize, &str)> = BTreeMap::new();
    for task in tasks {
        // In lists the outcome is in `status`; one that runs has none.
        let (status, ended) = (task.text("status"), task.number("endtime"));
        let old = ended.is_none_or(|ended| page.now - ended as i64 > DAY);
        if old || status == "OK" || status.is_empty() || status.starts_with("WARNINGS") {
            continue;
        }
        failed.entry((task.text("node"), task.text("type"), task.text("id"))).or_insert((0, status)).0 += 1;
    }
    page.fact(format!("{} failed in a day", failed.values().map(|(count, _)| count).sum::<usize>()));
    for ((node, kind, id), (count, status)) in failed {
        let sign = if kind == "vzdump" { "backup_failed" } else { "task_failed" };
        let of = if id.is_empty() { String::new() } else { format!(" of {id}") };
        page.flag_on(node, sign, format!("{kind}{of} on {node} failed {count} times in a day"), status);
    }
}
