//! Receipts by what they say.
//!
//! In: a filter. Out: receipts, the newest first. It reads backwards and stops when it has enough or time says that
//! nothing more can come.

use std::ops::ControlFlow;

use jiff::Timestamp;

use super::place::Place;
use super::receipt::{Decision, Kind, Receipt, Seq};
use super::segments::{SegmentError, Segments};

/// What a receipt must be to be told of. An empty filter takes all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub guest: Option<u32>,
    /// `user:alice`, `alice`, `uid:1000`, `vm:120`, `vsock:1101`
    pub principal: Option<String>,
    pub kind: Option<Kind>,
    pub decision: Option<Decision>,
    pub plan: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Only receipts before this number: where the answer before ended.
    pub before: Option<Seq>,
}

impl Filter {
    pub fn takes(&self, receipt: &Receipt) -> bool {
        let named = |wanted: &String| match &receipt.principal {
            Some(who) => who.is(wanted),
            None => wanted == "provost",
        };
        self.guest.is_none_or(|guest| receipt.guest == Some(guest))
            && self.principal.as_ref().is_none_or(named)
            && self.kind.is_none_or(|kind| receipt.kind == kind)
            && self.decision.is_none_or(|decision| receipt.decision == Some(decision))
            && self.plan.as_ref().is_none_or(|plan| receipt.plan.as_ref() == Some(plan))
            && self.since.is_none_or(|since| receipt.time >= since)
            && self.until.is_none_or(|until| receipt.time < until)
    }
}

/// The intent that a receipt is, or that it closes.
pub fn intent(place: &Place, seq: Seq) -> Result<Receipt, String> {
    let read = |seq: Seq| -> Result<Receipt, String> {
        let segments = Segments::open(place).map_err(|error| error.to_string())?;
        let line = segments.line(seq).map_err(|error| error.to_string())?;
        Receipt::parse(&line).map_err(|_| "it cannot be read".to_owned())
    };
    let receipt = read(seq)?;
    match receipt.kind {
        Kind::Intent => Ok(receipt),
        Kind::Outcome | Kind::File => read(receipt.closes().ok_or("it records no change")?),
        kind => Err(format!("it is a {} receipt, which records no change", kind.name())),
    }
}

/// Calls `each` with what the filter takes, the newest first. A line that is no receipt is passed over: verification
/// speaks of it.
pub fn newest_first(
    place: &Place,
    filter: &Filter,
    each: impl FnMut(Receipt) -> ControlFlow<()>,
) -> Result<(), SegmentError> {
    newest_first_while(place, filter, |_| true, each)
}

/// As [`newest_first`], for who cannot look for ever: `go_on` is asked now and then, with the number that it is at.
pub fn newest_first_while(
    place: &Place,
    filter: &Filter,
    mut go_on: impl FnMut(Seq) -> bool,
    mut each: impl FnMut(Receipt) -> ControlFlow<()>,
) -> Result<(), SegmentError> {
    /// A clock may be set back; receipts this much older end the search all the same.
    const SLACK: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);
    let segments = Segments::open(place)?;
    segments.walk_back(filter.before.unwrap_or(Seq::MAX), |seq, line| {
        if seq % 256 == 0 && !go_on(seq) {
            return ControlFlow::Break(());
        }
        let Ok(receipt) = Receipt::parse(line) else { return ControlFlow::Continue(()) };
        if filter.since.is_some_and(|since| receipt.time + SLACK < since) {
            return ControlFlow::Break(());
        }
        if filter.takes(&receipt) { each(receipt) } else { ControlFlow::Continue(()) }
    })
}

/// A point in time as people write it: `2026-01-31`, `2026-01-31T10:00:00Z`, `today`, `2h`, `30 min ago`.
pub fn time(text: &str) -> Result<Timestamp, String> {
    let zone = jiff::tz::TimeZone::system();
    let now = Timestamp::now();
    if text == "today" || text == "yesterday" {
        let day = now.to_zoned(zone).start_of_day().map_err(|error| error.to_string())?;
        let back = if text == "today" { 0 } else { 1 };
        let day = day.checked_sub(jiff::Span::new().days(back)).map_err(|error| error.to_string())?;
        return Ok(day.timestamp());
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    if let Ok(at) = text.parse::<jiff::civil::DateTime>() {
        return at.to_zoned(zone).map(|at| at.timestamp()).map_err(|error| error.to_string());
    }
    let span = text.parse::<jiff::Span>().ok();
    let past = span.and_then(|span| now.to_zoned(zone).checked_sub(span.abs()).ok());
    past.map(|past| past.timestamp()).ok_or_else(|| {
        format!(
            "'{text}' is no time; write 2026-01-31, 2026-01-31T10:00:00Z, today, yesterday, 2h or \"30m ago\""
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now = Timestamp::now();
        for (text, seconds) in [("2h", 7200), ("30m ago", 1800), ("1h 30m", 5400), ("7d", 604_800)] {
            let back = now.duration_since(time(text).unwrap()).as_secs();
            // A day may be one on which clocks are set.
            let slack = if seconds > 7200 { 3601 } else { 1 };
            assert!((back - seconds).abs() <= slack, "{text}: {back}");
        }
        assert_eq!(time("2026-01-31T10:00:00Z").unwrap().to_string(), "2026-01-31T10:00:00Z");
        assert!(time("2026-01-31").is_ok() && time("today").unwrap() <= now && time("yesterday").is_ok());
        assert!(time("soon").unwrap_err().contains("today"));
    }
}
