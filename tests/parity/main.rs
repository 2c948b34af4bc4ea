//! Namespace entry against its yardstick: the same command through Debian's `lxc-attach --clear-env` and through
//! Provost, compared by everything that the command can see of itself, that the host can see of it, and by the seccomp
//! filter that it carries.
//!
//! A difference is an error unless it stands in [`differences`], with its reason and what exactly is allowed. What is
//! stricter on purpose has a test of its own in [`stricter`], which starts `provost-execd` where it could go wrong: with
//! variables, descriptors, signals, keys and a terminal that must not get through.
//!
//! Needs root and the containers of tests/lab, in both layouts:
//! `tests/lab/lab up && tests/lab/lab up --cgroup mixed && tests/lab/lab wait`.

#[path = "../common/mod.rs"]
mod common;

mod differences;
mod facts;
mod filter;
mod inside;
mod outside;
mod own;
mod place;
mod race;
mod settings;
mod stricter;
mod user;
