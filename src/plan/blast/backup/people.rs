//! Who is not let in any more, or loses rights, or the backups that are theirs.

use std::collections::BTreeSet;

use super::shelf::{Group, Shelf, word};
use super::{Found, Severity, many};
use crate::plan::fields::truth;

/// A user that goes, or is barred: its tokens with it, and the backups that only it, or whoever may do all, can go on with.
pub async fn user(shelf: &Shelf<'_>, own: &[String], found: &mut Found, removed: bool) {
    let Some(user) = shelf.text("userid") else { return };
    if !removed && !shelf.is_off("enable") && !is_past(shelf) {
        return;
    }
    let why = match removed {
        true => "the user is removed, and can no longer log in",
        false => "the user is disabled, and can no longer log in",
    };
    found.hit(format!("user {user}"), Severity::LosesAccess, why);
    let rows =
        shelf.rows("the user's tokens", "/access/users/{userid}/token", &[("userid", &user)], &[]).await;
    let mut ids: Vec<String> = rows.iter().map(|row| format!("{user}!{}", word(row, "token-name"))).collect();
    // Its own token may not see itself listed.
    ids.extend(own.iter().filter(|id| id.starts_with(&format!("{user}!"))).cloned());
    ids.sort();
    ids.dedup();
    for id in &ids {
        refused(own, found, id, "its user is not let in any more");
    }
    let is_theirs = |owner: &str| owner == user || owner.starts_with(&format!("{user}!"));
    let until = match removed {
        true => TO_ANOTHER,
        false => "until the user is let in again, or somebody else owns the group",
    };
    orphaned(shelf, found, &is_theirs, until).await;
    // Who is barred keeps them for the time after.
    if removed {
        rights_of(shelf, found, &|who| is_theirs(who)).await;
    }
}

pub async fn token(shelf: &Shelf<'_>, own: &[String], found: &mut Found, removed: bool) {
    let (Some(user), Some(name)) = (shelf.text("userid"), shelf.text("token-name")) else { return };
    let id = format!("{user}!{name}");
    const LET_IN: &str = "until the token is let in again, or somebody else owns the group";
    let (why, until) = match removed {
        true => ("the token is removed", TO_ANOTHER),
        false if shelf.is_off("enable") => ("the token is disabled", LET_IN),
        false if is_past(shelf) => ("the token expires", LET_IN),
        false if shelf.flag("regenerate") => {
            ("the secret that it has is replaced", "until whoever backs up by the token has its new secret")
        }
        false => return,
    };
    refused(own, found, &id, why);
    orphaned(shelf, found, &|owner| owner == id, until).await;
    if removed {
        rights_of(shelf, found, &|who| who == id).await;
    }
}

fn is_past(shelf: &Shelf<'_>) -> bool {
    let expire = shelf.text("expire").and_then(|time| time.parse::<i64>().ok());
    expire.is_some_and(|time| time > 0 && time <= jiff::Timestamp::now().as_second())
}

fn refused(own: &[String], found: &mut Found, id: &str, why: &str) {
    let said = match own.iter().any(|own| own == id) {
        true => format!("{why}: it is the agent's own, which can do nothing from then on"),
        false => format!("{why}: whatever backs up or restores by it is refused"),
    };
    found.hit(format!("token {id}"), Severity::LosesAccess, said);
}

/// What it takes for the groups of whoever is no more to get a newer backup.
const TO_ANOTHER: &str = "until somebody else owns the group";

/// Groups whose owner is not let in: their next backup fails.
async fn orphaned(
    shelf: &Shelf<'_>,
    found: &mut Found,
    is_theirs: &(dyn Fn(&str) -> bool + Sync),
    until: &str,
) {
    for store in shelf.stores().await {
        for group in shelf.groups(&store, "", None).await {
            if is_theirs(&group.owner) {
                let why = format!("{} stay, and get no newer one {until}", group.told());
                found.hit(group.object(), Severity::LosesBackup, why);
            }
        }
    }
}

/// Entries that go with whoever holds them.
async fn rights_of(shelf: &Shelf<'_>, found: &mut Found, is_whose: &(dyn Fn(&str) -> bool + Sync)) {
    for row in shelf.rows("the rights", "/access/acl", &[], &[]).await {
        let who = word(&row, "ugid");
        if is_whose(&who) {
            let why = format!("{} on {} goes with it", word(&row, "roleid"), word(&row, "path"));
            found.hit(who, Severity::LosesAccess, why);
        }
    }
}

/// One entry given or taken.
pub async fn rights(shelf: &Shelf<'_>, own: &[String], found: &mut Found) {
    let who = shelf.text("auth-id").or_else(|| shelf.text("group")).unwrap_or_default();
    let (path, role) = (shelf.text("path").unwrap_or_default(), shelf.text("role").unwrap_or_default());
    let mine = match own.contains(&who) {
        true => ": it is the agent's own",
        false => "",
    };
    let rows = shelf.rows("the rights", "/access/acl", &[], &[]).await;
    let held = |row: &serde_json::Value| word(row, "ugid") == who && word(row, "path") == path;
    if shelf.flag("delete") {
        if !rows.iter().any(|row| held(row) && word(row, "roleid") == role) {
            return shelf.not_seen(format!("{who} was not seen to hold {role} on {path}"));
        }
        found.hit(who.clone(), Severity::LosesAccess, format!("it no longer holds {role} on {path}{mine}"));
        let less = with_tokens(own, found, &rows, &who, &path);
        return own_backups(shelf, found, &less, &path).await;
    }
    if role == "NoAccess" {
        found.hit(
            who.clone(),
            Severity::LosesAccess,
            format!("NoAccess on {path} takes what is held above it{mine}"),
        );
        let less = with_tokens(own, found, &rows, &who, &path);
        own_backups(shelf, found, &less, &path).await;
    }
    // What is given on a path stands in the place of what would come down from above it.
    else if !rows.iter().any(held) && path != "/" {
        let above = |row: &&serde_json::Value| {
            let at = word(row, "path");
            let at = at.trim_end_matches('/');
            word(row, "ugid") == who
                && path.starts_with(&format!("{at}/"))
                && row.get("propagate").is_none_or(|value| truth(value) != Some(false))
                && word(row, "roleid") != role
        };
        for row in rows.iter().filter(above) {
            let (held, at) = (word(row, "roleid"), word(row, "path"));
            let why =
                format!("{held}, given on {at}, no longer holds on {path}: {role} stands in its place{mine}");
            found.hit(who.clone(), Severity::LosesAccess, why);
        }
    }
}

/// Who has less where `who` has less on a path: of a user its tokens too, which have what they hold and their user does, both.
fn with_tokens(
    own: &[String],
    found: &mut Found,
    rows: &[serde_json::Value],
    who: &str,
    path: &str,
) -> BTreeSet<String> {
    let mut less = BTreeSet::from([who.to_owned()]);
    let of_user = format!("{who}!");
    let held = rows
        .iter()
        .filter(|row| word(row, "ugid").starts_with(&of_user) && word(row, "roleid") != "NoAccess");
    for row in held {
        let (id, at, role) = (word(row, "ugid"), word(row, "path"), word(row, "roleid"));
        let spreads = row.get("propagate").is_none_or(|value| truth(value) != Some(false));
        let reaches = is_within(&at, path) || is_within(path, &at) && (spreads || at == path);
        if !reaches {
            continue;
        }
        let mine = if own.contains(&id) { ": it is the agent's own" } else { "" };
        let why = format!(
            "{role}, which it holds on {at}, counts no further than its user's own rights on {path}{mine}"
        );
        found.hit(format!("token {id}"), Severity::LosesAccess, why);
        less.insert(id);
    }
    less
}

/// Whether a path is another, or lies below it.
fn is_within(path: &str, above: &str) -> bool {
    let rest = path.trim_end_matches('/').strip_prefix(above.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The backups below a path that are theirs: of a datastore, of a namespace, or of all there are.
async fn own_backups(shelf: &Shelf<'_>, found: &mut Found, whose: &BTreeSet<String>, path: &str) {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let places: Vec<(String, String)> = match &parts[..] {
        ["datastore", store, ns @ ..] => vec![((*store).to_owned(), ns.join("/"))],
        [] | ["datastore"] => shelf.stores().await.into_iter().map(|store| (store, String::new())).collect(),
        _ => return,
    };
    let mut groups: Vec<Group> = Vec::new();
    for (store, ns) in places {
        groups.extend(shelf.groups(&store, &ns, None).await);
    }
    for group in groups.into_iter().filter(|group| whose.contains(&group.owner)) {
        let why = format!("{}: they may be out of their owner's reach then", group.told());
        found.hit(group.object(), Severity::LosesAccess, why);
    }
}

pub async fn owner(shelf: &Shelf<'_>, found: &mut Found) {
    let Some(group) = shelf.named_group().await else { return };
    let new = shelf.text("new-owner").unwrap_or_default();
    if group.owner != new {
        let why = format!(
            "{} are {new}'s then: {} can neither restore them nor add to them",
            many(group.count, "backup"),
            group.owner
        );
        found.hit(group.object(), Severity::LosesAccess, why);
    }
}
