//! Where the answers of GETs name guests: what a role that may read of some guests only has to be kept from.
//!
//! In: the path template of a GET. Out: its [`Row`], by which whoever knows the role judges parameters and answers; none
//! for what nobody has looked at yet, which is then closed. It decides nothing about anybody.

pub mod names;
mod table;
#[cfg(test)]
mod tests;

pub use names::{Form, Named};
pub use table::{Class, Key, Row, of};
