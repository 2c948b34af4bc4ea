//! On whose account something is held, made or counted: what limits, plans and handles belong to.

use std::fmt;

/// One that may connect. A machine is the same one whichever CID it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// A Unix account of the node, by its number.
    User(u32),
    /// A virtual machine of the node, by its vmid: whoever is in it.
    Machine(u32),
    /// A token that this node gave out, by its number: whoever holds it.
    Token(u64),
}

impl From<u32> for Account {
    fn from(uid: u32) -> Self {
        Self::User(uid)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(f, "uid:{uid}"),
            Self::Machine(vmid) => write!(f, "vm:{vmid}"),
            Self::Token(id) => write!(f, "token:{id:016x}"),
        }
    }
}
