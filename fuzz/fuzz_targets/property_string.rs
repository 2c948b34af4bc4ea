//! Whatever is given for the parameters of a guest, it is refused in short lines, or it becomes a form in which nothing
//! stands that the encoding should have kept out.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use provost::catalog::{Catalog, Method, Release};
use serde_json::{Map, Value, json};

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::embedded(Release::LATEST));

const NAMES: [&str; 12] = [
    "net0", "scsi0", "ipconfig0", "startup", "boot", "cpu", "hostpci0", "tags", "memory", "smbios1", "agent", "delete",
];

fuzz_target!(|text: &str| {
    let qemu = CATALOG.endpoint(Method::Put, "/nodes/pve1/qemu/105/config").expect("an endpoint");
    let lxc = CATALOG.endpoint(Method::Put, "/nodes/pve1/lxc/105/config").expect("an endpoint");
    let mut tried: Vec<Map<String, Value>> =
        NAMES.iter().map(|name| Map::from_iter([((*name).to_owned(), json!(text))])).collect();
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => {
            tried.push(Map::from_iter([("net0".to_owned(), Value::Object(object.clone()))]));
            tried.push(object);
        }
        Ok(value) => tried.push(Map::from_iter([("net0".to_owned(), value)])),
        Err(_) => {}
    }
    for args in &tried {
        for endpoint in [&qemu, &lxc] {
            match endpoint.check(args) {
                Ok(checked) => {
                    let form = checked.form();
                    assert!(form.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%=&".contains(&byte)));
                    assert_eq!(form.matches('=').count(), checked.pairs().len());
                }
                Err(problems) => {
                    assert!(!problems.is_empty());
                    for problem in problems {
                        let message = problem.to_string();
                        assert!(message.len() < 4000 && !message.contains(|c: char| c.is_control()), "{message:?}");
                    }
                }
            }
        }
    }
});
