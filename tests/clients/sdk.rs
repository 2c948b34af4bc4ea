//! The official SDKs, from a workstation over SSH, with all that the product does.

use serde_json::{Value, json};

use crate::common::{Node, eventually};
use crate::script::{Script, packages};
use crate::workstation::{Missing, USER, Workstation, or_say_why};

/// How a client gets to the node.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// `ssh -L local.sock:/run/provost/mcp.sock node`
    Tunnel,
    /// `ssh node provost bridge` as a server that the client starts.
    Bridge,
}

/// One of the SDKs, and the protocol revision that each of its ways to begin must arrive at.
struct Sdk {
    package: &'static str,
    modes: &'static [(Option<&'static str>, &'static str)],
}

const PYTHON: Sdk =
    Sdk { package: "mcp", modes: &[(Some("legacy"), "2025-11-25"), (Some("auto"), "2026-07-28")] };
const TYPESCRIPT: Sdk = Sdk {
    package: "@modelcontextprotocol/client",
    modes: &[(Some("legacy"), "2025-11-25"), (Some("auto"), "2026-07-28")],
};
const TYPESCRIPT_1: Sdk = Sdk { package: "@modelcontextprotocol/sdk", modes: &[(None, "2025-11-25")] };

#[test]
fn the_python_sdk_gets_the_whole_product_through_a_tunnelled_socket() {
    or_say_why(whole_product(&PYTHON, Way::Tunnel));
}

#[test]
fn the_python_sdk_gets_the_whole_product_through_the_bridge() {
    or_say_why(whole_product(&PYTHON, Way::Bridge));
}

#[test]
fn the_typescript_sdk_gets_the_whole_product_through_a_tunnelled_socket() {
    or_say_why(whole_product(&TYPESCRIPT, Way::Tunnel));
}

#[test]
fn the_typescript_sdk_gets_the_whole_product_through_the_bridge() {
    or_say_why(whole_product(&TYPESCRIPT, Way::Bridge));
}

#[test]
fn the_first_typescript_sdk_gets_the_whole_product_through_a_tunnelled_socket() {
    or_say_why(whole_product(&TYPESCRIPT_1, Way::Tunnel));
}

#[test]
fn the_first_typescript_sdk_gets_the_whole_product_through_the_bridge() {
    or_say_why(whole_product(&TYPESCRIPT_1, Way::Bridge));
}

/// A node whose one role is the workstation's.
pub fn node() -> Node {
    let role = format!(
        "[[role]]\nname = \"workstation\"\nmembers = [\"user:{USER}\"]\nprofile = \"full\"\nguests = [\"101-199\"]"
    );
    Node::with("v2", "containers = [101]", &role)
}

fn whole_product(sdk: &Sdk, way: Way) -> Result<(), Missing> {
    let packages = packages()?;
    let node = node();
    let workstation = Workstation::of(&node)?;
    let tunnel = (way == Way::Tunnel).then(|| workstation.tunnel(&node));
    let way = match &tunnel {
        Some(tunnel) => json!({ "socket": tunnel.socket }),
        None => json!({ "command": workstation.bridge() }),
    };
    for (mode, protocol) in sdk.modes {
        let tag = format!("provost-client-{}-{}", std::process::id(), node.execd.id());
        let mut task = json!({ "package": sdk.package, "way": way, "tag": tag });
        if let Some(mode) = mode {
            task["mode"] = json!(mode);
        }
        let script = if sdk.package == "mcp" { "client.py" } else { "client.mjs" };
        judge(Script::start(&packages, node.dir(), script, &task), &node, sdk, protocol);
    }
    Ok(())
}

/// Holds every step against what the product promises.
fn judge(mut script: Script, node: &Node, sdk: &Sdk, protocol: &str) {
    let connected = script.step("connected");
    assert_eq!(connected["protocol"], protocol);
    assert_eq!(connected["server"]["name"], "provost");
    assert_eq!(connected["server"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(connected["instructions"].as_str().unwrap().contains("status"));
    assert!(
        connected["capabilities"]["tools"].is_object() && connected["capabilities"]["resources"].is_object()
    );

    let tools = script.step("tools")["tools"].clone();
    let named =
        |name: &str| tools.as_array().unwrap().iter().find(|tool| tool["name"] == name).cloned().unwrap();
    assert_eq!(named("status")["annotations"]["readOnlyHint"], true);
    assert_eq!(named("exec")["annotations"]["destructiveHint"], true);
    assert_eq!(named("exec")["inputSchema"]["required"], json!(["guest"]));

    let status = script.step("status")["result"].clone();
    let status = structured(&status);
    assert_eq!(status["principal"]["user"], USER, "the kernel says who logged in");
    assert_eq!(status["principal"]["groups"], json!([USER]));
    assert_eq!((&status["role"], &status["exec"]["execd"]), (&json!("workstation"), &json!("reachable")));

    let resources = script.step("resources");
    assert!(resources["uris"].as_array().unwrap().contains(&json!("provost://schema/exec")), "{resources}");
    assert!(
        resources["schema"]["properties"]["stdout"].is_object()
            && resources["mime"] == "application/schema+json"
    );

    let inspected = done(&script.step("inspect"));
    assert_eq!((&inspected["lane"], &inspected["exit_code"]), (&json!("inspect"), &json!(0)));
    let refused = done(&script.step("refused"));
    assert_ne!(refused["exit_code"], 0, "{refused}");
    assert_eq!(refused["refused"]["what"], "write", "{refused}");
    assert!(refused["refused"]["next"].as_str().unwrap().contains("mode \"change\""));

    let changed = done(&script.step("changed"));
    assert_eq!(changed["stdout"], "from stdin\ngrüß dich\n/var/tmp\ndaemon\n", "{changed}");
    assert_eq!(changed["lane"], "change");

    let progress = script.step("progress");
    assert_eq!(done(&progress)["stdout"], "first\nsecond\nthird\n", "{progress}");
    let notices = progress["notices"].as_array().unwrap();
    let said: String = notices.iter().filter_map(|notice| notice["message"].as_str()).collect();
    assert!(said.starts_with("first\nsecond\n"), "{progress}");
    let counts: Vec<f64> = notices.iter().map(|notice| notice["progress"].as_f64().unwrap()).collect();
    assert!(counts.is_sorted_by(|a, b| a < b), "{progress}");

    script.step("running");
    assert_eq!(node.leaves("v2", 101).len(), 1);
    script.go_on();
    assert_eq!(script.step("cancelled")["by_the_sdk"], true);
    eventually("the cancelled command's cgroup is gone", || node.leaves("v2", 101).is_empty());
    script.go_on();

    let timeout = done(&script.step("timeout"));
    assert_eq!((&timeout["timed_out"], &timeout["signal"]), (&json!(true), &json!(9)), "{timeout}");
    let ends = script.step("ends")["results"].clone();
    let ends: Vec<Value> = ends.as_array().unwrap().iter().map(|result| structured(result).clone()).collect();
    let codes: Vec<&Value> = ends.iter().map(|end| &end["exit_code"]).collect();
    assert_eq!(codes, [&json!(0), &json!(3), &json!(255), &Value::Null]);
    assert_eq!(ends[3]["signal"], 15);

    assert_eq!(failed(&script.step("no program"), "no_such_program")["exit_code"], 127);
    failed(&script.step("unlisted"), "not_listed");
    failed(&script.step("out of scope"), "guest_out_of_scope");
    let misspelt = failed(&script.step("misspelt"), "arguments");
    assert!(misspelt["error"]["message"].as_str().unwrap().contains("\"argv\""), "{misspelt}");
    let no_tool = script.step("no such tool");
    assert_eq!(no_tool["code"], -32602, "{no_tool}");
    assert!(no_tool["message"].as_str().unwrap().contains("exec"), "{no_tool}");

    let parallel = script.step("parallel");
    let expected: Vec<String> = (0..20).map(|number| format!("{number}\n")).collect();
    assert_eq!(parallel["outputs"], json!(expected));
    let large = done(&script.step("large"));
    let text = large["stdout"].as_str().unwrap();
    assert!(large["truncated"] == true && text.len() < 70_000, "{}", text.len());
    assert!(text.starts_with("1\n2\n") && text.ends_with("\n200000\n") && text.contains("bytes cut here"));
    assert_eq!(done(&script.step("large input"))["stdout"], "1048576\n");

    if sdk.package == "mcp" {
        assert_eq!(script.step("schema")["errors"], json!([]), "answers are as their published schema says");
    }
    let closed = script.step("closed");
    // An SDK that has waited two seconds for its server kills it.
    assert!(closed["ms"].as_f64().unwrap() < 1900.0, "{closed}");
    assert!(closed["troubles"].as_array().is_none_or(Vec::is_empty), "{closed}");
    script.end();
    eventually("the session is over on the node too", || {
        let log = node.provostd_log();
        log.matches(": connected").count() == log.matches(": disconnected").count()
    });
}

/// A result's structured content, which its text must hold as well.
fn structured(result: &Value) -> &Value {
    let text = result["content"][0]["text"].as_str().expect("text content");
    assert_eq!(
        in_doubles(&serde_json::from_str(text).expect("JSON text")),
        in_doubles(&result["structuredContent"])
    );
    &result["structuredContent"]
}

/// A value with its numbers as JavaScript has them, which writes 2.0 as 2.
fn in_doubles(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(in_doubles).collect(),
        Value::Object(object) => object.iter().map(|(key, value)| (key.clone(), in_doubles(value))).collect(),
        other => other.clone(),
    }
}

/// The answer of a step's result, which must be no failure.
pub fn done(step: &Value) -> Value {
    assert_ne!(step["result"]["isError"], true, "{step}");
    structured(&step["result"]).clone()
}

/// The answer of a step's result, which must be a failure of that kind.
pub fn failed(step: &Value, kind: &str) -> Value {
    assert_eq!(step["result"]["isError"], true, "{step}");
    let answer = structured(&step["result"]).clone();
    assert_eq!(answer["error"]["kind"], kind, "{step}");
    assert!(answer["error"]["message"].is_string(), "{step}");
    answer
}
