//! A file's bytes as text, for as long as it is parsed. There may be secrets in it: what had to be copied is wiped.

use std::ops::Deref;

use zeroize::Zeroizing;

use super::finding::{Findings, What};

/// Dereferences to the text.
#[derive(Debug)]
pub enum Text<'a> {
    Borrowed(&'a str),
    /// With U+FFFD for what is no UTF-8.
    Mended(Zeroizing<String>),
}

impl<'a> Text<'a> {
    pub fn new(bytes: &'a [u8], findings: &mut Findings<'_>) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Borrowed(text),
            Err(error) => {
                let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
                findings.add(u32::try_from(line).unwrap_or(u32::MAX), What::NotText);
                Self::Mended(Zeroizing::new(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Mended(text) => text,
        }
    }
}
