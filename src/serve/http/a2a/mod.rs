//! A2A (agent2agent): another agent asks this one, by messages and tasks. Of version 1.0, by JSON-RPC and by HTTP+JSON; and by
//! JSON-RPC of 0.3, from which it differs in names alone.
//!
//! In: requests of whoever showed a token. Out: the same calls as by every other door ([`super::one`]), with the same policy,
//! plans, approvals and receipts; here are only their envelopes. The types are those of the protocol's own project (`a2a-lf`).
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`card`] | who answers here: the agent card, signed |
//! | [`rpc`], [`rest`] | the two ways to ask |
//! | [`v03`] | the older form |
//! | [`ops`] | the operations |
//! | [`wish`] | what a message asks for |
//! | [`run`], [`verdict`] | a call, from its begin to what its answer means for the task |
//! | [`task`], [`book`] | how a task stands; a token's tasks and contexts, bounded |
//! | [`gate`] | what of a task its owner sees now |
//! | [`stream`] | a task as it goes on |
//! | [`errors`] | why an operation is not done |
//!
//! It must never take words for a change, nor a message for a person's yes, nor show a token's tasks to another.

mod book;
pub mod card;
mod errors;
mod gate;
mod ops;
pub mod rest;
mod rpc;
mod run;
mod stream;
mod task;
mod v03;
mod verdict;
mod wish;

use std::sync::Arc;

use hyper::http::request::Parts;
use serde_json::{Value, json};

pub use book::{Book, Shelf};
use ops::{Asker, Op};
use stream::Event;

use super::answer::Answer;
use super::callers::Caller;
use super::{Door, one};

/// Which version of the protocol an object has the form of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    One,
    Three,
}

impl Form {
    /// The form of a card that is asked for, where one is.
    pub fn of(parts: &Parts) -> Option<Self> {
        rpc::version(parts).ok().flatten()
    }

    fn of_told(self, op: Op, told: Value) -> Value {
        match self {
            Self::Three if op != Op::Card => v03::told(op, told),
            _ => told,
        }
    }

    fn event(self, event: Event) -> Value {
        let told = json!(event.told);
        match self {
            Self::One => told,
            Self::Three => v03::event(told, event.last),
        }
    }
}

/// Where something was asked for.
pub enum Asked {
    Rpc,
    Rest(rest::Place),
}

/// The answer, and whether it is a stream, which ends with its token.
pub async fn answer(
    door: &Door,
    caller: &Arc<Caller>,
    asked: Asked,
    parts: &Parts,
    body: &[u8],
) -> (Answer, bool) {
    let asker = Asker::new(door, caller.clone(), one::agent(parts));
    match asked {
        Asked::Rpc => rpc::answer(door, &asker, parts, body).await,
        Asked::Rest(place) => rest::answer(door, &asker, place, parts, body).await,
    }
}
