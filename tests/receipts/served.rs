use std::os::unix::net::UnixStream;

use provost::ledger::Kind;
use serde_json::{Value, json};

use crate::common::Client;
use crate::place::{Place, line, role};
use crate::site::Site;

/// A call, and the receipt that it leaves: kind, decision, tool, endpoint, guest, code.
#[test]
fn each_call_leaves_one_receipt_and_this_one() {
    let mut place = Place::start(&role("reader", "profile = \"observe\"\nguests = [\"100-104\"]"));
    let tool = |name: &str, arguments: Value| ("tools/call", json!({ "name": name, "arguments": arguments }));
    let resource = |uri: &str| ("resources/read", json!({ "uri": uri }));
    let complete = |name: &str, value: &str| {
        let reference = json!({ "type": "ref/resource", "uri": "provost://guest/{vmid}" });
        ("completion/complete", json!({ "ref": reference, "argument": { "name": name, "value": value } }))
    };
    let config = "/nodes/pve1/qemu/104/config";
    let calls = [
        (tool("status", json!({})), "read allowed status - -"),
        (tool("find", json!({ "query": "list nodes" })), "read allowed find - -"),
        (tool("find", json!({ "words": "x" })), "refusal refused find - - arguments"),
        (tool("read", json!({ "path": "/version" })), "read allowed read GET /version -"),
        (
            tool("read", json!({ "path": config })),
            "read allowed read GET /nodes/{node}/qemu/{vmid}/config 104",
        ),
        (
            tool("read", json!({ "path": "/nodes/pve1/qemu/104/status/current" })),
            "read allowed read GET /nodes/{node}/qemu/{vmid}/status/current 104",
        ),
        (
            tool("read", json!({ "path": "/nodes/pve1/qemu/999/config" })),
            "refusal refused read GET /nodes/{node}/qemu/{vmid}/config 999 guest_out_of_scope",
        ),
        (tool("read", json!({ "path": "POST /nodes/pve1/status" })), "refusal refused read - - not_a_read"),
        (tool("read", json!({ "path": "/no/such" })), "refusal refused read - - no_such_path"),
        (tool("exec", json!({ "guest": 101, "argv": ["true"] })), "refusal refused exec - 101 disabled"),
        (
            tool("exec", json!({ "guest": 101, "argv": ["true"], "mode": "change" })),
            "refusal refused exec - 101 lane_not_allowed",
        ),
        (
            tool("exec", json!({ "guest": 900, "argv": ["true"] })),
            "refusal refused exec - 900 guest_out_of_scope",
        ),
        (tool("exec", json!({ "guest": 101, "argv": "true" })), "refusal refused exec - - arguments"),
        (tool("audit", json!({})), "read allowed audit - -"),
        (tool("audit", json!({ "verify": true })), "read allowed audit - -"),
        (tool("audit", json!({ "kind": "reed" })), "refusal refused audit - - arguments"),
        (tool("reboot", json!({ "guest": 101 })), "refusal refused - - - no_such_tool"),
        (resource("provost://guest/104"), "read allowed resource GET /nodes/{node}/qemu/{vmid}/config 104"),
        (resource("provost://guest/999"), "refusal refused resource - 999 guest_out_of_scope"),
        (resource("provost://elsewhere"), "refusal refused resource - - no_such_resource"),
        // What reaches nothing is nobody's to review.
        (resource("provost://schema/read"), ""),
        (complete("vmid", "10"), "read allowed complete GET /cluster/resources -"),
        (complete("kind", "c"), ""),
        (("tools/list", json!({})), ""),
        (("prompts/list", json!({})), ""),
    ];
    let mut client = place.client();
    for ((method, params), _) in &calls {
        client.request(method, params.clone());
    }
    drop(client);
    place.stop();
    let all = place.receipts();
    let mine: Vec<_> =
        all.iter().filter(|receipt| !matches!(receipt.kind, Kind::Start | Kind::Session)).collect();
    let expected: Vec<_> = calls.iter().map(|(_, line)| *line).filter(|line| !line.is_empty()).collect();
    assert_eq!(mine.iter().map(|receipt| line(receipt)).collect::<Vec<_>>(), expected);

    let me = nix::unistd::Uid::effective().as_raw();
    for receipt in &mine {
        let who = receipt.principal.as_ref().expect("a principal");
        let named =
            (who.uid, who.role.as_ref().map(|role| role.as_str()), who.client.as_ref().map(|it| it.as_str()));
        assert_eq!(named, (Some(me), Some("reader"), Some("test")), "{receipt:?}");
        let refused = receipt.kind == Kind::Refusal;
        assert_eq!(receipt.why.is_some(), refused, "{receipt:?}");
        assert!(refused || receipt.body["bytes"].as_u64() > Some(0) && receipt.body["duration_us"].is_u64());
    }
    // What was asked, and what came of it.
    let read = mine[4];
    assert_eq!(read.body["args"], json!({ "path": config }));
    assert_eq!(read.body["status"], 200);
    assert_eq!(mine[9].body["argv"], json!(["true"]));
    assert!(mine[9].body["next"].is_string());
    let verdict = place.verdict();
    assert!(verdict.holds() && verdict.signed == verdict.size, "{verdict:?}");
}

#[test]
fn a_session_is_recorded_from_its_opening_to_its_end() {
    let mut place = Place::start(&role("reader", "profile = \"observe\""));
    let mut client = place.client();
    client.call("status", json!({}));
    client.call("status", json!({}));
    drop(client);
    let sessions = place.wait_for(2, |receipt| receipt.kind == Kind::Session);
    let [opened, closed] = &sessions[..] else { panic!("{sessions:?}") };
    assert_eq!(
        (&opened.body["event"], &opened.body["protocol"], &opened.body["pid"]),
        (&json!("opened"), &json!("2025-06-18"), &json!(std::process::id()))
    );
    assert_eq!((&closed.body["event"], &closed.body["calls"]), (&json!("closed"), &json!(2)));
    assert_eq!(opened.body["session"], closed.body["session"]);
    let versions: Vec<_> = sessions
        .iter()
        .map(|it| {
            it.principal.as_ref().and_then(|who| who.client_version.as_ref()).map(|it| it.as_str().to_owned())
        })
        .collect();
    assert_eq!(versions, [Some("1".to_owned()), Some("1".to_owned())]);

    // Who is still there when the daemon stops is closed too.
    let _client = place.client();
    place.stop();
    let events: Vec<_> = place
        .receipts()
        .iter()
        .filter(|receipt| receipt.kind == Kind::Session)
        .map(|receipt| receipt.body["event"].clone())
        .collect();
    assert_eq!(events, ["opened", "closed", "opened", "closed"]);
}

#[test]
fn a_client_without_a_handshake_is_named_by_each_of_its_calls() {
    let mut place = Place::start(&role("reader", "profile = \"observe\""));
    let mut client = Client::raw(UnixStream::connect(place.socket()).unwrap());
    for name in ["first", "second"] {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": name, "version": "7" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({ "name": "read", "arguments": { "path": "/version" }, "_meta": meta });
        let answer = client.request("tools/call", params);
        assert!(answer["result"]["structuredContent"]["data"].is_object(), "{answer}");
    }
    drop(client);
    place.stop();
    let of = |kind| {
        let named = |receipt: &provost::ledger::Receipt| {
            let client = receipt.principal.as_ref().and_then(|who| who.client.as_ref());
            client.map_or("-".into(), |client| client.as_str().to_owned())
        };
        let receipts = place.receipts();
        receipts.iter().filter(|it| it.kind == kind).map(named).collect::<Vec<_>>()
    };
    assert_eq!(of(Kind::Read), ["first", "second"]);
    assert_eq!(of(Kind::Session)[0], "first");
}

/// A task's result is a read like any other, whoever fetches it; one that is cancelled has a receipt too.
#[test]
fn a_call_that_is_cancelled_leaves_its_receipt() {
    let mut place = Place::start(&role("reader", "profile = \"observe\""));
    let mut client = place.client();
    for _ in 0..50 {
        let id = client.start("read", json!({ "path": "/cluster/resources" }));
        client.cancel(id);
    }
    client.call("status", json!({}));
    drop(client);
    place.stop();
    let reads = place.receipts().into_iter().filter(|it| it.tool.as_deref() == Some("read")).count();
    assert_eq!(reads, 50);
}

/// A handle that is given up, and one that is still followed when the daemon stops.
#[test]
fn a_task_that_nobody_follows_to_its_end_leaves_its_receipt() {
    let site = Site::paced();
    let upid = site.post("/nodes/pve1/vzdump", &[("vmid", "104"), ("storage", "backup")]);
    let mut client = Client::raw(UnixStream::connect(site.socket()).unwrap());
    let mut ask = |method: &str, mut params: Value| {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "tasks", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": { "extensions": { "io.modelcontextprotocol/tasks": {} } },
        });
        client.request(method, params)
    };
    let read = json!({ "name": "read", "arguments": { "path": upid, "wait": 300 } });
    let first = ask("tools/call", read.clone())["result"]["taskId"].clone();
    let second = ask("tools/call", read)["result"]["taskId"].clone();
    assert!(first.is_string() && second.is_string());
    ask("tasks/cancel", json!({ "taskId": first }));
    let given_up = || {
        let all = crate::place::receipts(&site.dir.path().join("ledger"));
        all.into_iter().filter(|it| it.kind == Kind::Read && it.why.is_some()).collect::<Vec<_>>()
    };
    crate::common::eventually("the first is on record", || given_up().len() == 1);
    assert_eq!(given_up()[0].endpoint.as_deref(), Some("GET /nodes/{node}/tasks/{upid}/status"));
    let stopping = std::time::Instant::now();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(site.pid() as i32), nix::sys::signal::Signal::SIGTERM)
        .unwrap();
    crate::common::eventually("the second is on record too", || given_up().len() == 2);
    assert!(stopping.elapsed().as_secs() < 4);
}
