//! Runs `cases/*.toml`.

use std::fs;
use std::path::Path;

use provost::catalog::{Catalog, Release};

use crate::case::Cases;

#[test]
fn each_case_hits_exactly_whom_it_says() {
    let catalog = Catalog::embedded(Release::LATEST);
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/blast/cases");
    // One subject alone: CASES=storage.
    let only = std::env::var("CASES").unwrap_or_default();
    let (mut failures, mut run) = (Vec::new(), 0);
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let subject = file.file_stem().unwrap().to_string_lossy().into_owned();
        if !subject.contains(&only) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let cases: Cases = toml::from_str(&text).unwrap_or_else(|error| panic!("{subject}: {error}"));
        assert_eq!(cases.kinds(), [true; 3], "{subject}: a hit, a miss and a trap");
        run += cases.len();
        failures.extend(cases.failures(&catalog).into_iter().map(|failure| format!("{subject}: {failure}")));
    }
    println!("{run} cases");
    assert!(failures.is_empty(), "{} of {run}\n\n{}", failures.len(), failures.join("\n"));
}
