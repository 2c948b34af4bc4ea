//! Who may make a call, from either way of writing it: Perl's check expression, or the tree that Rust writes.

use serde_json::{Map, Value, json};

use super::{convert::text, raw};
use crate::catalog::Permission;

/// As PVE decides: who says nothing means root, and what `user` allows needs no `check`.
pub(super) fn permission(raw: Option<raw::Permissions<'_>>) -> Permission {
    let Some(raw) = raw else { return Permission::Root };
    let description = text(raw.description);
    let check = match raw.check {
        Some(check @ Value::Object(_)) => of_tree(&Map::from_iter([("check".to_owned(), check)])),
        Some(check) => Some(check),
        None => of_tree(&raw.others),
    };
    match (raw.user.as_ref().map(|user| &*user.0), check) {
        (Some("world"), _) => Permission::World,
        (Some("all"), _) => Permission::All { description },
        (_, Some(check)) => Permission::Check { check, description },
        (_, None) if description.is_empty() => Permission::Root,
        (_, None) => Permission::Described(description),
    }
}

/// `{"check": {"path": ["datastore", "{store}"], "privs": ["Datastore.Audit"], "partial": true}}` as
/// `["perm", "/datastore/{store}", ["Datastore.Audit"], "any", 1]`.
fn of_tree(tree: &Map<String, Value>) -> Option<Value> {
    let each = |list: &Value| -> Vec<Value> {
        list.as_array().into_iter().flatten().filter_map(Value::as_object).filter_map(of_tree).collect()
    };
    tree.iter().find_map(|(name, value)| match name.as_str() {
        "check" => {
            let parts: Vec<&str> = value["path"].as_array()?.iter().filter_map(Value::as_str).collect();
            let path = format!("/{}", parts.join("/"));
            let mut check = vec![json!("perm"), json!(path), value["privs"].clone()];
            if value["partial"] == json!(true) {
                check.extend([json!("any"), json!(1)]);
            }
            Some(Value::Array(check))
        }
        "and" | "or" => Some(Value::Array([vec![json!(name)], each(value)].concat())),
        "userParam" => Some(json!(["userid-param", "self"])),
        "withParam" => value["permissions"].as_object().and_then(of_tree),
        "user" => Some(json!(["perm", "/", ["root@pam"]])),
        _ => None,
    })
}
