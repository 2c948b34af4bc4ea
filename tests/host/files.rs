//! Files of the node: within the listed roots, and never what is secret wherever it lies.

use serde_json::{Value, json};

use crate::node::{Node, apply, asked, call, kind};

/// Asks for it, has it approved, and has it done.
fn done(
    node: &Node,
    client: &mut crate::common::Client,
    tool: &str,
    arguments: Value,
) -> Result<Value, Value> {
    let mut arguments = arguments;
    arguments["guest"] = "host".into();
    let waits = call(client, tool, arguments)?;
    let id = waits["plan_id"].as_str().expect("a plan_id");
    node.approve(id);
    apply(client, id)
}

#[test]
fn a_file_is_read_replaced_and_given_back_and_each_takes_a_yes() {
    let node = Node::on();
    let mut client = node.client();
    let motd = "/srv/host/motd";
    let id = asked(&mut client, "file_get", json!({ "path": motd }));
    assert_eq!(kind(apply(&mut client, &id)), "needs_approval");
    node.approve(&id);
    let got = apply(&mut client, &id).expect("it is read");
    assert_eq!((&got["content"], &got["size"]), (&json!("hello\n"), &json!(6)), "{got}");
    assert_eq!(kind(apply(&mut client, &id)), "already_applied");
    node.run("chown alice:www-data /srv/host/motd; chmod 640 /srv/host/motd");
    let id =
        asked(&mut client, "file_put", json!({ "path": motd, "content": "new\n", "overwrite": "always" }));
    // To give a file to another account takes what the operator adds.
    let denied = json!({ "path": motd, "content": "new\n", "overwrite": "always" });
    assert_eq!(kind(done(&node, &mut client, "file_put", denied)), "capabilities");
    assert_eq!(node.run("cat /srv/host/motd; ls -A /srv/host"), "hello\nmotd\n");
    node.run(
        "mkdir -p /etc/systemd/system/provost-execd.service.d
         printf '[Service]\\nCapabilityBoundingSet=CAP_CHOWN CAP_FOWNER CAP_FSETID\\n' > /etc/systemd/system/provost-execd.service.d/x.conf
         systemctl daemon-reload; systemctl restart provost-execd.service",
    );
    let said = node.provost(crate::node::BOB, &format!("approve {id}"));
    assert!(said.contains("\"new\"") && said.contains(motd) && said.contains("always"), "{said}");
    assert_eq!(kind(apply(&mut client, &id)), "needs_approval");
    node.approve(&id);
    let put = apply(&mut client, &id).expect("it is replaced");
    let state = || node.run("stat -c '%U:%G %a' /srv/host/motd; cat /srv/host/motd; ls -A /srv/host");
    assert_eq!(state(), "alice:www-data 640\nnew\nmotd\n", "{put}");
    // The way back is a change like any other.
    let undo = json!({ "restore": put["receipt"] });
    let elsewhere = json!({ "guest": 101, "restore": put["receipt"] });
    assert_eq!(kind(call(&mut client, "file_put", elsewhere)), "no_way_back");
    done(&node, &mut client, "file_put", undo).expect("it is given back");
    assert_eq!(state(), "alice:www-data 640\nhello\nmotd\n");
    // A new one, never over another, with its owner and mode.
    let new = json!({ "path": "/srv/host/new", "content": "x", "mode": "0600", "owner": "alice" });
    done(&node, &mut client, "file_put", new.clone()).expect("it is made");
    assert_eq!(node.run("stat -c '%U %a' /srv/host/new"), "alice 600\n");
    assert_eq!(kind(done(&node, &mut client, "file_put", new)), "exists");
    let stale = json!({ "path": motd, "content": "x", "if_sha256": "0".repeat(64) });
    assert_eq!(kind(done(&node, &mut client, "file_put", stale)), "changed");
    let listed = done(&node, &mut client, "file_get", json!({ "path": "/srv/host" })).expect("a listing");
    assert_eq!(listed["entries"].as_array().map(Vec::len), Some(2), "{listed}");
    // What was put there is in no receipt.
    let kept = node.run("cat /var/lib/provost/ledger/entries-*");
    assert!(kept.contains("file_put host") && !kept.contains("hello"), "{kept}");
}

#[test]
fn no_path_leads_out_of_the_roots_or_to_what_is_secret() {
    let node = Node::on();
    let mut client = node.client();
    node.run(
        "mkdir -p /etc/pve/priv /etc/pve/lxc /srv/host/sub /srv/hostile
         echo secret > /etc/pve/priv/authkey.key; echo secret > /etc/pve/pve-www.key; echo conf > /etc/pve/lxc/101.conf
         echo out > /srv/hostile/out
         cd /srv/host
         ln -s /etc/shadow absolute; ln -s ../../etc/shadow relative; ln -s motd inside; ln -s /srv/hostile dir; ln -s sub/../motd dots
         ln /etc/shadow hard; mkfifo fifo; mknod null c 1 3 2>/dev/null; ln -s /proc/self/environ proc
         ln -s priv/authkey.key /etc/pve/link; ln -s lxc/101.conf /etc/pve/conf; mkdir /srv/host/.ssh; echo secret > /srv/host/.ssh/x",
    );
    // Said before anybody is asked.
    for (path, refused) in [
        ("/etc/hostname", "not_listed"),
        ("/srv/hostile/out", "not_listed"),
        ("/etc/pve/priv/authkey.key", "closed"),
        ("/etc/pve/priv", "closed"),
        ("/etc/pve/pve-www.key", "closed"),
        ("/srv/host/.ssh/x", "closed"),
        ("srv/host/motd", "arguments"),
    ] {
        for (tool, more) in
            [("file_get", json!({})), ("file_put", json!({ "content": "x", "overwrite": "always" }))]
        {
            let mut arguments = json!({ "guest": "host", "path": path });
            arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            assert_eq!(kind(call(&mut client, tool, arguments)), refused, "{tool} {path}");
        }
    }
    // Said where it really leads.
    for (path, refused) in [
        ("/srv/host/absolute", "outside"),
        ("/srv/host/relative", "outside"),
        ("/srv/host/../../etc/hostname", "outside"),
        ("/srv/host/dir/out", "outside"),
        ("/srv/host/proc", "outside"),
        ("/srv/host/hard", "closed"),
        ("/srv/host/fifo", "not_a_file"),
        ("/etc/pve/link", "closed"),
        ("/etc/pve/lxc/../priv/authkey.key", "closed"),
        ("/srv/host/missing", "not_found"),
    ] {
        assert_eq!(kind(done(&node, &mut client, "file_get", json!({ "path": path }))), refused, "{path}");
    }
    for (path, refused) in [
        ("/srv/host/absolute", "outside"),
        ("/srv/host/relative", "outside"),
        ("/srv/host/dir/out", "outside"),
        ("/srv/host/../x", "outside"),
        ("/srv/host/hard", "closed"),
        ("/etc/pve/link", "closed"),
        ("/etc/pve/lxc/../priv/new", "closed"),
        ("/srv/host/fifo", "not_a_file"),
    ] {
        let put = json!({ "path": path, "content": "x", "overwrite": "always" });
        assert_eq!(kind(done(&node, &mut client, "file_put", put)), refused, "{path}");
    }
    for (path, content) in [
        ("/srv/host/inside", "hello\n"),
        ("/srv/host/dots", "hello\n"),
        ("/etc/pve/conf", "conf\n"),
        ("/etc/pve/lxc/101.conf", "conf\n"),
    ] {
        let got = done(&node, &mut client, "file_get", json!({ "path": path })).expect(path);
        assert_eq!(got["content"], content, "{path}");
    }
    assert_eq!(
        node.run("cat /srv/hostile/out /etc/pve/priv/authkey.key; ls /etc/pve/priv"),
        "out\nsecret\nauthkey.key\n"
    );
}

#[test]
fn a_directory_that_is_swapped_for_a_link_all_the_time_leads_nowhere_else() {
    let node = Node::on();
    let mut client = node.client();
    node.run(
        "mkdir -p /srv/host/real /srv/hostile; echo in > /srv/host/real/file; echo out > /srv/hostile/file
         ln -s /srv/hostile /srv/host/link
         cat > /root/race.sh <<'END'
cd /srv/host
while :; do mv -T real aside; mv -T link real; mv -T real link; mv -T aside real; done
END
         systemd-run --quiet --unit race /bin/bash /root/race.sh",
    );
    let mut seen = Vec::new();
    for round in 0..12 {
        match round % 2 {
            0 => match done(&node, &mut client, "file_get", json!({ "path": "/srv/host/real/file" })) {
                Ok(got) => {
                    let content = got["content"].as_str().unwrap().to_owned();
                    assert!(content == "in\n" || content.starts_with("new"), "{got}");
                    seen.push("read".to_owned());
                }
                Err(error) => seen.push(error["kind"].as_str().unwrap().to_owned()),
            },
            _ => {
                let put = json!({ "path": "/srv/host/real/file", "content": format!("new{round}"), "overwrite": "always" });
                match done(&node, &mut client, "file_put", put) {
                    Ok(_) => seen.push("put".to_owned()),
                    Err(error) => seen.push(error["kind"].as_str().unwrap().to_owned()),
                }
            }
        }
    }
    node.run("systemctl stop race");
    assert_eq!(node.run("cat /srv/hostile/file; ls -A /srv/hostile"), "out\nfile\n", "{seen:?}");
    let known =
        ["read", "put", "outside", "not_found", "changed", "not_a_directory", "symlinks", "busy", "closed"];
    assert!(seen.iter().all(|kind| known.contains(&kind.as_str())), "{seen:?}");
}
