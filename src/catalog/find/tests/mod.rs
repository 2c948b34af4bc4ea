use super::{Finder, GetByWords, Guest, GuestKind, Known, NoGet, document};
use crate::catalog::testing::{catalog, catalogs, real_catalogs};
use crate::catalog::{Catalog, Method, Release};

struct Case {
    words: &'static str,
    right: Vec<String>,
}

fn cases(text: &'static str) -> Vec<Case> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let case = |line: &'static str| {
        let (words, right) = line.split_once('|').expect(line);
        let right = right
            .split(';')
            .map(str::trim)
            .flat_map(|right| ["lxc", "qemu"].map(|kind| right.replace("{kind}", kind)));
        Case { words: words.trim(), right: right.collect() }
    };
    lines.map(case).collect()
}

/// What can be right in a catalogue at all: older releases have fewer endpoints.
fn answerable(catalog: &Catalog, cases: Vec<Case>) -> Vec<Case> {
    let has = |right: &String| {
        let (method, path) = right.split_once(' ').expect(right);
        catalog.template(Method::from_name(method).expect(right), path).is_some()
    };
    cases.into_iter().filter(|case| case.right.iter().any(has)).collect()
}

/// Of how many the right answer is first, and in the first three; misses are printed.
fn score(catalog: &Catalog, finder: &Finder, cases: &[Case], misses: bool) -> (f64, f64) {
    let (mut first, mut three) = (0, 0);
    for case in cases {
        let found = finder.search(catalog, case.words);
        let names: Vec<String> = found
            .iter()
            .take(5)
            .map(|found| {
                let endpoint = &catalog.endpoints()[found.endpoint];
                format!("{} {}", endpoint.method, endpoint.path)
            })
            .collect();
        let place = names.iter().position(|name| case.right.contains(name));
        first += usize::from(place == Some(0));
        three += usize::from(place.is_some_and(|place| place < 3));
        if misses && place != Some(0) {
            let shown: Vec<String> =
                found.iter().zip(&names).map(|(found, name)| format!("{name} {:.2}", found.score)).collect();
            println!(
                "{:?}: \"{}\" wants {}\n    got {}",
                place,
                case.words,
                case.right[0],
                shown.join("\n        ")
            );
        }
    }
    let share = |count: usize| count as f64 / cases.len() as f64;
    println!("{} phrasings: first {:.3}, in three {:.3}", cases.len(), share(first), share(three));
    (share(first), share(three))
}

#[test]
fn what_people_type_finds_what_they_mean() {
    for (release, catalog) in catalogs().iter().rev().chain(&real_catalogs()) {
        println!(
            "PVE {}, prose: {}",
            release.name(),
            catalog.endpoints().iter().any(|e| !e.description.is_empty())
        );
        let cases = answerable(catalog, cases(include_str!("queries.txt")));
        let (first, three) = score(catalog, &Finder::new(catalog), &cases, *release == Release::LATEST);
        assert!(first >= 0.9 && three >= 0.98, "first {first:.3}, in three {three:.3}");
    }
}

#[test]
fn what_somebody_else_types_finds_what_they_mean() {
    let catalog = catalog(Release::LATEST);
    let cases = answerable(catalog, cases(include_str!("unseen.txt")));
    let (first, three) = score(catalog, &Finder::new(catalog), &cases, true);
    assert!(first >= 0.9 && three >= 0.98, "first {first:.3}, in three {three:.3}");
}

#[test]
fn what_a_third_one_types_finds_what_they_mean() {
    let catalog = catalog(Release::LATEST);
    let cases = answerable(catalog, cases(include_str!("unseen_three.txt")));
    let (first, three) = score(catalog, &Finder::new(catalog), &cases, true);
    assert!(first >= 0.95 && three >= 0.98, "first {first:.3}, in three {three:.3}");
}

#[test]
fn what_a_fourth_one_types_finds_what_they_mean() {
    let catalog = catalog(Release::LATEST);
    let cases = answerable(catalog, cases(include_str!("unseen_four.txt")));
    let (first, three) = score(catalog, &Finder::new(catalog), &cases, true);
    assert!(first >= 0.9 && three >= 0.97, "first {first:.3}, in three {three:.3}");
}

/// Written before the tables and kept from them: how well they do on what nobody thought of.
#[test]
fn phrasings_that_no_table_was_tuned_on_are_mostly_found() {
    let catalog = catalog(Release::LATEST);
    let cases = cases(include_str!("held_out.txt"));
    let (first, three) = score(catalog, &Finder::new(catalog), &cases, false);
    assert!(first >= 0.8 && three >= 0.9, "first {first:.3}, in three {three:.3}");
}

fn as_get(words: &str) -> Result<GetByWords, NoGet> {
    let catalog = catalog(Release::LATEST);
    Finder::new(catalog).as_get(catalog, words, &Known::default())
}

#[test]
fn words_for_a_read_become_its_path() {
    for (words, path) in [
        ("config of vm 100", "/nodes/{node}/qemu/100/config"),
        ("status of container 105 on node pve1", "/nodes/pve1/lxc/105/status/current"),
        ("snapshots of ct 105", "/nodes/{node}/lxc/105/snapshot"),
        ("backup jobs", "/cluster/backup"),
        ("what is on storage local-lvm", "/nodes/{node}/storage/local-lvm/content"),
        ("api tokens of alice@pve", "/access/users/alice@pve/token"),
        (
            "log of UPID:pve1:00002578:00074193:6B012E72:qmcreate:110:root@pam:",
            "/nodes/pve1/tasks/UPID%3Apve1%3A00002578%3A00074193%3A6B012E72%3Aqmcreate%3A110%3Aroot@pam%3A/log",
        ),
    ] {
        assert_eq!(as_get(words).map(|get| get.found.path), Ok(path.to_owned()), "{words}");
    }
}

#[test]
fn words_that_would_change_something_are_no_read() {
    for (words, path) in [
        ("delete vm 100", "/nodes/{node}/qemu/100"),
        ("nuke container 105", "/nodes/{node}/lxc/105"),
        ("stop vm 100", "/nodes/{node}/qemu/100/status/stop"),
        ("snapshot ct 105", "/nodes/{node}/lxc/105/snapshot"),
        ("show vm 100 then delete vm 100", "/nodes/{node}/qemu/100"),
    ] {
        match as_get(words) {
            Err(NoGet::Mutation { found, .. }) => assert_eq!(found.path, path, "{words}"),
            other => panic!("{words}: {other:?}"),
        }
    }
    for words in ["nuke everything", "wipe all backups", "destroy everything on pve1"] {
        assert!(as_get(words).is_err(), "{words}: {:?}", as_get(words));
    }
    assert!(matches!(as_get("read file in vm 100 by guest agent"), Err(NoGet::Acts { .. })));
    assert_eq!(as_get("qqqqqq zzzzzz"), Err(NoGet::Nothing));
    assert_eq!(as_get(""), Err(NoGet::Nothing));
}

#[test]
fn what_was_done_or_may_be_done_is_asked_and_not_ordered() {
    for (words, path) in [
        ("what was deleted yesterday", "/nodes/{node}/tasks"),
        ("who can delete vm 100", "/access/acl"),
        ("who may start and stop vm 100", "/access/acl"),
        ("is backup of 100 done", "/nodes/{node}/tasks"),
        ("why did vm 100 stop", "/nodes/{node}/tasks"),
        ("list of removed nodes", "/nodes"),
        ("can you show me deleted backups", "/nodes/{node}/storage/{storage}/content"),
    ] {
        assert_eq!(as_get(words).map(|get| get.found.path).as_deref(), Ok(path), "{words}");
    }
    for words in [
        "show stopped guests",
        "when was ct 105 migrated",
        "which snapshots were rolled back",
        "show status and start time of vm 100",
        "cpu and disk use of pve1",
        "list backup and restore tasks",
        "list ha groups and resources",
        "which guests have backup or replication",
        "show snapshots, backups and clones of vm 100",
        "suspended guests",
        "restore log",
        "start time of vm 102",
        "resize history vm 102",
        "destroyed guests log",
        "statuses of my guests",
        "what runs on pve1",
    ] {
        assert!(as_get(words).is_ok(), "{words}: {:?}", as_get(words));
    }
    for words in [
        "list and delete all snapshots of vm 100",
        "show stopped guests, delete them",
        "can you delete vm 100",
        "how can i delete vm 100",
        "is vm 100 stopped, then delete it",
        "delete what was stopped yesterday",
        "who is on vm 100, stop it",
        "have vm 100 deleted",
        "list vms and reboot pve1",
        "read config of vm 102 then set memory to 4096",
        "show my guests, start vm 100",
        "list storages and add one",
        "show the pools; edit prod",
        "shut vm 102",
        "destroys vm 102",
        "removes vm 102",
        "reboots vm 102",
        "wipes vm 102",
        "terminates vm 102",
        "rebot vm 102",
        "list vms then start 102",
        "get vm 102 config and change memory to 1",
        "check vm 102 by rebooting it",
        "get status of 102, restart if stopped",
        "show the snapshots of vm 102 and roll back",
        "show firewall rules and disable them",
        "read the config of vm 102 after stopping it",
    ] {
        assert!(as_get(words).is_err(), "{words}: {:?}", as_get(words));
    }
}

#[test]
fn a_refusal_says_what_can_be_seen_of_what_was_asked() {
    for (words, change, seen) in [
        (
            "stop vm 100 and show its config",
            "/nodes/{node}/qemu/100/status/stop",
            Some("/nodes/{node}/qemu/100/config"),
        ),
        ("delete vm 100", "/nodes/{node}/qemu/100", None),
    ] {
        match as_get(words) {
            Err(NoGet::Mutation { found, seen: beside, .. }) => {
                assert_eq!((found.path.as_str(), beside.as_ref().map(|it| it.path.as_str())), (change, seen));
            }
            other => panic!("{words}: {other:?}"),
        }
    }
}

/// Whoever wants something gone is not shown it instead; and who asks is not told to plan.
#[test]
fn no_phrasing_of_a_deletion_is_a_read_and_none_of_a_read_a_change() {
    let catalog = catalog(Release::LATEST);
    let finder = Finder::new(catalog);
    let (mut shown, mut refused) = (Vec::new(), Vec::new());
    for case in cases(include_str!("queries.txt")).iter().chain(&cases(include_str!("held_out.txt"))) {
        let all = |method: &str| case.right.iter().all(|right| right.starts_with(method));
        match finder.as_get(catalog, case.words, &Known::default()) {
            Ok(_) if all("DELETE ") => shown.push(case.words),
            Err(NoGet::Mutation { .. } | NoGet::Nothing) if all("GET ") => refused.push(case.words),
            _ => {}
        }
    }
    assert!(shown.is_empty() && refused.is_empty(), "shown {shown:?}, refused {refused:?}");
}

#[test]
fn what_was_typed_only_fills_a_path_with_what_means_nothing_there() {
    let catalog = catalog(Release::LATEST);
    let finder = Finder::new(catalog);
    for words in [
        "status of storage ../../access",
        "status of storage ..",
        "status of storage a/b",
        "status of storage %2e%2e",
        "status of storage x?y=1#z",
        "status of node \u{1b}[31mred\u{1b}[0m",
        "status of node a\u{202e}b",
        "config of vm 100\u{0}/../../101",
        "log of UPID:../..:x:",
    ] {
        for found in finder.search(catalog, words) {
            let plain = |c: char| c.is_ascii_alphanumeric() || "/{}._-@!%".contains(c);
            assert!(found.path.chars().all(plain), "{words:?}: {}", found.path);
            assert!(!found.path.contains("..") && !found.path.contains("%2e"), "{words:?}: {}", found.path);
            let endpoint = &catalog.endpoints()[found.endpoint];
            assert_eq!(found.path.split('/').count(), endpoint.path.split('/').count(), "{words:?}");
        }
    }
    for long in ["ä", "x ", "list ", "100 "] {
        assert!(finder.search(catalog, &long.repeat(100_000)).len() <= catalog.endpoints().len());
    }
}

#[test]
fn the_common_jobs_have_a_recipe() {
    let catalog = catalog(Release::LATEST);
    let finder = Finder::new(catalog);
    for (words, title) in [
        ("list nodes", "List the nodes"),
        ("what's running", "List every guest"),
        ("start ct 101", "Start a guest"),
        ("create a container", "Create a container"),
        ("new vm", "Create a virtual machine"),
        ("set up cloud-init vm", "Create a virtual machine with cloud-init"),
        ("clone vm 9000", "Clone a guest"),
        ("grow disk of vm 100", "Grow a disk"),
        ("take a snapshot of ct 105", "Take a snapshot"),
        ("roll back vm 100", "Roll back to a snapshot"),
        ("backup vm 100", "Back up a guest now"),
        ("restore container from backup", "Restore a container"),
        ("migrate vm 100", "Migrate a guest"),
        ("download iso", "Download an ISO or a cloud image"),
        ("firewall rule for vm 100", "Add a firewall rule to a guest"),
        ("create api token", "Create an API token"),
        ("add vm 100 to ha", "Put a guest under HA"),
        ("create sdn zone", "Make an SDN zone with a network"),
        ("add nfs storage", "Add a storage"),
        ("replicate ct 105", "Replicate a guest to another node"),
        ("available updates", "Updates of a node"),
        ("cluster members", "Members and health of the cluster"),
    ] {
        let found = finder.search(catalog, words);
        let titles: Vec<_> =
            finder.recipes(catalog, words, &found).iter().map(|recipe| recipe.title).collect();
        assert!(titles.iter().take(2).any(|found| *found == title), "{words}: {titles:?}");
    }
}

/// A job's name alone: that it is a word of some other call's parameter too hides nothing.
#[test]
fn a_job_s_bare_name_finds_the_call_that_does_it() {
    let catalog = catalog(Release::LATEST);
    let finder = Finder::new(catalog);
    for (word, path, title) in [
        ("start", "status/start", "Start a guest"),
        ("boot", "status/start", "Start a guest"),
        ("stop", "status/stop", "Stop a guest at once"),
        ("shutdown", "status/shutdown", "Shut a guest down in good order"),
        ("shutdown gracefully", "status/shutdown", "Shut a guest down in good order"),
        ("reboot", "status/reboot", "Reboot a guest"),
        ("restart", "status/reboot", "Reboot a guest"),
        ("suspend", "status/suspend", "Suspend and resume a guest"),
        ("pause", "status/suspend", "Suspend and resume a guest"),
        ("resume", "status/resume", "Suspend and resume a guest"),
        ("clone", "clone", "Clone a guest"),
        ("resize", "resize", "Grow a disk"),
        ("rollback", "snapshot/{snapname}/rollback", "Roll back to a snapshot"),
        ("migrate", "migrate", "Migrate a guest"),
        ("snapshot", "snapshot", "Take a snapshot"),
        ("backup", "vzdump", "Back up a guest now"),
        ("move vm 100 to pve2", "migrate", "Migrate a guest"),
        ("move ct to pve2", "migrate", "Migrate a guest"),
        ("replicate vm to another node", "replication", "Replicate a guest to another node"),
        ("make vm ha", "resources", "Put a guest under HA"),
    ] {
        let found = finder.search(catalog, word);
        let endpoints: Vec<_> =
            found.iter().take(3).map(|found| &catalog.endpoints()[found.endpoint]).collect();
        let first = endpoints.first().unwrap_or_else(|| panic!("{word}: nothing"));
        let is_right = first.method != Method::Get && first.path.ends_with(&format!("/{path}"));
        assert!(is_right, "{word}: {:?}", endpoints.iter().map(|it| &it.path).collect::<Vec<_>>());
        let recipes = finder.recipes(catalog, word, &found);
        let titles: Vec<_> = recipes.iter().map(|recipe| recipe.title).collect();
        assert_eq!(titles.first(), Some(&title), "{word}: {titles:?}");
    }
}

#[test]
fn every_line_of_the_tables_speaks_of_calls_that_exist() {
    let lines = document::TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
    assert_eq!(document::rows().count(), lines);
    let exists = |method: Method, path: &str| {
        let paths = ["lxc", "qemu"].map(|kind| path.replace("{kind}", kind));
        paths
            .iter()
            .all(|path| catalogs().iter().any(|(_, catalog)| catalog.template(method, path).is_some()))
    };
    for (method, path, ..) in document::rows() {
        assert!(exists(method, path), "topics.txt: {method} {path}");
    }
    for case in cases(include_str!("queries.txt")).iter().chain(&cases(include_str!("held_out.txt"))) {
        for right in &case.right {
            let (method, path) = right.split_once(' ').expect(right);
            assert!(exists(Method::from_name(method).expect(right), path), "\"{}\": {right}", case.words);
        }
    }
}

/// A word that leads nowhere hides what it would be taken for.
#[test]
fn every_word_of_the_tables_leads_somewhere() {
    let lexicon = super::lexicon::Lexicon::new();
    let finder = Finder::new(catalog(Release::LATEST));
    let lost: Vec<&str> =
        lexicon.concepts.names().filter(|name| !finder.ranking.knows(&finder.lexicon, name)).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

/// The usual jobs of a Backup Server, in the words that people have for them.
#[test]
fn the_usual_jobs_of_a_backup_server_are_found_by_plain_words() {
    use crate::catalog::Edition;
    use crate::product::Product;
    let catalog = Catalog::built_in(Edition::of(Product::Backup));
    let finder = Finder::new(&catalog);
    let mut misses = Vec::new();
    for (words, right) in [
        ("list datastores", "GET /admin/datastore"),
        ("how full are the datastores", "GET /status/datastore-usage"),
        ("list snapshots of datastore tank", "GET /admin/datastore/{store}/snapshots"),
        ("delete a snapshot", "DELETE /admin/datastore/{store}/snapshots"),
        ("prune a backup group", "POST /admin/datastore/{store}/prune"),
        ("run garbage collection", "POST /admin/datastore/{store}/gc"),
        ("verify a datastore", "POST /admin/datastore/{store}/verify"),
        ("list sync jobs", "GET /admin/sync"),
        ("run sync job", "POST /admin/sync/{id}/run"),
        ("create a user", "POST /access/users"),
        ("list users", "GET /access/users"),
        ("create an api token", "POST /access/users/{userid}/token/{token-name}"),
        ("list tasks", "GET /nodes/{node}/tasks"),
    ] {
        let found = finder.search(&catalog, words);
        let names: Vec<String> = found
            .iter()
            .take(3)
            .map(|found| &catalog.endpoints()[found.endpoint])
            .map(|endpoint| format!("{} {}", endpoint.method, endpoint.path))
            .collect();
        if !names.iter().any(|name| name == right) {
            misses.push(format!("{words}: wants {right}, got {names:?}"));
        }
    }
    assert!(misses.is_empty(), "{misses:#?}");
    for (_, path, ..) in document::rows_of(document::BACKUP) {
        assert!(catalog.endpoints().iter().any(|endpoint| endpoint.path == path), "{path}");
    }
    let words = "prune a backup group";
    let recipes = finder.recipes(&catalog, words, &finder.search(&catalog, words));
    assert!(recipes.iter().any(|recipe| recipe.title == "Prune a group"));
}

/// Three nodes, and guests of which one is called as a thing is and two are called alike.
fn known() -> Known {
    let guest = |(vmid, kind, name): (u32, GuestKind, &str)| Guest {
        vmid,
        kind,
        node: "pve2".to_owned(),
        name: name.to_owned(),
    };
    let (lxc, qemu) = (GuestKind::Lxc, GuestKind::Qemu);
    Known {
        nodes: ["pve1", "pve2", "pve3"].map(str::to_owned).to_vec(),
        guests: [
            (102, lxc, "proxy-102"),
            (104, lxc, "web-104"),
            (106, qemu, "cache-106"),
            (107, lxc, "mail"),
            (108, lxc, "test"),
            (109, qemu, "nextcloud"),
            (110, lxc, "storage"),
            (111, lxc, "twin"),
            (112, qemu, "twin"),
        ]
        .map(guest)
        .to_vec(),
    }
}

#[test]
fn words_are_about_the_node_and_the_guest_that_they_name() {
    let catalog = catalog(Release::LATEST);
    let finder = Finder::new(catalog);
    for (words, call) in [
        ("wipe disk /dev/sdb on pve3", "PUT /nodes/pve3/disks/wipedisk"),
        ("stop all vms on pve3", "POST /nodes/pve3/stopall"),
        ("startall on pve2", "POST /nodes/pve2/startall"),
        ("stop everything on pve2", "POST /nodes/pve2/stopall"),
        ("apply network config on pve2", "PUT /nodes/pve2/network"),
        ("update packages on pve2", "POST /nodes/pve2/apt/update"),
        ("renew certificate of pve2", "PUT /nodes/pve2/certificates/acme/certificate"),
        ("create bridge vmbr9 on pve2", "POST /nodes/pve2/network"),
        ("reboot pve2", "POST /nodes/pve2/status"),
        ("remove pve3 from the cluster", "DELETE /cluster/config/nodes/pve3"),
        ("syslog of pve2", "GET /nodes/pve2/syslog"),
        ("disks of PVE2", "GET /nodes/pve2/disks/list"),
        ("containers on pve3", "GET /nodes/pve3/lxc"),
        ("uptime of pve3", "GET /nodes/pve3/status"),
        ("is pve3 up", "GET /nodes/pve3/status"),
        ("services on pve2", "GET /nodes/pve2/services"),
        ("stop web-104", "POST /nodes/{node}/lxc/104/status/stop"),
        ("stop proxy-102", "POST /nodes/{node}/lxc/102/status/stop"),
        ("delete cache-106", "DELETE /nodes/{node}/qemu/106"),
        ("delete test", "DELETE /nodes/{node}/lxc/108"),
        ("stop mail server", "POST /nodes/{node}/lxc/107/status/stop"),
        ("reboot Nextcloud", "POST /nodes/{node}/qemu/109/status/reboot"),
        ("migrate web-104 to pve3", "POST /nodes/{node}/lxc/104/migrate"),
        ("config of proxy-102", "GET /nodes/{node}/lxc/102/config"),
        ("status of mail", "GET /nodes/{node}/lxc/107/status/current"),
        // Whatever somebody calls it, it is a container.
        ("config of vm proxy-102", "GET /nodes/{node}/lxc/102/config"),
        ("stop vm 104", "POST /nodes/{node}/lxc/104/status/stop"),
        ("snapshots of vm 104", "GET /nodes/{node}/lxc/104/snapshot"),
        // A guest of that name is not what is meant by the thing's own.
        ("list storage", "GET /nodes/{node}/storage"),
        ("delete storage nas1", "DELETE /storage/nas1"),
        ("what is on storage local", "GET /nodes/{node}/storage/local/content"),
        ("tasks of vm 104", "GET /nodes/{node}/tasks"),
        ("backup vm 104", "POST /nodes/{node}/vzdump"),
    ] {
        let meant = finder.among(catalog, words, &known());
        let first = meant.found.first().unwrap_or_else(|| panic!("{words}: nothing"));
        let found = format!("{} {}", catalog.endpoints()[first.endpoint].method, first.path);
        assert_eq!(found, call, "{words}");
        assert!(meant.strays.is_empty() && !first.too_wide && !first.unsaid, "{words}: {meant:?}");
    }
    assert_eq!(
        finder.among(catalog, "stop twin", &known()).unclear,
        Some(("twin".to_owned(), vec![111, 112]))
    );
}

fn first_of(words: &str) -> Option<String> {
    let catalog = catalog(Release::LATEST);
    let found = Finder::new(catalog).search(catalog, words);
    found.first().map(|found| format!("{} {}", catalog.endpoints()[found.endpoint].method, found.path))
}

#[test]
fn what_may_be_done_to_anything_is_nothing_until_it_is_said_to_what() {
    for words in ["sudo make me a sandwich", "rm -rf /", "make", "delete", "please change", "add"] {
        assert_eq!(first_of(words), None, "{words}");
    }
}

#[test]
fn an_order_that_is_taken_back_is_not_found() {
    let catalog = catalog(Release::LATEST);
    let finder = Finder::new(catalog);
    for words in ["do not delete vm 100", "don't stop ct 105", "please never reboot node pve1"] {
        let found = first_of(words).unwrap_or_default();
        assert!(found.starts_with("GET ") && finder.denies(words), "{words}: {found}");
    }
    for words in ["which vms are not backed up", "delete vm 100", "delete vm 100 without asking"] {
        assert!(!finder.denies(words), "{words}");
    }
}

#[test]
fn names_are_taken_whole_and_numbers_for_what_they_count() {
    let wrong: Vec<_> = [
        ("mark osd 4 out", "POST /nodes/{node}/ceph/osd/4/out"),
        ("mark osd.4 in", "POST /nodes/{node}/ceph/osd/4/in"),
        ("mark osd out", "POST /nodes/{node}/ceph/osd/{osdid}/out"),
        ("osd down", "GET /nodes/{node}/ceph/osd"),
        ("user for grafana", "POST /access/users"),
        ("take osd.4 out", "POST /nodes/{node}/ceph/osd/4/out"),
        ("remove node3 from cluster", "DELETE /cluster/config/nodes/{node}"),
        ("reboot pve3", "POST /nodes/{node}/status"),
        ("shutdown node2", "POST /nodes/{node}/status"),
        ("status of node3", "GET /nodes/{node}/status"),
        ("show last 200 syslog lines", "GET /nodes/{node}/syslog"),
        ("restart pve-cluster", "POST /nodes/{node}/services/{service}/restart"),
        ("pve-firewall restart", "POST /nodes/{node}/services/{service}/restart"),
        ("ha-manager status", "GET /cluster/ha/status/current"),
    ]
    .into_iter()
    .map(|(words, call)| (words, call, first_of(words)))
    .filter(|(_, call, first)| first.as_deref() != Some(*call))
    .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_name_that_is_nobodys_means_no_other_and_nothing_wide_is_meant_unless_it_is_said() {
    let catalog = catalog(Release::LATEST);
    let finder = Finder::new(catalog);
    for words in ["stop web-999", "delete mail-101", "shutdown files-103", "config of db_105"] {
        let meant = finder.among(catalog, words, &known());
        assert!(meant.nobody.is_some(), "{words}");
        let first = &meant.found[0];
        assert!(first.path.contains("/{vmid}"), "{words}: {}", first.path);
    }
    let meant = finder.among(catalog, "syslog of pve9", &known());
    assert_eq!((meant.strays, meant.nowhere), (vec!["pve9".to_owned()], Some("pve9".to_owned())));
    // Nobody of these is there.
    for words in ["stop nginx", "stop dns", "delete test", "remove test", "stop mail server", "stop proxy"] {
        let meant = finder.among(catalog, words, &Known::default());
        let wide = |found: &&super::Found| {
            let endpoint = &catalog.endpoints()[found.endpoint];
            ["all", "/cluster/config/nodes/{node}"].iter().any(|end| endpoint.path.ends_with(end))
                && endpoint.method != Method::Get
        };
        assert!(meant.found.iter().filter(wide).all(|found| found.too_wide), "{words}");
        let first =
            meant.found.iter().find(|found| catalog.endpoints()[found.endpoint].method != Method::Get);
        assert!(
            first.is_none_or(|found| found.too_wide
                || found.unsaid
                || found.undone
                || found.path.contains("{vmid}")),
            "{words}: {first:?}"
        );
    }
}
