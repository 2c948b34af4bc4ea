//! How much of a list comes at once: what is asked for beyond that is cut to it, and said.

/// The limit that counts, and what to tell of it.
pub fn clamped(given: Option<u64>, default: usize, most: usize) -> (usize, Option<String>) {
    let Some(given) = given else { return (default, None) };
    let limit = usize::try_from(given).unwrap_or(usize::MAX).clamp(1, most);
    let note = (limit as u64 != given)
        .then(|| format!("limit is {given} and was taken as {limit}: 1 to {most} come at once"));
    (limit, note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_none_is_the_nearest_that_is_one() {
        assert_eq!(clamped(None, 8, 50), (8, None));
        assert_eq!(clamped(Some(50), 8, 50), (50, None));
        for (given, limit) in [(0, 1), (51, 50), (u64::MAX, 50)] {
            let (taken, note) = clamped(Some(given), 8, 50);
            assert_eq!(taken, limit);
            assert!(note.unwrap().contains(&given.to_string()));
        }
    }
}
