//! The line that a key stands on, for what is wrong by more than itself: that shows once the whole file was read.

use std::fmt;

use toml::de::{DeTable, DeValue};

/// As it stands in a message: `line 7: `; nothing where the key is not in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line(Option<usize>);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |line| write!(f, "line {line}: "))
    }
}

/// Of a key in a table; of `[[TABLE]]`, in the one with the number `at`.
pub(super) fn of(text: &str, table: &str, at: usize, key: &str) -> Line {
    let find = || {
        let whole = DeTable::parse(text).ok()?;
        let table = match whole.get_ref().get(table)?.get_ref() {
            DeValue::Table(table) => table,
            DeValue::Array(tables) => tables.get(at)?.get_ref().as_table()?,
            _ => return None,
        };
        let (key, _) = table.get_key_value(key)?;
        Some(text.get(..key.span().start)?.matches('\n').count() + 1)
    };
    Line(find())
}

/// Of the key that a message begins with: `[exec] max_output is 0, …`.
pub(super) fn of_message(text: &str, message: &str) -> Line {
    let named = message.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    let Some((table, rest)) = named else { return Line(None) };
    of(text, table, 0, rest.split([' ', ':']).next().unwrap_or_default())
}
