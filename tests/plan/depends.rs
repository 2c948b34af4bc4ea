//! A plan names what depends on what it changes, by the cluster's files or by the API.

use provost::sim::estate::recorded;

use crate::site::{Site, hits};

/// On one thread, as the daemon has it.
#[tokio::test]
async fn a_storage_that_goes_names_who_has_disks_there_by_files_and_by_api_alike() {
    let by_files = Site::new(recorded()).await;
    let by_api = Site::reading(recorded(), "/nowhere/etc/pve").await;
    let (files, api) =
        (by_files.plan("DELETE /storage/fast", "").await, by_api.plan("DELETE /storage/fast", "").await);
    let named = hits(&files);
    assert!(named.contains(&"qemu/111 wont_boot".to_owned()), "the linked clone: {named:?}");
    assert!(named.contains(&"qemu/9000 degraded".to_owned()), "its template: {named:?}");
    assert_eq!(named, hits(&api));
    assert!(files.shown.get("not_seen").is_none(), "{:?}", files.shown["not_seen"]);
    assert!(
        files.shown["risk"]["reasons"].to_string().contains("objects are hit"),
        "{}",
        files.shown["risk"]
    );
}

#[tokio::test]
async fn a_template_that_goes_names_its_linked_clone() {
    let site = Site::new(recorded()).await;
    let plan = site.plan("DELETE /nodes/pve1/qemu/9000", "").await;
    let rows = plan.shown["blast_radius"].as_array().unwrap();
    let clone = rows.iter().find(|row| row["object"] == "qemu/111").unwrap_or_else(|| panic!("{rows:?}"));
    assert_eq!(clone["severity"], "data_lost");
    assert!(clone["why"].as_str().unwrap().contains("linked clone of template 9000's disk"), "{clone}");
}
