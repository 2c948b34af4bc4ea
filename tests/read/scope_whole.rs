//! A whole cluster, in which every GET has something to tell, asked by a role that has two of its guests.

use std::collections::BTreeSet;

use provost::catalog::scope::names::names_another;
use provost::catalog::{Catalog, Method, Release};
use serde_json::{Value, json};

use crate::furnished::{CONTAINER, VM, args, estate};
use crate::site::{Site, everybody, path, read};

/// What the guests of others are called; nothing else is.
const OTHERS: &str = "qqother";

#[test]
fn no_get_of_a_whole_cluster_tells_of_another_guest() {
    let mut estate = estate();
    let others: BTreeSet<u32> =
        estate.guests().map(|guest| guest.vmid).filter(|vmid| ![VM, CONTAINER].contains(vmid)).collect();
    for vmid in &others {
        let guest = estate.guest_mut(*vmid).expect("a guest");
        for key in ["name", "hostname"] {
            if let Some(name) = guest.config.get_mut(key) {
                *name = format!("{OTHERS}{vmid}");
            }
        }
    }
    let catalog = Catalog::embedded(Release::V9_2);
    let roles = everybody(&format!("guests = [{VM}, {CONTAINER}]"));
    let site = Site::of_release(estate, &roles, catalog.to_script().as_bytes(), catalog.clone());
    for vmid in others.iter().chain([&VM]) {
        site.post("/nodes/pve1/vzdump", &[("vmid", &vmid.to_string()), ("storage", "backup")]);
    }
    let mut client = site.client();
    let upid = read(&mut client, path("/nodes/pve1/tasks"))["data"][0]["upid"].as_str().unwrap().to_owned();
    let (mut answered, mut wrong) = (0, Vec::new());
    for endpoint in catalog.endpoints().iter().filter(|endpoint| endpoint.method == Method::Get) {
        let asked = json!({ "path": endpoint.path, "args": args(endpoint, &upid), "fields": ["*"] });
        let content = client.call("read", asked)["structuredContent"].clone();
        let told = told(&content, &others);
        if !told.is_empty() {
            wrong.push(format!("{}: {told:?} in {content}", endpoint.path));
        }
        answered += usize::from(content["error"].is_null());
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
    assert!(answered > 200, "{answered}");
}

/// Where a value tells of somebody else's guest.
fn told(value: &Value, others: &BTreeSet<u32>) -> Vec<String> {
    let is_other =
        |text: &str| text.contains(OTHERS) || names_another(text, &|guest| !others.contains(&guest));
    match value {
        Value::Object(object) => object
            .iter()
            .flat_map(|(name, value)| {
                let id = ["vmid", "id", "guest"].contains(&name.as_str())
                    && value.as_u64().is_some_and(|id| others.contains(&(id as u32)));
                let said = (is_other(name) || id).then(|| format!("{name}: {value}"));
                said.into_iter().chain(told(value, others))
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(|item| told(item, others)).collect(),
        Value::String(text) => is_other(text).then(|| text.clone()).into_iter().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}
