use std::collections::BTreeSet;

use super::*;
use crate::catalog::find::Finder;
use crate::catalog::recipe::commands;
use crate::catalog::testing::catalog;
use crate::catalog::{Method, Release};

fn batteries() -> Vec<(&'static str, Battery)> {
    [("container", CONTAINER), ("unit", UNIT), ("vm", VM), ("node", NODE), ("cluster", CLUSTER)]
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

/// A next step is a recipe that `find` gives, and gives first, for these words. What is done by a command in a container is
/// no step for anything else.
#[test]
fn every_next_step_is_a_recipe_that_is_found_by_it() {
    let catalog = catalog(Release::LATEST);
    let finder = Finder::new(catalog);
    for (name, battery) in batteries() {
        for sign in battery.probes.iter().flat_map(|probe| &probe.signs) {
            let at = format!("{name}: {}: {}", sign.name, sign.next);
            let words = sign.next.strip_prefix("find: ").unwrap_or_else(|| panic!("{at}: is for find"));
            let recipes = finder.recipes(catalog, words, &finder.search(catalog, words));
            let commands = commands::find(words);
            let is_title = |title: &str| title.eq_ignore_ascii_case(words);
            let by_api = recipes.first().is_some_and(|recipe| is_title(recipe.title));
            let by_command = commands.first().is_some_and(|(command, _)| is_title(&command.title));
            assert!(by_api != by_command, "{at}: {recipes:?} {commands:?}");
            assert!(by_api || matches!(name, "container" | "unit"), "{at}");
        }
    }
}
