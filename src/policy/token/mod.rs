//! Tokens: how somebody who comes by HTTP is known.
//!
//! In: a wish of somebody whom the kernel knows ([`Tokens::issue`]), or a token that somebody shows ([`Tokens::present`]).
//! Out: a signed token, or a [`Bearer`], the principal that it stands for. What a token may do stands in no token: it has a
//! number, and what goes with the number is kept here, so that it can be taken back at once, and by a restart is not
//! given back. A role is looked up by name at each call: one that was narrowed since is as narrow for its tokens.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`jwt`] | the form: EdDSA, and nothing else |
//! | [`record`] | what goes with a number |
//! | [`live`] | what goes on with it while the daemon runs |
//! | [`people`] | who is behind it by now |
//! | [`room`] | how many there may be |
//! | [`issue`] | who may give out, renew and take back which |
//! | [`store`] | the key and the numbers on the disk |
//!
//! It must never print, log or record a token or the key, nor take one's own word for what it may do.

mod bearer;
mod issue;
mod jwt;
mod live;
mod people;
mod record;
mod room;
mod store;
#[cfg(test)]
mod tests;

pub use bearer::Bearer;
pub use issue::{Issued, MOST_TTL, MOST_WINDOW, NotIssued, Wish};
pub use jwt::{Attested, PublicKey, Rejected};
pub use record::{Grant, Record, Revoked, TokenId};
pub use store::{Page, Presented, Tokens};
