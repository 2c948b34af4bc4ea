use std::{env, path::PathBuf, process::Command};

use serde_json::{Map, Value, json};

use super::*;
use crate::catalog::{Catalog, Method, import};

fn real() -> Catalog {
    let out = Command::new("zcat")
        .arg(PathBuf::from(env::var_os("PROVOST_APIDOC_DIR").unwrap()).join("apidoc-9.1.js.gz"))
        .output()
        .unwrap()
        .stdout;
    import::script(&out).unwrap()
}

#[test]
fn try_it() {
    let c = real();
    let m = c.endpoint(Method::Put, "/nodes/pve1/qemu/105/config").unwrap();
    for args in [
        json!({"net0":"virtio,bridge=vmbr0,tag=5"}),
        json!({"net0":"virtio=AA:BB:CC:00:11:22,bridge=vmbr0,tag=9999,bridg=1", "memori": 5, "cores": 0, "net77": "x", "onboot": "maybe", "bios": "uefi"}),
        json!({"net0": {"model":"virtio","bridge":"vmbr0","firewall":true}, "cores": 4, "delete": ["net1","net2"]}),
    ] {
        let r = m.check(args.as_object().unwrap());
        match r {
            Ok(c) => eprintln!("{c:?} {} {:?}", c.form(), c.unchecked()),
            Err(p) => {
                for p in p {
                    eprintln!("  {p}")
                }
            }
        }
    }
    for p in [
        "/nodes/pve1/qmeu/105/config",
        "/nodes/../x",
        "/nodes/pve1/lxc",
        "/vms",
        "/node/pve1/qemu/100/status/starts",
        "/nodes/pve1/tasks/UPID%3Apve1%3A0%3A/log",
        "/nodes/a%2fb/qemu",
    ] {
        eprintln!(
            "{p}: {:?}",
            c.endpoint(Method::Get, p)
                .map(|m| (m.endpoint.path.clone(), m.captured))
                .map_err(|e| e.to_string())
        );
    }
    let mut unrun = vec![];
    fn all(s: &Schema, out: &mut Vec<String>) {
        out.extend(s.pattern.clone());
        for p in &s.properties {
            all(&p.schema, out)
        }
        if let Some(i) = &s.items {
            all(i, out)
        }
        if let Some(crate::catalog::Format::Properties(k)) = &s.format {
            for k in k {
                all(&k.parameter.schema, out)
            }
        }
    }
    for e in c.endpoints() {
        for p in &e.parameters {
            all(&p.schema, &mut unrun)
        }
        all(&e.returns, &mut unrun)
    }
    for p in unrun {
        if pattern::verdict(&p, "x") == pattern::Verdict::Unrunnable {
            eprintln!("UNRUNNABLE {p}")
        }
    }
    let _: Map<String, Value> = Map::new();
}
