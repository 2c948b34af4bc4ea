//! Files are behind the same doors as commands: to read takes what `inspect` takes, to write what `change` takes.

use serde_json::json;

use crate::common::{Node, eventually};
use crate::{call, kind};

fn refusals(exec: &str, role: &str) -> [Option<String>; 2] {
    let node = Node::with("v2", exec, &format!("[[role]]\nname = \"a\"\nmembers = [\"user:root\"]\n{role}"));
    let mut client = node.client();
    let mut kind_of =
        |tool: &str, arguments| call(&mut client, tool, arguments).err().map(|error| kind(&error).to_owned());
    let get = kind_of("file_get", json!({ "guest": 101, "path": "/etc/passwd" }));
    let arguments = json!({ "guest": 101, "path": "/etc/passwd", "content": "x", "overwrite": "never" });
    let put = kind_of("file_put", arguments);
    let refused = [&get, &put].iter().filter(|kind| kind.is_some()).count();
    // A refusal is not waited for until it is on the disk.
    eventually("the refusal is on record", || {
        let audit = call(&mut client, "audit", json!({ "guest": 101, "decision": "refused" }));
        audit.expect("receipts")["receipts"].as_array().unwrap().len() >= refused.min(1)
    });
    [get, put]
}

#[test]
fn each_door_that_is_shut_for_commands_is_shut_for_files() {
    let listed = "containers = [101]";
    let of = |kinds: [&str; 2]| kinds.map(|kind| Some(kind.to_owned()).filter(|kind| !kind.is_empty()));
    for (exec, role, expected) in [
        (listed, "exec = \"change\"", ["", "exists"]),
        (listed, "exec = \"inspect\"", ["", "lane_not_allowed"]),
        (listed, "exec = \"none\"", ["lane_not_allowed", "lane_not_allowed"]),
        (listed, "exec = \"change\"\nguests = [102]", ["guest_out_of_scope", "guest_out_of_scope"]),
        ("containers = [102]", "exec = \"change\"", ["not_listed", "not_listed"]),
        (listed, "exec = \"change\"\nrate = \"1/h\"", ["", "rate"]),
    ] {
        assert_eq!(refusals(exec, role), of(expected), "{exec} {role}");
    }
}
