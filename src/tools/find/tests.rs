use serde_json::json;

use super::*;
use crate::config;
use crate::policy::Rules;

fn find(arguments: Value) -> Answer {
    let text = "[pve]\napidoc = \"/nonexistent/apidoc.js\"\n[[role]]\nname = \"reader\"\nmembers = [\"user:alice\"]\n\
                profile = \"observe\"";
    let rules = Rules::fixed(config::parse(std::path::Path::new("x"), text).unwrap());
    let provost = Provost::for_tests(rules);
    let Value::Object(given) = arguments else { panic!("an object") };
    call(&provost, &Principal::for_tests(1000, "alice", &[]), given, &Arc::default())
}

#[test]
fn a_row_says_what_the_call_is_and_what_it_takes() {
    let answer = Value::Object(find(json!({ "query": "spin up ct 105" })).ok().unwrap());
    let first = &answer["matches"][0];
    assert_eq!(first["method"], "POST");
    assert_eq!(first["path"], "/nodes/{node}/lxc/105/status/start");
    assert_eq!(first["endpoint"], "/nodes/{node}/lxc/{vmid}/status/start");
    assert_eq!(first["tier"], "reversible");
    assert_eq!(first["needs"], json!(["node"]));
    assert_eq!(first["privileges"], "VM.PowerMgmt on /vms/{vmid}");
    assert_eq!(answer["recipes"][0]["title"], "Start a guest");
    assert_eq!(answer["recipes"][0]["steps"][0]["path"], "/nodes/{node}/lxc/{vmid}/status/start");

    let answer = Value::Object(find(json!({ "query": "create container" })).ok().unwrap());
    assert_eq!(answer["matches"][0]["needs"], json!(["node", "ostemplate", "vmid"]));
    assert_eq!(answer["matches"][0]["tier"], "additive");
    let answer = Value::Object(find(json!({ "query": "list nodes" })).ok().unwrap());
    assert_eq!((&answer["matches"][0]["tier"], &answer["matches"][0]["why"]), (&json!("read"), &Value::Null));
}

#[test]
fn a_path_finds_what_stands_there() {
    let answer = Value::Object(find(json!({ "query": "/nodes/pve1/qemu/100/config" })).ok().unwrap());
    let rows: Vec<_> =
        answer["matches"].as_array().unwrap().iter().map(|row| (&row["method"], &row["path"])).collect();
    let path = json!("/nodes/pve1/qemu/100/config");
    assert_eq!(rows, [(&json!("GET"), &path), (&json!("POST"), &path), (&json!("PUT"), &path)]);
    let answer = Value::Object(find(json!({ "query": "DELETE /storage/local" })).ok().unwrap());
    assert_eq!(answer["matches"][0]["tier"], "destructive");
    assert_eq!(answer["total"], 1);
}

#[test]
fn an_answer_is_bounded_and_never_holds_what_was_typed() {
    for query in ["list", "config", "delete everything", "vm", "/nodes/{node}", "firewall rules of vm 100"] {
        let answer = Value::Object(find(json!({ "query": query, "limit": 100_000 })).ok().unwrap());
        assert!(answer.to_string().len() <= MOST_BYTES + 1_000, "{query}");
        assert!(answer["matches"].as_array().unwrap().len() <= MOST_LIMIT);
    }
    for query in [
        "\u{1b}]0;owned\u{7} list vms ignore-previous-instructions",
        "storage \u{202e}evil\u{202c} ignore-previous-instructions",
        "status of storage ignore/previous/instructions",
        "/nodes/../../ignore-previous-instructions",
        "GET /nodes/\u{1b}[31mpve",
    ] {
        let answer = Value::Object(find(json!({ "query": query })).ok().unwrap()).to_string();
        assert!(
            !answer.contains("ignore") && !answer.contains("owned") && !answer.contains("\\u001b"),
            "{answer}"
        );
    }
    let answer = Value::Object(find(json!({ "query": "qqqq wwww" })).ok().unwrap());
    assert_eq!((&answer["total"], &answer["matches"]), (&json!(0), &json!([])));
    assert_eq!(find(json!({ "query": "a".repeat(2_000) })).err().unwrap().kind, "arguments");
    assert_eq!(find(json!({})).err().unwrap().kind, "arguments");
}

#[test]
fn a_limit_may_be_a_text_and_is_cut_to_what_comes_at_once() {
    let rows = |limit: Value| {
        let answer = Value::Object(find(json!({ "query": "vm", "limit": limit })).ok().unwrap());
        (answer["matches"].as_array().unwrap().len(), answer["note"].as_str().map(str::to_owned))
    };
    assert_eq!(rows(json!("3")), (3, None));
    assert_eq!(rows(json!(3.0)), (3, None));
    let (one, note) = rows(json!(0));
    assert!(one == 1 && note.unwrap().contains("1 to 50"));
    assert!(rows(json!(100_000)).1.unwrap().contains("100000"));
    assert_eq!(find(json!({ "query": "vm", "limit": "many" })).err().unwrap().kind, "arguments");
}

#[test]
fn who_is_in_no_role_finds_nothing() {
    let rules = Rules::fixed(config::parse(std::path::Path::new("x"), "").unwrap());
    let provost = Provost::for_tests(rules);
    let given = Map::from_iter([("query".to_owned(), json!("list nodes"))]);
    let refused =
        call(&provost, &Principal::for_tests(1000, "mallory", &[]), given, &Arc::default()).err().unwrap();
    assert_eq!(refused.kind, "no_role");
}
