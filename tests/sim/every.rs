//! Every method of the catalogue answers, with what it declares.

use std::time::Instant;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use provost::catalog::{Catalog, Endpoint, Kind, Method, Permission, Release};
use provost::sim::estate::demo;
use serde_json::Value;

use crate::client::Lab;
use crate::furnished::{self, NOT_ANSWERED, NOT_ANSWERED_WITH_HA_RULES};

const UPID: &str = "UPID:pve1:0000FFFF:0007AAAA:6B01AAAA:vzdump:102:root@pam:";

/// A path with its parameters filled in, and with those that it requires behind it.
fn filled(endpoint: &Endpoint, upid: &str) -> String {
    let mut path = endpoint.path.clone();
    let mut query = Vec::new();
    for (name, value) in furnished::args(endpoint, upid) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let value = utf8_percent_encode(&value, NON_ALPHANUMERIC);
        let place = format!("{{{name}}}");
        if path.contains(&place) {
            path = path.replace(&place, &value.to_string());
        } else if endpoint.method == Method::Get {
            query.push(format!("{name}={value}"));
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

/// What no VM has that nobody has put anything into.
const IN_A_GUEST: &[(&str, &str, &str)] = &[
    ("/nodes/{node}/qemu/{vmid}/agent/exec-status", "does not exist", "no process was started"),
    ("/nodes/{node}/qemu/{vmid}/agent/file-read", "No such file", "no file was written"),
];

#[tokio::test]
async fn each_get_answers_as_it_declares() {
    let lab = Lab::new(furnished::estate()).await;
    let upid = lab.call("POST", "/nodes/pve1/vzdump", "vmid=102&storage=backup").await.data();
    let upid = upid.as_str().expect("a UPID");
    let catalog = Catalog::embedded(Release::V9_2);
    let (mut answered, mut wrong) = (0, Vec::new());
    for endpoint in catalog.endpoints().iter().filter(|endpoint| endpoint.method == Method::Get) {
        let answer = lab.call("GET", &filled(endpoint, upid), "").await;
        let mut excuses = NOT_ANSWERED.iter().chain(NOT_ANSWERED_WITH_HA_RULES).chain(IN_A_GUEST);
        let excused = excuses.any(|(path, said, _)| *path == endpoint.path && answer.reason.contains(said));
        match answer.status {
            200 => {
                let data = answer.json()["data"].clone();
                answered += 1;
                if !is(endpoint.returns.kind, &data) {
                    wrong.push(format!("{}: declared {:?}, {data}", endpoint.path, endpoint.returns.kind));
                }
            }
            _ if excused => {}
            other => wrong.push(format!("{} {other} {}", endpoint.path, answer.reason)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(answered > 330, "{answered} answered");
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
        let answer = lab.call(endpoint.method.name(), &(filled(endpoint, UPID) + query), form).await;
        match answer.status {
            400 if answer.json()["errors"].get("never-declared").is_some() => {}
            // Refused before its parameters were looked at.
            403 => {}
            other => wrong.push(format!("{} {} {other} {}", endpoint.method, endpoint.path, answer.reason)),
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

/// What somebody without any right is answered although the prose says more than "anybody", and why that is right. (What has no
/// prose and no check is for anybody who has logged in.)
const FOR_ANYBODY: &[(Method, &str, &str)] = &[
    (Method::Get, "/cluster/resources", "the nodes, by name and state"),
    (Method::Get, "/nodes/{node}/capabilities/qemu/cpu", "custom models alone ask for more"),
    (Method::Get, "/nodes/{node}/lxc/{vmid}/mtunnelwebsocket", "a ticket of its own decides"),
    (Method::Get, "/nodes/{node}/qemu/{vmid}/mtunnelwebsocket", "a ticket of its own decides"),
    (Method::Get, "/cluster/sdn/fabrics/all", "empty, in two lists"),
    (Method::Post, "/nodes/{node}/vzdump", "no guest is named, which is said first"),
    (Method::Post, "/access/openid/auth-url", "who logs in has no right yet"),
];

#[tokio::test]
async fn who_has_no_right_changes_nothing_and_is_shown_nothing_of_others() {
    let lab = Lab::new(furnished::estate()).await;
    let token = crate::access::user(&lab, "eve@pve", false).await;
    let catalog = Catalog::embedded(Release::V9_2);
    let mut wrong = Vec::new();
    for endpoint in catalog.endpoints() {
        let path = filled(endpoint, UPID);
        let form = if endpoint.method == Method::Get { String::new() } else { form(endpoint) };
        let answer = crate::access::call_as(&lab, &token, endpoint.method.name(), &path, &form).await;
        let data = if answer.status == 200 { answer.json()["data"].clone() } else { Value::Null };
        let nothing = match &data {
            Value::Null => true,
            Value::Array(rows) => rows.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        };
        let refused = answer.status == 403 || answer.status == 401;
        let cut = endpoint.method == Method::Get && answer.status == 200 && nothing;
        let by_schema = endpoint.method == Method::Get
            && match &endpoint.permission {
                Permission::World => true,
                Permission::All { description } => description.is_empty(),
                _ => false,
            };
        let known = by_schema
            || FOR_ANYBODY
                .iter()
                .any(|(method, path, _)| *method == endpoint.method && *path == endpoint.path);
        if !refused && !cut && !known {
            wrong.push(format!(
                "{} {} {} {} {data}",
                endpoint.method, endpoint.path, answer.status, answer.reason
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

/// What a writer requires, as a form.
fn form(endpoint: &Endpoint) -> String {
    let args = furnished::args(endpoint, UPID);
    let pairs = args.iter().filter(|(name, _)| !endpoint.path.contains(&format!("{{{name}}}"))).map(
        |(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name}={}", utf8_percent_encode(&value, NON_ALPHANUMERIC))
        },
    );
    pairs.collect::<Vec<_>>().join("&")
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
