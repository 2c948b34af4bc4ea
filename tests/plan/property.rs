//! Over random configurations and random changes of them: what is applied and taken back leaves every file as it was,
//! and a plan's effects are what changes.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use provost::sim::estate::recorded;
use serde_json::{Map, Value};

use crate::site::Site;
use provost::plan::{Ask, Snapshot, Wish};

fn text(pattern: &'static str) -> BoxedStrategy<Value> {
    proptest::string::string_regex(pattern).unwrap().prop_map(Value::from).boxed()
}

/// A setting of a guest that is stopped, and values for it.
fn setting(kind: &'static str) -> BoxedStrategy<(String, Value)> {
    let named = |name: &str, values: BoxedStrategy<Value>| {
        let name = name.to_owned();
        values.prop_map(move |value| (name.clone(), value)).boxed()
    };
    let number = |range: std::ops::Range<u32>| range.prop_map(Value::from).boxed();
    let both = vec![
        named("memory", number(64..9000)),
        named("cores", number(1..9)),
        named("onboot", number(0..2)),
        named("description", text("[a-zA-Z0-9äöü %:,=#'\"-]{1,40}(\n[a-z%#]{1,20})?")),
        named("tags", text("[a-z]{1,8}(;[a-z]{1,8}){0,3}")),
        named("startup", text("order=[1-9][0-9]?(,up=[1-9][0-9]?)?")),
        named("cpulimit", number(0..8)),
    ];
    let own = match kind {
        "lxc" => vec![
            named("swap", number(0..4000)),
            named("hostname", text("[a-z][a-z0-9]{0,12}")),
            named(
                "net1",
                text("name=eth1,bridge=vmbr0,hwaddr=BC:24:11:00:00:[0-9][0-9],ip=dhcp(,tag=[1-9][0-9])?"),
            ),
            named("nameserver", text("192\\.0\\.2\\.[1-9]")),
        ],
        _ => vec![
            named("name", text("[a-z][a-z0-9]{0,12}")),
            named("sockets", number(1..4)),
            named(
                "net0",
                text("virtio=BC:24:11:00:00:[0-9][0-9],bridge=vmbr0(,tag=[1-9][0-9])?(,firewall=1)?"),
            ),
            named("agent", text("1|enabled=1,fstrim_cloned_disks=1")),
            named("ciuser", text("[a-z]{1,8}")),
            named("ipconfig0", text("ip=dhcp|ip=192\\.0\\.2\\.[1-9]/24,gw=192\\.0\\.2\\.254")),
        ],
    };
    proptest::strategy::Union::new(both.into_iter().chain(own)).boxed()
}

/// Some that are set and some that are taken away; none both.
fn change(kind: &'static str) -> impl Strategy<Value = Map<String, Value>> {
    let gone = proptest::collection::vec(
        proptest::sample::select(vec!["tags", "startup", "onboot", "description", "cpulimit", "cores"]),
        0..3,
    );
    (proptest::collection::vec(setting(kind), 1..6), gone).prop_map(|(set, gone)| {
        let mut args: Map<String, Value> = set.into_iter().collect();
        let gone: std::collections::BTreeSet<&str> =
            gone.into_iter().filter(|name| !args.contains_key(*name)).collect();
        if !gone.is_empty() {
            args.insert("delete".into(), gone.into_iter().collect::<Vec<_>>().join(",").into());
        }
        args
    })
}

fn ask(kind: &str, vmid: u32, args: &Map<String, Value>) -> Wish {
    let path = format!("/nodes/pve1/{kind}/{vmid}/config");
    Wish::Call(Ask { method: Some(provost::catalog::Method::Put), path, args: args.clone() })
}

#[test]
fn any_change_of_any_configuration_is_taken_back_whole() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let site = runtime.block_on(Site::new(recorded()));
    for (kind, vmid) in [("lxc", 101), ("qemu", 104)] {
        // Each case is three changes on a disk; PROPTEST_CASES asks for more.
        let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(12);
        let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
        let strategy = (change(kind), change(kind));
        let ran = runner.run(&strategy, |(first, second)| {
            runtime.block_on(async {
                // A random configuration to begin with, then a random change of it.
                let base = site.wish(ask(kind, vmid, &first), Snapshot::WhereNeeded).await.unwrap();
                site.apply(&base).await;
                let before = site.tree();
                let plan = site.wish(ask(kind, vmid, &second), Snapshot::WhereNeeded).await.unwrap();
                let applied = site.apply(&plan).await;
                let effects = plan.effects.len();
                prop_assert_eq!(
                    site.tree() == before,
                    effects == 0,
                    "{:?} {:#?}",
                    second,
                    plan.shown["effects"].clone()
                );
                if plan.undo.call.is_some() {
                    site.undo(applied.receipt).await;
                }
                prop_assert_eq!(site.tree(), before, "{:?}", second);
                Ok(())
            })
        });
        if let Err(error) = ran {
            panic!("{kind}: {error}");
        }
    }
}
