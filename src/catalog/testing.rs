//! What the tests of this room share: the three releases, and the files of real nodes where there are any.

use std::{env, fs, path::PathBuf, process::Command, sync::LazyLock};

use super::{Catalog, Format, Parameter, Release, Schema, import};

/// What is built in, read once.
pub(crate) fn catalogs() -> &'static [(Release, Catalog)] {
    static CATALOGS: LazyLock<Vec<(Release, Catalog)>> = LazyLock::new(|| {
        Release::ALL.into_iter().map(|release| (release, Catalog::embedded(release))).collect()
    });
    &CATALOGS
}

pub(crate) fn catalog(release: Release) -> &'static Catalog {
    catalogs().iter().find(|(known, _)| *known == release).map(|(_, catalog)| catalog).unwrap()
}

/// The `apidoc.js` of real nodes from `$PROVOST_APIDOC_DIR`; none, and said so, without it.
pub(super) fn real_scripts() -> Vec<(Release, Vec<u8>)> {
    let Some(directory) = directory() else { return Vec::new() };
    [(Release::V8_4, "apidoc-8.4.js.gz"), (Release::V9_1, "apidoc-9.1.js.gz")]
        .into_iter()
        .map(|(release, name)| {
            let output = Command::new("zcat").arg(directory.join(name)).output().unwrap();
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            (release, output.stdout)
        })
        .collect()
}

/// The same for every release, read.
pub(super) fn real_catalogs() -> Vec<(Release, Catalog)> {
    let mut catalogs: Vec<_> = real_scripts()
        .into_iter()
        .map(|(release, script)| (release, import::script(&script).unwrap()))
        .collect();
    if let Some(directory) = directory() {
        let lines = fs::read(directory.join("pve-9.jsonl")).unwrap();
        let older = catalogs.last().unwrap().1.clone();
        catalogs.push((Release::V9_2, import::lines(&lines).unwrap().completed_from(&older)));
    }
    catalogs
}

fn directory() -> Option<PathBuf> {
    let directory = env::var_os("PROVOST_APIDOC_DIR").map(PathBuf::from);
    if directory.is_none() {
        eprintln!(
            "NOT COMPARED with the files of real nodes: PROVOST_APIDOC_DIR names no directory that has them"
        );
    }
    directory
}

/// Every schema of a parameter, its own first.
pub(super) fn schemas(parameter: &Parameter, see: &mut impl FnMut(&Schema)) {
    within(&parameter.schema, see);
    for case in parameter.variants.iter().flat_map(|variants| &variants.cases) {
        within(&case.schema, see);
    }
}

/// A schema and those that it is made of.
pub(super) fn within(schema: &Schema, see: &mut impl FnMut(&Schema)) {
    see(schema);
    schema.properties.iter().for_each(|parameter| schemas(parameter, see));
    schema.items.iter().chain(&schema.values).for_each(|schema| within(schema, see));
    if let Some(Format::Properties(keys)) = &schema.format {
        keys.iter().for_each(|key| schemas(&key.parameter, see));
    }
}
