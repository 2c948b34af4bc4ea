//! What its journal says: units that failed or fail again and again, ports that were taken, errors.
//!
//! The systemd of the container wrote it, or somebody who passes for it: it is the container's word.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::super::{Gathered, Page};
use crate::text::{brief, quoted};

/// Characters of one message.
const MOST_SAID: usize = 240;

/// An entry as `journalctl -o json` gives it: numbers are strings, what is no text is a list of bytes, what is too long null.
#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(rename = "MESSAGE", default)]
    message: Value,
    #[serde(rename = "MESSAGE_ID", default)]
    id: Value,
    #[serde(rename = "UNIT", default)]
    unit: Value,
    #[serde(rename = "_SYSTEMD_UNIT", default)]
    of: Value,
    #[serde(rename = "UNIT_RESULT", default)]
    result: Value,
    #[serde(rename = "N_RESTARTS", default)]
    restarts: Value,
    #[serde(rename = "PRIORITY", default)]
    priority: Value,
    #[serde(rename = "SYSLOG_IDENTIFIER", default)]
    by: Value,
    #[serde(rename = "_PID", default)]
    pid: Value,
    #[serde(rename = "__REALTIME_TIMESTAMP", default)]
    time: Value,
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What is no text, or what a terminal would obey, comes as bytes.
fn message(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Array(bytes) => {
            let bytes: Vec<u8> = bytes.iter().filter_map(|byte| byte.as_u64()?.try_into().ok()).collect();
            Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
        }
        value => Cow::Borrowed(text(value)),
    }
}

impl Entry {
    /// Seconds since 1970.
    fn at(&self) -> i64 {
        text(&self.time).parse::<i64>().unwrap_or_default() / 1_000_000
    }
}

fn entries(section: &str) -> Vec<Entry> {
    section.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// systemd's names of what it says: systemd/sd-messages.h.
mod said {
    pub const STARTED: &str = "39f53479d3a045ac8e11786248231fbf";
    pub const FAILED: &str = "d9b373ed55a64feb8242e02dbe79a49c";
    pub const START_FAILED: &str = "be02cf6855d2428ba40df7e9d022f03d";
    pub const RESTARTS: &str = "5eb03494b6584870a536b337290809b3";
    pub const OUT_OF_MEMORY: &str = "fe6faa94e7774663a0da52717891d8ef";
    pub const SUCCEEDED: &str = "7ad2d189f7e94e70a38c781354912448";
    /// All that was to be started at its start is: on a machine, and in a container.
    pub const UP: &[&str] = &["b07a249cd024414a82dd00cd181378ff", "eed00a68ffd84e31882105fd973abdd1"];
    /// By journald, as it starts.
    pub const JOURNAL_STARTED: &str = "f77379a8490b408bbe5f6940505a777b";
}

/// Those since the container's own last start: its kernel, and so what `journalctl` takes for a boot, is the host's.
fn since_start(entries: &[Entry]) -> &[Entry] {
    let up = entries.iter().rposition(|entry| text(&entry.pid) == "1" && said::UP.contains(&text(&entry.id)));
    let start =
        up.and_then(|up| entries[..up].iter().rposition(|entry| text(&entry.id) == said::JOURNAL_STARTED));
    &entries[start.unwrap_or_default()..]
}

#[derive(Default)]
struct Unit<'a> {
    failed: Option<(&'a str, i64)>,
    /// The greatest count that systemd gave, and when it last restarted it.
    restarts: u64,
    restarted: i64,
    oom: bool,
}

/// A loop that ended longer ago is over.
const LATELY: i64 = 900;
const HOUR: i64 = 3600;

pub fn units(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let section = gathered.section("units")?;
    let entries = entries(section);
    if entries.is_empty() {
        return Err("it has no journal that can be read: failed units and crash loops are not known; the bus cannot be \
                    asked in the inspect lane"
            .into());
    }
    let entries = since_start(&entries);
    let mut units: BTreeMap<&str, Unit<'_>> = BTreeMap::new();
    let mut errors: Vec<&Entry> = Vec::new();
    for entry in entries {
        let name = text(&entry.unit);
        let is_init = text(&entry.pid) == "1";
        if is_init && !name.is_empty() {
            let unit = units.entry(name).or_default();
            match text(&entry.id) {
                said::STARTED | said::SUCCEEDED => unit.failed = None,
                said::FAILED | said::START_FAILED => {
                    let result = Some(text(&entry.result)).filter(|result| !result.is_empty());
                    if result == Some("oom-kill") {
                        unit.oom = true;
                    }
                    let result = result.or(unit.failed.map(|(result, _)| result)).unwrap_or("failed");
                    unit.failed = Some((result, entry.at()));
                }
                said::RESTARTS => {
                    // Without a count, as older ones have it, each is one.
                    let count = text(&entry.restarts).parse().unwrap_or(unit.restarts + 1);
                    (unit.restarts, unit.restarted) = (unit.restarts.max(count), entry.at());
                }
                said::OUT_OF_MEMORY => unit.oom = true,
                _ => {}
            }
        } else if !is_init && matches!(text(&entry.priority), "0" | "1" | "2" | "3") {
            errors.push(entry);
        }
    }
    // The node's clock: journald takes the kernel's, which is the same.
    let latest = page.now;
    let mut failed = 0;
    for (name, unit) in units {
        let last = last_words(gathered, name);
        if unit.oom {
            page.flag(
                "unit_oom",
                format!("unit {name} was killed for want of memory"),
                format!("its systemd says oom-kill{last}"),
            );
        }
        let ago = latest - unit.restarted;
        if unit.restarts as f64 >= page.limit("crash_loop") && ago < LATELY {
            let evidence =
                format!("restarted {} times, last {ago} s ago, by its journal{last}", unit.restarts);
            page.flag("crash_loop", format!("unit {name} fails and is restarted again and again"), evidence);
        } else if let Some((result, at)) = unit.failed {
            failed += 1;
            let evidence = format!("result \"{result}\" {} s ago, by its journal{last}", latest - at);
            page.flag("unit_failed", format!("unit {name} failed"), evidence);
        }
    }
    errors.retain(|entry| latest - entry.at() < HOUR);
    page.fact(format!("{failed} units failed; {} errors in an hour", errors.len()));
    if errors.len() as f64 >= page.limit("errors") {
        let evidence: Vec<String> = errors.iter().rev().take(3).map(|entry| line(entry)).collect();
        page.flag(
            "errors",
            format!("{} errors in its journal within an hour", errors.len()),
            evidence.join(" | "),
        );
    }
    Ok(())
}

fn line(entry: &Entry) -> String {
    // Its beginning: among words of ours, and of a page that has little room.
    format!("{}: {}", brief(text(&entry.by), 64), quoted(&message(&entry.message), MOST_SAID))
}

/// The last that a unit's own processes wrote.
fn last_words(gathered: &Gathered, unit: &str) -> String {
    let entries = gathered.section("log").map(entries).unwrap_or_default();
    let last: Vec<String> =
        entries.iter().rev().filter(|entry| text(&entry.of) == unit).take(2).map(line).collect();
    if last.is_empty() { String::new() } else { format!("; it wrote: {}", last.join(" | ")) }
}

/// What its lines say, with their times; the oldest first.
pub fn dated(section: &str) -> Result<Vec<String>, String> {
    let entries = entries(section);
    if entries.is_empty() && section.trim() == "none" {
        return Err("it has no journal that can be read".into());
    }
    let dated = |entry: &Entry| format!("{} {}", super::super::page::date(entry.at()), line(entry));
    Ok(entries.iter().map(dated).collect())
}

/// Whether a line says that a port was taken.
pub fn is_taken(line: &str) -> bool {
    let line = line.to_lowercase();
    TAKEN.iter().any(|words| line.contains(words))
}

/// As the C library and common programs say it.
const TAKEN: &[&str] = &["address already in use", "eaddrinuse", "address in use"];

pub fn log(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let section = gathered.section("log")?;
    let entries = entries(section);
    // Without a journal, lines of syslog's files.
    let lines: Vec<(i64, String)> = match entries.is_empty() {
        false => entries.iter().map(|entry| (entry.at(), line(entry))).collect(),
        true => {
            section.lines().filter(|line| *line != "none").map(|line| (page.now, line.to_owned())).collect()
        }
    };
    if lines.is_empty() {
        return Err("it has neither a journal nor a log of syslog's that can be read".into());
    }
    page.fact(format!("the last {} lines of its log", lines.len()));
    let latest = lines.iter().map(|(at, _)| *at).max().unwrap_or_default();
    let taken = |(at, line): &&(i64, String)| latest - at < HOUR && is_taken(line);
    let found: Vec<&(i64, String)> = lines.iter().filter(taken).collect();
    if let Some((at, line)) = found.last() {
        let who = line.split(':').next().unwrap_or_default();
        let evidence = format!(
            "{} lines; the last {} s ago: {line}; it listens on {}",
            found.len(),
            latest - at,
            super::network::listening(gathered)
        );
        page.flag("port_conflict", format!("{who} wants a port that is taken"), evidence);
    }
    Ok(())
}
