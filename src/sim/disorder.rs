//! JSON as PVE writes it: the keys of each object in an order of its own, from row to row, as a Perl hash gives them.
//!
//! A client that counts on an order, or on the place of a key in the row before, must not work here better than there.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

/// Orders, each time others, and in each run of the program the same.
pub struct Disorder(fastrand::Rng);

impl Disorder {
    pub fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        Self(fastrand::Rng::with_seed(COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    pub fn write(&mut self, value: &Value, out: &mut Vec<u8>) {
        match value {
            Value::Object(object) => {
                let mut entries: Vec<_> = object.iter().collect();
                self.0.shuffle(&mut entries);
                out.push(b'{');
                for (number, (key, value)) in entries.into_iter().enumerate() {
                    if number > 0 {
                        out.push(b',');
                    }
                    write(key, out);
                    out.push(b':');
                    self.write(value, out);
                }
                out.push(b'}');
            }
            Value::Array(items) => {
                out.push(b'[');
                for (number, item) in items.iter().enumerate() {
                    if number > 0 {
                        out.push(b',');
                    }
                    self.write(item, out);
                }
                out.push(b']');
            }
            plain => write(plain, out),
        }
    }
}

fn write(value: &impl serde::Serialize, out: &mut Vec<u8>) {
    // Into memory, and with names for keys: it cannot fail.
    let _ = serde_json::to_writer(out, value);
}

/// A whole body.
pub fn body(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    Disorder::new().write(value, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_order_of_keys_is_another() {
        let row = json!({ "a": 1, "b": [null, { "x": "\"", "y": {} }], "c": "é", "d": 0.5, "e": true });
        let value = json!({ "data": vec![row; 20], "total": 20 });
        let text = body(&value);
        assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), value);
        let text = String::from_utf8(text).unwrap();
        let first: std::collections::BTreeSet<&str> =
            text.split("{\"").skip(2).map(|row| &row[..1]).collect();
        assert!(first.len() > 3, "{first:?}");
    }
}
