//! `provost approve` and `provost deny`: the whole plan first, then the answer.
//!
//! What is sent along is the hash of what was shown: an answer counts for that and nothing else.

use std::io::{self, BufRead, IsTerminal, Write};

use super::{Answer, Client, Done, Failed, show};
use crate::control::{Ask, Decided, Line, Plans, Shown};
use crate::text::clean;

/// Characters of an id that are enough to look for it.
const SHORTEST: usize = 4;

pub fn run(answer: &Answer, approve: bool) -> Done {
    let client = Client::at(&answer.at)?;
    let id = whole(&answer.id, || Ok(client.ask::<Plans>(&Ask::Plans {})?.plans))?;
    let plan: Shown = client.ask(&Ask::Plan { id: id.clone() })?;
    let mut out = anstream::stdout().lock();
    show::plan(&mut out, &plan)?;
    out.flush()?;
    // No is what silence would say too: it needs no second word.
    if approve && !answer.yes && !asked(&mut out, &io::stdin())? {
        writeln!(
            out,
            "Nothing was said; the plan waits on. `provost deny {}` says no.",
            &id[..8.min(id.len())]
        )?;
        return Ok(());
    }
    let decide = Ask::Decide { id, sha256: plan.sha256, approve, why: answer.why.clone() };
    let decided: Decided = client.ask(&decide)?;
    show::decided(&mut out, &decided)
}

fn asked(out: &mut impl Write, input: &io::Stdin) -> Result<bool, Failed> {
    if !input.is_terminal() {
        let no_one =
            "standard input is no terminal, so nobody can be asked; --yes approves what was shown above";
        return Err(Failed::Wrong(no_one.into()));
    }
    write!(out, "\nApprove it? [y/N] ")?;
    out.flush()?;
    let mut line = String::new();
    input.lock().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

/// The id that begins so.
fn whole(given: &str, plans: impl FnOnce() -> Result<Vec<Line>, Failed>) -> Result<String, Failed> {
    let given = given.trim().to_ascii_lowercase();
    if given.len() == 32 {
        return Ok(given);
    }
    let shown = clean(given.as_bytes());
    if given.len() < SHORTEST || !given.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Failed::Wrong(format!(
            "\"{shown}\" is no plan's id: 32 hexadecimal digits, or the first of them, {SHORTEST} at least"
        )));
    }
    let mut found: Vec<String> =
        plans()?.into_iter().map(|plan| plan.id).filter(|id| id.starts_with(&given)).collect();
    match (found.pop(), found.is_empty()) {
        (Some(id), true) => Ok(id),
        (Some(_), false) => {
            Err(Failed::Wrong(format!("more than one plan begins with \"{shown}\"; give more of it")))
        }
        (None, _) => {
            Err(Failed::Wrong(format!("no plan of those that you may know of begins with \"{shown}\"")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str) -> Line {
        Line {
            id: id.into(),
            state: "waiting".into(),
            asked_by: String::new(),
            role: String::new(),
            endpoint: String::new(),
            guest: None,
            summary: Vec::new(),
            because: Vec::new(),
            expires: jiff::Timestamp::UNIX_EPOCH,
            decided_by: None,
            decided_at: None,
            receipt: 0,
        }
    }

    #[test]
    fn the_first_characters_name_a_plan_where_no_other_begins_with_them() {
        let (one, two) = ("abcd1".repeat(6) + "00", "abce2".repeat(6) + "00");
        for (given, found) in [
            (one.as_str(), Some(&one)),
            ("ABCD", Some(&one)),
            ("abce2", Some(&two)),
            ("abc", None),
            ("abcf", None),
            ("--yes", None),
            ("../../x", None),
        ] {
            let whole = whole(given, || Ok(vec![line(&one), line(&two)]));
            assert_eq!(whole.as_ref().ok(), found, "{given}");
        }
        assert!(whole("abcd", || Ok(vec![line(&one), line(&one)])).is_err());
    }
}
