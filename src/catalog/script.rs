//! A catalogue as the `apidoc.js` of a node: for a simulated one, and for the importer's tests.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Catalog, Endpoint, Format, Kind, Parameter, Permission, PropertyKey, Schema};

/// What follows the array in the real file is a program; here it is as much of one as the importer must not mind.
const VIEWER: &str = r#"
;

let method2cmd = {
    GET: 'get',
};

function render(value) {
    // apiSchema = [ is not here
    return `[${value}] apiSchema = [`.replace(/[\]"'`/]/g, "\"[");
}
"#;

impl Catalog {
    /// The text of an `apidoc.js` that reads as this catalogue.
    #[must_use]
    pub fn to_script(&self) -> String {
        let mut root = Node::default();
        for endpoint in self.endpoints() {
            let segments = endpoint.path.split('/').skip(1);
            let node = segments
                .fold(&mut root, |node, segment| node.children.entry(segment.to_owned()).or_default());
            node.info.insert(endpoint.method.name().to_owned(), info(endpoint));
        }
        let array = serde_json::to_string_pretty(&root.children("")).unwrap_or_default();
        format!("const apiSchema = {array}{VIEWER}")
    }
}

#[derive(Default)]
struct Node {
    info: Map<String, Value>,
    children: BTreeMap<String, Node>,
}

impl Node {
    fn children(&self, path: &str) -> Value {
        let child = |(name, node): (&String, &Self)| {
            let path = format!("{path}/{name}");
            let mut value = json!({"path": path, "text": name, "leaf": u8::from(node.children.is_empty())});
            if !node.info.is_empty() {
                value["info"] = Value::Object(node.info.clone());
            }
            if !node.children.is_empty() {
                value["children"] = node.children(&path);
            }
            value
        };
        self.children.iter().map(child).collect()
    }
}

fn info(endpoint: &Endpoint) -> Value {
    let mut info = Map::new();
    let mut put = |name: &str, value: Value| info.insert(name.to_owned(), value);
    put("method", endpoint.method.name().into());
    put("description", endpoint.description.as_str().into());
    put("allowtoken", u8::from(endpoint.allowtoken).into());
    if endpoint.protected {
        put("protected", 1.into());
    }
    if let Some(parameter) = &endpoint.proxyto {
        put("proxyto", parameter.as_str().into());
    }
    let permissions = match &endpoint.permission {
        Permission::Root => None,
        Permission::World => Some(json!({"user": "world"})),
        Permission::All { description } => Some(json!({"user": "all", "description": description})),
        Permission::Check { check, description } => Some(json!({"check": check, "description": description})),
        Permission::Described(description) => Some(json!({"description": description})),
    };
    if let Some(permissions) = permissions {
        put("permissions", permissions);
    }
    let mut parameters =
        Map::from_iter([("properties".to_owned(), properties(endpoint.parameters.iter().map(|p| &**p)))]);
    if !endpoint.additional {
        parameters.insert("additionalProperties".into(), 0.into());
    }
    put("parameters", parameters.into());
    put("returns", schema(&endpoint.returns).into());
    info.into()
}

fn properties<'a>(parameters: impl Iterator<Item = &'a Parameter>) -> Value {
    parameters.map(|each| (name(each), Value::Object(parameter(each)))).collect::<Map<_, _>>().into()
}

fn name(parameter: &Parameter) -> String {
    format!("{}{}", parameter.name, if parameter.family { "[n]" } else { "" })
}

fn parameter(parameter: &Parameter) -> Map<String, Value> {
    let mut made = match &parameter.variants {
        None => schema(&parameter.schema),
        Some(variants) => {
            let cases = variants.cases.iter().map(|case| {
                let mut made = schema(&case.schema);
                made.insert("instance-types".into(), case.values.as_slice().into());
                made.insert("optional".into(), u8::from(case.optional).into());
                Value::Object(made)
            });
            Map::from_iter([
                ("type-property".to_owned(), variants.property.as_str().into()),
                ("oneOf".to_owned(), cases.collect()),
            ])
        }
    };
    if parameter.optional {
        made.insert("optional".into(), 1.into());
    }
    if let Some(other) = &parameter.requires {
        made.insert("requires".into(), other.as_str().into());
    }
    made
}

fn key(key: &PropertyKey) -> (String, Value) {
    let mut made = parameter(&key.parameter);
    if key.is_default {
        made.insert("default_key".into(), 1.into());
    }
    for (word, value) in [("alias", &key.alias), ("keyAlias", &key.key_alias)] {
        if let Some(value) = value {
            made.insert(word.into(), value.as_str().into());
        }
    }
    (name(&key.parameter), made.into())
}

fn schema(schema: &Schema) -> Map<String, Value> {
    let mut made = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            made.insert(name.to_owned(), value);
        }
    };
    let kind = match schema.kind {
        Kind::Any => None,
        Kind::Null => Some("null"),
        Kind::String => Some("string"),
        Kind::Integer => Some("integer"),
        Kind::Number => Some("number"),
        Kind::Boolean => Some("boolean"),
        Kind::Array => Some("array"),
        Kind::Object => Some("object"),
    };
    // A kind that can be read from the rest would be; so one that is anything has to say so.
    put("type", Some(kind.unwrap_or("any").into()));
    put("description", (!schema.description.is_empty()).then(|| schema.description.as_str().into()));
    put("enum", (!schema.choices.is_empty()).then(|| schema.choices.as_slice().into()));
    put("minimum", schema.minimum.map(Value::from));
    put("maximum", schema.maximum.map(Value::from));
    put("minLength", schema.min_length.map(Value::from));
    put("maxLength", schema.max_length.map(Value::from));
    put("pattern", schema.pattern.as_deref().map(Value::from));
    put("default", schema.default.clone());
    put(
        "format",
        schema.format.as_ref().map(|format| match format {
            Format::Named(name) => name.as_str().into(),
            Format::Properties(keys) => keys.iter().map(key).collect::<Map<_, _>>().into(),
        }),
    );
    put("items", schema.items.as_deref().map(|items| self::schema(items).into()));
    put("properties", (!schema.properties.is_empty()).then(|| properties(schema.properties.iter())));
    put("additionalProperties", schema.values.as_deref().map(|values| self::schema(values).into()));
    made
}
