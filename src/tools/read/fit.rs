//! Values cut to a size: an answer never holds more than its budget, whatever PVE or a guest wrote.

use std::collections::HashMap;
use std::fmt;

use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use serde_json::Value;

/// What was left out of a value.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Cut {
    /// Where: a JSON pointer into `data`.
    pub at: String,
    /// Bytes of a text, or items of a list, that are there.
    pub kept: usize,
    pub of: usize,
}

/// Bytes of a value as JSON.
pub fn size(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // A count cannot fail, and neither can a value's own serialisation.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// The steps by which a value is made smaller: the longest text, the longest list, at any depth.
const STEPS: &[(usize, usize)] = &[
    (16_384, 2_000),
    (8_192, 500),
    (4_096, 200),
    (2_048, 100),
    (1_024, 50),
    (256, 25),
    (128, 10),
    (64, 5),
    (16, 1),
    (0, 0),
];

/// Cuts texts and lists in `value` until it fits `budget` bytes. `at` is where it stands. Each step goes on with what the
/// one before has left, so that no more than the value itself is ever held.
pub fn fit(value: &mut Value, budget: usize, at: &str) -> Vec<Cut> {
    let of = size(value);
    if of <= budget {
        return Vec::new();
    }
    let mut whole = HashMap::new();
    for (text, items) in STEPS {
        limit(value, *text, *items, &At::Root(at), &mut whole);
        if size(value) <= budget {
            let mut cuts = Vec::new();
            told(value, &At::Root(at), &whole, &mut cuts);
            return cuts;
        }
    }
    // An object of thousands of keys.
    *value = Value::Null;
    vec![Cut { at: at.into(), kept: 0, of }]
}

/// Where a value stands; written out only where something is cut.
enum At<'a> {
    Root(&'a str),
    Item(&'a At<'a>, usize),
    Member(&'a At<'a>, &'a str),
}

impl fmt::Display for At<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(at) => to.write_str(at),
            Self::Item(list, index) => write!(to, "{list}/{index}"),
            Self::Member(object, name) => {
                write!(to, "{object}/{}", name.replace('~', "~0").replace('/', "~1"))
            }
        }
    }
}

/// `whole`: how long it was before any step, of what was cut.
fn limit(value: &mut Value, text: usize, items: usize, at: &At, whole: &mut HashMap<String, usize>) {
    match value {
        Value::String(string) if string.len() > text => {
            whole.entry(at.to_string()).or_insert(string.len());
            let end = crate::text::beginning(string, text).len();
            string.truncate(end);
        }
        Value::Array(array) => {
            if array.len() > items {
                whole.entry(at.to_string()).or_insert(array.len());
                array.truncate(items);
            }
            for (index, item) in array.iter_mut().enumerate() {
                limit(item, text, items, &At::Item(at, index), whole);
            }
        }
        Value::Object(object) => {
            for (name, value) in object.iter_mut() {
                limit(value, text, items, &At::Member(at, name), whole);
            }
        }
        _ => {}
    }
}

/// What was cut of what is still there.
fn told(value: &Value, at: &At, whole: &HashMap<String, usize>, cuts: &mut Vec<Cut>) {
    let mut tell = |kept| {
        let place = at.to_string();
        cuts.extend(whole.get(&place).map(|of| Cut { at: place, kept, of: *of }));
    };
    match value {
        Value::String(text) => tell(text.len()),
        Value::Array(array) => {
            tell(array.len());
            for (index, item) in array.iter().enumerate() {
                told(item, &At::Item(at, index), whole, cuts);
            }
        }
        Value::Object(object) => {
            for (name, value) in object {
                told(value, &At::Member(at, name), whole, cuts);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_fits_stays_whole() {
        let mut value = json!({ "a": "text", "b": [1, 2, 3] });
        let before = value.clone();
        assert_eq!(fit(&mut value, size(&before), ""), []);
        assert_eq!(value, before);
    }

    #[test]
    fn the_longest_is_cut_first_and_said() {
        let mut value = json!({ "log": "x".repeat(100_000), "name": "web", "a/b": vec![1; 3_000] });
        let cuts = fit(&mut value, 20_000, "");
        assert!(size(&value) <= 20_000);
        assert_eq!(value["name"], "web");
        let log = cuts.iter().find(|cut| cut.at == "/log").unwrap();
        assert_eq!((log.kept, log.of), (value["log"].as_str().unwrap().len(), 100_000));
        assert!(cuts.iter().any(|cut| cut.at == "/a~1b" && cut.of == 3_000));
    }

    #[test]
    fn nothing_is_too_large_to_be_made_to_fit() {
        let many: serde_json::Map<_, _> = (0..100_000).map(|at| (format!("key{at}"), json!(at))).collect();
        for mut value in [Value::Object(many), json!("é".repeat(1 << 20)), json!(vec!["y".repeat(99); 9_999])]
        {
            let cuts = fit(&mut value, 1_000, "");
            assert!(size(&value) <= 1_000 && !cuts.is_empty());
        }
    }
}
