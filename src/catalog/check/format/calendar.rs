//! Calendar events: the part of systemd's grammar that PVE takes.
//!
//! `mon..fri 02:30`, `*-*-01 04:00:00`, `*/15`, `sat`, `daily`, each with `UTC` behind it if need be. Each step takes its
//! part from the front of the text and gives what is left, or nothing where that part does not stand there.

pub(super) fn event(value: &str) -> bool {
    const WORDS: [&str; 10] = [
        "minutely",
        "hourly",
        "daily",
        "weekly",
        "monthly",
        "quarterly",
        "semiannually",
        "semi-annually",
        "yearly",
        "annually",
    ];
    let text = value.trim();
    let text = text.strip_suffix("UTC").map_or(text, |before| before.trim_end_matches(' '));
    if WORDS.contains(&text) {
        return true;
    }
    let mut rest = text;
    if text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        match list(text, weekdays) {
            Some(after) => rest = spaces(after),
            None => return false,
        }
    }
    if let Some(after) = date(rest) {
        rest = spaces(after);
    }
    let rest = time(rest).unwrap_or(rest);
    rest.is_empty() && !text.is_empty()
}

fn spaces(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// One, or several between commas.
fn list(text: &str, one: impl Fn(&str) -> Option<&str>) -> Option<&str> {
    let mut rest = one(text)?;
    while let Some(after) = rest.strip_prefix(',').and_then(&one) {
        rest = after;
    }
    Some(rest)
}

/// `mon`, `mon..fri`; `fri..mon` goes over the end of the week.
fn weekdays(text: &str) -> Option<&str> {
    let rest = weekday(text)?;
    Some(rest.strip_prefix("..").and_then(weekday).unwrap_or(rest))
}

fn weekday(text: &str) -> Option<&str> {
    const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let (word, rest) = text.split_at(text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let is = |day: &&str| day.eq_ignore_ascii_case(word) || day[..3].eq_ignore_ascii_case(word);
    DAYS.iter().any(is).then_some(rest)
}

/// `2026-12-24`, `*-*-1..7`, `12-24`.
fn date(text: &str) -> Option<&str> {
    let month_and_day = |text| field(field(text, 13)?.strip_prefix('-')?, 32);
    field(text, 2200)
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(month_and_day)
        .or_else(|| month_and_day(text))
}

/// `02:30`, `8..17:0/15`, `2:30:15`; minutes alone: `*/15`.
fn time(text: &str) -> Option<&str> {
    let minutes = field(text, 24).and_then(|rest| rest.strip_prefix(':')).unwrap_or(text);
    let rest = field(minutes, 60)?;
    Some(rest.strip_prefix(':').and_then(|seconds| field(seconds, 60)).unwrap_or(rest))
}

/// `*`, `*/10`; `5`, `5/10`, `1..5`, `1..5/2`, and several of these between commas. Every number is below `end`.
fn field(text: &str, end: u32) -> Option<&str> {
    if let Some(rest) = text.strip_prefix('*') {
        let step = rest.strip_prefix('/').and_then(|step| number(step, end));
        return Some(step.filter(|(step, _)| *step > 0).map_or(rest, |(_, rest)| rest));
    }
    list(text, |text| {
        let (first, mut rest) = number(text, end)?;
        if let Some((last, after)) = rest.strip_prefix("..").and_then(|last| number(last, end)) {
            if first > last {
                return None;
            }
            rest = after;
        }
        match rest.strip_prefix('/') {
            Some(step) => Some(number(step, end)?.1),
            None => Some(rest),
        }
    })
}

fn number(text: &str, end: u32) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    digits.parse().ok().filter(|number| *number < end).map(|number| (number, rest))
}
