//! PVE's access list: who holds which roles where, and the calls from there to what should be held.

use std::collections::BTreeSet;

use super::pveum::{Entry, Present};
use super::steps::Step;
use super::wanted::{self, Grants, Wanted};

/// The user's rights. Where nodes share a user it keeps what the others' tokens need, and what stands at a path takes the
/// place of what comes from above it, so there theirs is said again with ours.
pub fn of_user(wanted: &Wanted, present: &Present) -> Grants {
    let user = wanted.names.user.as_str();
    let others = held("user", user, present).into_iter().flat_map(|(path, roles)| {
        let roles = roles.into_iter().filter(|role| wanted.names.is_anothers_role(role));
        roles.map(move |role| (path.clone(), role)).collect::<Vec<_>>()
    });
    let ours =
        wanted.grants.iter().flat_map(|(path, roles)| roles.iter().map(|role| (path.clone(), role.clone())));
    wanted::closed(&ours.chain(others).collect::<Vec<_>>())
}

/// What a holder has, and where.
pub fn held(kind: &str, holder: &str, present: &Present) -> Grants {
    let mut now = Grants::new();
    let is = |entry: &&Entry| entry.kind == kind && entry.ugid == holder;
    for entry in present.acl.iter().filter(is) {
        now.entry(entry.path.clone()).or_default().insert(entry.roleid.clone());
    }
    now
}

/// What makes a holder hold these roles at these paths, and nothing else anywhere.
pub fn grants(option: &str, kind: &str, holder: &str, wanted: &Grants, present: &Present) -> Vec<Step> {
    let none = BTreeSet::new();
    let over = held(kind, holder, present).into_iter().map(|(path, has)| {
        let over = has.difference(wanted.get(&path).unwrap_or(&none)).cloned().collect();
        (path, over)
    });
    let mut steps = given(option, kind, holder, wanted, present);
    steps.extend(taken(option, holder, &over.collect(), "no role of the configuration needs it there"));
    steps
}

/// What it lacks of these.
pub fn given(option: &str, kind: &str, holder: &str, wanted: &Grants, present: &Present) -> Vec<Step> {
    let (now, none) = (held(kind, holder, present), BTreeSet::new());
    let mut steps = Vec::new();
    for (path, roles) in wanted {
        let has = now.get(path).unwrap_or(&none);
        let lacks: Vec<&str> = roles.difference(has).map(String::as_str).collect();
        if !lacks.is_empty() {
            let words = ["acl", "modify", path, option, holder, "--roles", &lacks.join(",")];
            steps.push(Step::new(&words, format!("{holder} holds there {}", words_of(has))));
        }
    }
    steps
}

pub fn taken(option: &str, holder: &str, over: &Grants, why: &str) -> Vec<Step> {
    let over = over.iter().filter(|(_, roles)| !roles.is_empty());
    let step = |(path, roles): (&String, &BTreeSet<String>)| {
        let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
        Step::new(&["acl", "delete", path, option, holder, "--roles", &roles.join(",")], why)
    };
    over.map(step).collect()
}

fn words_of(roles: &BTreeSet<String>) -> String {
    match roles.is_empty() {
        true => "nothing".to_owned(),
        false => roles.iter().cloned().collect::<Vec<_>>().join(", "),
    }
}

/// Who holds a role beside our user and its tokens.
pub fn others<'a>(role: &str, user: &str, present: &'a Present) -> BTreeSet<&'a str> {
    let ours = |entry: &&Entry| entry.ugid == user || entry.ugid.starts_with(&format!("{user}!"));
    let entries = present.acl.iter().filter(|entry| entry.roleid == role && !ours(entry));
    entries.map(|entry| entry.ugid.as_str()).collect()
}
