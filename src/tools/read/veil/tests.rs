//! Whatever is asked of whatever PVE gives: no secret is in the answer, and none can be found out by asking often.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::filter::{Filter, Where};
use super::super::page::{Page, PageError, View, page};
use super::super::rows::By;
use crate::secret::{WITHHELD, names_of_secrets};

fn see(rows: &Value, view: &View, template: &str) -> Result<Page, PageError> {
    page(rows, view, template, &["id", "key", "value"])
}

fn view(filter: &str, by: &str) -> View {
    let by = if by.is_empty() { vec![] } else { vec![By::parse(by)] };
    let filter = Filter::parse(&Where::Text(filter.into())).unwrap();
    View { filter, by, fields: vec!["*".into()], offset: 0, limit: 50 }
}

/// The ways in which a row holds a secret of this name, each with the fields by which one could ask for it.
fn rows_with(name: &str, secret: &str) -> Vec<(Value, Vec<String>)> {
    let beside = |name_field: &str, value_field: &str| {
        let row = json!({ name_field: name, value_field: secret });
        (row, vec![value_field.to_owned()])
    };
    vec![
        (json!({ name: secret }), vec![name.to_owned(), name.to_uppercase(), format!("{name}\u{200b}")]),
        (json!({ "key": name, "value": secret, "pending": secret }), vec!["value".into(), "pending".into()]),
        beside("name", "value"),
        beside("name", "content"),
        (json!({ "a": { "b": [{ name: secret }] } }), vec!["a".into(), format!("a.b.{name}"), "a.b".into()]),
        (json!({ "a": { name: secret } }), vec!["a".into(), format!("a[0].{name}")]),
    ]
}

#[test]
fn how_many_rows_pass_and_in_what_order_does_not_depend_on_a_secret() {
    let secrets = ["aaa", "hunter2", "9", "zz zz", "true"];
    let (mut refused, mut answered) = (0, 0);
    for (template, name) in names_of_secrets() {
        for shape in 0..rows_with(name, "").len() {
            let list = |of: usize| -> Value {
                let row = |id: usize| {
                    let (mut row, _) = rows_with(name, secrets[(id + of) % secrets.len()]).remove(shape);
                    row["id"] = id.into();
                    row
                };
                (0..secrets.len()).map(row).collect()
            };
            let (_, fields) = rows_with(name, "").remove(shape);
            for field in fields {
                let asked = if field.is_ascii() { field.as_str() } else { "id" };
                let filters = ["~ a", "= hunter2", "< 10", "= ''"];
                let views = filters.iter().map(|filter| view(&format!("{asked} {filter}"), "id"));
                let orders = [view("", &field), view("", &format!("-{field}"))];
                for view in views.chain(orders) {
                    let seen = |of: usize| match see(&list(of), &view, template) {
                        Ok(page) => Ok((page.total, page.data, page.next, page.withheld)),
                        Err(error) => Err(error.to_string()),
                    };
                    let first = seen(0);
                    assert_eq!(first, seen(3), "{name} at {template}, by {view:?}");
                    *(if first.is_err() { &mut refused } else { &mut answered }) += 1;
                }
            }
        }
    }
    assert!(refused > 200 && answered > 500, "{refused} {answered}");
}

#[test]
fn a_comparison_with_a_secret_is_refused_and_says_so() {
    for view in [view("cipassword ~ a", ""), view("", "-cipassword"), view("vmid = 1 and CiPassword = x", "")]
    {
        let error = see(&json!([{ "cipassword": "a" }]), &view, "/nodes/{node}/qemu").unwrap_err();
        assert!(matches!(error, PageError::Secret { .. }), "{error}");
        assert!(error.to_string().to_lowercase().contains("cipassword"), "{error}");
    }
}

#[test]
fn a_value_stays_withheld_where_the_name_beside_it_is_not_asked_for() {
    let rows = json!([{ "key": "cipassword", "value": "hunter2" }, { "key": "memory", "value": "512" }]);
    let only = View { fields: vec!["value".into()], limit: 9, ..View::default() };
    let page = see(&rows, &only, "/nodes/{node}/qemu/{vmid}/pending").unwrap();
    assert_eq!((page.data, page.withheld), (json!([{ "value": WITHHELD }, { "value": "512" }]), 1));
    let one = json!({ "name": "api-token", "value": "hunter2" });
    assert_eq!(see(&one, &only, "/x").unwrap().data, json!({ "value": WITHHELD }));
}

#[test]
fn the_env_of_a_container_is_shown_but_for_its_secrets() {
    let config = json!({ "env": "LANG=C\0API_TOKEN=hunter2\0B=2", "hostname": "web" });
    let page =
        see(&config, &View { limit: 9, ..View::default() }, "/nodes/{node}/lxc/{vmid}/config").unwrap();
    assert_eq!(page.data["env"], "LANG=C\nAPI_TOKEN=[withheld]\nB=2");
}

/// What stands in no name, no text and no question but where a test puts it.
const MARK: &str = "hunter2";

fn secret_name() -> impl Strategy<Value = String> {
    let names: Vec<String> =
        names_of_secrets().filter(|(path, _)| *path == "/").map(|(_, name)| name.to_owned()).collect();
    (prop::sample::select(names), 0..3u8).prop_map(|(name, how)| match how {
        0 => name,
        1 => name.to_uppercase(),
        _ => format!("x.{name}"),
    })
}

/// By names that a text is searched for.
fn name_in_text() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "password",
        "API_TOKEN",
        "keyring",
        "client-secret",
        "admin_pass",
        "apiKey",
        "ticket",
    ])
    .prop_map(str::to_owned)
}

fn mark() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9]{0,6}".prop_map(|rest| format!("{MARK}{rest}"))
}

fn key_lines() -> impl Strategy<Value = Vec<String>> {
    ("(Nov 21 13:00:00 web app\\[7\\]: )?", prop::collection::vec(mark(), 1..5)).prop_map(|(before, body)| {
        let mut lines = vec![format!("{before}-----BEGIN RSA PRIVATE KEY-----")];
        lines.extend(body.iter().map(|line| format!("{before}{line}{}", "Ab1".repeat(19))));
        lines.push(format!("{before}-----END RSA PRIVATE KEY-----"));
        lines
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-zA-Z0-9=:,; {}\"'\\\\\n-]{0,24}",
        1 => (name_in_text(), mark(), "[a-z]{1,5}").prop_map(|(name, mark, other)| format!("{other}=1,{name}={mark},b=2")),
        1 => (name_in_text(), mark(), "[a-z ]{0,9}").prop_map(|(name, mark, before)| format!("{before} {name}: {mark}")),
        1 => (name_in_text(), mark()).prop_map(|(name, mark)| format!("A=1\0{name}={mark}\0B=2")),
        1 => (name_in_text(), mark()).prop_map(|(name, mark)| format!("run --{} {mark} -v", name.to_lowercase())),
        1 => (name_in_text(), mark()).prop_map(|(name, mark)| json!({ "a": 1, name: mark }).to_string()),
        1 => mark().prop_map(|mark| format!("GET http://ops:{mark}@a/b Authorization: Bearer {mark}")),
        1 => key_lines().prop_map(|lines| lines.join("\n")),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-d]{1,2}", inner.clone(), 0..4).prop_map(|fields| json!(fields)),
            (secret_name(), mark(), inner.clone())
                .prop_map(|(name, mark, other)| json!({ name: mark, "o": other })),
            (secret_name(), mark())
                .prop_map(|(name, mark)| json!({ "key": name, "value": mark, "pending": mark })),
            (secret_name(), mark()).prop_map(|(name, mark)| json!({ "name": name, "content": [mark] })),
            (secret_name(), inner).prop_map(|(name, inner)| json!({ name: { "deep": [MARK, inner] } })),
        ]
    })
}

fn list() -> impl Strategy<Value = Value> {
    let row = (0..99u32, prop::collection::btree_map("[a-d]", value(), 0..4), secret_name(), mark(), 0..4u8);
    let row = row.prop_map(|(id, fields, name, mark, how)| {
        let mut row = json!(fields);
        row["id"] = id.into();
        match how {
            0 => row[name] = mark.into(),
            1 => {
                row["key"] = name.into();
                row["value"] = mark.into();
            }
            _ => {}
        }
        row
    });
    let log = (prop::collection::vec("[a-z ]{0,9}", 0..4), key_lines(), text(), any::<bool>(), 0..4usize);
    let log = log.prop_map(|(mut lines, key, text, rows, skip)| {
        lines.extend(key);
        lines.push("the end".into());
        lines.extend(text.lines().map(str::to_owned));
        let lines = lines.into_iter().skip(skip);
        match rows {
            true => lines.enumerate().map(|(n, t)| json!({ "n": n, "t": t })).collect(),
            false => lines.map(Value::from).collect(),
        }
    });
    prop_oneof![
        4 => prop::collection::vec(row, 0..6).prop_map(Value::from),
        1 => log,
        1 => value(),
    ]
}

fn question() -> impl Strategy<Value = View> {
    let field = || {
        prop::sample::select(vec![
            "id", "a", "b", "c", "key", "value", "pending", "t", "n", "password", "token",
        ])
    };
    let comparison = (
        field(),
        prop::sample::select(vec!["=", "~", ">", "!~"]),
        prop::sample::select(vec!["a", "''", "hunter2", "9"]),
    );
    let comparison = comparison.prop_map(|(field, sign, value)| match (sign, value) {
        // Nothing is more than nothing, which is refused.
        (">", "''") => format!("{field} > 0"),
        // Of numbers, a word is told to be none, and that says what was asked and no secret.
        (">", "hunter2") => format!("{field} > 8"),
        _ => format!("{field} {sign} {value}"),
    });
    (
        prop::collection::vec(comparison, 0..3),
        prop::option::of((field(), any::<bool>())),
        prop::collection::vec(prop_oneof![2 => Just("*"), 3 => field()], 0..3),
        0..3usize,
        1..9usize,
    )
        .prop_map(|(filter, by, fields, offset, limit)| View {
            filter: Filter::parse(&Where::Texts(filter)).unwrap(),
            by: by.into_iter().map(|(field, descending)| By { field: field.into(), descending }).collect(),
            fields: fields.into_iter().map(str::to_owned).collect(),
            offset,
            limit,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_secret_is_shown_whatever_is_asked(list in list(), view in question()) {
        match see(&list, &view, "/nodes/{node}/qemu/{vmid}/x") {
            Ok(page) => {
                let shown = format!("{} {:?} {:?}", page.data, page.more_fields, page.cut);
                prop_assert!(!shown.contains(MARK), "{shown}");
            }
            Err(error) => prop_assert!(!error.to_string().contains(MARK), "{error}"),
        }
    }

    /// Another secret in the same places changes nothing that is shown: not what passes, not the order.
    #[test]
    fn no_secret_decides_what_is_shown(list in list(), view in question(), with in "[b-y0-9]{7}") {
        let other: Value = serde_json::from_str(&list.to_string().replace(MARK, &with)).unwrap();
        let seen = |list: &Value| match see(list, &view, "/x") {
            Ok(page) => format!("{} {:?} {:?}", page.data, page.total, page.next),
            Err(error) => error.to_string(),
        };
        prop_assert_eq!(seen(&list), seen(&other));
    }
}
