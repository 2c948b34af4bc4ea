//! What a written value means: a text, a number with its unit, a moment.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::super::flat;

/// A value, as it is written, as the text that it means: without quotes, and `null` as nothing.
pub fn meaning(written: &str) -> Cow<'_, str> {
    match written.as_bytes() {
        [b'"', .., b'"'] if flat::is_plain(written) => Cow::Borrowed(&written[1..written.len() - 1]),
        [b'"', ..] => Cow::Owned(serde_json::from_str(written).unwrap_or_default()),
        [b'n', ..] => Cow::Borrowed(""),
        _ => Cow::Borrowed(written),
    }
}

/// A number as a person or PVE writes it: `4G` is 4 × 1024³, `50%` is 0.5, a flag is 0 or 1.
pub fn number(text: &str) -> Option<f64> {
    match text {
        "true" | "yes" | "on" => return Some(1.0),
        "false" | "no" | "off" => return Some(0.0),
        _ => {}
    }
    // "inf" and "nan" are names here.
    if !text.starts_with(|c: char| c.is_ascii_digit() || "-+.".contains(c)) {
        return None;
    }
    // "nan" and "inf" are names.
    if let Some(number) = text.parse::<f64>().ok().filter(|number| number.is_finite()) {
        return Some(number);
    }
    if let Some(percent) = text.strip_suffix('%') {
        return percent.trim().parse::<f64>().ok().map(|percent| percent / 100.0);
    }
    let digits = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_suffix("iB").or_else(|| unit.strip_suffix(['B', 'b'])).unwrap_or(unit);
    let power = match unit {
        "" => 0,
        "K" | "k" => 1,
        "M" | "m" => 2,
        "G" | "g" => 3,
        "T" | "t" => 4,
        "P" | "p" => 5,
        _ => return None,
    };
    number.trim().parse::<f64>().ok().map(|number| number * 1024f64.powi(power))
}

/// A day or a moment as seconds of the epoch, as PVE has its times: UTC where nothing else is said. `2026-11-22`,
/// `2026-11-22 08:00`, `2026-11-22T08:00:00+01:00`.
pub fn seconds(text: &str) -> Option<f64> {
    // Neither a version nor a name, and without the zone's name that would be left out of it.
    let looks_so = text.len() >= "2026-11-22".len() && text.as_bytes()[4] == b'-' && !text.ends_with(']');
    if !looks_so || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let moment = text.parse::<Timestamp>().ok().or_else(|| {
        let civil = text.parse::<DateTime>().ok()?;
        civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })?;
    Some(moment.as_second() as f64)
}
