//! What setup asks a person at a terminal, each question with the answer that Enter gives. Each has a flag that answers it.

use std::io::{self, BufRead, Write};
use std::path::Path;

use super::settings::{Change, Role};
use super::{Failed, Setup, wanted};
use crate::config::{Config, GuestTerm, Member};

/// What the flags say, without a question. `token`: where the daemon's own is to be, if that is another place than now.
pub fn told(verb: &Setup, now: &Config, token: Option<String>) -> Change {
    let shared = token.as_deref().map_or(now.pve.token.as_path(), Path::new);
    let named = verb.role.is_some()
        || verb.profile.is_some()
        || verb.own_token
        || verb.exec.is_some()
        || !(verb.members.is_empty() && verb.guests.is_empty());
    let name = verb.role.clone().unwrap_or_else(|| "operator".to_owned());
    let role = named.then(|| Role {
        token: verb.own_token.then(|| own_token(shared, &name)),
        name,
        profile: verb.profile.clone(),
        members: verb.members.clone(),
        guests: verb.guests.clone(),
        exec: verb.exec.clone(),
    });
    let containers = verb.containers.clone().or_else(|| verb.no_exec.then(Vec::new));
    Change { role, containers, token }
}

/// Beside the daemon's own, and of its kind.
fn own_token(shared: &Path, role: &str) -> String {
    shared.with_file_name(format!("pve-token-{}", wanted::plain(role))).display().to_string()
}

/// A first role, by question and answer.
pub fn asked(change: &mut Change) -> Result<(), Failed> {
    let mut terminal = Terminal { out: anstream::stdout().lock(), input: io::stdin().lock() };
    let role = change.role.get_or_insert_with(|| Role { name: "operator".into(), ..Role::default() });
    writeln!(
        terminal.out,
        "A role says who may do what. Profiles: observe (look), operate (and start, stop, snapshot), provision (and \
         create, change; never delete), full (and delete; waits for a person's yes)."
    )?;
    if role.profile.is_none() {
        let known = ["observe", "operate", "provision", "full"];
        let profile = terminal.ask("Profile", "provision", |word| match known.contains(&word) {
            true => Ok(word.to_owned()),
            false => Err(format!("one of {}", known.join(", "))),
        })?;
        role.profile = Some(profile);
    }
    if role.members.is_empty() {
        let by_sudo = std::env::var("SUDO_USER").ok().filter(|name| name != "root");
        let suggestion = by_sudo.map_or("group:provost".to_owned(), |name| format!("user:{name}"));
        role.members = terminal.ask("Members (user:NAME, group:NAME)", &suggestion, |line| {
            let member = |word: &str| Member::try_from(word.to_owned()).map(|_| word.to_owned());
            words(line).map(member).collect()
        })?;
    }
    if role.guests.is_empty() {
        role.guests =
            terminal.ask("Guests (ids, ranges, pool:NAME, tag:NAME; all)", "all", |line| match line {
                "all" => Ok(Vec::new()),
                line => words(line).map(term).collect(),
            })?;
    }
    if change.containers.is_none() {
        let asked =
            terminal.ask("Containers in which commands may run (ids, ranges; none)", "none", |line| {
                match line {
                    "none" => Ok(Vec::new()),
                    line => words(line).map(term).collect(),
                }
            })?;
        change.containers = (!asked.is_empty()).then_some(asked);
    }
    Ok(())
}

/// Whether a person says yes.
pub fn agreed(question: &str) -> Result<bool, Failed> {
    let mut terminal = Terminal { out: anstream::stdout().lock(), input: io::stdin().lock() };
    write!(terminal.out, "\n{question} [y/N] ")?;
    terminal.out.flush()?;
    let mut line = String::new();
    terminal.input.read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

struct Terminal<O, I> {
    out: O,
    input: I,
}

impl<O: Write, I: BufRead> Terminal<O, I> {
    fn ask<T>(
        &mut self,
        question: &str,
        suggestion: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Failed> {
        loop {
            write!(self.out, "{question} [{suggestion}]: ")?;
            self.out.flush()?;
            let mut line = String::new();
            if self.input.read_line(&mut line)? == 0 {
                return Err(Failed::Wrong("nothing was answered, and nothing was changed".into()));
            }
            let line = match line.trim() {
                "" => suggestion,
                line => line,
            };
            match read(line) {
                Ok(answer) => return Ok(answer),
                Err(why) => writeln!(self.out, "  {}", crate::text::brief(&why, 200))?,
            }
        }
    }
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split([',', ' ']).filter(|word| !word.is_empty())
}

fn term(word: &str) -> Result<String, String> {
    GuestTerm::try_from(word.to_owned()).map(|_| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_answer_is_asked_again_and_enter_takes_what_is_suggested() {
        let mut terminal = Terminal { out: Vec::new(), input: &b"nonsense\n\n"[..] };
        let answer = terminal.ask("Members", "user:alice", |line| {
            words(line)
                .map(|word| Member::try_from(word.to_owned()).map(|_| word.to_owned()))
                .collect::<Result<Vec<_>, _>>()
        });
        assert_eq!(answer.unwrap(), ["user:alice"]);
        assert!(String::from_utf8(terminal.out).unwrap().contains("user:nonsense"));
        let mut ended = Terminal { out: Vec::new(), input: &b""[..] };
        assert!(ended.ask("x", "y", |line| Ok(line.to_owned())).is_err());
    }
}
