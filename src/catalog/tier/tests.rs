use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Tier, judge, of, raise, rows, table};
use crate::catalog::Method;
use crate::catalog::testing::{catalogs, real_catalogs};
use crate::product::Product;

fn tiers(method: Method, path: &str, arguments: Value) -> Vec<Tier> {
    let Value::Object(arguments) = arguments else { panic!("an object") };
    judge(Product::Pve, method, path, &arguments).grounds().iter().map(|ground| ground.tier).collect()
}

#[test]
fn every_line_of_the_tables_is_read() {
    let unread: Vec<&str> =
        table::lines(table::text(Product::Pve)).filter(|line| table::row(line).is_none()).collect();
    assert!(unread.is_empty(), "{unread:#?}");
    let unread: Vec<&str> = raise::read(raise::text(Product::Pve)).filter_map(Result::err).collect();
    assert!(unread.is_empty(), "{unread:#?}");
    for raise in raise::read(raise::text(Product::Pve)).flatten() {
        assert!(!raise.calls.is_empty(), "{raise:?}");
    }
}

#[test]
fn no_call_has_two_rows() {
    let mut seen = BTreeSet::new();
    let twice: Vec<_> =
        rows(Product::Pve).iter().filter(|row| !seen.insert((row.path, row.method))).collect();
    assert!(twice.is_empty(), "{twice:#?}");
}

#[test]
fn every_row_gives_a_reason() {
    for row in rows(Product::Pve) {
        assert!(row.why.len() >= 7, "too short: {row:?}");
        assert_ne!(row.tier, Tier::Read, "{row:?}");
    }
}

/// The few deletes that lose neither data nor a definition, each with its reason in the table.
#[test]
fn what_deletes_is_destructive() {
    let lesser: Vec<&str> = rows(Product::Pve)
        .iter()
        .filter(|row| row.method == Method::Delete && row.tier != Tier::Destructive)
        .map(|row| row.path)
        .collect();
    assert_eq!(lesser, ["/cluster/sdn/lock", "/nodes/{node}/tasks/{upid}"]);
}

#[test]
fn a_call_that_no_table_knows_is_destructive() {
    assert_eq!(of(Product::Pve, Method::Post, "/nodes/{node}/new-in-10.0").0, Tier::Destructive);
    assert_eq!(of(Product::Pve, Method::Put, "/version").0, Tier::Destructive);
    assert_eq!(of(Product::Pve, Method::Get, "/nodes/{node}/new-in-10.0").0, Tier::Read);
}

#[test]
fn what_a_newer_release_brings_is_listed_as_unclassified() {
    let known = &catalogs().last().unwrap().1;
    assert_eq!(super::unclassified(known).count(), 0);
    let new = |method, path: &str| crate::catalog::Endpoint {
        product: crate::product::Product::Pve,
        method,
        path: path.into(),
        ..known.template(Method::Post, "/nodes/{node}/qemu").unwrap().clone()
    };
    let newer = [new(Method::Post, "/nodes/{node}/new"), new(Method::Get, "/nodes/{node}/new")];
    let newer = crate::catalog::Catalog::new(known.endpoints().iter().cloned().chain(newer).collect());
    let listed: Vec<&str> = super::unclassified(&newer).map(|endpoint| endpoint.path.as_str()).collect();
    assert_eq!(listed, ["/nodes/{node}/new"]);
}

#[test]
fn logins_consoles_and_batches_are_held() {
    for row in rows(Product::Pve) {
        let held =
            ["ticket", "login", "auth-url", "execute", "websocket", "proxy", "shell", "mtunnel", "sendkey"]
                .iter()
                .any(|word| row.path.ends_with(word));
        assert_eq!(row.tier == Tier::Held, held, "{row:?}");
    }
}

const DOWNLOAD: &str = "/nodes/{node}/storage/{storage}/download-url";

#[test]
fn arguments_add_to_the_tier() {
    let config = "/nodes/{node}/qemu/{vmid}/config";
    let container = "/nodes/{node}/lxc/{vmid}/config";
    for (method, path, arguments, tier) in [
        (Method::Put, config, json!({ "memory": 4096 }), Tier::Change),
        (Method::Put, config, json!({ "args": "-device x" }), Tier::Host),
        (Method::Put, config, json!({ "hookscript": "local:snippets/x" }), Tier::Host),
        (Method::Post, config, json!({ "hostpci0": "01:00.0" }), Tier::Host),
        (Method::Put, config, json!({ "scsi1": "/dev/sdb" }), Tier::Host),
        (Method::Put, config, json!({ "scsi1": "file=/dev/sdb,size=1T" }), Tier::Host),
        (Method::Put, config, json!({ "scsi1": { "file": "/dev/sdb", "size": "1T" } }), Tier::Host),
        (Method::Put, config, json!({ "scsi1": "local-lvm:0,import-from=/etc/shadow" }), Tier::Host),
        (Method::Put, config, json!({ "scsi1": "local-lvm:32,ssd=1" }), Tier::Change),
        (Method::Put, config, json!({ "serial0": "socket" }), Tier::Change),
        (Method::Put, config, json!({ "serial0": "/dev/ttyS0" }), Tier::Host),
        (Method::Put, config, json!({ "delete": "description,unused3" }), Tier::Destructive),
        (Method::Put, config, json!({ "delete": ["tags", "scsi0"] }), Tier::Destructive),
        (Method::Put, config, json!({ "delete": "description tags" }), Tier::Change),
        (Method::Put, config, json!({ "delete": "description\rscsi0" }), Tier::Destructive),
        (Method::Put, config, json!({ "delete": "cdrom" }), Tier::Destructive),
        (Method::Put, config, json!({ "cipassword": "x" }), Tier::Lockout),
        (Method::Put, config, json!({ "cicustom": "user=local:snippets/x" }), Tier::Host),
        (Method::Put, config, json!({ "skiplock": 1 }), Tier::Destructive),
        (Method::Put, config, json!({ "skiplock": "0" }), Tier::Change),
        (Method::Put, config, json!({ "skiplock": "maybe" }), Tier::Destructive),
        (Method::Put, container, json!({ "mp0": "/srv/data,mp=/data" }), Tier::Host),
        (Method::Put, container, json!({ "mp0": "mp=/data,volume=/srv/data" }), Tier::Host),
        (Method::Put, container, json!({ "mp0": "local-lvm:8,mp=/data" }), Tier::Change),
        (Method::Put, container, json!({ "dev0": "/dev/kvm" }), Tier::Host),
        (Method::Put, container, json!({ "features": "nesting=1" }), Tier::Change),
        (Method::Put, container, json!({ "features": "nesting=1,mount=nfs" }), Tier::Host),
        (Method::Put, container, json!({ "net0": "name=eth0,bridge=vmbr0" }), Tier::Change),
        (Method::Post, "/nodes/{node}/lxc", json!({ "vmid": 105, "unprivileged": 1 }), Tier::Additive),
        (Method::Post, "/nodes/{node}/lxc", json!({ "vmid": 105, "unprivileged": false }), Tier::Host),
        (
            Method::Post,
            "/nodes/{node}/qemu",
            json!({ "vmid": 100, "archive": "pbs:backup/x" }),
            Tier::Additive,
        ),
        (
            Method::Post,
            "/nodes/{node}/qemu",
            json!({ "archive": "pbs:backup/x", "force": 1 }),
            Tier::Destructive,
        ),
        (
            Method::Post,
            "/nodes/{node}/qemu/{vmid}/move_disk",
            json!({ "disk": "scsi0", "delete": 1 }),
            Tier::Destructive,
        ),
        (Method::Post, "/nodes/{node}/vzdump", json!({ "vmid": "100", "mode": "snapshot" }), Tier::Additive),
        (Method::Post, "/nodes/{node}/vzdump", json!({ "vmid": "100", "script": "/x" }), Tier::Host),
        (Method::Post, "/storage", json!({ "type": "nfs", "server": "192.0.2.9" }), Tier::Host),
        (Method::Post, DOWNLOAD, json!({ "url": "https://deb.debian.org/debian.iso" }), Tier::Additive),
        (Method::Post, DOWNLOAD, json!({ "url": "http://127.0.0.1:85/" }), Tier::Host),
        (Method::Post, DOWNLOAD, json!({ "url": "http://[::ffff:10.0.0.1]/x" }), Tier::Host),
        (Method::Post, DOWNLOAD, json!({ "url": "http://2130706433/x" }), Tier::Host),
        (Method::Post, DOWNLOAD, json!({ "url": "http://nas/x" }), Tier::Host),
        (Method::Put, "/pools", json!({ "poolid": "dev", "vms": "100" }), Tier::Lockout),
        (Method::Put, "/cluster/options", json!({ "delete": "webauthn" }), Tier::Lockout),
        (Method::Get, "/nodes/{node}/qemu/{vmid}/config", json!({}), Tier::Read),
    ] {
        let Value::Object(given) = arguments.clone() else { panic!("an object") };
        assert_eq!(judge(Product::Pve, method, path, &given).tier(), tier, "{method:?} {path} {arguments}");
    }
}

/// A profile permits a call when it permits each ground, so an argument can only ever take a call away from it.
#[test]
fn an_argument_never_hides_what_the_endpoint_is() {
    assert_eq!(
        tiers(Method::Post, "/nodes/{node}/vzdump", json!({ "mode": "stop" })),
        [Tier::Additive, Tier::Disruptive]
    );
    assert!(
        tiers(Method::Post, "/cluster/ha/resources", json!({ "state": "stopped" }))
            .contains(&Tier::Disruptive)
    );
    let none = Map::new();
    for raise in raise::read(raise::text(Product::Pve)).flatten() {
        for (method, path) in &raise.calls {
            let endpoint = judge(Product::Pve, *method, path, &none).tier();
            assert_ne!(endpoint, Tier::Held, "{raise:?}: a held call needs no raise");
            assert!(raise.tier != endpoint, "{raise:?} adds nothing to {path}");
        }
    }
}

/// What is shown is what was judged and is approved: an argument's own tier is not hidden behind a milder one of its call.
#[test]
fn one_word_for_many_grounds_is_the_gravest() {
    for (method, path, arguments, tier) in [
        (Method::Post, "/nodes/{node}/vzdump", json!({ "mode": "stop" }), Tier::Disruptive),
        (
            Method::Put,
            "/nodes/{node}/lxc/{vmid}/config",
            json!({ "hookscript": "local:snippets/x" }),
            Tier::Host,
        ),
    ] {
        let Value::Object(given) = arguments else { panic!("an object") };
        let judged = judge(Product::Pve, method, path, &given);
        assert!(judged.grounds().len() > 1, "{path}: {judged:?}");
        assert!(judged.grounds().iter().all(|ground| ground.tier <= judged.tier()), "{path}: {judged:?}");
        assert_eq!(judged.tier(), tier, "{path}");
    }
}

/// A GET that is told where to go, or with which secret, makes the node call out.
#[test]
fn a_get_that_is_given_an_address_or_a_secret_is_no_mere_read() {
    for (_, catalog) in catalogs() {
        for endpoint in catalog.endpoints().iter().filter(|endpoint| endpoint.method == Method::Get) {
            let calls_out = endpoint.parameters.iter().any(|parameter| {
                let name = parameter.name.as_str();
                ["url", "server", "portal", "directory", "reference"].contains(&name)
                    || crate::secret::is_secret(&endpoint.path, name)
            });
            let reads = of(Product::Pve, Method::Get, &endpoint.path).0 == Tier::Read;
            assert!(!(calls_out && reads), "GET {}", endpoint.path);
        }
    }
    for path in [
        "/nodes/{node}/apt/changelog",
        "/nodes/{node}/rrd",
        "/nodes/{node}/storage/{storage}/file-restore/list",
        "/nodes/{node}/scan/iscsi",
        "/cluster/acme/tos",
    ] {
        assert_eq!(of(Product::Pve, Method::Get, path).0, Tier::Host, "{path}");
    }
    for path in ["/nodes/{node}/rrddata", "/nodes/{node}/scan/lvm", "/cluster/acme/directories"] {
        assert_eq!(of(Product::Pve, Method::Get, path).0, Tier::Read, "{path}");
    }
}

#[test]
fn a_configuration_cannot_hold_reading_back() {
    assert!(table::tier("read").is_none() && table::tier("destructive").is_some());
}

#[test]
fn every_call_of_every_release_has_a_row_and_every_row_a_call() {
    let mut called = BTreeSet::new();
    for (release, catalog) in catalogs().iter().chain(&real_catalogs()) {
        for endpoint in catalog.endpoints() {
            called.insert((endpoint.method, endpoint.path.clone()));
            let row = table::find(Product::Pve, endpoint.method, &endpoint.path);
            let (method, path) = (endpoint.method, &endpoint.path);
            assert!(
                method == Method::Get || row.is_some(),
                "PVE {}: {method} {path} has no tier",
                release.name()
            );
        }
    }
    let idle: Vec<_> = rows(Product::Pve)
        .iter()
        .filter(|row| !called.contains(&(row.method, row.path.to_owned())))
        .collect();
    assert!(idle.is_empty(), "{idle:#?}");
}

/// A row about a parameter that no release has would raise nothing.
#[test]
fn every_raise_is_about_a_parameter_of_its_call() {
    let has = |method: Method, path: &str, name: &str| {
        let called = catalogs().iter().filter_map(|(_, catalog)| catalog.template(method, path));
        called.into_iter().flat_map(|endpoint| &endpoint.parameters).any(|parameter| match parameter.family {
            true => name.strip_suffix("[n]") == Some(parameter.name.as_str()),
            false => parameter.name == name,
        })
    };
    for raise in raise::read(raise::text(Product::Pve)).flatten() {
        let taken = raise.calls.iter().any(|(method, path)| has(*method, path, raise.parameter));
        assert!(taken, "{} is no parameter of {:?}", raise.parameter, raise.calls);
        for (method, path) in &raise.calls {
            assert!(table::find(Product::Pve, *method, path).is_some(), "{method} {path}");
        }
    }
}
