//! An answer made from the schema of what an endpoint returns, the same each time: for all that has no state here.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::catalog::{Format, Kind, Parameter, Schema};

/// How deep nested objects are followed; PVE's own go no deeper than this.
const MAX_DEPTH: usize = 8;

/// A value of this shape; what the call's `parameters` name is what they say.
pub fn value(schema: &Schema, parameters: &BTreeMap<String, String>) -> Value {
    make(schema, "", parameters, 0)
}

fn make(schema: &Schema, name: &str, parameters: &BTreeMap<String, String>, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    match schema.kind {
        Kind::Null | Kind::Any => Value::Null,
        Kind::Array => {
            let item = schema.items.as_deref().map(|items| make(items, name, parameters, depth + 1));
            Value::Array(item.filter(|item| !item.is_null()).into_iter().collect())
        }
        Kind::Object => Value::Object(object(&schema.properties, parameters, depth)),
        Kind::Boolean => match given(name, parameters).or_else(|| default(schema)) {
            Some(text) => json!(u8::from(text == "1" || text == "true")),
            None => json!(0),
        },
        Kind::Integer | Kind::Number => {
            let number =
                given(name, parameters).or_else(|| default(schema)).and_then(|text| text.parse::<f64>().ok());
            let number = number.or(schema.minimum).unwrap_or_default();
            if schema.kind == Kind::Integer { json!(number as i64) } else { json!(number) }
        }
        Kind::String => {
            let text = given(name, parameters)
                .or_else(|| default(schema))
                .or_else(|| schema.choices.first().cloned())
                .unwrap_or_else(|| example(name, schema));
            Value::String(text)
        }
    }
}

fn object(
    properties: &[impl std::borrow::Borrow<Parameter>],
    parameters: &BTreeMap<String, String>,
    depth: usize,
) -> Map<String, Value> {
    properties
        .iter()
        .map(std::borrow::Borrow::borrow)
        .map(|property| {
            let name = if property.family { format!("{}0", property.name) } else { property.name.clone() };
            let value = make(&property.schema, &name, parameters, depth + 1);
            (name, value)
        })
        .collect()
}

fn given(name: &str, parameters: &BTreeMap<String, String>) -> Option<String> {
    parameters.get(name).cloned()
}

fn default(schema: &Schema) -> Option<String> {
    match schema.default.as_ref()? {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(u8::from(*flag).to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Something that a reader would expect under this name.
fn example(name: &str, schema: &Schema) -> String {
    let format = match &schema.format {
        Some(Format::Named(name)) => name.as_str(),
        _ => "",
    };
    match (format, name) {
        ("pve-node", _) | (_, "node") => "pve1",
        ("pve-storage-id", _) | (_, "storage") => "local",
        ("pve-vmid", _) => "100",
        ("pve-userid", _) => "root@pam",
        (_, "digest") => "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        (_, "upid") => "UPID:pve1:00002328:00000001:00000001:none::root@pam:",
        (_, "id" | "name" | "type") => name,
        (_, "path" | "devpath" | "dev") => "/dev/sda",
        ("ip" | "ipv4" | "address", _) => "192.0.2.1",
        ("CIDR" | "CIDRv4", _) => "192.0.2.0/24",
        _ => "",
    }
    .to_owned()
}
