//! Those who were turned away. Who comes again and again does not fill the disk with it: one receipt a second says
//! how many there were.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::config::Rate;
use crate::policy::Bucket;

#[derive(Default)]
pub struct Crowd {
    told: Option<Instant>,
    untold: u64,
}

impl Crowd {
    /// How many came since the last receipt, where it is time for one.
    pub fn one_more(crowd: &Mutex<Self>) -> Option<u64> {
        crowd.lock().unwrap_or_else(PoisonError::into_inner).come()
    }

    fn come(&mut self) -> Option<u64> {
        if self.told.is_some_and(|told| told.elapsed() < Duration::from_secs(1)) {
            self.untold += 1;
            return None;
        }
        self.told = Some(Instant::now());
        Some(std::mem::take(&mut self.untold))
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

/// The same where it is known who comes: each has a receipt of its own, until an account's are many.
#[derive(Default)]
pub struct Crowds(Mutex<HashMap<Account, Refused>>);

/// Receipts of one account's refusals: as a person leaves them, and then one in so long.
const EACH: Rate = Rate { calls: 20, per_s: 20 };
/// Accounts that are remembered without a look at whether they still come.
const MANY: usize = 256;

struct Refused {
    left: Bucket,
    untold: u64,
}

impl Crowds {
    /// How many of this account's were not told of before it, where this one is.
    pub fn one_more(&self, of: Account) -> Option<u64> {
        let mut crowds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if crowds.len() >= MANY {
            crowds.retain(|_, known| !known.left.is_full(now));
        }
        let known = crowds.entry(of).or_insert_with(|| Refused { left: Bucket::full(EACH, now), untold: 0 });
        match known.left.take(now) {
            Ok(()) => Some(std::mem::take(&mut known.untold)),
            Err(_) => {
                known.untold += 1;
                None
            }
        }
    }

    pub fn among(others: u64, why: &str) -> String {
        match others {
            0 => why.to_owned(),
            others => format!("{why} (and {others} refusals more of theirs since the last receipt)"),
        }
    }
}
