//! Which guests there are, and where: for paths with a blank node, for resources and completions.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::answer::Failure;
use super::api::Reader;
use crate::pve::loose;

/// A container or VM as the cluster lists it.
#[derive(Debug, Clone, Deserialize)]
pub struct Guest {
    #[serde(deserialize_with = "vmid")]
    pub vmid: u32,
    /// `qemu` or `lxc`.
    #[serde(rename = "type")]
    pub kind: String,
    pub node: String,
    /// Set by whoever may configure the guest.
    #[serde(default)]
    pub name: String,
}

fn vmid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    loose::u64(deserializer)?.try_into().map_err(D::Error::custom)
}

/// All that the API token may see and the role includes.
pub async fn all(reader: &Reader) -> Result<Vec<Guest>, Failure> {
    let kind = [("type".to_owned(), "vm".into())].into_iter().collect();
    let answer = reader.get(&reader.permit_path("/cluster/resources", &kind)?).await?;
    let rows: Vec<&RawValue> = answer.data()?;
    // A row that is no guest's is left out.
    let guests = rows.into_iter().filter_map(|row| serde_json::from_str::<Guest>(row.get()).ok());
    let mut guests: Vec<Guest> = guests.collect();
    guests.sort_by_key(|guest| guest.vmid);
    Ok(guests)
}

/// The guest with this id.
pub async fn locate(reader: &Reader, vmid: u32) -> Result<Guest, Failure> {
    reader.may_see(Some(vmid))?;
    all(reader).await?.into_iter().find(|guest| guest.vmid == vmid).ok_or_else(|| {
        let next = "read /cluster/resources for the guests that there are; the API token may not see all";
        Failure::new("no_such_guest", format!("there is no guest {vmid} that this role may see"), next)
    })
}

/// The guest with this id or this name.
pub async fn named(reader: &Reader, given: &str) -> Result<Guest, Failure> {
    if let Ok(vmid) = given.parse() {
        return locate(reader, vmid).await;
    }
    let mut found: Vec<Guest> = all(reader).await?.into_iter().filter(|guest| guest.name == given).collect();
    let shown = crate::text::brief(given, 64);
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Failure::new(
            "no_such_guest",
            format!("no guest is named \"{shown}\""),
            "read provost://guests",
        )),
        _ => {
            let ids: Vec<String> = found.iter().map(|guest| guest.vmid.to_string()).collect();
            let message = format!("{} guests are named \"{shown}\"", found.len());
            Err(Failure::new("ambiguous", message, format!("give an id: {}", ids.join(", "))))
        }
    }
}
