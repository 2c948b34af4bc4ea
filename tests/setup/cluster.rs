//! Two nodes of one cluster: users, roles and access lists are the same for both, and each node's setup keeps to its own.

use std::fs;

use provost::sim::estate::access::Holder;

use crate::site::Site;

const START: (&str, &str, &str) = ("POST", "/nodes/pve1/lxc/101/status/start", "");
const MEMORY: (&str, &str, &str) = ("PUT", "/nodes/pve1/lxc/101/config", "memory=640");

/// Whether PVE lets the token of a node's file start a container, and change one.
fn may(site: &Site) -> [bool; 2] {
    [START, MEMORY].map(|(method, path, form)| {
        let status = site.status("pve-token", method, path, form);
        assert_ne!(status, 401, "{} has no token any more", site.node);
        status != 403
    })
}

/// What each of two may goes on, whatever the other does; in the end nothing of either is left.
fn live_together(pve1: &Site, pve2: &Site, user: &[&str]) {
    let before = pve1.access();
    let with = |words: &[&'static str]| {
        [words, user].concat().iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()
    };
    let set_up = |site: &Site, words: &[&'static str]| {
        let words = with(words);
        site.set_up(&words.iter().map(String::as_str).collect::<Vec<_>>());
    };
    let both = |when: &str| {
        assert_eq!(may(pve1), [true, true], "{when}");
        assert_eq!(may(pve2), [true, false], "{when}");
    };
    set_up(pve1, &["--profile", "provision", "--guests", "101"]);
    set_up(pve2, &["--profile", "operate"]);
    both("set up");
    for _ in 0..2 {
        for site in [pve1, pve2] {
            let ran = site.setup(user);
            assert_eq!(ran.code, Some(0), "{}", ran.err);
        }
        both("again");
    }
    for site in [pve1, pve2] {
        site.stand_in("");
        let ran = site.setup(&[]);
        assert!(ran.out.contains("nothing to do") && site.changes().is_empty(), "{}: {}", site.node, ran.out);
        let file = fs::read_to_string(site.path("pve-token")).unwrap();
        for _ in 0..2 {
            let ran = site.calling(&["token", "rotate", "--yes", "--offline"]);
            assert_eq!(ran.code, Some(0), "{}: {}", site.node, ran.err);
            both("rotated");
        }
        assert_ne!(fs::read_to_string(site.path("pve-token")).unwrap(), file);
    }
    // The roles of one become others.
    set_up(pve2, &["--profile", "observe"]);
    assert_eq!((may(pve1), may(pve2)), ([true, true], [false, false]));
    set_up(pve2, &["--profile", "operate"]);
    both("changed");
    let ran = pve1.calling(&["uninstall", "--yes"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(may(pve2), [true, false], "{}", ran.out);
    set_up(pve1, &["--profile", "provision", "--guests", "101"]);
    both("one is there again");
    for site in [pve2, pve1] {
        let ran = site.calling(&["uninstall", "--yes"]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    }
    assert_eq!(pve1.access(), before);
}

#[test]
fn each_node_of_a_cluster_has_a_user_and_roles_of_its_own() {
    let pve1 = Site::new();
    let pve2 = Site::beside(&pve1, "pve2");
    live_together(&pve1, &pve2, &[]);
}

#[test]
fn nodes_that_are_told_to_share_a_user_leave_each_others_tokens_and_roles_alone() {
    let pve1 = Site::new();
    let pve2 = Site::beside(&pve1, "pve2");
    live_together(&pve1, &pve2, &["--user", "agents@pve"]);
}

/// What setup made before names had the node's in them.
fn as_it_was_once(site: &Site) {
    let (user, old) = (site.user(), "provost@pve");
    let renamed = |text: &str| {
        text.replace(&user, old).replace("Provost-pve1.", "Provost.").replace("setup on pve1:", "setup:")
    };
    site.sim.with_estate(|estate| {
        let access = estate.access_mut();
        let mut moved = access.users.remove(&user).unwrap();
        moved.tokens.values_mut().for_each(|token| token.comment = token.comment.as_deref().map(renamed));
        access.users.insert(old.to_owned(), moved);
        let roles = std::mem::take(&mut access.roles);
        access.roles = roles.into_iter().map(|(name, held)| (renamed(&name), held)).collect();
        for holders in access.acl.values_mut() {
            let now = std::mem::take(holders).into_iter().map(|(holder, roles)| {
                let holder = match holder {
                    Holder::User(name) => Holder::User(renamed(&name)),
                    Holder::Token(name) => Holder::Token(renamed(&name)),
                    group => group,
                };
                (holder, roles.into_iter().map(|(role, below)| (renamed(&role), below)).collect())
            });
            *holders = now.collect();
        }
    });
    let file = site.path("pve-token");
    let text = renamed(&fs::read_to_string(&file).unwrap());
    fs::remove_file(&file).unwrap();
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
}

#[test]
fn what_was_made_under_the_old_names_goes_on_and_another_node_leaves_it_alone() {
    let pve1 = Site::new();
    let before = pve1.access();
    pve1.set_up(&["--profile", "provision"]);
    as_it_was_once(&pve1);
    let (access, rights) = (pve1.access(), pve1.rights("pve-token"));
    assert!(access.contains("user:provost@pve:") && !access.contains("pve1"), "{access}");
    pve1.stand_in("");
    assert!(pve1.setup(&[]).out.contains("nothing to do") && pve1.changes().is_empty());
    let pve2 = Site::beside(&pve1, "pve2");
    pve2.set_up(&["--profile", "operate"]);
    assert_eq!((pve1.rights("pve-token"), may(&pve2)), (rights.clone(), [true, false]));
    let ran = pve1.calling(&["token", "rotate", "--yes", "--offline"]);
    assert_eq!((ran.code, pve1.rights("pve-token"), may(&pve2)), (Some(0), rights.clone(), [true, false]));
    assert!(fs::read_to_string(pve1.path("pve-token")).unwrap().starts_with("provost@pve!provost-2="));
    // A node that is told to use that user keeps to its own in it.
    let pve3 = Site::beside(&pve1, "pve3");
    pve3.set_up(&["--profile", "operate", "--user", "provost@pve"]);
    for site in [&pve1, &pve3] {
        assert_eq!(site.setup(&[]).code, Some(0));
        assert_eq!((pve1.rights("pve-token"), may(&pve3)), (rights.clone(), [true, false]));
    }
    for site in [&pve3, &pve2, &pve1] {
        assert_eq!(pve1.rights("pve-token"), rights, "{}", site.node);
        assert_eq!(site.calling(&["uninstall", "--yes"]).code, Some(0));
    }
    assert_eq!(pve1.access(), before);
}

/// As two nodes were left that were set up one after the other before: the second took the first one's token away.
#[test]
fn a_node_whose_token_another_took_away_makes_one_and_takes_none() {
    let pve1 = Site::new();
    pve1.set_up(&["--profile", "provision"]);
    as_it_was_once(&pve1);
    let pve2 = Site::beside(&pve1, "pve2");
    let file = fs::read_to_string(pve1.path("pve-token")).unwrap();
    fs::write(pve2.path("pve-token"), file.replace("!provost=", "!gone=")).unwrap();
    pve2.set_up(&["--profile", "operate"]);
    assert_eq!((may(&pve1), may(&pve2)), ([true, true], [true, false]));
    // Nor does it hold up one whose user is gone as well.
    let pve3 = Site::beside(&pve1, "pve3");
    fs::write(pve3.path("pve-token"), file.replace("provost@pve!", "agents@pve!")).unwrap();
    pve3.set_up(&["--profile", "operate"]);
    assert_eq!((may(&pve1), may(&pve3)), ([true, true], [true, false]));
}
