//! The text of a policy file, read as LXC reads it.

use super::arch::Host;
use super::error::PolicyError;
use super::number::{self, SPACE};
use super::rule::{self, Action, Rule};
use super::{MAX_POLICY_BYTES, MAX_RULES};

/// A policy, typed.
#[derive(Debug, PartialEq)]
pub(super) enum Policy {
    /// Version 1: these calls of the native architecture may be made, any other kills.
    Numbers(Vec<Number>),
    /// Version 2: the rules in the order of the file, without those for other machines, and what happens to
    /// a call that no rule is about.
    Names { default: Action, rules: Vec<Rule> },
}

/// A line of a version 1 policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) line: usize,
    pub(super) syscall: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// The part of the file below its first two lines.
struct Body<'a> {
    text: &'a str,
    first_line: usize,
}

/// Reads a policy for `host`.
pub(super) fn parse(text: &str, host: &Host) -> Result<Policy, PolicyError> {
    if text.len() > MAX_POLICY_BYTES {
        return Err(PolicyError::TooLong { bytes: text.len() });
    }
    if let Some(at) = text.find('\0') {
        return Err(PolicyError::Nul { line: line_at(text, at) });
    }
    let (version, rest) = version(text)?;
    let line = line_at(text, text.len() - rest.len());
    let (header, body) = rest.split_once('\n').unwrap_or((rest, ""));
    let body = Body { text: body, first_line: line + 1 };
    if header.contains("debug") {
        return Err(PolicyError::syntax(line, header, "no `debug`, which LXC does not implement"));
    }
    match version {
        Version::One => version_one(line, header, &body),
        Version::Two => version_two(line, header, &body, host),
    }
}

/// The version, and the text from the second line's first word on: any white space may stand between.
fn version(text: &str) -> Result<(Version, &str), PolicyError> {
    let (version, rest) = match number::decimal(text) {
        Some((1, rest)) => (Version::One, rest),
        Some((2, rest)) => (Version::Two, rest),
        _ => {
            let first = text.lines().next().unwrap_or_default();
            return Err(PolicyError::syntax(1, first, "the policy's version, 1 or 2"));
        }
    };
    Ok((version, rest.trim_start_matches(SPACE)))
}

fn version_one(line: usize, header: &str, body: &Body) -> Result<Policy, PolicyError> {
    if !header.contains("allowlist") {
        return Err(PolicyError::syntax(line, header, "`allowlist`, the only kind of a version 1 policy"));
    }
    let mut numbers = Vec::new();
    for (line, text) in body.lines() {
        let Some((syscall, _)) = number::decimal(text) else {
            return Err(PolicyError::syntax(line, text, "the number of a system call"));
        };
        push(&mut numbers, line, Number { line, syscall })?;
    }
    Ok(Policy::Numbers(numbers))
}

fn version_two(line: usize, header: &str, body: &Body, host: &Host) -> Result<Policy, PolicyError> {
    let starts_with = |words: [&str; 2]| words.iter().any(|word| header.starts_with(word));
    let (mut default, action) = if starts_with(["denylist", "blacklist"]) {
        (Action::Allow, Action::Kill)
    } else if starts_with(["allowlist", "whitelist"]) {
        (Action::Kill, Action::Allow)
    } else {
        return Err(PolicyError::syntax(line, header, "`denylist` or `allowlist`"));
    };
    if let Some((_, written)) = header.split_once(' ') {
        let written = written.trim_start_matches(' ');
        default = Action::parse(written).map_err(|expected| PolicyError::syntax(line, header, expected))?;
    }
    if default == Action::Notify {
        return Err(PolicyError::syntax(
            line,
            header,
            "a default other than notify, which stops every process",
        ));
    }

    let mut rules = Vec::new();
    let mut counts = true;
    for (line, text) in body.lines() {
        if text.starts_with('#') {
            continue;
        }
        if text.starts_with('[') {
            counts = host.counts(text).ok_or_else(|| {
                PolicyError::syntax(line, text, "an architecture that LXC knows, as [all] or [x86_64]")
            })?;
        } else if counts {
            let rule = rule::parse(line, text, action)
                .map_err(|expected| PolicyError::syntax(line, text, expected))?;
            if let Some(rule) = rule {
                push(&mut rules, line, rule)?;
            }
        }
    }
    Ok(Policy::Names { default, rules })
}

fn push<T>(rules: &mut Vec<T>, line: usize, rule: T) -> Result<(), PolicyError> {
    if rules.len() == MAX_RULES {
        return Err(PolicyError::TooManyRules { line });
    }
    rules.push(rule);
    Ok(())
}

impl<'a> Body<'a> {
    /// The lines with their numbers. A carriage return is part of its line, as it is for LXC.
    fn lines(&self) -> impl Iterator<Item = (usize, &'a str)> + use<'a> {
        (self.first_line..).zip(self.text.split_terminator('\n'))
    }
}

/// The number of the line in which the byte `at` stands.
fn line_at(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count()
}
