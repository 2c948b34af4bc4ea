//! The blast radius of changes, by cases: an estate, a call, and exactly who is hit.
//!
//! `cases/SUBJECT.toml` holds the cases of a subject, for each rule one that it hits, one that it misses and one that is a
//! trap; `base/` is the small cluster that each lays its own files over.

mod case;
mod cases;
