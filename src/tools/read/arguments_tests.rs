use serde_json::json;

use super::*;

fn parse(given: Value) -> Result<ReadArguments, String> {
    serde_json::from_value(given).map_err(|error| error.to_string())
}

fn asked(given: Value) -> Asked {
    let shown = given.to_string();
    let parsed = parse(given).unwrap_or_else(|error| panic!("{shown}: {error}"));
    parsed.asked().unwrap_or_else(|failure| panic!("{shown}: {}", failure.message))
}

#[test]
fn numbers_come_in_every_dress() {
    for limit in [json!(50), json!("50"), json!(50.0), json!(" 50".trim())] {
        let asked = asked(json!({ "path": "/nodes", "limit": limit }));
        assert_eq!((asked.view.limit, asked.limited, asked.notes.len()), (50, true, 0));
    }
    let absent = asked(json!({ "path": "/nodes", "limit": null, "cursor": null, "args": null }));
    assert_eq!((absent.view.limit, absent.limited), (100, false));
    for (limit, taken) in [(json!(0), 1), (json!(100_000), 1_000), (json!("18446744073709551615"), 1_000)] {
        let asked = asked(json!({ "path": "/nodes", "limit": limit }));
        assert_eq!(asked.view.limit, taken);
        assert!(asked.notes[0].contains(&limit.to_string().replace('"', "")), "{:?}", asked.notes);
    }
    for cursor in [json!(120), json!("120"), json!(120.0)] {
        assert_eq!(asked(json!({ "path": "/nodes", "cursor": cursor })).cursor.as_deref(), Some("120"));
    }
    for limit in [json!(-1), json!("many"), json!(1.5), json!([1]), json!("")] {
        assert!(parse(json!({ "path": "/nodes", "limit": limit })).is_err(), "{limit}");
    }
}

#[test]
fn patience_is_seconds_or_simply_yes() {
    for (wait, seconds) in [
        (json!(30), 30),
        (json!("30"), 30),
        (json!(30.0), 30),
        (json!(0.2), 1),
        (json!("30s"), 30),
        (json!("5m"), 300),
        (json!(true), wait::DEFAULT_S),
        (json!("true"), wait::DEFAULT_S),
        (json!(false), 0),
        (json!("no"), 0),
        (json!(0), 0),
        (json!(null), 0),
        (json!(u64::MAX), u32::MAX),
    ] {
        let given = json!({ "path": "UPID", "wait": wait });
        assert_eq!(parse(given.clone()).unwrap().wait(), seconds, "{wait}");
        let Value::Object(given) = given else { unreachable!() };
        assert_eq!(waits(&given), seconds > 0, "{wait}");
    }
    for wait in [json!(-1), json!("long"), json!("NaN"), json!([]), json!({})] {
        assert!(parse(json!({ "path": "UPID", "wait": wait })).is_err(), "{wait}");
    }
}

#[test]
fn parameters_may_be_the_json_of_an_object() {
    let expected = json!({ "type": "vm" });
    for args in [expected.clone(), json!("{\"type\": \"vm\"}"), json!(" {\"type\":\"vm\"} ")] {
        let args = parse(json!({ "path": "/cluster/resources", "args": args })).unwrap().args.unwrap();
        assert_eq!(Value::Object(args), expected);
    }
    assert!(parse(json!({ "path": "/nodes", "args": "" })).unwrap().args.is_none());
    for args in [json!("type=vm"), json!("[1]"), json!([1]), json!(7), json!("{")] {
        let error = parse(json!({ "path": "/nodes", "args": args })).unwrap_err();
        assert!(error.contains("args is an object"), "{args}: {error}");
    }
}

#[test]
fn names_are_a_list_or_one_text() {
    for fields in [
        json!(["vmid", "name"]),
        json!("vmid,name"),
        json!("vmid, name"),
        json!("vmid name"),
        json!("[\"vmid\", \"name\"]"),
        json!(["vmid,name"]),
    ] {
        assert_eq!(
            asked(json!({ "path": "/nodes", "fields": fields })).view.fields,
            ["vmid", "name"],
            "{fields}"
        );
    }
    let by = |sort: Value| asked(json!({ "path": "/nodes", "sort": sort })).view.by;
    let one = |field: &str, descending| By { field: field.into(), descending };
    for sort in ["-mem", "mem desc", "mem:desc", "mem DESC", "mem: descending", " -mem ", "-mem:desc"] {
        assert_eq!(by(json!(sort)), [one("mem", true)], "{sort}");
    }
    for sort in ["mem", "+mem", "mem asc", "mem:asc", "mem:ascending"] {
        assert_eq!(by(json!(sort)), [one("mem", false)], "{sort}");
    }
    for sort in [json!("status, -mem"), json!(["status", "mem:desc"]), json!("[\"status\",\"-mem\"]")] {
        assert_eq!(by(sort.clone()), [one("status", false), one("mem", true)], "{sort}");
    }
}

#[test]
fn a_filter_may_be_the_json_of_an_object() {
    let filter = |given: Value| asked(json!({ "path": "/nodes", "where": given })).view.filter;
    assert_eq!(filter(json!("{\"status\": \"running\"}")), filter(json!({ "status": "running" })));
}
