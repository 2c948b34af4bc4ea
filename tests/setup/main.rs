//! `provost setup`, `provost token rotate`, `provost uninstall` against a simulated cluster whose access rules are as strict
//! as PVE's: with the token that setup made, the daemon can do what its profile says, and PVE refuses the rest.

mod cluster;
#[path = "../common/mod.rs"]
mod common;
mod credential;
mod purge;
mod site;
mod stops;

use std::fs;
use std::os::unix::fs::MetadataExt;

use provost::catalog::Release;
use serde_json::{Value, json};
use site::{Site, changed};

const CONFIG: &str = "/nodes/pve1/lxc/101/config";

#[test]
fn with_the_token_of_its_profile_every_tool_works_and_pve_itself_refuses_the_rest() {
    // Method, path, form; and the first profile that has it.
    let calls = [
        ("GET", "/nodes/pve1/lxc/101/config", "", 0),
        ("GET", "/cluster/log", "", 0),
        ("GET", "/access/acl", "", 0),
        ("POST", "/nodes/pve1/lxc/101/snapshot", "snapname=s1", 1),
        ("PUT", CONFIG, "memory=640", 2),
        ("PUT", CONFIG, "net0=name%3Deth0%2Cbridge%3Dvmbr0", 2),
        ("POST", "/pools", "poolid=of-test", 2),
        ("PUT", "/access/acl", "path=/&roles=Administrator&users=agent@pve", 3),
        ("POST", "/access/users", "userid=new@pve", 3),
    ];
    for (rank, profile) in ["observe", "operate", "provision", "full"].into_iter().enumerate() {
        let mut site = Site::new();
        site.set_up(&["--profile", profile]);
        for (method, path, form, least) in calls {
            let status = site.status("pve-token", method, path, form);
            assert_eq!(status != 403, rank >= least, "{profile}: {method} {path} {form}: {status}");
        }
        site.start();
        let mut client = site.client();
        let resources =
            client.call("read", json!({ "path": "/cluster/resources", "args": { "type": "vm" } }));
        assert!(
            resources["structuredContent"]["total"].as_u64().is_some_and(|total| total > 3),
            "{resources}"
        );
        for (tool, arguments) in [
            ("status", json!({})),
            ("find", json!({ "query": "memory of a container" })),
            ("diagnose", json!({ "subject": "lxc/101" })),
            ("diagnose", json!({ "subject": "cluster" })),
            ("audit", json!({})),
        ] {
            let answer = client.call(tool, arguments);
            assert_ne!(answer["isError"], true, "{profile} {tool}: {answer}");
            assert!(!answer.to_string().contains("Permission check failed"), "{profile} {tool}: {answer}");
        }
        let tried = [
            changed(&mut client, "POST", "/nodes/pve1/lxc/101/status/start", json!({})),
            changed(&mut client, "PUT", CONFIG, json!({ "memory": 704 })),
        ];
        for (index, tried) in tried.into_iter().enumerate() {
            assert_eq!(tried.is_ok(), rank > index, "{profile} {index}: {tried:?}");
        }
    }
}

#[test]
fn a_role_with_a_token_of_its_own_is_held_to_its_guests_by_pve() {
    let mut site = Site::new();
    site.set_up(&["--role", "dev", "--guests", "101", "--own-token"]);
    let file = "pve-token-dev";
    for (path, allowed) in [("/nodes/pve1/lxc/101/config", true), ("/nodes/pve1/qemu/104/config", false)] {
        let status = site.status(file, "PUT", path, "memory=640");
        assert_eq!(status != 403, allowed, "{path}: {status}");
    }
    assert_eq!(site.status(file, "POST", "/pools", "poolid=of-test"), 403);
    assert_eq!(site.status("pve-token", "PUT", CONFIG, "memory=640"), 403, "the shared token only looks");
    site.start();
    let mut client = site.client();
    changed(&mut client, "PUT", CONFIG, json!({ "memory": 704 })).unwrap();
}

#[test]
fn the_second_time_there_is_nothing_to_do() {
    let site = Site::new();
    site.set_up(&["--profile", "operate"]);
    let (access, config) = (site.access(), fs::read_to_string(site.path("provost.toml")).unwrap());
    assert!(config.starts_with("# kept\n"), "{config}");
    site.stand_in("");
    for words in [&[][..], &["--profile", "operate"]] {
        let ran = site.setup(words);
        assert!(ran.code == Some(0) && ran.out.contains("nothing to do"), "{}{}", ran.out, ran.err);
    }
    assert_eq!((site.changes(), site.access()), (vec![], access));
    assert_eq!(fs::read_to_string(site.path("provost.toml")).unwrap(), config);
}

#[test]
fn a_dry_run_says_each_call_and_makes_none() {
    let site = Site::new();
    let before = site.access();
    let words = ["setup", "--dry-run", "--profile", "provision", "--member", "user:alice"];
    let ran = site.calling(&words);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for said in [
        "pveum role add Provost-pve1.provision",
        "pveum user add provost-pve1@pve",
        "pveum user token add",
        "+profile",
    ] {
        assert!(ran.out.contains(said), "{said}: {}", ran.out);
    }
    assert_eq!((site.changes(), site.access()), (vec![], before));
    assert!(!site.path("pve-token").exists());
    let plan: Value = serde_json::from_str(&site.calling(&[&words[..], &["--json"]].concat()).out).unwrap();
    assert_eq!(plan["pveum"].as_array().unwrap().len(), ran.out.matches("  pveum ").count(), "{plan}");
    // Without a terminal nobody says yes.
    let ran = site.calling(&["setup", "--profile", "observe", "--member", "user:alice"]);
    assert!(ran.code == Some(2) && ran.err.contains("--yes"), "{}", ran.err);
    assert!(site.changes().is_empty());
}

#[test]
fn a_secret_is_in_its_file_and_nowhere_else() {
    let mut site = Site::new();
    site.set_up(&["--profile", "operate"]);
    let mut secrets = site.secrets();
    site.start();
    site.client().call("status", json!({}));
    site.provost(&["doctor"]);
    assert_eq!(site.calling(&["token", "rotate", "--yes"]).code, Some(0));
    secrets.extend(site.secrets());
    site.calling(&["setup", "--dry-run", "--json"]);
    site.provost(&["doctor", "--json"]);
    assert_eq!(secrets.len(), 2);
    let mut texts = vec![site.said.borrow().clone(), site.log()];
    for file in ["calls", "provost.toml"] {
        texts.push(fs::read_to_string(site.path(file)).unwrap());
    }
    for entry in fs::read_dir(site.path("state/ledger")).unwrap() {
        texts.push(String::from_utf8_lossy(&fs::read(entry.unwrap().path()).unwrap()).into_owned());
    }
    for secret in &secrets {
        assert!(texts.iter().all(|text| !text.contains(secret)));
    }
    let file = fs::read_to_string(site.path("pve-token")).unwrap();
    assert!(file.contains(&secrets[1]) && file.starts_with("provost-pve1@pve!provost-2="));
    assert_eq!(fs::metadata(site.path("pve-token")).unwrap().mode() & 0o777, 0o400);
}

#[test]
fn a_rotation_under_load_loses_no_call() {
    let mut site = Site::new();
    site.set_up(&["--profile", "observe"]);
    site.start();
    let (done, socket) =
        (std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)), site.path("mcp.sock"));
    let ended = done.clone();
    let load = std::thread::spawn(move || {
        let (mut client, mut calls) = (common::Client::connect(&socket), 0);
        while !ended.load(std::sync::atomic::Ordering::Relaxed) {
            let answer = client.call("read", json!({ "path": "/nodes/pve1/lxc/101/config" }));
            assert_ne!(answer["isError"], true, "after {calls}: {answer}");
            calls += 1;
        }
        calls
    });
    for id in ["provost-2", "provost-3"] {
        let ran = site.calling(&["token", "rotate", "--yes"]);
        assert!(ran.code == Some(0) && ran.out.contains("is in use"), "{}{}", ran.out, ran.err);
        assert_eq!(site.tokens(), [id]);
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(load.join().unwrap() > 10);
}

#[test]
fn without_the_daemon_a_rotation_keeps_both_tokens_unless_it_is_told_otherwise() {
    let site = Site::new();
    site.set_up(&["--profile", "observe"]);
    let ran = site.calling(&["token", "rotate", "--yes", "--offline", "--expire", "30"]);
    assert_eq!((ran.code, site.tokens()), (Some(0), vec!["provost-2".to_owned()]), "{}", ran.err);
    let expires =
        site.sim.with_estate(|estate| estate.access().users["provost-pve1@pve"].tokens["provost-2"].expire);
    assert!(expires > 1_700_000_000, "{expires}");
}

#[test]
fn what_differs_is_shown_and_mended_and_what_is_not_ours_is_left_alone() {
    let site = Site::new();
    site.set_up(&["--profile", "operate"]);
    let access = site.access();
    site.sim.with_estate(|estate| {
        let access = estate.access_mut();
        let role = access.roles.get_mut("Provost-pve1.operate").unwrap();
        role.remove("VM.PowerMgmt");
        role.insert("VM.Allocate".to_owned());
        access.users.get_mut("provost-pve1@pve").unwrap().tokens.get_mut("provost").unwrap().privsep = false;
        access.grant(
            "/vms",
            provost::sim::estate::access::Holder::Token("provost-pve1@pve!provost".into()),
            "Administrator",
            true,
        );
    });
    let ran = site.setup(&[]);
    for said in ["+VM.PowerMgmt -VM.Allocate", "--privsep 1", "acl delete /vms"] {
        assert!(ran.out.contains(said), "{said}: {}", ran.out);
    }
    assert_eq!(site.access(), access);
    // Another's user, another's token.
    let site = Site::new();
    site.sim.with_estate(|estate| {
        let other = provost::sim::estate::access::User {
            enable: true,
            comment: Some("by hand".into()),
            ..Default::default()
        };
        estate.access_mut().users.insert("provost-pve1@pve".into(), other);
    });
    let ran = site.setup(&["--member", "user:alice"]);
    assert!(ran.code == Some(2) && ran.err.contains("--adopt") && ran.err.contains("by hand"), "{}", ran.err);
    fs::copy(&site.sim.token, site.path("pve-token")).unwrap();
    let ran = site.setup(&["--member", "user:alice", "--user", "other@pve"]);
    assert!(ran.code == Some(2) && ran.err.contains("root@pam!t1"), "{}", ran.err);
    assert!(site.changes().is_empty());
    let ran = site.setup(&["--member", "user:alice", "--adopt"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(fs::read_to_string(site.path("pve-token")).unwrap().starts_with("provost-pve1@pve!provost="));
}

#[test]
fn a_secret_that_pve_does_not_know_is_made_anew() {
    let site = Site::new();
    site.set_up(&["--profile", "observe"]);
    fs::remove_file(site.path("pve-token")).unwrap();
    fs::write(site.path("pve-token"), "provost-pve1@pve!provost=00000000-0000-4000-8000-000000000000\n")
        .unwrap();
    assert_eq!(site.setup(&[]).code, Some(0));
    assert_eq!(site.status("pve-token", "GET", "/version", ""), 200);
    assert_eq!(site.tokens(), ["provost-2"]);
}

#[test]
fn an_uninstall_leaves_pve_as_it_was() {
    let site = Site::new();
    let before = site.access();
    site.set_up(&["--guests", "101,pool:dev", "--own-token"]);
    assert_ne!(site.access(), before);
    let shown = site.calling(&["uninstall", "--dry-run"]);
    assert!(
        shown.code == Some(0) && shown.out.contains("pveum user delete provost-pve1@pve"),
        "{}",
        shown.out
    );
    let ran = site.calling(&["uninstall", "--yes"]);
    assert_eq!((ran.code, site.access()), (Some(0), before), "{}", ran.err);
    assert!(!site.path("pve-token").exists() && site.path("provost.toml").exists());
    let again = site.calling(&["uninstall", "--yes"]);
    assert!(again.code == Some(0) && again.out.contains("nothing to do"), "{}", again.out);
}

#[test]
fn an_earlier_release_is_given_its_own_privileges() {
    let site = Site::of(Release::V8_4);
    site.set_up(&["--profile", "operate"]);
    let role = site.sim.with_estate(|estate| estate.access().roles["Provost-pve1.operate"].clone());
    assert!(
        role.contains("VM.Monitor") && !role.iter().any(|name| name.starts_with("VM.GuestAgent.")),
        "{role:?}"
    );
    assert_ne!(site.status("pve-token", "POST", "/nodes/pve1/lxc/101/status/start", ""), 403);
}

#[test]
fn where_there_is_no_pveum_or_nobody_to_ask_it_says_what_to_do() {
    let mut site = Site::new();
    let ran = site.provost(&["setup", "--yes", "--member", "user:alice", "--pveum", "/nowhere/pveum"]);
    assert!(ran.code == Some(2) && ran.err.contains("Proxmox VE node"), "{}", ran.err);
    let ran = site.setup(&[]);
    assert!(ran.code == Some(2) && ran.err.contains("--member"), "{}", ran.err);
    site.ends();
    let ran = site.setup(&["--member", "user:alice"]);
    assert!(ran.code == Some(2) && ran.err.contains("pveum role list"), "{}", ran.err);
}

/// The state of a check.
fn state(checks: &Value, name: &str) -> String {
    let of = |check: &&Value| check["check"] == name;
    let found: Vec<&str> =
        checks.as_array().unwrap().iter().filter(of).map(|check| check["state"].as_str().unwrap()).collect();
    ["bad", "look", "good", "skipped"]
        .into_iter()
        .find(|state| found.contains(state))
        .unwrap_or("none")
        .to_owned()
}

fn doctor(site: &Site) -> (Option<i32>, Value) {
    let ran = site.provost(&["doctor", "--json"]);
    (
        ran.code,
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err)),
    )
}

#[test]
fn the_doctor_finds_a_node_that_was_set_up_well_and_names_what_is_wrong_with_any_other() {
    let mut site = Site::new();
    site.set_up(&["--profile", "operate"]);
    site.start();
    let (code, checks) = doctor(&site);
    for name in [
        "configuration",
        "directory",
        "token",
        "token works",
        "rights",
        "certificate",
        "pveproxy",
        "pvedaemon",
        "socket",
        "operators",
        "pve-docs",
        "daemon",
        "halt",
        "host",
    ] {
        assert_eq!(state(&checks, name), "good", "{name}: {checks:#}");
    }
    // Which walls a kernel has is not this test's to say.
    let bad = checks
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["state"] == "bad" && check["check"] != "sandbox");
    assert_eq!(bad.count(), 0, "{checks:#}");
    assert!(code == Some(0) || state(&checks, "sandbox") == "bad", "{checks:#}");
    // Rights that are too few, and too many.
    site.sim.with_estate(|estate| {
        let role = estate.access_mut().roles.get_mut("Provost-pve1.operate").unwrap();
        role.remove("VM.PowerMgmt");
        role.insert("VM.Allocate".to_owned());
    });
    let (code, checks) = doctor(&site);
    let text = checks.to_string();
    assert!(
        code == Some(1) && text.contains("lacks VM.PowerMgmt on /") && text.contains("has VM.Allocate on /"),
        "{text}"
    );
    assert_eq!(site.setup(&[]).code, Some(0));
    assert_eq!(state(&doctor(&site).1, "rights"), "good");
    // A configuration that has become wrong: where, and that the one before it holds.
    let file = site.path("provost.toml");
    let right = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{right}\n[exec]\nenabeld = true\n")).unwrap();
    site.client().call("status", json!({}));
    let (_, checks) = doctor(&site);
    let text = checks.to_string();
    assert_eq!(state(&checks, "configuration"), "bad", "{text}");
    assert!(text.contains("enabeld") && text.contains("\\\"enabled\\\"") && text.contains("line "), "{text}");
    fs::write(&file, &right).unwrap();
    // A token that everybody may read.
    let token = site.path("pve-token");
    fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o444)).unwrap();
    assert_eq!(state(&doctor(&site).1, "token"), "bad");
    fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
    // A certificate that is another's, and none.
    let certificate = site.sim.certificate.clone();
    let pem = fs::read(&certificate).unwrap();
    let other = rcgen::generate_simple_self_signed(["other".to_owned()]).unwrap();
    fs::write(&certificate, other.cert.pem()).unwrap();
    assert_eq!(state(&doctor(&site).1, "pveproxy"), "bad");
    fs::remove_file(&certificate).unwrap();
    assert_eq!(state(&doctor(&site).1, "certificate"), "bad");
    fs::write(&certificate, pem).unwrap();
    // PVE stopped; then the daemon as well.
    site.ends();
    let (_, checks) = doctor(&site);
    assert_eq!(
        (state(&checks, "pveproxy"), state(&checks, "pvedaemon")),
        ("bad".into(), "bad".into()),
        "{checks:#}"
    );
    assert_eq!(state(&checks, "token works"), "bad");
    site.stop();
    let (code, checks) = doctor(&site);
    assert_eq!(
        (code, state(&checks, "daemon"), state(&checks, "socket")),
        (Some(1), "bad".into(), "bad".into())
    );
    for check in checks.as_array().unwrap().iter().filter(|check| check["state"] == "bad") {
        assert!(check["mend"].is_string(), "{check}");
    }
}

#[test]
fn without_a_verb_it_says_what_to_do_next() {
    let site = Site::new();
    assert!(site.provost(&[]).out.contains("provost setup"));
    site.set_up(&["--profile", "observe"]);
    let said = site.provost(&[]).out;
    assert!(said.contains("This node is set up") && said.contains("client-config"), "{said}");
    fs::write(site.path("provost.toml"), "x").unwrap();
    assert!(site.provost(&[]).out.contains("doctor"));
}
