//! `provost audit query`.

use std::io::Write;
use std::ops::ControlFlow;

use clap::Args;

use super::{Done, VERIFIED, Which, line};
use crate::ledger::Place;
use crate::ledger::query::newest_first;

#[derive(Debug, Args)]
pub struct Query {
    #[command(flatten)]
    which: Which,
    /// At most so many
    #[arg(long, short = 'n', default_value_t = 50)]
    limit: usize,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

impl Query {
    pub fn run(self, place: &Place) -> Done {
        let mut out = anstream::stdout().lock();
        let (mut left, mut failed) = (self.limit, Ok(()));
        if left == 0 {
            return Ok(VERIFIED);
        }
        newest_first(place, &self.which.into(), |receipt| {
            failed = match self.json {
                true => writeln!(out, "{}", serde_json::json!(receipt)),
                false => line::write(&mut out, &receipt),
            };
            left -= 1;
            if left == 0 || failed.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        failed?;
        Ok(VERIFIED)
    }
}
