use super::*;

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn argv(command: &Command) -> Vec<&str> {
    command.args.get("argv").and_then(Value::as_array).into_iter().flatten().map(text).collect()
}

/// Words in capitals, of two letters at least.
fn blanks(text: &str) -> Vec<&str> {
    let parts = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    parts
        .filter(|part| part.len() > 1 && part.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
        .collect()
}

#[test]
fn every_row_is_read_and_says_how_it_is_called() {
    let rows = read(TEXT).unwrap();
    assert_eq!(rows.len(), TEXT.matches("[[command]]").count());
    let titles: BTreeSet<&str> = rows.iter().map(|row| row.title.as_str()).collect();
    assert_eq!(titles.len(), rows.len());
    for row in &rows {
        let known: &[&str] = match row.tool.as_str() {
            "exec" => &["mode", "argv", "script", "env", "stdin", "user", "cwd", "timeout_s"],
            "file_get" => &["path", "lines"],
            "diagnose" => &["subject"],
            other => panic!("{}: {other}", row.title),
        };
        assert!(row.args.keys().all(|key| known.contains(&key.as_str())), "{}: {:?}", row.title, row.args);
        if row.tool == "exec" {
            assert!(matches!(text(&row.args["mode"]), "inspect" | "change"), "{}", row.title);
            assert!(row.args.contains_key("argv") != row.args.contains_key("script"), "{}", row.title);
        }
        assert!(row.leave.iter().all(|one| argv(row).contains(&one.as_str())), "{}", row.title);
    }
}

/// Whatever is filled in is a value: of a long option, of an option that takes one, after `--`, a path that begins with `/`, a
/// positional parameter of a fixed script, or a variable. A script, and what is fed to a program, have no blanks.
#[test]
fn what_is_filled_in_can_be_no_option_and_no_text_of_a_shells() {
    for row in all().iter().filter(|row| row.tool == "exec") {
        let (argv, mut used) = (argv(row), BTreeSet::new());
        let blank = |text: &str| {
            blanks(text).into_iter().find(|blank| row.fill.contains_key(*blank)).map(str::to_owned)
        };
        for key in ["script", "stdin", "user", "cwd"] {
            let given = row.args.get(key).map(text).unwrap_or_default();
            assert_eq!(blank(given), None, "{}: {key}", row.title);
        }
        let runs_text = argv.first().is_some_and(|program| program.ends_with("sh"));
        for (at, part) in argv.iter().enumerate() {
            let Some(blank) = blank(part) else { continue };
            let before = |what: &str| argv[..at].contains(&what);
            let is_value = part.starts_with("--") && part.ends_with(&format!("={blank}"));
            let takes_one = *part == blank && at > 0 && matches!(argv[at - 1], "-cmd");
            let is_path =
                part.starts_with(&format!("/{blank}")) || part.starts_with(&format!("file:/{blank}?"));
            // sh -c TEXT NAME, and then what TEXT has as $1 and on.
            let is_positional = runs_text && argv[1] == "-c" && at > 3 && *part == blank;
            let safe = match runs_text {
                true => is_positional,
                false => is_value || takes_one || is_path || (before("--") && *part == blank),
            };
            assert!(safe, "{}: {part}", row.title);
            used.insert(blank);
        }
        if runs_text {
            for parameter in ["$1", "$2"] {
                let quoted = argv[2].matches(&format!("\"{parameter}\"")).count();
                assert_eq!(argv[2].matches(parameter).count(), quoted, "{}: {parameter}", row.title);
            }
        }
        let variables = row.args.get("env").and_then(Value::as_object).into_iter().flatten();
        used.extend(variables.filter_map(|(_, value)| blank(text(value))));
        let told: BTreeSet<String> = row.fill.keys().cloned().collect();
        assert_eq!(used, told, "{}: what is to be filled in", row.title);
    }
}

#[test]
fn what_people_type_finds_the_command_that_does_it() {
    for (typed, title) in [
        ("systemctl status nginx in ct 105", "State of a unit in a container"),
        ("journal of nginx in container 105", "Journal of a container"),
        ("tail a log in ct 105", "Tail of a log file in a container"),
        ("psql query in 105", "Query PostgreSQL in a container"),
        ("run sql on postgres", "Query PostgreSQL in a container"),
        ("mariadb query", "Query MySQL or MariaDB in a container"),
        ("sqlite query", "Query an SQLite file of a container"),
        ("what fills the disk of ct 105", "What fills a disk of a container"),
        ("zombies", "Dead and stuck processes of a container"),
        ("which ports are open in container 105", "Open ports of a container"),
    ] {
        let found = find(typed);
        let first = found.iter().take(2).any(|(command, _)| command.title == title);
        assert!(first, "{typed}: {:?}", found.iter().map(|(row, _)| &row.title).collect::<Vec<_>>());
    }
    for typed in ["", "start ct 105", "create a container", "delete vm 100", "migrate vm 100", "\u{202e}"] {
        assert!(find(typed).is_empty(), "{typed}");
    }
}

#[test]
fn what_is_called_by_its_title_comes_first() {
    for row in all() {
        assert_eq!(find(&row.title)[0].0.title, row.title);
    }
}
