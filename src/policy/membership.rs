//! Which guests a role's pools and tags stand for: the one place where whoever knows the estate answers.

use crate::config::{GuestTerm, Role};

/// Says what is in a pool, or has a tag, at this moment. What it cannot say is no: a role never grows by an error.
pub trait Membership: Send + Sync {
    fn in_pool(&self, guest: u32, pool: &str) -> bool;
    fn has_tag(&self, guest: u32, tag: &str) -> bool;
}

/// Where no estate is read: pools and tags include nothing.
pub struct Unread;

impl Membership for Unread {
    fn in_pool(&self, _: u32, _: &str) -> bool {
        false
    }

    fn has_tag(&self, _: u32, _: &str) -> bool {
        false
    }
}

/// Whether the role's guests include this one.
pub fn includes(role: &Role, members: &dyn Membership, guest: u32) -> bool {
    role.guests.as_ref().is_none_or(|terms| {
        terms.iter().any(|term| match term {
            GuestTerm::Ids(ids) => ids.contains(&guest),
            GuestTerm::Pool(pool) => members.in_pool(guest, pool),
            GuestTerm::Tag(tag) => members.has_tag(guest, tag),
        })
    })
}
