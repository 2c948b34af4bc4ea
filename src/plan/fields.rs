//! Values of the API, as text, as truth, and one beside another.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::catalog::{Endpoint, Format, Kind, Parameter};

/// A value as PVE would see it in a request.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(truth) => if *truth { "1" } else { "0" }.to_owned(),
        Value::Null => String::new(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        Value::Object(fields) => {
            let parts = fields.iter().map(|(name, value)| format!("{name}={}", text(value)));
            parts.collect::<Vec<_>>().join(",")
        }
        Value::Number(number) => number.to_string(),
    }
}

/// As PVE reads its booleans.
pub fn truth(value: &Value) -> Option<bool> {
    match text(value).to_ascii_lowercase().as_str() {
        "1" | "on" | "yes" | "true" => Some(true),
        "0" | "off" | "no" | "false" => Some(false),
        _ => None,
    }
}

/// One field as it is and as it would be. `None`: it is not there.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// `memory`, or `net0.bridge` within a property string.
    pub field: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

impl Effect {
    pub fn new(field: impl Into<String>, before: Option<Value>, after: Option<Value>) -> Self {
        Self { field: field.into(), before, after }
    }

    pub fn changes(&self) -> bool {
        self.before != self.after
    }
}

/// What setting `name` to `after` does to it, part by part where both are property strings; nothing where nothing
/// changes.
pub fn compare(
    endpoint: &Endpoint,
    name: &str,
    before: Option<&Value>,
    after: Option<&Value>,
) -> Vec<Effect> {
    let parameter = endpoint.parameter(name);
    if let (Some(before), Some(after)) = (before, after) {
        if is_same(parameter, before, after) {
            return Vec::new();
        }
        // A lone value of the default key is the field itself: `memory`, not `memory.current`.
        let lone = |value: &Value| !value.is_object() && !text(value).contains(['=', ',']);
        let whole = lone(before) && lone(after);
        if let (false, Some(old), Some(new)) = (whole, parts(parameter, before), parts(parameter, after)) {
            return parts_compared(name, &old, &new);
        }
    }
    vec![Effect::new(name, before.cloned(), after.cloned())]
}

fn parts_compared(name: &str, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<Effect> {
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    let value =
        |of: &BTreeMap<String, String>, key: &String| of.get(key).map(|text| Value::from(text.as_str()));
    keys.into_iter()
        .map(|key| Effect::new(format!("{name}.{key}"), value(old, key), value(new, key)))
        .filter(Effect::changes)
        .collect()
}

/// The parts of a property string, or of an object that stands for one.
fn parts(parameter: Option<&Parameter>, value: &Value) -> Option<BTreeMap<String, String>> {
    match value {
        Value::Object(fields) => {
            Some(fields.iter().map(|(name, value)| (name.clone(), text(value))).collect())
        }
        Value::String(value) => parameter?.parts(value),
        _ => None,
    }
}

/// Whether PVE would see no difference.
pub fn is_same(parameter: Option<&Parameter>, before: &Value, after: &Value) -> bool {
    if before == after || text(before) == text(after) {
        return true;
    }
    let Some(parameter) = parameter else { return false };
    if parameter.schema.kind == Kind::Boolean {
        return truth(before).is_some() && truth(before) == truth(after);
    }
    if matches!(parameter.schema.kind, Kind::Integer | Kind::Number) {
        let number = |value: &Value| text(value).parse::<f64>().ok();
        return number(before).is_some() && number(before) == number(after);
    }
    if let (Some(old), Some(new)) = (parts(Some(parameter), before), parts(Some(parameter), after)) {
        return old == new;
    }
    let list = matches!(&parameter.schema.format, Some(Format::Named(name)) if name.ends_with("-list"));
    if list || before.is_array() {
        let set = |value: &Value| {
            let mut names: Vec<String> = super::reach::listed(&text(value)).map(str::to_owned).collect();
            names.sort();
            names
        };
        return set(before) == set(after);
    }
    // The API ends a description with a line break that nobody gave it.
    text(before).trim_end_matches('\n') == text(after).trim_end_matches('\n')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::{Catalog, Method, Release};

    #[test]
    fn what_pve_would_not_tell_apart_is_the_same() {
        let catalog = Catalog::embedded(Release::LATEST);
        let config = catalog.template(Method::Put, "/nodes/{node}/qemu/{vmid}/config").unwrap();
        let none = |name: &str, before: Value, after: Value| {
            let effects = compare(config, name, Some(&before), Some(&after));
            assert!(effects.is_empty(), "{name}: {effects:?}");
        };
        none("onboot", json!(1), json!(true));
        none("onboot", json!("1"), json!("yes"));
        none("cores", json!(2), json!("2"));
        none(
            "net0",
            json!("virtio=AA:BB:CC:00:00:01,bridge=vmbr0"),
            json!("bridge=vmbr0,model=virtio,macaddr=AA:BB:CC:00:00:01"),
        );
        none("description", json!("text\n"), json!("text"));
    }

    #[test]
    fn a_property_string_changes_part_by_part() {
        let catalog = Catalog::embedded(Release::LATEST);
        let config = catalog.template(Method::Put, "/nodes/{node}/lxc/{vmid}/config").unwrap();
        let before = json!("name=eth0,bridge=vmbr0,ip=dhcp");
        let after = json!("name=eth0,bridge=vmbr1,ip=dhcp,tag=7");
        let effects = compare(config, "net0", Some(&before), Some(&after));
        let shown: Vec<String> = effects.iter().map(|effect| effect.field.clone()).collect();
        assert_eq!(shown, ["net0.bridge", "net0.tag"]);
        assert_eq!(effects[1].before, None);
    }
}
