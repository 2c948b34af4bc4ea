//! How a node's disks, pools and repositories are: well. What is not is planted ([`Estate::planted`]).
//!
//! [`Estate::planted`]: super::super::estate::Estate::planted

use serde_json::json;

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::route::Row;
use crate::catalog::Method::Get;

pub const TABLE: &[Row] = &[
    (Get, "/nodes/{node}/disks/list", disks),
    (Get, "/nodes/{node}/disks/zfs", zfs),
    (Get, "/nodes/{node}/disks/lvmthin", lvmthin),
    (Get, "/nodes/{node}/apt/repositories", repositories),
    (Get, "/nodes/{node}/subscription", subscription),
];

fn disks(_: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(json!([{
        "devpath": "/dev/sda", "gpt": 1, "mounted": 0, "osdid": -1, "osdid-list": null, "size": 1_000_204_886_016_u64,
        "model": "Simulated SSD", "serial": "S0001", "vendor": "ATA", "wwn": "0x5000000000000001", "health": "PASSED",
        "wearout": 97, "type": "ssd", "used": "LVM",
    }])
    .into())
}

fn zfs(_: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (size, alloc) = (4u64 << 40, 1u64 << 40);
    Ok(json!([{
        "name": "tank", "size": size, "alloc": alloc, "free": size - alloc, "frag": 7, "dedup": 1, "health": "ONLINE",
    }])
    .into())
}

fn lvmthin(_: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(json!([{
        "lv": "data", "vg": "pve", "lv_size": 4u64 << 40, "used": 1u64 << 40, "metadata_size": 16u64 << 30,
        "metadata_used": 2u64 << 30,
    }])
    .into())
}

fn repositories(_: &mut Call<'_>) -> Result<Reply, Refusal> {
    let repository = |uri: &str, component: &str| {
        json!({
            "Types": ["deb"], "URIs": [uri], "Suites": ["trixie"], "Components": [component], "Enabled": 1,
            "FileType": "sources",
        })
    };
    Ok(json!({
        "digest": "0000000000000000000000000000000000000000", "errors": [], "infos": [],
        "files": [{
            "path": "/etc/apt/sources.list.d/proxmox.sources", "file-type": "sources", "digest": [],
            "repositories": [
                repository("http://deb.debian.org/debian", "main"),
                repository("http://download.proxmox.com/debian/pve", "pve-no-subscription"),
            ],
        }],
        "standard-repos": [{ "handle": "no-subscription", "name": "No-Subscription", "status": 1 }],
    })
    .into())
}

fn subscription(_: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(json!({ "status": "notfound", "message": "There is no subscription key", "serverid": "00", "url": "" }).into())
}
