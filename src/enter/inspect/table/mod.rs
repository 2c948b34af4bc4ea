//! Every system call of Linux 6.18 (and 6.19's listns) on x86_64, what becomes of it in the lane, and why: to be read in
//! review. What is not here is absent.

// Tables: a line a thing, as the reader wants it and not as the formatter would have it.
#[rustfmt::skip]
mod files;
#[rustfmt::skip]
mod ipc;
mod newer;
#[rustfmt::skip]
mod own;
#[rustfmt::skip]
mod processes;
#[rustfmt::skip]
mod system;

use super::rule::Row;

/// All rows. No call stands in two.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    [files::ROWS, processes::ROWS, ipc::ROWS, system::ROWS, own::ROWS].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::rows;

    #[test]
    fn every_call_stands_in_one_row_with_a_reason() {
        let mut seen = BTreeSet::new();
        for row in rows() {
            assert!(row.2.len() > 4, "a row without a reason: {:?}", row.1);
            for call in row.1 {
                assert!(seen.insert(*call), "{call} stands in two rows");
            }
        }
        // 337 to 423 are numbers that x86_64 never used.
        let missing: Vec<_> = (0..337).chain(424..471).filter(|call| !seen.contains(call)).collect();
        assert!(missing.is_empty(), "not in the table: {missing:?}");
        assert!(seen.last() == Some(&470), "the module's first line names another end");
    }
}
