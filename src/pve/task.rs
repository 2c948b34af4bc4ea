//! Long work: what became of a task, and its log while it runs.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::call::{Path, Read};
use super::refusal::Failure;
use super::{Answer, Client, PveError, Upid, answer, loose};
use crate::secret;

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Done, with so many warnings in its log.
    Warnings(u32),
    Failed {
        failure: Failure,
        message: String,
    },
}

impl Outcome {
    /// Of `exitstatus`, or of a list's `status`: `OK`, `WARNINGS: 1`, or the error's text.
    pub fn parse(text: &str) -> Self {
        if text == "OK" {
            return Self::Done;
        }
        if let Some(count) = text.strip_prefix("WARNINGS: ").and_then(|count| count.trim().parse().ok()) {
            return Self::Warnings(count);
        }
        let message = match answer::shown(text) {
            empty if empty.is_empty() => "it ended without saying how".to_owned(),
            said => said,
        };
        Self::Failed { failure: Failure::recognise(&message), message }
    }

    pub fn is_done(&self) -> bool {
        !matches!(self, Self::Failed { .. })
    }
}

/// What a task's `status` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Running,
    Ended(Outcome),
}

#[derive(Deserialize)]
struct StatusRow {
    status: String,
    #[serde(default)]
    exitstatus: Option<String>,
}

impl State {
    pub fn of(answer: &Answer) -> Result<Self, PveError> {
        let row: StatusRow = answer.data()?;
        Ok(match row.status.as_str() {
            "running" => Self::Running,
            _ => Self::Ended(Outcome::parse(row.exitstatus.as_deref().unwrap_or_default())),
        })
    }
}

/// A row of `/nodes/{node}/tasks` or `/cluster/tasks`, where the outcome is in `status`.
#[derive(Debug, Clone, Deserialize)]
pub struct Listed {
    pub upid: Upid,
    #[serde(deserialize_with = "loose::u64")]
    pub starttime: u64,
    /// Absent while it runs.
    #[serde(default, deserialize_with = "loose::optional::u64")]
    pub endtime: Option<u64>,
    #[serde(default)]
    status: Option<String>,
}

impl Listed {
    pub fn state(&self) -> State {
        match (self.endtime, self.status.as_deref()) {
            (None, None | Some("RUNNING" | "running")) => State::Running,
            (_, status) => State::Ended(Outcome::parse(status.unwrap_or_default())),
        }
    }
}

/// A line of a task's log.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// From 1.
    pub number: u64,
    /// Cleaned, without secrets; the task may quote what a guest wrote.
    pub text: String,
    /// Of the work, 0 to 100, where the line says one.
    pub percent: Option<f32>,
}

#[derive(Deserialize)]
struct LogRow {
    #[serde(deserialize_with = "loose::u64")]
    n: u64,
    #[serde(default)]
    t: String,
}

/// Lines that are asked for at once.
const PAGE: u64 = 500;
/// Characters of one line.
const LONGEST_LINE: usize = 2_000;
/// What PVE says in place of an empty log.
const EMPTY: &str = "no content";
const QUICK: Duration = Duration::from_millis(100);
const SLOW: Duration = Duration::from_secs(1);
/// How long a node may be out of reach before its task is given up on.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reads a task's log to its end as it is written, and says how it ended. Dropped, it stops waiting; the task goes on.
pub async fn follow(
    client: &Client,
    upid: &Upid,
    mut on_line: impl FnMut(Line),
) -> Result<Outcome, PveError> {
    let mut task = Followed { client, upid, seen: 0, above: secret::Lines::default() };
    let mut pause = QUICK;
    let mut heard = Instant::now();
    loop {
        match task.look(&mut on_line).await {
            Ok((_, State::Ended(outcome))) => return Ok(outcome),
            Ok((news, State::Running)) => {
                heard = Instant::now();
                pause = if news { QUICK } else { (pause * 3 / 2).min(SLOW) };
            }
            // The node may be restarting its daemons; the task is none of theirs.
            Err(error) if error.is_passing() && heard.elapsed() < PATIENCE => pause = SLOW,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause).await;
    }
}

struct Followed<'a> {
    client: &'a Client,
    upid: &'a Upid,
    /// The number of the last line given out.
    seen: u64,
    above: secret::Lines,
}

impl Followed<'_> {
    /// What is new. The state is asked for before the log: when it says that the task has ended, the log is whole.
    async fn look(&mut self, on_line: &mut impl FnMut(Line)) -> Result<(bool, State), PveError> {
        let state = State::of(&self.client.get(&status(self.upid)).await?)?;
        let before = self.seen;
        loop {
            let answer = self.client.get(&log(self.upid, self.seen)).await?;
            let rows: Vec<LogRow> = answer.data()?;
            let whole_page = rows.len() as u64 >= PAGE;
            let last = self.seen;
            for row in rows {
                let is_stand_in = row.n == 1 && row.t == EMPTY && state == State::Running;
                if row.n > self.seen && !is_stand_in {
                    self.seen = row.n;
                    on_line(line(row, &mut self.above));
                }
            }
            if !whole_page || self.seen == last {
                return Ok((self.seen > before, state));
            }
        }
    }
}

fn line(row: LogRow, above: &mut secret::Lines) -> Line {
    let text = crate::text::clean(row.t.as_bytes());
    let text = above.next(&text).map_or(text, |(text, _)| text);
    Line {
        number: row.n,
        percent: percent(&text),
        text: crate::text::shortened(text.trim_end(), LONGEST_LINE),
    }
}

/// The first number right before a `%`: `transferred 1.2 GiB of 32.0 GiB (3.75%)`.
fn percent(text: &str) -> Option<f32> {
    text.match_indices('%').find_map(|(end, _)| {
        let before = &text[..end];
        let start = before
            .rfind(|letter: char| !letter.is_ascii_digit() && letter != '.')
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let joined = before[..start].ends_with(|letter: char| letter.is_alphanumeric() || letter == '-');
        let number: f32 = before[start..].parse().ok()?;
        (!joined && (0.0..=100.0).contains(&number)).then_some(number)
    })
}

/// The endpoint that tells of a task, and where that is asked.
pub fn endpoint(upid: &Upid, leaf: &str) -> (String, Path) {
    let path = match &upid.remote {
        None => Path::of(["nodes", &upid.node, "tasks", upid.as_ref(), leaf]),
        Some(remote) => Path::of([remote.kind, "remotes", &remote.name, "tasks", upid.as_ref(), leaf]),
    };
    let template = match &upid.remote {
        None => format!("/nodes/{{node}}/tasks/{{upid}}/{leaf}"),
        Some(remote) => format!("/{}/remotes/{{remote}}/tasks/{{upid}}/{leaf}", remote.kind),
    };
    (template, path.expect("a UPID's parts are segments"))
}

/// The call for a task's state, for [`State::of`].
pub fn status(upid: &Upid) -> Read {
    Read::new(endpoint(upid, "status").1)
}

/// The call for a page of a task's log, after the line `seen`.
pub fn log(upid: &Upid, seen: u64) -> Read {
    let read = Read::new(endpoint(upid, "log").1).with("start", seen.to_string());
    read.and_then(|read| read.with("limit", PAGE.to_string())).expect("numbers are values")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_read_from_its_words() {
        assert_eq!(Outcome::parse("OK"), Outcome::Done);
        assert_eq!(Outcome::parse("WARNINGS: 3"), Outcome::Warnings(3));
        let failed = Outcome::parse("Configuration file 'nodes/pve1/lxc/101.conf' does not exist\n");
        assert!(
            matches!(&failed, Outcome::Failed { failure: Failure::NoSuchGuest, .. }) && !failed.is_done()
        );
        assert!(matches!(Outcome::parse(""), Outcome::Failed { message, .. } if !message.is_empty()));
        assert!(!Outcome::parse("OK?").is_done() && !Outcome::parse("WARNINGS: many").is_done());
    }

    #[test]
    fn a_list_has_the_outcome_where_the_status_is() {
        let row = |rest: &str| -> State {
            let upid = "UPID:pve1:00002578:00074193:6B012E72:qmcreate:110:root@pam!t1:";
            let text = format!(r#"{{"upid":"{upid}","starttime":"1795239538"{rest}}}"#);
            serde_json::from_str::<Listed>(&text).unwrap().state()
        };
        assert_eq!(row(""), State::Running);
        assert_eq!(row(r#","status":"RUNNING""#), State::Running);
        assert_eq!(row(r#","endtime":1795239539,"status":"OK""#), State::Ended(Outcome::Done));
        assert!(matches!(row(r#","endtime":1795239539"#), State::Ended(Outcome::Failed { .. })));
    }

    #[test]
    fn a_percentage_is_found_where_a_line_has_one() {
        for (text, found) in [
            ("INFO:  23% (7.4 GiB of 32.0 GiB) in 12s, read: 630.2 MiB/s, write: 512 MiB/s", Some(23.0)),
            ("transferred 1.2 GiB of 32.0 GiB (3.75%)", Some(3.75)),
            ("drive-scsi0: transferred 4.0 GiB of 4.0 GiB (100.00%) in 3s, ready", Some(100.0)),
            (" 10240K .......... ..........  12% 5.20M 3s", Some(12.0)),
            ("INFO: archive file size: 1.2GB", None),
            ("101% of nothing, then 50%", Some(50.0)),
            ("%", None),
            ("a%", None),
            ("v1.2.3%", None),
            ("x5%", None),
            ("größe 7%", Some(7.0)),
        ] {
            assert_eq!(percent(text), found, "{text}");
        }
    }
}
