//! docs/security.md says of each attack which test tries it. A test that was renamed leaves a row that promises nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::nothing_of;
use crate::pages::{Page, all, root};

/// The function after a `#[test]`, with what may stand between; or a promise's name.
static TEST: LazyLock<Regex> = LazyLock::new(|| {
    let of_rust = r"#\[(?:tokio::)?test[^\n]*\]\s*(?:(?:#\[[^\n]*\]|//[^\n]*)\s*)*(?:async )?fn ([a-z0-9_]+)";
    Regex::new(&format!(r"{of_rust}|everywhere!\(([a-z0-9_]+)\)")).unwrap()
});

/// Every test under a path's files, and every promise that is made in each of the lab's containers.
fn functions(under: &Path, of: &mut BTreeSet<String>) {
    if under.is_dir() {
        for entry in std::fs::read_dir(under).unwrap() {
            functions(&entry.unwrap().path(), of);
        }
    } else if under.extension().is_some_and(|ext| ext == "rs") {
        let text = std::fs::read_to_string(under).unwrap();
        for found in TEST.captures_iter(&text) {
            of.insert(found.get(1).or(found.get(2)).unwrap().as_str().to_owned());
        }
    }
}

/// The tests of `hostile` (a program under tests/) or of `policy::approval` (a room's), where there is such a place.
fn place(name: &str) -> Option<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let room = root().join("src").join(name.replace("::", "/"));
    let beside =
        |ending: &str| room.with_file_name(format!("{}{ending}", room.file_name().unwrap().display()));
    let places = [root().join("tests").join(name), room.clone(), beside(".rs"), beside("_tests.rs")];
    let mut there = places.iter().filter(|place| place.exists()).peekable();
    there.peek()?;
    there.for_each(|place| functions(place, &mut found));
    Some(found)
}

fn is_one_of(name: &str, tests: &BTreeSet<String>) -> bool {
    match name.strip_suffix('…') {
        Some(begin) => tests.iter().any(|test| test.starts_with(begin)),
        None => tests.contains(name),
    }
}

fn is_a_tests_name(span: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_…".contains(c);
    // SELinux's types end so.
    span.chars().all(plain) && span.matches('_').count() >= 3 && !span.ends_with("_t")
}

#[test]
fn every_test_that_a_row_names_is_in_the_program_that_it_names() {
    let page = Page::read(&root().join("docs/security.md"));
    let prose = page.prose();
    let said =
        Regex::new(r"(?:(?P<program>[a-z]+)|`(?P<room>[a-z0-9_]+(?:::[a-z0-9_]+)*)`): |`(?P<span>[^`\n]+)`")
            .unwrap();
    let module = Regex::new(r"([a-z]+): the modules? `([a-z]+)`(?: and `([a-z]+)`)?").unwrap();
    let (mut wrong, mut held) = (Vec::new(), 0);
    for row in prose.lines().filter(|line| line.starts_with("| ")) {
        let Some(tried) = row.trim_end_matches(" |").rsplit(" | ").next() else { continue };
        let mut tests = None;
        for found in said.captures_iter(tried) {
            if let Some(name) = found.name("program").or(found.name("room")) {
                tests = place(name.as_str()).or(tests);
            } else if is_a_tests_name(&found["span"]) {
                held += 1;
                match &tests {
                    Some(tests) if is_one_of(&found["span"], tests) => {}
                    Some(_) => wrong.push(format!("{}: not in the place that its row says", &found["span"])),
                    None => wrong.push(format!("{}: its row does not say where", &found["span"])),
                }
            }
        }
        for found in module.captures_iter(tried) {
            for name in [found.get(2), found.get(3)].into_iter().flatten() {
                held += 1;
                if !root().join("tests").join(&found[1]).join(format!("{}.rs", name.as_str())).exists() {
                    wrong.push(format!("{}: the module {}: there is none", &found[1], name.as_str()));
                }
            }
        }
    }
    assert!(held > 80, "only {held} tests were found in the table");
    nothing_of(wrong);
}

#[test]
fn every_test_that_any_page_names_is_one() {
    let mut tests = BTreeSet::new();
    functions(&root().join("src"), &mut tests);
    functions(&root().join("tests"), &mut tests);
    assert!(tests.len() > 1000, "only {} tests were found in the sources", tests.len());
    // Keys of the configuration look like them.
    let keys = Page::read(&root().join("docs/configuration.md")).prose();
    let is_key = |span: &str| keys.contains(&format!("| `{span}` |"));
    let mut wrong = Vec::new();
    for page in all() {
        let spans = page.spans();
        let named =
            spans.iter().filter(|span| is_a_tests_name(span) && !is_key(span) && !is_one_of(span, &tests));
        wrong.extend(named.map(|span| format!("{}: {span}", page.name)));
    }
    nothing_of(wrong);
}
