//! Calendar events: the part of systemd's grammar that PVE takes.
//!
//! `mon..fri 02:30`, `*-*-01 04:00:00`, `*/15`, `sat`, `daily`, each with `UTC` behind it if need be.

use super::net;

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
    let lower = value.to_ascii_lowercase();
    let mut parts: Vec<&str> = lower.split_ascii_whitespace().collect();
    if parts.last() == Some(&"utc") {
        parts.pop();
    }
    if let [word] = parts[..]
        && WORDS.contains(&word)
    {
        return true;
    }
    let Some(mut rest) = (!parts.is_empty()).then_some(&parts[..]) else { return false };
    if let [days, after @ ..] = rest
        && weekdays(days)
    {
        rest = after;
    }
    if let [day, after @ ..] = rest
        && date(day)
    {
        rest = after;
    }
    match rest {
        [] => true,
        [clock] => time(clock),
        _ => false,
    }
}

/// Its number, Monday being 0: `mon`, `monday`.
pub(super) fn weekday(text: &str) -> Option<usize> {
    const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let text = text.to_ascii_lowercase();
    DAYS.iter().position(|day| *day == text || day[..3] == *text)
}

/// `mon`, `mon..fri,sun`.
fn weekdays(text: &str) -> bool {
    text.split(',').all(|part| match part.split_once("..") {
        Some((first, last)) => {
            matches!((weekday(first), weekday(last)), (Some(first), Some(last)) if first <= last)
        }
        None => weekday(part).is_some(),
    })
}

/// `2026-12-24`, `*-*-1..7`, `12-24`.
fn date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    match parts[..] {
        [year, month, day] => field(year, 1970, 9999) && field(month, 1, 12) && field(day, 1, 31),
        [month, day] => field(month, 1, 12) && field(day, 1, 31),
        _ => false,
    }
}

/// `02:30`, `8..17:0/15`, `2:30:15`; minutes alone: `*/15`.
fn time(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        [hour, minute, second] => field(hour, 0, 23) && field(minute, 0, 59) && field(second, 0, 59),
        [hour, minute] => field(hour, 0, 23) && field(minute, 0, 59),
        [minute] => field(minute, 0, 59),
        _ => false,
    }
}

/// `*`, `5`, `5/10`, `*/10`, `1..5`, `1..5/2`, and several between commas.
fn field(text: &str, least: u32, most: u32) -> bool {
    let within = |text: &str| net::number(text, 4).filter(|number| (least..=most).contains(number));
    text.split(',').all(|part| {
        let (values, step) = part.split_once('/').unwrap_or((part, "1"));
        let values = match values.split_once("..") {
            Some((first, last)) => {
                matches!((within(first), within(last)), (Some(first), Some(last)) if first <= last)
            }
            None => values == "*" || within(values).is_some(),
        };
        values && net::number(step, 4).is_some_and(|step: u32| step > 0)
    })
}
