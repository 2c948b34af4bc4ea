//! A plan that waits is announced once: an entry in the log, and one mail to root, whatever else fails to be mailed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::house::{House, apply, error, plan};

const CONFIG: &str = "/nodes/pve1/lxc/101/config";

#[test]
fn a_plan_that_waits_is_mailed_to_root_once_even_where_the_next_cannot_be() {
    let house = House::of("profile = \"full\"\napproval = [\"change\"]");
    let dir = house.dir.path();
    let (told, mails, full) = (dir.join("told"), dir.join("mails"), dir.join("full"));
    // Takes a mail, or says that there is no room.
    let program = dir.join("sendmail");
    let script = format!("#!/bin/sh\n[ ! -e {} ] || exit 75\ncat >> {}\n", full.display(), mails.display());
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let (told_at, program) = (told.to_str().unwrap(), program.to_str().unwrap());
    let announce = || house.provost(&["announce", "--told", told_at, "--sendmail", program]).0;
    let count = || fs::read_to_string(&mails).unwrap_or_default().matches("Subject: Provost: plan ").count();
    let mut client = house.client();
    let id = plan(&mut client, "PUT", CONFIG, json!({ "memory": 1024 }));
    assert!(dir.join("waiting").exists(), "the bell that the path unit watches");
    assert!(announce() && announce());
    assert_eq!(count(), 1);
    // To try to apply it announces nothing anew.
    assert_eq!(error(&mut client, "apply", apply(&id)), "needs_approval");
    assert!(announce());
    let other = plan(&mut client, "PUT", CONFIG, json!({ "memory": 2048 }));
    fs::write(&full, "").unwrap();
    assert!(!announce());
    fs::remove_file(&full).unwrap();
    assert!(announce() && announce());
    assert_eq!(count(), 2);
    let all = fs::read_to_string(&mails).unwrap();
    for id in [&id, &other] {
        let approve = format!("provost approve {}", id.as_str().unwrap());
        assert_eq!(all.matches(&approve).count(), 1, "{all}");
    }
    assert_eq!(house.log().matches("waits for approval until").count(), 2);
}
