//! Runs that do not come to their end: killed, refused, or where PVE changes nothing.

use std::fs;

use provost::sim::Fault;

use crate::site::Site;

/// The tokens' ids may differ, what they may do may not.
fn plain(access: String) -> String {
    (2..40).rev().fold(access, |text, number| {
        let text = text.replace(&format!("provost-{number}"), "provost");
        text.replace(&format!("role-operator-{number}"), "role-operator")
    })
}

#[test]
fn killed_at_any_call_it_goes_on_from_there() {
    let whole = Site::new();
    whole.set_up(&["--guests", "101", "--own-token"]);
    let count = whole.changes().len();
    assert!(count >= 8, "{count}");
    for number in 1..=count {
        for when in ["before", "after"] {
            let site = Site::new();
            site.stand_in(&format!("kill = {number} {when}"));
            let me = format!("user:{}", nix::unistd::Uid::effective());
            let words = ["--member", &me, "--guests", "101", "--own-token"];
            assert_eq!(site.setup(&words).code, None, "killed at {number} {when}");
            site.stand_in("");
            let ran = site.setup(&words);
            assert_eq!(ran.code, Some(0), "{number} {when}: {}", ran.err);
            assert_eq!(plain(site.access()), plain(whole.access()), "{number} {when}");
            for token in ["pve-token", "pve-token-operator"] {
                assert_eq!(site.rights(token), whole.rights(token), "{number} {when} {token}");
            }
            site.stand_in("");
            assert!(site.setup(&words).out.contains("nothing to do"), "{number} {when}");
        }
    }
}

/// At no call is the token in the file one without its rights, as the daemon reads it at once.
#[test]
fn a_rotation_that_is_killed_leaves_a_token_with_its_rights_and_the_next_one_ends_it() {
    let mut site = Site::new();
    site.set_up(&["--profile", "observe"]);
    site.start();
    let (access, rights) = (plain(site.access()), site.rights("pve-token"));
    for number in 1..=4 {
        for when in ["before", "after"] {
            site.stand_in(&format!("kill = {number} {when}"));
            assert_eq!(site.calling(&["token", "rotate", "--yes"]).code, None, "{number} {when}");
            assert_eq!(site.rights("pve-token"), rights, "{number} {when}");
            site.stand_in("");
            let ran = site.calling(&["token", "rotate", "--yes"]);
            assert_eq!(ran.code, Some(0), "{number} {when}: {}", ran.err);
            assert_eq!(site.rights("pve-token"), rights, "{number} {when}");
            assert_eq!((site.tokens().len(), plain(site.access())), (1, access.clone()), "{number} {when}");
        }
    }
}

/// A role that was written into the configuration by hand: its rights are not in PVE until something makes them.
const EDITED: &str =
    "\n[[role]]\nname = 'x'\nmembers = ['user:alice']\nprofile = 'operate'\ndeny = ['PUT /access/acl']\n";

#[test]
fn a_rotation_makes_the_roles_that_the_configuration_has_by_now_before_any_token() {
    let site = Site::new();
    site.set_up(&["--profile", "observe"]);
    let (before, file) = (site.rights("pve-token"), site.path("provost.toml"));
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}{EDITED}")).unwrap();
    for number in 1.. {
        site.stand_in(&format!("refuse = {number}"));
        let ran = site.calling(&["token", "rotate", "--yes", "--offline"]);
        let rights = site.rights("pve-token");
        assert!(before["/"].is_subset(&rights["/"]), "{number}: {rights:?}");
        if ran.code == Some(0) {
            assert!(number > 4 && rights["/"].contains("VM.PowerMgmt"), "{number}: {rights:?}");
            break;
        }
    }
    assert_eq!(site.tokens().len(), 1, "{:?}", site.tokens());
    site.stand_in("");
    assert!(site.setup(&[]).out.contains("nothing to do"));
}

#[test]
fn the_exit_code_says_whether_anything_was_changed() {
    let site = Site::new();
    let before = site.access();
    site.sim.fault(Fault::NoQuorum);
    let words = ["--member", "user:alice"];
    let ran = site.setup(&words);
    assert!(ran.code == Some(2) && ran.err.contains("no quorum"), "{:?} {}", ran.code, ran.err);
    assert!(!ran.err.contains("stands") && site.access() == before, "{}", ran.err);
    assert!(!fs::read_to_string(site.path("provost.toml")).unwrap().contains("alice"));
    site.sim.heal();
    site.stand_in("refuse = 2");
    let ran = site.setup(&words);
    assert!(ran.code == Some(1) && ran.err.contains("what was done before it stands"), "{}", ran.err);
    site.stand_in("");
    assert_eq!(site.setup(&words).code, Some(0));
    site.sim.fault(Fault::NoQuorum);
    for words in [&["uninstall", "--yes"][..], &["token", "rotate", "--yes", "--offline"]] {
        let ran = site.calling(words);
        assert!(ran.code == Some(2) && !ran.err.contains("stands"), "{words:?}: {:?} {}", ran.code, ran.err);
    }
}
