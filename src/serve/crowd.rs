//! Connections that were turned away. Who comes again and again does not fill the disk with it: one receipt a second says
//! how many there were.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(Default)]
pub struct Crowd {
    told: Option<Instant>,
    untold: u64,
}

impl Crowd {
    /// How many came since the last receipt, where it is time for one.
    pub fn one_more(crowd: &Mutex<Self>) -> Option<u64> {
        let mut crowd = crowd.lock().unwrap_or_else(PoisonError::into_inner);
        if crowd.told.is_some_and(|told| told.elapsed() < Duration::from_secs(1)) {
            crowd.untold += 1;
            return None;
        }
        crowd.told = Some(Instant::now());
        Some(std::mem::take(&mut crowd.untold))
    }

    /// What is said of one of them, and of the others.
    pub fn among(others: u64, why: &str) -> String {
        match others {
            0 => why.to_owned(),
            others => {
                format!("{why} (and {others} connections more were turned away since the last receipt)")
            }
        }
    }
}
