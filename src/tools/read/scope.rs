//! What is left of an answer for a role that may read of some guests only.
//!
//! In: what PVE gave, and the endpoint's [`Row`]. Out: the same without rows, members and words about other guests. It
//! stands before filters, orders and counts: what a caller must not see must not be told by them either.

use serde_json::{Map, Value};

use crate::catalog::scope::names::{self, ANOTHER};
use crate::catalog::scope::{Class, Form, Key, Named, Row};

/// What names guests wherever it stands, in answers that nobody expected to name any, too.
const EVERYWHERE: [&str; 5] = ["vmid", "guest", "sid", "upid", "volid"];

/// Judges answers of one endpoint for one role.
pub struct Judge<'a> {
    row: &'a Row,
    keys: &'a [Key],
    sees: &'a (dyn Fn(u32) -> bool + Sync),
}

impl<'a> Judge<'a> {
    pub fn new(row: &'a Row, sees: &'a (dyn Fn(u32) -> bool + Sync)) -> Self {
        let keys = match &row.class {
            Class::Rows(keys) => keys.as_slice(),
            Class::Guest(_) | Class::Plain | Class::Closed => &[],
        };
        Self { row, keys, sees }
    }

    /// A row of a list, or what is given in place of one: whether any of it may be seen. What may not is gone from it.
    pub fn shows(&self, value: &mut Value) -> bool {
        let named = match value {
            Value::Object(object) => match self.object(object) {
                Some(named) => named,
                None => return false,
            },
            // Its own words are all that could name a guest.
            value => {
                let own = self.own(value);
                if matches!(own, Judged::Other) || !self.inner(value) {
                    return false;
                }
                matches!(own, Judged::Seen)
            }
        };
        match &self.row.class {
            Class::Closed => false,
            Class::Rows(_) => named || self.row.others,
            Class::Guest(_) | Class::Plain => true,
        }
    }

    /// Whether it names a guest that may be seen; nothing, when it names one that may not.
    fn object(&self, object: &mut Map<String, Value>) -> Option<bool> {
        object.retain(|name, _| !self.row.without.contains(&name.as_str()));
        let of_rule = |name: &str| self.keys.iter().any(|key| key.name == name);
        let everywhere = EVERYWHERE
            .into_iter()
            .filter(|name| !of_rule(name))
            .filter_map(|name| Some(Key { name, form: Form::of_key(name)?, only_trims: false }));
        let mut named = false;
        for key in self.keys.iter().cloned().chain(everywhere).filter(|key| key.name != ".") {
            let Some(value) = object.get_mut(key.name) else { continue };
            match judged(key.form, value, self.sees) {
                Judged::Other if key.only_trims => *value = key.form.trimmed(value, self.sees),
                Judged::Other => return None,
                Judged::Seen if !key.only_trims => named = true,
                Judged::Seen | Judged::Nobody => {}
            }
        }
        object.retain(|name, value| !self.is_anothers(name) && self.inner(value));
        Some(named)
    }

    /// Whether anything of a value that stands within another is left.
    fn inner(&self, value: &mut Value) -> bool {
        match value {
            Value::Object(object) => self.object(object).is_some(),
            Value::Array(items) => {
                items.retain_mut(|item| !matches!(self.own(item), Judged::Other) && self.inner(item));
                true
            }
            Value::String(text) => {
                if let std::borrow::Cow::Owned(shown) = names::without_others(text, self.sees) {
                    *text = shown;
                }
                text != ANOTHER
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => true,
        }
    }

    /// By the rule for what stands there itself, if the endpoint has one.
    fn own(&self, value: &mut Value) -> Judged {
        match (self.itself(), &*value) {
            (Some(key), Value::String(_) | Value::Number(_)) => judged(key.form, value, self.sees),
            _ => Judged::Nobody,
        }
    }

    /// The same for a member's name.
    fn is_anothers(&self, name: &str) -> bool {
        let own = self.itself().map_or(Named::Nobody, |key| key.form.read_text(name));
        let by_rule = match own {
            Named::Nobody => false,
            Named::Guests(guests) => !guests.into_iter().all(self.sees),
            Named::Unclear => true,
        };
        by_rule || names::names_another(name, self.sees)
    }

    fn itself(&self) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == ".")
    }
}

enum Judged {
    Nobody,
    Seen,
    /// Whoever it names, nobody of them may be seen, or nobody can tell.
    Other,
}

/// Whom a value names, and takes those out of a list that may not be seen.
fn judged(form: Form, value: &mut Value, sees: &dyn Fn(u32) -> bool) -> Judged {
    match form.read(value) {
        Named::Nobody => Judged::Nobody,
        Named::Unclear => Judged::Other,
        Named::Guests(guests) if guests.iter().any(|guest| sees(*guest)) => {
            if !guests.into_iter().all(sees) {
                *value = form.trimmed(value, sees);
            }
            Judged::Seen
        }
        Named::Guests(_) => Judged::Other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::scope::of;

    const UPID: &str = "UPID:pve1:00002578:00074193:6B012E72:vzdump:WHO:root@pam:";

    /// What a role that has 104 alone sees of it.
    fn seen(path: &str, value: Value) -> Option<Value> {
        let sees = |guest: u32| guest == 104;
        let judge = Judge::new(of(crate::product::Product::Pve, path).unwrap(), &sees);
        let mut value = value;
        match &mut value {
            Value::Array(rows) => {
                rows.retain_mut(|row| judge.shows(row));
                Some(value)
            }
            one => judge.shows(one).then_some(value),
        }
    }

    #[test]
    fn rows_about_other_guests_are_not_there() {
        let upid = |id: &str| UPID.replace("WHO", id);
        for (path, given, left) in [
            ("/nodes/{node}/qemu", json!([{ "vmid": 104 }, { "vmid": "105" }]), json!([{ "vmid": 104 }])),
            ("/nodes/{node}/netstat", json!([{ "vmid": "105", "in": 1 }, { "dev": "x" }]), json!([])),
            (
                "/cluster/resources",
                json!([{ "id": "node/pve1" }, { "id": "qemu/105" }, { "id": "lxc/104", "vmid": 104 }]),
                json!([{ "id": "node/pve1" }, { "id": "lxc/104", "vmid": 104 }]),
            ),
            (
                "/cluster/tasks",
                json!([{ "upid": upid("105") }, { "upid": upid("") }, { "upid": upid("networking") }, { "upid": "?" },
                       { "upid": upid("104"), "id": "104" }, { "upid": upid("105@local") }]),
                json!([{ "upid": upid("104"), "id": "104" }]),
            ),
            (
                "/cluster/ha/resources",
                json!([{ "sid": "vm:105" }, { "sid": "ct:104" }, { "sid": "x:1" }]),
                json!([{ "sid": "ct:104" }]),
            ),
            (
                "/cluster/ha/rules",
                json!([{ "rule": "a", "resources": "vm:105,vm:106" }, { "rule": "b", "resources": "vm:105,vm:104" }]),
                json!([{ "rule": "b", "resources": "vm:104" }]),
            ),
            (
                "/cluster/ha/status/current",
                json!([{ "id": "quorum", "node": "pve1" }, { "id": "service:vm:105", "sid": "vm:105" }]),
                json!([{ "id": "quorum", "node": "pve1" }]),
            ),
            (
                "/cluster/replication",
                json!([{ "id": "105-0", "guest": 105 }, { "id": "105-1" }, { "id": "104-0", "guest": 104, "comment": "with 105" }]),
                json!([{ "id": "104-0", "guest": 104 }]),
            ),
            (
                "/cluster/backup",
                json!([{ "id": "a", "vmid": "105" }, { "id": "b", "vmid": "104,105" }, { "id": "c", "all": 1, "exclude": "105" }]),
                json!([{ "id": "b", "vmid": "104" }, { "id": "c", "all": 1, "exclude": "" }]),
            ),
            (
                "/cluster/backup-info/not-backed-up",
                json!([{ "vmid": 105, "name": "db" }, { "vmid": 104, "name": "web" }]),
                json!([{ "vmid": 104, "name": "web" }]),
            ),
            (
                "/access/acl",
                json!([{ "path": "/vms/105" }, { "path": "/vms/104" }, { "path": "/pool/dev" }, { "path": "/vms/x" }]),
                json!([{ "path": "/vms/104" }, { "path": "/pool/dev" }]),
            ),
            (
                "/nodes/{node}/storage/{storage}/content",
                json!([{ "volid": "l:105/vm-105-disk-0.raw", "vmid": 105 }, { "volid": "l:iso/a.iso" },
                       { "volid": "l:snippets/vm-105-user.yml" },
                       { "volid": "l:backup/vzdump-qemu-105-2026.vma", "vmid": 105, "notes": "db" },
                       { "volid": "l:9/base-9-disk-0.raw/104/vm-104-disk-0.raw", "vmid": 104, "parent": "../9/base-9-disk-0.raw" }]),
                json!([{ "volid": "l:iso/a.iso" },
                       { "volid": format!("l:{ANOTHER}/104/vm-104-disk-0.raw"), "vmid": 104, "parent": format!("../{ANOTHER}") }]),
            ),
            (
                "/nodes/{node}/replication",
                json!([{ "id": "104-0", "guest": "104" }, { "id": "105-0", "guest": "105" }]),
                json!([{ "id": "104-0", "guest": "104" }]),
            ),
        ] {
            assert_eq!(seen(path, given), Some(left), "{path}");
        }
    }

    #[test]
    fn what_stands_within_is_judged_as_well() {
        for (path, given, left) in [
            (
                "/pools/{poolid}",
                json!({ "comment": "with db", "members": [{ "vmid": 105, "name": "db" }, { "vmid": 104 }, { "storage": "local" }] }),
                json!({ "members": [{ "vmid": 104 }, { "storage": "local" }] }),
            ),
            (
                "/cluster/backup/{id}/included_volumes",
                json!({ "children": [{ "id": 105, "name": "db", "children": [{ "id": "scsi0", "name": "l:vm-105-disk-0" }] },
                                     { "id": 104, "children": [{ "id": "scsi0", "name": "l:vm-104-disk-0" }] }] }),
                json!({ "children": [{ "id": 104, "children": [{ "id": "scsi0", "name": "l:vm-104-disk-0" }] }] }),
            ),
            (
                "/access/permissions",
                json!({ "/": { "VM.Audit": 1 }, "/vms/105": { "VM.Audit": 1 }, "/vms/104": {} }),
                json!({ "/": { "VM.Audit": 1 }, "/vms/104": {} }),
            ),
            (
                "/cluster/ha/status/manager_status",
                json!({ "manager_status": { "service_status": { "vm:105": { "node": "pve1" }, "vm:104": {} } },
                        "lrm_status": { "pve1": { "results": { "Xy": { "sid": "vm:105" }, "Z": { "sid": "vm:104" } } } } }),
                json!({ "manager_status": { "service_status": { "vm:104": {} } },
                        "lrm_status": { "pve1": { "results": { "Z": { "sid": "vm:104" } } } } }),
            ),
            (
                "/cluster/metrics/export",
                json!({ "data": [{ "id": "qemu/105", "value": 1 }, { "id": "qemu/104" }, { "id": "node/pve1" }] }),
                json!({ "data": [{ "id": "qemu/104" }, { "id": "node/pve1" }] }),
            ),
            (
                "/nodes/{node}/sdn/zones/{zone}/bridges",
                json!([{ "name": "v", "ports": [{ "name": "tap105i0", "vmid": 105 }, { "name": "tap106i0" }, { "name": "eth0" }] }]),
                json!([{ "name": "v", "ports": [{}, { "name": "eth0" }] }]),
            ),
            (
                "/nodes/{node}/qemu/{vmid}/config",
                json!({ "scsi0": "l:base-9-disk-0/vm-104-disk-0,size=1G", "scsi1": "l:vm-105-disk-1", "name": "web" }),
                json!({ "scsi0": format!("l:{ANOTHER}/vm-104-disk-0,size=1G"), "scsi1": format!("l:{ANOTHER}"), "name": "web" }),
            ),
            (
                "/nodes/{node}/qemu/{vmid}/migrate",
                json!({ "dependent-ha-resources": ["vm:105", "vm:104"], "running": true }),
                json!({ "dependent-ha-resources": ["vm:104"], "running": true }),
            ),
            (
                "/nodes/{node}/config",
                json!({ "description": "db is 105", "wakeonlan": "x" }),
                json!({ "wakeonlan": "x" }),
            ),
            (
                "/storage",
                json!([{ "storage": "a", "odd": [{ "vmid": 105 }] }]),
                json!([{ "storage": "a", "odd": [] }]),
            ),
        ] {
            assert_eq!(seen(path, given), Some(left), "{path}");
        }
    }

    #[test]
    fn one_object_about_others_is_not_shown() {
        for (path, given) in [
            ("/cluster/backup/{id}", json!({ "id": "a", "vmid": "105" })),
            ("/cluster/ha/rules/{rule}", json!({ "rule": "a", "resources": "vm:105" })),
            ("/cluster/ha/rules/{rule}", json!({ "rule": "a" })),
            ("/nodes/{node}/tasks/{upid}/status", json!({ "upid": UPID.replace("WHO", "105") })),
            ("/cluster/log", json!({ "n": 1 })),
        ] {
            assert_eq!(seen(path, given.clone()), None, "{path} {given}");
        }
    }
}
