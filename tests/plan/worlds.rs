//! A random walk through worlds: whatever change comes next, nothing but what its plan names becomes other than it was; and
//! what is taken back is as before, and what is done again as after it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use provost::plan::Plan;
use provost::sim::estate::demo;

use crate::site::Site;

const GUESTS: std::ops::Range<u32> = 100..112;

/// A change of anything: the call, and its arguments as [`crate::site::ask`] reads them.
fn change() -> impl Strategy<Value = (String, String)> {
    let of = |call: &str, args: BoxedStrategy<String>| {
        let call = call.to_owned();
        args.prop_map(move |args| (call.clone(), args)).boxed()
    };
    let text = |pattern: &str| proptest::string::string_regex(pattern).unwrap().boxed();
    let any_guest = (
        GUESTS,
        text(
            "(memory=[1-9][0-9]{2,3}|cores=[1-8]|onboot=[01]|tags=[a-c](;[d-f])?|description=[a-z]{1,9}|delete=(tags|onboot|description))( startup=order=[1-9])?",
        ),
    );
    let config =
        any_guest.prop_map(|(vmid, args)| (format!("PUT /nodes/{{node}}/GUEST/{vmid}/config"), args)).boxed();
    let act =
        (GUESTS, proptest::sample::select(vec!["start", "stop", "shutdown", "suspend", "resume", "reboot"]))
            .prop_map(|(vmid, verb)| {
                (format!("POST /nodes/{{node}}/GUEST/{vmid}/status/{verb}"), String::new())
            })
            .boxed();
    let snapshot = (GUESTS, text("[a-c]"))
        .prop_map(|(vmid, name)| {
            (format!("POST /nodes/{{node}}/GUEST/{vmid}/snapshot"), format!("snapname=s{name}"))
        })
        .boxed();
    let guest_rule =
        (GUESTS, text("type=(in|out) action=(ACCEPT|DROP) enable=[01]( proto=tcp dport=(22|80|443))?"))
            .prop_map(|(vmid, args)| (format!("POST /nodes/{{node}}/GUEST/{vmid}/firewall/rules"), args))
            .boxed();
    let guest_options = (GUESTS, text("(enable|dhcp|macfilter)=[01]"))
        .prop_map(|(vmid, args)| (format!("PUT /nodes/{{node}}/GUEST/{vmid}/firewall/options"), args))
        .boxed();
    let pool_guest = (GUESTS, text("( delete=1)?"))
        .prop_map(|(vmid, rest)| ("PUT /pools/dev".to_owned(), format!("vms={vmid}{rest}")))
        .boxed();
    proptest::strategy::Union::new(vec![
        config.clone(),
        config,
        act,
        snapshot,
        guest_rule,
        guest_options,
        pool_guest,
        of("POST /pools", text("poolid=p[a-c]( comment=[a-z]{1,5})?")),
        of("DELETE /pools/pa", text("")),
        of("PUT /pools/dev", text("comment=[a-z]{1,6}")),
        of(
            "PUT /access/acl",
            text(
                "path=/(vms/10[0-9]|pool/dev|storage/local) roles=PVE(VMUser|Auditor|VMAdmin)(,PVEDatastoreUser)? groups=ops( propagate=[01])?( delete=1)?",
            ),
        ),
        of("POST /access/groups", text("groupid=g[a-c]( comment=[a-z]{1,5})?")),
        of("DELETE /access/groups/ga", text("")),
        of("POST /access/users", text("userid=u[a-c]@pve( comment=[a-z]{1,5})?( enable=[01])?")),
        of("POST /access/roles", text("roleid=R[a-c] privs=VM.Audit(,VM.Console)?")),
        of("PUT /access/roles/Ra", text("privs=VM.(Audit|Console)")),
        of("PUT /storage/local", text("content=iso,(vztmpl|backup|images)")),
        of("POST /storage", text("storage=x[a-c] type=dir path=/mnt/x[a-c] content=iso")),
        of("PUT /storage/xa", text("content=(iso|backup|vztmpl)")),
        of("DELETE /storage/xa", text("")),
        of("PUT /cluster/options", text("(description=[a-z]{1,9}|max_workers=[1-9]|delete=max_workers)")),
        of("PUT /cluster/firewall/options", text("(enable=[01]|policy_in=(DROP|ACCEPT))")),
        of("POST /cluster/firewall/aliases", text("name=a[a-c] cidr=10\\.[0-9]\\.0\\.0/16")),
        of("DELETE /cluster/firewall/aliases/aa", text("")),
        of("POST /cluster/firewall/ipset", text("name=i[ab]")),
        of(
            "POST /cluster/firewall/ipset/ia",
            text("cidr=10\\.[0-9]\\.0\\.0/16( comment=[a-z]{1,5})?( nomatch=1)?"),
        ),
        of("DELETE /cluster/firewall/ipset/ia", text("force=1")),
        of(
            "POST /cluster/firewall/rules",
            text("type=in action=ACCEPT enable=1 proto=tcp dport=[1-9][0-9]{1,3}"),
        ),
        of("DELETE /cluster/firewall/rules/0", text("")),
        of("DELETE /cluster/firewall/rules/1", text("")),
        of("DELETE /cluster/firewall/rules/2", text("")),
        of("PUT /cluster/firewall/rules/0", text("(enable=[01]|comment=[a-z]{1,6})")),
        of("POST /cluster/backup", text("id=b[ab] schedule=sun%200[1-5]:00 storage=local all=1")),
        of("DELETE /cluster/backup/ba", text("")),
    ])
}

/// An estate as its parts: `lxc/105`, `storage/local`, `acl:…`, each with all that is said of it.
type World = BTreeMap<String, BTreeSet<String>>;

fn world(site: &Site) -> World {
    let mut world = World::new();
    let mut say = |object: String, said: String| {
        world.entry(object).or_default().insert(said);
    };
    for (file, text) in files(&site.sim.etc_pve) {
        let mut section = String::new();
        for (at, line) in text.lines().map(str::trim_end).enumerate().filter(|(_, line)| says_something(line))
        {
            if let Some((_, guest)) = file.split_once("/qemu-server/").or_else(|| file.split_once("/lxc/")) {
                let kind = if file.contains("/lxc/") { "lxc" } else { "qemu" };
                say(format!("{kind}/{}", guest.trim_end_matches(".conf")), line.to_owned());
            } else if file == "user.cfg" {
                // One of each kind a line: an ACL by its path, everything else by its name.
                let mut parts = line.split(':');
                let kind = parts.next().unwrap_or_default().to_owned();
                let name = if kind == "acl" { parts.nth(1) } else { parts.next() };
                say(format!("{kind}/{}", name.unwrap_or_default()), line.to_owned());
            } else if file.starts_with("firewall/") {
                // Order means something there.
                say(file.clone(), format!("{at:03} {line}"));
            } else if file.ends_with(".cfg") && file != "datacenter.cfg" {
                if !line.starts_with(['\t', ' '])
                    && let Some((_, id)) = line.split_once(':')
                {
                    section = id.trim().to_owned();
                }
                say(format!("{}/{section}", file.trim_end_matches(".cfg")), line.to_owned());
            } else {
                say(file.clone(), line.to_owned());
            }
        }
    }
    site.sim.with_estate(|estate| {
        for guest in estate.guests() {
            let kind = format!("{:?}", guest.kind).to_lowercase();
            say(format!("{kind}/{}", guest.vmid), format!("running: {}", guest.is_running()));
        }
        for volume in &estate.volumes {
            say("volumes".to_owned(), format!("{volume:?}"));
        }
    });
    world
}

/// A heading that is left over nothing once what waited has been taken back says nothing: what waits has its own lines.
fn says_something(line: &str) -> bool {
    !line.is_empty() && line != "[PENDING]"
}

fn files(root: &std::path::Path) -> BTreeMap<String, String> {
    fn walk(root: &std::path::Path, dir: &std::path::Path, found: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if path.is_dir() {
                walk(root, &path, found);
            } else if !name.starts_with('.') && !name.contains("priv/") {
                found.insert(name, String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}

/// The parts that are other than they were.
fn moved(before: &World, after: &World) -> BTreeSet<String> {
    let names = before.keys().chain(after.keys());
    names.filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}

/// Without headings that stand over nothing, and what an empty file leaves.
fn bare(world: &World) -> World {
    let says = |said: &BTreeSet<String>| {
        said.iter().any(|line| !line.split(' ').next_back().unwrap_or("").starts_with('['))
    };
    world.iter().filter(|(_, said)| says(said)).map(|(name, said)| (name.clone(), said.clone())).collect()
}

/// What a plan says that it is about: the thing of each of its calls, and all that is hit.
fn named(plan: &Plan) -> BTreeSet<String> {
    let mut named: BTreeSet<String> = crate::site::hits(plan)
        .iter()
        .filter_map(|hit| Some(hit.rsplit_once(' ')?.0.replace(' ', "/")))
        .collect();
    // HA names a guest its own way.
    let kept = named.iter().filter_map(|name| name.strip_prefix("vm:").or_else(|| name.strip_prefix("ct:")));
    let kept: Vec<String> = kept.map(|vmid| format!("ha/resources/{vmid}")).collect();
    named.extend(kept);
    for request in std::iter::once(&plan.request).chain(&plan.then) {
        let template = request.template();
        let text = |name: &str| request.text(name).unwrap_or_default();
        let guest = request.guest().map(|vmid| (request.kind().unwrap_or_default(), vmid));
        named.insert(match (template, guest) {
            (path, Some((_, vmid))) if path.contains("/firewall/") => format!("firewall/{vmid}.fw"),
            (_, Some((kind, vmid))) => format!("{kind}/{vmid}"),
            (path, _) if path.starts_with("/pools") => format!("pool/{}", text("poolid")),
            ("/access/acl", _) => format!("acl/{}", text("path")),
            (path, _) if path.starts_with("/access/groups") => format!("group/{}", text("groupid")),
            (path, _) if path.starts_with("/access/users") => format!("user/{}", text("userid")),
            (path, _) if path.starts_with("/access/roles") => format!("role/{}", text("roleid")),
            (path, _) if path.starts_with("/storage") => format!("storage/{}", text("storage")),
            ("/cluster/options", _) => "datacenter.cfg".to_owned(),
            (path, _) if path.starts_with("/cluster/firewall") => "firewall/cluster.fw".to_owned(),
            (path, _) if path.starts_with("/cluster/backup") => format!("jobs/{}", text("id")),
            (path, _) => panic!("{path} has no name here"),
        });
        // A snapshot of a guest is volumes of its own.
        if template.contains("/snapshot") {
            named.insert("volumes".to_owned());
        }
    }
    named
}

/// The guest's own kind and node in the place of the blanks.
fn placed(site: &Site, call: &str) -> Option<String> {
    let Some((_, rest)) = call.split_once("/GUEST/") else { return Some(call.to_owned()) };
    let vmid: u32 = rest.split('/').next()?.parse().ok()?;
    let (kind, node) = site.sim.with_estate(|estate| {
        let guest = estate.guest(vmid)?;
        Some((format!("{:?}", guest.kind).to_lowercase(), guest.node.clone()))
    })?;
    Some(call.replace("GUEST", &kind).replace("{node}", &node))
}

#[test]
fn nothing_but_what_a_plan_names_changes_and_all_of_it_is_taken_back_and_done_again() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let site = runtime.block_on(Site::new(demo(12, &[])));
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(60);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let (made, back) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let ran = TestRunner::new(config).run(&(change(), any::<bool>()), |((call, args), stays)| {
        let Some(call) = placed(&site, &call) else { return Ok(()) };
        runtime.block_on(async {
            let before = world(&site);
            // Refused: it is not there, or is there already. That is no change.
            let Ok(plan) = site.try_plan(&call, &args).await else {
                prop_assert_eq!(world(&site), before, "{} {}", call, args);
                return Ok(());
            };
            prop_assert_eq!(&world(&site), &before, "a plan changed something: {} {}", call, args);
            let applied = site.try_apply(&plan.id.to_string()).await.unwrap();
            let after = world(&site);
            let moved = moved(&before, &after);
            let named = named(&plan);
            let unnamed: Vec<&String> = moved.difference(&named).collect();
            prop_assert!(
                unnamed.is_empty(),
                "{} {}: {:?} changed, and {:?} are named",
                call,
                args,
                unnamed,
                named
            );
            if plan.shown.contains_key("no_op") {
                prop_assert!(moved.is_empty(), "{} {}: {:?} changed, and nothing should", call, args, moved);
            }
            if applied.result != provost::apply::Became::Done {
                return Ok(());
            }
            made.set(made.get() + 1);
            // What is no setting, or loses something by its own word, has no way back to the same bytes.
            let acts = call.contains("/status/");
            let Ok(undo) = site.try_undo(applied.receipt).await else { return Ok(()) };
            if acts || !plan.undo.lost.iter().all(|lost| lost.contains("own comment")) {
                return Ok(());
            }
            let undone = site.try_apply(&undo.id.to_string()).await.unwrap();
            if let (provost::apply::Became::Failed(_), []) = (&undone.result, undo.then.as_slice()) {
                // What it needs went elsewhere on the walk, and PVE says so: that is no change.
                prop_assert_eq!(world(&site), after, "{} {}: a refused undo changed something", call, args);
                return Ok(());
            }
            prop_assert_eq!(
                &undone.result,
                &provost::apply::Became::Done,
                "{} {}: {:?}",
                call,
                args,
                &undone
            );
            prop_assert_eq!(bare(&world(&site)), bare(&before), "{} {}: not as before", call, args);
            if let Ok(redo) = site.try_undo(undone.receipt).await {
                let redone = site.apply(&redo).await;
                prop_assert_eq!(bare(&world(&site)), bare(&after), "{} {}: not as after", call, args);
                back.set(back.get() + 1);
                if !stays && let Ok(undo) = site.try_undo(redone.receipt).await {
                    site.apply(&undo).await;
                    prop_assert_eq!(
                        bare(&world(&site)),
                        bare(&before),
                        "{} {}: not as before, again",
                        call,
                        args
                    );
                }
            }
            Ok(())
        })
    });
    let (made, back) = (made.get(), back.get());
    println!("{made} changes, {back} of them taken back and done again");
    if let Err(error) = ran {
        panic!("{error}");
    }
    assert!(made > 10 && back > 5, "{made} changes, {back} taken back and done again");
}
