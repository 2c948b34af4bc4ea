//! The snapshot of a guest before a change that no call takes back: named after Provost and the time, listed as any other,
//! and there until somebody plans its removal.

use serde_json::{Map, Value};

use super::eyes::Seen;
use super::undo::{Inverse, Undo, Way};
use super::{Draft, Eyes, Refused, Request, Snapshot, fields, foresee, risk};
use crate::catalog::Method;
use crate::policy::{Needs, Policy, Principal};

/// The calls of one snapshot.
pub struct Taken {
    pub name: String,
    pub take: Request,
    pub remove: Request,
    pub rollback: Inverse,
}

impl Taken {
    /// Of the guest that the request is about; none where it is about no one guest.
    pub fn before(eyes: &Eyes, request: &Request) -> Result<Option<Self>, Refused> {
        let name = format!("provost-{}", jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S"));
        Self::named(eyes, request, name)
    }

    /// The same again, by its name.
    pub fn named(eyes: &Eyes, request: &Request, name: String) -> Result<Option<Self>, Refused> {
        let (Some(vmid), Some(kind), Some(node)) = (request.guest(), request.kind(), request.text("node"))
        else {
            return Ok(None);
        };
        let list = format!("/nodes/{node}/{kind}/{vmid}/snapshot");
        let item = format!("{list}/{name}");
        let args = Map::from_iter([
            ("snapname".to_owned(), Value::from(name.as_str())),
            ("description".to_owned(), format!("before {} {}", request.method(), request.path()).into()),
        ]);
        let of = |method, path: &str, args| Request::of(&eyes.catalog, method, path, args, vec![vmid]);
        Ok(Some(Self {
            take: of(Method::Post, &list, args)?,
            remove: of(Method::Delete, &item, Map::new())?,
            rollback: Inverse { method: Method::Post, path: format!("{item}/rollback"), args: Map::new() },
            name,
        }))
    }
}

/// Whether Provost made the snapshot of this name.
pub fn is_ours(name: &str) -> bool {
    name.strip_prefix("provost-").is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// The snapshots of the request's guest that Provost made.
async fn ours(eyes: &Eyes, request: &Request) -> Result<Vec<String>, Refused> {
    let kind = request.kind().unwrap_or("qemu");
    let list = format!("/nodes/{{node}}/{kind}/{{vmid}}/snapshot");
    let seen = eyes.look(&list, &request.captured, &[]).await?;
    let names = seen.rows().iter().filter_map(|row| row.get("name").map(fields::text));
    Ok(names.filter(|name| is_ours(name)).collect())
}

pub fn impossible(request: &Request, why: &str) -> Refused {
    let vmid = request.guest().unwrap_or_default();
    Refused::NoSnapshot { endpoint: request.endpoint(), vmid, why: why.to_owned() }
}

/// Refuses where the guest's storages make no snapshot of it.
pub async fn is_possible(eyes: &Eyes, request: &Request) -> Result<(), Refused> {
    let kind = request.kind().unwrap_or("qemu");
    let template = format!("/nodes/{{node}}/{kind}/{{vmid}}/feature");
    match eyes.look(&template, &request.captured, &[("feature", "snapshot")]).await? {
        Seen::There(answer) if answer.get("hasFeature").and_then(fields::truth) == Some(true) => Ok(()),
        Seen::There(_) => Err(impossible(request, "a storage that it lies on makes none")),
        Seen::Missing(why) | Seen::Hidden(why) => Err(impossible(request, &why)),
    }
}

/// Names the snapshot that has to be taken first, or sees to it that it may be left out.
pub(super) async fn with_snapshot(
    policy: &Policy,
    principal: &Principal,
    eyes: &Eyes,
    mut draft: Draft,
    choice: Snapshot,
) -> Result<Draft, Refused> {
    if draft.undo.way != Way::Snapshot || !draft.then.is_empty() {
        return Ok(draft);
    }
    let Some(taken) = Taken::before(eyes, &draft.request)? else {
        draft.undo = Undo::none("it is no one guest's");
        return Ok(draft);
    };
    if choice == Snapshot::None {
        // Who goes without a snapshot could as well remove it: the same right.
        foresee(policy, principal, &taken.remove, draft.asker.taint)?;
        draft.undo = Undo::none("no snapshot is taken, as was asked");
        draft.risk = risk::risk(&draft.request, &draft.undo, &draft.found, draft.no_op.is_some());
        return Ok(draft);
    }
    is_possible(eyes, &draft.request).await?;
    let leave = foresee(policy, principal, &taken.take, draft.asker.taint)?;
    if let Needs::Approval { because, .. } = leave.needs() {
        return Err(impossible(&draft.request, &because.join("; ")));
    }
    let ours = ours(eyes, &draft.request).await?;
    if !ours.is_empty() {
        let all = ours.join(", ");
        draft.warnings.push(format!(
            "Provost made snapshots of it before: {all}; each stays until its removal is planned"
        ));
    }
    draft.undo.call = Some(taken.rollback);
    draft.undo.lost.push("what the guest writes between the snapshot and its rollback".to_owned());
    draft.snapshot = Some(taken.name);
    Ok(draft)
}
