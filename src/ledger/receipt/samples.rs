//! One receipt of each kind with every field filled.

use serde_json::json;

use super::body::*;
use super::*;
use crate::config::ArgvRecord;

const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

pub fn all() -> Vec<Entry> {
    let json = |value| Json::of("/nodes/{node}/qemu/{vmid}/config", value);
    let argv = || Argv::of(&["/bin/sh", "-c", "echo \"ü\u{1f}\u{7f}\u{1f600}\u{fb33}\n\""], ArgvRecord::Full);
    let output = || Output { bytes: 12, sha256: Some(HASH.into()) };
    let bodies: Vec<Body> = vec![
        Start {
            argv: "full",
            boot: "b2b0f8ee".into(),
            first: 0,
            open_intents: vec![3, 4],
            origin: "provost/pve1".into(),
            pid: 4,
            root: "AAAA".into(),
            size: 5,
            stopped_cleanly: true,
            version: "0.1.0",
        }
        .into(),
        Session {
            calls: Some(3),
            event: SessionEvent::Closed,
            pid: Some(3),
            protocol: Some("2025-06-18".into()),
            session: 9,
        }
        .into(),
        Read {
            args: Some(json(json!({ "b": 1.5, "a": [1e21, 9007199254740993u64], "password": "x" }))),
            bytes: 3,
            duration_us: 4,
            rows: Some(2),
            status: Some(200),
        }
        .into(),
        Plan {
            args: json(json!({ "memory": 4096 })),
            blast_radius: json(json!([])),
            effects: json(json!([{ "field": "memory", "before": 2048, "after": 4096 }])),
            expires: "2026-01-01T00:00:00Z".into(),
            digest: Some("d".into()),
            needs: json(json!(null)),
            risk: "low".into(),
            sha256: HASH.into(),
            tier: "change".into(),
            undo: json(json!({ "captured_config": true })),
        }
        .into(),
        Approval { how: "terminal", of: 3, sha256: HASH.into() }.into(),
        Intent {
            act: "apply",
            args: Some(json(json!({}))),
            argv: Some(argv()),
            before: Some(json(json!({ "€": 1, "\r": 2, "\u{1f600}": 3, "\u{fb33}": 4 }))),
            from: Some(3),
            sha256: Some(HASH.into()),
        }
        .into(),
        Outcome {
            answer: Some(json(json!("ok"))),
            duration_us: 5,
            of: 5,
            result: body::Result::Done,
            status: Some(200),
            upid: Some("UPID:pve1:00002660:00075A57:6B012EB1:resize:110:root@pam!t1:".into()),
        }
        .into(),
        Exec {
            argv: argv(),
            cwd: Some("/".into()),
            duration_us: 7,
            env: vec!["LANG".into()],
            exit_code: Some(-1),
            killed: true,
            mode: "change",
            of: Some(5),
            signal: Some(9),
            stderr: output(),
            stdin: Some(output()),
            stdout: Output { bytes: 1, sha256: None },
            timed_out: false,
            user: Some("root".into()),
        }
        .into(),
        File {
            act: "put",
            bytes: 1,
            duration_us: 7,
            from: Some(1),
            mode: Some("0644".into()),
            of: Some(5),
            owner: Some("root:root".into()),
            path: "/etc/motd".into(),
            replaced_sha256: Some(HASH.into()),
            sha256: Some(HASH.into()),
            size: Some(1),
        }
        .into(),
        Refusal {
            args: Some(json(json!({ "force": 1 }))),
            argv: Some(Argv::of(&["a"], ArgvRecord::Hash)),
            code: "not_your_guest".into(),
            next: Some("ask the operator".into()),
        }
        .into(),
        Halt { halted: true }.into(),
        Repair {
            bytes: Some(1),
            count: Some(2),
            first: Some(3),
            last: Some(4),
            sha256: Some(HASH.into()),
            what: RepairOf::TornLine,
        }
        .into(),
        Token {
            acts_as: "role:operator".into(),
            event: TokenEvent::Issued,
            expires: "1970-01-01T00:15:00Z".into(),
            refresh_until: "1970-01-01T08:00:00Z".into(),
            token: "00000000000000ff".into(),
        }
        .into(),
    ];
    bodies.into_iter().map(whole).collect()
}

fn whole(body: Body) -> Entry {
    Entry {
        principal: Some(Who {
            cid: Some(3),
            client: Some("inspector".into()),
            client_version: Some("1.0".into()),
            issuer: Some(0),
            role: Some("operator".into()),
            tainted: true,
            token: Some("00000000000000ff".into()),
            uid: Some(1000),
            user: Some("alice".into()),
            vmid: Some(120),
        }),
        tool: Some("apply"),
        guest: Some(101),
        endpoint: Some("PUT /nodes/{node}/qemu/{vmid}/config".into()),
        decision: Some(Decision::Allowed),
        why: Some("the role \"operator\" may".into()),
        plan: Some("0123456789abcdef".into()),
        body,
    }
}
