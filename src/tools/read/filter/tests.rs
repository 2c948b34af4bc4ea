use super::*;

fn passes(given: &str, row: &str) -> bool {
    let filter = Filter::parse(&Where::Text(given.into())).unwrap();
    let row: std::collections::BTreeMap<&str, &serde_json::value::RawValue> =
        serde_json::from_str(row).unwrap();
    let fields = filter.fields().map(|field| row.get(field).map(|value| meaning(value.get())));
    filter.passes(fields, &mut Ordered::default())
}

#[test]
fn comparisons_go_by_what_both_sides_mean() {
    let row = r#"{"vmid":100,"name":"Web-1","status":"running","mem":"4294967296","cpu":0.52,"template":"1",
                  "tags":"blue;prod","lock":null,"version":"8.4","start":1795334400,"due":"2027-01-01"}"#;
    for (given, expected) in [
        ("vmid = 100", true),
        ("vmid=100", true),
        ("vmid == '100'", true),
        ("vmid != 100", false),
        ("vmid < 99", false),
        ("vmid >= 100", true),
        ("status = RUNNING", true),
        ("status = \"running\" and vmid = 100", true),
        ("status = running AND vmid = 101", false),
        ("status = running, vmid = 100", true),
        ("status=running && vmid>99 && vmid<=100", true),
        ("mem >= 4G", true),
        ("mem > 4GiB", false),
        ("mem < 4097M", true),
        ("cpu > 50%", true),
        ("name ~ web", true),
        ("name !~ web", false),
        ("name has WEB", true),
        ("tags contains prod", true),
        ("template = true", true),
        ("absent = 0", true),
        ("absent = ''", true),
        ("lock = ''", true),
        ("absent > 1", false),
        ("absent < 1", false),
        ("absent != x", true),
        ("name is web-1", true),
        ("name > vm", true),
        ("name > 'vm*/'", true),
        ("name is not web-1", false),
        ("name IS NOT 'web-2'", true),
        ("name is not not", true),
        ("lock is empty", true),
        ("lock is NULL", true),
        ("lock = null", true),
        ("absent is none", true),
        ("name is empty", false),
        ("name is not empty", true),
        ("name != null", true),
        ("name is not null and tags is not none", true),
        ("lock is 'null'", false),
        ("lock = \"null\"", false),
        ("lock = none", false),
        ("name ~ 'web*'", false),
        ("start > 2026-11-22", true),
        ("start > '2026-11-22'", true),
        ("start >= 2026-11-22T08:00:00Z", true),
        ("start > 2026-11-22 08:00", false),
        ("start = 2026-11-22T09:00:00+01:00", true),
        ("start < 2026-11-22T08:00:01Z", true),
        ("due > 2026-11-22", true),
        ("due <= 2026-11-22", false),
        ("{\"mem\": \">= 4G\", \"name\": \"~web\"}", true),
        ("{\"mem\": \">4G\"}", false),
        ("{\"name\": \"!= 'web-1'\"}", false),
        ("{\"name\": \"'>x'\"}", false),
        ("{\"lock\": \"null\"}", false),
        ("", true),
    ] {
        assert_eq!(passes(given, row), expected, "{given}");
    }
}

#[test]
fn a_name_that_is_written_like_no_number_is_a_name() {
    for name in ["nan", "inf", "Infinity"] {
        let row = format!(r#"{{"name":"{name}"}}"#);
        assert!(passes(&format!("name = {name}"), &row), "{name}");
        assert!(!passes(&format!("name != {name}"), &row), "{name}");
    }
}

#[test]
fn quotes_keep_what_they_hold_together() {
    let row = r#"{"comment":"salt and pepper, twice","a":"1"}"#;
    assert!(passes("comment = 'salt and pepper, twice' and a = 1", row));
    assert!(!passes("comment = 'salt and' and a = 1", row));
}

#[test]
fn an_object_means_equality_and_an_array_all_of_it() {
    let fields: Where = serde_json::from_str(r#"{"status":"running","vmid":100,"lock":null}"#).unwrap();
    let texts: Where = serde_json::from_str(r#"["status = running", "vmid = 100", "lock = ''"]"#).unwrap();
    assert_eq!(Filter::parse(&fields).unwrap(), {
        let mut filter = Filter::parse(&texts).unwrap();
        filter.0.sort_by(|a, b| a.field.cmp(&b.field));
        let mut expected = Filter::parse(&fields).unwrap();
        expected.0.sort_by(|a, b| a.field.cmp(&b.field));
        assert_eq!(filter, expected);
        Filter::parse(&fields).unwrap()
    });
}

#[test]
fn what_is_no_comparison_is_refused_with_what_would_be() {
    for given in [
        "running",
        "= running",
        "status = running or status = stopped",
        "status running",
        "status ? x",
        "a = 1 and b",
        "name LIKE x",
        "status = \"running",
        "name = 'web and status = running",
        "name = \"",
        "mem => 4G",
        "mem >> 4G",
        "mem >",
        "status is not",
        "{\"mem\":\">\"}",
        "{\"mem\":[1]}",
    ] {
        let error = Filter::parse(&Where::Text(given.into())).unwrap_err().to_string();
        assert!(error.contains("FIELD = VALUE"), "{given}: {error}");
    }
}

#[test]
fn an_expression_and_a_pattern_are_refused_and_quotes_take_them_as_they_stand() {
    for (given, said) in [
        ("disk > 0.9*maxdisk", "no constant"),
        ("disk > maxdisk * 0.9", "no constant"),
        ("mem > (maxmem)", "no constant"),
        ("mem >= maxmem - 4G", "no constant"),
        ("{\"disk\": \"> 0.9*maxdisk\"}", "no constant"),
        ("name ~ ^web", "contains"),
        ("name ~ web$", "contains"),
        ("name ~ web|db", "contains"),
        ("name ~ web.+1", "contains"),
        ("name !~ web.*", "contains"),
        ("name = web-*", "contains"),
        ("name != ^web", "contains"),
        ("name is *", "contains"),
        ("{\"name\": \"web-*\"}", "contains"),
    ] {
        let error = Filter::parse(&Where::Text(given.into())).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("quotes"), "{given}: {error}");
    }
    for (given, row) in [
        ("schedule = '*/15'", r#"{"schedule":"*/15"}"#),
        ("{\"schedule\": \"'*/15'\"}", r#"{"schedule":"*/15"}"#),
        ("comment ~ 'a|b'", r#"{"comment":"a|b|c"}"#),
        ("id > 'qemu/100'", r#"{"id":"qemu/101"}"#),
        ("comment ~ why?", r#"{"comment":"Why? So."}"#),
    ] {
        assert!(passes(given, row), "{given}");
    }
}

/// A field that is a number in all rows is put in no order against text; one that is text in some may be.
#[test]
fn numbers_that_are_compared_with_words_are_no_answer() {
    let misfit = |given: &str, rows: &[&str]| {
        let filter = Filter::parse(&Where::Text(given.into())).unwrap();
        let mut ordered = Ordered::default();
        for row in rows {
            let fields = filter.fields().map(|_| Some(Cow::Borrowed(*row)));
            filter.passes(fields, &mut ordered);
        }
        filter.misfit(&ordered)
    };
    for given in ["mem > maxmem", "starttime > today", "mem <= lots", "uptime < 1h", "mem >= 'x'"] {
        let said = misfit(given, &["", "12", "4.5e9"]).unwrap_or_else(|| panic!("{given} is answered"));
        assert!(said.contains("4G, 90%, 1700000000") && said.contains("2026-11-22"), "{said}");
    }
    let second = misfit("mem > 1 and mem > maxmem", &["0", "7"]).unwrap();
    assert!(second.contains("\"maxmem\""), "{second}");
    for (given, rows) in [
        ("name > vm", &["web", "100"][..]),
        ("name > vm", &["100", "web"]),
        ("name > vm", &["", "web"]),
        ("mem > maxmem", &[""]),
        ("mem > 4G", &["12"]),
        ("mem = maxmem", &["12"]),
        ("starttime > 2026-11-22", &["12"]),
        ("version > 9", &["9.0.3"]),
    ] {
        assert_eq!(misfit(given, rows), None, "{given}");
    }
}

#[test]
fn a_comparison_that_is_missing_behind_and_is_asked_for() {
    for given in ["vmid = 100 and", "vmid = 100 and ", "vmid = 100 OR", "a = 1 and name ~ web and"] {
        let error = Filter::parse(&Where::Text(given.into())).unwrap_err().to_string();
        assert!(error.contains("is missing"), "{given}: {error}");
    }
    assert!(passes("comment = 'salt and'", r#"{"comment":"salt and"}"#));
    assert!(passes("name = and", r#"{"name":"and"}"#));
}

#[test]
fn a_list_without_quotes_is_told_that_it_wants_them() {
    for given in ["tags = prod;db", "content = iso,vztmpl"] {
        let error = Filter::parse(&Where::Text(given.into())).unwrap_err().to_string();
        assert!(error.contains("wants quotes"), "{given}: {error}");
    }
    assert!(passes("tags = 'prod;db'", r#"{"tags":"prod;db"}"#));
}

#[test]
fn integers_that_are_one_float_are_two() {
    let row = r#"{"v":9007199254740992,"w":"9007199254740993"}"#;
    assert!(!passes("v = 9007199254740993", row));
    assert!(passes("v != 9007199254740993 and v < 9007199254740993", row));
    assert!(passes("w = 9007199254740993 and w > 9007199254740992", row));
}

#[test]
fn a_word_is_neither_more_nor_less_than_a_number() {
    for given in ["n > 5", "n >= 5", "n < 5", "n <= 5"] {
        assert!(!passes(given, r#"{"n":"x"}"#), "{given}");
    }
    assert!(passes("n > 8.3", r#"{"n":"8.4.1"}"#));
}
