//! The rows of `table.txt`. One that cannot be read is as if it were not there, so its endpoint is closed; a test sees
//! to it that there is none.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::Form;
use crate::product::Product;

/// What one GET says of guests.
#[derive(Debug, Clone)]
pub struct Row {
    pub class: Class,
    /// Whether what names no guest is shown; for [`Class::Guest`], whether a parameter may name none.
    pub others: bool,
    /// Fields that people write what they like in.
    pub without: Vec<&'static str>,
    pub why: &'static str,
}

#[derive(Debug, Clone)]
pub enum Class {
    /// About the guest that this parameter names.
    Guest(Key),
    /// Each row, or the one object, is judged by what these keys hold.
    Rows(Vec<Key>),
    /// Says nothing of guests.
    Plain,
    /// May speak of any guest.
    Closed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// `.` is what stands there itself: each name of an object's members, each text of a list.
    pub name: &'static str,
    pub form: Form,
    /// Other guests are taken out of it; it does not say whose the row is.
    pub only_trims: bool,
}

const TEXT: &str = include_str!("table.txt");

static ROWS: LazyLock<HashMap<String, Row>> = LazyLock::new(|| {
    lines()
        .filter_map(read)
        .flat_map(|(paths, row)| paths.into_iter().map(move |path| (path, row.clone())))
        .collect()
});

/// The row of the GET with this path template. Of the other products nobody has looked at any: they have no guests, and what
/// a backup is of is not for a role to be limited by.
pub fn of(product: Product, template: &str) -> Option<&'static Row> {
    ROWS.get(template).filter(|_| product.has_guests())
}

pub(super) fn lines() -> impl Iterator<Item = &'static str> {
    TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// A line's paths, with `{kind}` written out, and its row.
pub(super) fn read(line: &'static str) -> Option<(Vec<String>, Row)> {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let [path, class, why] = cells[..] else { return None };
    let paths = match path.contains("{kind}") {
        true => ["lxc", "qemu"].map(|kind| path.replace("{kind}", kind)).to_vec(),
        false => vec![path.to_owned()],
    };
    let mut words = class.split_whitespace();
    let name = words.next()?;
    let (mut keys, mut without, mut others) = (Vec::new(), Vec::new(), false);
    for word in words {
        match word.strip_prefix('-') {
            Some(field) => without.push(field),
            None if word == "others" => others = true,
            None => keys.push(key(word)?),
        }
    }
    let class = match (name, keys.len()) {
        ("guest", 1) => Class::Guest(keys.remove(0)),
        ("rows", 1..) => Class::Rows(keys),
        ("plain", 0) => Class::Plain,
        ("closed", 0) if without.is_empty() && !others => Class::Closed,
        _ => return None,
    };
    Some((paths, Row { class, others, without, why }))
}

fn key(word: &'static str) -> Option<Key> {
    let (only_trims, word) = match word.strip_prefix('~') {
        Some(word) => (true, word),
        None => (false, word),
    };
    let (name, form) = match word.split_once('=') {
        Some((name, form)) => (name, Form::parse(form)?),
        None => (word, Form::of_key(word)?),
    };
    Some(Key { name, form, only_trims })
}
