//! Ceph as a node answers that has it not installed.

use super::super::answer::Refusal;
use crate::catalog::Endpoint;

/// What answers without it: the indices, and what a node says before the installation.
const WITHOUT: &[&str] =
    &["/cluster/ceph", "/nodes/{node}/ceph", "/nodes/{node}/ceph/cfg", "/nodes/{node}/ceph/releases"];

pub fn configured(endpoint: &Endpoint) -> Result<(), Refusal> {
    let part = endpoint.path.starts_with("/cluster/ceph") || endpoint.path.starts_with("/nodes/{node}/ceph");
    if !part || WITHOUT.contains(&endpoint.path.as_str()) {
        return Ok(());
    }
    Err(Refusal::die("binary not installed: /usr/bin/ceph-mon"))
}
