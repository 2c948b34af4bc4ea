//! Every method of the catalogue answers, with what it declares.

use std::time::Instant;

use provost::catalog::{Catalog, Endpoint, Kind, Method, Parameter, Release};
use provost::sim::estate::demo;
use serde_json::Value;

use crate::client::Lab;

/// What stands for a parameter: what the estate has, where it has it.
fn value(endpoint: &Endpoint, parameter: &Parameter) -> String {
    let text = match (endpoint.path.as_str(), parameter.name.as_str()) {
        ("/cluster/backup/{id}" | "/cluster/backup/{id}/included_volumes", "id") => "backup-nightly",
        (path, "id") if path.starts_with("/cluster/mapping/dir") => "share",
        (path, "id") if path.contains("/replication/") => "102-0",
        (path, "name") if path.ends_with("/sendmail/{name}") => "mail-to-root",
        (path, "name") if path.ends_with("/matchers/{name}") => "default-matcher",
        (path, "name") if path.ends_with("/aliases/{name}") => "office",
        (path, "name") if path.contains("/ipset/{name}") => "admins",
        (path, "vmid") if path.contains("/lxc/") => "111",
        (_, "vmid") => "102",
        (_, "cidr") => "198.51.100.0%2F24",
        (_, "node") => "pve1",
        (_, "sid") => "vm:102",
        (_, "rule") => "near",
        (_, "storage") => "local",
        (_, "volume" | "volid") => "local:iso%2Fdebian-13.1.0-amd64-netinst.iso",
        (_, "userid") => "root@pam",
        (_, "tokenid") => "t1",
        (_, "realm") => "pam",
        (_, "groupid") => "ops",
        (_, "roleid") => "PVEAdmin",
        (_, "poolid") => "dev",
        (_, "zone") => "lab",
        (_, "vnet") => "labnet",
        (_, "subnet") => "lab-10.99.0.0-24",
        (_, "iface") => "vmbr0",
        (_, "service") => "pveproxy",
        (_, "pos") => "0",
        (_, "schedule") => "daily",
        (_, "ds") => "cpu",
        (_, "server" | "portal") => "192.0.2.20",
        (_, "url") => "https%3A%2F%2Fexample.org%2Fa.iso",
        (_, "disk") => "%2Fdev%2Fsda",
        (_, "port") => "5900",
        _ => match (parameter.schema.kind, parameter.schema.choices.first()) {
            (_, Some(choice)) => choice,
            (Kind::Integer | Kind::Number | Kind::Boolean, None) => "1",
            _ => "xy",
        },
    };
    text.to_owned()
}

/// A path with its parameters filled in, and with those that it requires behind it.
fn filled(endpoint: &Endpoint) -> String {
    let mut path = endpoint.path.clone();
    let mut query = Vec::new();
    for parameter in &endpoint.parameters {
        let place = format!("{{{}}}", parameter.name);
        if path.contains(&place) {
            path = path.replace(&place, &value(endpoint, parameter));
        } else if endpoint.method == Method::Get && !parameter.optional {
            query.push(format!("{}={}", parameter.name, value(endpoint, parameter)));
        }
    }
    if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
}

fn is(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::Any => true,
        // Much that is declared as nothing, or as an object, may be null.
        Kind::Null => value.is_null(),
        Kind::Array => value.is_array() || value.is_null(),
        Kind::Object => value.is_object() || value.is_null(),
        Kind::String => value.is_string() || value.is_number() || value.is_null(),
        Kind::Integer | Kind::Number | Kind::Boolean => !value.is_object() && !value.is_array(),
    }
}

#[tokio::test]
async fn each_get_answers_as_it_declares_or_says_why_not() {
    let lab = Lab::new(demo(30, &[])).await;
    let catalog = Catalog::embedded(Release::V9_2);
    let (mut answered, mut refused, mut wrong) = (0, Vec::new(), Vec::new());
    for endpoint in catalog.endpoints().iter().filter(|endpoint| endpoint.method == Method::Get) {
        let answer = lab.call("GET", &filled(endpoint), "").await;
        match answer.status {
            200 => {
                let data = answer.json()["data"].clone();
                answered += 1;
                if !is(endpoint.returns.kind, &data) {
                    wrong.push(format!("{}: declared {:?}, {data}", endpoint.path, endpoint.returns.kind));
                }
            }
            400 | 403 | 404 | 500 => {
                refused.push(format!("{} {} {}", endpoint.path, answer.status, answer.reason))
            }
            other => wrong.push(format!("{} {other} {}", endpoint.path, answer.reason)),
        }
    }
    println!("{answered} answered, {} refused:\n{}", refused.len(), refused.join("\n"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(answered > 270, "{answered} answered, {refused:#?}");
}

#[tokio::test]
async fn each_writer_checks_its_parameters_and_takes_what_it_declares() {
    let lab = Lab::new(demo(30, &[])).await;
    let catalog = Catalog::embedded(Release::V9_2);
    let mut wrong = Vec::new();
    for endpoint in catalog.endpoints().iter().filter(|endpoint| endpoint.method != Method::Get) {
        if endpoint.additional {
            continue;
        }
        let query = if endpoint.method == Method::Delete { "?never-declared=1" } else { "" };
        let form = if query.is_empty() { "never-declared=1" } else { "" };
        let answer = lab.call(endpoint.method.name(), &(filled(endpoint) + query), form).await;
        match answer.status {
            400 if answer.json()["errors"].get("never-declared").is_some() => {}
            // Refused before its parameters were looked at.
            403 => {}
            other => wrong.push(format!("{} {} {other} {}", endpoint.method, endpoint.path, answer.reason)),
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn each_row_of_the_tables_is_an_endpoint() {
    let catalog = Catalog::embedded(Release::V9_2);
    let unknown: Vec<String> = provost::sim::answered()
        .filter(|(method, path)| catalog.template(*method, path).is_none())
        .map(|(method, path)| format!("{method} {path}"))
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_guests_are_built_and_listed_quickly() {
    let start = Instant::now();
    let estate = demo(10_000, &[]);
    let built = start.elapsed();
    let lab = Lab::new(estate).await;
    let ready = start.elapsed();
    let mut times = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        let answer = lab.call("GET", "/cluster/resources", "").await;
        times.push((start.elapsed(), answer.body.len()));
        assert!(answer.json()["data"].as_array().unwrap().len() > 10_000);
    }
    println!("built in {built:?}, ready after {ready:?}, /cluster/resources {times:?}");
    // What is kept is served as it is; the limits are an unoptimised build's.
    assert!(times[1..].iter().any(|(time, _)| time.as_millis() < 50), "{times:?}");
    // Ten thousand files are the disk's matter, which others use too.
    assert!(built.as_secs() < 10, "{built:?}");
}
