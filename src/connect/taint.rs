//! Whether a host has given text that a guest wrote. It may steer what a model asks of any, and they cannot know, nor can
//! the one that gave it once its session was made again: so each request says so from then on, and a node takes its session for
//! tainted.

use std::sync::atomic::{AtomicBool, Ordering};

use rmcp::model::RequestMetaObject;
use serde_json::{Map, Value};

use super::answer::Said;
use crate::tools::face::taint;

#[derive(Default)]
pub struct Tainted(AtomicBool);

impl Tainted {
    pub fn mark(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// What a request says of it.
    pub fn told(&self, mut meta: RequestMetaObject) -> RequestMetaObject {
        if self.0.load(Ordering::SeqCst) {
            meta.insert(taint::ELSEWHERE.into(), true.into());
        }
        meta
    }

    /// Looks at what a host has answered to a tool.
    pub fn note(&self, tool: &str, args: &Map<String, Value>, said: &Said) {
        if holds(tool, args, said) {
            self.mark();
        }
    }
}

/// Whether a guest's words may be in it: by what was asked, as well as by what the host says that it answers.
fn holds(tool: &str, args: &Map<String, Value>, said: &Said) -> bool {
    let text = |key: &str| {
        said.object.get(key).is_some_and(|text| text.as_str().is_some_and(|text| !text.is_empty()))
    };
    match tool {
        "exec" => text("stdout") || text("stderr"),
        "diagnose" | "file_get" => !said.is_error,
        "read" => {
            let data = said.object.get("data").or(said.object.get("error")).unwrap_or(&Value::Null);
            let paths = [args.get("path"), said.object.get("path")].into_iter().flatten();
            paths
                .filter_map(Value::as_str)
                .any(|path| path.starts_with("UPID:") || taint::in_read(path, data))
        }
        "apply" | "audit" | "plan" => taint::in_answer(tool, &Value::Object(said.object.clone())),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_guest_wrote_on_one_host_is_told_to_all() {
        for (tool, args, answer, taints) in [
            ("exec", json!({}), json!({ "stdout": "x" }), true),
            ("exec", json!({}), json!({ "stdout": "", "stderr": "" }), false),
            (
                "read",
                json!({ "path": "/nodes/a/lxc/1/config" }),
                json!({ "data": { "description": "x" } }),
                true,
            ),
            ("read", json!({ "path": "/nodes/a/lxc/1/config" }), json!({ "data": { "memory": 1 } }), false),
            (
                "read",
                json!({ "path": "config of 1" }),
                json!({ "path": "/nodes/a/syslog", "data": ["x"] }),
                true,
            ),
            (
                "read",
                json!({ "path": "/nodes/a/syslog" }),
                json!({ "path": "/version", "data": ["x"] }),
                true,
            ),
            ("read", json!({ "path": "/version" }), json!({ "data": { "version": "9" } }), false),
            ("status", json!({}), json!({ "role": "x" }), false),
        ] {
            let tainted = Tainted::default();
            let said = Said { object: answer.as_object().unwrap().clone(), is_error: false };
            tainted.note(tool, args.as_object().unwrap(), &said);
            let told = tainted.told(RequestMetaObject::new()).contains_key(taint::ELSEWHERE);
            assert_eq!(told, taints, "{tool} {args} {answer}");
        }
    }
}
