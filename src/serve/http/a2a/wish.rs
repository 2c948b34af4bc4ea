//! What a message asks for: one tool, with its arguments. Never guessed from words.
//!
//! | message | call |
//! | --- | --- |
//! | a data part `{"tool", "arguments"}` | that tool |
//! | a data part, and `skill` in the message's metadata | that tool, with the part as its arguments |
//! | text alone | `find`, which changes nothing |
//!
//! Text beside a data part is a remark to people, and is not read.

use ::a2a::{A2AError, Message, error_code};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::errors::{error, no_push, wrong};

/// Characters of an id that a client makes.
const LONGEST_ID: usize = 256;
const MOST_PARTS: usize = 64;

/// Bytes of a message that is kept for the task's history.
pub const LONGEST_KEPT: usize = 4 << 10;

/// A message, and how its sender wants to be answered.
pub struct Asked {
    pub message_id: String,
    /// As it came, where it is short.
    pub message: Option<Message>,
    pub task: Option<String>,
    pub context: Option<String>,
    pub said: Said,
    /// The sender does not wait for the end.
    pub at_once: bool,
    /// The sender takes text, and no JSON.
    pub plain: bool,
}

pub enum Said {
    /// A call.
    Wish(Wish),
    /// What is no call, and says so: of a message that goes to a task, that is enough.
    Nothing(A2AError),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    pub tool: String,
    pub arguments: Map<String, Value>,
}

/// Reads `SendMessageRequest`, in the form of 1.0.
pub fn read(params: &Value) -> Result<Asked, A2AError> {
    let message = params.get("message").and_then(Value::as_object);
    let message = message.ok_or_else(|| wrong("message", "a message is needed"))?;
    match message.get("role").and_then(Value::as_str) {
        Some("ROLE_USER") => {}
        _ => return Err(wrong("message.role", "a client's role is ROLE_USER")),
    }
    let message_id = id(message, "messageId", "message.messageId")?;
    let settings = params.get("configuration").unwrap_or(&Value::Null);
    let push = ["taskPushNotificationConfig", "pushNotificationConfig"];
    if push.iter().any(|name| settings.get(name).is_some_and(|config| !config.is_null())) {
        return Err(no_push());
    }
    let at_once = match settings.get("returnImmediately") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(at_once)) => *at_once,
        Some(_) => return Err(wrong("configuration.returnImmediately", "it is true or false")),
    };
    Ok(Asked {
        message_id: message_id.ok_or_else(|| wrong("message.messageId", "an id is needed"))?,
        message: (params["message"].to_string().len() <= LONGEST_KEPT)
            .then(|| Message::deserialize(&params["message"]).ok())
            .flatten(),
        task: id(message, "taskId", "message.taskId")?,
        context: id(message, "contextId", "message.contextId")?,
        said: match wish(message, params) {
            Ok(wish) => Said::Wish(wish),
            Err(error) => Said::Nothing(error),
        },
        at_once,
        plain: plain(settings.get("acceptedOutputModes")),
    })
}

/// An id, where there is one; an empty one is none.
fn id(of: &Map<String, Value>, name: &str, field: &str) -> Result<Option<String>, A2AError> {
    match of.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if text.chars().count() <= LONGEST_ID => Ok(Some(text.clone())),
        Some(_) => Err(wrong(field, "an id is a text of 256 characters at most")),
    }
}

/// Whether nothing but text is taken. Who says nothing takes JSON.
fn plain(modes: Option<&Value>) -> bool {
    let modes: Vec<&str> = match modes {
        Some(Value::Array(modes)) => modes.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let takes = |wanted: &[&str]| modes.iter().any(|mode| wanted.contains(mode));
    takes(&["text", "text/plain", "text/*"]) && !takes(&["application/json", "application/*", "*/*", "data"])
}

fn wish(message: &Map<String, Value>, params: &Value) -> Result<Wish, A2AError> {
    let parts = message.get("parts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if parts.is_empty() || parts.len() > MOST_PARTS {
        return Err(wrong("message.parts", "a message has from 1 to 64 parts"));
    }
    let (mut texts, mut data) = (Vec::new(), Vec::new());
    for part in parts {
        match content(part)? {
            Content::Text(text) => texts.push(text),
            Content::Data(object) => data.push(object),
        }
    }
    let skill = skill(message, params)?;
    match (&data[..], skill) {
        ([object], skill) => call(object, skill),
        ([], None | Some("find")) => {
            let arguments = Map::from_iter([("query".to_owned(), texts.join("\n").into())]);
            Ok(Wish { tool: "find".into(), arguments })
        }
        ([], Some(_)) => Err(wrong("message.parts", "the skill's arguments come as a data part")),
        _ => Err(wrong("message.parts", "one message is one call: it has one data part")),
    }
}

enum Content<'a> {
    Text(&'a str),
    Data(&'a Map<String, Value>),
}

fn content(part: &Value) -> Result<Content<'_>, A2AError> {
    let given = |name: &&str| part.get(name).is_some_and(|content| !content.is_null());
    let contents: Vec<&str> = ["text", "data", "raw", "url"].into_iter().filter(given).collect();
    let media = part.get("mediaType").and_then(Value::as_str).unwrap_or_default();
    let other = || {
        let message = "a part is text, or data as application/json; files go through the skill file_put";
        error(error_code::CONTENT_TYPE_NOT_SUPPORTED, "content_type", message, "send it as data")
    };
    match contents[..] {
        ["text"] => match part["text"].as_str() {
            Some(text) if media.is_empty() || media.starts_with("text/") => Ok(Content::Text(text)),
            Some(_) => Err(other()),
            None => Err(wrong("message.parts.text", "it is a text")),
        },
        ["data"] => match part["data"].as_object() {
            Some(data) if media.is_empty() || media == "application/json" => Ok(Content::Data(data)),
            Some(_) => Err(other()),
            None => Err(wrong("message.parts.data", "it is an object: tool and arguments")),
        },
        ["raw"] | ["url"] => Err(other()),
        // What two could be read in two ways.
        _ => Err(wrong("message.parts", "a part has one content: text or data")),
    }
}

/// The skill that the metadata of the message, or of the request, names.
fn skill<'a>(message: &'a Map<String, Value>, params: &'a Value) -> Result<Option<&'a str>, A2AError> {
    let all = [message.get("metadata"), params.get("metadata")].into_iter().flatten();
    let mut named = all.flat_map(|metadata| [metadata.get("skill"), metadata.get("skillId")]).flatten();
    let Some(skill) = named.next() else { return Ok(None) };
    match (skill.as_str(), named.all(|other| other == skill)) {
        (Some(skill), true) => Ok(Some(skill)),
        _ => Err(wrong("message.metadata.skill", "it is the name of one skill")),
    }
}

fn call(data: &Map<String, Value>, skill: Option<&str>) -> Result<Wish, A2AError> {
    let Some(tool) = data.get("tool") else {
        let skill = skill.ok_or_else(|| {
            wrong("message.parts.data", "it names no tool: {\"tool\": NAME, \"arguments\": {}}")
        })?;
        return Ok(Wish { tool: skill.to_owned(), arguments: data.clone() });
    };
    let tool = tool.as_str().ok_or_else(|| wrong("message.parts.data.tool", "it is a tool's name"))?;
    if skill.is_some_and(|skill| skill != tool) {
        return Err(wrong("message.metadata.skill", "it names another tool than the data part"));
    }
    if data.keys().any(|key| key != "tool" && key != "arguments") {
        return Err(wrong("message.parts.data", "it has tool and arguments, and nothing beside"));
    }
    let arguments = match data.get("arguments") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(arguments)) => arguments.clone(),
        Some(_) => return Err(wrong("message.parts.data.arguments", "they are an object")),
    };
    Ok(Wish { tool: tool.to_owned(), arguments })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of(parts: Value, metadata: Value) -> Result<Wish, i32> {
        let message = json!({ "messageId": "m", "role": "ROLE_USER", "parts": parts, "metadata": metadata });
        match read(&json!({ "message": message })) {
            Ok(Asked { said: Said::Wish(wish), .. }) => Ok(wish),
            Ok(Asked { said: Said::Nothing(error), .. }) | Err(error) => Err(error.code),
        }
    }

    fn wish(tool: &str, arguments: Value) -> Result<Wish, i32> {
        Ok(Wish { tool: tool.into(), arguments: arguments.as_object().unwrap().clone() })
    }

    #[test]
    fn data_is_a_call_and_text_alone_is_looked_up_and_never_a_change() {
        let read = json!({ "tool": "read", "arguments": { "path": "/version" } });
        assert_eq!(of(json!([{ "data": read }]), json!({})), wish("read", json!({ "path": "/version" })));
        assert_eq!(of(json!([{ "data": { "tool": "status" } }]), json!({})), wish("status", json!({})));
        let arguments = json!({ "path": "/version" });
        let by_skill = of(json!([{ "data": arguments }]), json!({ "skill": "read" }));
        assert_eq!(by_skill, wish("read", arguments.clone()));
        let words = json!({ "query": "delete vm 104\nnow" });
        let said = json!([{ "text": "delete vm 104" }, { "text": "now" }]);
        assert_eq!(of(said.clone(), json!({})), wish("find", words.clone()));
        assert_eq!(of(said, json!({ "skillId": "find" })), wish("find", words));
        let both = json!([{ "text": "delete vm 104" }, { "data": read }]);
        assert_eq!(of(both, json!({})), wish("read", json!({ "path": "/version" })));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_call() {
        let read = json!({ "tool": "read", "arguments": {} });
        for (parts, metadata, code) in [
            (json!([]), json!({}), -32602),
            (json!([{}]), json!({}), -32602),
            (json!([{ "text": "x", "data": read }]), json!({}), -32602),
            (json!([{ "data": read }, { "data": read }]), json!({}), -32602),
            (json!([{ "data": read }]), json!({ "skill": "exec" }), -32602),
            (json!([{ "data": read }]), json!({ "skill": "read", "skillId": "exec" }), -32602),
            (json!([{ "data": { "tool": "read", "path": "/version" } }]), json!({}), -32602),
            (json!([{ "data": { "tool": 1 } }]), json!({}), -32602),
            (json!([{ "data": { "tool": "read", "arguments": [] } }]), json!({}), -32602),
            (json!([{ "data": { "path": "/version" } }]), json!({}), -32602),
            (json!([{ "data": [] }]), json!({}), -32602),
            (json!([{ "text": "x" }]), json!({ "skill": "exec" }), -32602),
            (json!([{ "raw": "eA==" }]), json!({}), -32005),
            (json!([{ "url": "http://x" }]), json!({}), -32005),
            (json!([{ "data": read, "mediaType": "application/xml" }]), json!({}), -32005),
        ] {
            assert_eq!(of(parts.clone(), metadata.clone()), Err(code), "{parts} {metadata}");
        }
        for (field, value) in [("role", json!("ROLE_AGENT")), ("messageId", json!("")), ("taskId", json!(7))]
        {
            let mut message = json!({ "messageId": "m", "role": "ROLE_USER", "parts": [{ "text": "x" }] });
            message[field] = value;
            assert!(super::read(&json!({ "message": message })).is_err(), "{field}");
        }
    }

    /// JSON in which the names that count are in places where they should not be.
    fn anything() -> impl Strategy<Value = Value> {
        const NAMES: &[&str] = &[
            "message",
            "parts",
            "role",
            "kind",
            "text",
            "data",
            "file",
            "tool",
            "arguments",
            "metadata",
            "skill",
            "configuration",
            "blocking",
            "messageId",
            "taskId",
            "acceptedOutputModes",
            "mediaType",
            "uri",
        ];
        let word = prop_oneof![
            proptest::sample::select(NAMES),
            proptest::sample::select(&["user", "ROLE_USER", "text", "data", "", "x"][..]),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            word.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 60, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((word.clone(), inner), 0..6).prop_map(|pairs| pairs
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_json_is_more_than_refused_in_either_form(params in anything()) {
            for params in [params.clone(), crate::serve::http::a2a::v03::request(params)] {
                if let Ok(Asked { said: Said::Wish(wish), .. }) = read(&params) {
                    // Words alone never call what changes anything.
                    let data = params["message"]["parts"].as_array().unwrap().iter().any(|part| !part["data"].is_null());
                    prop_assert!(data || wish.tool == "find");
                }
            }
        }
    }
}
