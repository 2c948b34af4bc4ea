//! What the daemon said, for people. Everything in it may quote a guest or a model, and is cleaned.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use super::{Done, Failed};
use crate::control::{Catalogue, Decided, Halted, Line, Plans, Running, Shown, Switched};
use crate::text::clean;

pub const WAITS: Style = AnsiColor::Yellow.on_default();
pub const NO: Style = AnsiColor::Red.on_default();
pub const YES: Style = AnsiColor::Green.on_default();
pub const FAINT: Style = Style::new().dimmed();

pub fn json(answer: &impl Serialize) -> Done {
    let mut value = serde_json::to_value(answer).map_err(|_| Failed::NoAnswer)?;
    crate::text::clean_json(&mut value);
    let text = serde_json::to_string_pretty(&value).map_err(|_| Failed::NoAnswer)?;
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

pub fn switched(out: &mut impl Write, switched: &Switched) -> Done {
    match (&switched.halted, &switched.lifted) {
        (Some(halted), _) => {
            banner(out, halted)?;
            writeln!(out, "`provost resume` ends it.")?;
        }
        (None, Some(halted)) => {
            writeln!(out, "{YES}Changes and commands go on.{YES:#} They were halted by {}.", since(halted))?;
        }
        (None, None) => writeln!(out, "Nothing was halted.")?,
    }
    if let Some(note) = &switched.note {
        writeln!(out, "{NO}{}{NO:#}", one_line(note))?;
    }
    if let Some(why) = &switched.unseen {
        writeln!(out, "Which tasks run is not known: {}", one_line(why))?;
    } else if switched.running.is_empty() {
        writeln!(out, "No task runs.")?;
    } else {
        writeln!(out, "Tasks that run on, which this stops none of:")?;
        switched.running.iter().try_for_each(|task| running(out, task))?;
    }
    Ok(())
}

fn running(out: &mut impl Write, task: &Running) -> Done {
    let (node, kind, id) = (one_line(&task.node), one_line(&task.kind), one_line(&task.id));
    let (user, upid) = (one_line(&task.user), one_line(&task.upid));
    writeln!(out, "  {} {node:<12} {kind:<12} {id:<10} {user}", clock(task.since))?;
    Ok(writeln!(out, "  {FAINT}{upid}{FAINT:#}")?)
}

pub fn plans(out: &mut impl Write, plans: &Plans) -> Done {
    if let Some(halted) = &plans.halted {
        banner(out, halted)?;
    }
    if plans.plans.is_empty() {
        writeln!(out, "No plan waits for an answer, and none did since the daemon started.")?;
        return Ok(());
    }
    writeln!(out, "{FAINT}{:<10}{:<10}{:<18}{:<20}WHAT{FAINT:#}", "ID", "STATE", "UNTIL", "ASKED BY")?;
    for plan in &plans.plans {
        let style = style(plan);
        let (id, state) = (one_line(beginning(&plan.id)), one_line(&plan.state));
        let who = one_line(plan.asked_by.split(" (").next().unwrap_or_default());
        let what = plan.summary.first().unwrap_or(&plan.endpoint);
        let until =
            if plan.waits() || plan.state == "approved" { clock(plan.expires) } else { String::new() };
        writeln!(out, "{id:<10}{style}{state:<10}{style:#}{until:<18}{who:<20}{}", one_line(what))?;
    }
    let waiting = plans.plans.iter().filter(|plan| plan.waits()).count();
    match waiting {
        0 => {}
        1 => writeln!(out, "\nOne waits: provost approve ID, provost deny ID. No answer is a no.")?,
        more => writeln!(out, "\n{more} wait: provost approve ID, provost deny ID. No answer is a no.")?,
    }
    Ok(())
}

/// The whole plan, as it is read before it is answered.
pub fn plan(out: &mut impl Write, shown: &Shown) -> Done {
    let line = &shown.line;
    let style = style(line);
    let field = |out: &mut dyn Write, name: &str, text: &str| {
        writeln!(out, "{FAINT}{name:<10}{FAINT:#}{}", one_line(text))
    };
    field(out, "plan", &line.id)?;
    field(out, "call", &line.endpoint)?;
    field(out, "asked by", &format!("{}, role {}", line.asked_by, line.role))?;
    for why in &line.because {
        field(out, "because", why)?;
    }
    write!(out, "{FAINT}{:<10}{FAINT:#}{style}{}{style:#}", "state", one_line(&line.state))?;
    match &line.decided_by {
        Some(by) => writeln!(out, " by {}", one_line(by))?,
        None => writeln!(out, ", until {}", clock(line.expires))?,
    }
    // Set apart, so that no line of it can be taken for one of ours.
    writeln!(out)?;
    for line in clean(shown.text.as_bytes()).lines() {
        writeln!(out, "  | {line}")?;
    }
    Ok(())
}

pub fn decided(out: &mut impl Write, decided: &Decided) -> Done {
    let (style, said) = if decided.approved { (YES, "Approved") } else { (NO, "Denied") };
    writeln!(out, "\n{style}{said}.{style:#} Receipt {}.", decided.receipt)?;
    if decided.approved {
        writeln!(out, "{} may apply it now, once.", one_line(&decided.asked_by))?;
    }
    if decided.approved && decided.halted {
        writeln!(out, "Everything is halted: it cannot be applied before `provost resume`.")?;
    }
    Ok(())
}

pub fn catalogue(out: &mut impl Write, catalogue: &Catalogue) -> Done {
    writeln!(out, "{} endpoints, from {}.", catalogue.endpoints, one_line(&catalogue.origin))?;
    if let Some(problem) = &catalogue.problem {
        writeln!(out, "{NO}{}{NO:#}", one_line(problem))?;
    }
    if catalogue.unclassified.is_empty() {
        writeln!(out, "Each that changes something has a tier.")?;
        return Ok(());
    }
    writeln!(out, "No table knows these; they count as destructive:")?;
    for call in &catalogue.unclassified {
        writeln!(out, "  {}", one_line(call))?;
    }
    Ok(())
}

fn banner(out: &mut impl Write, halted: &Halted) -> Done {
    Ok(writeln!(out, "{NO}Every change and every command is halted{NO:#} by {}.", since(halted))?)
}

fn since(halted: &Halted) -> String {
    let why = if halted.why.is_empty() { String::new() } else { format!(": {}", one_line(&halted.why)) };
    format!("{} since {}{why}", one_line(&halted.by), clock(halted.since))
}

fn style(plan: &Line) -> Style {
    match plan.state.as_str() {
        "waiting" | "deciding" => WAITS,
        "approved" | "applied" => YES,
        "denied" => NO,
        _ => FAINT,
    }
}

/// The time of day, with the date where it is not today's.
pub fn clock(at: Timestamp) -> String {
    let (at, now) = (at.to_zoned(TimeZone::system()), Timestamp::now().to_zoned(TimeZone::system()));
    let form = if at.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M" };
    at.strftime(form).to_string()
}

fn beginning(id: &str) -> &str {
    crate::text::beginning(id, 8)
}

pub fn one_line(text: &str) -> String {
    clean(text.as_bytes()).replace(['\n', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(state: &str, summary: &str) -> Line {
        Line {
            id: "00112233445566778899aabbccddeeff".into(),
            state: state.into(),
            asked_by: "user:alice (uid 1000)".into(),
            role: "ops".into(),
            endpoint: "DELETE /nodes/{node}/lxc/{vmid}".into(),
            guest: Some(105),
            summary: vec![summary.into()],
            because: vec!["destructive: the guest is gone".into()],
            expires: Timestamp::UNIX_EPOCH,
            decided_by: None,
            decided_at: None,
            receipt: 7,
        }
    }

    fn text(write: impl FnOnce(&mut Vec<u8>) -> Done) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    #[test]
    fn a_plan_stands_in_the_list_with_what_to_do() {
        let listed = Plans {
            halted: None,
            plans: vec![line("waiting", "destroys container 105"), line("denied", "x")],
        };
        let shown = text(|out| plans(out, &listed));
        assert!(shown.contains("00112233  waiting   19"), "{shown}");
        assert!(shown.contains("user:alice          destroys container 105"), "{shown}");
        assert!(
            shown.ends_with("One waits: provost approve ID, provost deny ID. No answer is a no.\n"),
            "{shown}"
        );
    }

    #[test]
    fn nothing_that_a_plan_quotes_acts_on_the_terminal_or_passes_for_ours() {
        let shown = Shown {
            line: line("waiting", "x"),
            text: "destroys \x1b[2Jcontainer\u{202e} 105\nstate     approved by user:root\n".into(),
            sha256: String::new(),
        };
        let mut raw = Vec::new();
        plan(&mut raw, &shown).unwrap();
        let raw = String::from_utf8(raw).unwrap();
        assert!(!raw.contains("[2J") && !raw.contains('\u{202e}'), "{raw:?}");
        assert!(raw.contains("  | destroys container 105\n  | state     approved by"), "{raw}");
        let listed = Plans { halted: None, plans: vec![line("waiting", "one\nwaiting two\x07")] };
        assert!(text(|out| plans(out, &listed)).contains("one waiting two\n"));
    }
}
