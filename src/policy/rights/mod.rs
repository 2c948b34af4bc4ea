//! Which of PVE's privileges a role needs, so that its token is given those and no other.
//!
//! In: a role, and the API as the node describes it. Out: [`Rights`], each privilege with the calls that it is for. A read
//! never brings a privilege by which something can be changed: what only such a one may read stays closed, unless a change
//! of the profile needs it anyway.

mod clauses;
mod table;

use std::collections::BTreeMap;

use super::scoped;
use crate::catalog::{Catalog, Endpoint, Method, tier};
use crate::config::{Profile, Role, Tier};

/// Where a privilege is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// On each guest of the role: `/vms/ID`, `/pool/NAME`.
    Guests,
    /// On everything else: nodes, storages, networks.
    Elsewhere,
}

/// Privileges, each with the calls that ask for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights(BTreeMap<(Place, String), Vec<String>>);

impl Rights {
    /// What a role needs of its token.
    pub fn of(role: &Role, catalog: &Catalog) -> Self {
        let mut rights = Self::default();
        for endpoint in catalog.endpoints().iter().filter(|endpoint| could_call(role, endpoint)) {
            let needs = needs(endpoint);
            let looks = |(_, privilege): &(Place, String)| looks(privilege);
            if tier::of(endpoint.product, endpoint.method, &endpoint.path).0 == Tier::Read
                && !needs.iter().all(looks)
            {
                continue;
            }
            for (place, privilege) in needs {
                // Who has only some of the guests decides nothing about rights but on these, for which PVE takes
                // VM.Allocate as well.
                if role.guests.is_some() && privilege == "Permissions.Modify" {
                    continue;
                }
                let calls = rights.0.entry((place, privilege)).or_default();
                calls.push(format!("{} {}", endpoint.method, endpoint.path));
            }
        }
        rights
    }

    /// What the daemon itself looks at, for whatever role.
    pub fn to_look(catalog: &Catalog) -> Self {
        let role = Role {
            name: String::new(),
            members: Vec::new(),
            profile: Profile::Observe,
            guests: None,
            exec: None,
            allow: None,
            deny: Vec::new(),
            approval: None,
            tainted_approval: Vec::new(),
            self_approval: false,
            approve_by: None,
            rate: None,
            token: None,
        };
        Self::of(&role, catalog)
    }

    pub fn at(&self, place: Place) -> impl Iterator<Item = &str> {
        self.0.keys().filter(move |(at, _)| *at == place).map(|(_, privilege)| privilege.as_str())
    }

    /// The calls that ask for a privilege.
    pub fn calls(&self, place: Place, privilege: &str) -> &[String] {
        self.0.get(&(place, privilege.to_owned())).map_or(&[], Vec::as_slice)
    }
}

/// Whether a role could make such a call, of whatever guest and with whatever arguments.
fn could_call(role: &Role, endpoint: &Endpoint) -> bool {
    let (tier, _) = tier::of(endpoint.product, endpoint.method, &endpoint.path);
    let (method, template) = (endpoint.method.name(), endpoint.path.as_str());
    let deletes = endpoint.method == Method::Delete && role.profile != Profile::Full;
    let denied = || {
        let segments = template.split('/').skip(1);
        role.deny.iter().any(|pattern| pattern.matches(method, template, segments.clone()))
    };
    endpoint.allowtoken
        && role.profile.holds(tier)
        && !deletes
        && role.could_allow(method, template)
        && !denied()
        && (role.guests.is_none()
            || endpoint.method == Method::Get
            || scoped::could_be_open(method, template))
}

/// What an endpoint asks for: by its schema, and by our table where it checks by itself.
fn needs(endpoint: &Endpoint) -> Vec<(Place, String)> {
    let mut needs = clauses::of(endpoint);
    needs.extend(table::of(endpoint.method, &endpoint.path));
    needs
}

/// Whether a privilege only lets look.
pub fn looks(privilege: &str) -> bool {
    privilege.ends_with(".Audit") || privilege == "Sys.Syslog"
}

#[cfg(test)]
mod tests;
