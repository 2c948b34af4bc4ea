//! Storages that name a Backup Server: what is said of one that is well, and each fault by its name.

use provost::sim::estate::Estate;
use provost::sim::estate::now;
use provost::sim::estate::sections::Section;
use provost::sim::estate::volume::{Remote, Volume};
use serde_json::{Value, json};

use crate::cluster::{healthy, probes, site};
use crate::{diagnose, names, titles};

const DAY: u64 = 86_400;
const FINGERPRINT: &str =
    "64:d3:ff:3a:50:38:53:5a:9b:f7:50:33:cb:a6:1e:c7:8d:2f:0e:e3:1b:c0:93:22:4e:6a:00:19:8c:ff:11:ab";
const KEY: &str =
    "d4:ce:5e:7a:09:31:aa:10:d4:ce:5e:7a:09:31:aa:10:d4:ce:5e:7a:09:31:aa:10:d4:ce:5e:7a:09:31:aa:10";

/// As PVE has one in storage.cfg: the password and the key lie elsewhere, and of the key its fingerprint is here.
fn storage() -> Section {
    Section::new(
        "pbs",
        "vault",
        &[
            ("datastore", "tank"),
            ("server", "192.0.2.30"),
            ("content", "backup"),
            ("encryption-key", KEY),
            ("fingerprint", FINGERPRINT),
            ("namespace", "team"),
            ("prune-backups", "keep-all=1"),
            ("username", "alice@pbs!pve"),
        ],
    )
}

fn saved(vmid: u32, created: u64) -> Volume {
    Volume {
        storage: "vault".to_owned(),
        name: format!("backup/vm/{vmid}/2026-10-01T02:00:00Z"),
        content: "backup",
        format: "pbs-vm".to_owned(),
        size: 1 << 30,
        used: 1 << 30,
        created,
        vmid: Some(vmid),
        ..Volume::default()
    }
}

/// The healthy cluster, whose guests are saved to a Backup Server as well.
fn with_server(newest: u64) -> Estate {
    let mut estate = healthy();
    estate.sections_mut("storage.cfg").list.push(storage());
    let guests: Vec<u32> = estate.guests().map(|guest| guest.vmid).collect();
    for vmid in guests {
        estate.add_volume(saved(vmid, newest));
    }
    let remote = Remote { total: 10 << 40, used: 2 << 40, refuses: None };
    estate.remotes.insert("vault".to_owned(), remote);
    estate
}

fn well() -> Estate {
    with_server(now() - 30_000)
}

fn remote(estate: &mut Estate) -> &mut Remote {
    estate.remotes.get_mut("vault").expect("the server")
}

fn silent(why: &str, node: Option<&'static str>) -> Estate {
    let mut estate = well();
    remote(&mut estate).refuses = Some((why.to_owned(), node));
    estate
}

const REFUSED: &str = "error fetching datastores - 500 Can't connect to 192.0.2.30:8007 (Connection refused)";

#[test]
fn one_that_is_well_gets_no_flag_and_is_described() {
    let (_site, mut client) = site(well());
    for subject in ["node/pve1", "cluster"] {
        let answer = diagnose(&mut client, subject);
        assert_eq!(titles(&answer), Vec::<String>::new(), "{subject}: {answer:#}");
        let missing: &[&str] = if subject == "cluster" { &[] } else { &["node_dns"] };
        assert_eq!(probes(&answer), missing, "{answer:#}");
        let said = answer["evidence"]["backup_servers"].as_str().expect("evidence").to_owned();
        for words in [
            "storage vault (datastore tank, namespace team of Backup Server 192.0.2.30): reached",
            "known by a fingerprint",
            "20 % full",
            "newest backup 20",
            "has one of the last 8 days",
            "Provost installed on such a server",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
}

#[test]
fn one_that_does_not_answer_is_named_with_what_pve_was_told() {
    let (_site, mut client) = site(silent(REFUSED, None));
    let answer = diagnose(&mut client, "node/pve1");
    let words = [
        "critical",
        "storage vault (datastore tank, namespace team of Backup Server 192.0.2.30) cannot be reached",
    ];
    names(&answer, &words);
    let flags = answer["flags"].as_array().expect("flags");
    assert_eq!(flags.len(), 1, "what one fault is, is said once: {answer:#}");
    let evidence = flags[0]["evidence"].as_str().expect("evidence");
    assert!(
        evidence.starts_with("on pve1: PVE says: ") && evidence.contains("Connection refused"),
        "{evidence}"
    );
    assert_eq!(flags[0]["next"], "find: which backup servers this node uses");
}

/// Reached by two of three nodes, which is the third's fault: the cluster's diagnosis says which.
#[test]
fn a_node_that_alone_cannot_reach_it_is_named() {
    let (_site, mut client) = site(silent(REFUSED, Some("pve2")));
    let answer = diagnose(&mut client, "cluster");
    names(&answer, &["critical", "vault", "cannot be reached"]);
    let evidence = answer["flags"][0]["evidence"].as_str().expect("evidence");
    assert!(evidence.starts_with("on pve2: "), "{evidence}");
    let said = answer["evidence"]["backup_servers"].as_str().expect("evidence");
    assert!(said.contains("reached") && said.contains("newest backup"), "{said}");
    let (_site, mut client) = site(silent(REFUSED, None));
    let answer = diagnose(&mut client, "cluster");
    assert_eq!(titles(&answer).len(), 1, "the same on three nodes is one fault: {answer:#}");
    assert!(
        answer["flags"][0]["evidence"].as_str().expect("evidence").starts_with("on pve1, pve2, pve3: "),
        "{answer:#}"
    );
}

#[test]
fn why_it_is_not_reached_is_told_apart() {
    for (why, words) in [
        ("error fetching datastores - 401 Unauthorized", "is refused"),
        ("Cannot find datastore 'tank', check permissions and existence!", "is refused"),
        (
            "error fetching datastores - fingerprint 'AA:BB' not verified, abort!",
            "shows another certificate than the one that is expected",
        ),
        (
            "error fetching datastores - 500 Can't connect to 192.0.2.30:8007 (Connection timed out)",
            "cannot be reached",
        ),
    ] {
        let (_site, mut client) = site(silent(why, None));
        names(&diagnose(&mut client, "node/pve1"), &["critical", "vault", words]);
    }
}

#[test]
fn a_storage_without_a_fingerprint_says_so_where_it_matters() {
    let mut estate = silent(
        "error fetching datastores - 500 Can't connect to 192.0.2.30:8007 (certificate verify failed)",
        None,
    );
    let storages = estate.sections_mut("storage.cfg");
    storages.find_mut("vault").expect("the storage").values.shift_remove("fingerprint");
    let (_site, mut client) = site(estate);
    let answer = diagnose(&mut client, "node/pve1");
    names(&answer, &["critical", "vault", "certificate"]);
    assert!(
        answer["flags"][0]["evidence"].as_str().expect("evidence").contains("no fingerprint is set"),
        "{answer:#}"
    );
}

#[test]
fn one_that_is_nearly_full_is_named_once() {
    for (used, sign) in [(95, "critical"), (87, "warning")] {
        let mut estate = well();
        *remote(&mut estate) = Remote { total: 100 << 30, used: used << 30, refuses: None };
        let (_site, mut client) = site(estate);
        for subject in ["node/pve1", "cluster"] {
            let answer = diagnose(&mut client, subject);
            let share = format!("{used} % full");
            names(&answer, &[sign, "datastore tank", "192.0.2.30", &share]);
            assert_eq!(titles(&answer).len(), 1, "{answer:#}");
        }
    }
}

/// The guests have backups of last night elsewhere: it is the server that is behind, and nothing is said of them.
#[test]
fn one_to_which_nothing_was_saved_for_eight_days_is_named() {
    let (_site, mut client) = site(with_server(now() - 9 * DAY));
    for subject in ["node/pve1", "cluster"] {
        let answer = diagnose(&mut client, subject);
        names(&answer, &["warning", "nothing was saved", "datastore tank", "9 days"]);
        assert_eq!(titles(&answer).len(), 1, "{answer:#}");
        let evidence = answer["flags"][0]["evidence"].as_str().expect("evidence");
        assert!(evidence.contains("without one there in 8 days: 10"), "{evidence}");
    }
    let (_site, mut client) = site(with_server(now() - 7 * DAY));
    assert_eq!(titles(&diagnose(&mut client, "node/pve1")), Vec::<String>::new());
}

#[test]
fn one_that_shows_no_backup_is_not_called_well() {
    let mut estate = well();
    estate.volumes.retain(|volume| volume.storage != "vault");
    let (_site, mut client) = site(estate);
    let answer = diagnose(&mut client, "node/pve1");
    assert_eq!(titles(&answer), Vec::<String>::new(), "{answer:#}");
    assert!(probes(&answer).contains(&"backup_servers"), "{answer:#}");
}

#[test]
fn a_disabled_storage_is_no_fault() {
    let mut estate = silent(REFUSED, None);
    let storages = estate.sections_mut("storage.cfg");
    storages.find_mut("vault").expect("the storage").values.insert("disable".to_owned(), "1".to_owned());
    let (_site, mut client) = site(estate);
    for subject in ["node/pve1", "cluster"] {
        assert_eq!(titles(&diagnose(&mut client, subject)), Vec::<String>::new(), "{subject}");
    }
}

/// What a reader of the list wants of such a storage, and no key whatever is asked for.
#[test]
fn the_list_of_storages_tells_the_server_and_no_key() {
    let (_site, mut client) = site(well());
    let mut read = |args: Value| {
        let result = client.call("read", args);
        assert_ne!(result["isError"], true, "{result}");
        result["structuredContent"]["data"].clone()
    };
    let rows = read(json!({ "path": "/storage", "where": "type = pbs" }));
    assert_eq!(
        rows,
        json!([{
            "storage": "vault", "type": "pbs", "content": "backup", "server": "192.0.2.30", "datastore": "tank",
            "namespace": "team", "username": "alice@pbs!pve", "fingerprint": FINGERPRINT, "prune-backups": "keep-all=1"
        }])
    );
    for asked in ["*", "encryption-key"] {
        let all = read(json!({ "path": "/storage", "args": { "type": "pbs" }, "fields": [asked] }));
        assert!(!all.to_string().contains(KEY), "{all}");
    }
    let one = read(json!({ "path": "/storage/vault" }));
    assert!(!one.to_string().contains(KEY) && one["fingerprint"] == FINGERPRINT, "{one}");
}
