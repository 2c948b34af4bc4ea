//! Intents that a start finds without an outcome: the daemon ended between the two.
//!
//! In: the log as it was opened, and whoever can say what became of an intent. Out: an outcome for each that somebody
//! could speak of. What nobody can stays open, and `status` counts it.

use super::handle::{Ledger, Unrecorded};
use super::receipt::body::{Outcome, Result as Became};
use super::receipt::{Clean, Decision, Entry, Receipt, Seq};
use super::segments::Segments;

/// What became of an intent, and how that is known, for a person.
pub struct Fate {
    pub why: Clean,
    pub outcome: Outcome,
}

impl Fate {
    /// Nothing can say it any more.
    pub fn unknown(of: Seq, why: &str) -> Self {
        let outcome =
            Outcome { answer: None, duration_us: 0, of, result: Became::Unknown, status: None, upid: None };
        Self { why: why.into(), outcome }
    }
}

/// A command's intent: in a container it was killed with its connection when the daemon ended, and how far it had come
/// nobody knows; in a VM it goes on. Of any other, whoever made it can say more.
pub fn of_command(intent: &Receipt) -> Option<Fate> {
    (intent.body["act"] == "exec").then(|| {
        let why = match intent.body["args"]["vm"].is_null() {
            true => "the daemon ended before it recorded what became of the command, which was killed with it",
            false => "the daemon ended before it recorded what became of the command in the VM, which may go on there",
        };
        Fate::unknown(intent.seq, why)
    })
}

/// Asks `fate` of each of these open intents, and records what it says. Returns how many were closed. `open` is to be taken
/// before anybody is served: what is open later may be under way.
pub async fn resolve(
    ledger: &Ledger,
    open: &[Seq],
    fate: impl AsyncFn(&Receipt) -> Option<Fate>,
) -> Result<usize, Unrecorded> {
    let mut closed = 0;
    for seq in open.iter().copied() {
        // What cannot be read is verification's to tell of.
        let line = Segments::open(ledger.place()).and_then(|segments| segments.line(seq));
        let Some(intent) = line.ok().and_then(|line| Receipt::parse(&line).ok()) else { continue };
        let Some(Fate { why, outcome }) = fate(&intent).await else { continue };
        let entry = Entry {
            principal: intent.principal.clone(),
            tool: ["exec", "apply", "file_get", "file_put"]
                .into_iter()
                .find(|tool| intent.tool.as_deref() == Some(tool)),
            guest: intent.guest,
            endpoint: intent.endpoint.as_deref().map(Clean::of),
            decision: Some(Decision::Allowed),
            why: Some(why),
            plan: intent.plan.as_deref().map(Clean::of),
            ..Entry::of(outcome)
        };
        ledger.append_durable(entry).await?;
        closed += 1;
    }
    Ok(closed)
}
