use proptest::prelude::*;

use super::*;
use crate::catalog::{Release, testing};

fn find(method: Method, path: &str) -> Result<(String, Vec<(String, String)>), PathError> {
    testing::catalog(Release::V9_2)
        .endpoint(method, path)
        .map(|found| (found.endpoint.path.clone(), found.captured))
}

#[test]
fn a_path_names_its_endpoint_and_what_stands_in_it() {
    for (path, template, captured) in [
        ("/version", "/version", &[][..]),
        (
            "/nodes/pve1/lxc/105/config",
            "/nodes/{node}/lxc/{vmid}/config",
            &[("node", "pve1"), ("vmid", "105")],
        ),
        // What a template says goes before what it captures.
        (
            "/nodes/pve1/qemu/100/status/current",
            "/nodes/{node}/qemu/{vmid}/status/current",
            &[("node", "pve1"), ("vmid", "100")],
        ),
        ("/access/users/root%40pam", "/access/users/{userid}", &[("userid", "root@pam")]),
        (
            "/nodes/pve1/storage/local/content/local%3Aiso%2Fa%20b.iso",
            "/nodes/{node}/storage/{storage}/content/{volume}",
            &[("node", "pve1"), ("storage", "local"), ("volume", "local:iso/a b.iso")],
        ),
        (
            "/cluster/firewall/ipset/admins/10.0.0.0%2f8",
            "/cluster/firewall/ipset/{name}/{cidr}",
            &[("name", "admins"), ("cidr", "10.0.0.0/8")],
        ),
        ("/access/groups/gr%C3%B6%C3%9Fe", "/access/groups/{groupid}", &[("groupid", "größe")]),
    ] {
        let (found, values) = find(Method::Get, path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let values: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!((found.as_str(), values.as_slice()), (template, captured), "{path}");
    }
}

#[test]
fn a_path_that_could_mean_another_is_refused() {
    use PathFault::{
        Control, Dots, EmptySegment, EncodedTwice, NotUtf8, Percent, Query, Relative, Slash, TooLong,
    };
    let long = format!("/nodes/{}", "a".repeat(5000));
    for (path, fault) in [
        ("", Relative),
        ("nodes", Relative),
        ("https://pve/nodes", Relative),
        ("/", EmptySegment),
        ("/nodes/", EmptySegment),
        ("//nodes", EmptySegment),
        ("/nodes//lxc", EmptySegment),
        ("/nodes/../access", Dots),
        ("/nodes/./pve1", Dots),
        ("/nodes/%2e%2e/access", Dots),
        ("/nodes/%2E./access", Dots),
        ("/nodes/pve1/tasks/a%2F..%2Fb/log", Dots),
        ("/nodes/pve1/tasks/a%2F%2Fb/log", EmptySegment),
        ("/nodes/pve1/tasks/%2Fetc%2Fpasswd/log", EmptySegment),
        ("/nodes/a%2Fb/lxc", Slash),
        ("/nodes/pve1/lxc/105%2Fconfig", Slash),
        ("/version?x=1", Query),
        ("/version#x", Query),
        ("/nodes/pve1%3Fx=1/lxc", Query),
        ("/nodes/pve1%23/lxc", Query),
        ("/nodes/pve1%00/lxc", Control),
        ("/nodes/pve1\0/lxc", Control),
        ("/nodes/pve1%0d%0aX/lxc", Control),
        ("/nodes/pve1\r\nHost: x/lxc", Control),
        ("/nodes/%C2%85/lxc", Control),
        ("/nodes/%ff/lxc", NotUtf8),
        ("/nodes/%c0%ae%c0%ae/lxc", NotUtf8),
        ("/nodes/100%/lxc", Percent),
        ("/nodes/%zz/lxc", Percent),
        ("/nodes/%2", Percent),
        ("/nodes/%252e%252e/lxc", EncodedTwice),
        (&long, TooLong),
    ] {
        for method in Method::ALL {
            assert_eq!(find(method, path).unwrap_err(), PathError::Malformed(fault), "{path}");
        }
    }
}

#[test]
fn a_name_of_the_api_is_itself_alone() {
    for path in ["/%6eodes", "/Nodes", "/version%20", "/nodes/pve1/lxc/105/confi%67"] {
        assert!(matches!(find(Method::Get, path), Err(PathError::Unknown { .. })), "{path}");
    }
}

#[test]
fn a_path_that_does_not_exist_is_answered_with_those_that_do() {
    for (path, nearest) in [
        ("/nodes/pve1/qmeu/105/config", "/nodes/{node}/qemu/{vmid}/config"),
        ("/nodes/pve1/vm/105/config", "/nodes/{node}/lxc/{vmid}/config"),
        ("/nodes/pve1/lxc/105/state/current", "/nodes/{node}/lxc/{vmid}/status/current"),
        ("/cluster/resource", "/cluster/resources"),
        ("/node", "/nodes"),
        ("/access/user", "/access/users"),
        ("/nodes/{node}/lxc/{vmid}/config", "/nodes/{node}/lxc/{vmid}/config"),
        (
            "/nodes/pve1/storage/local/content/local:iso/a.iso",
            "/nodes/{node}/storage/{storage}/content/{volume}",
        ),
    ] {
        match find(Method::Get, path) {
            Err(PathError::Unknown { nearest: found }) => {
                assert!(found.iter().any(|it| it == nearest), "{path}: {found:?}");
            }
            other => panic!("{path}: {other:?}"),
        }
    }
    assert_eq!(
        find(Method::Get, "/utterly/wrong/from/its/beginning/to/its/end").unwrap_err(),
        PathError::Unknown { nearest: vec![] }
    );
}

#[test]
fn a_method_that_a_path_has_not_is_answered_with_those_it_has() {
    let error = find(Method::Delete, "/nodes/pve1/lxc/105/config").unwrap_err();
    assert_eq!(error.to_string(), "/nodes/{node}/lxc/{vmid}/config has no DELETE; it has GET, PUT");
}

#[test]
fn an_unknown_path_costs_little_to_answer() {
    let start = std::time::Instant::now();
    for path in [format!("/{}", "a/".repeat(2000) + "b"), format!("/{}", "n".repeat(4000))] {
        find(Method::Get, &path).unwrap_err();
    }
    assert!(start.elapsed().as_millis() < 2000, "{:?}", start.elapsed());
}

#[test]
fn every_endpoint_is_found_by_its_own_path() {
    for (release, catalog) in testing::catalogs() {
        for endpoint in catalog.endpoints() {
            let concrete: String = endpoint
                .path
                .split('/')
                .skip(1)
                .map(|segment| {
                    format!(
                        "/{}",
                        capture(segment).map_or_else(|| segment.to_owned(), |name| format!("x-{name}"))
                    )
                })
                .collect();
            let found = catalog.endpoint(endpoint.method, &concrete).unwrap();
            assert_eq!(found.endpoint, endpoint, "{}", release.name());
            assert_eq!(catalog.template(endpoint.method, &endpoint.path), Some(endpoint));
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_answered_and_what_is_taken_is_rendered_as_the_same(path in "/nodes/[^/]{0,12}/tasks/.{0,24}/log") {
        if let Ok(found) = testing::catalog(Release::V9_2).endpoint(Method::Get, &path) {
            prop_assert!(found.captured.iter().all(|(_, value)| !value.split('/').any(|part| part == "..")));
            if let Ok(checked) = found.check(&Map::new()) {
                let again = testing::catalog(Release::V9_2).endpoint(Method::Get, checked.path()).unwrap();
                prop_assert_eq!(again.captured, found.captured);
                prop_assert_eq!(again.endpoint, found.endpoint);
            }
        }
    }
}
