//! What an answer is made of: keys and types, values left out.

use serde_json::Value;

/// `{"data":[{"vmid":n}]}` for each list of rows that have a number `vmid`. The kinds of rows stand once each, in order.
pub fn shape(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(items) => {
            let mut kinds: Vec<String> = items.iter().map(shape).collect();
            kinds.sort();
            kinds.dedup();
            format!("[{}]", kinds.join(" | "))
        }
        Value::Object(values) => {
            let mut keys: Vec<String> =
                values.iter().map(|(key, value)| format!("{key}: {}", shape(value))).collect();
            keys.sort();
            format!("{{{}}}", keys.join(", "))
        }
    }
}
