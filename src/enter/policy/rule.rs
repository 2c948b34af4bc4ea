//! One line of a version 2 policy: `syscall [action [conditions]]`.

use libseccomp::{ScmpAction, ScmpArgCompare, ScmpCompareOp};

use super::number;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Allow,
    Kill,
    Errno(u16),
    Trap,
    Notify,
}

/// A rule that counts on this machine.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    pub(super) line: usize,
    /// A name for libseccomp to resolve; of a mistaken line, anything else.
    pub(super) syscall: String,
    pub(super) action: Action,
    /// All of them must hold for the action to be taken.
    pub(super) conditions: Vec<ScmpArgCompare>,
}

impl Action {
    /// Reads the action that `text` starts with; on an error, what was expected. Spaces have been skipped.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.starts_with("kill") {
            Ok(Self::Kill)
        } else if let Some(number) = text.strip_prefix("errno") {
            let (number, _) = number::decimal(number).ok_or("a decimal number after `errno`")?;
            // The kernel has 16 bits for it, and LXC cuts it to them.
            Ok(Self::Errno((number & 0xffff) as u16))
        } else if text.starts_with("allow") {
            Ok(Self::Allow)
        } else if text.starts_with("trap") {
            Ok(Self::Trap)
        } else if text.starts_with("notify") {
            Ok(Self::Notify)
        } else {
            Err("an action: allow, kill, errno NUMBER, trap or notify")
        }
    }

    pub(super) fn to_seccomp(self) -> ScmpAction {
        match self {
            Self::Allow => ScmpAction::Allow,
            // Of the thread, not the process: what LXC's `kill` has always been.
            Self::Kill => ScmpAction::KillThread,
            Self::Errno(number) => ScmpAction::Errno(number.into()),
            Self::Trap => ScmpAction::Trap,
            Self::Notify => ScmpAction::Notify,
        }
    }
}

/// Reads a line that is neither comment nor header. `None` is a line that says nothing (spaces, or a comment
/// after spaces); an error says what was expected.
pub(super) fn parse(line: usize, text: &str, default: Action) -> Result<Option<Rule>, &'static str> {
    let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim_start_matches(' ');
    let silent = rest.is_empty() || rest.starts_with('#');
    let action = if silent { default } else { Action::parse(rest)? };
    // LXC looks for a bracket anywhere in the line, a comment included.
    let conditions = if text.contains('[') { conditions(text)? } else { Vec::new() };
    if name.is_empty() && silent {
        return Ok(None);
    }
    if name.starts_with("reject_force_umount") {
        return Ok(Some(force_umount(line)));
    }
    Ok(Some(Rule { line, syscall: name.to_owned(), action, conditions }))
}

/// `reject_force_umount`, whatever action is written after it: umount2 with MNT_FORCE answers EACCES.
fn force_umount(line: usize) -> Rule {
    const MNT_FORCE: u64 = libc::MNT_FORCE as u64;
    Rule {
        line,
        syscall: "umount2".to_owned(),
        action: Action::Errno(libc::EACCES as u16),
        conditions: vec![ScmpArgCompare::new(1, ScmpCompareOp::MaskedEqual(MNT_FORCE), MNT_FORCE)],
    }
}

/// The conditions of a line, in brackets one after the other. Those after the sixth are not read: a call has
/// six arguments, and libseccomp refuses two conditions on one.
fn conditions(text: &str) -> Result<Vec<ScmpArgCompare>, &'static str> {
    const MAX_CONDITIONS: usize = 6;
    text.split(']').filter(|piece| !piece.is_empty()).take(MAX_CONDITIONS).map(condition).collect()
}

/// `[index,value,op]` or `[index,value,op,mask]`, the closing bracket already gone: the argument compared
/// with the value; under `&=`, what the mask leaves of the argument. Nothing may stand after the last one.
fn condition(piece: &str) -> Result<ScmpArgCompare, &'static str> {
    /// What LXC has room for: longer ones it does not read, or cuts.
    const MAX_DIGITS: usize = 23;
    const FORM: &str = "conditions of the form [index,value,op] or [index,value,op,mask], and nothing after";

    let (_, inner) = piece.split_once('[').ok_or(FORM)?;
    let (index, rest) = number::prefixed(inner).ok_or(FORM)?;
    let (value, rest) = rest.strip_prefix(',').and_then(|rest| rest.split_once(',')).ok_or(FORM)?;
    let (op, rest) =
        rest.split_at(rest.find(|c: char| c.is_ascii_digit() || "^,".contains(c)).unwrap_or(rest.len()));
    let mask = rest.strip_prefix(',').and_then(|rest| rest.split(',').next()).filter(|mask| !mask.is_empty());

    let index = u32::try_from(index).ok().filter(|index| *index < 6).ok_or("an argument's index, 0 to 5")?;
    let number = |text: &str| if text.len() > MAX_DIGITS { None } else { number::unsigned(text) };
    let value = number(value).ok_or("a value of 64 bits, such as 42, 0x2a or 052")?;
    let mask = number(mask.unwrap_or("0")).ok_or("a mask of 64 bits, such as 61440 or 0xf000")?;
    let op = match op {
        "SCMP_CMP_NE" | "!=" => ScmpCompareOp::NotEqual,
        "SCMP_CMP_LT" | "<" => ScmpCompareOp::Less,
        "SCMP_CMP_LE" | "<=" => ScmpCompareOp::LessOrEqual,
        "SCMP_CMP_EQ" | "==" => ScmpCompareOp::Equal,
        "SCMP_CMP_GE" | ">=" => ScmpCompareOp::GreaterEqual,
        "SCMP_CMP_GT" | ">" => ScmpCompareOp::Greater,
        "SCMP_CMP_MASKED_EQ" | "&=" => ScmpCompareOp::MaskedEqual(mask),
        _ => return Err("a comparison: != < <= == >= > &= or its SCMP_CMP_ name"),
    };
    Ok(ScmpArgCompare::new(index, op, value))
}
