use serde_json::{Map, Value, json};

use super::*;
use crate::catalog::tier::{self, Tier};
use crate::catalog::{Catalog, Release};
use crate::config;
use crate::policy::{Rules, promises};
use crate::product::Product;

fn policy(keys: &str) -> Policy {
    let text = format!("[[role]]\nname='a'\nmembers=['user:alice']\n{keys}");
    Policy::new(Rules::fixed(config::parse(Path::new("x"), &text).unwrap()))
}

fn alice() -> Principal {
    Principal::for_tests(1000, "alice", &[(1000, "alice")])
}

/// What policy says of a call with these arguments, that touches these guests.
fn asked(
    policy: &Policy,
    method: Method,
    template: &str,
    args: Value,
    guests: &[u32],
) -> Result<Leave, Denied> {
    tainted(policy, method, template, args, guests, false)
}

fn tainted(
    policy: &Policy,
    method: Method,
    template: &str,
    args: Value,
    guests: &[u32],
    taint: bool,
) -> Result<Leave, Denied> {
    let Value::Object(args) = args else { panic!("an object") };
    let path = template.replace("{node}", "pve1").replace("{vmid}", "105");
    let judgement = tier::judge(crate::product::Product::Pve, method, template, &args);
    let wanted = Wanted { method, template, path: &path, judgement: &judgement, guests, taint };
    policy.change(&alice(), &wanted)
}

fn kind(answer: &Result<Leave, Denied>) -> &'static str {
    match answer {
        Ok(leave) if *leave.needs() == Needs::Nothing => "leave",
        Ok(_) => "approval",
        Err(denied) => denied.kind(),
    }
}

/// Every call of every release that may change something, once with what it is and once for each argument that adds to it.
fn every_change() -> Vec<(Method, String, tier::Judgement)> {
    let mut calls = Vec::new();
    for release in Release::ALL {
        for endpoint in Catalog::embedded(release).endpoints() {
            let judge = |args: &Map<String, Value>| {
                tier::judge(crate::product::Product::Pve, endpoint.method, &endpoint.path, args)
            };
            let bare = judge(&Map::new());
            if endpoint.method == Method::Get && bare.tier() == Tier::Read {
                continue;
            }
            for parameter in &endpoint.parameters {
                let name =
                    if parameter.family { format!("{}0", parameter.name) } else { parameter.name.clone() };
                for value in ["1", "0", "/dev/sdb", "scsi0,rootfs,lock,webauthn", "stop"] {
                    let raised = judge(&Map::from_iter([(name.clone(), value.into())]));
                    if raised.grounds().len() > 1 {
                        calls.push((endpoint.method, endpoint.path.clone(), raised));
                    }
                }
            }
            calls.push((endpoint.method, endpoint.path.clone(), bare));
        }
    }
    assert!(calls.len() > 900, "{} calls", calls.len());
    calls
}

#[test]
fn every_change_of_every_release_is_given_to_the_profiles_that_have_it_and_no_other() {
    use Tier::{Additive, Change, Destructive, Disruptive, Host, Lockout, Reversible};
    let profiles: [(&str, &[Tier]); 4] = [
        ("observe", &[]),
        ("operate", &[Reversible, Disruptive]),
        ("provision", &[Reversible, Disruptive, Additive, Change]),
        ("full", &[Reversible, Disruptive, Additive, Change, Lockout, Destructive, Host]),
    ];
    let calls = every_change();
    for (profile, has) in profiles {
        let policy = policy(&format!("profile='{profile}'"));
        for (method, template, judgement) in &calls {
            let wanted =
                Wanted { method: *method, template, path: template, judgement, guests: &[105], taint: false };
            let answer = policy.change(&alice(), &wanted);
            let grounds = judgement.grounds();
            let deletes = *method == Method::Delete && profile != "full";
            let given = grounds.iter().all(|ground| has.contains(&ground.tier)) && !deletes;
            let waits = grounds.iter().any(|ground| matches!(ground.tier, Lockout | Destructive | Host));
            let expected = match (given, waits) {
                (false, _) if grounds.iter().any(|ground| ground.tier == Tier::Held) => "held",
                (false, _) => "tier_not_allowed",
                (true, true) => "approval",
                (true, false) => "leave",
            };
            assert_eq!(kind(&answer), expected, "{profile}: {method} {template} {grounds:?}");
            // What may be given says with which client.
            let methods = answer.map(|leave| leave.methods());
            assert!(!matches!(methods, Ok(Methods::Reads)), "{profile}: {method} {template}");
            assert!(
                profile == "full" || !matches!(methods, Ok(Methods::All)),
                "{profile}: {method} {template}"
            );
        }
    }
}

#[test]
fn the_profiles_keep_their_promises_over_every_release() {
    for release in Release::ALL {
        promises(&Catalog::embedded(release)).unwrap();
    }
}

#[test]
fn every_ground_counts_and_the_refusal_names_the_argument() {
    let config = "/nodes/{node}/qemu/{vmid}/config";
    let provision = policy("");
    assert_eq!(kind(&asked(&provision, Method::Put, config, json!({ "memory": 4096 }), &[105])), "leave");
    let denied = asked(&provision, Method::Put, config, json!({ "delete": "scsi0" }), &[105]).unwrap_err();
    assert!(denied.to_string().contains("with \"delete\" is of tier destructive"), "{denied}");
    assert!(denied.next().contains("without that argument"), "{}", denied.next());
    let full = policy("profile='full'");
    let leave =
        asked(&full, Method::Put, config, json!({ "delete": "scsi0", "hookscript": "x" }), &[105]).unwrap();
    let Needs::Approval { because, self_approval: false, .. } = leave.needs() else { panic!("{leave:?}") };
    assert_eq!(because.len(), 2, "{because:?}");
    assert!(because.iter().any(|why| why.starts_with("host (\"hookscript\"): ")), "{because:?}");
}

#[test]
fn who_is_in_no_role_and_what_the_role_denies_is_refused() {
    let (start, stop) = ("/nodes/{node}/lxc/{vmid}/status/start", "/nodes/{node}/lxc/{vmid}/status/stop");
    for (keys, template, expected) in [
        ("", start, "leave"),
        ("deny=['POST /nodes/{node}/lxc/{vmid}/status/start']", start, "denied_to_role"),
        ("deny=['POST /nodes/{node}/lxc/{vmid}/status/start']", stop, "leave"),
        ("deny=['* /nodes/pve1/*']", stop, "denied_to_role"),
        ("deny=['* /nodes/pve2/*', 'DELETE /*']", stop, "leave"),
        ("profile='full'\ndeny=['POST /nodes/*/lxc/105/*']", stop, "denied_to_role"),
    ] {
        let answer = asked(&policy(keys), Method::Post, template, json!({}), &[105]);
        assert_eq!(kind(&answer), expected, "{keys} {template}");
    }
    let bob = policy("").foresee(
        &Principal::for_tests(1001, "bob", &[(1001, "bob")]),
        &Wanted {
            method: Method::Post,
            template: start,
            path: "/nodes/pve1/lxc/105/status/start",
            judgement: &tier::judge(crate::product::Product::Pve, Method::Post, start, &Map::new()),
            guests: &[],
            taint: false,
        },
    );
    assert_eq!(kind(&bob), "no_role");
}

/// It sees nothing there either.
#[test]
fn a_role_of_some_guests_changes_nothing_on_another_product() {
    let policy = policy("profile='full'\nguests=['105']");
    for (product, method, template, args) in [
        (Product::Datacenter, Method::Post, "/pve/remotes/{remote}/lxc/{vmid}/stop", json!({})),
        (Product::Datacenter, Method::Post, "/pve/remotes/{remote}/qemu/{vmid}/start", json!({})),
        (Product::Backup, Method::Put, "/access/acl", json!({ "path": "/vms/105" })),
    ] {
        let judgement = tier::judge(product, method, template, args.as_object().unwrap());
        let path = template.replace("{remote}", "east").replace("{vmid}", "105");
        let wanted =
            Wanted { method, template, path: &path, judgement: &judgement, guests: &[105], taint: false };
        let denied = policy.change(&alice(), &wanted).unwrap_err();
        assert_eq!(denied.kind(), "guest_out_of_scope", "{product} {template}");
    }
    let start = "/nodes/{node}/lxc/{vmid}/status/start";
    assert!(asked(&policy, Method::Post, start, json!({}), &[105]).is_ok());
}

#[test]
fn what_is_allowed_by_name_is_all_that_is_made() {
    let start = "/nodes/{node}/lxc/{vmid}/status/start";
    for (keys, expected) in [
        ("", "leave"),
        ("allow=['POST /nodes/{node}/lxc/*']", "leave"),
        ("allow=['* /nodes/pve1/lxc/105/*']", "leave"),
        ("allow=['POST /nodes/{node}/qemu/*']", "denied_to_role"),
        ("allow=['* /nodes/pve2/*']", "denied_to_role"),
        ("allow=[]", "denied_to_role"),
        // What is denied is denied, and a profile is not widened by it.
        ("allow=['* /nodes/*']\ndeny=['POST /nodes/{node}/lxc/*']", "denied_to_role"),
        ("profile='observe'\nallow=['* /nodes/*']", "tier_not_allowed"),
    ] {
        let answer = asked(&policy(keys), Method::Post, start, json!({}), &[105]);
        assert_eq!(kind(&answer), expected, "{keys}");
    }
    let reads = |keys: &str| {
        let text = format!("[[role]]\nname='a'\nmembers=['user:alice']\n{keys}");
        let config = config::parse(Path::new("x"), &text).unwrap();
        config.roles[0].allows("GET", "/nodes/{node}/lxc", ["nodes", "pve1", "lxc"])
    };
    assert!(reads("allow=['POST /nodes/*']"), "a list of changes leaves reads as they are");
    assert!(reads("allow=['GET /nodes/*']") && !reads("allow=['GET /access/*']"));
}

#[test]
fn each_guest_that_is_touched_has_to_be_the_roles() {
    let stop = "/nodes/{node}/lxc/{vmid}/status/stop";
    let scoped = policy("guests=['100-199', 205, 'pool:dev']");
    for (guests, expected) in [
        // On a guest, and nobody knows on which.
        (&[][..], "guest_out_of_scope"),
        (&[105, 199, 205], "leave"),
        (&[105, 200], "guest_out_of_scope"),
        (&[206], "guest_out_of_scope"),
    ] {
        assert_eq!(kind(&asked(&scoped, Method::Post, stop, json!({}), guests)), expected, "{guests:?}");
    }
}

#[test]
fn approval_is_what_the_role_says_and_comes_earlier_for_who_has_read_what_a_guest_wrote() {
    let config = "/nodes/{node}/qemu/{vmid}/config";
    for (keys, args, taint, expected) in [
        ("profile='full'", json!({ "args": "x" }), false, "approval"),
        ("profile='full'\napproval=[]", json!({ "args": "x" }), false, "leave"),
        ("profile='full'\napproval=['change']", json!({ "memory": 1 }), false, "approval"),
        ("approval=['change']", json!({ "memory": 1 }), false, "approval"),
        ("", json!({ "memory": 1 }), true, "leave"),
        ("tainted_approval=['change']", json!({ "memory": 1 }), false, "leave"),
        ("tainted_approval=['change']", json!({ "memory": 1 }), true, "approval"),
        ("tainted_approval=['disruptive']", json!({ "memory": 1 }), true, "leave"),
    ] {
        let answer = tainted(&policy(keys), Method::Put, config, args.clone(), &[105], taint);
        assert_eq!(kind(&answer), expected, "{keys} {args} {taint}");
    }
    let both = "profile='full'\ntainted_approval=['change']\nself_approval=true";
    let leave = tainted(&policy(both), Method::Put, config, json!({ "args": "x" }), &[], true).unwrap();
    let Needs::Approval { because, self_approval: true, .. } = leave.needs() else { panic!("{leave:?}") };
    assert!(because[0].ends_with("read what a guest wrote") && because[1].starts_with("host"), "{because:?}");
}

#[test]
fn a_change_counts_for_the_rate_and_a_look_ahead_and_a_renewal_do_not() {
    let policy = policy("rate='2/h'");
    let template = "/nodes/{node}/lxc/{vmid}/status/start";
    let judgement = tier::judge(crate::product::Product::Pve, Method::Post, template, &Map::new());
    let path = "/nodes/pve1/lxc/105/status/start";
    let wanted =
        Wanted { method: Method::Post, template, path, judgement: &judgement, guests: &[105], taint: false };
    for _ in 0..9 {
        policy.foresee(&alice(), &wanted).unwrap();
    }
    let first = policy.change(&alice(), &wanted).unwrap();
    let first = policy.renew_leave(first, &alice(), &wanted).unwrap();
    policy.change(&alice(), &wanted).unwrap();
    assert_eq!(kind(&policy.change(&alice(), &wanted)), "rate");
    // A leave for one call is no leave for another.
    let other = Wanted { path: "/nodes/pve1/lxc/106/status/start", ..wanted };
    assert_eq!(kind(&policy.renew_leave(first, &alice(), &other)), "rate");
}

#[test]
fn a_halt_stops_every_change_and_what_has_leave_already() {
    let policy = policy("profile='full'\nexec='change'");
    let start = "/nodes/{node}/lxc/{vmid}/status/start";
    let leave = asked(&policy, Method::Post, start, json!({}), &[105]).unwrap();
    let permit = policy.exec(&alice(), 105, crate::exec::wire::Mode::Inspect).unwrap();
    policy.halt.halt("user:root (uid 0)", "look at storage first").unwrap();
    let denied = asked(&policy, Method::Post, start, json!({}), &[105]).unwrap_err();
    assert_eq!(denied.kind(), "halted");
    assert!(
        denied.to_string().contains("user:root (uid 0)") && denied.to_string().contains("storage"),
        "{denied}"
    );
    assert_eq!(leave.check_halt().unwrap_err().kind(), "halted");
    assert_eq!(policy.renew(permit, &alice()).err().map(|denied| denied.kind()), Some("halted"));
    for mode in [crate::exec::wire::Mode::Inspect, crate::exec::wire::Mode::Change] {
        assert_eq!(policy.exec(&alice(), 105, mode).err().map(|denied| denied.kind()), Some("halted"));
    }
    assert!(policy.read(&alice()).is_ok());
    policy.halt.resume().unwrap();
    assert_eq!(kind(&asked(&policy, Method::Post, start, json!({}), &[105])), "leave");
}
