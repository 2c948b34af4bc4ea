use serde_json::json;

use super::*;
use crate::catalog::Release;
use crate::catalog::tier::Tier;

fn request(method: Method, path: &str, args: Value) -> Result<Request, Refused> {
    let Value::Object(args) = args else { panic!("an object") };
    Request::of(&Catalog::embedded(Release::LATEST), method, path, args, Vec::new())
}

/// The same thing, written in every way that is taken: what is judged, shown and reached is what is sent.
#[test]
fn a_value_is_judged_as_it_is_sent_however_it_is_given() {
    let config = "/nodes/pve1/qemu/102/config";
    for disk in [json!("/dev/sdb"), json!("file=/dev/sdb"), json!({ "file": "/dev/sdb" })] {
        let request = request(Method::Put, config, json!({ "scsi5": disk })).unwrap();
        assert!(request.judgement.grounds().iter().any(|ground| ground.tier == Tier::Host), "{disk}");
    }
    for force in [json!(1), json!(1.0), json!("1"), json!(true), json!("yes")] {
        let Ok(request) = request(Method::Put, config, json!({ "delete": "scsi0", "force": force })) else {
            continue;
        };
        assert!(request.flag("force"), "{force}");
        assert!(request.judgement.grounds().iter().any(|ground| ground.argument == Some("force")), "{force}");
    }
    for id in [json!(108), json!(108.0), json!("108")] {
        let clone = request(Method::Post, "/nodes/pve1/qemu/102/clone", json!({ "newid": id }));
        if let Ok(clone) = clone {
            assert!(reach::named(&clone).contains(&108), "{id}");
            assert_eq!(clone.text("newid").as_deref(), Some("108"), "{id}");
        }
    }
}

#[test]
fn a_list_with_what_no_display_shows_is_refused() {
    for list in ["description\rscsi0", "description\u{c}scsi0", "description\u{1b}scsi0"] {
        let refused = request(Method::Put, "/nodes/pve1/qemu/102/config", json!({ "delete": list }));
        assert!(matches!(refused, Err(Refused::Parameters { .. })), "{list:?}");
    }
}

#[test]
fn whoever_is_not_named_is_reached_where_a_call_takes_all() {
    let stop = "/nodes/pve2/stopall";
    for (path, args, whole) in [
        (stop, json!({}), true),
        (stop, json!({ "vms": "" }), true),
        (stop, json!({ "vms": "," }), true),
        (stop, json!({ "vms": "102" }), false),
        ("/nodes/pve1/vzdump", json!({ "vmid": "102" }), false),
        ("/nodes/pve1/vzdump", json!({ "all": 1 }), true),
        ("/nodes/pve1/vzdump", json!({ "exclude": "102" }), true),
        ("/nodes/pve1/vzdump", json!({ "pool": "dev" }), true),
    ] {
        // What the checker refuses reaches nobody.
        if let Ok(request) = request(Method::Post, path, args.clone()) {
            assert_eq!(reach::is_whole(&request), whole, "{path} {args}");
        }
    }
}

#[test]
fn an_acl_path_is_taken_as_pve_takes_it() {
    for path in ["/vms/110", "/vms/110/", "/vms//110", "//vms/110"] {
        let acl = json!({ "path": path, "roles": "PVEVMUser", "users": "a@pve" });
        if let Ok(request) = request(Method::Put, "/access/acl", acl) {
            assert!(reach::named(&request).contains(&110), "{path}");
        }
    }
}

#[test]
fn a_new_container_is_unprivileged_unless_somebody_says_otherwise() {
    let chosen = |mut args: Map<String, Value>| {
        chosen_for(Method::Post, "/nodes/pve1/lxc", &mut args);
        args.get("unprivileged").cloned()
    };
    assert_eq!(chosen(Map::new()), Some(json!(1)));
    assert_eq!(chosen(Map::from_iter([("unprivileged".to_owned(), json!(0))])), Some(json!(0)));
    // An archive knows what it was.
    assert_eq!(chosen(Map::from_iter([("restore".to_owned(), json!(1))])), None);
}
