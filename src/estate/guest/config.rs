//! The text of a guest's configuration, taken apart as PVE does it: the current values, what is pending, PVE's own special
//! sections, and a section for each snapshot. It borrows the text and is gone with it.

use percent_encoding::percent_decode_str;

use super::Kind;
use crate::estate::finding::{Findings, What, shown};

/// Snapshots that are looked at, of one guest. PVE sets no limit, and its own calls take minutes long before this one.
pub const MOST_SNAPSHOTS: usize = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head<'a> {
    Current,
    /// What a restart would change: `[PENDING]` of a VM, `[pve:pending]` of a container.
    Pending,
    /// `[special:cloudinit]`, `[special:fleecing]`
    Special(&'a str),
    Snapshot(&'a str),
    /// PVE skips it.
    Unknown(&'a str),
}

#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub key: &'a str,
    pub value: &'a str,
    pub line: u32,
}

#[derive(Debug)]
pub struct Section<'a> {
    pub head: Head<'a>,
    /// In the order of the file. Of a key that stands there twice, the last counts.
    pub entries: Vec<Entry<'a>>,
    /// Encoded, a line each.
    description: Vec<&'a str>,
}

impl<'a> Section<'a> {
    fn new(head: Head<'a>) -> Self {
        Self { head, entries: Vec::new(), description: Vec::new() }
    }

    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.entries.iter().rev().find(|entry| entry.key == key).map(|entry| entry.value)
    }

    /// What a person wrote about the guest.
    #[must_use]
    pub fn description(&self) -> Option<String> {
        if self.description.is_empty() {
            return None;
        }
        let lines = self.description.iter().map(|line| percent_decode_str(line).decode_utf8_lossy());
        Some(lines.collect::<Vec<_>>().join("\n"))
    }
}

#[derive(Debug)]
pub struct Config<'a> {
    /// The first is the current one.
    pub sections: Vec<Section<'a>>,
}

impl<'a> Config<'a> {
    pub fn parse(kind: Kind, text: &'a str, findings: &mut Findings<'_>) -> Self {
        let mut sections = vec![Section::new(Head::Current)];
        for (number, line) in (1u32..).zip(text.lines()) {
            if line.trim_ascii().is_empty() {
                continue;
            }
            if let Some(name) = header(line) {
                if sections.len() > MOST_SNAPSHOTS {
                    findings.add(number, What::Section(shown(name)));
                    break;
                }
                begin(&mut sections, head(kind, name), number, findings);
                continue;
            }
            let Some(section) = sections.last_mut() else { break };
            if let Head::Unknown(_) = section.head {
                continue;
            }
            if let Some(comment) = line.strip_prefix('#') {
                section.description.push(comment.trim_ascii_end());
                continue;
            }
            match entry(kind, line, number) {
                Some(Entry { key: "description", value, .. }) => section.description.push(value),
                Some(entry) => section.entries.push(entry),
                None => findings.add(number, What::Line),
            }
        }
        for section in &mut sections {
            last_of_each(section, findings);
        }
        Self { sections }
    }

    #[must_use]
    pub fn current(&self) -> &Section<'a> {
        // `parse` begins with it.
        &self.sections[0]
    }

    pub fn pending(&self) -> Option<&Section<'a>> {
        self.sections.iter().find(|section| section.head == Head::Pending)
    }

    pub fn snapshots(&self) -> impl Iterator<Item = (&'a str, &Section<'a>)> {
        self.sections.iter().filter_map(|section| match section.head {
            Head::Snapshot(name) => Some((name, section)),
            _ => None,
        })
    }
}

/// A section that begins anew replaces the one before it, as in PVE.
fn begin<'a>(sections: &mut Vec<Section<'a>>, head: Head<'a>, line: u32, findings: &mut Findings<'_>) {
    match head {
        Head::Unknown(name) => findings.add(line, What::Section(shown(name))),
        Head::Snapshot(name) | Head::Special(name) if has(sections, head) => {
            findings.add(line, What::Twice(shown(name)));
            sections.retain(|section| section.head != head);
        }
        Head::Pending if has(sections, head) => {
            findings.add(line, What::Twice("pending".into()));
            sections.retain(|section| section.head != head);
        }
        _ => {}
    }
    sections.push(Section::new(head));
}

fn has(sections: &[Section<'_>], head: Head<'_>) -> bool {
    sections.iter().any(|section| section.head == head)
}

/// `[name]`, alone on its line.
fn header(line: &str) -> Option<&str> {
    let name = line.trim_ascii_end().strip_prefix('[')?.strip_suffix(']')?;
    (!name.contains(']')).then_some(name)
}

fn head(kind: Kind, name: &str) -> Head<'_> {
    let pending = if kind == Kind::Qemu { "PENDING" } else { "pve:pending" };
    if name.eq_ignore_ascii_case(pending) {
        return Head::Pending;
    }
    if kind == Kind::Qemu
        && let Some((special, rest)) = name.split_once(':')
        && special.eq_ignore_ascii_case("special")
        && matches!(rest, "cloudinit" | "fleecing")
    {
        return Head::Special(rest);
    }
    let mut bytes = name.bytes();
    let named = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && name.len() > 1
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if named { Head::Snapshot(name) } else { Head::Unknown(name) }
}

fn entry(kind: Kind, line: &str, number: u32) -> Option<Entry<'_>> {
    let lxc = kind == Kind::Lxc && line.starts_with("lxc.");
    let (key, value) = line.split_once(if lxc { [':', '='].as_slice() } else { [':'].as_slice() })?;
    let key = if lxc { key.trim_ascii_end() } else { key };
    let body = key.trim_end_matches(|c: char| c.is_ascii_digit());
    let known = body.starts_with(|c: char| c.is_ascii_lowercase())
        && body.bytes().all(|byte| match byte {
            b'_' | b'-' => true,
            b'.' | b'0'..=b'9' => lxc,
            byte => byte.is_ascii_lowercase(),
        });
    known.then(|| Entry { key, value: value.trim_ascii(), line: number })
}

/// `lxc.mount.entry` and its like may stand there many times.
fn last_of_each(section: &mut Section<'_>, findings: &mut Findings<'_>) {
    let mut order: Vec<usize> = (0..section.entries.len()).collect();
    let keys: Vec<&str> = section.entries.iter().map(|entry| entry.key).collect();
    order.sort_unstable_by_key(|index| (keys[*index], *index));
    let mut gone: Vec<usize> = order
        .windows(2)
        .filter(|pair| keys[pair[0]] == keys[pair[1]] && !keys[pair[0]].starts_with("lxc."))
        .map(|pair| pair[0])
        .collect();
    if gone.is_empty() {
        return;
    }
    gone.sort_unstable();
    for index in gone.iter().rev() {
        let entry = section.entries.remove(*index);
        findings.add(entry.line, What::Twice(shown(entry.key)));
    }
}
