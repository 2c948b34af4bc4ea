//! PVE's check expressions, read for what they ask: of alternatives, the one that gives least.

use serde_json::Value;

use super::{Place, looks};
use crate::catalog::{Endpoint, Method, Permission};

type Needs = Vec<(Place, String)>;

pub(super) fn of(endpoint: &Endpoint) -> Needs {
    match &endpoint.permission {
        Permission::Check { check, .. } => walk(check, endpoint.method == Method::Get).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// None where the way is closed to whoever has no privilege at all, as the user's own to a token.
fn walk(check: &Value, reads: bool) -> Option<Needs> {
    let (kind, rest) = check.as_array()?.split_first()?;
    let text = |at: usize| rest.get(at).and_then(Value::as_str).unwrap_or_default();
    let each = |privileges: Vec<&str>, place| {
        privileges.into_iter().map(|privilege| (place, privilege.to_owned())).collect()
    };
    match kind.as_str()? {
        "and" => {
            let parts: Option<Vec<Needs>> = rest.iter().map(|part| walk(part, reads)).collect();
            Some(parts?.concat())
        }
        "or" => rest.iter().filter_map(|part| walk(part, reads)).min_by_key(|needs| {
            let changing = needs.iter().filter(|(_, privilege)| !looks(privilege)).count();
            (changing, needs.len())
        }),
        "perm" => {
            let place = if text(0).starts_with("/vms") { Place::Guests } else { Place::Elsewhere };
            let names = list(rest.get(1));
            Some(each(if is_any(rest.get(2..)) { least(names) } else { names }, place))
        }
        "userid-group" => Some(each(least(list(rest.first())), Place::Elsewhere)),
        // A user may read of itself, and a token is not its user.
        "userid-param" if text(0) == "self" => reads.then(Vec::new),
        "userid-param" => Some(each(vec![text(0)], Place::Elsewhere)),
        "perm-modify" => Some(each(vec!["Permissions.Modify"], Place::Elsewhere)),
        _ => None,
    }
}

/// Of privileges of which one will do. Each `VM.Config.*` is for other keys of the same call, so all of them are needed.
fn least(names: Vec<&str>) -> Vec<&str> {
    if names.iter().all(|name| name.starts_with("VM.Config.")) {
        return names;
    }
    let cost = |name: &&&str| match **name {
        name if looks(name) => 0,
        name if name.ends_with(".Unrestricted") => 2,
        _ => 1,
    };
    names.iter().min_by_key(cost).copied().into_iter().collect()
}

fn list(value: Option<&Value>) -> Vec<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn is_any(options: Option<&[Value]>) -> bool {
    let options = options.unwrap_or_default();
    options
        .chunks(2)
        .any(|option| option[0] == "any" && option.get(1).is_some_and(|on| on != &Value::from(0)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_alternatives_the_one_that_gives_least_counts() {
        for (check, reads, expected) in [
            (json!(["perm", "/vms/{vmid}", ["VM.PowerMgmt"]]), false, vec!["VM.PowerMgmt"]),
            (json!(["perm", "/", ["Sys.Audit", "Sys.Modify"]]), true, vec!["Sys.Audit", "Sys.Modify"]),
            (json!(["perm", "/", ["Sys.Modify", "Sys.Audit"], "any", 1]), true, vec!["Sys.Audit"]),
            (
                json!(["perm", "/vms/1", ["VM.Config.Disk", "VM.Config.CPU"], "any", 1]),
                false,
                vec!["VM.Config.Disk", "VM.Config.CPU"],
            ),
            (
                json!(["perm", "/vms/1", ["VM.GuestAgent.Unrestricted", "VM.GuestAgent.FileRead"], "any", 1]),
                false,
                vec!["VM.GuestAgent.FileRead"],
            ),
            (
                json!([
                    "or",
                    ["perm", "/", ["Sys.Audit", "Sys.Modify"]],
                    ["perm", "/", ["Sys.AccessNetwork"]]
                ]),
                false,
                vec!["Sys.AccessNetwork"],
            ),
            (json!(["or", ["userid-param", "self"], ["userid-group", ["User.Modify"]]]), true, vec![]),
            (
                json!(["or", ["userid-param", "self"], ["userid-group", ["User.Modify"]]]),
                false,
                vec!["User.Modify"],
            ),
            (json!(["perm-modify", "{path}"]), false, vec!["Permissions.Modify"]),
        ] {
            let found: Vec<String> =
                walk(&check, reads).unwrap_or_default().into_iter().map(|(_, name)| name).collect();
            assert_eq!(found, expected, "{check}");
        }
    }
}
