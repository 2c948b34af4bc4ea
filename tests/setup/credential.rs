//! A token that is a credential of systemd's: sealed, lying open, or sealed by a key that is gone.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::site::{Ran, Site};

const SEALED: &str = "credstore.encrypted/pve-token";

/// What the daemon would be given, as a file beside it.
fn opened(site: &Site) -> &'static str {
    let text = fs::read_to_string(site.path(SEALED)).unwrap();
    fs::write(site.path("opened"), text.split_once('\n').unwrap().1).unwrap();
    "opened"
}

fn sealed() -> Site {
    let site = Site::new();
    site.has_creds("first");
    site.set_up(&["--store", "credential"]);
    assert_eq!(site.status(opened(&site), "GET", "/version", ""), 200);
    assert_eq!(fs::read_to_string(site.path("credentials")).unwrap(), "pve-token\n");
    site
}

fn good(ran: &Ran) {
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.err);
}

#[test]
fn one_that_this_host_cannot_decrypt_any_more_is_replaced_and_can_be_taken_back() {
    let site = sealed();
    site.has_creds("second");
    let ran = site.calling(&["token", "rotate", "--yes", "--offline"]);
    assert!(
        ran.code == Some(2) && ran.err.contains("Bad message") && ran.err.contains("provost setup"),
        "{}",
        ran.err
    );
    let ran = site.calling(&["uninstall", "--dry-run"]);
    good(&ran);
    assert!(ran.out.contains(&format!("rm {}", site.path(SEALED).display())), "{}", ran.out);
    let ran = site.setup(&[]);
    good(&ran);
    assert!(ran.out.contains("cannot be decrypted on this host"), "{}", ran.out);
    assert_eq!(
        (site.status(opened(&site), "GET", "/version", ""), site.tokens()),
        (200, vec!["provost-2".to_owned()])
    );
    assert!(site.setup(&[]).out.contains("nothing to do"));
    // One that a person sealed is not setup's to remove.
    site.has_creds("third");
    fs::remove_file(site.path("credentials")).unwrap();
    let ran = site.calling(&["uninstall", "--yes"]);
    good(&ran);
    assert!(ran.out.contains("did not seal it") && site.path(SEALED).exists(), "{}", ran.out);
}

#[test]
fn where_systemd_cannot_encrypt_no_token_is_made_and_the_other_way_is_named() {
    let site = Site::new();
    let me = format!("user:{}", nix::unistd::Uid::effective());
    let program = site.path("systemd-creds");
    fs::write(&program, "#!/bin/sh\necho 'Failed to set up host key: Read-only file system' >&2\nexit 1\n")
        .unwrap();
    fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let ran = site.setup(&["--member", &me, "--store", "credential"]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("Read-only file system") && ran.err.contains("--store file"), "{}", ran.err);
    assert!(site.tokens().is_empty() && !site.path(SEALED).exists());
    good(&site.setup(&["--member", &me, "--store", "file"]));
    assert_eq!((site.status("pve-token", "GET", "/version", ""), site.tokens().len()), (200, 1));
}

#[test]
fn one_that_pve_refuses_is_made_anew() {
    let site = sealed();
    assert!(site.setup(&[]).out.contains("nothing to do"));
    site.sim.with_estate(|estate| {
        let user = estate.access_mut().users.get_mut(&site.user()).unwrap();
        user.tokens.get_mut("provost").unwrap().secret = "00000000-0000-4000-8000-00000000000f".into();
    });
    good(&site.setup(&[]));
    assert_eq!(
        (site.status(opened(&site), "GET", "/version", ""), site.tokens()),
        (200, vec!["provost-2".to_owned()])
    );
}

#[test]
fn a_start_that_ends_sessions_is_shown_before_it_is_made() {
    const LINE: &str = "systemctl try-restart provost.service";
    let site = Site::new();
    site.has_creds("first");
    site.has_systemctl();
    let me = format!("user:{}", nix::unistd::Uid::effective());
    let dry = site.setup(&["--member", &me, "--store", "credential", "--dry-run"]);
    assert!(dry.out.contains(LINE) && site.asked().is_empty(), "{}", dry.out);
    good(&site.setup(&["--member", &me, "--store", "credential"]));
    assert_eq!(site.asked(), "try-restart provost.service\n");
    let ran = site.setup(&["--role", "dev", "--member", "user:alice"]);
    good(&ran);
    assert!(!ran.out.contains(LINE), "{}", ran.out);
    assert_eq!(site.asked(), "try-reload-or-restart provost.service\n");
    let dry = site.calling(&["token", "rotate", "--dry-run"]);
    good(&dry);
    assert!(dry.out.contains(LINE) && site.asked().is_empty(), "{}", dry.out);
    good(&site.calling(&["token", "rotate", "--yes", "--offline"]));
    assert_eq!(site.asked(), "try-restart provost.service\n");
}

#[test]
fn it_is_put_back_into_a_file_where_that_is_asked_for() {
    let site = sealed();
    let ran = site.setup(&["--store", "file"]);
    good(&ran);
    // The daemon uses the one before until it has started anew.
    let at = |call: &str| ran.out.find(call).unwrap_or_else(|| panic!("{call}: {}", ran.out));
    assert!(at("$ write") < at("$ pveum user token remove"), "{}", ran.out);
    let config = fs::read_to_string(site.path("provost.toml")).unwrap();
    let file = site.path("pve-token");
    assert!(config.contains(&format!("token = \"{}\"", file.display())), "{config}");
    assert_eq!((site.status("pve-token", "GET", "/version", ""), site.tokens().len()), (200, 1));
    assert!(!site.path(SEALED).exists() && !site.path("credentials").exists());
    assert!(site.setup(&["--store", "file"]).out.contains("nothing to do"));
}

#[test]
fn what_systemd_was_told_goes_with_what_it_was_told_for() {
    let site = sealed();
    good(&site.setup(&["--role", "dev", "--member", "user:alice", "--own-token"]));
    let drop_in = site.path("drop-ins/provost-setup.conf");
    assert!(fs::read_to_string(&drop_in).unwrap().contains("LoadCredentialEncrypted=pve-token-dev\n"));
    let (file, own) = (site.path("provost.toml"), site.path("own"));
    let named = fs::read_to_string(&file).unwrap();
    fs::write(&file, named.replace("\"pve-token-dev\"", &format!("{own:?}"))).unwrap();
    good(&site.setup(&[]));
    assert!(!drop_in.exists() && !site.path("drop-ins").exists());
    // Uninstalled as well, and a file of somebody else's beside it stays.
    fs::write(&file, named).unwrap();
    good(&site.setup(&[]));
    fs::write(site.path("drop-ins/mine.conf"), "[Service]\n").unwrap();
    assert!(drop_in.exists());
    good(&site.calling(&["uninstall", "--yes"]));
    assert!(!drop_in.exists() && site.path("drop-ins/mine.conf").exists());
    assert!(!site.path(SEALED).exists() && !site.path("credentials").exists());
}

#[test]
fn one_that_lies_open_on_a_host_without_a_key_is_used_and_rotated_where_it_lies() {
    let site = Site::new();
    site.set_up(&["--profile", "observe"]);
    let (file, plain) = (site.path("pve-token"), site.path("credstore/pve-token"));
    fs::create_dir(site.path("credstore")).unwrap();
    fs::rename(&file, &plain).unwrap();
    let config = fs::read_to_string(site.path("provost.toml")).unwrap();
    fs::write(site.path("provost.toml"), config.replace(&format!("{file:?}"), "\"pve-token\"")).unwrap();
    let ran = site.setup(&[]);
    assert!(ran.out.contains("nothing to do"), "{}{}", ran.out, ran.err);
    good(&site.calling(&["token", "rotate", "--yes", "--offline"]));
    assert_eq!(
        (site.status("credstore/pve-token", "GET", "/version", ""), site.tokens()),
        (200, vec!["provost-2".to_owned()])
    );
    assert_eq!(fs::metadata(&plain).unwrap().permissions().mode() & 0o777, 0o400);
    assert!(!site.path("credstore.encrypted").exists());
    good(&site.calling(&["uninstall", "--yes"]));
    assert!(!plain.exists());
}
