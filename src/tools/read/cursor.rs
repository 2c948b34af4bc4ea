//! Where the next page begins, and of what: a cursor that was given for another question is refused.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::page::View;
use crate::tools::answer::Failure;

/// The farthest row that one may point to: no list of PVE's is as long, and what is added to it stays a number.
pub const FARTHEST: usize = 1_000_000_000;

/// `120-9f3c…-400`: the row, what was asked, and how many rows there were then. It holds nothing secret and grants nothing. A number alone is a row of
/// whatever is asked now.
pub struct Cursor {
    pub identity: u64,
    pub offset: usize,
    pub total: Option<u64>,
}

/// Of a question: its endpoint with its arguments, its filter and its order.
pub fn identity(asked: &str, view: &View) -> u64 {
    let mut hasher = DefaultHasher::new();
    (asked, format!("{:?} {:?}", view.filter, view.by)).hash(&mut hasher);
    hasher.finish()
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{:016x}", self.offset, self.identity)?;
        self.total.map_or(Ok(()), |total| write!(formatter, "-{total}"))
    }
}

impl Cursor {
    /// How many rows there were when `given` was made, if it says so.
    pub fn total(given: Option<&str>) -> Option<u64> {
        given?.splitn(3, '-').nth(2)?.parse().ok()
    }

    /// The row that `given` points to, if it is one.
    pub fn offset(given: Option<&str>, identity: u64) -> Result<Option<usize>, Failure> {
        let Some(given) = given.filter(|given| !given.is_empty()) else { return Ok(None) };
        let parsed = match given.split_once('-') {
            Some((offset, of)) => {
                let of = of.split_once('-').map_or(of, |(of, _)| of);
                let parsed = offset.parse().ok().zip(u64::from_str_radix(of, 16).ok());
                // What is not written as this writes it, to its end, was not given here.
                parsed.filter(|&(offset, identity)| {
                    Self { identity, offset, total: Self::total(Some(given)) }.to_string() == given
                })
            }
            None => given.parse().ok().map(|offset| (offset, identity)),
        };
        match parsed {
            Some((offset, _)) if offset > FARTHEST => Err(Failure::new(
                "cursor",
                format!("this cursor points beyond row {FARTHEST}, and no list is as long"),
                "take `next_cursor` of the page before as it is, or leave it out for the first page",
            )),
            Some((offset, of)) if of == identity => Ok(Some(offset)),
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
        let text = Cursor { identity, offset: 120, total: None }.to_string();
        let counted = Cursor { identity, offset: 120, total: Some(400) }.to_string();
        assert_eq!(Cursor::offset(Some(&counted), identity).ok(), Some(Some(120)));
        assert_eq!((Cursor::total(Some(&counted)), Cursor::total(Some(&text))), (Some(400), None));
        assert_eq!(Cursor::offset(Some(&text), identity).ok(), Some(Some(120)));
        assert_eq!(Cursor::offset(Some("120"), identity).ok(), Some(Some(120)));
        assert_eq!(Cursor::offset(None, identity).ok(), Some(None));
        assert_eq!(Cursor::offset(Some(""), identity).ok(), Some(None));
        let beyond = Cursor { identity, offset: FARTHEST + 1, total: None }.to_string();
        let farthest = Cursor { identity, offset: usize::MAX, total: None }.to_string();
        for wrong in [
            "x-1",
            "-1-00",
            "-1",
            "1.5",
            "18446744073709551615",
            "18446744073709551616",
            &format!("120-{:016x}", identity ^ 1),
            &beyond,
            &farthest,
            &text.repeat(1000),
            &format!("{counted}x"),
            &format!("{text}-"),
            &format!("0{text}"),
        ] {
            assert_eq!(
                Cursor::offset(Some(wrong), identity).err().map(|failure| failure.kind),
                Some("cursor".into()),
                "{wrong}"
            );
        }
    }
}
