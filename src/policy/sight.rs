//! What of the API a principal may read: which calls, of which guests.
//!
//! It judges a call before it is made. What came back is judged by whoever shows it, by the same [`Sight::includes`] and
//! the table of [`crate::catalog::scope`].

use std::path::Path;
use std::sync::Arc;

use super::call::{Call, verdict};
use super::membership::{self, Membership};
use super::{Denied, scope};
use crate::catalog::scope::{self as table, Class, Form, Named, Row, names};
use crate::catalog::tier;
use crate::config::{Profile, Role};
use crate::product::Product;

/// What of the API a principal may read. Only [`super::Policy::read`] makes one.
#[derive(Clone)]
pub struct Sight {
    pub(super) role: Role,
    pub(super) members: Arc<dyn Membership>,
}

impl Sight {
    /// The role's own token for the API.
    pub fn token(&self) -> Option<&Path> {
        self.role.token.as_deref()
    }

    /// Whether the role names its guests.
    pub fn is_scoped(&self) -> bool {
        self.role.guests.is_some()
    }

    /// Whether it may see what others did, wherever that was.
    pub fn sees_everybody(&self) -> bool {
        self.role.profile == Profile::Full && !self.is_scoped()
    }

    pub fn includes(&self, guest: u32) -> bool {
        membership::includes(&self.role, self.members.as_ref(), guest)
    }

    /// Whether it is of the same role as it stands there: what was granted by one is granted by the other.
    pub fn is_as(&self, other: &Self) -> bool {
        self.role == other.role
    }

    /// Whether what is about this guest may be read.
    pub fn guest(&self, guest: u32) -> Result<(), Denied> {
        if self.includes(guest) {
            return Ok(());
        }
        Err(Denied::Guest { guest, role: self.role.name.clone(), scope: scope(&self.role) })
    }

    /// Whether the role has this call at all, whatever its parameters.
    pub fn verdict(&self, call: &Call) -> Result<(), Denied> {
        verdict(&self.role, call)?;
        let (tier, why) = tier::of(call.product, call.method, &call.template);
        match self.role.approval.as_deref().unwrap_or_default().contains(&tier) {
            false => Ok(()),
            true => Err(Denied::Approval {
                call: call.name(),
                role: self.role.name.clone(),
                tier: tier.name(),
                why,
            }),
        }
    }

    /// Whether this may be read. Whatever the answer holds still has to be judged, where [`Self::is_scoped`].
    pub fn may(&self, call: &Call) -> Result<(), Denied> {
        self.verdict(call)?;
        // Paths and queries stand in logs along the way.
        let secret = |(name, _): &&(String, String)| crate::secret::is_secret(&call.template, name);
        if let Some((parameter, _)) = call.parameters.iter().find(secret) {
            return Err(Denied::Secret { call: call.name(), parameter: parameter.clone() });
        }
        match self.is_scoped() {
            true => self.scoped(call),
            false => Ok(()),
        }
    }

    /// Whether each guest that the call names is the role's, and whether what it gives can be judged at all.
    fn scoped(&self, call: &Call) -> Result<(), Denied> {
        let row = table::of(call.product, &call.template).ok_or_else(|| self.closed(call, NOBODY_LOOKED))?;
        if let Class::Closed = row.class {
            return Err(self.closed(call, row.why));
        }
        for (name, value) in &call.parameters {
            if let Some(Named::Guests(guests)) = Form::of_key(name).map(|form| form.read_text(value)) {
                guests.into_iter().try_for_each(|guest| self.guest(guest))?;
            }
            let mentioned = names::mentions(value).flat_map(|(_, guests)| guests);
            for guest in mentioned {
                self.guest(guest.ok_or_else(|| self.closed(call, NO_GUEST))?)?;
            }
        }
        let Class::Guest(key) = &row.class else { return Ok(()) };
        let value = call.parameters.iter().find_map(|(name, value)| (name == key.name).then_some(value));
        match value.map_or(Named::Nobody, |value| key.form.read_text(value)) {
            Named::Guests(guests) => guests.into_iter().try_for_each(|guest| self.guest(guest)),
            Named::Nobody if row.others && value.is_some() => Ok(()),
            Named::Nobody | Named::Unclear => Err(self.closed(call, row.why)),
        }
    }

    /// How the answer to what [`Self::may`] allowed names guests; none where the role may see all.
    pub fn row(&self, product: Product, template: &str) -> Result<Option<&'static Row>, Denied> {
        match (self.is_scoped(), table::of(product, template)) {
            (false, _) => Ok(None),
            (true, Some(row)) => Ok(Some(row)),
            (true, None) => Err(self.outside(template)),
        }
    }

    fn closed(&self, call: &Call, why: &'static str) -> Denied {
        Denied::Closed { call: call.name(), why, role: self.role.name.clone(), scope: scope(&self.role) }
    }

    /// What was read turned out to be about others.
    pub fn outside(&self, template: &str) -> Denied {
        let call = format!("GET {template}");
        Denied::Outside { call, role: self.role.name.clone(), scope: scope(&self.role) }
    }

    pub fn changed(&self) -> Denied {
        Denied::Changed { role: self.role.name.clone() }
    }

    /// A text without the guests that the role does not include.
    pub fn cut(&self, text: String) -> String {
        match self.is_scoped() {
            true => names::without_others(&text, &|guest| self.includes(guest)).into_owned(),
            false => text,
        }
    }
}

const NOBODY_LOOKED: &str = "no table says what it tells of guests";
const NO_GUEST: &str = "it names a guest that there cannot be";
