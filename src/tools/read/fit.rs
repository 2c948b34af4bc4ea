//! Values cut to a size: an answer never holds more than its budget, whatever PVE or a guest wrote.

use std::collections::HashMap;
use std::fmt;

use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use serde_json::{Map, Value};

/// What was left out of a value.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Cut {
    /// Where: a JSON pointer into `data`.
    pub at: String,
    /// Bytes of a text, items of a list, or members of an object, that are there.
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

/// Where a text or a list is cut shorter than this, what is left tells nothing: then an object has too many members.
const TELLING: (usize, usize) = (64, 5);

/// Cuts texts and lists in `value` until it fits `budget` bytes. `at` is where it stands. Each step goes on with what the
/// one before has left, so that no more than the value itself is ever held. Of an object that is keyed by id, the first
/// members that fit are left as they are.
pub fn fit(value: &mut Value, budget: usize, at: &str) -> Vec<Cut> {
    let of = size(value);
    if of <= budget {
        return Vec::new();
    }
    if let Value::Object(object) = value
        && size_of_object(object, &|value| least(value, TELLING)) > budget
    {
        return members(object, budget, at);
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
    *value = Value::Null;
    vec![Cut { at: at.into(), kept: 0, of }]
}

/// Leaves as many whole members as fit, in their order; of a first one that is too large alone, what fits of it.
fn members(object: &mut Map<String, Value>, budget: usize, at: &str) -> Vec<Cut> {
    let (of, mut kept, mut used) = (object.len(), 0, 2);
    let mut cuts = Vec::new();
    let mut is_full = false;
    object.retain(|name, value| {
        if is_full {
            return false;
        }
        let name_takes = size_of_name(name);
        if kept == 0 && used + name_takes < budget {
            cuts = fit(value, budget - used - name_takes, &At::Member(&At::Root(at), name).to_string());
        }
        used += name_takes + size(value);
        is_full = used > budget;
        kept += usize::from(!is_full);
        !is_full
    });
    cuts.insert(0, Cut { at: at.into(), kept, of });
    cuts.retain(|cut| kept > 0 || cut.at == at);
    cuts
}

/// Bytes of a name in an object, with its quotes, its colon and a comma.
fn size_of_name(name: &str) -> usize {
    size(&name.into()) + 2
}

fn size_of_object(object: &Map<String, Value>, size: &impl Fn(&Value) -> usize) -> usize {
    2 + object.iter().map(|(name, value)| size_of_name(name) + size(value)).sum::<usize>()
}

/// Bytes of a value with its texts and lists cut as short.
fn least(value: &Value, (text, items): (usize, usize)) -> usize {
    match value {
        Value::String(string) => size(&crate::text::beginning(string, text).into()),
        Value::Array(array) => {
            2 + array.iter().take(items).map(|item| least(item, (text, items)) + 1).sum::<usize>()
        }
        Value::Object(object) => size_of_object(object, &|value| least(value, (text, items))),
        other => size(other),
    }
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
    fn of_an_object_of_many_members_the_first_are_there_whole() {
        let member =
            |at: usize| (format!("/vms/{at:04}"), json!({ "VM.Audit": 1, "VM.PowerMgmt": 1, "note": "n" }));
        let whole: Map<_, _> = (0..5_000).map(member).collect();
        let mut value = Value::Object(whole.clone());
        let cuts = fit(&mut value, 20_000, "");
        let object = value.as_object().unwrap();
        assert!(object.iter().eq(whole.iter().take(object.len())), "whole, and in their order");
        let room = 20_000 - size(&value);
        assert!(room < 100, "as many as fit: {room} bytes are left");
        assert_eq!(cuts, [Cut { at: String::new(), kept: object.len(), of: 5_000 }]);
        // What is within one is reached as well.
        let mut value = json!({ "first": whole, "second": 2 });
        let cuts = fit(&mut value, 20_000, "/7");
        assert!(size(&value) <= 20_000 && value["first"].as_object().unwrap().len() > 100);
        assert_eq!((cuts[0].at.as_str(), cuts[0].of), ("/7", 2));
        assert_eq!((cuts[1].at.as_str(), cuts[1].of), ("/7/first", 5_000));
    }

    #[test]
    fn nothing_is_too_large_to_be_made_to_fit() {
        let many: serde_json::Map<_, _> = (0..100_000).map(|at| (format!("key{at}"), json!(at))).collect();
        for mut value in [Value::Object(many), json!("é".repeat(1 << 20)), json!(vec!["y".repeat(99); 9_999])]
        {
            let cuts = fit(&mut value, 1_000, "");
            assert!(size(&value) <= 1_000 && !cuts.is_empty());
        }
        let mut long = json!({ "k".repeat(2_000): 1, "z": 2 });
        assert_eq!(fit(&mut long, 1_000, ""), [Cut { at: String::new(), kept: 0, of: 2 }]);
        assert_eq!(long, json!({}));
    }
}
