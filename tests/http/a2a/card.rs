//! The agent card: what everybody may read of this node, and that it is this node's.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};

use super::Agent;
use crate::web::Web;

/// RFC 8785 of what holds text in ASCII, truths and nothing else: members by name, no blanks. Written here anew, so that it is
/// not the daemon's own.
fn canonical(value: &Value) -> String {
    let all = |items: Vec<String>| items.join(",");
    match value {
        Value::Object(object) => {
            let mut names: Vec<&String> = object.keys().collect();
            names.sort();
            let member = |name: &&String| format!("{}:{}", json!(name), canonical(&object[name.as_str()]));
            format!("{{{}}}", all(names.iter().map(member).collect()))
        }
        Value::Array(items) => format!("[{}]", all(items.iter().map(canonical).collect())),
        other => other.to_string(),
    }
}

fn decoded(text: &Value) -> Vec<u8> {
    BASE64.decode(text.as_str().expect("text")).expect("base64url")
}

/// Whether the card is signed by a key of these.
fn verified(card: &Value, keys: &Value) -> bool {
    let mut signed = card.clone();
    let signatures = signed.as_object_mut().unwrap().remove("signatures").unwrap();
    covers(&signatures[0], &signed, keys)
}

/// Whether this signature is of what the card says.
fn covers(signature: &Value, signed: &Value, keys: &Value) -> bool {
    let header: Value = serde_json::from_slice(&decoded(&signature["protected"])).unwrap();
    assert_eq!((&header["alg"], &header["typ"]), (&json!("EdDSA"), &json!("JOSE")));
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]);
    let key = key.expect("a key of that kid");
    let members = json!({ "crv": key["crv"], "kty": key["kty"], "x": key["x"] });
    let thumbprint = BASE64.encode(digest(&SHA256, canonical(&members).as_bytes()));
    assert_eq!((&key["crv"], &key["kid"]), (&json!("Ed25519"), &json!(thumbprint)), "RFC 7638");
    let text = format!("{}.{}", signature["protected"].as_str().unwrap(), BASE64.encode(canonical(signed)));
    UnparsedPublicKey::new(&ED25519, decoded(&key["x"]))
        .verify(text.as_bytes(), &decoded(&signature["signature"]))
        .is_ok()
}

#[test]
fn the_card_is_there_for_everybody_and_signed_by_the_key_that_is_published() {
    let web = Web::start("");
    let answer = web.get("/.well-known/agent-card.json");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let (card, keys) = (answer.json(), web.get("/.well-known/jwks.json").json());
    assert!(verified(&card, &keys));
    let mut other = card.clone();
    other["supportedInterfaces"][0]["url"] = json!("http://evil.example/a2a");
    assert!(!verified(&other, &keys));
    let bindings: Vec<Value> = card["supportedInterfaces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|interface| {
            assert_eq!(interface["url"], "http://localhost/a2a");
            json!([interface["protocolBinding"], interface["protocolVersion"]])
        })
        .collect();
    assert_eq!(json!(bindings), json!([["JSONRPC", "1.0"], ["HTTP+JSON", "1.0"], ["JSONRPC", "0.3"]]));
    let capabilities = json!({ "streaming": true, "pushNotifications": false, "extendedAgentCard": true });
    assert_eq!(card["capabilities"], capabilities);
    assert_eq!(card["securitySchemes"]["bearer"]["httpAuthSecurityScheme"]["scheme"], "Bearer");
    // Of the same table as the tools.
    let token = web.token(&[]);
    let session = web.session(&token);
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {} });
    let listed = web.mcp(&token, Some(&session), &list).message();
    let tools: Vec<&Value> =
        listed["result"]["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    let skills: Vec<&Value> = card["skills"].as_array().unwrap().iter().map(|skill| &skill["id"]).collect();
    assert_eq!(tools, skills);
}

#[test]
fn the_card_tells_who_shows_no_token_nothing_of_this_node() {
    let web = Web::start("profile = \"full\"\nguests = [\"100-104\"]");
    for path in ["/.well-known/agent-card.json", "/.well-known/agent.json", "/.well-known/jwks.json"] {
        let body = web.get(path).body;
        for word in ["pve1", "own", "full", "100-104", "sock", web.site.dir.path().to_str().unwrap()] {
            assert!(!body.contains(&format!("\"{word}\"")), "{path}: {word}");
        }
        assert_eq!(web.ask("POST", path, &[], "").status, 405);
        let elsewhere = web.ask("GET", path, &[("host", "evil.example")], "");
        assert_eq!((elsewhere.status, elsewhere.kind()), (403, "host_not_allowed".into()));
    }
    // Who shows one hears of its own role, signed as well.
    let token = web.token(&["--as", "own"]);
    let card = Agent::new(&web, &token).result("GetExtendedAgentCard", &json!({}));
    assert!(verified(&card, &web.get("/.well-known/jwks.json").json()));
    let params = &card["capabilities"]["extensions"][0]["params"];
    assert_eq!((&params["role"], &params["profile"]), (&json!("own"), &json!("full")));
    let schema: Value = serde_json::from_str(params["arguments"]["read"].as_str().unwrap()).unwrap();
    assert!(schema["properties"]["path"].is_object(), "{params}");
}

#[test]
fn the_card_of_0_3_has_its_form_its_place_and_its_signature() {
    let web = Web::start("");
    let keys = web.get("/.well-known/jwks.json").json();
    let card = web.get("/.well-known/agent.json").json();
    assert!(verified(&card, &keys));
    assert_eq!((&card["protocolVersion"], &card["preferredTransport"]), (&json!("0.3.0"), &json!("JSONRPC")));
    assert_eq!((&card["url"], &card["supportedInterfaces"]), (&json!("http://localhost/a2a"), &Value::Null));
    assert_eq!(
        (&card["securitySchemes"]["bearer"]["type"], &card["security"]),
        (&json!("http"), &json!([{ "bearer": ["role"] }]))
    );
    assert_eq!(card["supportsAuthenticatedExtendedCard"], true);
    let asked = web.ask("GET", "/.well-known/agent-card.json", &[("a2a-version", "0.3")], "").json();
    assert_eq!(asked, card);
    // For who was told of the operations' address, and looks under it.
    assert_eq!(web.get("/a2a/.well-known/agent.json").json(), card);
}

/// The protocol's libraries of both lines look in the same place and say nothing of their version.
#[test]
fn who_does_not_say_what_it_reads_gets_a_card_of_both_forms_with_a_signature_of_each() {
    let web = Web::start("");
    let keys = web.get("/.well-known/jwks.json").json();
    let in_form = |version: &str, signatures: usize| {
        let answer = web.ask("GET", "/.well-known/agent-card.json", &[("a2a-version", version)], "");
        let mut card = answer.json();
        assert_eq!(card["signatures"].as_array().map(Vec::len), Some(signatures));
        card.as_object_mut().unwrap().remove("signatures");
        card
    };
    let (one, three) = (in_form("1.0", 1), in_form("0.3", 2));
    assert_eq!((&one["url"], &three["supportedInterfaces"]), (&Value::Null, &Value::Null));
    let mut card = web.get("/.well-known/agent-card.json").json();
    assert!(verified(&card, &keys));
    let signatures = card.as_object_mut().unwrap().remove("signatures").unwrap();
    assert!(covers(&signatures[1], &one, &keys) && covers(&signatures[2], &three, &keys));
    // All that each form says is there.
    fn holds(card: &Value, part: &Value) -> bool {
        match part.as_object() {
            Some(members) => members.iter().all(|(name, part)| holds(&card[name], part)),
            None => card == part,
        }
    }
    assert!(holds(&card, &one) && holds(&card, &three), "{card}");
}

#[test]
fn its_address_is_https_for_every_name_but_loopbacks_whatever_a_header_says() {
    let web = Web::listening("", "http = \"{dir}/http.sock\"\nhttp_hosts = [\"provost.example.org\"]");
    let headers = [
        ("host", "provost.example.org:8443"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "evil.example"),
    ];
    let card = web.ask("GET", "/.well-known/agent-card.json", &headers, "").json();
    assert_eq!(card["supportedInterfaces"][0]["url"], "https://provost.example.org:8443/a2a");
    assert!(verified(&card, &web.get("/.well-known/jwks.json").json()));
}

#[test]
fn a_card_that_is_known_is_not_sent_again() {
    let web = Web::start("");
    let first = web.get("/.well-known/agent-card.json");
    let tag = first.header("etag").expect("a tag").to_owned();
    assert!(first.header("cache-control").unwrap().contains("max-age="));
    let again = web.ask("GET", "/.well-known/agent-card.json", &[("if-none-match", &tag)], "");
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    assert_eq!(web.ask("GET", "/.well-known/agent-card.json", &[("if-none-match", "\"x\"")], "").status, 200);
}

#[test]
fn a_cards_signature_is_no_token() {
    let web = Web::start("");
    let mut card = web.get("/.well-known/agent-card.json").json();
    let signatures = card.as_object_mut().unwrap().remove("signatures").unwrap();
    let part = |name: &str| signatures[0][name].as_str().unwrap().to_owned();
    let token = format!("{}.{}.{}", part("protected"), BASE64.encode(canonical(&card)), part("signature"));
    assert_eq!(web.tool(&token, "status", &json!({})).status, 401);
}
