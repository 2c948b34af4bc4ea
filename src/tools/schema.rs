//! What clients are told of the tools. The list is paid for by every conversation, so it holds short schemas of the
//! arguments; the answers' schemas are resources, read by whoever wants them.

use std::sync::LazyLock;

use rmcp::ErrorData;
use rmcp::model::{JsonObject, Resource, ResourceContents, Tool, ToolAnnotations};
use rmcp::schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

use super::answer::Failure;
use super::{apply, audit, diagnose, exec, files, find, host, plan, read, status};

/// Under it, by the names of the tools, are the schemas of their answers.
pub const PREFIX: &str = "provost://schema/";

struct Entry {
    tool: Tool,
    answer: Value,
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    vec![
        Entry {
            tool: tool::<apply::ApplyArguments>(
                "apply",
                "Carry out one plan, once, by its plan_id.",
                ToolAnnotations::new().read_only(false).destructive(true).open_world(false),
            ),
            answer: answer::<apply::ApplyAnswer>(),
        },
        Entry {
            tool: tool::<audit::AuditArguments>(
                "audit",
                "Receipts of what was read, run and refused here, newest first.",
                ToolAnnotations::new().read_only(true).open_world(false),
            ),
            answer: answer::<audit::AuditAnswer>(),
        },
        Entry {
            tool: tool::<diagnose::DiagnoseArguments>(
                "diagnose",
                "What is wrong with a guest, a node or the cluster, with evidence, next steps, and what could not be seen.",
                ToolAnnotations::new().read_only(true).open_world(false),
            ),
            answer: answer::<diagnose::DiagnoseAnswer>(),
        },
        Entry {
            tool: tool::<exec::ExecArguments>(
                "exec",
                "Run a command in a container or VM. mode inspect (default; no VMs): reads anything, changes nothing, \
                 enforced by the kernel; change: as its root.",
                ToolAnnotations::new().read_only(false).destructive(true).open_world(false),
            ),
            answer: or_pending(answer::<exec::ExecAnswer>()),
        },
        Entry {
            tool: tool::<files::FileGetArguments>(
                "file_get",
                "A guest's file, or a directory's entries.",
                ToolAnnotations::new().read_only(true).open_world(false),
            ),
            answer: or_pending(answer::<files::FileGetAnswer>()),
        },
        Entry {
            tool: tool::<files::FilePutArguments>(
                "file_put",
                "Write a guest's file whole; undone by restore.",
                ToolAnnotations::new().read_only(false).destructive(true).open_world(false),
            ),
            answer: or_pending(answer::<files::FilePutAnswer>()),
        },
        Entry {
            tool: tool::<find::FindArguments>(
                "find",
                "Plain words to endpoints of the node's API, with tier and needs, and recipes for the common jobs.",
                ToolAnnotations::new().read_only(true).open_world(false),
            ),
            answer: answer::<find::FindAnswer>(),
        },
        Entry {
            tool: tool::<plan::PlanArguments>(
                "plan",
                "What any change would do, to whom, and the way back. Changes nothing; `apply` carries it out.",
                ToolAnnotations::new().read_only(true).open_world(false),
            ),
            answer: answer::<plan::PlanAnswer>(),
        },
        Entry {
            tool: tool::<read::ReadArguments>(
                "read",
                "Any GET of the node's API, by path or in words: lean rows, filtered, sorted, paged; or a task, \
                 followed to its end.",
                ToolAnnotations::new().read_only(true).open_world(false),
            ),
            answer: answer::<read::ReadAnswer>(),
        },
        Entry {
            tool: tool::<status::StatusArguments>(
                "status",
                "Who you are to this node, what you may do, what stands, what waits.",
                ToolAnnotations::new().read_only(true).open_world(false),
            ),
            answer: answer::<status::StatusAnswer>(),
        },
    ]
});

/// The tool's name as the list has it.
pub fn name(asked: &str) -> Option<&'static str> {
    ["apply", "audit", "diagnose", "exec", "file_get", "file_put", "find", "plan", "read", "status"]
        .into_iter()
        .find(|name| *name == asked)
}

pub fn tools() -> Vec<Tool> {
    ENTRIES.iter().map(|entry| entry.tool.clone()).collect()
}

/// The schema of a tool's answer.
pub fn answer_schema(tool: &str) -> Option<Value> {
    ENTRIES.iter().find(|entry| entry.tool.name == tool).map(|entry| entry.answer.clone())
}

/// That of what every tool says when it did not do what was asked.
pub fn failure_schema() -> Value {
    schema::<Failure>(Of::Answer)
}

pub fn resources() -> Vec<Resource> {
    let resource = |entry: &Entry| {
        let name = &entry.tool.name;
        Resource::new(uri(name), format!("schema of {name}'s answer"))
            .with_mime_type("application/schema+json")
    };
    ENTRIES.iter().map(resource).collect()
}

pub fn read(wanted: &str) -> Result<ResourceContents, ErrorData> {
    let entry = ENTRIES.iter().find(|entry| uri(&entry.tool.name) == wanted);
    let entry = entry.ok_or_else(|| {
        let known: Vec<String> = ENTRIES.iter().map(|entry| uri(&entry.tool.name)).collect();
        super::resources::not_found(format!("no such resource; there are: {}", known.join(", ")), wanted)
    })?;
    Ok(ResourceContents::text(entry.answer.to_string(), wanted).with_mime_type("application/schema+json"))
}

fn uri(tool: &str) -> String {
    format!("{PREFIX}{tool}")
}

fn tool<A: JsonSchema>(name: &'static str, description: &'static str, hints: ToolAnnotations) -> Tool {
    let mut input = match schema::<A>(Of::Arguments) {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    };
    // Without arguments too: there are models' APIs that refuse an object that does not name its properties.
    input.entry("properties").or_insert_with(|| json!({}));
    Tool::new(name, description, input).with_annotations(hints)
}

/// What a schema describes: what we read, or what we write.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Arguments,
    Answer,
}

/// A type's schema without what a client does not need: the dialect, the type's own name, formats that only say which
/// integer Rust uses.
fn schema<T: JsonSchema>(of: Of) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let settings = match of {
        Of::Arguments => settings.for_deserialize(),
        Of::Answer => settings.for_serialize(),
    };
    let mut value = settings.into_generator().into_root_schema_for::<T>().to_value();
    trim(&mut value);
    if of == Of::Arguments {
        without_null(&mut value);
    }
    value
}

/// The schema of an answer: what the tool says, or an error beside what it still knows.
fn answer<T: JsonSchema>() -> Value {
    let mut answer = schema::<T>(Of::Answer);
    if let Some(object) = answer.as_object_mut() {
        let required = object.remove("required").unwrap_or_else(|| json!([]));
        object.insert("anyOf".into(), json!([{ "required": required }, { "required": ["error"] }]));
        let properties = object.entry("properties").or_insert_with(|| json!({}));
        properties["error"] = schema::<Failure>(Of::Answer);
    }
    answer
}

/// Of a tool that the node itself can be asked of: then it first waits for a person.
fn or_pending(mut answer: Value) -> Value {
    let pending = schema::<host::PendingAnswer>(Of::Answer);
    if let Some(properties) = pending["properties"].as_object() {
        for (name, schema) in properties {
            let known = &mut answer["properties"][name];
            if known.is_null() {
                *known = schema.clone();
            }
        }
    }
    if let Some(ways) = answer["anyOf"].as_array_mut() {
        ways.push(json!({ "required": pending["required"] }));
    }
    answer
}

/// Calls `act` on each schema within a schema, and on it. What stands under `properties` and its like are names of
/// somebody's own, which may be any word of this language.
fn each_schema(schema: &mut Value, act: &impl Fn(&mut JsonObject)) {
    let Value::Object(object) = schema else { return };
    for (key, value) in object.iter_mut() {
        match (key.as_str(), value) {
            ("properties" | "patternProperties" | "$defs", Value::Object(named)) => {
                named.values_mut().for_each(|schema| each_schema(schema, act));
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(schemas)) => {
                schemas.iter_mut().for_each(|schema| each_schema(schema, act));
            }
            ("items" | "additionalProperties" | "not" | "propertyNames", schema) => each_schema(schema, act),
            _ => {}
        }
    }
    act(object);
}

fn trim(schema: &mut Value) {
    each_schema(schema, &|object| {
        object.remove("title");
        object.remove("format");
        // Of every unsigned integer, and of every object that may hold anything.
        object.retain(|key, value| {
            !(key == "minimum" && *value == json!(0)
                || key == "additionalProperties" && *value == json!(true))
        });
        if matches!(object.get("default"), Some(Value::Null | Value::Bool(false))) {
            object.remove("default");
        }
    });
}

/// An optional argument is one that may be left out; that null is taken too is nobody's concern.
fn without_null(schema: &mut Value) {
    each_schema(schema, &|object| {
        if let Some(Value::Array(options)) = object.get_mut("enum") {
            options.retain(|option| !option.is_null());
        }
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|kind| kind != "null");
            if let [only] = &types[..] {
                let only = only.clone();
                object.insert("type".into(), only);
            }
        }
        if let Some(Value::Array(options)) = object.get_mut("anyOf") {
            options.retain(|option| option != &json!({ "type": "null" }));
            if let [Value::Object(only)] = &options[..] {
                let only = only.clone();
                object.remove("anyOf");
                for (key, value) in only {
                    object.entry(key).or_insert(value);
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use rmcp::schemars;
    use serde::Deserialize;

    use super::*;
    use crate::policy::{Principal, Rules};

    // Arguments whose names are words of the schema language.
    #[derive(Deserialize, JsonSchema)]
    #[allow(dead_code)]
    struct Awkward {
        title: Option<String>,
        format: u32,
        #[serde(rename = "type")]
        kind: Option<Vec<u32>>,
        #[serde(rename = "anyOf")]
        any_of: Option<Inner>,
        default: Option<String>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[allow(dead_code)]
    struct Inner {
        title: String,
        properties: Option<String>,
    }

    #[test]
    fn arguments_that_are_named_as_words_of_the_language_stay() {
        let schema = schema::<Awkward>(Of::Arguments);
        let expected = json!({
            "type": "object",
            "properties": {
                "title": { "type": "string" },
                "format": { "type": "integer" },
                "type": { "type": "array", "items": { "type": "integer" } },
                "anyOf": {
                    "type": "object",
                    "properties": { "title": { "type": "string" }, "properties": { "type": "string" } },
                    "required": ["title"],
                },
                "default": { "type": "string" },
            },
            "required": ["format"],
        });
        assert_eq!(schema, expected, "{schema:#}");
    }

    #[test]
    fn every_tool_that_is_listed_is_known_by_its_name() {
        for tool in tools() {
            assert_eq!(name(&tool.name), Some(tool.name.as_ref()));
        }
        assert_eq!(name("Read"), None);
    }

    #[test]
    fn every_tool_publishes_what_its_answer_holds_and_how_it_fails() {
        for (tool, keys) in [
            ("exec", &["stdout", "exit_code", "timed_out", "truncated", "lane", "receipt"][..]),
            (
                "status",
                &["principal", "role", "exec", "sandbox", "pending", "halted", "configuration", "not_yet"],
            ),
        ] {
            let read = read(&uri(tool)).expect("a schema");
            let ResourceContents::TextResourceContents { text, .. } = read else { panic!("text") };
            let schema: Value = serde_json::from_str(&text).unwrap();
            for key in keys {
                assert!(schema["properties"][key].is_object(), "{tool}: {key}: {schema:#}");
            }
            assert!(schema["properties"]["error"]["properties"]["kind"].is_object(), "{schema:#}");
            assert_eq!(schema["anyOf"][1]["required"], json!(["error"]));
        }
    }

    /// Whether a value has what its schema requires, and nothing that it does not name.
    fn fits(schema: &Value, value: &Value, at: &str) {
        let Value::Object(object) = value else { return };
        let alternatives = schema["anyOf"].as_array();
        let schema = alternatives
            .and_then(|any| any.iter().find(|one| one["properties"].is_object()))
            .unwrap_or(schema);
        let Some(properties) = schema["properties"].as_object() else { return };
        for (key, value) in object {
            let schema = properties.get(key).unwrap_or_else(|| panic!("{at}{key} is not in the schema"));
            fits(schema, value, &format!("{at}{key}."));
        }
        for key in schema["required"].as_array().into_iter().flatten() {
            assert!(object.contains_key(key.as_str().unwrap()), "{at}{key} is required");
        }
    }

    #[test]
    fn status_is_as_its_schema_says() {
        let text = "[exec]\nhost=true\n[[role]]\nname='a'\nmembers=['user:a']";
        let rules = Rules::fixed(crate::config::parse(std::path::Path::new("x"), text).unwrap());
        let provost = super::super::Provost::for_tests(rules);
        for name in ["a", "b"] {
            let principal = Principal::for_tests(1, name, &[(1, "a")]);
            let Ok(answer) = status::call(&provost, &principal, &JsonObject::new(), false) else {
                panic!("an answer")
            };
            fits(&schema::<status::StatusAnswer>(Of::Answer), &Value::Object(answer), "");
        }
    }
}
