//! What a profile never has: every call that changes anything under `observe`, every DELETE and all that destroys under
//! `provision`, refused by every tool, over every release's catalogue, through the daemon's socket.

use std::collections::BTreeMap;

use provost::catalog::tier::{self, Tier};
use provost::catalog::{Cache, Catalog, Endpoint, Identity, Method, Release};
use provost::sim::estate::demo;
use serde_json::{Map, Value, json};

use crate::common::Client;
use crate::every::value;
use crate::house::{House, role};

/// A house whose node has the API of this release.
fn house(release: Release, profile: &str) -> House {
    let mut house =
        House::with(demo(30, &[]), &role(&format!("profile = \"{profile}\"\napproval = []")), None, |_| {});
    house.kill();
    // As the daemon keeps what it read of a file: the file itself is Proxmox's, and is in no repository.
    let apidoc = house.dir.path().join("apidoc.js");
    std::fs::write(&apidoc, release.to_string()).unwrap();
    let identity = Identity::of(&apidoc.metadata().unwrap());
    Cache::new(house.dir.path()).store(&identity, &Catalog::embedded(release)).unwrap();
    house.start();
    house
}

fn arguments(endpoint: &Endpoint) -> Map<String, Value> {
    let needed = endpoint.parameters.iter().filter(|parameter| !parameter.optional);
    needed.map(|parameter| (parameter.name.clone(), value(endpoint, parameter))).collect()
}

/// The kind of the refusal; it must be one.
fn refused(client: &mut Client, tool: &str, arguments: Value) -> String {
    let shown = arguments.to_string();
    let result = client.call(tool, arguments);
    assert_eq!(result["isError"], true, "{tool} {shown}: {result}");
    result["structuredContent"]["error"]["kind"].as_str().unwrap().to_owned()
}

fn no_profile_is_given(profile: &str, never: impl Fn(Method, Tier) -> bool) {
    for release in Release::ALL {
        let catalog = Catalog::embedded(release);
        let house = house(release, profile);
        let mut client = house.client();
        let world = || house.sim.with_estate(|estate| (estate.tasks.all().len(), estate.version));
        let before = world();
        let mut kinds = BTreeMap::<String, Vec<String>>::new();
        let mut all = 0;
        for endpoint in catalog.endpoints().iter().filter(|endpoint| endpoint.method != Method::Get) {
            let (tier, _) = tier::of(provost::product::Product::Pve, endpoint.method, &endpoint.path);
            if !never(endpoint.method, tier) {
                continue;
            }
            all += 1;
            let name = format!("{} {}", endpoint.method, endpoint.path);
            let ask = json!({ "method": endpoint.method.name(), "path": endpoint.path, "args": arguments(endpoint) });
            let kind = refused(&mut client, "plan", ask);
            kinds.entry(kind).or_default().push(name);
            // A `read` of the same path asks for a GET of it, or is refused.
            if endpoint.method == Method::Post && catalog.template(Method::Get, &endpoint.path).is_none() {
                let path = json!({ "path": endpoint.path, "args": arguments(endpoint) });
                refused(&mut client, "read", path);
            }
        }
        // Policy said so of nearly all of them. Of the rest something else was wrong first, and nothing was planned.
        let by_policy: usize =
            ["tier_not_allowed", "held"].iter().filter_map(|kind| kinds.get(*kind)).map(Vec::len).sum();
        println!("{release} {profile}: {by_policy} of {all} by policy");
        for (kind, names) in
            kinds.iter().filter(|(kind, _)| !["tier_not_allowed", "held"].contains(&kind.as_str()))
        {
            println!("  {kind}: {}", names.join(", "));
        }
        assert!(all > 30 && by_policy * 100 >= all * 95, "{release} {profile}: {by_policy} of {all}");
        // No other tool carries one of them out.
        assert_eq!(refused(&mut client, "apply", json!({ "plan_id": "0".repeat(32) })), "no_such_plan");
        let command = json!({ "guest": 101, "argv": ["true"], "mode": "change" });
        assert_eq!(refused(&mut client, "exec", command), "lane_not_allowed");
        assert_eq!(world(), before, "{release} {profile}: something changed");
        let made =
            house.receipts().into_iter().filter(|receipt| ["plan", "intent"].contains(&receipt.kind.name()));
        assert_eq!(made.count(), 0);
    }
}

#[test]
fn every_call_that_changes_anything_is_refused_under_observe() {
    no_profile_is_given("observe", |_, _| true);
}

#[test]
fn every_delete_and_all_that_destroys_is_refused_under_provision() {
    no_profile_is_given("provision", |method, tier| {
        method == Method::Delete
            || matches!(tier, Tier::Destructive | Tier::Lockout | Tier::Host | Tier::Held)
    });
}
