use provost::ledger::Kind;
use serde_json::{Value, json};

use crate::place::{Place, role};

#[test]
fn the_tool_finds_what_was_just_done_and_verifies_it() {
    let place = Place::start(&role("reader", "profile = \"observe\""));
    let mut client = place.client();
    client.call("read", json!({ "path": "/version" }));
    place.wait_for(1, |receipt| receipt.kind == Kind::Read);
    let answer = client.call("audit", json!({ "kind": "read", "verify": true }))["structuredContent"].clone();
    assert_eq!(answer["receipts"][0]["endpoint"], "GET /version", "{answer}");
    assert_eq!(answer["verified"]["holds"], true, "{answer}");
    assert_eq!(answer["head"]["state"], "ready");
    // It reads all there is: not as often as somebody asks.
    let more: Vec<Value> = (0..20).map(|_| client.call("audit", json!({ "verify": true }))).collect();
    let refused = |it: &&Value| it["structuredContent"]["error"]["kind"] == "busy";
    assert!(more.iter().all(|it| refused(&it) || it["structuredContent"]["verified"]["holds"] == true));
}

#[test]
fn a_search_goes_on_where_the_answer_before_ended() {
    let place = Place::start(&role("reader", "profile = \"observe\""));
    let mut client = place.client();
    for _ in 0..30 {
        client.call("status", json!({}));
    }
    place.wait_for(30, |receipt| receipt.tool.as_deref() == Some("status"));
    let (mut seen, mut before) = (Vec::new(), Value::Null);
    loop {
        let mut arguments = json!({ "kind": "read", "limit": 7 });
        if !before.is_null() {
            arguments["before"] = before.clone();
        }
        let answer = client.call("audit", arguments)["structuredContent"].clone();
        let seqs = answer["receipts"].as_array().unwrap().iter().map(|it| it["seq"].as_u64().unwrap());
        seen.extend(seqs);
        before = json!(seen.last());
        if answer["more"] == false {
            break;
        }
    }
    assert!(seen.len() >= 30 && seen.windows(2).all(|pair| pair[0] > pair[1]), "{seen:?}");
}
