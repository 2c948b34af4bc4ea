//! Who is hit by a change on a Backup Server: which backups go, whose they are, and who cannot reach theirs any more.
//!
//! In: a request and the eyes of its role. Out: what was found, and what could not be looked at. What a prune would take is
//! the server's own word, by its dry run. It must never take a list that may have been cut for all there is.
//!
//! | file | what it does |
//! | --- | --- |
//! | `shelf` | reads groups, backups and jobs of datastores, within a deadline |
//! | `settings` | how a job or a datastore is configured, and how it would be after the call |
//! | `goes` | what is removed by name: namespaces, groups, backups |
//! | `moved` | what is elsewhere then, what it is put together with there, and what retention holds there |
//! | `store` | a datastore that is no more, is away, is collected, or is configured otherwise |
//! | `kept` | what a retention takes, by the server's own dry run |
//! | `sync` | what a sync job removes, sends, or leaves without newer copies |
//! | `verify` | which backups are read through, and which no longer are |
//! | `host` | a server that goes down |
//! | `people` | who is not let in, or loses rights or ownership |

mod goes;
mod host;
mod kept;
mod moved;
mod people;
mod settings;
mod shelf;
mod store;
mod sync;
mod verify;

use std::time::Duration;

use super::{Found, Severity};
use crate::plan::Request;
use crate::plan::eyes::Eyes;
use shelf::Shelf;
pub use store::is_for_good;

/// For all that is asked of one change.
const PATIENCE: Duration = Duration::from_secs(8);

/// What is looked at for a call; nothing for one that no rule is made for.
pub async fn look(eyes: &Eyes, request: &Request, own: &[String]) -> Option<Found> {
    if !has_rule(&request.endpoint()) {
        return None;
    }
    let shelf = Shelf::new(eyes, request);
    let mut found = Found::default();
    if tokio::time::timeout(PATIENCE, judged(&shelf, own, &mut found)).await.is_err() {
        found.unseen(format!(
            "the server took longer than {} s over its lists: there may be more that is hit",
            PATIENCE.as_secs()
        ));
    }
    found.not_seen.extend(shelf.unseen());
    Some(found)
}

/// Calls that something is looked at for.
pub const CALLS: &[&str] = &[
    "PUT /access/acl",
    "PUT /access/users/{userid}",
    "DELETE /access/users/{userid}",
    "PUT /access/users/{userid}/token/{token-name}",
    "DELETE /access/users/{userid}/token/{token-name}",
    "POST /admin/datastore/{store}/change-owner",
    "POST /admin/datastore/{store}/gc",
    "DELETE /admin/datastore/{store}/groups",
    "POST /admin/datastore/{store}/move-group",
    "POST /admin/datastore/{store}/move-namespace",
    "DELETE /admin/datastore/{store}/namespace",
    "PUT /admin/datastore/{store}/protected",
    "POST /admin/datastore/{store}/prune",
    "POST /admin/datastore/{store}/prune-datastore",
    "DELETE /admin/datastore/{store}/snapshots",
    "POST /admin/datastore/{store}/unmount",
    "POST /admin/datastore/{store}/verify",
    "POST /admin/prune/{id}/run",
    "POST /admin/sync/{id}/run",
    "POST /admin/verify/{id}/run",
    "PUT /config/datastore/{name}",
    "DELETE /config/datastore/{name}",
    "POST /config/prune",
    "PUT /config/prune/{id}",
    "DELETE /config/prune/{id}",
    "PUT /config/remote/{name}",
    "DELETE /config/remote/{name}",
    "POST /config/sync",
    "PUT /config/sync/{id}",
    "DELETE /config/sync/{id}",
    "POST /config/verify",
    "PUT /config/verify/{id}",
    "DELETE /config/verify/{id}",
    "POST /nodes/{node}/status",
    "POST /pull",
    "POST /push",
];

fn has_rule(endpoint: &str) -> bool {
    CALLS.contains(&endpoint)
}

async fn judged(shelf: &Shelf<'_>, own: &[String], found: &mut Found) {
    match shelf.request.endpoint().as_str() {
        "PUT /access/acl" => people::rights(shelf, own, found).await,
        "PUT /access/users/{userid}" => people::user(shelf, own, found, false).await,
        "DELETE /access/users/{userid}" => people::user(shelf, own, found, true).await,
        "PUT /access/users/{userid}/token/{token-name}" => people::token(shelf, own, found, false).await,
        "DELETE /access/users/{userid}/token/{token-name}" => people::token(shelf, own, found, true).await,
        "POST /admin/datastore/{store}/change-owner" => people::owner(shelf, found).await,
        "POST /admin/datastore/{store}/gc" => store::collected(shelf, found, "").await,
        "DELETE /admin/datastore/{store}/groups" => goes::group(shelf, found).await,
        "DELETE /admin/datastore/{store}/snapshots" => goes::snapshot(shelf, found).await,
        "PUT /admin/datastore/{store}/protected" => goes::unprotected(shelf, found).await,
        "POST /admin/datastore/{store}/move-group" | "POST /admin/datastore/{store}/move-namespace" => {
            moved::moved(shelf, found).await;
        }
        "DELETE /admin/datastore/{store}/namespace" => goes::namespace(shelf, found).await,
        "POST /admin/datastore/{store}/prune" => kept::group(shelf, found).await,
        "POST /admin/datastore/{store}/prune-datastore" => kept::all(shelf, found).await,
        "POST /admin/prune/{id}/run" | "POST /config/prune" | "PUT /config/prune/{id}" => {
            kept::by_job(shelf, found).await;
        }
        "DELETE /config/prune/{id}" => kept::job_removed(shelf, found).await,
        "POST /admin/sync/{id}/run" | "POST /config/sync" | "POST /pull" | "POST /push" => {
            sync::runs(shelf, found).await;
        }
        "PUT /config/sync/{id}" => sync::changed(shelf, found).await,
        "DELETE /config/sync/{id}" => sync::removed(shelf, found).await,
        "PUT /config/remote/{name}" => sync::remote_changed(shelf, found).await,
        "DELETE /config/remote/{name}" => sync::remote_removed(shelf, found).await,
        "POST /admin/datastore/{store}/verify" | "POST /admin/verify/{id}/run" => {
            verify::runs(shelf, found).await;
        }
        "POST /config/verify" => verify::made(shelf, found).await,
        "PUT /config/verify/{id}" => verify::changed(shelf, found).await,
        "DELETE /config/verify/{id}" => verify::removed(shelf, found).await,
        "POST /nodes/{node}/status" => host::goes_down(shelf, found).await,
        "POST /admin/datastore/{store}/unmount" => store::unmounted(shelf, found).await,
        "PUT /config/datastore/{name}" => store::changed(shelf, found).await,
        "DELETE /config/datastore/{name}" => store::removed(shelf, found).await,
        // Each of `CALLS` is above.
        _ => {}
    }
}

/// `3 backups`, `1 backup`.
fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Seconds since 1970 as the server writes them.
fn when(time: i64) -> String {
    jiff::Timestamp::from_second(time).map_or_else(|_| time.to_string(), |time| time.to_string())
}

fn lost(found: &mut Found, object: String, why: String) {
    found.hit(object, Severity::DataLost, why);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Edition, Method};
    use crate::product::Product;

    /// One that the server has not got would never be looked at.
    #[test]
    fn each_call_that_is_looked_at_is_one_of_the_servers() {
        let catalog = Catalog::built_in(Edition::of(Product::Backup));
        for call in CALLS {
            let (method, path) = call.split_once(' ').unwrap();
            assert!(catalog.template(Method::from_name(method).unwrap(), path).is_some(), "{call}");
        }
    }
}
