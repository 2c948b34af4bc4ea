//! Roles: who is in none reads nothing, and a role reads of no guest outside its own.

use provost::catalog::{Catalog, Endpoint, Kind, Method, Release};
use provost::sim::estate::{Estate, recorded};
use serde_json::{Map, Value, json};

use crate::common::Client;
use crate::site::{Site, everybody, path, read, refused};

/// What the guests of others are called; nothing else is.
const OTHERS: &str = "qqother";

/// The recorded estate, whose other guests can be told by their names.
fn estate() -> Estate {
    let mut estate = recorded();
    for vmid in [101, 105, 110, 111, 9000] {
        let guest = estate.guest_mut(vmid).expect("a guest");
        let key = if vmid == 101 { "hostname" } else { "name" };
        guest.config.insert(key.to_owned(), format!("{OTHERS}{vmid}"));
    }
    estate
}

/// Tasks of the role's guest, of another, and of none.
struct Busy {
    site: Site,
    others: String,
    nobodys: String,
}

fn busy() -> Busy {
    let site = Site::with(estate(), &everybody("guests = [104]"));
    let backup = |vmid: &str| {
        let upid = site.post("/nodes/pve1/vzdump", &[("vmid", vmid), ("storage", "backup")]);
        upid.as_str().expect("a UPID").to_owned()
    };
    let (_, others, nobodys) = (backup("104"), backup("105"), backup("104,105"));
    site.post("/nodes/pve1/qemu/104/snapshot", &[("snapname", "before")]);
    Busy { site, others, nobodys }
}

#[test]
fn who_is_in_no_role_reads_nothing() {
    let site = Site::with(recorded(), "");
    let mut client = site.client();
    assert_eq!(refused(&mut client, path("/version"))["kind"], "no_role");
    let answer = client.request("resources/read", json!({ "uri": "provost://guests" }));
    assert!(answer["error"]["message"].as_str().unwrap().contains("no role"), "{answer}");
    let blank = json!({ "ref": { "type": "ref/resource", "uri": "provost://guest/{vmid}" }, "argument": { "name": "vmid", "value": "" } });
    let values = client.request("completion/complete", blank)["result"]["completion"]["values"].clone();
    assert_eq!(values, json!([]));
}

#[test]
fn a_role_reads_of_its_own_guests_only() {
    let site = Site::with(recorded(), &everybody("guests = [104]"));
    let mut client = site.client();
    read(&mut client, path("/nodes/pve1/qemu/104/config"));
    assert_eq!(refused(&mut client, path("/nodes/pve1/qemu/105/config"))["kind"], "guest_out_of_scope");
    let rows =
        read(&mut client, json!({ "path": "/cluster/resources", "where": "vmid > 0", "fields": ["vmid"] }));
    assert_eq!(rows["data"], json!([{ "vmid": 104 }]), "{rows}");
}

/// The whole API, asked by a role that has one guest: no answer and no refusal tells of another.
#[test]
fn no_get_of_the_catalogue_tells_of_another_guest() {
    let site = busy().site;
    let mut client = site.client();
    let upid = own_task(&mut client);
    let (mut answered, mut closed) = (0, 0);
    for release in [Release::V8_4, Release::V9_2] {
        let catalog = Catalog::embedded(release);
        for endpoint in catalog.endpoints().iter().filter(|endpoint| endpoint.method == Method::Get) {
            let args = arguments(endpoint, &upid);
            for fields in [json!(null), json!(["*"])] {
                let asked = json!({ "path": endpoint.path, "args": args, "fields": fields });
                let content = client.call("read", asked)["structuredContent"].clone();
                let told = told(&content);
                assert!(told.is_empty(), "{} {args:?}: {told:?} in {content}", endpoint.path);
                answered += usize::from(content["error"].is_null());
                closed += usize::from(content["error"]["kind"] == "closed_to_role");
            }
        }
    }
    assert!(answered > 300 && closed > 30, "{answered} answered, {closed} closed");
}

fn own_task(client: &mut Client) -> String {
    let rows = read(client, json!({ "path": "/nodes/pve1/tasks", "fields": ["upid", "id"] }));
    let rows = rows["data"].as_array().unwrap();
    assert!(rows.len() > 1 && rows.iter().all(|row| row["id"] == "104"), "{rows:?}");
    rows[0]["upid"].as_str().unwrap().to_owned()
}

/// About the role's own guest, wherever a guest can be named.
fn arguments(endpoint: &Endpoint, upid: &str) -> Map<String, Value> {
    let named = [
        ("vmid", "104"),
        ("upid", upid),
        ("sid", "vm:104"),
        ("node", "pve1"),
        ("storage", "backup"),
        ("poolid", "dev"),
        ("userid", "agent@pve"),
        ("groupid", "ops"),
        ("roleid", "AgentRole"),
        ("realm", "pam"),
        ("zone", "lab"),
        ("vnet", "labnet"),
        ("snapname", "before"),
        ("rule", "keep"),
        ("id", if endpoint.path.contains("replication") { "104-0" } else { "backup-weekly" }),
        ("iface", "vmbr0"),
        ("volume", "local:iso/x.iso"),
    ];
    let needed = endpoint.parameters.iter().filter(|parameter| !parameter.optional && !parameter.family);
    needed
        .map(|parameter| {
            let schema = &parameter.schema;
            let known = named.iter().find(|(name, _)| *name == parameter.name).map(|(_, value)| json!(value));
            let value = known.unwrap_or_else(|| match schema.kind {
                Kind::Integer | Kind::Number => json!(schema.minimum.unwrap_or(1.0) as i64),
                Kind::Boolean => json!(1),
                _ => schema.choices.first().map_or(json!("x"), |choice| json!(choice)),
            });
            (parameter.name.clone(), value)
        })
        .collect()
}

/// Where a value tells of somebody else's guest, by id or by name.
fn told(value: &Value) -> Vec<String> {
    let is_other = |text: &str| {
        text.contains(OTHERS)
            || text
                .split(|letter: char| !letter.is_ascii_alphanumeric())
                .flat_map(|word| [word, word.trim_start_matches(|letter: char| letter.is_ascii_alphabetic())])
                .any(|word| ["101", "105", "110", "111", "9000"].contains(&word))
    };
    match value {
        Value::Object(object) => object
            .iter()
            .flat_map(|(name, value)| {
                let name = is_other(name).then(|| name.clone());
                name.into_iter().chain(told(value))
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(told).collect(),
        Value::String(text) => is_other(text).then(|| text.clone()).into_iter().collect(),
        Value::Number(number) => {
            is_other(&number.to_string()).then(|| number.to_string()).into_iter().collect()
        }
        Value::Null | Value::Bool(_) => Vec::new(),
    }
}

#[test]
fn lists_that_name_guests_in_their_own_ways_are_cut_to_the_roles() {
    let site = busy().site;
    let mut client = site.client();
    let mut rows = |path: &str| {
        let answer = read(&mut client, json!({ "path": path, "fields": ["*"] }));
        answer["data"].as_array().cloned().unwrap_or_default()
    };
    assert_eq!(rows("/cluster/ha/resources"), Vec::<Value>::new());
    assert!(rows("/cluster/tasks").iter().all(|row| row["id"] == "104"));
    let jobs = rows("/cluster/backup");
    assert!(jobs.iter().any(|job| job["vmid"] == "104"), "{jobs:?}");
    let volumes = rows("/nodes/pve1/storage/backup/content");
    assert!(!volumes.is_empty() && volumes.iter().all(|row| row["vmid"] == 104), "{volumes:?}");
    let acl = rows("/access/acl");
    assert!(acl.iter().any(|row| row["path"] == "/vms/104"), "{acl:?}");
}

/// Each names another guest in a parameter.
#[test]
fn what_is_asked_about_another_guest_is_refused_wherever_it_is_named() {
    let Busy { site, others: other, .. } = busy();
    let mut client = site.client();
    for (asked, args) in [
        ("/cluster/ha/resources/vm:105", json!({})),
        ("/cluster/ha/resources/105", json!({})),
        ("/cluster/ha/rules", json!({ "resource": "vm:105" })),
        ("/cluster/replication/105-0", json!({})),
        ("/nodes/pve1/replication", json!({ "guest": 105 })),
        ("/nodes/pve1/replication/105-0/log", json!({})),
        ("/cluster/nextid", json!({ "vmid": 105 })),
        ("/access/permissions", json!({ "path": "/vms/105" })),
        ("/nodes/pve1/tasks", json!({ "vmid": 105 })),
        ("/nodes/pve1/storage/fast/content", json!({ "vmid": 105 })),
        ("/nodes/pve1/storage/fast/prunebackups", json!({ "vmid": 105 })),
        ("/nodes/pve1/storage/fast/content/fast%3A110%2Fvm-110-disk-0.raw", json!({})),
        (
            "/nodes/pve1/vzdump/extractconfig",
            json!({ "volume": "backup:backup/vzdump-qemu-105-2026_01_01-00_00_00.vma" }),
        ),
        ("/nodes/pve1/qemu/%31%30%35/config", json!({})),
        (other.as_str(), json!({})),
        (&format!("/nodes/pve1/tasks/{}/log", other.replace(':', "%3A")), json!({})),
    ] {
        let error = refused(&mut client, json!({ "path": asked, "args": args }));
        assert_eq!(error["kind"], "guest_out_of_scope", "{asked} {args}: {error}");
    }
    let error = refused(&mut client, json!({ "path": other, "wait": 5 }));
    assert_eq!(error["kind"], "guest_out_of_scope", "{error}");
    let resource = client.request("resources/read", json!({ "uri": format!("provost://task/{other}") }));
    assert!(resource["error"]["message"].as_str().unwrap().contains("outside"), "{resource}");
}

#[test]
fn what_speaks_of_any_guest_is_closed_with_the_door_named() {
    let Busy { site, nobodys, .. } = busy();
    let mut client = site.client();
    let log = format!("/nodes/pve1/tasks/{}/log", nobodys.replace(':', "%3A"));
    for asked in [
        "/cluster/log",
        "/nodes/pve1/syslog",
        "/nodes/pve1/journal",
        "/nodes/pve1/firewall/log",
        "/nodes/pve1/report",
        "/cluster/nextid",
        &nobodys,
        &log,
    ] {
        let error = refused(&mut client, path(asked));
        assert_eq!(error["kind"], "closed_to_role", "{asked}: {error}");
        assert!(error["message"].as_str().unwrap().contains("(104)"), "{error}");
        assert!(error["next"].as_str().unwrap().contains("operator"), "{error}");
    }
    // Rows about others answer no question about others.
    let asked = json!({ "path": "/cluster/tasks", "where": "id = 105" });
    assert_eq!(read(&mut client, asked)["total"], 0);
}

#[test]
fn completions_and_resources_are_cut_as_lists_are() {
    let site = busy().site;
    let mut client = site.client();
    let mut values = |name: &str| {
        let blank = json!({ "ref": { "type": "ref/resource", "uri": format!("provost://x/{{{name}}}") }, "argument": { "name": name, "value": "" } });
        client.request("completion/complete", blank)["result"]["completion"]["values"].clone()
    };
    assert_eq!(values("vmid"), json!(["104"]));
    let tasks = values("upid");
    let tasks = tasks.as_array().unwrap();
    assert!(
        !tasks.is_empty() && tasks.iter().all(|upid| upid.as_str().unwrap().contains(":104:")),
        "{tasks:?}"
    );
    for uri in [
        "provost://guests",
        "provost://tasks",
        "provost://cluster",
        "provost://storages",
        "provost://guest/104",
    ] {
        let answer = client.request("resources/read", json!({ "uri": uri }));
        let text = answer["result"]["contents"][0]["text"].as_str().unwrap();
        let told = told(&serde_json::from_str(text).unwrap());
        assert!(told.is_empty(), "{uri}: {told:?}");
    }
    let answer = client.request("resources/read", json!({ "uri": format!("provost://guest/{OTHERS}105") }));
    assert!(answer["error"]["message"].as_str().unwrap().contains("no guest is named"), "{answer}");
}
