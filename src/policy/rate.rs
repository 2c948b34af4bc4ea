//! A token bucket: so many calls in a span, refilled evenly.

use std::time::{Duration, Instant};

use crate::config::Rate;

pub struct Bucket {
    rate: Rate,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    pub fn full(rate: Rate, now: Instant) -> Self {
        Self { rate, tokens: f64::from(rate.calls), filled: now }
    }

    /// Another rate holds from now on; what was used up stays so.
    pub fn change(&mut self, rate: Rate) {
        self.rate = rate;
    }

    /// Whether it is as good as a new one by now.
    pub fn is_full(&self, now: Instant) -> bool {
        let per_second = f64::from(self.rate.calls) / f64::from(self.rate.per_s);
        let gained = now.saturating_duration_since(self.filled).as_secs_f64() * per_second;
        self.tokens + gained >= f64::from(self.rate.calls)
    }

    /// Takes one token, or says how long until there is one.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let per_second = f64::from(self.rate.calls) / f64::from(self.rate.per_s);
        let gained = now.saturating_duration_since(self.filled).as_secs_f64() * per_second;
        self.tokens = (self.tokens + gained).min(f64::from(self.rate.calls));
        self.filled = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.tokens) / per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_refills_evenly_and_no_further_than_full() {
        let start = Instant::now();
        let mut bucket = Bucket::full(Rate { calls: 2, per_s: 60 }, start);
        assert!(bucket.is_full(start));
        assert!(bucket.take(start).is_ok() && bucket.take(start).is_ok());
        assert!(
            !bucket.is_full(start + Duration::from_secs(59))
                && bucket.is_full(start + Duration::from_secs(60))
        );
        let wait = bucket.take(start).unwrap_err();
        assert!((29..=30).contains(&wait.as_secs()), "{wait:?}");
        assert!(bucket.take(start + Duration::from_secs(31)).is_ok());
        let much_later = start + Duration::from_secs(100_000);
        assert!(bucket.take(much_later).is_ok() && bucket.take(much_later).is_ok());
        assert!(bucket.take(much_later).is_err());
    }
}
