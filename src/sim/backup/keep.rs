//! Which backups of a group a retention keeps: for each rule, newest first, the last of each period that no rule before has.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use super::{Backup, Call};

/// A rule, and how the periods that it counts are called.
const RULES: [(&str, &str); 5] = [
    ("keep-hourly", "%Y-%m-%d %H"),
    ("keep-daily", "%Y-%m-%d"),
    ("keep-weekly", "%G-%V"),
    ("keep-monthly", "%Y-%m"),
    ("keep-yearly", "%Y"),
];

/// Whether each backup is kept; all are, where no rule is given.
pub(super) fn keep(call: &Call<'_>, backups: &BTreeMap<i64, Backup>) -> BTreeMap<i64, bool> {
    let given = |name: &str| call.number(name).filter(|count| *count > 0);
    let has_any = given("keep-last").is_some() || RULES.iter().any(|(name, _)| given(name).is_some());
    let mut kept: BTreeSet<i64> =
        backups.iter().filter(|(_, one)| one.protected).map(|(time, _)| *time).collect();
    if !has_any {
        return backups.keys().map(|time| (*time, true)).collect();
    }
    let mut by_rule: BTreeSet<i64> = BTreeSet::new();
    by_rule.extend(backups.keys().rev().take(given("keep-last").unwrap_or(0) as usize));
    for (name, period) in RULES {
        let Some(most) = given(name) else { continue };
        let of = |time: i64| {
            let at = jiff::Timestamp::from_second(time).unwrap_or_default().to_zoned(TimeZone::UTC);
            at.strftime(period).to_string()
        };
        let covered: BTreeSet<String> = by_rule.iter().map(|time| of(*time)).collect();
        let mut seen = BTreeSet::new();
        for time in backups.keys().rev() {
            if seen.len() as i64 >= most {
                break;
            }
            if !covered.contains(&of(*time)) && seen.insert(of(*time)) {
                by_rule.insert(*time);
            }
        }
    }
    kept.extend(by_rule);
    backups.keys().map(|time| (*time, kept.contains(time))).collect()
}
