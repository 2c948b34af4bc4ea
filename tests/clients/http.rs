//! The official SDKs and the inspector over HTTP, each with a token.

use std::process::Command;

use provost::sim::estate::recorded;
use serde_json::{Value, json};

use crate::common::eventually;
use crate::script::{Script, packages, path};
use crate::site::{Site, everybody};
use crate::workstation::{Missing, or_say_why};

struct Web {
    site: Site,
    url: String,
    token: String,
}

fn web() -> Web {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    let roles = everybody("deny = [\"GET /access/users\"]");
    let site = Site::listening(recorded(), &roles, &format!("http = \"{free}\""));
    eventually("HTTP is served", || std::net::TcpStream::connect(free).is_ok());
    let issued = Command::new(env!("CARGO_BIN_EXE_provost"))
        .args(["token", "issue", "--ttl", "1h"])
        .env("PROVOST_CONFIG", site.dir.path().join("provost.toml"))
        .output()
        .expect("provost");
    assert!(issued.status.success(), "{}", String::from_utf8_lossy(&issued.stderr));
    let token = String::from_utf8(issued.stdout).expect("a token").trim().to_owned();
    Web { site, url: format!("http://{free}/mcp"), token }
}

fn sdk(package: &str, modes: &[Option<&str>]) -> Result<(), Missing> {
    let packages = packages()?;
    let web = web();
    for mode in modes {
        let mut task = json!({ "package": package, "url": web.url, "token": web.token });
        if let Some(mode) = mode {
            task["mode"] = json!(mode);
        }
        let script = if package == "mcp" { "over_http.py" } else { "over_http.mjs" };
        let mut script = Script::start(&packages, web.site.dir.path(), script, &task);
        let seen = script.step("seen");
        assert_eq!(seen["tools"], 10, "{seen}");
        assert_eq!(
            (&seen["status"]["principal"]["via"], &seen["status"]["role"]),
            (&json!("http"), &json!("all"))
        );
        assert_eq!(seen["refused"]["error"]["kind"], "denied_to_role", "{seen}");
        script.end();
    }
    Ok(())
}

#[test]
fn the_python_sdk_comes_over_http_in_both_its_ways() {
    or_say_why(sdk("mcp", &[Some("legacy"), Some("auto")]));
}

#[test]
fn the_typescript_sdk_comes_over_http_in_both_its_ways() {
    or_say_why(sdk("@modelcontextprotocol/client", &[Some("legacy"), Some("auto")]));
}

#[test]
fn the_first_typescript_sdk_comes_over_http() {
    or_say_why(sdk("@modelcontextprotocol/sdk", &[None]));
}

#[test]
fn the_inspector_comes_over_http() {
    or_say_why(inspect());
}

fn inspect() -> Result<(), Missing> {
    let packages = packages()?;
    let web = web();
    let output = Command::new(packages.join("node_modules/.bin/mcp-inspector"))
        .env("PATH", path(&packages))
        .args(["--cli", &web.url, "--transport", "http", "--header"])
        .arg(format!("Authorization: Bearer {}", web.token))
        .args(["--method", "tools/list"])
        .env("HOME", web.site.dir.path())
        .output()
        .expect("the inspector");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tools: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(tools["tools"].as_array().map(Vec::len), Some(10), "{tools}");
    Ok(())
}
