//! What the runner expects to be told: said.json, with what was asked put into it.

use std::collections::HashMap;
use std::sync::LazyLock;

use rmcp::ErrorData;
use rmcp::model::{
    CallToolResult, ContentBlock, GetPromptResult, InputRequests, JsonObject, Prompt, PromptMessage,
    ReadResourceResult, Resource, ResourceContents, ResourceTemplate, Tool,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[derive(Deserialize)]
pub struct Said {
    pub tools: Vec<Tool>,
    answers: HashMap<String, Answer>,
    /// The forms that tools put to the client's user.
    pub questions: HashMap<String, Value>,
    /// What tools and prompts need before they answer, one round after the other.
    pub rounds: HashMap<String, Vec<InputRequests>>,
    /// What tasks ask on their way.
    pub asks: HashMap<String, InputRequests>,
    pub resources: Vec<Resource>,
    pub templates: Vec<ResourceTemplate>,
    contents: HashMap<String, Value>,
    pub prompts: Vec<Prompt>,
    messages: HashMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    content: Vec<ContentBlock>,
    #[serde(default)]
    is_error: bool,
}

pub fn said() -> &'static Said {
    static SAID: LazyLock<Said> =
        LazyLock::new(|| serde_json::from_str(include_str!("said.json")).expect("said.json"));
    &SAID
}

impl Said {
    /// Of a tool that always answers the same.
    pub fn answer(&self, tool: &str) -> Option<CallToolResult> {
        let answer = self.answers.get(tool)?;
        let content = answer.content.clone();
        Some(if answer.is_error { CallToolResult::error(content) } else { CallToolResult::success(content) })
    }

    /// A resource of that address, or of a template's.
    pub fn contents(&self, uri: &str) -> Result<ReadResourceResult, ErrorData> {
        const TEMPLATE: &str = "test://template/{id}/data";
        let (before, after) = TEMPLATE.split_once("{id}").expect("a template");
        let id = uri.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        let contents = self.contents.get(if id.is_some() { TEMPLATE } else { uri });
        let unknown =
            || ErrorData::resource_not_found("there is no such resource", Some(json!({ "uri": uri })));
        let mut contents = filled(contents.ok_or_else(unknown)?, &[("id", id.unwrap_or_default())]);
        contents["uri"] = uri.into();
        Ok(ReadResourceResult::new(vec![read::<ResourceContents>(contents)?]))
    }

    pub fn messages(&self, prompt: &str, arguments: &JsonObject) -> Result<GetPromptResult, ErrorData> {
        let messages = self.messages.get(prompt);
        let messages = messages.ok_or_else(|| ErrorData::invalid_params("there is no such prompt", None))?;
        let given: Vec<(&str, &str)> =
            arguments.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
        Ok(GetPromptResult::new(read::<Vec<PromptMessage>>(filled(messages, &given))?))
    }
}

/// With each `{name}` in its texts replaced.
fn filled(value: &Value, given: &[(&str, &str)]) -> Value {
    match value {
        Value::String(text) => {
            let put =
                |text: String, (name, value): &(&str, &str)| text.replace(&format!("{{{name}}}"), value);
            given.iter().fold(text.clone(), put).into()
        }
        Value::Array(values) => values.iter().map(|value| filled(value, given)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), filled(value, given))).collect()
        }
        other => other.clone(),
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}
