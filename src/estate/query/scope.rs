//! Sets of guests by pool and tag, as policy names them. What cannot be resolved holds nobody.

use crate::estate::index::Index;
use crate::estate::part::Part;
use crate::estate::seen::Seen;

impl Index {
    /// The guests of a pool that are there. A pool also names those that are gone.
    pub fn guests_of_pool(&self, pool: &str) -> Seen<Vec<u32>> {
        let named = self.cluster().access.pools.get(pool);
        let ids = named.into_iter().flat_map(|pool| pool.guests.iter().copied());
        let found = ids.filter(|vmid| self.guest(*vmid).next().is_some()).collect();
        self.seen(found, &[Part::Access, Part::Guests])
    }

    pub fn guests_of_tag(&self, tag: &str) -> Seen<Vec<u32>> {
        let found = self.guests().filter(|guest| guest.has_tag(tag)).map(|guest| guest.vmid).collect();
        self.seen(found, &[Part::Guests])
    }

    /// Whether the guest is in that pool: a false is also "it cannot be told".
    #[must_use]
    pub fn is_in_pool(&self, vmid: u32, pool: &str) -> bool {
        !self.is_incomplete(&[Part::Access])
            && self.cluster().access.pool_of(vmid).is_some_and(|held| held == pool)
    }

    /// Whether every guest of that id has the tag: a false is also "it cannot be told".
    #[must_use]
    pub fn has_tag(&self, vmid: u32, tag: &str) -> bool {
        let mut guests = self.guest(vmid).peekable();
        guests.peek().is_some() && guests.all(|guest| guest.seen && guest.has_tag(tag))
    }
}
