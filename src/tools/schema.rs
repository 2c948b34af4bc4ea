//! What clients are told of the tools. The list is paid for by every conversation, so it holds short schemas of the
//! arguments; the answers' schemas are resources, read by whoever wants them.

use std::sync::LazyLock;

use rmcp::ErrorData;
use rmcp::model::{JsonObject, Resource, ResourceContents, Tool, ToolAnnotations};
use rmcp::schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

use super::{exec, read, status};

/// Under it, by the names of the tools, are the schemas of their answers.
pub const PREFIX: &str = "provost://schema/";

struct Entry {
    tool: Tool,
    answer: Value,
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    vec![
        Entry {
            tool: tool::<exec::ExecArguments>(
                "exec",
                "Run a command in a container. mode \"inspect\" (default): reads anything, changes nothing, enforced \
                 by the kernel. mode \"change\": as root of the container.",
                ToolAnnotations::new().read_only(false).destructive(true).open_world(false),
            ),
            answer: schema::<exec::ExecAnswer>(Of::Answer),
        },
        Entry {
            tool: tool::<read::ReadArguments>(
                "read",
                "Any GET of the node's API, by path or in words: lean rows, filtered, sorted, in pages; or a task, \
                 followed to its end.",
                ToolAnnotations::new().read_only(true).open_world(false),
            ),
            answer: schema::<read::ReadAnswer>(Of::Answer),
        },
        Entry {
            tool: tool::<status::StatusArguments>(
                "status",
                "Who you are to this node, what you may do, what stands, what waits.",
                ToolAnnotations::new().read_only(true).open_world(false),
            ),
            answer: json!({ "type": "object" }),
        },
    ]
});

pub fn tools() -> Vec<Tool> {
    ENTRIES.iter().map(|entry| entry.tool.clone()).collect()
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
        ErrorData::resource_not_found(format!("no such resource; there are: {}", known.join(", ")), None)
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

fn trim(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.remove("title");
            object.remove("format");
            if object.get("default") == Some(&Value::Null) {
                object.remove("default");
            }
            object.values_mut().for_each(trim);
        }
        Value::Array(items) => items.iter_mut().for_each(trim),
        _ => {}
    }
}

/// An optional argument is one that may be left out; that null is taken too is nobody's concern.
fn without_null(value: &mut Value) {
    match value {
        Value::Object(object) => {
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
            object.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}
