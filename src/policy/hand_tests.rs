use std::path::Path as File;

use serde_json::{Map, Value, json};

use super::*;
use crate::catalog::{Release, required};
use crate::config;
use crate::policy::{Approvals, Policy, Principal, Rules};

fn policy(keys: &str) -> Policy {
    let text = format!("[[role]]\nname='a'\nmembers=['user:alice']\napproval=[]\n{keys}");
    Policy::new(Rules::fixed(config::parse(File::new("x"), &text).unwrap()))
}

fn checked(method: Method, path: &str, args: Value) -> Checked {
    let catalog = Catalog::embedded(Release::LATEST);
    let Value::Object(args) = args else { panic!("an object") };
    catalog.endpoint(method, path).unwrap().check(&args).unwrap()
}

/// A hand with leave for a call, by a judgement that may be wrong.
fn hand(policy: &Policy, checked: &Checked, judgement: &tier::Judgement) -> Result<Hand, Denied> {
    let alice = Principal::for_tests(1000, "alice", &[(1000, "alice")]);
    let (method, template, path) = (checked.method(), checked.template(), checked.path());
    let wanted = Wanted { method, template, path, judgement, guests: &[], taint: false };
    let leave = policy.change(&alice, &wanted)?;
    let cleared = Approvals::default().clear(leave, "", "").unwrap();
    // Nobody listens there: what gets as far as that would have been sent.
    let pve =
        config::Pve { url: "http://127.0.0.1:9".into(), daemon: String::new(), ..config::Pve::default() };
    Ok(Hand::new(&Client::new((&pve).into()).unwrap(), cleared))
}

async fn sent(policy: &Policy, checked: &Checked) -> &'static str {
    match hand(policy, checked, &judge(checked)) {
        Err(denied) => denied.kind(),
        Ok(hand) => match hand.send(checked).await {
            Err(Unsent::Pve(_)) => "sent",
            other => panic!("{other:?}"),
        },
    }
}

#[tokio::test]
async fn each_profile_sends_what_it_has() {
    let stop = checked(Method::Post, "/nodes/pve1/lxc/105/status/stop", json!({}));
    let memory = checked(Method::Put, "/nodes/pve1/lxc/105/config", json!({ "memory": 512 }));
    let detach = checked(Method::Put, "/nodes/pve1/lxc/105/config", json!({ "delete": "mp0" }));
    let destroy = checked(Method::Delete, "/nodes/pve1/lxc/105", json!({ "purge": true }));
    let (no, yes) = ("tier_not_allowed", "sent");
    for (profile, expected) in [
        ("observe", [no, no, no, no]),
        ("operate", [yes, no, no, no]),
        ("provision", [yes, yes, no, no]),
        ("full", [yes, yes, yes, yes]),
    ] {
        let policy = policy(&format!("profile='{profile}'"));
        for (checked, expected) in [&stop, &memory, &detach, &destroy].into_iter().zip(expected) {
            assert_eq!(sent(&policy, checked).await, expected, "{profile}: {checked:?}");
        }
    }
}

#[tokio::test]
async fn a_judgement_that_was_wrong_does_not_get_past_the_hand() {
    let harmless = tier::judge(
        crate::product::Product::Pve,
        Method::Put,
        "/nodes/{node}/lxc/{vmid}/config",
        &Map::new(),
    );
    for (method, path, args) in [
        (Method::Put, "/nodes/pve1/lxc/105/config", json!({ "delete": "mp0" })),
        (Method::Put, "/nodes/pve1/lxc/105/config", json!({ "hookscript": "local:snippets/x" })),
        (Method::Post, "/access/users", json!({ "userid": "x@pve" })),
    ] {
        let checked = checked(method, path, args);
        let hand = hand(&policy(""), &checked, &harmless).unwrap();
        let error = hand.send(&checked).await.unwrap_err();
        assert!(matches!(error, Unsent::Denied(Denied::Barred(Barred::Tier { .. }))), "{checked:?}: {error}");
    }
}

#[tokio::test]
async fn a_leave_is_for_one_call_and_none_that_came_before_a_halt() {
    let policy = policy("");
    let one = checked(Method::Post, "/nodes/pve1/lxc/105/status/stop", json!({}));
    let other = checked(Method::Post, "/nodes/pve1/lxc/106/status/stop", json!({}));
    let error = hand(&policy, &one, &judge(&one)).unwrap().send(&other).await.unwrap_err();
    assert!(matches!(error, Unsent::Another { .. }), "{error}");
    let before = hand(&policy, &one, &judge(&one)).unwrap();
    policy.halt.halt("user:root (uid 0)", "").unwrap();
    let error = before.send(&one).await.unwrap_err();
    assert!(matches!(error, Unsent::Denied(Denied::Halted(_))), "{error}");
}

/// The last line itself, over all that there is to call: whatever let a call come this far.
#[test]
fn no_call_that_deletes_or_destroys_becomes_a_mild_one() {
    for release in Release::ALL {
        let catalog = Catalog::embedded(release);
        for endpoint in catalog.endpoints().iter().filter(|endpoint| endpoint.method != Method::Get) {
            let (method, path) = (endpoint.method, &endpoint.path);
            let checked = endpoint.check(&required(endpoint)).unwrap();
            let harmless = method != Method::Delete
                && judge(&checked).grounds().iter().all(|ground| {
                    use Tier::{Additive, Change, Disruptive, Reversible};
                    matches!(ground.tier, Reversible | Disruptive | Additive | Change)
                });
            assert_eq!(Mild::of(&checked).is_ok(), harmless, "{method} {path}");
            // And where it came that far all the same, its client would not send it.
            assert!(harmless || !matches!(methods(Profile::Provision), Methods::All));
        }
    }
}
