use std::collections::BTreeSet;

use super::*;
use crate::catalog::find::Finder;
use crate::catalog::testing::catalog;
use crate::catalog::{Method, Release};

fn batteries() -> Vec<(&'static str, Battery)> {
    [("container", CONTAINER), ("vm", VM), ("node", NODE), ("cluster", CLUSTER)]
        .map(|(name, text)| (name, toml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"))))
        .into()
}

#[test]
fn every_probe_has_what_it_needs_and_somebody_who_reads_it() {
    for (name, battery) in batteries() {
        let mut seen = BTreeSet::new();
        for probe in &battery.probes {
            let at = format!("{name}: {}", probe.name);
            assert!(seen.insert(&probe.name), "{at} twice");
            assert!(crate::diagnose::reader(&probe.name).is_some(), "{at}: nobody reads it");
            assert_eq!(probe.on == On::Inside, !probe.run.is_empty(), "{at}");
            assert_eq!(probe.on == On::Api, !probe.get.is_empty(), "{at}");
        }
    }
}

/// What is asked of the API is a GET of it, with parameters that it takes.
#[test]
fn every_question_is_one_that_the_api_takes() {
    let catalog = catalog(Release::LATEST);
    for (name, battery) in batteries() {
        for probe in battery.on(On::Api) {
            let endpoint = catalog.template(Method::Get, &probe.get);
            let endpoint = endpoint.unwrap_or_else(|| panic!("{name}: no GET {}", probe.get));
            for argument in probe.args.keys() {
                let takes = endpoint.parameters.iter().any(|parameter| parameter.name == *argument);
                assert!(takes, "{name}: {} takes no {argument}", probe.get);
            }
        }
    }
}

/// A next step is a recipe that `find` finds by these words, a path that `read` reads, or a command.
#[test]
fn every_next_step_can_be_taken() {
    let catalog = catalog(Release::LATEST);
    let finder = Finder::new(catalog);
    for (name, battery) in batteries() {
        for sign in battery.probes.iter().flat_map(|probe| &probe.signs) {
            let at = format!("{name}: {}: {}", sign.name, sign.next);
            match sign.next.split_once(": ") {
                Some(("find", words)) => {
                    let recipe = crate::catalog::recipe::all()
                        .iter()
                        .find(|recipe| recipe.title.eq_ignore_ascii_case(words));
                    let recipe = recipe.unwrap_or_else(|| panic!("{at}: no such recipe"));
                    let found = finder.recipes(catalog, words, &finder.search(catalog, words));
                    assert!(
                        found.iter().take(3).any(|one| one.title == recipe.title),
                        "{at}: {:?}",
                        found.iter().take(3).map(|recipe| recipe.title).collect::<Vec<_>>()
                    );
                }
                Some(("read", path)) => {
                    assert!(catalog.template(Method::Get, path).is_some(), "{at}");
                }
                Some(("exec", _)) => assert_eq!(name, "container", "{at}"),
                _ => panic!("{at}: names no tool"),
            }
        }
    }
}
