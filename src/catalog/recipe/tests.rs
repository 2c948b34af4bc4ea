use std::collections::BTreeSet;

use super::{TEXT, all};
use crate::catalog::testing::catalog;
use crate::catalog::{Endpoint, Release};

fn endpoints(method: crate::catalog::Method, path: &str) -> Vec<&'static Endpoint> {
    let catalog = catalog(Release::LATEST);
    let mut paths: Vec<String> = ["lxc", "qemu"].map(|kind| path.replace("{kind}", kind)).to_vec();
    paths.dedup();
    paths.iter().filter_map(|path| catalog.template(method, path)).collect()
}

#[test]
fn every_line_of_the_table_is_read() {
    let steps = TEXT.lines().filter(|line| line.contains(" |") && !line.starts_with('#')).count();
    assert_eq!(all().iter().map(|recipe| recipe.steps.len()).sum::<usize>(), steps);
    assert!(all().len() >= 50, "{} recipes", all().len());
    for recipe in all() {
        assert!(recipe.steps.iter().any(|step| step.main), "{}: which step is the job?", recipe.title);
    }
    let titles: BTreeSet<_> = all().iter().map(|recipe| recipe.title).collect();
    assert_eq!(titles.len(), all().len());
}

/// Both kinds have the call where a step is for either, and each takes the arguments that the step gives it.
#[test]
fn every_step_is_a_call_of_the_api() {
    for recipe in all() {
        for step in &recipe.steps {
            let title = recipe.title;
            let found = endpoints(step.method, step.path);
            assert_eq!(
                found.len(),
                1 + usize::from(step.path.contains("{kind}")),
                "{title}: {} {}",
                step.method,
                step.path
            );
            for endpoint in found {
                for (name, _) in &step.arguments {
                    assert!(
                        takes(endpoint, name),
                        "{title}: {} {} takes no {name}",
                        step.method,
                        endpoint.path
                    );
                }
                let given = |name: &str| {
                    endpoint.path.contains(&format!("{{{name}}}"))
                        || step.arguments.iter().any(|given| given.0 == name)
                };
                let missing: Vec<&str> = endpoint
                    .parameters
                    .iter()
                    .filter(|parameter| !parameter.optional && !given(&parameter.name))
                    .map(|parameter| parameter.name.as_str())
                    .collect();
                assert!(missing.is_empty(), "{title}: {} {} needs {missing:?}", step.method, endpoint.path);
            }
        }
    }
}

fn takes(endpoint: &Endpoint, name: &str) -> bool {
    endpoint.parameters.iter().any(|parameter| match parameter.family {
        true => name.strip_prefix(parameter.name.as_str()).is_some_and(|rest| rest.parse::<u8>().is_ok()),
        false => parameter.name == name,
    })
}

#[test]
fn every_step_on_a_backup_server_is_a_call_of_its_api() {
    use crate::catalog::{Catalog, Edition};
    use crate::product::Product;
    let catalog = Catalog::built_in(Edition::of(Product::Backup));
    let steps = super::BACKUP.lines().filter(|line| line.contains(" |") && !line.starts_with('#')).count();
    let all = super::all_of(Product::Backup);
    assert_eq!(all.iter().map(|recipe| recipe.steps.len()).sum::<usize>(), steps);
    for recipe in all {
        assert!(recipe.steps.iter().any(|step| step.main), "{}: which step is the job?", recipe.title);
        for step in &recipe.steps {
            let endpoint = catalog.template(step.method, step.path);
            let endpoint =
                endpoint.unwrap_or_else(|| panic!("{}: {} {}", recipe.title, step.method, step.path));
            for (name, _) in &step.arguments {
                assert!(endpoint.parameter(name).is_some(), "{}: {name} of {}", recipe.title, step.path);
            }
        }
    }
}
