//! What each token may, held against what the roles that use it need: too little is what will not work, too much is what
//! PVE would not stop.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Check, Ground, State};
use crate::catalog::{Catalog, Release, Source};
use crate::config::{Config, GuestTerm, Role};
use crate::control::Token;
use crate::policy::rights::{Place, Rights};

pub fn checks(ground: &Ground) -> Vec<Check> {
    let (Some(config), Some(examined)) = (&ground.config, &ground.examined) else { return Vec::new() };
    // What the roles need is known of Proxmox VE's privileges.
    if !config.pve.product().has_guests() {
        return Vec::new();
    }
    let catalog = Source::open(&config.pve.apidoc, None, Release::LATEST).current().catalog;
    let tokens = examined.tokens.iter().filter(|token| token.problem.is_none());
    tokens.map(|token| check(token, config, &catalog)).collect()
}

/// At one path: privilege → a call that asks for it.
type Needs = BTreeMap<String, BTreeMap<String, String>>;

fn check(token: &Token, config: &Config, catalog: &Catalog) -> Check {
    const NAME: &str = "rights";
    let name = token.id.as_deref().unwrap_or("the token");
    let shared = token.given == config.pve.token;
    let (needs, roles) = needs(&token.given, shared, config, catalog);
    let mut items = Vec::new();
    for (path, privileges) in &needs {
        let held = held(token, path);
        for (privilege, call) in privileges.iter().filter(|(privilege, _)| !held.contains(privilege.as_str()))
        {
            items.push(format!("lacks {privilege} on {path}: {call} will be refused"));
        }
    }
    let lacking = items.len();
    let known: BTreeSet<&String> = needs.values().flat_map(BTreeMap::keys).collect();
    let mut over: BTreeMap<&String, Vec<&str>> = BTreeMap::new();
    for (path, held) in &token.permissions {
        for privilege in held.iter().filter(|privilege| !known.contains(privilege)) {
            over.entry(privilege).or_default().push(path);
        }
    }
    items.extend(over.iter().map(|(privilege, paths)| {
        let first: Vec<&str> = paths.iter().take(3).copied().collect();
        format!(
            "has {privilege} on {}{}, which nothing asks for",
            first.join(", "),
            if paths.len() > 3 { ", …" } else { "" }
        )
    }));
    let mend = "provost setup shows what differs, and mends it";
    match (lacking, over.len()) {
        (0, 0) => Check::good(NAME, format!("{name} has what {roles} needs and no more")),
        (0, more) => Check {
            items,
            ..Check::not(
                NAME,
                State::Look,
                format!("{name} has {more} privileges more than {roles} needs"),
                mend,
            )
        },
        (less, _) => Check {
            items,
            ..Check::not(NAME, State::Bad, format!("{name} lacks {less} privileges that {roles} needs"), mend)
        },
    }
}

fn needs(given: &Path, shared: bool, config: &Config, catalog: &Catalog) -> (Needs, String) {
    let mut needs = Needs::new();
    let mut names = Vec::new();
    let mut add = |path: &str, place: Place, rights: &Rights| {
        let at = needs.entry(path.to_owned()).or_default();
        for privilege in rights.at(place) {
            let call = rights.calls(place, privilege).first().cloned().unwrap_or_default();
            at.entry(privilege.to_owned()).or_insert(call);
        }
    };
    if shared {
        let looking = Rights::to_look(catalog);
        add("/", Place::Guests, &looking);
        add("/", Place::Elsewhere, &looking);
    }
    let uses = |role: &&Role| match &role.token {
        None => shared,
        Some(own) => own == given,
    };
    for role in config.roles.iter().filter(uses) {
        let rights = Rights::of(role, catalog);
        names.push(format!("\"{}\"", role.name));
        add("/", Place::Elsewhere, &rights);
        match &role.guests {
            None => add("/", Place::Guests, &rights),
            Some(terms) => terms.iter().for_each(|term| match term {
                // One stands for the rest: setup gives them all the same.
                GuestTerm::Ids(ids) => {
                    add(&format!("/vms/{}", (*ids.start()).max(100)), Place::Guests, &rights)
                }
                GuestTerm::Pool(pool) => add(&format!("/pool/{pool}"), Place::Guests, &rights),
                GuestTerm::Tag(_) => {}
            }),
        }
    }
    let roles = match names.as_slice() {
        [] => "looking".to_owned(),
        [one] => format!("role {one}"),
        many => format!("roles {}", many.join(", ")),
    };
    (needs, roles)
}

/// At a path, or the nearest above it of which PVE said anything.
fn held<'a>(token: &'a Token, path: &str) -> BTreeSet<&'a str> {
    let above = std::iter::successors(Some(path), |path| match path.rsplit_once('/') {
        Some(("", "")) | None => None,
        Some(("", _)) => Some("/"),
        Some((above, _)) => Some(above),
    });
    let held = above.filter_map(|path| token.permissions.get(path)).next();
    held.into_iter().flatten().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(permissions: &[(&str, &[&str])]) -> Token {
        let permissions = permissions
            .iter()
            .map(|(path, held)| ((*path).to_owned(), held.iter().map(|name| (*name).to_owned()).collect()))
            .collect();
        Token { given: "/t".into(), id: Some("a@pve!t".into()), problem: None, permissions }
    }

    #[test]
    fn too_little_and_too_much_are_named_with_what_they_mean() {
        let text = "[[role]]\nname='dev'\nmembers=[]\nprofile='observe'\nguests=[101]\ntoken='/t'";
        let config = crate::config::parse(Path::new("x"), text).unwrap();
        let catalog = Catalog::embedded(Release::LATEST);
        let rights = Rights::of(&config.roles[0], &catalog);
        let elsewhere: Vec<&str> = rights.at(Place::Elsewhere).collect();
        let guests: Vec<&str> = rights.at(Place::Guests).collect();
        let all = [elsewhere.as_slice(), guests.as_slice()].concat();
        let good = check(&token(&[("/", &elsewhere), ("/vms/101", &all)]), &config, &catalog);
        assert_eq!(good.state, State::Good, "{:?}", good.items);
        let less = check(&token(&[("/", &elsewhere)]), &config, &catalog);
        assert!(less.state == State::Bad && less.items[0].contains("on /vms/101"), "{:?}", less.items);
        let more = [elsewhere.as_slice(), &["Sys.Modify"]].concat();
        let more = check(&token(&[("/", &more), ("/vms/101", &all)]), &config, &catalog);
        assert!(more.state == State::Look && more.items[0].contains("Sys.Modify on /"), "{:?}", more.items);
    }
}
