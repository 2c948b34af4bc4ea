use super::Finder;
use crate::catalog::{Catalog, import};

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

fn catalog() -> Catalog {
    let dir = std::env::var_os("PROVOST_APIDOC_DIR").unwrap();
    import::lines(&std::fs::read(std::path::Path::new(&dir).join("pve-9.jsonl")).unwrap()).unwrap()
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
    let catalog = catalog();
    let finder = Finder::new(&catalog);
    let (first, three) = score(&catalog, &finder, &cases(include_str!("queries.txt")), true);
    assert!(first >= 0.9 && three >= 0.98, "first {first:.3}, in three {three:.3}");
}

#[test]
fn phrasings_that_nobody_tuned_on() {
    let catalog = catalog();
    let finder = Finder::new(&catalog);
    let (first, three) = score(&catalog, &finder, &cases(include_str!("held_out.txt")), false);
    assert!(first >= 0.5 && three >= 0.5, "first {first:.3}, in three {three:.3}");
}

#[test]
fn one() {
    let Ok(words) = std::env::var("WORDS") else { return };
    let catalog = catalog();
    let finder = Finder::new(&catalog);
    explain(&catalog, &finder, &words);
    for found in finder.search(&catalog, &words).iter().take(6) {
        println!("{:.2} {} {}", found.score, catalog.endpoints()[found.endpoint].method, found.path);
    }
}
