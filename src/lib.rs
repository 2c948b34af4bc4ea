//! Provost: the agent on a Proxmox VE node that lets an AI assistant run it without being able to wreck it.
//!
//! The rooms, from the doors down to the kernel. A room may use what stands below it, never above.
//!
//! | room | what it holds |
//! | --- | --- |
//! | [`cli`] | the operator's verbs |
//! | [`connect`] | many nodes behind one client: what `provost connect` does on a workstation |
//! | [`serve`] | transports: who connects, as whom, and one bounded MCP session each |
//! | [`tools`] | the MCP face: one file a tool |
//! | [`apply`] | a plan becomes a change: once, as planned, recorded before and after |
//! | [`plan`] | what a change would do: effects, who is hit, risk, the way back |
//! | [`diagnose`] | evidence batteries and what they flag, incompleteness included |
//! | [`policy`] | principals, roles, guest scopes, changes, approvals, rate, halt |
//! | [`ledger`] | the receipts: an append-only Merkle log, signed heads, the journal's mirror, verification |
//! | [`estate`] | what exists and what depends on what, from /etc/pve or the API |
//! | [`catalog`] | the API as data: endpoints, parameters, privileges, tiers |
//! | [`pve`] | the client of PVE's REST API: pinned TLS on loopback, token, kept connections, its errors as types |
//! | [`exec`] | the wire between `provostd` and `provost-execd`, and both of its ends |
//! | [`enter`] | namespace entry, used by `provost-execd` alone; the only room with `unsafe` |
//! | [`sandbox`] | what `provostd` gives up before it serves |
//! | [`sim`] | a simulated cluster, for tests and for trying Provost without Proxmox; in no released program |
//! | [`control`] | the wire between `provost` and `provostd`: what operators ask |
//! | [`account`], [`config`], [`door`], [`files`], [`http`], [`journal`], [`process`], [`product`], [`secret`], [`share`], [`stale`], [`text`], [`turns`] | what every room may use |

#[cfg(feature = "ledger")]
pub mod account;
pub mod config;
pub mod files;
pub mod journal;
pub mod process;
pub mod product;
pub mod text;

#[cfg(feature = "agent")]
pub mod apply;
#[cfg(feature = "agent")]
pub mod catalog;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(all(feature = "agent", feature = "cli"))]
pub mod connect;
#[cfg(any(feature = "agent", feature = "cli"))]
pub mod control;
#[cfg(feature = "agent")]
pub mod diagnose;
#[cfg(any(feature = "agent", feature = "execd"))]
pub mod door;
#[cfg(feature = "execd")]
pub mod enter;
#[cfg(feature = "agent")]
pub mod estate;
#[cfg(any(feature = "agent", feature = "execd"))]
pub mod exec;
#[cfg(feature = "agent")]
pub mod http;
#[cfg(feature = "ledger")]
pub mod ledger;
#[cfg(feature = "agent")]
pub mod plan;
#[cfg(feature = "agent")]
pub mod policy;
#[cfg(feature = "agent")]
pub mod pve;
#[cfg(feature = "agent")]
pub mod sandbox;
#[cfg(any(feature = "execd", feature = "ledger"))]
pub mod secret;
#[cfg(feature = "agent")]
pub mod serve;
#[cfg(feature = "agent")]
pub mod share;
#[cfg(feature = "sim")]
pub mod sim;
#[cfg(any(feature = "agent", feature = "execd"))]
pub mod stale;
#[cfg(feature = "agent")]
pub mod tools;
#[cfg(feature = "agent")]
pub mod turns;
