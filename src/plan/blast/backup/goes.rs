//! What is removed by name: namespaces, groups, backups.

use super::shelf::{Group, Shelf, place};
use super::{Found, Severity, lost, many, when};

pub async fn group(shelf: &Shelf<'_>, found: &mut Found) {
    let Some(group) = shelf.named_group().await else { return };
    let protected = shelf.backups(&group).await.iter().filter(|backup| backup.protected).count();
    if protected > 0 {
        let why =
            format!("{} of it are protected: the server keeps those, and says so", many(protected, "backup"));
        found.hit(group.object(), Severity::Degraded, why);
    }
    let why = format!(
        "{} go with the group",
        Group { count: group.count - protected.min(group.count), ..group.clone() }.told()
    );
    lost(found, group.object(), why);
}

pub async fn snapshot(shelf: &Shelf<'_>, found: &mut Found) {
    let Some(group) = shelf.named_group().await else { return };
    let Some(time) = shelf.text("backup-time").and_then(|time| time.parse::<i64>().ok()) else { return };
    let backups = shelf.backups(&group).await;
    let Some(backup) = backups.iter().find(|backup| backup.time == time) else { return };
    let object = format!(
        "backup {}",
        place(&group.store, &group.ns, &format!("{}/{}/{}", group.kind, group.id, when(time)))
    );
    if backup.protected {
        return found.hit(object, Severity::Degraded, "it is protected: the server refuses to remove it");
    }
    let others: Vec<i64> = backups.iter().map(|other| other.time).filter(|other| *other != time).collect();
    let left = match others.iter().max() {
        None => format!("it is the only backup of {}/{}", group.kind, group.id),
        Some(newest) if *newest < time => {
            format!("it is the newest; what is left is of {} and before", when(*newest))
        }
        Some(newest) => format!("{} stay, the newest of {}", many(others.len(), "other"), when(*newest)),
    };
    lost(found, object, format!("a backup of {} is gone: {left}", backup.owner));
}

pub async fn unprotected(shelf: &Shelf<'_>, found: &mut Found) {
    if !shelf.is_off("protected") {
        return;
    }
    let Some(group) = shelf.named_group().await else { return };
    let why = format!("the next prune may take the backup of {}", group.owner);
    found.hit(group.object(), Severity::LosesBackup, why);
}

pub async fn namespace(shelf: &Shelf<'_>, found: &mut Found) {
    let (store, ns) = (shelf.store(), shelf.text("ns").unwrap_or_default());
    // What is not listed is said where it is looked for, and nothing is known of it.
    if !shelf.lists(&store, &ns).await {
        return;
    }
    if !shelf.flag("delete-groups") {
        let object = format!("namespace {}", place(&store, &ns, ""));
        return found.hit(
            object,
            Severity::Degraded,
            "it and those below it go where no backup is in them; the others stay",
        );
    }
    for group in shelf.groups(&store, &ns, None).await {
        lost(found, group.object(), format!("{} go with the namespace", group.told()));
    }
}
