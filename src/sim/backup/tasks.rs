//! Tasks: their names, their ends, their logs. A worker here has ended before its name is told.

use serde_json::{Value, json};

use super::{Answered, Call, Server, no};

#[derive(Debug, Clone)]
pub struct Task {
    pub upid: String,
    kind: String,
    id: String,
    user: String,
    start: i64,
    /// `OK`, `WARNINGS: 1` or the error.
    end: String,
    log: Vec<String>,
}

impl Server {
    /// A task that has done its work.
    pub(super) fn done(&mut self, call: &Call<'_>, kind: &str, id: &str, log: Vec<String>) -> Value {
        let start = jiff::Timestamp::now().as_second();
        let number = self.tasks.len();
        // What would end the name is written otherwise, as systemd does.
        let escaped = id.replace(':', "\\x3a").replace('/', "-");
        let upid = format!(
            "UPID:{}:000002C5:00000A3B:{number:08X}:{start:08X}:{kind}:{escaped}:{}:",
            self.node, call.who
        );
        let (kind, id, user) = (kind.to_owned(), id.to_owned(), call.who.clone());
        let log = log.into_iter().chain(["TASK OK".to_owned()]).collect();
        self.tasks.push(Task { upid: upid.clone(), kind, id, user, start, end: "OK".to_owned(), log });
        upid.into()
    }

    fn task(&self, call: &Call<'_>) -> Option<&Task> {
        self.tasks.iter().find(|task| task.upid == call.text("upid"))
    }

    pub(super) fn task_status(&self, call: &Call<'_>) -> Answered {
        let Some(task) = self.task(call) else { return no("no such task") };
        Ok(json!({
            "upid": task.upid, "node": self.node, "pid": 0x2C5, "pstart": 0xA3B, "starttime": task.start, "type": task.kind,
            "id": task.id, "user": task.user.split('!').next(), "tokenid": task.user.split_once('!').map(|(_, token)| token),
            "status": "stopped", "exitstatus": task.end,
        }))
    }

    pub(super) fn task_log(&self, call: &Call<'_>) -> Answered {
        let Some(task) = self.task(call) else { return no("no such task") };
        let start = call.number("start").unwrap_or(0).max(0) as usize;
        let limit = call.number("limit").unwrap_or(50).max(0) as usize;
        let rows = task.log.iter().enumerate().skip(start).take(limit);
        Ok(rows.map(|(at, line)| json!({ "n": at + 1, "t": line })).collect())
    }

    /// All have ended: none is among those that run.
    pub(super) fn task_list(&self, call: &Call<'_>) -> Value {
        if call.flag("running") == Some(true) {
            return json!([]);
        }
        let row = |task: &Task| {
            json!({
                "upid": task.upid, "node": self.node, "pid": 0x2C5, "pstart": 0xA3B, "starttime": task.start,
                "endtime": task.start, "worker_type": task.kind, "worker_id": task.id, "user": task.user, "status": task.end,
            })
        };
        self.tasks.iter().rev().map(row).collect()
    }
}
