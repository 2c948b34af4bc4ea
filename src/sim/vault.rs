//! What a simulated cluster knows of a simulated Backup Server: the storage that names it, and what is there of the guests.
//!
//! The two do not speak with each other: what the cluster says of the server is what was so when it was told.

use std::net::SocketAddr;

use jiff::Timestamp;

use super::backup::Server;
use super::estate::Estate;
use super::estate::sections::Section;
use super::estate::volume::{Remote, Volume};

/// The storage's name.
pub const STORAGE: &str = "vault";
/// What of the server it names, and as whom.
const STORE: &str = "tank";
const USER: &str = "alice@pbs!pve";
const SIZE: (u64, u64) = (4 << 40, 1 << 40);

/// Has the cluster name this server, or name it anew where it has been told of one before.
pub fn name(estate: &mut Estate, server: &Server, address: SocketAddr, fingerprint: &str) {
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let storage = Section::new(
        "pbs",
        STORAGE,
        &[
            ("datastore", STORE),
            ("server", &host),
            ("port", &port),
            ("content", "backup"),
            ("fingerprint", fingerprint),
            ("prune-backups", "keep-all=1"),
            ("username", USER),
        ],
    );
    let list = &mut estate.sections_mut("storage.cfg").list;
    list.retain(|section| section.id != STORAGE);
    list.push(storage);
    estate.volumes.retain(|volume| volume.storage != STORAGE || !is_named_by_server(&volume.name));
    for volume in volumes(server) {
        estate.add_volume(volume);
    }
    let remote = Remote { total: SIZE.0, used: SIZE.1, refuses: None };
    estate.remotes.insert(STORAGE.to_owned(), remote);
}

fn is_named_by_server(volume: &str) -> bool {
    ["backup/vm/", "backup/ct/"].iter().any(|start| volume.starts_with(start))
}

/// The guests' backups in the root of the datastore, as PVE lists them.
fn volumes(server: &Server) -> Vec<Volume> {
    let Some(root) = server.stores.get(STORE).and_then(|store| store.namespaces.get("")) else {
        return Vec::new();
    };
    let mut volumes = Vec::new();
    for ((kind, id), group) in root {
        let Ok(vmid) = id.parse() else { continue };
        for (time, backup) in &group.backups {
            let Ok(at) = Timestamp::from_second(*time) else { continue };
            volumes.push(Volume {
                storage: STORAGE.to_owned(),
                name: format!("backup/{kind}/{id}/{at}"),
                content: "backup",
                format: format!("pbs-{kind}"),
                size: backup.size,
                used: backup.size,
                created: u64::try_from(*time).unwrap_or_default(),
                vmid: Some(vmid),
                protected: backup.protected,
                ..Volume::default()
            });
        }
    }
    volumes
}
