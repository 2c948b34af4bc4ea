//! Which guests are backed up, by which job, and what of them is not.

use smol_str::SmolStr;

use crate::estate::guest::{Backing, Guest, Role, Slot};
use crate::estate::index::Index;
use crate::estate::jobs::BackupJob;
use crate::estate::part::Part;
use crate::estate::seen::Seen;

/// A job that takes a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cover {
    pub job: SmolStr,
    pub enabled: bool,
    /// Nothing: what the node's `vzdump.conf` says.
    pub storage: Option<SmolStr>,
    pub schedule: Option<SmolStr>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Covered {
    pub by: Vec<Cover>,
    /// Disks, mount points and folders with data that no backup of this guest holds.
    pub left_out: Vec<Slot>,
}

impl Covered {
    /// Whether a job that runs takes it.
    #[must_use]
    pub fn is_backed_up(&self) -> bool {
        self.by.iter().any(|cover| cover.enabled)
    }
}

const PARTS: &[Part] = &[Part::Guests, Part::Jobs, Part::Access];

impl Index {
    /// The jobs that take a guest, and what they leave out of it.
    pub fn backups_of(&self, guest: &Guest) -> Seen<Covered> {
        let by = self.jobs_of(guest, None).map(|job| Cover {
            job: job.id.clone(),
            enabled: job.enabled,
            storage: job.storage.clone(),
            schedule: job.schedule.clone(),
        });
        let holds_data = |role| matches!(role, Role::Boot | Role::Data | Role::Firmware);
        let left_out = guest.disks.iter().filter(|disk| {
            holds_data(disk.role) && !disk.pending && !disk.backed_up && disk.backing != Backing::Empty
        });
        let left_out = left_out.map(|disk| disk.slot).collect();
        self.seen(Covered { by: by.collect(), left_out }, PARTS)
    }

    /// The guests that no job would take if this one did not run: what is lost with it.
    pub fn only_backed_up_by(&self, job: &str) -> Seen<Vec<u32>> {
        let found = self.guests().filter(|guest| {
            let is_taken = self.jobs_of(guest, None).any(|other| other.enabled && other.id == job);
            is_taken && !self.jobs_of(guest, Some(job)).any(|other| other.enabled)
        });
        self.seen(found.map(|guest| guest.vmid).collect(), PARTS)
    }

    /// The jobs that write to a storage.
    pub fn backups_to(&self, storage: &str) -> impl Iterator<Item = &BackupJob> {
        self.cluster().jobs.iter().filter(move |job| job.storage.as_deref() == Some(storage))
    }

    fn jobs_of<'a>(
        &'a self,
        guest: &'a Guest,
        without: Option<&'a str>,
    ) -> impl Iterator<Item = &'a BackupJob> {
        let pool = self.cluster().access.pool_of(guest.vmid).map(SmolStr::as_str);
        let jobs = self.cluster().jobs.iter().filter(move |job| without != Some(job.id.as_str()));
        jobs.filter(move |job| job.covers(guest, pool))
    }
}
