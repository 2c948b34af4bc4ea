//! From what there is to what there should be: calls of `pveum`, each with why, in an order in which every one can be the
//! last and the next run goes on from there.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::Failed;
use super::grants::{given, grants, held, of_user, others, taken};
use super::names::{MARK, Names};
use super::pveum::{self, Present};
use super::wanted::{Grants, Token, Wanted};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// After `pveum`.
    pub words: Vec<String>,
    pub why: String,
    /// The file that takes the secret that this call answers with.
    pub secret_to: Option<PathBuf>,
    /// After it the secret that was answered before is put into its file: its token has its rights by then.
    pub keeps: bool,
    /// What the daemon may still use until it has been told otherwise.
    pub last: bool,
}

impl Step {
    pub fn new(words: &[&str], why: impl Into<String>) -> Self {
        Self {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            why: why.into(),
            secret_to: None,
            keeps: false,
            last: false,
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
    let user = wanted.names.user.as_str();
    let mut steps = roles(wanted, present);
    steps.extend(its_user(user, present, adopt)?);
    steps.extend(grants("--users", "user", user, &of_user(wanted, present), present));
    let tokens = present.user(user).map_or(&[][..], |user| &user.tokens);
    let mut kept = BTreeSet::new();
    let mut taken: BTreeSet<String> = tokens.iter().map(|token| token.tokenid.clone()).collect();
    for Held { token, id, refused } in held {
        let known = id.as_deref().and_then(|id| id.strip_prefix(&wanted.names.before_token()));
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
            // One that this cluster does not know is worth nothing to anybody here.
            (None, Some(id)) if present.token(id).is_some() && !adopt => {
                return Err(Failed::Wrong(format!(
                    "{} holds the token {id}, which is none of {user}'s, and setup did not make it for this node; give [pve] \
                     token another file, or say --adopt to have one made in its place ({id} itself stays in PVE)",
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
    let first = steps.len();
    for left in tokens.iter().filter(|token| wanted.names.is_token(token) && !kept.contains(&token.tokenid)) {
        steps.extend(remove_token(
            user,
            &left.tokenid,
            present,
            "no file holds it: it was left by a run that broke off, or by a role that is gone",
        ));
    }
    steps.extend(unused_roles(wanted, present));
    steps[first..].iter_mut().for_each(|step| step.last = true);
    Ok(steps)
}

/// A token and its rights, of which its secret has to wait: a token in its file that has none yet would be used, and refused.
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
    steps.last_mut().into_iter().for_each(|last| last.keeps = true);
    steps
}

/// What a token needs that PVE does not have yet: roles, its user's rights, of which it cannot have more, and its own where
/// it is there (`id`). Nothing is taken from anybody.
pub fn lacking(wanted: &Wanted, token: &Token, id: &str, present: &Present) -> Vec<Step> {
    let user = wanted.names.user.as_str();
    let mut steps = roles(wanted, present);
    steps.extend(given("--users", "user", user, &of_user(wanted, present), present));
    if present.token(id).is_some() {
        steps.extend(given("--tokens", "token", id, &token.grants, present));
    }
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
    let Some(found) = present.user(user) else {
        let why = "it has no password, so nobody can log in as it";
        return Ok(vec![Step::new(&["user", "add", user, "--comment", MARK], why)]);
    };
    let mut steps = Vec::new();
    let comment = found.comment.as_deref().unwrap_or_default();
    if !found.is_marked() {
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

/// Ours that nothing needs any more, and that nobody else holds.
fn unused_roles(wanted: &Wanted, present: &Present) -> Vec<Step> {
    let gone =
        present.roles.keys().filter(|name| wanted.names.is_role(name) && !wanted.roles.contains_key(*name));
    gone.filter(|name| others(name, &wanted.names.user, present).is_empty())
        .map(|name| Step::new(&["role", "delete", name], "no role of the configuration needs it any more"))
        .collect()
}

/// What takes back all that setup made for this node, and what is left for others' sake. `held`: the ids of the tokens that
/// the node's files hold.
pub fn uninstall(
    names: &Names,
    held_ids: &[String],
    present: &Present,
) -> Result<(Vec<Step>, Vec<String>), Failed> {
    let (mut steps, mut notes) = (Vec::new(), Vec::new());
    let user = names.user.as_str();
    if let Some(found) = present.user(user) {
        if !found.is_marked() {
            return Err(Failed::Wrong(format!(
                "the user {user} of PVE does not have setup's comment, so it is not setup's to remove; --user names \
                 another"
            )));
        }
        let why = "made by setup";
        let is_ours = |token: &&pveum::Token| {
            names.is_token(token) || held_ids.contains(&format!("{user}!{}", token.tokenid))
        };
        let (ours, others): (Vec<_>, Vec<_>) = found.tokens.iter().partition(is_ours);
        for token in ours {
            steps.extend(remove_token(user, &token.tokenid, present, why));
        }
        if others.is_empty() {
            steps.extend(grants("--users", "user", user, &Grants::new(), present));
            steps.push(Step::new(&["user", "delete", user], why));
        } else {
            let mut over = held("user", user, present);
            over.values_mut().for_each(|roles| roles.retain(|role| names.is_role(role)));
            steps.extend(taken("--users", user, &over, why));
            let others: Vec<&str> = others.iter().map(|token| token.tokenid.as_str()).collect();
            notes.push(format!(
                "the user {user} stays, for its tokens that are not this node's: {}",
                others.join(", ")
            ));
        }
    }
    for name in present.roles.keys().filter(|name| names.is_role(name)) {
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
