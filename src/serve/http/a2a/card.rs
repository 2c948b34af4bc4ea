//! The agent card: who answers here, by which protocol, with which skills. Signed (RFC 7515) over its canonical form (RFC 8785)
//! with the key that signs tokens; that key's public half is at `/.well-known/jwks.json`.
//!
//! In: the name by which this node was asked, which was looked at before. Out: the card. Whoever can connect may read it, so it
//! tells nothing of this node: no name, no guest, no role. Who shows a token is told of its own role, and of the skills'
//! arguments.
//!
//! Nothing in it is empty, and all of it is ASCII: what is empty or not, and how else a letter can be written, is where
//! verifiers differ.

use std::collections::HashMap;

use ::a2a::{
    A2AError, AgentCapabilities, AgentCard, AgentCardSignature, AgentExtension, AgentInterface, AgentSkill,
    HttpAuthSecurityScheme, SecurityScheme, TRANSPORT_PROTOCOL_HTTP_JSON, TRANSPORT_PROTOCOL_JSONRPC,
};
use hyper::header::{CACHE_CONTROL, ETAG, HOST, HeaderMap, HeaderValue, IF_NONE_MATCH, VARY};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::ops::Asker;
use super::{Form, v03};
use crate::ledger::canonical::canonical;
use crate::policy::role;
use crate::policy::token::Tokens;
use crate::serve::http::Door;
use crate::serve::http::answer::{Answer, json as said, refuse, text};
use crate::serve::http::origin::is_loopback_name;
use crate::tools::tools;

/// Where operations are asked for.
pub const PLACE: &str = "/a2a";
pub const CARD: &str = "/.well-known/agent-card.json";
/// Where clients of before 1.0 look; the card there is of their form.
pub const OLD_CARD: &str = "/.well-known/agent.json";
pub const KEYS: &str = "/.well-known/jwks.json";
/// What the extended card says of the skills' arguments.
const ARGUMENTS: &str = "urn:provost:a2a:arguments:1";
const SCHEME: &str = "bearer";

const DESCRIPTION: &str = "Runs the Proxmox host that it lives on, without being able to wreck it: reads freely, shows every \
change before it is made, has a person approve what policy holds back, and keeps receipts. A message is one call: a data part \
{\"tool\": NAME, \"arguments\": {}}; text alone is looked up by the skill find. The arguments of each skill are in the extended \
card, and at the documentation's address.";

/// How each skill is asked.
const EXAMPLES: &[(&str, &str)] = &[
    ("apply", r#"{"tool": "apply", "arguments": {"plan_id": "00112233445566778899aabbccddeeff"}}"#),
    ("audit", r#"{"tool": "audit", "arguments": {"guest": 105, "limit": 10}}"#),
    ("diagnose", r#"{"tool": "diagnose", "arguments": {"subject": "lxc/105"}}"#),
    ("exec", r#"{"tool": "exec", "arguments": {"guest": 105, "argv": ["df", "-h"]}}"#),
    ("file_get", r#"{"tool": "file_get", "arguments": {"guest": 105, "path": "/etc/hosts"}}"#),
    (
        "file_put",
        r#"{"tool": "file_put", "arguments": {"guest": 105, "path": "/etc/motd", "content": "hello"}}"#,
    ),
    ("find", "start a container"),
    ("plan", r#"{"tool": "plan", "arguments": {"path": "stop vm 104"}}"#),
    ("read", r#"{"tool": "read", "arguments": {"path": "/cluster/resources"}}"#),
    ("status", r#"{"tool": "status"}"#),
];

/// `GET` of a card, without a token.
pub fn answer(door: &Door, parts: &Parts, form: Option<Form>) -> Answer {
    let card = match signed(&door.provost.policy.tokens, &public(&base(&parts.headers)), form) {
        Ok(card) => card,
        Err(_) => return unreadable(),
    };
    cached(parts, &card)
}

/// `GET` of the key by which cards are verified.
pub fn keys(door: &Door, parts: &Parts) -> Answer {
    match door.provost.policy.tokens.public_key() {
        Ok(key) => {
            let one = json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key.kid, "x": key.x });
            cached(parts, &json!({ "keys": [one] }))
        }
        Err(_) => unreadable(),
    }
}

/// The card for whoever shows a token.
pub fn extended(door: &Door, asker: &Asker, parts: &Parts, form: Form) -> Result<Value, A2AError> {
    let config = door.provost.policy.rules.now();
    let role = role(&config, &asker.caller.principal);
    let card =
        extending(public(&base(&parts.headers)), role.map(|role| (role.name.as_str(), json!(role.profile))));
    signed(&door.provost.policy.tokens, &card, Some(form))
        .map_err(|_| A2AError::internal("the card cannot be signed"))
}

fn extending(mut card: AgentCard, role: Option<(&str, Value)>) -> AgentCard {
    // As text: a number in it would be written in as many ways as there are languages.
    let schemas = tools().into_iter().map(|tool| {
        let schema = Value::Object((*tool.input_schema).clone()).to_string();
        (tool.name.to_string(), Value::String(schema))
    });
    let mut params = HashMap::from([("arguments".to_owned(), Value::Object(schemas.collect()))]);
    if let Some((name, profile)) = role {
        params.extend([("role".to_owned(), name.into()), ("profile".to_owned(), profile)]);
    }
    let description = Some(
        "JSON Schemas of each skill's arguments, as text, and the role that counts for this token.".into(),
    );
    card.capabilities.extensions = Some(vec![AgentExtension {
        uri: ARGUMENTS.into(),
        description,
        required: None,
        params: Some(params),
    }]);
    card
}

fn unreadable() -> Answer {
    refuse(
        503,
        "tokens_unreadable",
        "the key of this node cannot be read",
        "an operator finds out more: journalctl -t provost",
    )
}

/// As it was asked for: by a name of this node's own over loopback, by any other through a proxy with a certificate. Never by
/// what a proxy's headers say: whoever asks could say it too, and would have a signed card that sends tokens in the clear.
fn base(headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let Some(host) = host else { return "http://localhost".into() };
    let scheme = if is_loopback_name(host.host()) { "http" } else { "https" };
    // Without whatever else an authority may hold.
    let port = host.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{}{port}", host.host().to_ascii_lowercase())
}

fn public(base: &str) -> AgentCard {
    let url = format!("{base}{PLACE}");
    let interface = |binding: &str, version: &str| AgentInterface {
        protocol_version: version.into(),
        ..AgentInterface::new(&url, binding)
    };
    let some = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
    let (json, text) = ("application/json", "text/plain");
    let skills = tools().into_iter().map(|tool| {
        let only_reads = tool.annotations.as_ref().is_some_and(|hints| hints.read_only_hint == Some(true));
        let name = tool.name.to_string();
        let examples =
            EXAMPLES.iter().filter(|(of, _)| *of == name).map(|(_, example)| (*example).to_owned());
        AgentSkill {
            input_modes: if name == "find" { some(&[json, text]) } else { some(&[json]) },
            output_modes: None,
            security_requirements: None,
            examples: Some(examples.collect()),
            description: tool.description.unwrap_or_default().into_owned(),
            tags: vec!["proxmox".into(), if only_reads { "read-only" } else { "changes" }.into()],
            id: name.clone(),
            name,
        }
    });
    let scheme = HttpAuthSecurityScheme {
        scheme: "Bearer".into(),
        description: Some("Short-lived; an operator gives it out on the node.".into()),
        bearer_format: Some("JWT".into()),
    };
    AgentCard {
        name: "Provost".into(),
        description: DESCRIPTION.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        supported_interfaces: vec![
            interface(TRANSPORT_PROTOCOL_JSONRPC, "1.0"),
            interface(TRANSPORT_PROTOCOL_HTTP_JSON, "1.0"),
            interface(TRANSPORT_PROTOCOL_JSONRPC, "0.3"),
        ],
        capabilities: AgentCapabilities {
            streaming: Some(true),
            push_notifications: Some(false),
            extensions: None,
            extended_agent_card: Some(true),
        },
        default_input_modes: vec![json.into(), text.into()],
        default_output_modes: vec![json.into(), text.into()],
        skills: skills.collect(),
        provider: None,
        documentation_url: Some(format!("{base}/openapi.json")),
        icon_url: None,
        security_schemes: Some(HashMap::from([(SCHEME.to_owned(), SecurityScheme::HttpAuth(scheme))])),
        // What the token's role may is looked up with each call.
        security_requirements: Some(vec![HashMap::from([(SCHEME.to_owned(), vec!["role".to_owned()])])]),
        signatures: None,
    }
}

/// The card in its form, with a signature over the rest of it.
///
/// Who has not said which form it reads gets one of both: clients of each look in the same place, and leave alone what they do not
/// know. Verifiers sign for what they have read, some for all that was there and some for what their own version knows of it, so
/// that there is a signature of each; one that holds is enough for the protocol's own libraries.
fn signed(tokens: &Tokens, card: &AgentCard, form: Option<Form>) -> Result<Value, String> {
    let base =
        card.supported_interfaces.first().map(|one| one.url.trim_end_matches(PLACE)).unwrap_or_default();
    let jku = format!("{base}{KEYS}");
    let one = serde_json::to_value(card).map_err(|error| error.to_string())?;
    let three = v03::card(one.clone());
    let spare = v03::without_defaults(three.clone());
    let (mut card, read) = match form {
        Some(Form::One) => (one, Vec::new()),
        Some(Form::Three) => (three, vec![spare]),
        None => (v03::both(one.clone(), three.clone()), vec![one, three, spare]),
    };
    let attest = |card: &Value| {
        let attested = tokens.attest(canonical(card.clone()).get().as_bytes(), &jku)?;
        Ok(AgentCardSignature { protected: attested.protected, signature: attested.signature, header: None })
    };
    let signatures: Result<Vec<AgentCardSignature>, String> =
        std::iter::once(&card).chain(&read).map(attest).collect();
    card["signatures"] = json!(signatures?);
    Ok(card)
}

/// It seldom changes, and says by its tag when it has.
fn cached(parts: &Parts, value: &Value) -> Answer {
    let hash = Sha256::digest(value.to_string().as_bytes());
    let tag = format!("\"{}\"", hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>());
    let known = parts.headers.get_all(IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
    let known =
        known.flat_map(|tags| tags.split(',')).any(|known| known.trim().trim_start_matches("W/") == tag);
    let mut answer = if known { text(304, "application/json", "") } else { said(200, value) };
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    headers.insert(VARY, HeaderValue::from_static("a2a-version, host"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(host: &str) -> String {
        base(&HeaderMap::from_iter([(HOST, host.parse().unwrap())]))
    }

    #[test]
    fn its_address_is_the_name_that_was_asked_for_and_nothing_else_of_the_header() {
        assert_eq!(asked("localhost:7180"), "http://localhost:7180");
        assert_eq!(asked("[::1]:7180"), "http://[::1]:7180");
        assert_eq!(asked("Provost.Example.org"), "https://provost.example.org");
        assert_eq!(asked("provost.example.org:8443"), "https://provost.example.org:8443");
        assert_eq!(asked("evil@localhost"), "http://localhost");
    }

    /// What is left out, or written otherwise, by one verifier and not by another.
    #[test]
    fn nothing_in_it_is_empty_or_outside_ascii_in_any_form() {
        fn full(value: &Value, at: &str) {
            match value {
                Value::Object(object) => {
                    assert!(!object.is_empty(), "{at}");
                    object.iter().for_each(|(name, value)| full(value, &format!("{at}.{name}")));
                }
                Value::Array(items) => {
                    assert!(!items.is_empty(), "{at}");
                    items.iter().for_each(|item| full(item, at));
                }
                Value::String(text) => assert!(!text.is_empty() && text.is_ascii(), "{at}: {text}"),
                Value::Number(_) => panic!("{at}: a number"),
                Value::Bool(_) | Value::Null => {}
            }
        }
        let card = serde_json::to_value(public("https://provost.example.org")).unwrap();
        full(&card, "");
        full(&v03::card(card.clone()), "");
        full(&v03::both(card.clone(), v03::card(card)), "");
        let role = Some(("operator", json!("provision")));
        full(&serde_json::to_value(extending(public("http://localhost"), role)).unwrap(), "");
    }

    #[test]
    fn each_tool_is_a_skill_with_an_example_of_itself() {
        let card = public("http://localhost");
        let names: Vec<String> = tools().iter().map(|tool| tool.name.to_string()).collect();
        assert_eq!(card.skills.iter().map(|skill| skill.id.clone()).collect::<Vec<_>>(), names);
        for skill in &card.skills {
            let example = &skill.examples.as_ref().unwrap()[0];
            if skill.id == "find" {
                continue;
            }
            let call: Value = serde_json::from_str(example).unwrap();
            let tool = tools().into_iter().find(|tool| call["tool"] == *tool.name).unwrap();
            assert_eq!(tool.name, skill.id);
            let known = &tool.input_schema["properties"];
            for (name, _) in call["arguments"].as_object().into_iter().flatten() {
                assert!(!known[name].is_null(), "{}: {name}", skill.id);
            }
        }
    }
}
