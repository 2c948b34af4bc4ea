//! Recipes that are commands, as an assistant follows them: asked of `find`, filled in, and run by the tool that they name, in a
//! real container. Databases' clients that no container here has are stood in for by ones that say what they were given.

use serde_json::{Value, json};

use crate::common::{Client, Node};
use crate::guest::{Guest, Recipe};

/// The call of the first recipe that `find` gives for these words, filled in, of a guest.
fn call(client: &mut Client, words: &str, guest: &Guest, values: &[(&str, &str)]) -> (String, Value) {
    let found = client.call("find", json!({ "query": words }));
    let recipe = &found["structuredContent"]["recipes"][0];
    let step = &recipe["steps"][0];
    let tool = step["tool"].as_str().unwrap_or_else(|| panic!("{words}: {found}")).to_owned();
    let mut args = step["args"].clone();
    args["guest"] = json!(guest.id);
    let dropped: Vec<&str> =
        recipe["leave_out"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(argv) = args.get_mut("argv").and_then(Value::as_array_mut) {
        let is_wanted = |part: &Value| {
            let part = part.as_str().expect("text");
            !dropped.contains(&part) || values.iter().any(|(name, _)| part.ends_with(&format!("={name}")))
        };
        argv.retain(is_wanted);
    }
    fill(&mut args, values, &recipe["fill"]);
    (tool, args)
}

fn fill(value: &mut Value, values: &[(&str, &str)], told: &Value) {
    match value {
        Value::String(text) => {
            for (name, given) in values {
                assert!(told[*name].is_string(), "the recipe does not tell of {name}");
                // A script that never changes may have the same letters.
                if *text == *name || text.ends_with(&format!("={name}")) || text.contains(&format!("/{name}"))
                {
                    *text = text.replace(name, given);
                    break;
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, values, told)),
        Value::Object(fields) => fields.values_mut().for_each(|field| fill(field, values, told)),
        _ => {}
    }
}

/// What came of it.
fn follow(client: &mut Client, words: &str, guest: &Guest, values: &[(&str, &str)]) -> Value {
    let (tool, args) = call(client, words, guest, values);
    let result = client.call(&tool, args.clone());
    assert_ne!(result["isError"], true, "{words}: {args:#}: {result:#}");
    result["structuredContent"].clone()
}

fn text<'a>(answer: &'a Value, key: &str) -> &'a str {
    answer[key].as_str().unwrap_or_else(|| panic!("{answer:#}"))
}

#[test]
fn a_journal_is_filtered_where_it_is() {
    let unit = "[Service]\nExecStart=/bin/sh -c 'echo apples; echo pears'\n";
    let guest = Recipe::new().booted().file("/etc/systemd/system/fruit.service", 0o644, unit).start();
    guest.run("systemctl start fruit; journalctl --sync");
    let node = Node::start();
    let mut client = node.client();
    let values = [("UNIT", "fruit.service"), ("SINCE", "-1h"), ("PATTERN", "app.es")];
    let answer = follow(&mut client, "journal of a container", &guest, &values);
    assert_eq!((&answer["exit_code"], &answer["lane"]), (&json!(0), &json!("inspect")), "{answer:#}");
    let lines = text(&answer, "stdout");
    assert!(lines.contains("apples") && !lines.contains("pears"), "{lines}");
    // What looks like an option is a value.
    let hostile = [("UNIT", "--vacuum-size=1"), ("PATTERN", "--rotate")];
    let answer = follow(&mut client, "journal of a container", &guest, &hostile);
    assert!(!text(&answer, "stdout").contains("apples") && answer["refused"].is_null(), "{answer:#}");
}

#[test]
fn a_log_file_is_searched_and_its_end_is_read() {
    let log =
        "2026-10-01T10:00 error old\n2026-10-01T12:00 all is well\n2026-10-01T13:00 error \u{1b}[31mnew\n";
    let guest = Recipe::new().file("/var/log/app.log", 0o644, log).start();
    let node = Node::start();
    let mut client = node.client();
    let values = [("TIME", "2026-10-01T11"), ("REGEX", "err(or)?"), ("PATH", "var/log/app.log")];
    let answer = follow(&mut client, "search a log file of a container", &guest, &values);
    assert_eq!(text(&answer, "stdout"), "2026-10-01T13:00 error new\n", "{answer:#}");
    let hostile =
        [("TIME", ""), ("REGEX", "\"; system(\"touch /tmp/pwned\"); \""), ("PATH", "var/log/app.log")];
    let answer = follow(&mut client, "search a log file of a container", &guest, &hostile);
    assert_eq!(text(&answer, "stdout"), "", "{answer:#}");
    assert!(!guest.path("/tmp/pwned").exists());
    let answer =
        follow(&mut client, "tail of a log file in a container", &guest, &[("PATH", "/var/log/app.log")]);
    assert!(text(&answer, "content").ends_with("error new\n"), "{answer:#}");
}

#[test]
fn a_sqlite_file_is_read_and_the_kernel_refuses_to_change_it() {
    let guest = Recipe::new().start();
    guest.run("mkdir /srv; sqlite3 /srv/shop.db \"create table t(a, b); insert into t values (1, 'one'), (2, 'two\nlines')\"");
    guest.run("sqlite3 /srv/wal.db \"pragma journal_mode=wal; create table t(a); insert into t values (7)\"");
    let node = Node::start();
    let mut client = node.client();
    let mut ask = |path: &str, statement: &str| {
        follow(
            &mut client,
            "query an sqlite file of a container",
            &guest,
            &[("STATEMENT", statement), ("PATH", path)],
        )
    };
    let answer = ask("srv/shop.db", "-- all of it\nselect * from t order by a");
    assert_eq!(
        (&answer["exit_code"], text(&answer, "stdout")),
        (&json!(0), "a,b\n1,one\n2,\"two\nlines\"\n"),
        "{answer:#}"
    );
    for statement in [
        "drop table t",
        "insert into t values (3, 'x')",
        "select 1; delete from t",
        ".shell touch /srv/pwned",
        ".save /srv/pwned",
    ] {
        ask("srv/shop.db", statement);
    }
    assert!(!guest.path("/srv/pwned").exists());
    assert_eq!(text(&ask("srv/shop.db", "select count(*) n from t"), "stdout"), "n\n2\n");
    let answer = ask("srv/wal.db?immutable=1&x=", "select a from t");
    assert_eq!(text(&answer, "stdout"), "a\n7\n", "{answer:#}");
}

/// A statement that would be dangerous to whoever read it on its way.
const STATEMENT: &str =
    "select 'it''s'; -- $(touch /tmp/pwned) `touch /tmp/pwned` \\! touch /tmp/pwned\n\\q \"$HOME\" größe";

#[test]
fn a_statement_reaches_a_database_as_it_is_and_nobody_on_the_way_reads_it() {
    let says = "#!/bin/sh\nprintf '<%s>\\n' \"$@\"; echo \"options $PGOPTIONS\"; cat\n";
    let guest =
        Recipe::new().file("/usr/bin/psql", 0o755, says).file("/usr/bin/mariadb", 0o755, says).start();
    guest.run("id postgres 2>/dev/null || echo postgres:x:70:70::/:/bin/sh >> /etc/passwd");
    let node = Node::start();
    let mut client = node.client();
    let values = [("DATABASE", "shop"), ("STATEMENT", STATEMENT)];
    let answer = follow(&mut client, "query postgresql in a container", &guest, &values);
    let said = text(&answer, "stdout");
    assert!(
        said.contains(&format!("<--set=statement={STATEMENT}>")) && said.contains("<--dbname=shop>"),
        "{said}"
    );
    assert!(said.contains("default_transaction_read_only=on") && said.contains("BEGIN READ ONLY;"), "{said}");
    assert!(said.contains(":'statement', true) \\gset provost_"), "{said}");
    let answer = follow(&mut client, "query mysql or mariadb in a container", &guest, &values);
    let hex: String = STATEMENT.bytes().map(|byte| format!("{byte:02x}")).collect();
    let said = text(&answer, "stdout");
    assert!(
        said.contains(&format!("CONVERT(0x{hex} USING utf8mb4); START TRANSACTION READ ONLY;")),
        "{said}"
    );
    assert!(!said.contains("it''s") && said.contains("<--database=shop>"), "{said}");
    assert!(!guest.path("/tmp/pwned").exists());
}
