//! The hunts that are under way: one look at the node's processes serves them all, a piece of it a turn of the loop.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::job::Job;
use crate::enter::hunt::Hunt;
use crate::enter::walk::Scan;

/// Between two scans, and no less than one took: hunts have half of this process at most.
const PAUSE: Duration = Duration::from_millis(1);

pub struct Pursuit {
    scan: Option<(Scan, Duration)>,
    next: Instant,
}

impl Pursuit {
    pub fn new() -> Self {
        Self { scan: None, next: Instant::now() }
    }

    /// When to call [`Pursuit::turn`].
    pub fn deadline(&self, jobs: &mut HashMap<u32, Job>) -> Option<Instant> {
        let hunted = self.scan.is_some() || jobs.values_mut().any(|job| job.hunt().is_some());
        hunted.then_some(self.next)
    }

    /// Goes on with the hunts, if any. Returns those jobs whose hunt is over by it.
    pub fn turn(&mut self, jobs: &mut HashMap<u32, Job>) -> Vec<u32> {
        let began = Instant::now();
        if self.next > began || self.deadline(jobs).is_none() {
            return Vec::new();
        }
        let (scan, spent) = self.scan.get_or_insert_with(|| {
            jobs.values_mut().filter_map(Job::hunt).for_each(Hunt::join);
            (Scan::begin(), Duration::ZERO)
        });
        let whole = scan.advance();
        *spent += began.elapsed();
        if !whole {
            return Vec::new();
        }
        let over = jobs.iter_mut().filter_map(|(id, job)| job.see(scan).then_some(*id)).collect();
        self.next = Instant::now() + PAUSE.max(*spent);
        self.scan = None;
        over
    }
}
