use std::collections::BTreeMap;

use super::{Release, TEXT, text};
use crate::catalog::{Catalog, Edition, import, testing};
use crate::product::Product;

#[test]
fn every_release_is_built_in_and_has_what_pve_says_it_has() {
    for (release, paths, methods) in
        [(Release::V8_4, 398, 605), (Release::V9_1, 431, 649), (Release::V9_2, 449, 680)]
    {
        let catalog = Catalog::from_text(TEXT, release.name()).unwrap();
        let mut all: Vec<_> = catalog.endpoints().iter().map(|endpoint| &endpoint.path).collect();
        all.dedup();
        assert_eq!((all.len(), catalog.endpoints().len()), (paths, methods), "{}", release.name());
    }
}

#[test]
fn what_is_written_reads_as_it_was() {
    let releases: BTreeMap<String, Catalog> = testing::catalogs()
        .iter()
        .map(|(release, catalog)| (release.name().to_owned(), catalog.clone()))
        .collect();
    assert!(text(&releases) == TEXT, "pve.txt is not what the exporter makes of it");
    for name in releases.keys() {
        let alone = BTreeMap::from([(name.clone(), releases[name].clone())]);
        assert!(Catalog::from_text(&text(&alone), name).unwrap() == releases[name], "{name}");
    }
}

#[test]
fn what_is_built_in_is_what_real_nodes_say_without_the_prose() {
    for (release, real) in testing::real_catalogs() {
        let (real, embedded) = (real.without_prose(), testing::catalog(release));
        for (real, embedded) in real.endpoints().iter().zip(embedded.endpoints()) {
            assert_eq!(real, embedded, "{}", release.name());
        }
        assert!(real == *embedded, "{}", release.name());
    }
}

#[test]
fn no_prose_is_built_in() {
    for (_, catalog) in testing::catalogs() {
        assert!(catalog.without_prose() == *catalog);
    }
}

#[test]
fn a_text_with_a_mistake_names_its_line() {
    // Each is two of the one before.
    let twice = |n| format!("share s{}\n  a object\n    @s{n}\n    @s{n}\n", n + 1);
    let laughing =
        format!("releases 1\nshare s0\n  a any\n{}GET /a\n  @s22\n", (0..22).map(twice).collect::<String>());
    for (text, line) in [
        ("releases 1\nGET /a perm=all\n  ?x string wrong=1\n", 2),
        ("releases 1\nFETCH /a\n", 2),
        ("releases 1\n<1 GET /a\n", 2),
        ("releases 1\nGET /a\n  @nobody\n", 2),
        ("releases 1\nshare a\n  a object\n    @a\nGET /a\n  @a\n", 5),
        ("releases 2\nGET /a\n", 1),
        (&laughing, 92),
    ] {
        assert_eq!(Catalog::from_text(text, "1").unwrap_err().line, line, "{text}");
    }
}

#[test]
fn a_version_finds_its_release() {
    for (version, release) in [
        ("8.4.1", Release::V8_4),
        ("7.4-3", Release::V8_4),
        ("9.0.11", Release::V9_1),
        ("9.1.6~rc1", Release::V9_1),
        ("9.2.11", Release::V9_2),
        ("10.0", Release::V9_2),
        ("", Release::V8_4),
    ] {
        assert_eq!(Release::for_version(version), release, "{version}");
    }
}

#[test]
fn every_sibling_is_built_in_and_has_what_it_says_it_has() {
    // Without the root, which names no thing.
    for (product, methods) in [(Product::Backup, 366), (Product::Mail, 425), (Product::Datacenter, 326)] {
        let catalog = Catalog::built_in(Edition::of(product));
        assert_eq!((catalog.endpoints().len(), catalog.product()), (methods, product));
        assert!(catalog.without_prose() == catalog, "{product}: prose");
        let alone = BTreeMap::from([(super::TAKEN.to_owned(), catalog.clone())]);
        assert!(
            text(&alone) == super::of(product),
            "{product}: its text is not what the exporter makes of it"
        );
        // Nothing says who may call, and nothing says so.
        assert!(catalog.endpoints().iter().all(|one| one.privileges() == "checked by the call itself"));
        let again = import::script(catalog.to_script().as_bytes()).unwrap().of_product(product);
        assert!(again.endpoints().len() == methods);
    }
}
