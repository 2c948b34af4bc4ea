use super::*;
use crate::catalog::{Permission, Release};
use crate::config::parse;

fn role(keys: &str) -> Role {
    let text = format!("[[role]]\nname='a'\nmembers=[]\n{keys}");
    parse(std::path::Path::new("x"), &text).unwrap().roles.remove(0)
}

fn of(keys: &str, release: Release) -> Rights {
    Rights::of(&role(keys), &Catalog::embedded(release))
}

fn all(rights: &Rights) -> Vec<&str> {
    let mut all: Vec<&str> =
        [Place::Guests, Place::Elsewhere].into_iter().flat_map(|at| rights.at(at)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[test]
fn who_observes_holds_nothing_that_changes_anything_in_any_release() {
    for release in Release::ALL {
        let rights = of("profile='observe'", release);
        assert!(all(&rights).into_iter().all(looks), "{release}: {:?}", all(&rights));
        assert_eq!(rights, Rights::to_look(&Catalog::embedded(release)));
        for privilege in ["VM.Audit", "Sys.Audit", "Datastore.Audit", "Pool.Audit", "SDN.Audit", "Sys.Syslog"]
        {
            assert!(all(&rights).contains(&privilege), "{release}: {privilege}");
        }
    }
}

#[test]
fn each_profile_holds_what_the_one_before_holds_and_more() {
    for release in Release::ALL {
        let held: Vec<Vec<String>> = ["observe", "operate", "provision", "full"]
            .map(|profile| {
                let rights = of(&format!("profile='{profile}'"), release);
                all(&rights).into_iter().map(str::to_owned).collect()
            })
            .into();
        for pair in held.windows(2) {
            assert!(pair[0].iter().all(|privilege| pair[1].contains(privilege)), "{release}: {pair:?}");
            assert!(pair[1].len() > pair[0].len(), "{release}");
        }
        let has = |at: usize, privilege: &str| held[at].iter().any(|held| held == privilege);
        assert!(has(1, "VM.PowerMgmt") && !has(1, "VM.Allocate") && !has(1, "VM.Config.Memory"), "{release}");
        assert!(has(2, "VM.Allocate") && has(2, "VM.Config.Memory") && has(2, "SDN.Use"), "{release}");
        assert!(!has(2, "User.Modify") && !has(2, "Permissions.Modify"), "{release}");
        assert!(!has(2, "VM.Console") && !has(3, "VM.Console"), "consoles are held: {release}");
        assert!(has(3, "Permissions.Modify"), "{release}");
    }
}

#[test]
fn a_role_of_some_guests_holds_nothing_by_which_the_node_is_changed() {
    for release in Release::ALL {
        let rights = of("profile='provision'\nguests=[101]", release);
        let elsewhere: Vec<&str> = rights.at(Place::Elsewhere).filter(|name| !looks(name)).collect();
        assert!(!elsewhere.contains(&"Sys.Modify") && !elsewhere.contains(&"SDN.Allocate"), "{elsewhere:?}");
        assert!(elsewhere.contains(&"Datastore.AllocateSpace"), "{elsewhere:?}");
        assert!(rights.at(Place::Guests).any(|name| name == "VM.Config.Memory"));
    }
}

#[test]
fn what_a_role_denies_or_does_not_list_brings_nothing() {
    let rights =
        of("profile='operate'\ndeny=['POST /nodes/{node}/qemu/*','POST /nodes/{node}/lxc/*']", Release::V9_2);
    assert!(!all(&rights).contains(&"VM.Snapshot"), "{:?}", all(&rights));
    let rights = of("allow=['PUT /nodes/pve1/qemu/105/config']", Release::V9_2);
    assert!(all(&rights).contains(&"VM.Config.Memory") && !all(&rights).contains(&"VM.PowerMgmt"));
    assert!(all(&rights).contains(&"VM.Audit"), "every GET stays");
}

#[test]
fn privileges_are_those_of_the_release() {
    let has = |release, privilege| all(&of("profile='operate'", release)).contains(&privilege);
    assert!(has(Release::V8_4, "VM.Monitor") && !has(Release::V8_4, "VM.GuestAgent.Audit"));
    assert!(!has(Release::V9_2, "VM.Monitor") && has(Release::V9_2, "VM.GuestAgent.Audit"));
}

#[test]
fn every_change_that_the_schema_opens_to_anybody_has_a_row_and_every_row_a_call() {
    let catalogs = Release::ALL.map(Catalog::embedded);
    let lines = table::TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
    assert_eq!(table::rows().count(), lines);
    for (method, path, _) in table::rows() {
        assert!(catalogs.iter().any(|catalog| catalog.template(method, path).is_some()), "{method} {path}");
    }
    for endpoint in catalogs.iter().flat_map(Catalog::endpoints) {
        let open = matches!(endpoint.permission, Permission::All { .. } | Permission::Described(_));
        let (tier, _) = tier::of(crate::product::Product::Pve, endpoint.method, &endpoint.path);
        if open && endpoint.method != Method::Get && tier != Tier::Held {
            let row =
                table::rows().any(|(method, path, _)| method == endpoint.method && path == endpoint.path);
            assert!(row, "{} {}", endpoint.method, endpoint.path);
        }
    }
}
