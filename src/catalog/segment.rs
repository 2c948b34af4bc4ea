//! One segment of a path, between wire and meaning: decoded once, refused where it could mean another path to somebody
//! else, and encoded whole.

use percent_encoding::percent_decode_str;
use thiserror::Error;

/// Longer paths are nobody's: PVE's longest names are volume ids.
pub(super) const MAX_PATH: usize = 4096;

/// The parameters of paths whose values may hold a slash: a volume id, a UPID, a network, a nested pool.
const SLASHED: [&str; 4] = ["cidr", "poolid", "upid", "volume"];

/// Why a path is no path, whatever it would have named.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum PathFault {
    #[error("does not begin with '/'")]
    Relative,
    #[error("is longer than {MAX_PATH} bytes")]
    TooLong,
    #[error("has an empty segment: a '/' at its end, or two together")]
    EmptySegment,
    #[error("has a segment '.' or '..'")]
    Dots,
    #[error("holds a '?' or a '#'; parameters are given beside the path, not in it")]
    Query,
    #[error("holds a control character")]
    Control,
    #[error("is no UTF-8 once it is decoded")]
    NotUtf8,
    #[error("has a '%' without two hexadecimal digits after it")]
    Percent,
    #[error("is encoded twice")]
    EncodedTwice,
    #[error("has a '/' within a name that cannot hold one")]
    Slash,
}

/// What a segment says. It may hold slashes, between which nothing is empty or points upwards.
pub(super) fn decode(segment: &str) -> Result<String, PathFault> {
    if has_stray_percent(segment) {
        return Err(PathFault::Percent);
    }
    let decoded = percent_decode_str(segment).decode_utf8().map_err(|_| PathFault::NotUtf8)?;
    // What decodes again might be decoded again by who comes next.
    if has_escape(&decoded) {
        return Err(PathFault::EncodedTwice);
    }
    vouch(&decoded)?;
    Ok(decoded.into_owned())
}

/// A value as one segment.
pub(super) fn encode(value: &str, parameter: &str) -> Result<String, PathFault> {
    vouch(value)?;
    if has_escape(value) {
        return Err(PathFault::EncodedTwice);
    }
    if value.contains('/') && !may_hold_slash(parameter) {
        return Err(PathFault::Slash);
    }
    Ok(crate::http::encoded(value).to_string())
}

pub(super) fn may_hold_slash(parameter: &str) -> bool {
    SLASHED.contains(&parameter)
}

/// Checks what a segment says.
fn vouch(value: &str) -> Result<(), PathFault> {
    if value.contains(['?', '#']) {
        return Err(PathFault::Query);
    }
    if value.chars().any(char::is_control) {
        return Err(PathFault::Control);
    }
    for part in value.split('/') {
        match part {
            "" => return Err(PathFault::EmptySegment),
            "." | ".." => return Err(PathFault::Dots),
            _ => {}
        }
    }
    Ok(())
}

fn escapes(text: &str) -> impl Iterator<Item = bool> {
    text.bytes().enumerate().filter(|(_, byte)| *byte == b'%').map(|(at, _)| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

fn has_stray_percent(text: &str) -> bool {
    escapes(text).any(|complete| !complete)
}

fn has_escape(text: &str) -> bool {
    escapes(text).any(|complete| complete)
}
