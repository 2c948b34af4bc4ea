use super::Finder;
use crate::catalog::testing::{catalog, catalogs, real_catalogs};
use crate::catalog::{Catalog, Method, Release};

struct Case {
    words: &'static str,
    right: Vec<String>,
}

fn cases(text: &'static str) -> Vec<Case> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let case = |line: &'static str| {
        let (words, right) = line.split_once('|').expect(line);
        let right = right.split(';').map(str::trim).flat_map(|right| {
            ["lxc", "qemu"].map(|kind| right.replace("{kind}", kind))
        });
        Case { words: words.trim(), right: right.collect() }
    };
    lines.map(case).collect()
}

/// What can be right in a catalogue at all: older releases have fewer endpoints.
fn answerable(catalog: &Catalog, cases: Vec<Case>) -> Vec<Case> {
    let has = |right: &String| {
        let (method, path) = right.split_once(' ').expect(right);
        catalog.template(Method::from_name(method).expect(right), path).is_some()
    };
    cases.into_iter().filter(|case| case.right.iter().any(has)).collect()
}

/// Of how many the right answer is first, and in the first three; misses are printed.
#[allow(dead_code)]
fn explain(catalog: &Catalog, finder: &Finder, words: &str) {
    println!("{words}: {:?}", super::query::Query::read(words, &finder.lexicon));
    let _ = catalog;
}

fn score(catalog: &Catalog, finder: &Finder, cases: &[Case], misses: bool) -> (f64, f64) {
    let (mut first, mut three) = (0, 0);
    for case in cases {
        let found = finder.search(catalog, case.words);
        let names: Vec<String> = found.iter().take(5).map(|found| {
            let endpoint = &catalog.endpoints()[found.endpoint];
            format!("{} {}", endpoint.method, endpoint.path)
        }).collect();
        let place = names.iter().position(|name| case.right.contains(name));
        first += usize::from(place == Some(0));
        three += usize::from(place.is_some_and(|place| place < 3));
        if misses && place != Some(0) {
            let shown: Vec<String> = found.iter().zip(&names).map(|(found, name)| format!("{name} {:.2}", found.score)).collect();
            println!("{:?}: \"{}\" wants {}\n    got {}", place, case.words, case.right[0], shown.join("\n        "));
        }
    }
    let share = |count: usize| count as f64 / cases.len() as f64;
    println!("{} phrasings: first {:.3}, in three {:.3}", cases.len(), share(first), share(three));
    (share(first), share(three))
}

#[test]
fn what_people_type_finds_what_they_mean() {
    for (release, catalog) in catalogs().iter().rev().chain(&real_catalogs()) {
        println!("PVE {}, prose: {}", release.name(), catalog.endpoints().iter().any(|e| !e.description.is_empty()));
        let cases = answerable(catalog, cases(include_str!("queries.txt")));
        let (first, three) = score(catalog, &Finder::new(catalog), &cases, *release == Release::LATEST);
        assert!(first >= 0.9 && three >= 0.98, "first {first:.3}, in three {three:.3}");
    }
}

/// Written before the tables and kept from them: how well they do on what nobody thought of.
#[test]
fn phrasings_that_no_table_was_tuned_on_are_mostly_found() {
    let catalog = catalog(Release::LATEST);
    let cases = cases(include_str!("held_out.txt"));
    let (first, three) = score(catalog, &Finder::new(catalog), &cases, false);
    assert!(first >= 0.8 && three >= 0.9, "first {first:.3}, in three {three:.3}");
}

#[test]
fn one() {
    let Ok(words) = std::env::var("WORDS") else { return };
    let catalog = catalog(Release::LATEST);
    let finder = Finder::new(catalog);
    for words in words.split(';') {
    explain(catalog, &finder, words);
    for found in finder.search(catalog, words).iter().take(6) {
        println!("{:.2} {} {}", found.score, catalog.endpoints()[found.endpoint].method, found.path);
    }}
}
