//! What setup's things are called in PVE, and so whose they are. Users, roles and access lists are the whole cluster's: the
//! node's name is in all that a node's setup makes, and what has another's it leaves alone.

use sha2::{Digest, Sha256};

use super::pveum::{Present, Token};
use super::wanted::plain;

/// The comment of what setup makes begins so, where PVE keeps one.
pub const MARK: &str = "made by provost setup";
/// Roles have no comment, so their names say it.
const OURS: &str = "Provost";
/// What PVE takes of a user's id.
const LONGEST: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    pub user: String,
    /// None where it was set up before names had the node's: then it goes on under the names that it has.
    node: Option<String>,
}

impl Names {
    /// `given`: the user, where somebody said one. `held`: the ids of the tokens that the node's files hold.
    pub fn of(node: &str, given: Option<&str>, held: &[String], present: &Present) -> Self {
        let node = label(node);
        let user = given.map(str::to_owned).or_else(|| theirs(&node, held, present));
        let user = user.unwrap_or_else(|| format!("provost-{node}@pve"));
        let marked = held.iter().filter(|id| user_of(id) == user).filter_map(|id| present.token(id));
        let node = marked.filter_map(made_on).next().unwrap_or(Some(node));
        Self { user, node }
    }

    /// The name in PVE of a role.
    pub fn role(&self, name: &str) -> String {
        format!("{}{name}", self.prefix())
    }

    pub fn is_role(&self, name: &str) -> bool {
        name.starts_with(&self.prefix())
    }

    /// Whether another node's setup made it.
    pub fn is_anothers_role(&self, name: &str) -> bool {
        let ours = name.strip_prefix(OURS).is_some_and(|rest| rest.starts_with(['.', '-']));
        ours && !self.is_role(name)
    }

    /// The comment of a token.
    pub fn mark(&self, of: &str) -> String {
        match &self.node {
            Some(node) => format!("{MARK} on {node}: {of}"),
            None => format!("{MARK}: {of}"),
        }
    }

    pub fn is_token(&self, token: &Token) -> bool {
        made_on(token).is_some_and(|node| node == self.node)
    }

    /// `USER@REALM!`
    pub fn before_token(&self) -> String {
        format!("{}!", self.user)
    }

    /// A node's name has no dot, so that no prefix begins another.
    fn prefix(&self) -> String {
        match &self.node {
            Some(node) => format!("{OURS}-{node}."),
            None => format!("{OURS}."),
        }
    }
}

/// The user under which this node goes on: whose token its files hold, or that has one which says that it is this node's.
fn theirs(node: &str, held: &[String], present: &Present) -> Option<String> {
    let mut marked = present.users.iter().filter(|user| user.is_marked());
    let holds = |name: &str| held.iter().any(|id| user_of(id) == name);
    let by_file = marked.clone().find(|user| holds(&user.userid));
    let here = |token: &Token| made_on(token).is_some_and(|on| on.as_deref() == Some(node));
    by_file.or_else(|| marked.find(|user| user.tokens.iter().any(here))).map(|user| user.userid.clone())
}

/// Of `USER@REALM!ID`.
fn user_of(id: &str) -> &str {
    id.split('!').next().unwrap_or_default()
}

/// The node on which setup made a token, where it did: none, where it did not say so yet.
fn made_on(token: &Token) -> Option<Option<String>> {
    let rest = token.comment.as_deref()?.strip_prefix(MARK)?;
    let (on, _) = rest.split_once(':')?;
    match on.strip_prefix(" on ") {
        Some(node) => Some(Some(node.to_owned())),
        None => on.is_empty().then_some(None),
    }
}

/// A node's name as a part of ids: a DNS label is one as it is, but for those that PVE would find too long in a user's.
fn label(node: &str) -> String {
    const MOST: usize = LONGEST - "provost-@pve".len();
    const SUM: usize = 8;
    let plain = plain(node).replace(['.', '_'], "-");
    if plain.len() <= MOST {
        return plain;
    }
    let sum = Sha256::digest(node.as_bytes());
    let sum: String = sum.iter().take(SUM / 2).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{sum}", &plain[..MOST - SUM - 1])
}

#[cfg(test)]
mod tests {
    use super::super::pveum::User;
    use super::*;

    fn user(name: &str, comment: &str, tokens: &[(&str, &str)]) -> User {
        let token = |(id, comment): &(&str, &str)| Token {
            tokenid: (*id).to_owned(),
            comment: Some((*comment).to_owned()),
            privsep: Some(1),
        };
        User {
            userid: name.to_owned(),
            comment: Some(comment.to_owned()),
            enable: Some(1),
            tokens: tokens.iter().map(token).collect(),
        }
    }

    #[test]
    fn each_node_has_names_of_its_own_that_pve_takes() {
        let present = Present::default();
        let names = |node: &str| Names::of(node, None, &[], &present);
        assert_eq!(names("pve1").user, "provost-pve1@pve");
        let (one, other) = (names("pve1"), names("pve1-b"));
        assert!(one.is_role("Provost-pve1.observe") && !one.is_role("Provost-pve1-b.observe"));
        assert!(one.is_anothers_role(&other.role("full")) && one.is_anothers_role("Provost.observe"));
        assert!(!one.is_anothers_role("Provosts") && !one.is_anothers_role("PVEAuditor"));
        // Two that begin alike for as long as PVE's ids are.
        let long = "n".repeat(62);
        let (a, b) = (names(&format!("{long}a")), names(&format!("{long}b")));
        assert!(a.user != b.user && a.user.len() == LONGEST, "{a:?} {b:?}");
        assert!(
            a.user.ends_with("@pve")
                && a.user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-@".contains(&byte))
        );
    }

    #[test]
    fn what_was_made_before_names_had_the_nodes_goes_on_as_it_is() {
        let old = user("provost@pve", MARK, &[("provost", "made by provost setup: [pve] token")]);
        let present = Present { users: vec![old], ..Present::default() };
        let held = ["provost@pve!provost".to_owned()];
        let names = Names::of("pve1", None, &held, &present);
        assert_eq!((names.user.as_str(), names.role("observe").as_str()), ("provost@pve", "Provost.observe"));
        assert_eq!(names.mark("x"), "made by provost setup: x");
        // Another node, which holds none of it, begins its own.
        let other = Names::of("pve2", None, &[], &present);
        assert_eq!(other.user, "provost-pve2@pve");
        assert!(!other.is_token(&present.users[0].tokens[0]) && names.is_token(&present.users[0].tokens[0]));
        // One that shares the user by its operator's word keeps its own names there.
        let shared = Names::of("pve2", Some("provost@pve"), &[], &present);
        assert_eq!(shared.role("observe"), "Provost-pve2.observe");
    }

    #[test]
    fn a_user_that_was_chosen_once_is_found_again_by_the_file_or_by_the_mark() {
        let mark = "made by provost setup on pve1: [pve] token";
        let present =
            Present { users: vec![user("x@pve", MARK, &[("provost", mark)])], ..Present::default() };
        for held in [&["x@pve!provost".to_owned()][..], &["x@pve!gone".to_owned()], &[]] {
            assert_eq!(Names::of("pve1", None, held, &present).user, "x@pve", "{held:?}");
        }
        assert_eq!(Names::of("pve2", None, &[], &present).user, "provost-pve2@pve");
        // One that is not setup's is nobody's to go on under.
        let present = Present { users: vec![user("root@pam", "", &[("t1", "")])], ..Present::default() };
        let names = Names::of("pve1", None, &["root@pam!t1".to_owned()], &present);
        assert_eq!(names.user, "provost-pve1@pve");
    }
}
