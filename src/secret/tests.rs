use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::names::{HARMLESS, SECRET, SECRET_AT};
use super::*;
use crate::catalog::{Catalog, Format, Parameter, Release, Schema};

#[test]
fn secrets_are_withheld_by_name_wherever_they_stand() {
    let mut given = json!({
        "cipassword": "hunter2", "name": "web", "nested": [{ "Password": "a", "user": "b" }],
        "tokens": ["mcp"], "token": "abc", "password": null, "sshkeys": "ssh-ed25519 AAAA",
    });
    assert_eq!(withhold("/nodes/{node}/qemu/{vmid}/config", &mut given), 3);
    assert_eq!(
        given,
        json!({
            "cipassword": WITHHELD, "name": "web", "nested": [{ "Password": WITHHELD, "user": "b" }],
            "tokens": ["mcp"], "token": WITHHELD, "password": null, "sshkeys": "ssh-ed25519 AAAA",
        })
    );
}

#[test]
fn a_setting_that_is_named_beside_its_value_is_withheld() {
    let mut rows = json!([
        { "key": "cipassword", "value": "old", "pending": "new" },
        { "key": "memory", "value": "2048" },
    ]);
    withhold("/nodes/{node}/qemu/{vmid}/pending", &mut rows);
    assert_eq!(rows[0], json!({ "key": "cipassword", "value": WITHHELD, "pending": WITHHELD }));
    assert_eq!(rows[1]["value"], "2048");
}

#[test]
fn some_names_are_secret_only_in_their_place() {
    assert!(is_secret("/nodes/{node}/subscription", "key"));
    assert!(!is_secret("/nodes/{node}/qemu/{vmid}/pending", "key"));
    assert!(is_secret("/cluster/acme/plugins/{id}", "data"));
    assert!(!is_secret("/nodes/{node}/rrddata", "data"));
}

#[test]
fn what_a_node_s_own_endpoints_tell_of_keys_and_addresses_is_withheld() {
    for (path, mut given) in [
        ("/nodes/{node}/report", json!("==== info about subscription ====\n\nkey: pve2c-SECRET\nlevel: c\n")),
        (
            "/nodes/{node}/ceph/cfg/db",
            json!([{ "section": "mgr", "name": "mgr/restful/keys/admin", "value": "SECRET" }]),
        ),
        (
            "/cluster/notifications/endpoints/webhook",
            json!([{ "name": "a", "url": "https://a.example.org/x?auth=SECRET" }]),
        ),
        (
            "/cluster/notifications/endpoints/webhook/{name}",
            json!({ "url": "https://a.example.org:8443/SECRET" }),
        ),
        ("/nodes/{node}/qemu/{vmid}/agent/exec-status", json!({ "out-data": "1\nmysql -uroot -pSECRET\n2" })),
    ] {
        assert_eq!(withhold(path, &mut given), 1, "{path}");
        let text = given.to_string();
        assert!(!text.contains("SECRET"), "{text}");
        assert!(!path.contains("webhook") || text.contains("https://a.example.org"), "{text}");
        assert_eq!(withhold(path, &mut given), 0, "{text}");
    }
}

#[test]
fn what_looks_like_a_secret_is_cut_out_of_text() {
    for (text, left) in [
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\nend",
            "[withheld]\nend",
        ),
        ("-----BEGIN RSA PRIVATE KEY-----\ncut off", "[withheld]"),
        (
            "Authorization: PDMAPIToken=root@pam!t1:01234567-89ab-cdef-0123-456789abcdef",
            "Authorization: PDMAPIToken=root@pam!t1[withheld]",
        ),
        (
            "Authorization: PVEAPIToken=root@pam!t1=01234567-89ab-cdef-0123-456789abcdef",
            "Authorization: PVEAPIToken=root@pam!t1[withheld]",
        ),
        ("root@pam!t1=01234567-89ab-cdef-0123-456789abcdef", "root@pam!t1=[withheld]"),
        ("passwd: $6$rounds=5000$salt$abcdefghijk", "passwd: [withheld]"),
        ("root:$y$j9T$abcdefgh$ijklmnop:19000:0", "root:[withheld]:19000:0"),
        ("user: ops\npassword: hunter2\nshell: sh", "user: ops\npassword: [withheld]\nshell: sh"),
        ("http://ci:s3cret@mirror/x", "http://ci:[withheld]@mirror/x"),
        ("authorization: Bearer abc.def", "authorization: Bearer [withheld]"),
        ("curl -H 'Authorization: Token abc' http://x", "curl -H 'Authorization: Token [withheld]' http://x"),
        ("authorization=hunter2hunter2", "authorization=[withheld]"),
        ("export TOKEN=hunter2; ls", "export TOKEN=[withheld]; ls"),
        (
            "app[1]: login failed for ops, password=hunter2, host=a",
            "app[1]: login failed for ops, password=[withheld], host=a",
        ),
        ("user=ops,password=hunter2,domain=x", "user=ops,password=[withheld],domain=x"),
        ("password=hunter2,user=ops", "password=[withheld],user=ops"),
        ("volume=ceph:vm-1,keyring=AQBhunter", "volume=ceph:vm-1,keyring=[withheld]"),
        ("password=hun,ter2", "password=[withheld]"),
        ("A=1\0API_TOKEN=hunter2\0B=2", "A=1\0API_TOKEN=[withheld]\0B=2"),
        ("A=1;API_TOKEN=hunter2;B=2", "A=1;API_TOKEN=[withheld];B=2"),
        (r#"{"user":"a","apiKey":"hun\"ter2","b":1}"#, r#"{"user":"a","apiKey":"[withheld]","b":1}"#),
        (r#"say "{\"password\":\"hunter2\"}" twice"#, r#"say "{\"password\":\"[withheld]\"}" twice"#),
        ("{password: correct horse, user: a}", "{password: [withheld], user: a}"),
        ("  admin_pass: correct horse, battery", "  admin_pass: [withheld]"),
        ("[db]\npassword = correct, horse\nport = 1", "[db]\npassword = [withheld]\nport = 1"),
        ("password: |\n  hunter2\n  more\nuser: a", "password: |\n  [withheld]\nuser: a"),
        ("secret: [\"a\", \"b\"]\nc: d", "secret: [withheld]\nc: d"),
        ("name=Authorization,value=QmVhcmVy,x=1", "name=Authorization,value=[withheld],x=1"),
        ("name=api-token,value=QmVhcmVy,x=1", "name=api-token,value=[withheld],x=1"),
        ("PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=", "PrivateKey = [withheld]"),
        ("pvesm add cifs x --password hunter2 --smb 1", "pvesm add cifs x --password [withheld] --smb 1"),
        ("https://a/b?token=hunter2&c=d", "https://a/b?token=[withheld]&c=d"),
        ("key = AQBvaVxkAAAAABAAyzOhbTXBAAAAAAAAAAAAAA==", "key = [withheld]"),
        ("echo root:hunter2 | chpasswd", "echo [withheld]| chpasswd"),
        ("-object secret,id=s,data=hunter2 -x", "-object secret,id=s,data=[withheld] -x"),
        ("AAAA\nBBBB\n-----END PRIVATE KEY-----\nx", "[withheld]\nx"),
        ("https://hooks.slack.com/services/T0/B0/x", "https://hooks.slack.com/services/[withheld]"),
        ("Cookie: a=b; PVEAuthCookie=PVE%3Aroot", "Cookie: [withheld]"),
        ("password=\"hunter2 never ended", "password=\"[withheld]"),
        ("key: pve2c-0123456789", "key: pve2c-[withheld]"),
        (
            "https://api.telegram.org/bot123456:SECRET/sendMessage",
            "https://api.telegram.org/bot[withheld]/sendMessage",
        ),
        (
            "-drive file=rbd:p/i:id=a:key=SECRET:x=1,if=none",
            "-drive file=rbd:p/i:id=a:key=[withheld]:x=1,if=none",
        ),
        ("the web server\npw: hunter2", "the web server\npw: [withheld]"),
        ("root PW=hunter2", "root PW=[withheld]"),
        ("user=a pwd=hunter2", "user=a pwd=[withheld]"),
        ("Passwort: hunter2", "Passwort: [withheld]"),
        ("Kennwort = hunter2", "Kennwort = [withheld]"),
        ("mdp: hunter2", "mdp: [withheld]"),
        (
            "CRON[7]: (root) CMD (mysqldump -uroot -phunter2 db | gzip)",
            "CRON[7]: (root) CMD (mysqldump -uroot -p[withheld] db | gzip)",
        ),
        (
            "sudo: COMMAND=/usr/bin/curl -u admin:hunter2 http://a\nls -u a:b",
            "sudo: COMMAND=/usr/bin/curl -u admin:[withheld] http://a\nls -u a:b",
        ),
        ("a\nb\nmysql -phunter2\nd\n", "a\nb\nmysql -p[withheld]\nd\n"),
    ] {
        assert_eq!(cut(text).map(|(clean, _)| clean).as_deref(), Some(left), "{text}");
    }
}

#[test]
fn ordinary_text_stays_as_it_is() {
    for text in [
        "UPID:pve1:00002660:00075A57:6B012EB1:resize:110:root@pam!t1:",
        "password changed for user ops",
        "virtio=BC:24:11:71:7A:AF,bridge=vmbr0",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI root@pve1",
        "costs $5 and $6 each",
        "https://example.org/a:b@c",
        "password: property is missing and it is not optional",
        "net0: virtio,bridge=vmbr0; tokenid: root@pam!t1",
        "PVE::Tools::password::x",
        "keys: 3",
        "uuid=5a1f2a9e-0a1e-4b4a-8b5a-2b9f6f7d0a11,serial=abc",
        "PWD=/root OLDPWD=/",
        "Enter password:",
        "pwd: /root",
        "PWD=\"$HOME\"",
        "bash: pwd: command not found",
        "pve2b-production answers",
        "systemd[1]: Started mysql.service - MySQL -ports",
        "mysql[7]: ready for -pipes",
        "curl: (6) could not resolve -u host:80",
        "the net is down -U see a%b below",
        "mkdir -p a; rsync -u host:x y",
        "https://ntfy.example.org/topic?auth=x",
    ] {
        assert_eq!(cut(text), None, "{text}");
    }
}

#[test]
fn the_tables_are_in_order_and_say_each_thing_once() {
    let mut names: Vec<&str> = SECRET.iter().map(|(name, _)| *name).collect();
    assert!(names.is_sorted(), "the search needs the order");
    assert!(HARMLESS.is_sorted(), "the search needs the order");
    names.extend(HARMLESS.iter().map(|(name, _)| *name));
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(
        SECRET_AT
            .iter()
            .all(|(path, name, why)| path.starts_with('/') && !name.is_empty() && !why.is_empty())
    );
    assert!(HARMLESS.iter().all(|(name, _)| !is_secret("/", name)));
}

/// Names that make a reader think of a secret.
const SMELLS: &[&str] = &[
    "account",
    "auth",
    "bearer",
    "cert",
    "challenge",
    "code",
    "cookie",
    "cred",
    "csrf",
    "env",
    "hash",
    "header",
    "hmac",
    "input-data",
    "key",
    "nonce",
    "otp",
    "pass",
    "phrase",
    "priv",
    "psk",
    "pwd",
    "recovery",
    "secret",
    "seed",
    "signature",
    "tfa",
    "ticket",
    "token",
    "u2f",
    "webauthn",
];

#[test]
fn every_name_of_the_api_that_smells_of_a_secret_was_looked_at() {
    let mut names = BTreeSet::new();
    for release in Release::ALL {
        for endpoint in Catalog::embedded(release).endpoints() {
            endpoint.parameters.iter().for_each(|parameter| collect(parameter, &mut names));
            collect_schema(&endpoint.returns, &mut names);
        }
    }
    assert!(names.len() > 500, "the walk found {} names only", names.len());
    let known: BTreeSet<&str> = SECRET
        .iter()
        .chain(HARMLESS)
        .map(|(name, _)| *name)
        .chain(SECRET_AT.iter().map(|(_, name, _)| *name))
        .collect();
    let smelling = names.iter().filter(|name| SMELLS.iter().any(|smell| name.contains(smell)));
    let unknown: Vec<&String> = smelling.filter(|name| !known.contains(name.as_str())).collect();
    assert!(unknown.is_empty(), "in neither table: {unknown:?}");
}

fn collect(parameter: &Parameter, names: &mut BTreeSet<String>) {
    names.insert(parameter.name.to_ascii_lowercase());
    collect_schema(&parameter.schema, names);
}

fn collect_schema(schema: &Schema, names: &mut BTreeSet<String>) {
    schema.properties.iter().for_each(|property| collect(property, names));
    if let Some(items) = &schema.items {
        collect_schema(items, names);
    }
    if let Some(Format::Properties(keys)) = &schema.format {
        keys.iter().for_each(|key| collect(&key.parameter, names));
    }
}

/// Names that are secret in some places only: each place is looked at.
#[test]
fn every_place_of_a_name_that_is_secret_in_some_was_looked_at() {
    // `(name, beginning of the path, why it is none there)`
    const HARMLESS_AT: &[(&str, &str, &str)] = &[
        ("code", "/cluster/ceph/health-mute", "of a health check"),
        ("content", "/cluster/resources", "kinds of content"),
        ("content", "/nodes/{node}/qemu/{vmid}/agent/file-read", "a file that is asked for"),
        ("content", "/nodes/{node}/storage", "kinds of content"),
        ("content", "/storage", "kinds of content"),
        ("data", "/cluster/metrics/export", "measurements"),
        ("data", "/nodes/{node}/disks/zfs", "a number of disks"),
        ("data", "/nodes/{node}/hosts", "/etc/hosts"),
        ("key", "/cluster/sdn/route-maps", "what is matched"),
        ("key", "/nodes/{node}/apt/repositories", "an option's name"),
        ("key", "/nodes/{node}/lxc/{vmid}/pending", "a setting's name"),
        ("key", "/nodes/{node}/qemu/{vmid}/cloudinit", "a setting's name"),
        ("key", "/nodes/{node}/qemu/{vmid}/pending", "a setting's name"),
        ("key", "/nodes/{node}/qemu/{vmid}/sendkey", "of a keyboard"),
        ("key", "/nodes/{node}/storage/{storage}/import-metadata", "a setting's name"),
        ("value", "/cluster/ceph/flags", "yes or no"),
        ("value", "/cluster/metrics/export", "measurements"),
        ("value", "/cluster/notifications/matcher-field-values", "names"),
        ("value", "/cluster/sdn/route-maps", "what is set"),
        ("value", "/nodes/{node}/ceph/cfg/db", "a setting's: its name stands beside"),
        ("value", "/nodes/{node}/lxc/{vmid}/pending", "a setting's: its name stands beside"),
        ("value", "/nodes/{node}/qemu/{vmid}/cloudinit", "a setting's: its name stands beside"),
        ("value", "/nodes/{node}/qemu/{vmid}/pending", "a setting's: its name stands beside"),
        ("value", "/nodes/{node}/storage/{storage}/import-metadata", "a setting's: its name stands beside"),
        ("value", "/cluster/ceph/health-mute", "yes or no"),
    ];
    let mut unknown = BTreeSet::new();
    for release in Release::ALL {
        for endpoint in Catalog::embedded(release).endpoints() {
            let mut names = BTreeSet::new();
            endpoint.parameters.iter().for_each(|parameter| collect(parameter, &mut names));
            collect_schema(&endpoint.returns, &mut names);
            for (_, name, _) in SECRET_AT {
                let known =
                    |(at, path, _): &(&str, &str, &str)| at == name && endpoint.path.starts_with(path);
                if names.contains(*name) && !is_secret(&endpoint.path, name) && !HARMLESS_AT.iter().any(known)
                {
                    unknown.insert(format!("{name} at {}", endpoint.path));
                }
            }
        }
    }
    assert!(unknown.is_empty(), "in neither table: {unknown:#?}");
}

const KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACDc0l
-----END OPENSSH PRIVATE KEY-----";

fn shown(rows: Value) -> String {
    let mut rows = rows;
    withhold("/nodes/{node}/tasks/{upid}/log", &mut rows);
    rows.to_string()
}

#[test]
fn a_key_that_spreads_over_the_lines_of_a_log_is_withheld_from_wherever_one_looks() {
    let prefixes = ["", "Nov 21 13:00:00 web app[7]: ", "\t> "];
    for prefix in prefixes {
        let mut lines: Vec<String> = vec![format!("{prefix}before"), format!("{prefix}before the key")];
        lines.extend(KEY.lines().map(|line| format!("{prefix}{line}")));
        lines.extend([format!("{prefix}after"), format!("{prefix}after the key")]);
        for from in 0..lines.len() {
            let seen = &lines[from..];
            let as_rows: Value = seen.iter().enumerate().map(|(n, t)| json!({ "n": n, "t": t })).collect();
            for text in [shown(as_rows), shown(json!(seen))] {
                // Who sees the last short line alone, without the end below it, cannot be told; here the end is below.
                assert!(!text.contains("b3BlbnNz") && !text.contains("QyNTUx"), "{from}: {text}");
                assert!(text.contains("after the key"), "{text}");
                assert!(from > 1 || text.contains("before the key"), "{text}");
            }
        }
        for line in &lines {
            let text = shown(json!([{ "n": 1, "t": line }]));
            assert!(!text.contains("b3BlbnNz"), "{text}");
        }
    }
}

#[test]
fn a_key_that_begins_and_never_ends_hides_no_more_than_its_lines() {
    let text = shown(json!(["-----BEGIN PRIVATE KEY-----", "MIIEabc", "the disk is full", "and more"]));
    assert!(
        text.contains("the disk is full") && text.contains("and more") && !text.contains("MIIE"),
        "{text}"
    );
}

#[test]
fn what_is_public_stays_in_a_log() {
    let certificate = "MIIDazCCAlOgAwIBAgIUEbsp0cZ3mWvJ7nF0cZ3mWvJ7nF0wDQYJKoZIhvcNAQEL";
    for lines in [
        json!(["-----BEGIN CERTIFICATE-----", certificate, "-----END CERTIFICATE-----"]),
        json!(["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMIIDazCCAlOgAwIBAgIUEbsp0cZ3mWvJ7nF0"]),
        json!(["sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]),
    ] {
        assert_eq!(shown(lines.clone()), lines.to_string());
    }
}

#[test]
fn a_value_is_withheld_by_the_name_beside_it_whatever_both_are_called() {
    let mut rows = json!([
        { "name": "X-Auth-Token", "value": "hunter2" },
        { "name": "authorization", "content": "hunter2" },
        { "field": "cipassword", "before": "hunter2", "after": "hunter2" },
        { "section": "client", "name": "rgw_admin_password", "value": "hunter2" },
        { "name": "token", "status": "running" },
        { "password": 71234, "otp": 1 },
        { "command": ["mysql", "-phunter2"], "argv": ["a", "--password", "hunter2"] },
        { "tfa": "type=yubico,id=1,key=hunter2" },
    ]);
    withhold("/access/domains", &mut rows);
    let text = rows.to_string();
    assert!(!text.contains("hunter2") && !text.contains("71234") && text.contains("running"), "{text}");
}

/// Texts are an attacker's: looking at one takes time in proportion to its length.
#[test]
fn no_text_takes_long() {
    let begun = std::time::Instant::now();
    for part in [
        "password=",
        "name=",
        "name: ",
        "name=\"",
        "password={",
        "password:\n",
        "-",
        "--password ",
        "a,b=",
        "key:[",
        "\\\"name=",
    ] {
        let text = part.repeat((1 << 17) / part.len());
        let _ = cut(&text);
        let _ = withhold_argv(&[text]);
    }
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}

mod commands {
    use super::super::{WITHHELD, withhold_argv};

    #[test]
    fn a_well_known_program_s_secret_is_withheld_from_its_command() {
        for (given, shown) in [
            ("mysql -u root -phunter2 db", "mysql -u root -p[withheld] db"),
            ("mysql -p db", "mysql -p db"),
            ("mysql -pMySecret-hunter2", "mysql -p[withheld]"),
            ("/usr/bin/sshpass -p hunter2 ssh a", "/usr/bin/sshpass -p [withheld] ssh a"),
            ("sshpass -phunter2 ssh -p 22 a", "sshpass -p[withheld] ssh -p [withheld] a"),
            ("curl -u ops:hunter2 http://a", "curl -u ops:[withheld] http://a"),
            ("curl -uops:hunter2 --user=a:hunter2", "curl -uops:[withheld] --user=a:[withheld]"),
            ("curl -H Authorization:x", "curl -H Authorization:x"),
            ("redis-cli -a hunter2 info", "redis-cli -a [withheld] info"),
            ("smbclient -U a%hunter2 //b", "smbclient -U a%[withheld] //b"),
            ("qm set 1 --cipassword hunter2", "qm set 1 --cipassword [withheld]"),
            ("qm set 1 --cipassword=hunter2", "qm set 1 --cipassword=[withheld]"),
            ("influx -password hunter2", "influx -password [withheld]"),
            ("env PGPASSWORD=hunter2 psql", "env PGPASSWORD=[withheld] psql"),
            ("gpg --passphrase hunter2 --batch", "gpg --passphrase [withheld] --batch"),
            ("mount -o user=a,password=hunter2,ro b", "mount -o user=a,password=[withheld] b"),
            ("openssl rsa -passin pass:hunter2", "openssl rsa -passin [withheld]"),
            ("passwd root", "passwd root"),
            ("df -h -p", "df -h -p"),
            ("7z x -phunter2 a.7z", "7z x -p[withheld] a.7z"),
        ] {
            let words: Vec<&str> = given.split(' ').collect();
            assert_eq!(withhold_argv(&words).join(" "), shown, "{given}");
            let script = ["sh", "-c", given];
            let in_script = withhold_argv(&script);
            assert!(!in_script[2].contains("hunter2"), "{in_script:?}");
            let quoted = format!("x=$(\"{}\") || exit", given.replace(' ', "\" \""));
            assert!(!withhold_argv(std::slice::from_ref(&quoted))[0].contains("hunter2"), "{quoted}");
        }
        assert_eq!(withhold_argv(&["--token", "a b"])[1], WITHHELD);
        for (script, shown) in [
            ("mysql -p'hun ter2' x", "mysql -p[withheld] x"),
            ("sshpass -p 'hun ter2' ssh x", "sshpass -p '[withheld]' ssh x"),
            ("curl -u \"ops:hun ter2\" x", "curl -u \"ops:[withheld]\" x"),
            ("sshpass -p 'hun ter2", "sshpass -p '[withheld]"),
        ] {
            assert_eq!(withhold_argv(&[script]), [shown]);
        }
    }
}
