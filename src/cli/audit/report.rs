//! `provost audit report`: one HTML file, with nothing in it that is fetched from elsewhere.
//!
//! Every text in it is escaped by the template; what a guest or client wrote was cleaned of what hides.

use std::ops::ControlFlow;
use std::path::PathBuf;

use askama::Template;
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::line::{shown, summary};
use super::{AuditError, Done, VERIFIED};
use crate::ledger::query::{Filter, newest_first};
use crate::ledger::verify::{Against, Verdict, verify};
use crate::ledger::{Decision, Kind, Place, Receipt, query, witness};

#[derive(Debug, Args)]
pub struct Report {
    /// Where to [default: standard output]
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// From this time on
    #[arg(long, value_parser = query::time, default_value = "7d")]
    since: Timestamp,
    /// Before this time
    #[arg(long, value_parser = query::time)]
    until: Option<Timestamp>,
    /// Receipts in the timeline at most; the newest are taken
    #[arg(long, default_value_t = 2000)]
    limit: usize,
}

#[derive(Template)]
#[template(path = "cli/audit/report.html")]
struct Page<'a> {
    origin: String,
    made: String,
    since: String,
    until: String,
    verdict: &'a Verdict,
    damage: Vec<String>,
    counts: Vec<Count>,
    changes: Vec<Row>,
    approvals: Vec<Row>,
    refusals: Vec<Row>,
    days: Vec<Day>,
    left_out: usize,
    version: &'static str,
}

struct Count {
    name: &'static str,
    count: usize,
    tone: &'static str,
}

struct Day {
    date: String,
    rows: Vec<Row>,
}

struct Row {
    seq: u64,
    time: String,
    date: String,
    kind: &'static str,
    tone: &'static str,
    who: String,
    guest: String,
    what: String,
}

impl Report {
    pub fn run(self, place: &Place) -> Done {
        let verdict = verify(place, &Against { witnesses: witness::dirs(), ..Against::default() })?;
        let filter = Filter { since: Some(self.since), until: self.until, ..Filter::default() };
        let (mut receipts, mut left_out) = (Vec::new(), 0);
        newest_first(place, &filter, |receipt| {
            if receipts.len() < self.limit {
                receipts.push(receipt)
            } else {
                left_out += 1
            }
            ControlFlow::Continue(())
        })?;
        let page = page(&receipts, left_out, &verdict, self.since, self.until);
        let html =
            page.render().map_err(|error| AuditError::Other(format!("cannot make the page: {error}")))?;
        match self.output {
            None => println!("{html}"),
            Some(path) => std::fs::write(&path, html)
                .map_err(|error| AuditError::Other(format!("cannot write {}: {error}", path.display())))?,
        }
        Ok(VERIFIED)
    }
}

fn page<'a>(
    receipts: &[Receipt],
    left_out: usize,
    verdict: &'a Verdict,
    since: Timestamp,
    until: Option<Timestamp>,
) -> Page<'a> {
    let only =
        |kinds: &[Kind]| receipts.iter().filter(|one| kinds.contains(&one.kind)).map(row).collect::<Vec<_>>();
    let count = |take: &dyn Fn(&Receipt) -> bool| receipts.iter().filter(|receipt| take(receipt)).count();
    let refused =
        |receipt: &Receipt| receipt.decision == Some(Decision::Refused) || receipt.kind == Kind::Refusal;
    let counts = vec![
        Count { name: "reads", count: count(&|one| one.kind == Kind::Read), tone: "quiet" },
        Count { name: "plans", count: count(&|one| one.kind == Kind::Plan), tone: "held" },
        Count { name: "changes", count: count(&|one| one.kind == Kind::Intent), tone: "done" },
        Count { name: "approvals", count: count(&|one| one.kind == Kind::Approval), tone: "held" },
        Count { name: "refused", count: count(&refused), tone: "refused" },
    ];
    let mut days: Vec<Day> = Vec::new();
    for row in receipts.iter().map(row) {
        match days.last_mut() {
            Some(day) if day.date == row.date => day.rows.push(row),
            _ => days.push(Day { date: row.date.clone(), rows: vec![row] }),
        }
    }
    Page {
        origin: shown(verdict.origin()),
        made: local(Timestamp::now(), "%A, %-d %B %Y, %H:%M %Z"),
        since: local(since, "%-d %B %Y, %H:%M"),
        until: until.map_or_else(|| "now".into(), |until| local(until, "%-d %B %Y, %H:%M")),
        damage: verdict.damage.iter().map(|damage| shown(&damage.to_string())).collect(),
        verdict,
        counts,
        changes: only(&[Kind::Intent, Kind::Outcome, Kind::Exec, Kind::File]),
        approvals: only(&[Kind::Approval, Kind::Halt, Kind::Token]),
        refusals: receipts.iter().filter(|receipt| refused(receipt)).map(row).collect(),
        days,
        left_out,
        version: env!("CARGO_PKG_VERSION"),
    }
}

fn row(receipt: &Receipt) -> Row {
    let tone = match (receipt.kind, receipt.decision) {
        (_, Some(Decision::Refused)) | (Kind::Refusal | Kind::Repair, _) => "refused",
        (_, Some(Decision::Held)) | (Kind::Plan | Kind::Approval | Kind::Halt | Kind::Token, _) => "held",
        (Kind::Intent | Kind::Outcome | Kind::Exec | Kind::File, _) => "done",
        _ => "quiet",
    };
    Row {
        seq: receipt.seq,
        time: local(receipt.time, "%H:%M:%S"),
        date: local(receipt.time, "%A, %-d %B %Y"),
        kind: receipt.kind.name(),
        tone,
        who: shown(&receipt.principal_name()),
        guest: receipt.guest.map(|guest| guest.to_string()).unwrap_or_default(),
        what: summary(receipt),
    }
}

fn local(time: Timestamp, form: &str) -> String {
    time.to_zoned(TimeZone::system()).strftime(form).to_string()
}
