//! `provost audit export`.

use std::io::{BufWriter, Write};
use std::ops::ControlFlow;

use clap::{Args, ValueEnum};

use super::{AuditError, Done, VERIFIED, Which};
use crate::ledger::query::Filter;
use crate::ledger::{Decision, Kind, Place, Receipt, Segments};

#[derive(Debug, Args)]
pub struct Export {
    #[arg(long, value_enum, default_value_t = Form::Jsonl)]
    format: Form,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// The lines as they are hashed
    Jsonl,
    /// A table; what belongs to the kind is JSON in its last column
    Csv,
}

const COLUMNS: [&str; 14] = [
    "seq", "time", "kind", "decision", "user", "uid", "cid", "client", "tool", "guest", "endpoint", "plan",
    "why", "body",
];

impl Export {
    pub fn run(self, place: &Place) -> Done {
        let segments = Segments::open(place)?;
        let filter: Filter = self.which.into();
        let out = BufWriter::new(std::io::stdout().lock());
        let mut sink = match self.format {
            Form::Jsonl => Sink::Jsonl(out),
            Form::Csv => {
                let mut table = csv::Writer::from_writer(out);
                table.write_record(COLUMNS)?;
                Sink::Csv(Box::new(table))
            }
        };
        let mut failed = Ok(());
        segments.walk(segments.first(), |found| {
            let Ok(receipt) = Receipt::parse(found.line) else { return ControlFlow::Continue(()) };
            if filter.takes(&receipt) {
                failed = sink.put(found.line, &receipt);
            }
            if failed.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        failed?;
        sink.end()?;
        Ok(VERIFIED)
    }
}

enum Sink<W: Write> {
    Jsonl(W),
    Csv(Box<csv::Writer<W>>),
}

impl<W: Write> Sink<W> {
    fn put(&mut self, line: &[u8], receipt: &Receipt) -> Result<(), AuditError> {
        match self {
            Sink::Jsonl(out) => Ok(out.write_all(line).and_then(|()| out.write_all(b"\n"))?),
            Sink::Csv(table) => Ok(table.write_record(row(receipt))?),
        }
    }

    fn end(&mut self) -> std::io::Result<()> {
        match self {
            Sink::Jsonl(out) => out.flush(),
            Sink::Csv(table) => table.flush(),
        }
    }
}

fn row(receipt: &Receipt) -> [String; COLUMNS.len()] {
    let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    let text = |text: Option<&str>| harmless(text.unwrap_or_default());
    let who = receipt.principal.clone().unwrap_or_default();
    [
        receipt.seq.to_string(),
        receipt.time.to_string(),
        Kind::name(receipt.kind).into(),
        receipt.decision.map(Decision::name).unwrap_or_default().into(),
        text(who.user.as_ref().map(|user| user.as_str())),
        number(who.uid),
        number(who.cid),
        text(who.client.as_ref().map(|client| client.as_str())),
        text(receipt.tool.as_deref()),
        number(receipt.guest),
        text(receipt.endpoint.as_deref()),
        text(receipt.plan.as_deref()),
        text(receipt.why.as_deref()),
        receipt.body.to_string(),
    ]
}

/// A spreadsheet runs what begins like a formula.
fn harmless(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}
