//! Nothing is done on the node without the switch, the role and a person, each of them by itself.

use serde_json::{Value, json};

use crate::common::Client;
use crate::node::{ALICE, BOB, Node, ON, apply, asked, call, kind, role};

fn uptime() -> Value {
    json!({ "guest": "host", "argv": ["/usr/bin/touch", "/root/done"] })
}

fn is_done(node: &Node) -> bool {
    node.guest.path("/root/done").exists()
}

#[test]
fn without_the_switch_or_the_role_it_is_not_even_asked_for() {
    let node = Node::on();
    let full = role("profile = 'full'");
    let enabled = "[exec]\nenabled = true\n";
    for (config, refused) in [
        (full.clone(), "host_off"),
        (format!("{enabled}{full}"), "host_off"),
        (format!("{}{full}", ON.replace("enabled = true", "enabled = false")), "host_off"),
        (format!("{ON}{}", role("profile = 'provision'\nexec = 'change'")), "tier_not_allowed"),
        (format!("{ON}{}", role("profile = 'full'\nguests = ['100-200']")), "guest_out_of_scope"),
        (format!("{ON}{}", role("profile = 'full'\nexec = 'inspect'")), "lane_not_allowed"),
    ] {
        node.configure(&config);
        assert_eq!(kind(call(&mut node.client(), "exec", uptime())), refused, "{config}");
    }
    node.configure(&format!("{ON}{full}"));
    let mut bob = node.client_of(BOB, json!({}));
    assert_eq!(kind(call(&mut bob, "exec", uptime())), "no_role");
    // What it cannot be on the node is said at once.
    let mut client = node.client();
    for (more, says) in [
        (json!({ "mode": "inspect" }), "no_inspect_lane"),
        (json!({ "argv": ["touch", "/root/done"] }), "arguments"),
        (json!({ "env": { "LD_PRELOAD": "/x" } }), "arguments"),
    ] {
        let mut arguments = uptime();
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(kind(call(&mut client, "exec", arguments)), says, "{more}");
    }
    assert_eq!(
        kind(call(&mut client, "exec", json!({ "guest": "host", "script": "touch /root/done" }))),
        "arguments"
    );
    assert!(!is_done(&node));
}

#[test]
fn each_call_takes_a_person_of_its_own_and_is_done_once_and_only_while_nothing_is_halted() {
    let node = Node::on();
    let mut client = node.client();
    let id = asked(&mut client, "exec", uptime());
    assert_eq!(kind(apply(&mut client, &id)), "needs_approval");
    // Nobody approves what they asked for themselves, and only who decides does.
    let said = node.provost(ALICE, &format!("approve {id} --yes"));
    assert!(said.contains("yourself"), "{said}");
    assert_eq!(kind(apply(&mut client, &id)), "needs_approval");
    node.provost(BOB, &format!("deny {id}"));
    assert_eq!(kind(apply(&mut client, &id)), "denied_by_person");

    let id = asked(&mut client, "exec", uptime());
    let other = asked(&mut client, "exec", json!({ "argv": ["/usr/bin/touch", "/root/other"] }));
    node.approve(&id);
    assert_eq!(kind(apply(&mut client, &other)), "needs_approval", "a yes is for one thing");
    let changed = json!({ "plan_id": id, "argv": ["/usr/bin/touch", "/root/other"] });
    assert_eq!(kind(call(&mut client, "apply", changed)), "arguments");
    let mut stranger = node.client_of(BOB, json!({}));
    assert_eq!(kind(apply(&mut stranger, &id)), "not_your_plan");
    node.provost(BOB, "halt --why test");
    assert_eq!(kind(apply(&mut client, &id)), "halted");
    assert_eq!(kind(call(&mut client, "exec", uptime())), "halted");
    assert!(!is_done(&node));
    node.provost(BOB, "resume");
    assert_eq!(apply(&mut client, &id).expect("it is done")["exit_code"], 0);
    assert!(is_done(&node) && !node.guest.path("/root/other").exists());
    assert_eq!(kind(apply(&mut client, &id)), "already_applied");

    // The role is that of the moment, not that of the yes.
    let id = node.approved(&mut client, uptime());
    node.configure(&format!("{ON}{}", role("profile = 'provision'")));
    assert_eq!(kind(apply(&mut client, &id)), "tier_not_allowed");
    // A restart forgets it.
    node.configure(&format!("{ON}{}", role("profile = 'full'")));
    node.run("systemctl restart provost.service");
    assert_eq!(kind(apply(&mut node.client(), &id)), "no_such_plan");
}

#[test]
fn a_role_that_needs_no_approval_and_approves_itself_is_asked_all_the_same() {
    let node = Node::on();
    let keys = "profile = 'full'\napproval = []\nself_approval = true";
    node.configure(&format!("{ON}{}", role(keys).replace("user:bob", "user:alice")));
    let mut client = node.client_of(ALICE, json!({ "elicitation": {} }));
    let id = asked(&mut client, "exec", uptime());
    let (question, refused) = answered(&mut client, &id, json!({ "action": "decline" }));
    assert_eq!(refused["error"]["kind"], "denied_by_person", "{refused}");
    let text = question["message"].as_str().unwrap();
    assert!(text.contains("ON THE NODE ITSELF") && text.contains("\"/root/done\""), "{text}");
    assert!(!is_done(&node));
    let id = asked(&mut client, "exec", uptime());
    let yes = json!({ "action": "accept", "content": { "approve": true } });
    let (_, done) = answered(&mut client, &id, yes);
    assert_eq!(done["host"]["exit_code"], 0, "{done}");
    assert!(is_done(&node));
    let approval = node.receipts().into_iter().rfind(|receipt| receipt.kind.name() == "approval").unwrap();
    assert_eq!(
        (approval.body["how"].as_str(), approval.endpoint.as_deref()),
        (Some("elicitation"), Some("exec host"))
    );
}

fn answered(client: &mut Client, id: &str, answer: Value) -> (Value, Value) {
    let call = client.start("apply", json!({ "plan_id": id }));
    let question = client.next().expect("a question");
    assert_eq!(question["method"], "elicitation/create", "{question}");
    client.write(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer }));
    (question["params"].clone(), client.answer(call)["result"]["structuredContent"].clone())
}

#[test]
fn provost_execd_holds_to_its_own_file_whatever_provostd_believes() {
    let node = Node::on();
    node.run(
        "cp /etc/provost/provost.toml /etc/provost/other.toml
         mkdir -p /etc/systemd/system/provost.service.d
         printf '[Service]\\nEnvironment=PROVOST_CONFIG=/etc/provost/other.toml\\n' > /etc/systemd/system/provost.service.d/x.conf
         sed -i 's/host = true/host = false/' /etc/provost/provost.toml
         systemctl daemon-reload; systemctl restart provost.service",
    );
    let mut client = node.client();
    let id = asked(&mut client, "exec", uptime());
    node.run(&format!("PROVOST_CONFIG=/etc/provost/other.toml setpriv --reuid {BOB} --regid {BOB} --init-groups provost approve {id} --yes"));
    let refused = apply(&mut client, &id).expect_err("a refusal");
    assert_eq!(refused["kind"], "host_off", "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("/etc/provost/provost.toml"), "{refused}");
    // Nor does it read a file there, or beyond its own roots.
    node.run("sed -i 's/host = false/host = true/; s#/srv/host#/srv/else#' /etc/provost/provost.toml");
    let id = asked(&mut client, "file_get", json!({ "path": "/srv/host/motd" }));
    node.run(&format!("PROVOST_CONFIG=/etc/provost/other.toml setpriv --reuid {BOB} --regid {BOB} --init-groups provost approve {id} --yes"));
    assert_eq!(kind(apply(&mut client, &id)), "not_listed");
    assert!(!is_done(&node));
    let last =
        node.receipts().into_iter().rfind(|receipt| receipt.kind.name() == "outcome").expect("an outcome");
    assert_eq!(last.body["result"], "failed", "{last:?}");
}

#[test]
fn who_approves_sees_every_word_and_no_receipt_holds_a_secret() {
    let node = Node::on();
    let mut client = node.client();
    let argv = json!(["/usr/bin/mysql", "--password", "hunter2", "a\u{202e}b"]);
    let id = asked(&mut client, "exec", json!({ "argv": argv, "stdin": "also hunter3\nsecond" }));
    let said = node.provost(BOB, &format!("approve {id}"));
    for shown in ["hunter2", "also hunter3", "second", "u{202e}", "ON THE NODE ITSELF", "exec host"] {
        assert!(said.contains(shown), "{shown}: {said}");
    }
    assert!(!said.contains('\u{202e}'), "{said}");
    node.approve(&id);
    let refused = apply(&mut client, &id).expect_err("there is no such program");
    assert_eq!(refused["kind"], "no_such_program", "{refused}");
    let kept = node.run("cat /var/lib/provost/ledger/entries-*; journalctl --no-pager -o json");
    assert!(kept.contains("/usr/bin/mysql"), "{kept}");
    for secret in ["hunter2", "hunter3"] {
        assert!(!kept.contains(secret), "{secret} is on record");
    }
    let kinds: Vec<String> = node
        .receipts()
        .iter()
        .filter(|receipt| receipt.plan.as_deref() == Some(&id))
        .map(|receipt| format!("{} {}", receipt.kind.name(), receipt.endpoint.as_deref().unwrap_or("-")))
        .collect();
    assert_eq!(kinds, ["plan exec host", "approval exec host", "intent exec host", "outcome exec host"]);
    let journal = node.run("journalctl --no-pager -t provost-execd -o json PROVOST_GUEST=host");
    assert!(journal.contains("on the node itself"), "{journal}");
}
