//! Where the next page begins, and of what: a cursor that was given for another question is refused.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::page::View;
use crate::tools::answer::Failure;

/// `120-9f3c…`: the row, and what was asked. It holds nothing secret and grants nothing.
pub struct Cursor {
    pub identity: u64,
    pub offset: usize,
}

/// Of a question: its endpoint with its arguments, its filter and its order.
pub fn identity(asked: &str, view: &View) -> u64 {
    let mut hasher = DefaultHasher::new();
    (asked, format!("{:?} {:?}", view.filter, view.by)).hash(&mut hasher);
    hasher.finish()
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{:016x}", self.offset, self.identity)
    }
}

impl Cursor {
    /// The row that `given` points to, or the first.
    pub fn offset(given: Option<&str>, identity: u64) -> Result<usize, Failure> {
        let Some(given) = given.filter(|given| !given.is_empty()) else { return Ok(0) };
        let parsed = given.split_once('-').and_then(|(offset, of)| {
            Some(Self { offset: offset.parse().ok()?, identity: u64::from_str_radix(of, 16).ok()? })
        });
        match parsed {
            Some(cursor) if cursor.identity == identity => Ok(cursor.offset),
            Some(_) => Err(Failure::new(
                "cursor",
                "this cursor belongs to another question",
                "repeat the call that gave it with the same path, args, where and sort, or leave the cursor out",
            )),
            None => {
                let next =
                    "take `next_cursor` of the page before as it is, or leave it out for the first page";
                Err(Failure::new("cursor", "this is no cursor", next))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_serves_the_question_that_it_was_given_for_and_no_other() {
        let view = View::default();
        let identity = identity("GET /nodes", &view);
        let text = Cursor { identity, offset: 120 }.to_string();
        assert_eq!(Cursor::offset(Some(&text), identity).ok(), Some(120));
        assert_eq!(Cursor::offset(None, identity).ok(), Some(0));
        for wrong in ["120", "x-1", "-1-00", &format!("120-{:016x}", identity ^ 1)] {
            assert_eq!(
                Cursor::offset(Some(wrong), identity).err().map(|failure| failure.kind),
                Some("cursor".into())
            );
        }
    }
}
