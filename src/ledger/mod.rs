//! Receipts that somebody else can verify: an append-only log with an RFC 6962 tree over it and signed heads.
//!
//! In: what the rooms above did, decided or refused, as typed [`Entry`]s. Out: numbers of receipts that are on the disk,
//! and, for readers, the receipts, proofs and a verdict. It must never lose what it acknowledged, give a number twice, write
//! a secret, or mend what no crash can have done.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`receipt`] | what a receipt holds |
//! | `tree`, `hashes`, `note` | the Merkle tree, its stored hashes, signed heads |
//! | `segments`, `disk`, `place`, `state`, `archive` | the files |
//! | `open`, `damage` | opening: what is mended, and what is not |
//! | `writer`, `handle` | the one thread that writes; how others reach it |
//! | [`copy`], `mirror`, `backlog` | the journal's copy, also of what a run that was cut off had not handed over |
//! | [`resolve`], [`watch`] | what a start does about intents without an outcome; verification by the daemon itself |
//! | [`verify`], `leaves`, [`crosscheck`], [`witness`], [`query`] | reading |

#![cfg_attr(
    not(feature = "agent"),
    allow(dead_code, reason = "who only reads needs less of the files' rooms")
)]

pub mod archive;
#[cfg(feature = "agent")]
mod backlog;
pub mod canonical;
pub mod copy;
pub mod crosscheck;
mod damage;
pub(crate) mod disk;
#[cfg(feature = "agent")]
mod handle;
mod hashes;
mod leaves;
#[cfg(feature = "agent")]
mod log;
#[cfg(feature = "agent")]
pub mod mirror;
mod note;
#[cfg(feature = "agent")]
mod open;
mod place;
pub mod query;
pub mod receipt;
#[cfg(feature = "agent")]
pub mod resolve;
mod segments;
mod state;
#[cfg(all(test, feature = "agent"))]
mod tests;
pub mod tree;
pub mod verify;
#[cfg(feature = "agent")]
pub mod watch;
pub mod witness;
#[cfg(feature = "agent")]
mod writer;

pub use damage::{Altered, Damage};
pub use disk::DiskError;
pub use hashes::{Hashes, HashesError};
pub use note::{Head, NoteError, PublicKey};
pub use place::Place;
pub use receipt::{Decision, Entry, Kind, Receipt, Seq, Who};
pub use segments::{SegmentError, Segments};

#[cfg(feature = "agent")]
pub use handle::{Ledger, Options, Ready, Recorded, Status, Unrecorded};
#[cfg(feature = "agent")]
pub use open::Trouble;
