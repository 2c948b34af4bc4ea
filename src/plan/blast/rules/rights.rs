//! Who loses which role where, by working out everybody's rights before a change and after it.

use std::collections::BTreeSet;

use smol_str::SmolStr;

use crate::estate::Index;
use crate::estate::access::{Access, Acl, Grant, Holder, Through};
use crate::plan::blast::look::and;
use crate::plan::blast::{Found, Look, Severity};

/// PVE's role that may all.
const ALL: &str = "Administrator";

/// Entries that one sentence names.
const MOST: usize = 6;

/// What was not seen of who there is and what each may; with it, what is known.
pub fn known<'a>(look: &Look<'a>, found: &mut Found) -> &'a Access {
    let estate: &'a Index = look.estate;
    found.all(estate.granted_to("", "/"));
    &estate.cluster().access
}

/// The user of a token, or the user itself.
pub fn owner(who: &str) -> &str {
    who.split_once('!').map_or(who, |(user, _)| user)
}

pub fn tokens_of<'a>(access: &'a Access, user: &'a str) -> impl Iterator<Item = &'a SmolStr> {
    access.tokens.keys().filter(move |token| token.contains('!') && owner(token) == user)
}

pub fn is_past(expire: u64) -> bool {
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0);
    expire != 0 && expire <= now
}

/// Whether PVE lets it in at all.
pub fn is_let_in(access: &Access, who: &str) -> bool {
    let user = access.users.get(owner(who)).is_some_and(|user| user.enabled && !is_past(user.expire));
    let token = !who.contains('!') || access.tokens.get(who).is_some_and(|token| !is_past(token.expire));
    user && token
}

/// The agent's own token is named first.
pub fn named(look: &Look<'_>, who: &str) -> String {
    match who {
        _ if look.view.tokens.iter().any(|token| token == who) => format!("agent {who}"),
        _ if who.contains('!') => format!("token {who}"),
        _ => format!("user {who}"),
    }
}

/// Says that somebody is not let in any more, and so each of its tokens. `end` is why, as "its user is removed".
pub fn barred(look: &Look<'_>, found: &mut Found, access: &Access, who: &str, own: &str, end: &str) {
    if !is_let_in(access, who) {
        return;
    }
    found.hit(named(look, who), Severity::LosesAccess, sentence(look, who, own));
    if !who.contains('!') {
        for token in tokens_of(access, who).filter(|token| is_let_in(access, token)) {
            found.hit(named(look, token), Severity::LosesAccess, sentence(look, token, end));
        }
    }
}

fn sentence(look: &Look<'_>, who: &str, why: &str) -> String {
    match look.view.tokens.iter().any(|token| token == who) {
        true => format!("{why}: by this token the agent itself works, and it can do nothing more"),
        false => why.to_owned(),
    }
}

/// Every path that an entry is at.
pub fn paths<'a>(sides: impl IntoIterator<Item = &'a Access>) -> BTreeSet<SmolStr> {
    sides.into_iter().flat_map(|side| side.acls.iter().map(|acl| acl.path.clone())).collect()
}

/// Those whom an entry is for.
pub fn holders<'a>(access: &'a Access, acl: &'a Acl) -> Vec<SmolStr> {
    match &acl.holder {
        Holder::User(name) | Holder::Token(name) => vec![name.clone()],
        Holder::Group(group) => access.groups.get(group).into_iter().flatten().cloned().collect(),
    }
}

/// Says what each of these loses, and their tokens with them.
pub fn compare(
    look: &Look<'_>,
    found: &mut Found,
    after: &Access,
    who: impl IntoIterator<Item = SmolStr>,
    paths: &BTreeSet<SmolStr>,
) {
    let before = &look.estate.cluster().access;
    let mut all: BTreeSet<SmolStr> = BTreeSet::new();
    for one in who {
        all.extend(tokens_of(before, &one).cloned());
        all.insert(one);
    }
    for one in all.iter().filter(|one| is_let_in(before, one)) {
        let mut lost: Vec<(SmolStr, Grant)> = Vec::new();
        let mut cut: Vec<(SmolStr, Grant)> = Vec::new();
        let is_cut = before.tokens.get(one).is_some_and(|token| token.separate);
        for path in paths {
            let stays = after.granted_to(one, path);
            for grant in gone(before.granted_to(one, path), &stays) {
                push(&mut lost, path, grant);
            }
            let user = owner(one);
            if is_cut && !stays.is_empty() {
                for grant in gone(before.granted_to(user, path), &after.granted_to(user, path)) {
                    push(&mut cut, path, grant);
                }
            }
        }
        let mut why = Vec::new();
        if !lost.is_empty() {
            why.push(format!("loses {}", list(&lost)));
        }
        if !cut.is_empty() {
            why.push(format!("may no more than its user, who loses {}", list(&cut)));
        }
        if !why.is_empty() {
            if look.view.tokens.contains(&one.to_string()) {
                why.push("by this token the agent itself works".to_owned());
            }
            found.hit(named(look, one), Severity::LosesAccess, why.join("; "));
        }
    }
    last(look, found, before, after);
}

fn gone(before: Vec<Grant>, after: &[Grant]) -> Vec<Grant> {
    let stays = |grant: &Grant| after.iter().any(|held| held.role == grant.role);
    // Who is kept out loses nothing by being kept out no more.
    before.into_iter().filter(|grant| grant.role != "NoAccess" && !stays(grant)).collect()
}

/// Of one role, lost here and below, only here is told.
fn push(lost: &mut Vec<(SmolStr, Grant)>, path: &SmolStr, grant: Grant) {
    let is_below = |(above, held): &(SmolStr, Grant)| {
        let above = above.trim_end_matches('/');
        let below = path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        held.role == grant.role && held.propagate && below
    };
    if !lost.iter().any(is_below) {
        lost.push((path.clone(), grant));
    }
}

fn list(lost: &[(SmolStr, Grant)]) -> String {
    let mut names: Vec<String> = lost.iter().take(MOST).map(|(path, grant)| told(path, grant)).collect();
    if lost.len() > MOST {
        names.push(format!("{} more", lost.len() - MOST));
    }
    and(&names)
}

fn told(path: &str, grant: &Grant) -> String {
    let below = if grant.propagate { " and below" } else { "" };
    let through = match &grant.through {
        Through::Group(group) => format!(" (as one of {group})"),
        Through::Owner(user) => format!(" (as it is {user}'s)"),
        Through::Itself | Through::Root => String::new(),
    };
    format!("{} on {path}{below}{through}", grant.role)
}

/// People who may all there is, root@pam aside: that one is for when nobody else is left.
pub fn administrators(look: &Look<'_>, access: &Access) -> Vec<SmolStr> {
    let is_agent = |user: &str| look.view.tokens.iter().any(|token| owner(token) == user);
    let may_all =
        |user: &str| access.granted_to(user, "/").iter().any(|grant| grant.role == ALL && grant.propagate);
    let people = access.users.keys().filter(|user| *user != "root@pam" && !is_agent(user));
    people.filter(|user| is_let_in(access, user) && may_all(user)).cloned().collect()
}

/// Says where nobody is left who may all.
pub fn last(look: &Look<'_>, found: &mut Found, before: &Access, after: &Access) {
    let was = administrators(look, before);
    if was.is_empty() || !administrators(look, after).is_empty() {
        return;
    }
    let was: Vec<String> = was.iter().map(ToString::to_string).collect();
    let left = match is_let_in(after, "root@pam") {
        true => "only root@pam is left",
        false => "root@pam is not let in either, and nobody is left",
    };
    let verb = if was.len() == 1 { "was the last administrator" } else { "were the last administrators" };
    found.hit("administrators", Severity::LosesAccess, format!("{} {verb}: {left}", and(&was)));
}
