//! A Backup Server that goes down: what runs there is cut off, and none of its datastores is to be had meanwhile.

use serde_json::{Value, json};

use super::shelf::{Shelf, word};
use super::{Found, Severity, store};

/// Tasks that one answer holds; more are said not to have been listed.
const MOST_TASKS: usize = 500;
/// Where a token needs to see tasks that are not its own.
const TASKS: &str = "/system/tasks";

pub async fn goes_down(shelf: &Shelf<'_>, found: &mut Found) {
    let node = shelf.text("node").unwrap_or_default();
    let (why, until) = match shelf.text("command").as_deref() {
        Some("reboot") => ("it restarts, and this agent with it", "until it is up again"),
        _ => ("it is switched off, and this agent with it", "until somebody has started it again"),
    };
    found.hit(format!("node {node}"), Severity::Unreachable, format!("{why}: nobody reaches it {until}"));
    running(shelf, found, &node).await;
    let why = format!("nobody can back up to it or restore from it {until}, and no job runs there");
    for name in shelf.stores().await {
        store::away(shelf, found, &name, Severity::Unreachable, &why).await;
    }
}

/// Tasks of whoever they are, a client's backup or restore among them.
async fn running(shelf: &Shelf<'_>, found: &mut Found, node: &str) {
    let most = MOST_TASKS.to_string();
    let query = [("running", "1"), ("limit", most.as_str())];
    let rows = shelf.rows("the tasks that run there", "/nodes/{node}/tasks", &[("node", node)], &query).await;
    if rows.len() >= MOST_TASKS {
        shelf.not_seen(format!("of the tasks that run there no more than {MOST_TASKS} were listed"));
    }
    if !sees_all(shelf).await {
        shelf.not_seen(
            "tasks of others than the agent's token, which is not shown them, may run there and be cut off",
        );
    }
    for row in rows.iter().filter(|row| row.get("endtime").is_none_or(Value::is_null)) {
        let (kind, id) = (word(row, "worker_type"), word(row, "worker_id"));
        let of = if id.is_empty() { String::new() } else { format!(" of {id}") };
        let why = format!("{}'s, runs now, and is cut off before it has ended", word(row, "user"));
        found.hit(format!("task {kind}{of}"), Severity::Stops, why);
    }
}

/// Without the right to, a token is listed its own tasks, as if there were no others.
async fn sees_all(shelf: &Shelf<'_>) -> bool {
    let held = shelf.get("the token's own rights", "/access/permissions", &[], &[("path", TASKS)]).await;
    let audit = held.as_ref().and_then(|held| held.get(TASKS)?.get("Sys.Audit"));
    // The value says whether it is passed on below; that it is there says that it is held.
    audit.is_some_and(|audit| *audit != json!(null))
}
