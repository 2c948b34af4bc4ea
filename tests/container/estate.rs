//! A simulated node of which one container is really there: what the API says of it is what is found inside.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::common::node::ROOT_MAY_ALL;
use crate::common::{Client, Node, lxc_attach};

fn read(client: &mut Client, arguments: Value) -> Value {
    let result = client.call("read", arguments);
    assert_ne!(result["isError"], true, "{result}");
    result["structuredContent"]["data"].clone()
}

#[test]
fn a_container_that_the_api_lists_is_the_one_that_exec_enters() {
    let hostname = lxc_attach("v2", 101, &["hostname"]).trim().to_owned();
    assert!(!hostname.is_empty());
    let cluster = Cluster::with(101, &[("hostname", &hostname)]);
    let exec = "containers = [101]";
    let node = Node::with("v2", exec, &format!("{ROOT_MAY_ALL}\n{}", cluster.section()));
    let mut client = node.client();
    let wanted = format!("type = lxc and name = {hostname}");
    let listed = read(&mut client, json!({ "path": "/cluster/resources", "where": wanted }));
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    let row = &listed[0];
    assert_eq!((&row["vmid"], &row["status"]), (&json!(101), &json!("running")), "{listed}");
    assert_eq!(read(&mut client, json!({ "path": "config of container 101" }))["hostname"], hostname);

    let guest = u32::try_from(row["vmid"].as_u64().unwrap()).unwrap();
    assert_eq!(client.inspect(guest, &["hostname"])["stdout"], format!("{hostname}\n"));
    assert_eq!(client.change(guest, &["id", "-u"])["stdout"], "0\n");

    // A container that only the API knows is not entered, whatever the API says of it.
    let other =
        read(&mut client, json!({ "path": "/nodes/pve1/lxc", "where": "vmid != 101", "fields": "vmid" }));
    let refused = client.refused(json!({ "guest": other[0]["vmid"], "argv": ["true"] }));
    assert_eq!(refused["kind"], "not_listed", "{refused}");
}
