use std::{env, fs, path::PathBuf, process::Command};

use super::*;
use crate::catalog::{Kind, Method};

#[test]
fn real_files() {
    for name in ["apidoc-9.1.js.gz", "apidoc-8.4.js.gz"] {
        let out = Command::new("zcat")
            .arg(PathBuf::from(env::var_os("PROVOST_APIDOC_DIR").unwrap()).join(name))
            .output()
            .unwrap()
            .stdout;
        let start = std::time::Instant::now();
        let catalog = script(&out).unwrap();
        eprintln!("{name}: {} in {:?}", catalog.endpoints().len(), start.elapsed());
    }
    let out =
        fs::read(PathBuf::from(env::var_os("PROVOST_APIDOC_DIR").unwrap()).join("pve-9.jsonl")).unwrap();
    eprintln!("{}", lines(&out).unwrap().endpoints().len());
    let _ = (Kind::Any, Method::Get);
}
