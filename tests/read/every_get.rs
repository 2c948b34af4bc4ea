//! Every GET of every release's API, through `read`, against a simulated cluster of that release: each is answered.
//!
//! With `$PROVOST_APIDOC_DIR` the files of real nodes are gone through too.

use std::path::PathBuf;
use std::process::Command;

use provost::catalog::tier::{self, Tier};
use provost::catalog::{Catalog, Method, Release, import};
use serde_json::json;

use crate::furnished::{NOT_ANSWERED, NOT_ANSWERED_WITH_HA_RULES, args, estate};
use crate::site::{Site, everybody, path, read};

#[test]
fn every_get_of_8_4_is_answered() {
    built_in(Release::V8_4, 275);
}

#[test]
fn every_get_of_9_1_is_answered() {
    built_in(Release::V9_1, 300);
}

#[test]
fn every_get_of_9_2_is_answered() {
    built_in(Release::V9_2, 310);
}

#[test]
fn every_get_of_real_nodes_is_answered() {
    let Some(directory) = std::env::var_os("PROVOST_APIDOC_DIR").map(PathBuf::from) else {
        eprintln!(
            "NOT RUN over the files of real nodes: PROVOST_APIDOC_DIR names no directory that has them"
        );
        return;
    };
    for (name, at_least) in [("apidoc-8.4.js.gz", 275), ("apidoc-9.1.js.gz", 290)] {
        let unpacked = Command::new("zcat").arg(directory.join(name)).output().expect("run zcat");
        assert!(unpacked.status.success(), "{name}: {}", String::from_utf8_lossy(&unpacked.stderr));
        every(name, &unpacked.stdout, at_least);
    }
}

fn built_in(release: Release, at_least: usize) {
    every(&format!("{release:?}"), Catalog::embedded(release).to_script().as_bytes(), at_least);
}

fn every(name: &str, apidoc: &[u8], at_least: usize) {
    let catalog = import::script(apidoc).unwrap_or_else(|error| panic!("{name}: {error}"));
    let site = Site::of_release(estate(), &everybody(""), apidoc, catalog.clone());
    site.post("/nodes/pve1/vzdump", &[("vmid", "102"), ("storage", "backup")]);
    let mut client = site.client();
    let upid = read(&mut client, path("/nodes/pve1/tasks"))["data"][0]["upid"].as_str().unwrap().to_owned();
    let rules =
        catalog.template(Method::Get, "/cluster/ha/rules").map_or(&[][..], |_| NOT_ANSWERED_WITH_HA_RULES);
    let (mut answered, mut wrong) = (0, Vec::new());
    for endpoint in catalog.endpoints().iter().filter(|endpoint| endpoint.method == Method::Get) {
        let asked = json!({ "path": endpoint.path, "args": args(endpoint, &upid) });
        let result = client.call("read", asked);
        let content = &result["structuredContent"];
        assert!(result.to_string().len() < 80_000, "{}: {} bytes", endpoint.path, result.to_string().len());
        let error = &content["error"];
        let excused = NOT_ANSWERED.iter().chain(rules).find(|(path, ..)| *path == endpoint.path);
        let held = tier::of(provost::product::Product::Pve, Method::Get, &endpoint.path).0 != Tier::Read;
        let right = match (held, excused) {
            (true, _) => error["kind"] == "not_a_read",
            // A file's bytes are no data to show.
            (..) if endpoint.path.ends_with("/file-restore/download") => error["kind"] == "not_a_read",
            (false, Some((_, said, _))) => error["message"].as_str().is_some_and(|text| text.contains(said)),
            (false, None) => result["isError"] != true && content.get("data").is_some(),
        };
        answered += usize::from(result["isError"] != true);
        if !right {
            wrong.push(format!("{}: {content}", endpoint.path));
        }
    }
    println!("{name}: {answered} answered");
    assert!(wrong.is_empty(), "{name}: {} of them:\n{}", wrong.len(), wrong.join("\n"));
    assert!(answered >= at_least, "{name}: {answered}");
}
