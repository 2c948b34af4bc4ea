//! Every call that changes something has rules, or a reason why it needs none; every table names what there is.

use std::collections::BTreeSet;

use super::*;
use crate::catalog::tier::{self, Tier};
use crate::catalog::{Catalog, Method, Release};

fn endpoints() -> BTreeSet<String> {
    let catalogs = Release::ALL.map(Catalog::embedded);
    let changes = |catalog: &Catalog| {
        let held = |method, path: &str| tier::of(crate::product::Product::Pve, method, path).0 == Tier::Held;
        let all = catalog.endpoints().iter().filter(|one| one.method != Method::Get);
        let planned = all.filter(|one| !held(one.method, &one.path));
        planned.map(|one| format!("{} {}", one.method, one.path)).collect::<Vec<_>>()
    };
    catalogs.iter().flat_map(changes).collect()
}

#[test]
fn each_change_has_rules_or_a_reason_to_have_none() {
    let bare: Vec<String> = endpoints()
        .into_iter()
        .filter(|one| {
            of(crate::product::Product::Pve, one).next().is_none()
                && why_alone(crate::product::Product::Pve, one).is_none()
                && what_unseen(crate::product::Product::Pve, one).is_none()
        })
        .collect();
    assert!(bare.is_empty(), "neither a rule nor a line of alone.txt or unseen.txt:\n{}", bare.join("\n"));
}

#[test]
fn no_call_stands_in_two_of_them() {
    let count = |one: &String| {
        let places = [
            of(crate::product::Product::Pve, one).next().is_some(),
            why_alone(crate::product::Product::Pve, one).is_some(),
            what_unseen(crate::product::Product::Pve, one).is_some(),
        ];
        places.into_iter().filter(|there| *there).count()
    };
    let both: Vec<String> = endpoints().into_iter().filter(|one| count(one) > 1).collect();
    assert!(both.is_empty(), "{both:?}");
}

#[test]
fn each_table_names_calls_that_there_are() {
    let known = endpoints();
    let calls = SUBJECTS.iter().copied().flatten().flat_map(|rule| rule.calls.iter().copied());
    for call in calls.chain(ALONE.iter().chain(UNSEEN.iter()).map(|(call, _)| *call)) {
        assert!(known.iter().any(|one| fits(call, one)), "{call}");
    }
    for (call, why) in ALONE.iter().chain(UNSEEN.iter()) {
        assert!(why.len() > 10, "{call}: {why}");
    }
}

#[test]
fn what_rules_need_can_be_asked_for() {
    let catalogs = Release::ALL.map(Catalog::embedded);
    let blanks = |template: &str| -> Vec<String> {
        template.split('{').skip(1).filter_map(|rest| rest.split('}').next()).map(str::to_owned).collect()
    };
    let known = endpoints();
    for rule in SUBJECTS.iter().copied().flatten() {
        for need in rule.needs {
            let Need::Get(get) = need else { continue };
            let there = catalogs.iter().any(|catalog| catalog.template(Method::Get, get.template).is_some());
            assert!(
                there && tier::of(crate::product::Product::Pve, Method::Get, get.template).0 == Tier::Read,
                "{}",
                get.template
            );
            // Each blank is filled: by the rule, by this node's name, or by an argument of every call of the rule.
            for call in rule.calls.iter().flat_map(|call| known.iter().filter(|one| fits(call, one))) {
                let (method, path) = call.split_once(' ').unwrap();
                let method = Method::from_name(method).unwrap();
                let endpoint =
                    catalogs.iter().rev().find_map(|catalog| catalog.template(method, path)).unwrap();
                for blank in blanks(get.template) {
                    let given = get.with.iter().any(|(name, _)| *name == blank) || blank == "node";
                    assert!(
                        given || endpoint.parameter(&blank).is_some(),
                        "{call}: {blank} of {}",
                        get.template
                    );
                }
            }
        }
    }
}
