//! What can be wrong with a policy.

use std::io;

use libseccomp::error::SeccompError;

use super::{MAX_POLICY_BYTES, MAX_RULES};

/// Why a policy is refused. Lines are counted from 1; the text is cut and escaped, for it goes to logs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    #[error("the policy has {bytes} bytes; at most {MAX_POLICY_BYTES} are read")]
    TooLong { bytes: usize },

    #[error("line {line}: a NUL byte; a policy is text")]
    Nul { line: usize },

    /// The text is not what LXC takes.
    #[error("line {line}: {text:?}: expected {expected}")]
    Syntax { line: usize, text: String, expected: &'static str },

    #[error("line {line}: more than {MAX_RULES} rules")]
    TooManyRules { line: usize },

    /// The text is right, but libseccomp cannot add the rule; LXC fails on it too.
    #[error("line {line}: {text:?}: {why} ({source})")]
    Rule { line: usize, text: String, why: &'static str, source: SeccompError },

    #[error("the filter has {instructions} instructions; the kernel takes 1 to {limit}")]
    Length { instructions: usize, limit: usize },

    #[error("libseccomp could not {what}: {source}")]
    Library { what: &'static str, source: SeccompError },

    #[error("cannot hand the filter over in memory: {0}")]
    Memory(#[source] io::Error),

    #[error("libseccomp exported {bytes} bytes, which is no whole number of instructions")]
    Export { bytes: usize },

    #[error("containers are entered on x86_64 and arm64 only")]
    Host,
}

impl PolicyError {
    pub(super) fn syntax(line: usize, text: &str, expected: &'static str) -> Self {
        Self::Syntax { line, text: excerpt(text), expected }
    }
}

/// As much of a line as a message needs.
pub(super) fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
