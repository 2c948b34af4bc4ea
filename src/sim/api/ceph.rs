//! Ceph: where it is not installed its methods say so, and elsewhere they answer by their declared shape.

use super::super::answer::Refusal;
use super::super::estate::Estate;
use crate::catalog::Endpoint;

/// What answers without it: the indices, and what a node says before the installation.
const WITHOUT: &[&str] =
    &["/cluster/ceph", "/nodes/{node}/ceph", "/nodes/{node}/ceph/cfg", "/nodes/{node}/ceph/releases"];

pub fn configured(estate: &Estate, endpoint: &Endpoint) -> Result<(), Refusal> {
    let part = endpoint.path.starts_with("/cluster/ceph") || endpoint.path.starts_with("/nodes/{node}/ceph");
    if estate.ceph || !part || WITHOUT.contains(&endpoint.path.as_str()) {
        return Ok(());
    }
    Err(Refusal::die("binary not installed: /usr/bin/ceph-mon"))
}
