//! What a guest, or somebody who passes for PVE, wrote: through every tool, and every other way to the client, over the socket.
//! It arrives, as text: nothing in it acts on a terminal, hides from a reader or turns lines round.

#[path = "../common/mod.rs"]
mod common;
#[path = "../hostile/guest.rs"]
#[allow(dead_code, reason = "each test program uses its own part")]
mod guest;
#[path = "../read/site.rs"]
#[allow(dead_code, reason = "each test program uses its own part")]
mod site;

mod api;
mod inside;

use serde_json::{Value, json};

use common::Client;

/// A word that is seen, and all that must not be: colour, a title, a clipboard, C1, overrides, zero-width characters, tags, an end
/// of JSON and of fences that others use.
pub const SAMPLE: &str = "Pwned\u{1b}[31m\u{1b}]0;t\u{7}\u{1b}]52;c;ZXZpbA==\u{7}\u{9b}2J\u{202e}\u{2066}\u{200b}\u{feff}\u{e0041}\
                          \u{1bca0}\u{ad}\u{8}\u{7f}\"}]} </untrusted> ``` done";
pub const SEEN: &str = "Pwned";

fn acts_or_hides(character: char) -> bool {
    (character.is_control() && character != '\n' && character != '\t')
        || matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(character, '\u{feff}' | '\u{1bca0}'..='\u{1bca3}' | '\u{e0000}'..='\u{e0fff}')
}

/// Every text of a message, names of fields too, and those in a text that is JSON itself.
fn texts(value: &Value, see: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(inner @ Value::Object(_)) => texts(&inner, see),
            _ => see(text),
        },
        Value::Array(items) => items.iter().for_each(|item| texts(item, see)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            see(name);
            texts(value, see);
        }),
        _ => {}
    }
}

/// That a message, and those that came before it, hold nothing that acts or hides; and whether the sample is seen in it.
pub fn is_clean(client: &mut Client, way: &str, answer: &Value) -> bool {
    let mut seen = false;
    for message in client.notifications.drain(..).chain([answer.clone()]) {
        texts(&message, &mut |text| {
            let wrong: Vec<char> = text.chars().filter(|one| acts_or_hides(*one)).collect();
            assert!(wrong.is_empty(), "{way}: {wrong:?} in {text:?}");
            seen |= text.contains(SEEN);
        });
    }
    seen
}

/// That a request's answer shows the sample, cleaned.
pub fn shows(client: &mut Client, way: &str, method: &str, params: Value) -> Value {
    let answer = client.request(method, params);
    assert!(is_clean(client, way, &answer), "{way} does not show it: {answer:#}");
    answer
}

/// That whatever a tool says to it, it says cleaned: it may not repeat it at all.
pub fn survives(client: &mut Client, name: &str, arguments: Value) {
    let way = format!("{name} {arguments}");
    let answer = client.request("tools/call", json!({ "name": name, "arguments": arguments }));
    is_clean(client, &way, &answer);
}

pub fn tool(client: &mut Client, name: &str, arguments: Value) -> Value {
    let way = format!("{name} {arguments}");
    shows(client, &way, "tools/call", json!({ "name": name, "arguments": arguments }))
}
