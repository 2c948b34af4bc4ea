//! What could not be read or understood, by name: so that "nothing depends on it" is never said of what was not seen.
//!
//! A finding names the file, the line and the key. It never repeats the line: there may be a secret in it.

use std::fmt;

use thiserror::Error;

use super::part::Part;

/// Findings that one file may add. A file of a million broken lines is one broken file.
pub const MOST_OF_A_FILE: usize = 20;

/// Something in one file that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Under /etc/pve, or the API's path.
    pub file: Box<str>,
    /// From 1; 0 for the file as a whole.
    pub line: u32,
    pub what: What,
}

impl Finding {
    #[must_use]
    pub fn of(file: &str, what: What) -> Self {
        Self { file: file.into(), line: 0, what }
    }

    /// Which part of the estate is then known incompletely.
    #[must_use]
    pub fn part(&self) -> Part {
        Part::of(&self.file)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.file)?;
        if self.line > 0 {
            write!(out, ":{}", self.line)?;
        }
        write!(out, ": {}", self.what)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum What {
    #[error("may not be read: permission denied")]
    Denied,
    #[error("could not be read: {0}")]
    Failed(Box<str>),
    #[error("is larger than {0} bytes, which nothing in /etc/pve is")]
    TooLarge(u64),
    #[error("is no plain file")]
    NotAFile,
    #[error("was being replaced while it was read, each time")]
    Moving,
    #[error("holds bytes that are not UTF-8")]
    NotText,
    #[error("is not what PVE writes there: {0}")]
    Malformed(Box<str>),
    #[error("cannot be understood; PVE ignores this line too")]
    Line,
    #[error("'{0}' cannot be understood")]
    Value(Box<str>),
    #[error("the section '{0}' is of no known kind")]
    Section(Box<str>),
    #[error("'{0}' stands there twice; the last counts")]
    Twice(Box<str>),
    #[error("guest {0} is on more than one node")]
    Duplicate(u32),
    #[error("the parents of snapshot '{0}' go round in a circle")]
    Circle(Box<str>),
    #[error("and {0} more like these")]
    More(usize),
}

impl What {
    /// Whether something may depend on something that is therefore not seen. What PVE itself ignores hides nothing.
    #[must_use]
    pub fn hides(&self) -> bool {
        match self {
            Self::Line | Self::Twice(_) | Self::Duplicate(_) | Self::Circle(_) | Self::NotText => false,
            Self::Denied | Self::Failed(_) | Self::TooLarge(_) | Self::NotAFile | Self::Moving => true,
            Self::Malformed(_) | Self::Value(_) | Self::Section(_) | Self::More(_) => true,
        }
    }
}

/// The findings of one file, bounded.
#[derive(Debug)]
pub struct Findings<'a> {
    file: &'a str,
    list: Vec<Finding>,
    more: usize,
}

impl<'a> Findings<'a> {
    #[must_use]
    pub fn new(file: &'a str) -> Self {
        Self { file, list: Vec::new(), more: 0 }
    }

    pub fn add(&mut self, line: u32, what: What) {
        if self.list.len() < MOST_OF_A_FILE {
            self.list.push(Finding { file: self.file.into(), line, what });
        } else {
            self.more += 1;
        }
    }

    #[must_use]
    pub fn finish(mut self) -> Vec<Finding> {
        if self.more > 0 {
            self.list.push(Finding::of(self.file, What::More(self.more)));
        }
        self.list
    }
}

/// A name out of a file, short enough to repeat.
#[must_use]
pub fn shown(name: &str) -> Box<str> {
    crate::text::clean(crate::text::beginning(name, 64).as_bytes()).into()
}
