//! The rows of `table.txt`: what calls ask for beside what their schema says.

use super::Place;
use crate::catalog::Method;

pub(super) const TEXT: &str = include_str!("table.txt");

pub(super) fn of(method: Method, path: &str) -> Vec<(Place, String)> {
    let row = rows().find(|(its, template, _)| *its == method && *template == path);
    let privileges = row.map(|(_, _, privileges)| privileges).unwrap_or_default();
    privileges
        .split(' ')
        .filter(|name| name.contains('.'))
        .map(|name| (place(name), name.to_owned()))
        .collect()
}

pub(super) fn rows() -> impl Iterator<Item = (Method, &'static str, &'static str)> {
    TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).filter_map(|line| {
        let (call, privileges) = line.split_once('|')?;
        let (method, path) = call.trim().split_once(' ')?;
        Some((Method::from_name(method)?, path, privileges.trim()))
    })
}

fn place(privilege: &str) -> Place {
    if privilege.starts_with("VM.") { Place::Guests } else { Place::Elsewhere }
}
