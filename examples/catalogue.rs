//! The catalogue that is built into Provost, made anew from what nodes say of their API.
//!
//! `cargo run --example catalogue -- 8.4=apidoc-8.4.js 9.1=apidoc-9.1.js 9.2=pve-9.2.jsonl > src/catalog/embedded/pve.txt`
//!
//! `cargo run --example catalogue -- backup 2026-10=pbs.jsonl > src/catalog/embedded/backup.txt`
//!
//! A file is the `apidoc.js` of that release's pve-docs package, or has one endpoint a line as JSON (`.jsonl`). Prose is
//! left out.

use std::{collections::BTreeMap, env, error::Error, fs};

use provost::catalog::{Catalog, import, text};
use provost::product::Product;

fn main() -> Result<(), Box<dyn Error>> {
    let mut releases: BTreeMap<String, Catalog> = BTreeMap::new();
    let mut product = Product::Pve;
    for argument in env::args().skip(1) {
        if let Some(named) = Product::ALL.into_iter().find(|product| product.facts().name == argument) {
            product = named;
            continue;
        }
        let (release, file) = argument.split_once('=').ok_or("RELEASE=FILE, such as 9.1=apidoc.js")?;
        let source = fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        let read = if file.ends_with(".jsonl") { import::lines } else { import::script };
        let catalog = read(&source).map_err(|error| format!("{file}: {error}"))?;
        let catalog = match product {
            Product::Pve => catalog,
            other => catalog.of_bare_facts(other),
        };
        releases.insert(release.to_owned(), catalog);
    }
    let mut older: Option<Catalog> = None;
    for catalog in releases.values_mut() {
        if let Some(older) = &older {
            *catalog = catalog.completed_from(older);
        }
        older = Some(catalog.clone());
    }
    print!("{}", text(&releases));
    Ok(())
}
