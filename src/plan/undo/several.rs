//! Ways back that may take several calls: rights that some held and some did not, a set with its members, a rule in its
//! place.

use serde_json::{Map, Value};

use super::{Back, Undo, Way, effects, listed, restored};
use crate::plan::eyes::Seen;

/// Calls that one undo may take.
const MOST_STEPS: usize = 64;

/// Holders of whom the same roles were held alike: what one call gives back.
struct Alike {
    /// Whether they were, and below their path too.
    held: Option<bool>,
    /// users, groups or tokens
    kind: &'static str,
    who: Vec<String>,
    roles: Vec<String>,
}

impl Back<'_> {
    /// Of a Backup Server, where one call is one entry: it is taken where it was given, and given where it was taken.
    pub(super) fn right(&self, why: &str) -> Undo {
        let request = self.request;
        let (who, role) = (request.text("auth-id").or_else(|| request.text("group")), request.text("role"));
        let path = request.text("path").unwrap_or_default();
        let is_it = |row: &&Value| {
            let of = |name: &str| row.get(name).map(super::text).unwrap_or_default();
            Some(of("ugid")) == who && Some(of("roleid")) == role && of("path") == path
        };
        let seen = self.observed.subject.as_ref().map(|subject| subject.rows()).unwrap_or_default();
        let (taken, held) = (request.flag("delete"), seen.iter().find(is_it));
        let mut args = request.args.clone();
        args.remove("digest");
        args.remove("delete");
        match (taken, held) {
            (true, Some(held)) => {
                if let Some(propagate) = held.get("propagate") {
                    args.insert("propagate".to_owned(), propagate.clone());
                }
            }
            (true, None) => return Undo::none("the right was not seen to be held"),
            (false, Some(_)) => {
                return Undo::none("the right was held before: how it was given is not taken back");
            }
            (false, None) => drop(args.insert("delete".to_owned(), 1.into())),
        }
        self.call("PUT", "/access/acl", args, why)
    }

    /// A change of rights is taken back by one call for all lines that were alike before.
    pub(super) fn rights(&self, why: &str) -> Undo {
        let request = self.request;
        let path = request.text("path").unwrap_or_default();
        let takes = request.flag("delete");
        let mut alike: Vec<Alike> = Vec::new();
        for kind in ["users", "groups", "tokens"] {
            for who in listed(request, kind) {
                for (held, roles) in self.held(&path, &who, takes) {
                    let same = |it: &&mut Alike| (it.held, it.kind, &it.roles) == (held, kind, &roles);
                    match alike.iter_mut().find(same) {
                        Some(found) => found.who.push(who.clone()),
                        None => alike.push(Alike { held, kind, who: vec![who.clone()], roles }),
                    }
                }
            }
        }
        let calls = alike.into_iter().map(|Alike { held, kind, who, roles }| {
            let mut args = Map::from_iter([
                ("path".to_owned(), path.clone().into()),
                ("roles".to_owned(), roles.join(",").into()),
                (kind.to_owned(), who.join(",").into()),
            ]);
            match held {
                None => args.insert("delete".to_owned(), 1.into()),
                Some(spreads) => args.insert("propagate".to_owned(), u8::from(spreads).into()),
            };
            self.checked(Way::InverseCall, "PUT", request.path(), args, why)
        });
        calls.reduce(Undo::and).unwrap_or_else(|| Undo::none("none of these rights was held"))
    }

    /// The roles of one holder by how each was held; those that the call takes and that were not held stay away.
    fn held(&self, path: &str, who: &str, takes: bool) -> Vec<(Option<bool>, Vec<String>)> {
        let mut by: Vec<(Option<bool>, Vec<String>)> = Vec::new();
        for entry in effects::entries(self.request).into_iter().filter(|entry| entry.who == who) {
            let held = entry.held(self.observed, path);
            if held.is_none() && takes {
                continue;
            }
            match by.iter_mut().find(|(was, _)| *was == held) {
                Some((_, roles)) => roles.push(entry.role),
                None => by.push((held, vec![entry.role])),
            }
        }
        by
    }

    /// The set first, then each of its members.
    pub(super) fn emptied_set(&self, why: &str) -> Undo {
        let members = self.observed.subject.as_ref().map(Seen::rows).unwrap_or_default();
        if members.len() > MOST_STEPS {
            return Undo::none(format!(
                "it has {} members, and one undo puts {MOST_STEPS} back",
                members.len()
            ));
        }
        let path = self.request.path();
        let list = path.rsplit_once('/').map_or("", |(list, _)| list);
        let name = self.request.captured.get("name").cloned().unwrap_or_default();
        let set =
            self.checked(Way::InverseCall, "POST", list, Map::from_iter([("name".to_owned(), name)]), why);
        let member = |row: &Value| {
            let fields = ["cidr", "comment", "nomatch"].into_iter();
            let args = fields.filter_map(|name| Some((name.to_owned(), restored(row.get(name)?))));
            self.checked(Way::InverseCall, "POST", path, args.collect(), why)
        };
        let mut undo = members.iter().map(member).fold(set, Undo::and);
        undo.lost.push("the set's own comment, if it had one".to_owned());
        undo
    }

    /// PVE puts a rule in before all others; it is moved to its place from there.
    pub(super) fn rule(&self, method: &str, template: &str, why: &str) -> Undo {
        let mut undo = self.recreate(method, template, why);
        let Some(call) = &mut undo.call else { return undo };
        call.args.remove("pos");
        let place = self.request.text("pos").and_then(|pos| pos.parse::<u64>().ok());
        let list = self.request.path().rsplit_once('/').map_or("", |(list, _)| list);
        match place {
            Some(0) => undo,
            Some(place) => {
                let args = Map::from_iter([("moveto".to_owned(), Value::from(place + 1))]);
                undo.and(self.checked(Way::InverseCall, "PUT", &format!("{list}/0"), args, why))
            }
            None => Undo::none("where the rule stands is not said"),
        }
    }
}
