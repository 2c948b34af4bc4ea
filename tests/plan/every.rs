//! Every call that changes something, in every release, is planned or refused with a reason.

use std::collections::BTreeMap;

use provost::catalog::{Catalog, Endpoint, Kind, Method, Parameter, Release};
use provost::plan::{Ask, Snapshot, Wish};
use provost::sim::estate::demo;
use serde_json::{Map, Value};

use crate::site::Site;

/// What stands for a parameter: what the estate has, where it has it.
pub fn value(endpoint: &Endpoint, parameter: &Parameter) -> Value {
    let text = match (endpoint.path.as_str(), parameter.name.as_str()) {
        ("/cluster/backup/{id}", "id") => "backup-nightly",
        (path, "id") if path.starts_with("/cluster/mapping/dir") => "share",
        (path, "id") if path.contains("/replication") => "102-0",
        (path, "name") if path.ends_with("/sendmail/{name}") => "mail-to-root",
        (path, "name") if path.ends_with("/matchers/{name}") => "default-matcher",
        (path, "name") if path.ends_with("/aliases/{name}") => "office",
        (path, "name") if path.contains("/ipset/{name}") => "admins",
        (path, "vmid") if path.contains("/lxc/") => "111",
        ("/nodes/{node}/lxc" | "/nodes/{node}/qemu", "vmid") => "9999",
        (_, "vmid") => "102",
        (_, "newid") => "9998",
        (_, "cidr") => "198.51.100.0/24",
        (_, "node" | "target") => "pve1",
        (_, "sid") => "vm:102",
        (_, "rule") => "near",
        (_, "storage") => "local",
        (_, "volume" | "volid") => "local:iso/debian-13.1.0-amd64-netinst.iso",
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
        (_, "server" | "portal") => "192.0.2.20",
        (_, "url") => "https://example.org/a.iso",
        (_, "disk" | "device" | "dev") => "/dev/sda",
        (_, "size") => "4G",
        (_, "upid") => "UPID:pve1:00002660:00075A57:6B012EB1:resize:110:root@pam!t1:",
        _ => match (parameter.schema.kind, parameter.schema.choices.first()) {
            (_, Some(choice)) => choice,
            (Kind::Integer | Kind::Number | Kind::Boolean, None) => "1",
            _ => "xy",
        },
    };
    text.into()
}

#[tokio::test]
async fn each_call_that_changes_something_is_planned_or_refused_with_a_reason() {
    let site = Site::new(demo(30, &[])).await;
    let (mut planned, mut refused) = (BTreeMap::new(), BTreeMap::<String, Vec<String>>::new());
    for release in [Release::V8_4, Release::V9_2] {
        let catalog = Catalog::embedded(release);
        for endpoint in catalog.endpoints().iter().filter(|endpoint| endpoint.method != Method::Get) {
            let name = format!("{} {}", endpoint.method, endpoint.path);
            let needed = endpoint.parameters.iter().filter(|parameter| !parameter.optional);
            let args: Map<String, Value> =
                needed.map(|parameter| (parameter.name.clone(), value(endpoint, parameter))).collect();
            let ask = Ask { method: Some(endpoint.method), path: endpoint.path.clone(), args };
            match site.wish(Wish::Call(ask), Snapshot::None).await {
                Ok(plan) => {
                    for key in ["effects", "blast_radius", "tier", "risk", "undo", "needs", "expires"] {
                        assert!(plan.shown.contains_key(key), "{name}: {key}");
                    }
                    assert!(!plan.undo.why.is_empty(), "{name}");
                    planned.insert(name, format!("{:?}", plan.undo.way));
                }
                Err(why) => {
                    assert!(!why.to_string().is_empty() && !why.next().is_empty(), "{name}");
                    refused.entry(why.kind().to_owned()).or_default().push(format!("{name}: {why}"));
                }
            }
        }
    }
    println!("{} planned", planned.len());
    for (kind, names) in &refused {
        println!("{kind}: {}\n  {}", names.len(), names.join("\n  "));
    }
    assert!(planned.len() > 150, "{}", planned.len());
    // Nothing was lost on the way: each left its receipt.
    let kinds =
        site.receipts().iter().filter(|receipt| ["plan", "refusal"].contains(&receipt.kind.name())).count();
    assert!(kinds > 600, "{kinds}");
}
