//! Virtual machines from within: commands and files by way of the QEMU guest agent, which the node's API asks.
//!
//! In: a permit for the guest. Out: what the tools for containers answer too, as far as an agent can tell it. Nothing here
//! trusts what comes back: the guest wrote all of it, the agent's own words too. Which guests are VMs is what the node's
//! files say, never what the caller does.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `agent` | the agent's calls |
//! | `failing` | why one fails, and what to do about it |
//! | `bytes` | how bytes travel in PVE's JSON |
//! | `system` | what runs in the guest, and how a command gets user, directory and environment there |
//! | `script` | a reading or writing script of our own |
//! | `told` | what is told of a process, as it comes |

pub mod agent;
mod bytes;
mod failing;
pub mod script;
pub mod system;
mod told;

use std::path::Path;
use std::time::Duration;

use super::Provost;
use crate::estate::guest::Kind;

impl Provost {
    /// The node of the VM with this id; none for what is a container, or nothing that this node knows of.
    pub(super) async fn vm(&self, guest: u32) -> Option<String> {
        /// pmxcfs may hang; containers are reached all the same.
        const PATIENCE: Duration = Duration::from_secs(1);
        let etc_pve = self.policy.rules.now().pve.etc_pve.clone();
        let looking = tokio::task::spawn_blocking(move || find(&etc_pve, guest));
        let found = tokio::time::timeout(PATIENCE, looking).await;
        if let Ok(Ok(Some(place))) = found {
            return place;
        }
        // Its files cannot be read: what was known of them last.
        let index = self.estate.published()?;
        let vm = index.guest(guest).find(|guest| guest.kind == Kind::Qemu)?;
        Some(vm.node.to_string())
    }
}

/// The VM's node by the files of the cluster, of which there is one a guest; none where they cannot be read.
fn find(etc_pve: &Path, guest: u32) -> Option<Option<String>> {
    let nodes = std::fs::read_dir(etc_pve.join("nodes")).ok()?;
    let mut holds = nodes.filter_map(Result::ok).filter(|node| {
        let file = node.path().join("qemu-server").join(format!("{guest}.conf"));
        file.is_file()
    });
    Some(holds.next().and_then(|node| node.file_name().into_string().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vm_is_where_its_file_is_and_a_container_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(find(dir.path(), 104), None);
        for file in ["nodes/a/lxc/101.conf", "nodes/b/qemu-server/104.conf"] {
            let file = dir.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "").unwrap();
        }
        assert_eq!(find(dir.path(), 104), Some(Some("b".to_owned())));
        assert_eq!(find(dir.path(), 101), Some(None));
        assert_eq!(find(dir.path(), 10), Some(None));
    }
}
