//! No secret gets into a receipt, by whatever way one could come.

use serde_json::{Value, json};

use super::body::*;
use super::*;
use crate::catalog::{Catalog, Format, Parameter, Release, Schema};
use crate::config::ArgvRecord;
use crate::ledger::log::{Stamp, line};
use crate::secret;

const MARK: &str = "hunter2";

fn line_of(entry: &Entry) -> String {
    let mut bytes = Vec::new();
    let stamp = Stamp { mono_us: 1, start: "0011223344556677", time: &jiff::Timestamp::UNIX_EPOCH };
    line(entry, 7, &stamp, &mut bytes);
    String::from_utf8(bytes).unwrap()
}

/// Every kind of receipt that holds what a call was given, or what it answered.
fn lines(endpoint: &str, value: &Value) -> Vec<String> {
    let json = || Json::of(endpoint, value.clone());
    let bodies: Vec<Body> = vec![
        Read { args: Some(json()), bytes: 1, duration_us: 1, rows: None, status: None }.into(),
        Plan {
            args: json(),
            blast_radius: json(),
            digest: None,
            effects: json(),
            expires: "2026-01-01T00:00:00Z".into(),
            needs: json(),
            risk: "low".into(),
            sha256: String::new(),
            tier: "change".into(),
            undo: json(),
        }
        .into(),
        Intent {
            act: "apply",
            args: Some(json()),
            argv: None,
            before: Some(json()),
            from: None,
            sha256: None,
        }
        .into(),
        Outcome {
            answer: Some(json()),
            duration_us: 1,
            of: 1,
            result: body::Result::Done,
            status: None,
            upid: None,
        }
        .into(),
        Refusal { args: Some(json()), argv: None, code: "x".into(), next: None }.into(),
    ];
    bodies
        .into_iter()
        .map(|body| line_of(&Entry { endpoint: Some(endpoint.into()), ..Entry::of(body) }))
        .collect()
}

fn check(endpoint: &str, value: &Value) {
    for line in lines(endpoint, value) {
        assert!(!line.contains(MARK), "{endpoint}: {line}");
        assert!(line.contains(secret::WITHHELD), "{endpoint}: {line}");
    }
}

/// What a change could be given for a parameter, its parts included: each with a secret in it.
fn values(path: &str, parameter: &Parameter, found: &mut Vec<Value>) {
    let name = &parameter.name;
    if secret::is_secret(path, name) {
        found.extend([json!({ name: MARK }), json!({ name: [MARK, MARK] }), json!({ name: { "x": MARK } })]);
        found.push(json!([{ "field": name, "before": MARK, "after": MARK }]));
        found.push(json!({ "key": name, "value": MARK, "pending": MARK }));
        found.push(json!({ "config": { format!("{name}"): MARK }, "x": [[{ name: MARK }]] }));
    }
    parts(path, name, &parameter.schema, found);
}

fn parts(path: &str, name: &str, schema: &Schema, found: &mut Vec<Value>) {
    if let Some(Format::Properties(keys)) = &schema.format {
        for key in keys.iter().filter(|key| secret::is_secret(path, &key.parameter.name)) {
            found.push(json!({ name: format!("aa=1,{}={MARK},bb=2", key.parameter.name) }));
            found.push(json!({ name: format!("{}={MARK}", key.parameter.name) }));
        }
    }
    schema.properties.iter().for_each(|property| values(path, property, found));
    if let Some(items) = &schema.items {
        parts(path, name, items, found);
    }
}

#[test]
fn no_parameter_of_the_api_that_is_secret_gets_into_a_receipt() {
    let mut count = 0;
    for release in Release::ALL {
        for endpoint in Catalog::embedded(release).endpoints() {
            let mut found = Vec::new();
            endpoint.parameters.iter().for_each(|parameter| values(&endpoint.path, parameter, &mut found));
            parts(&endpoint.path, "returned", &endpoint.returns, &mut found);
            let name = format!("{} {}", endpoint.method, endpoint.path);
            for value in &found {
                check(&endpoint.path, value);
                check(&name, value);
            }
            count += found.len();
        }
    }
    assert!(count > 300, "{count}");
}

#[test]
fn no_secret_in_a_command_gets_into_its_receipt() {
    let commands: &[&[&str]] = &[
        &["a", "--password", MARK],
        &["a", "--password=hunter2"],
        &["a", "--token", MARK, "x"],
        &["a", "-password", MARK],
        &["mysql", "-uroot", "-phunter2"],
        &["/usr/bin/mysqldump", "-phunter2"],
        &["sudo", "mysql", "-phunter2"],
        &["env", "PGPASSWORD=hunter2", "psql"],
        &["sshpass", "-p", MARK, "ssh", "x"],
        &["curl", "-u", "ops:hunter2", "http://x"],
        &["curl", "-H", "Authorization: Bearer hunter2hunter2"],
        &["curl", "https://ops:hunter2@x/"],
        &["curl", "-d", r#"{"password":"hunter2"}"#],
        &["sh", "-c", "PGPASSWORD=hunter2 psql; mysql -phunter2 x"],
        &["sh", "-c", "mysql -u root -p'hunter2' x"],
        &["sh", "-c", "mysql --password 'hunter2 hunter2' x"],
        &["sh", "-c", "echo root:hunter2 | chpasswd"],
        &["sh", "-c", "cat <<E\n-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\nE"],
        &["pveum", "passwd", "a@pve", "--password", MARK],
        &["mount", "-o", "username=a,password=hunter2", "//x"],
    ];
    for argv in commands {
        let argv = || Argv::of(argv, ArgvRecord::Full);
        let output = || Output { bytes: 0, sha256: None };
        let intent =
            Intent { act: "exec", args: None, argv: Some(argv()), before: None, from: None, sha256: None };
        let refusal = Refusal { args: None, argv: Some(argv()), code: "x".into(), next: None };
        let exec = Exec {
            argv: argv(),
            cwd: None,
            duration_us: 1,
            env: vec!["API_TOKEN".into(), "API_TOKEN=hunter2".into()],
            exit_code: None,
            killed: false,
            mode: "change",
            of: None,
            signal: None,
            stderr: output(),
            stdin: None,
            stdout: output(),
            timed_out: false,
            user: None,
        };
        for body in [Body::from(intent), refusal.into(), exec.into()] {
            let line = line_of(&Entry::of(body));
            assert!(!line.contains(MARK) && line.contains(secret::WITHHELD), "{line}");
        }
        let details = json!({ "argv": argv(), "command": commands[0], "env": { "API_TOKEN": MARK, "PGPASSWORD": MARK } });
        check("", &details);
    }
}

#[test]
fn no_secret_in_a_message_gets_into_a_receipt() {
    for text in [
        "login failed: password=hunter2",
        "cipassword: value 'hunter2' is weak",
        "got Authorization: Basic hunter2hunter2",
        "\"apiKey\": \"hunter2\"",
        "command 'pvesm add cifs x --password hunter2' failed: exit code 2",
        "PVEAPIToken=root@pam!t1=hunter2",
        "https://ops:hunter2@x/",
    ] {
        let body = Refusal { args: None, argv: None, code: text.into(), next: Some(text.into()) };
        let entry = Entry {
            why: Some(text.into()),
            endpoint: Some(text.into()),
            plan: Some(text.into()),
            ..Entry::of(body)
        };
        let line = line_of(&entry);
        assert!(!line.contains(MARK), "{line}");
    }
}

/// The hash is the one that `provost-execd` puts into the journal, whose test has the same number, and that anybody can
/// make.
#[test]
fn a_command_s_hash_is_that_of_its_arguments_each_ended_by_a_nul() {
    let Argv::Hash { count, sha256 } = Argv::of(&["df", "-h"], ArgvRecord::Hash) else { panic!("no hash") };
    // printf '%s\0' df -h | sha256sum
    assert_eq!(sha256, "5b3cc73ced342deb51009cbedb796cc62038c23673cd8b065d3beebaf2a0019c");
    assert_eq!(count, 2);
}
