use super::*;
use crate::product::Product;

#[test]
fn what_begins_as_a_upid_and_is_none_is_no_words() {
    for given in ["UPID:../:x", "UPID:pve1", "upid:pve1:1:2:3:x:y:", "'UPID:pve1:00002578'"] {
        assert!(matches!(normalise(Product::Pve, given), Asked::NoTask(_)), "{given}");
    }
    assert!(matches!(normalise(Product::Pve, TASK), Asked::Task(_)));
}

const TASK: &str = "UPID:pve1:00002578:00074193:6B012E72:qmcreate:110:root@pam!t1:";

#[test]
fn what_models_write_for_a_path_is_the_path_that_they_mean() {
    for (given, path) in [
        ("/nodes", "/nodes"),
        (" /nodes\n", "/nodes"),
        ("`/nodes`", "/nodes"),
        ("\"/nodes\"", "/nodes"),
        ("/nodes/", "/nodes"),
        ("nodes", "/nodes"),
        ("nodes/pve1/status", "/nodes/pve1/status"),
        ("nodes/pve1/status/", "/nodes/pve1/status"),
        ("version", "/version"),
        ("GET /nodes/pve1/status", "/nodes/pve1/status"),
        ("get nodes/pve1/status", "/nodes/pve1/status"),
        ("GET  /nodes", "/nodes"),
        ("pvesh get /nodes", "/nodes"),
        ("GET https://pve.example.org:8006/api2/json/version", "/version"),
        ("https://pve.example.org:8006/api2/json/nodes/pve1/qemu/", "/nodes/pve1/qemu"),
        ("https://[2001:db8::1]:8006/api2/extjs/nodes", "/nodes"),
        ("http://127.0.0.1:85/api2/json/nodes", "/nodes"),
        ("/api2/json/nodes", "/nodes"),
        ("/api2/extjs/nodes/pve1", "/nodes/pve1"),
        ("api2/json/nodes", "/nodes"),
        ("/nodes/{node}/qemu/{vmid}/config", "/nodes/{node}/qemu/{vmid}/config"),
        (
            "/nodes/pve1/storage/local/content/local:iso/debian 13.iso",
            "/nodes/pve1/storage/local/content/local:iso%2Fdebian 13.iso",
        ),
        (
            "/nodes/pve1/storage/fast/content/fast:9000/base-9000-disk-0.qcow2/111/vm-111-disk-0.qcow2",
            "/nodes/pve1/storage/fast/content/fast:9000%2Fbase-9000-disk-0.qcow2%2F111%2Fvm-111-disk-0.qcow2",
        ),
        (
            "/nodes/pve1/storage/local/content/local%3Aiso%2Fx.iso",
            "/nodes/pve1/storage/local/content/local%3Aiso%2Fx.iso",
        ),
        ("/nodes/pve1/storage/local/content/", "/nodes/pve1/storage/local/content"),
        ("/pools/parent/child", "/pools/parent%2Fchild"),
        ("/cluster/firewall/ipset/admins/10.0.0.0/8", "/cluster/firewall/ipset/admins/10.0.0.0%2F8"),
        (
            "/nodes/pve1/lxc/101/firewall/ipset/a/2001:db8::/32",
            "/nodes/pve1/lxc/101/firewall/ipset/a/2001:db8::%2F32",
        ),
        (
            "/nodes/pve1/tasks/UPID:pve1:00002578:00074193:6B012E72:imgdel:9000/a:root@pam:/log",
            "/nodes/pve1/tasks/UPID:pve1:00002578:00074193:6B012E72:imgdel:9000%2Fa:root@pam:/log",
        ),
    ] {
        assert_eq!(normalise(Product::Pve, given), Asked::Path(path.into()), "{given}");
    }
    let path = format!("/nodes/pve1/tasks/{TASK}/status");
    assert_eq!(normalise(Product::Pve, &path), Asked::Path(path));
}

#[test]
fn a_task_s_name_is_a_task() {
    let task = Asked::Task(TASK.parse().unwrap());
    for given in [TASK.to_owned(), format!(" {TASK}\n"), TASK.replace(':', "%3A").replace('!', "%21")] {
        assert_eq!(normalise(Product::Pve, &given), task, "{given}");
    }
    assert!(matches!(normalise(Product::Pve, "UPID:pve1:nonsense"), Asked::NoTask(_)));
}

#[test]
fn words_stay_words_and_a_change_stays_one() {
    for given in ["list nodes", "nodes and their memory", "get the nodes", "status of vm 104", "config/x", ""]
    {
        assert_eq!(normalise(Product::Pve, given), Asked::Words(given.into()), "{given}");
    }
    let change = |method, path: &str| Asked::Change(method, path.into());
    assert_eq!(normalise(Product::Pve, "DELETE /storage/local"), change(Method::Delete, "/storage/local"));
    assert_eq!(normalise(Product::Pve, "pvesh create /pools"), Asked::Words("create /pools".into()));
    assert_eq!(
        normalise(Product::Pve, "post https://pve:8006/api2/json/nodes/pve1/qemu/104/status/start"),
        change(Method::Post, "/nodes/pve1/qemu/104/status/start")
    );
}

/// Whatever is put together or taken off, what the catalogue would refuse it still refuses.
#[test]
fn nothing_becomes_a_path_that_it_was_not() {
    let catalog = crate::catalog::Catalog::embedded(crate::catalog::Release::LATEST);
    for given in [
        "/nodes/../access/users",
        "/nodes/./pve1",
        "/nodes//pve1",
        "//nodes",
        "/nodes//",
        "/api2/json//nodes",
        "/api2/json/../nodes",
        "/api2/json/api2/json/nodes",
        "https://pve1/api2/json/nodes/../version",
        "https://pve1:8006/nodes?x=1",
        "http://elsewhere.example.org/version",
        "GET https://elsewhere.example.org/nodes",
        "https://elsewhere.example.org",
        "/nodes/pve1%2fqemu",
        "/nodes/%2e%2e/access",
        "/nodes/pve1/qemu/104%2f..%2f105/config",
        "/nodes/pve1%00",
        "/nodes/pve1\0",
        "/nodes/pve1%3fa=b",
        "/nodes/pve1%252e%252e",
        "/nodes/pve1/storage/local/content/local:iso/../../x",
        "/nodes/pve1/storage/local/content/local:iso//x",
        "/nodes/pve1/storage/local/content/local:iso/x%252fy",
        "/nodes/pve1/storage/local/content/local:iso/x?a=b",
        "/pools/a/../b",
        "/pools//",
        "/nodes/pve1/tasks/UPID:../../x:/log",
    ] {
        let Asked::Path(path) = normalise(Product::Pve, given) else { panic!("{given} is a path") };
        let error = catalog.endpoint(Method::Get, &path).unwrap_err();
        assert!(
            matches!(
                error,
                crate::catalog::PathError::Malformed(_) | crate::catalog::PathError::Unknown { .. }
            ),
            "{given}: {error}"
        );
        let unknown = matches!(error, crate::catalog::PathError::Unknown { .. });
        assert_eq!(unknown, given.starts_with("/api2/json/api2"), "{given}: {error}");
    }
}
