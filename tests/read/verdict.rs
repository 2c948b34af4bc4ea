//! What a role's `deny` and profile keep from it, and what never goes into a URL.

use provost::sim::estate::recorded;
use serde_json::{Value, json};

use crate::site::{Site, everybody, path, read, refused};

fn site(keys: &str) -> Site {
    Site::with(recorded(), &everybody(keys))
}

#[test]
fn what_a_role_is_denied_it_reads_by_no_way() {
    let deny = r#"deny = ["GET /access/users", "GET /nodes/{node}/tasks/*", "* /nodes/pve1/qemu/105/*", "GET /cluster/resources", "POST /version"]"#;
    let site = site(deny);
    let mut client = site.client();
    let upid = read(&mut client, path("/nodes/pve1/tasks"))["data"][0]["upid"].clone();
    for asked in [
        json!({ "path": "/access/users" }),
        json!({ "path": "GET /access/users" }),
        json!({ "path": "/api2/json/access/users" }),
        json!({ "path": "list the users" }),
        json!({ "path": upid }),
        json!({ "path": upid, "wait": 5 }),
        json!({ "path": "/nodes/pve1/qemu/105/config" }),
        json!({ "path": "/nodes/{node}/qemu/{vmid}/config", "args": { "node": "pve1", "vmid": 105 } }),
        json!({ "path": "/nodes/pve1/qemu/%31%305/status/current" }),
        json!({ "path": "/cluster/resources", "args": { "type": "vm" } }),
        // Where the guest is would come from there.
        json!({ "path": "/nodes/{node}/qemu/104/config" }),
    ] {
        let error = refused(&mut client, asked.clone());
        assert_eq!(error["kind"], "denied_to_role", "{asked}: {error}");
        assert!(error["next"].as_str().unwrap().contains("out of deny"), "{error}");
    }
    for open in ["/access/groups", "/nodes/pve1/qemu/104/config", "/nodes/pve1/tasks", "/version"] {
        read(&mut client, path(open));
    }
    for uri in
        ["provost://guests", "provost://guest/104", &format!("provost://task/{}", upid.as_str().unwrap())]
    {
        let answer = client.request("resources/read", json!({ "uri": uri }));
        assert!(answer["error"]["message"].as_str().unwrap().contains("denied"), "{uri}: {answer}");
    }
    let blank = json!({ "ref": { "type": "ref/resource", "uri": "provost://guest/{vmid}" }, "argument": { "name": "vmid", "value": "" } });
    let values = client.request("completion/complete", blank)["result"]["completion"]["values"].clone();
    assert_eq!(values, json!([]));
}

#[test]
fn a_role_that_is_denied_all_reads_nothing() {
    let site = site(r#"deny = ["* /*"]"#);
    let mut client = site.client();
    for asked in ["/version", "/nodes", "/cluster/resources"] {
        assert_eq!(refused(&mut client, path(asked))["kind"], "denied_to_role");
    }
}

#[test]
fn a_get_that_acts_is_for_profiles_that_have_its_tier() {
    let asked = json!({ "path": "/nodes/pve1/query-url-metadata", "args": { "url": "https://192.0.2.1/x" } });
    let kind = |keys: &str, asked: &Value| {
        let site = site(keys);
        let result = site.client().call("read", asked.clone());
        (result["structuredContent"]["error"]["kind"].clone(), result.to_string())
    };
    let (refused, said) = kind("", &asked);
    assert_eq!(refused, "not_a_read");
    assert!(
        said.contains("tier host") && said.contains("profile observe") && said.contains("plan"),
        "{said}"
    );
    let full = everybody("").replace("observe", "full");
    let site = Site::with(recorded(), &full);
    let result = site.client().call("read", asked.clone());
    assert_ne!(result["structuredContent"]["error"]["kind"], "not_a_read", "{result}");
    let site = Site::with(recorded(), &format!("{full}\napproval = [\"host\"]"));
    let result = site.client().call("read", asked);
    assert_eq!(result["structuredContent"]["error"]["kind"], "not_a_read", "{result}");
    let console = json!({ "path": "/nodes/pve1/vncwebsocket", "args": { "port": 5900, "vncticket": "x" } });
    let site = Site::with(recorded(), &full);
    let said = site.client().call("read", console);
    assert!(said.to_string().contains("tier held"), "{said}");
}

#[test]
fn a_secret_never_goes_into_a_url() {
    let site = Site::with(recorded(), &everybody("").replace("observe", "full"));
    let mut client = site.client();
    let args = json!({ "server": "192.0.2.1", "username": "a@pbs", "password": "hunter2hunter2", "fingerprint": "" });
    for asked in ["/nodes/pve1/scan/pbs", "/nodes/pve1/scan/cifs"] {
        let mut args = args.as_object().unwrap().clone();
        args.remove("fingerprint");
        let error = refused(&mut client, json!({ "path": asked, "args": args }));
        assert_eq!(error["kind"], "secret_in_url", "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    assert!(!site.log().contains("hunter2"));
}
