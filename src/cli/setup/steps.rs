//! From what there is to what there should be: calls of `pveum`, each with why, in an order in which every one can be the
//! last and the next run goes on from there.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::Failed;
use super::pveum::{self, Entry, Present};
use super::wanted::{Grants, MARK, OURS, Token, Wanted};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// After `pveum`.
    pub words: Vec<String>,
    pub why: String,
    /// The file that takes the secret that this call answers with.
    pub secret_to: Option<PathBuf>,
}

impl Step {
    fn new(words: &[&str], why: impl Into<String>) -> Self {
        Self {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            why: why.into(),
            secret_to: None,
        }
    }

    pub fn words(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }
}

/// A token of the configuration, and the id that its file holds now.
pub struct Held<'a> {
    pub token: &'a Token,
    /// `USER@REALM!ID`
    pub id: Option<String>,
    /// Whether PVE refused it, though it knows one of that id.
    pub refused: bool,
}

/// `expire`: seconds since the epoch, 0 for never.
pub fn steps(
    wanted: &Wanted,
    present: &Present,
    held: &[Held<'_>],
    expire: u64,
    adopt: bool,
) -> Result<Vec<Step>, Failed> {
    let user = wanted.user.as_str();
    let mut steps = roles(wanted, present);
    steps.extend(its_user(user, present, adopt)?);
    steps.extend(grants("--users", "user", user, &wanted.grants, present));
    let tokens: &[pveum::Token] = present.user.as_ref().map_or(&[], |user| &user.tokens);
    let mut kept = BTreeSet::new();
    let mut taken: BTreeSet<String> = tokens.iter().map(|token| token.tokenid.clone()).collect();
    for Held { token, id, refused } in held {
        let known = id.as_deref().and_then(|id| id.strip_prefix(&format!("{user}!")));
        let known = known.and_then(|id| tokens.iter().find(|one| one.tokenid == id));
        match (known, id) {
            (Some(known), _) if !refused => {
                let full = format!("{user}!{}", known.tokenid);
                if known.privsep == Some(0) {
                    let words = ["user", "token", "modify", user, &known.tokenid, "--privsep", "1"];
                    steps.push(Step::new(
                        &words,
                        "it has all that its user has: a token of ours has its own rights",
                    ));
                }
                steps.extend(grants("--tokens", "token", &full, &token.grants, present));
                kept.insert(known.tokenid.clone());
            }
            (None, Some(id)) if !id.starts_with(&format!("{user}!")) && !adopt => {
                return Err(Failed::Wrong(format!(
                    "{} holds the token {id}, which setup did not make; give [pve] token another file, or say --adopt to \
                     have one made in its place ({id} itself stays in PVE)",
                    token.given.display()
                )));
            }
            _ => {
                let id = free(&token.base, &taken);
                taken.insert(id.clone());
                steps.extend(make(user, token, &id, expire, present));
                kept.insert(id);
            }
        }
    }
    let ours = |one: &&pveum::Token| one.comment.as_deref().is_some_and(|comment| comment.starts_with(MARK));
    for left in tokens.iter().filter(ours).filter(|token| !kept.contains(&token.tokenid)) {
        steps.extend(remove_token(
            user,
            &left.tokenid,
            present,
            "no file holds it: it was left by a run that broke off, or by a role that is gone",
        ));
    }
    steps.extend(unused_roles(wanted, present));
    Ok(steps)
}

/// A token and its rights. The rights come second: without them it can do nothing.
pub fn make(user: &str, token: &Token, id: &str, expire: u64, present: &Present) -> Vec<Step> {
    let expires = expire.to_string();
    let mut words = vec!["user", "token", "add", user, id, "--privsep", "1", "--comment", &token.mark];
    if expire > 0 {
        words.extend(["--expire", &expires]);
    }
    words.extend(["--output-format", "json"]);
    let why =
        format!("with rights of its own; its secret goes to {} and nowhere else", token.given.display());
    let mut steps = vec![Step { secret_to: Some(token.given.clone()), ..Step::new(&words, why) }];
    steps.extend(grants("--tokens", "token", &format!("{user}!{id}"), &token.grants, present));
    steps
}

pub fn remove_token(user: &str, id: &str, present: &Present, why: &str) -> Vec<Step> {
    let full = format!("{user}!{id}");
    let mut steps = grants("--tokens", "token", &full, &Grants::new(), present);
    steps.push(Step::new(&["user", "token", "remove", user, id], why));
    steps
}

/// The first of `base`, `base-2`, `base-3` that is not taken.
pub fn free(base: &str, taken: &BTreeSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{base}-{number}"));
    std::iter::once(base.to_owned()).chain(numbered).find(|id| !taken.contains(id)).unwrap_or_default()
}

fn roles(wanted: &Wanted, present: &Present) -> Vec<Step> {
    let joined = |privileges: &BTreeSet<String>| privileges.iter().cloned().collect::<Vec<_>>().join(",");
    let mut steps = Vec::new();
    for (name, privileges) in &wanted.roles {
        let all = joined(privileges);
        match present.roles.get(name) {
            Some(held) if held == privileges => {}
            None => {
                let why = format!("{} privileges, as the calls of the profile ask for", privileges.len());
                steps.push(Step::new(&["role", "add", name, "--privs", &all], why));
            }
            Some(held) => {
                let change = |sign: char, a: &BTreeSet<String>, b: &BTreeSet<String>| {
                    a.difference(b).map(|name| format!("{sign}{name}")).collect::<Vec<_>>()
                };
                let change =
                    [change('+', privileges, held), change('-', held, privileges)].concat().join(" ");
                steps.push(Step::new(
                    &["role", "modify", name, "--privs", &all],
                    format!("it differs: {change}"),
                ));
            }
        }
    }
    steps
}

fn its_user(user: &str, present: &Present, adopt: bool) -> Result<Vec<Step>, Failed> {
    let Some(found) = &present.user else {
        let why = "it has no password, so nobody can log in as it";
        return Ok(vec![Step::new(&["user", "add", user, "--comment", MARK], why)]);
    };
    let mut steps = Vec::new();
    let comment = found.comment.as_deref().unwrap_or_default();
    if !comment.starts_with(MARK) {
        if !adopt {
            return Err(Failed::Wrong(format!(
                "PVE has a user {user} already, with the comment \"{}\", which setup did not make; choose another with \
                 --user NAME@pve, or say --adopt to make this one Provost's: its rights become what the roles need",
                crate::text::brief(comment, 80)
            )));
        }
        steps.push(Step::new(
            &["user", "modify", user, "--comment", MARK],
            format!("its comment was \"{}\"", crate::text::brief(comment, 80)),
        ));
    }
    if found.enable == Some(0) {
        steps.push(Step::new(
            &["user", "modify", user, "--enable", "1"],
            "it is disabled, and its tokens with it",
        ));
    }
    Ok(steps)
}

/// What makes a holder hold these roles at these paths, and nothing else anywhere.
fn grants(option: &str, kind: &str, holder: &str, wanted: &Grants, present: &Present) -> Vec<Step> {
    let held = |entry: &&Entry| entry.kind == kind && entry.ugid == holder;
    let mut now = Grants::new();
    for entry in present.acl.iter().filter(held) {
        now.entry(entry.path.clone()).or_default().insert(entry.roleid.clone());
    }
    let none = BTreeSet::new();
    let mut steps = Vec::new();
    let lacking = wanted.iter().map(|(path, roles)| (path, roles, now.get(path).unwrap_or(&none)));
    for (path, roles, has) in lacking {
        let lacks: Vec<&str> = roles.difference(has).map(String::as_str).collect();
        if !lacks.is_empty() {
            let words = ["acl", "modify", path, option, holder, "--roles", &lacks.join(",")];
            steps.push(Step::new(&words, format!("{holder} holds there {}", words_of(has))));
        }
    }
    for (path, has) in &now {
        let over: Vec<&str> = has.difference(wanted.get(path).unwrap_or(&none)).map(String::as_str).collect();
        if !over.is_empty() {
            let words = ["acl", "delete", path, option, holder, "--roles", &over.join(",")];
            steps.push(Step::new(&words, "no role of the configuration needs it there"));
        }
    }
    steps
}

fn words_of(roles: &BTreeSet<String>) -> String {
    match roles.is_empty() {
        true => "nothing".to_owned(),
        false => roles.iter().cloned().collect::<Vec<_>>().join(", "),
    }
}

/// Ours that nothing needs any more, and that nobody else holds.
fn unused_roles(wanted: &Wanted, present: &Present) -> Vec<Step> {
    let gone =
        present.roles.keys().filter(|name| name.starts_with(OURS) && !wanted.roles.contains_key(*name));
    gone.filter(|name| others(name, &wanted.user, present).is_empty())
        .map(|name| Step::new(&["role", "delete", name], "no role of the configuration needs it any more"))
        .collect()
}

/// Who holds a role beside our user and its tokens.
fn others<'a>(role: &str, user: &str, present: &'a Present) -> BTreeSet<&'a str> {
    let ours = |entry: &&Entry| entry.ugid == user || entry.ugid.starts_with(&format!("{user}!"));
    let entries = present.acl.iter().filter(|entry| entry.roleid == role && !ours(entry));
    entries.map(|entry| entry.ugid.as_str()).collect()
}

/// What takes back all that setup made, and what is left for others' sake.
pub fn uninstall(user: &str, present: &Present) -> Result<(Vec<Step>, Vec<String>), Failed> {
    let (mut steps, mut notes) = (Vec::new(), Vec::new());
    if let Some(found) = &present.user {
        if !found.comment.as_deref().is_some_and(|comment| comment.starts_with(MARK)) {
            return Err(Failed::Wrong(format!(
                "the user {user} of PVE does not have setup's comment, so it is not setup's to remove; --user names \
                 another"
            )));
        }
        let why = "made by setup";
        for token in &found.tokens {
            steps.extend(remove_token(user, &token.tokenid, present, why));
        }
        steps.extend(grants("--users", "user", user, &Grants::new(), present));
        steps.push(Step::new(&["user", "delete", user], why));
    }
    for name in present.roles.keys().filter(|name| name.starts_with(OURS)) {
        let others = others(name, user, present);
        match others.is_empty() {
            true => steps.push(Step::new(&["role", "delete", name], "made by setup")),
            false => notes.push(format!(
                "the role {name} stays: {} holds it too, and would lose it",
                others.into_iter().collect::<Vec<_>>().join(", ")
            )),
        }
    }
    Ok((steps, notes))
}
