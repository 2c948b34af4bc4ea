use super::*;

fn policy(text: &str) -> Policy {
    Policy::new(Rules::fixed(crate::config::parse(std::path::Path::new("x"), text).unwrap()))
}

fn alice() -> Principal {
    Principal::for_tests(1000, "alice", &[(1000, "alice"), (50, "ops")])
}

#[test]
fn who_is_in_no_role_may_run_nothing() {
    for text in ["", "[[role]]\nname='a'\nmembers=['user:bob','group:wheel','vsock:1000']\nprofile='full'"] {
        let denied = policy(text).exec(&alice(), 101, Mode::Inspect).err().map(|denied| denied.kind());
        assert_eq!(denied, Some("no_role"), "{text}");
    }
}

#[test]
fn members_are_users_by_name_or_number_and_groups() {
    for member in ["user:alice", "user:1000", "group:ops", "group:50"] {
        let policy = policy(&format!("[[role]]\nname='a'\nmembers=['{member}']"));
        assert!(policy.exec(&alice(), 101, Mode::Inspect).is_ok(), "{member}");
    }
}

#[test]
fn a_machine_is_named_by_its_id_or_by_its_cid_and_is_no_account_of_a_like_number() {
    let machine = Principal::Machine(Machine::for_tests(1000, 120));
    for (member, of_machine) in [
        ("vm:120", true),
        ("vsock:1000", true),
        ("vm:1000", false),
        ("vsock:120", false),
        ("user:1000", false),
        ("user:120", false),
        ("group:1000", false),
    ] {
        let policy = policy(&format!("[[role]]\nname='a'\nmembers=['{member}']"));
        assert_eq!(policy.exec(&machine, 101, Mode::Inspect).is_ok(), of_machine, "{member}");
        if of_machine {
            assert!(policy.exec(&alice(), 101, Mode::Inspect).is_err(), "{member}");
        }
    }
}

#[test]
fn a_rate_is_each_machines_own() {
    let policy = policy("[[role]]\nname='a'\nmembers=['vm:1000', 'vm:121', 'user:1000']\nrate='1/h'");
    // Whatever CID it has by now, and whatever account has its number.
    let [first, again, other] =
        [(3, 1000), (4, 1000), (3, 121)].map(|(cid, vmid)| Principal::Machine(Machine::for_tests(cid, vmid)));
    assert!(policy.exec(&first, 101, Mode::Inspect).is_ok());
    assert!(policy.exec(&again, 101, Mode::Inspect).is_err());
    assert!(
        policy.exec(&other, 101, Mode::Inspect).is_ok() && policy.exec(&alice(), 101, Mode::Inspect).is_ok()
    );
}

#[test]
fn lanes_are_as_narrow_as_the_role_says() {
    for (keys, inspect, change) in [
        ("", true, false),
        ("profile='full'", true, true),
        ("profile='full'\nexec='inspect'", true, false),
        ("exec='change'", true, true),
        ("exec='none'", false, false),
    ] {
        let policy = policy(&format!("[[role]]\nname='a'\nmembers=['user:alice']\n{keys}"));
        assert_eq!(policy.exec(&alice(), 101, Mode::Inspect).is_ok(), inspect, "{keys}");
        assert_eq!(policy.exec(&alice(), 101, Mode::Change).is_ok(), change, "{keys}");
    }
}

#[test]
fn guests_outside_the_scope_and_unresolvable_ones_are_refused() {
    let policy =
        policy("[[role]]\nname='a'\nmembers=['user:alice']\nguests=['100-199', 205, 'pool:dev', 'tag:ai']");
    for (guest, allowed) in [(100, true), (199, true), (205, true), (200, false), (99, false)] {
        assert_eq!(policy.exec(&alice(), guest, Mode::Inspect).is_ok(), allowed, "{guest}");
    }
}

#[test]
fn the_first_role_that_names_somebody_counts() {
    let both = "[[role]]\nname='narrow'\nmembers=['group:ops']\nexec='none'\n[[role]]\nname='wide'\nmembers=['user:alice']\nprofile='full'";
    let config = policy(both).rules.now();
    assert_eq!(role(&config, &alice()).map(|role| role.name.as_str()), Some("narrow"));
}

#[test]
fn a_rate_is_held_and_a_refused_call_costs_nothing() {
    let policy = policy("[[role]]\nname='a'\nmembers=['user:alice']\nrate='2/h'");
    assert!(policy.exec(&alice(), 101, Mode::Change).is_err());
    assert!(policy.exec(&alice(), 101, Mode::Inspect).is_ok());
    assert!(policy.exec(&alice(), 101, Mode::Inspect).is_ok());
    let third = policy.exec(&alice(), 101, Mode::Inspect).err().map(|denied| denied.kind());
    assert_eq!(third, Some("rate"));
}
