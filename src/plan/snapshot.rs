//! The snapshot of a guest before a change that no call takes back: named after Provost and the time, listed as any other,
//! and there until somebody plans its removal.

use serde_json::{Map, Value};

use super::eyes::Seen;
use super::undo::Inverse;
use super::{Eyes, Refused, Request, fields};
use crate::catalog::Method;

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
