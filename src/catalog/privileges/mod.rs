//! Who may make a call, in a line that an operator reads.

use serde_json::Value;

use super::{Endpoint, Method, Permission};

const MOST_CHARACTERS: usize = 240;

const TEXT: &str = include_str!("table.txt");

impl Endpoint {
    /// Who may make this call: what its schema says, and by our own table what it checks beyond that.
    #[must_use]
    pub fn privileges(&self) -> String {
        if !matches!(self.permission, Permission::All { .. }) {
            return self.permission.in_words();
        }
        let own = rows().find(|(method, path, _)| *method == self.method && *path == self.path);
        match own {
            Some((_, _, words)) => words.to_owned(),
            None if self.method == Method::Get => self.permission.in_words(),
            None => "checked by the call itself".to_owned(),
        }
    }
}

fn rows() -> impl Iterator<Item = (Method, &'static str, &'static str)> {
    TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).filter_map(|line| {
        let (call, words) = line.split_once('|')?;
        let (method, path) = call.trim().split_once(' ')?;
        Some((Method::from_name(method)?, path, words.trim()))
    })
}

impl Permission {
    /// `VM.PowerMgmt on /vms/{vmid}`; several privileges joined by `+` where each is needed, by `|` where one will do.
    #[must_use]
    pub(super) fn in_words(&self) -> String {
        let words = match self {
            Self::Root => "root@pam alone".to_owned(),
            Self::World => "anybody".to_owned(),
            Self::All { .. } => "anybody who has logged in; shows what the caller may see".to_owned(),
            Self::Check { check, .. } => words(check, true),
            Self::Described(_) => "checked by the call itself".to_owned(),
        };
        words.chars().take(MOST_CHARACTERS).collect()
    }
}

fn words(check: &Value, outermost: bool) -> String {
    let unknown = || "a check of its own".to_owned();
    let Some((Value::String(kind), rest)) = check.as_array().and_then(|parts| parts.split_first()) else {
        return unknown();
    };
    let text = |at: usize| rest.get(at).and_then(Value::as_str).unwrap_or("?");
    match kind.as_str() {
        "and" | "or" => {
            let parts: Vec<String> = rest.iter().map(|part| words(part, false)).collect();
            let joined = parts.join(&format!(" {kind} "));
            if outermost { joined } else { format!("({joined})") }
        }
        "perm" => format!("{} on {}", privileges(rest, 1), text(0)),
        "userid-group" => format!("{} on the user's groups", privileges(rest, 0)),
        "userid-param" if text(0) == "self" => "the user itself".to_owned(),
        "userid-param" => format!("{} on the user's realm", text(0)),
        "perm-modify" => format!("the right to change rights on {}", text(0)),
        _ => unknown(),
    }
}

/// The list that stands at `at`, and the options after it: `["VM.Audit", "VM.Config.Disk"], "any", 1`.
fn privileges(rest: &[Value], at: usize) -> String {
    let names = rest.get(at).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let options = rest.get(at + 1..).unwrap_or_default();
    let any = options
        .chunks(2)
        .any(|option| option[0] == "any" && option.get(1).is_some_and(|on| on != &Value::from(0)));
    names.collect::<Vec<_>>().join(if any { "|" } else { "+" })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::testing::catalogs;

    #[test]
    fn every_row_is_about_a_call_that_checks_by_itself() {
        let lines = TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
        assert_eq!(rows().count(), lines);
        for (method, path, _) in rows() {
            let is_open = catalogs()
                .iter()
                .filter_map(|(_, catalog)| catalog.template(method, path))
                .any(|endpoint| matches!(endpoint.permission, Permission::All { .. }));
            assert!(is_open, "{method} {path}");
        }
    }

    #[test]
    fn no_change_is_said_to_be_anybodys() {
        for (release, catalog) in catalogs() {
            for endpoint in catalog.endpoints().iter().filter(|endpoint| endpoint.method != Method::Get) {
                let known = !matches!(endpoint.privileges().as_str(), "checked by the call itself");
                assert!(known, "{release:?} {} {}", endpoint.method, endpoint.path);
            }
        }
    }

    fn check(check: Value) -> String {
        Permission::Check { check, description: String::new() }.in_words()
    }

    #[test]
    fn a_check_reads_as_a_sentence() {
        for (given, words) in [
            (json!(["perm", "/vms/{vmid}", ["VM.PowerMgmt"]]), "VM.PowerMgmt on /vms/{vmid}"),
            (json!(["perm", "/", ["Sys.Audit", "Sys.Modify"]]), "Sys.Audit+Sys.Modify on /"),
            (json!(["perm", "/a", ["X", "Y"], "any", 1]), "X|Y on /a"),
            (
                json!([
                    "and",
                    ["perm", "/a", ["X"]],
                    ["or", ["perm", "/b", ["Y"]], ["userid-param", "self"]]
                ]),
                "X on /a and (Y on /b or the user itself)",
            ),
            (json!(["userid-group", ["User.Modify"]]), "User.Modify on the user's groups"),
            (json!(["perm-modify", "{path}"]), "the right to change rights on {path}"),
            (json!({ "no": "list" }), "a check of its own"),
        ] {
            assert_eq!(check(given), words);
        }
    }

    #[test]
    fn every_check_of_the_api_is_known() {
        for (release, catalog) in catalogs() {
            for endpoint in catalog.endpoints() {
                let words = endpoint.permission.in_words();
                let known =
                    !words.is_empty() && !words.contains('?') && !words.contains("a check of its own");
                assert!(known, "{release:?} {} {}: {words}", endpoint.method, endpoint.path);
            }
        }
    }
}
