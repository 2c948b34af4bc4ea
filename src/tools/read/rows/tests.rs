use serde_json::value::RawValue;

use super::super::filter::{Where, meaning};
use super::*;

const LIST: &str = r#"[{"vmid":9,"name":"b","mem":"10"},{"name":"A","vmid":"10"},{"vmid":8,"name":"c","mem":9},
                       {"vmid":11,"name":"a","nested":{"vmid":1}}]"#;

fn select(list: &str, filter: &str, by: &[&str], shows: Option<&dyn Shows>, most: usize) -> Selected {
    let filter = Filter::parse(&Where::Text(filter.into())).unwrap();
    let by: Vec<By> = by.iter().map(|text| By::parse(text)).collect();
    let mut selection =
        Selection::new(Wanted { template: "/x", filter: &filter, by: &by, shows, most, named: &[] });
    for row in serde_json::from_str::<Vec<&RawValue>>(list).unwrap() {
        selection.row(row.get(), Marks::default());
    }
    selection.finish().unwrap()
}

fn ids(filter: &str, by: &[&str]) -> Vec<String> {
    let selected = select(LIST, filter, by, None, 9);
    assert_eq!(selected.rows.len(), selected.total);
    let mut found = [None];
    let rows = selected.rows.iter().map(|row| {
        pick(row, &["vmid"], &mut found).unwrap();
        meaning(found[0].unwrap()).into_owned()
    });
    rows.collect()
}

#[test]
fn rows_come_in_the_order_that_is_asked_for() {
    assert_eq!(ids("", &[]), ["9", "10", "8", "11"]);
    assert_eq!(ids("", &["vmid"]), ["8", "9", "10", "11"]);
    assert_eq!(ids("", &["-vmid"]), ["11", "10", "9", "8"]);
    assert_eq!(ids("", &["vmid desc"]), ["11", "10", "9", "8"]);
    assert_eq!(ids("", &["name", "vmid"]), ["10", "11", "9", "8"]);
    assert_eq!(ids("", &["mem", "vmid"]), ["8", "9", "10", "11"], "absent is last");
    assert_eq!(ids("", &["-mem", "-vmid"]), ["9", "8", "11", "10"], "absent is last here too");
}

#[test]
fn rows_that_do_not_pass_are_left_out() {
    assert_eq!(ids("name = a", &["vmid"]), ["10", "11"]);
    assert_eq!(ids("mem > 0", &[]), ["9", "8"]);
}

#[test]
fn rows_that_are_no_objects_have_a_value() {
    assert_eq!(select(r#"["b","a","c"]"#, "value != b", &["-value"], None, 9).rows, ["\"c\"", "\"a\""]);
}

#[test]
fn half_a_character_costs_no_row() {
    let list = r#"[{"vmid":8,"name":"web"},{"vmid":9,"name":"a\ud83d"},{"vmid":10,"name":"\ud83d\ude00"}]"#;
    let rows = select(list, "vmid > 8", &["name"], None, 9).rows;
    let names =
        rows.iter().map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap()["name"].clone());
    assert_eq!(names.collect::<Vec<_>>(), ["a\u{fffd}", "\u{1f600}"]);
}

#[test]
fn what_is_one_of_several_values_is_told_of() {
    let list = r#"[{"vmid":8,"tags":"a"},{"vmid":9,"tags":"b;a"},{"vmid":10,"tags":"ab;c"}]"#;
    let found = select(list, "tags = A", &[], None, 9);
    assert_eq!(found.total, 1);
    assert!(found.among.unwrap().contains("`tags ~ A`"));
    for filter in ["tags ~ a", "tags = b;a", "tags = x", "vmid = 8", "tags != a", "tags = ''"] {
        let filter = filter.replace("b;a", "'b;a'");
        assert_eq!(select(list, &filter, &[], None, 9).among, None, "{filter}");
    }
}

struct Odd;

impl Shows for Odd {
    fn show<'row>(&self, row: &'row str) -> Option<Cow<'row, str>> {
        let vmid = serde_json::from_str::<serde_json::Value>(row).ok()?["vmid"].as_u64()?;
        (vmid % 2 == 1).then(|| Cow::Owned(row.to_owned()))
    }
}

/// However few are kept on the way, they are the first of all in order, and nothing more is held.
#[test]
fn a_part_of_a_list_is_the_beginning_of_the_whole() {
    let row = |at: u32| {
        let name = ["web", "Web", "a\"b", "", "10"][at as usize % 5];
        let mut row =
            serde_json::json!({ "vmid": at * 7919 % 1000, "name": name, "mem": (at % 9).to_string() });
        if at.is_multiple_of(3) {
            row["lock"] = serde_json::Value::Null;
        }
        row
    };
    let list = serde_json::Value::from_iter((0..500).map(row)).to_string();
    for filter in ["", "name = web", "mem > 3 and lock = ''", "name ~ b", "vmid < 500 and name != web"] {
        for by in [vec![], vec!["vmid"], vec!["-name", "mem"], vec!["lock"], vec!["a b"]] {
            for shows in [None, Some(&Odd as &dyn Shows)] {
                let whole = select(&list, filter, &by, shows, usize::MAX);
                for most in [0, 1, 20, 100, 1000] {
                    let part = select(&list, filter, &by, shows, most);
                    assert_eq!(part.total, whole.total);
                    assert_eq!(part.rows, whole.rows[..most.min(whole.rows.len())], "{filter} {by:?} {most}");
                }
            }
        }
    }
}

#[test]
fn a_field_that_no_row_has_is_told_with_what_there_is() {
    let rows = |named: &[&str]| {
        let wanted =
            Wanted { template: "/x", filter: &Filter::default(), by: &[], shows: None, most: 0, named };
        let mut selection = Selection::new(wanted);
        (0..300).for_each(|at| {
            selection.row(&format!("{{\"a\":{at}}}"), Marks { flat: at % 2 == 0, key: false })
        });
        selection.row(r#"{"b":{"c":1}}"#, Marks::default());
        selection.finish().unwrap()
    };
    assert!(rows(&["a", "b"]).unseen.is_empty() && rows(&["a", "b"]).first.is_empty());
    let missing = rows(&["c", "a"]);
    assert_eq!((missing.unseen, missing.first.len()), (vec!["c".to_owned()], FIRST));
}
