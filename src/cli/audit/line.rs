//! A receipt as one line for a person.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use crate::ledger::{Decision, Kind, Receipt};
use crate::text::clean;

/// Writes the line, with colours that `anstream` takes out where nobody sees them.
pub fn write(to: &mut impl Write, receipt: &Receipt) -> io::Result<()> {
    let style = style(receipt);
    let faint = Style::new().dimmed();
    let when = receipt.time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let who = shown(&receipt.principal_name());
    write!(to, "{faint}{:>7} {when}{faint:#} {style}{:<8}{style:#} {who}", receipt.seq, receipt.kind.name())?;
    if let Some(guest) = receipt.guest {
        write!(to, " guest {guest}")?;
    }
    writeln!(to, " {}", summary(receipt))
}

/// What was asked or happened, and why, in plain text.
pub fn summary(receipt: &Receipt) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(receipt.endpoint.as_deref().map(shown));
    parts.extend(detail(receipt));
    parts.extend(
        receipt.decision.filter(|decision| *decision != Decision::Allowed).map(|it| it.name().to_owned()),
    );
    let mut text = parts.join(" · ");
    if let Some(why) = &receipt.why {
        text += &format!("{}{}", if text.is_empty() { "" } else { ": " }, shown(why));
    }
    text
}

fn detail(receipt: &Receipt) -> Option<String> {
    let body = &receipt.body;
    let text = |key: &str| body[key].as_str().map(shown);
    match receipt.kind {
        Kind::Start => Some(format!("Provost {} with {} receipts", text("version")?, body["size"])),
        Kind::Session | Kind::Repair => {
            text("event").or_else(|| text("what")).map(|what| what.replace('_', " "))
        }
        Kind::Intent => argv(body).or_else(|| text("act")),
        Kind::Exec => {
            let ended = match (&body["exit_code"], &body["signal"]) {
                (Value::Number(code), _) => format!("exit {code}"),
                (_, Value::Number(signal)) => format!("signal {signal}"),
                _ => "no end".into(),
            };
            Some(format!("{} → {ended}", argv(body)?))
        }
        Kind::File => Some(format!("{} {}", text("act")?, text("path")?)),
        Kind::Outcome => Some(format!("{} (of #{})", text("result")?, body["of"])),
        Kind::Approval => Some(format!("of #{}, {}", body["of"], text("how")?)),
        Kind::Plan => Some(format!("{}, risk {}", text("tier")?, text("risk")?)),
        Kind::Refusal => text("code"),
        Kind::Halt => Some(if body["halted"] == true { "halted".into() } else { "resumed".into() }),
        Kind::Token => Some(format!("{} {}, as {}", text("token")?, text("event")?, text("acts_as")?)),
        Kind::Read => None,
    }
}

fn argv(body: &Value) -> Option<String> {
    match &body["argv"] {
        Value::Array(argv) => {
            let words: Vec<String> = argv.iter().filter_map(Value::as_str).map(quoted).collect();
            Some(words.join(" "))
        }
        Value::Object(hash) => {
            Some(format!("a command of {} words, sha256 {}", hash["count"], hash["sha256"]))
        }
        _ => None,
    }
}

/// A word as a shell takes it.
pub fn quoted(word: &str) -> String {
    let word = shown(word);
    let plain = |character: char| character.is_alphanumeric() || "_-./=:,+@%".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// On one line, and nothing in it that a terminal would obey.
pub fn shown(text: &str) -> String {
    clean(text.as_bytes()).replace(['\n', '\t'], " ")
}

fn style(receipt: &Receipt) -> Style {
    let colour = |colour: AnsiColor| colour.on_default();
    match (receipt.kind, receipt.decision) {
        (_, Some(Decision::Refused)) | (Kind::Refusal, _) => colour(AnsiColor::Red).bold(),
        (Kind::Halt | Kind::Repair, _) => colour(AnsiColor::Magenta).bold(),
        (_, Some(Decision::Held)) | (Kind::Plan | Kind::Approval | Kind::Token, _) => {
            colour(AnsiColor::Yellow)
        }
        (Kind::Intent | Kind::Outcome | Kind::Exec | Kind::File, _) => colour(AnsiColor::Green),
        (Kind::Start | Kind::Session, _) => colour(AnsiColor::Cyan),
        (Kind::Read, _) => Style::new(),
    }
}
