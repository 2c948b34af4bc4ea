//! What of an estate outlives its process, where that is asked for: guests, who may do what, and tasks. A node that boots
//! again has these on its disk; the rest is as it was made.

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

use super::access::Access;
use super::guest::Guest;
use super::{Estate, now};
use crate::sim::task::Task;

/// What PVE says of a task whose worker ended without a last line.
const CUT_OFF: &str = "unexpected status";

#[derive(Serialize, Deserialize)]
struct Kept {
    guests: BTreeMap<u32, Guest>,
    access: Access,
    tasks: Vec<Task>,
    counter: u64,
}

impl Estate {
    /// For [`Estate::take_up`].
    pub fn keep(&self) -> io::Result<Vec<u8>> {
        let kept = Kept {
            guests: self.guests.clone(),
            access: self.access.clone(),
            tasks: self.tasks.all().cloned().collect(),
            counter: self.counter,
        };
        postcard::to_allocvec(&kept).map_err(io::Error::other)
    }

    /// Goes on where the one that [`Estate::keep`] was asked of stopped; a task that ran then has no end of its own.
    pub fn take_up(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut kept: Kept = postcard::from_bytes(bytes).map_err(io::Error::other)?;
        let gone: Vec<u32> =
            self.guests.keys().filter(|vmid| !kept.guests.contains_key(vmid)).copied().collect();
        for vmid in gone {
            self.remove_guest(vmid);
        }
        for guest in kept.guests.into_values() {
            self.add_guest(guest);
        }
        kept.access.earlier = self.access.earlier;
        *self.access_mut() = kept.access;
        self.tasks = super::super::task::Tasks::default();
        for mut task in kept.tasks {
            task.end.get_or_insert_with(|| (now(), CUT_OFF.to_owned()));
            self.tasks.add(task);
        }
        self.counter = kept.counter;
        Ok(())
    }
}
