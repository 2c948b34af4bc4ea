//! Leaves that processes are still in: of finished commands that left them running on purpose, and of an earlier run.
//! Each is removed when the last has ended.

use std::collections::HashMap;
use std::rc::Rc;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use super::remains::Remains;
use super::{LEFT, token};
use crate::enter::home::Home;
use crate::enter::leaf::Leaf;

/// In one container, and in all: each costs descriptors. Beyond it no command that could leave another is run.
const MOST_IN_ONE: usize = 64;
const MOST: usize = 1024;

pub struct Left {
    epoll: Rc<Epoll>,
    leaves: HashMap<u32, Leaf>,
}

impl Left {
    pub fn new(epoll: &Rc<Epoll>) -> Self {
        Self { epoll: Rc::clone(epoll), leaves: HashMap::new() }
    }

    /// Whether a container has as many as it may have: how many.
    pub fn is_full(&self, home: &Rc<Home>) -> Option<usize> {
        let here = self.leaves.values().filter(|leaf| Rc::ptr_eq(leaf.home(), home)).count();
        (here >= MOST_IN_ONE || self.leaves.len() >= MOST).then_some(here)
    }

    /// Removes a leaf, or watches it until the last of those that go on in it has ended. `stopped`: its container has, or
    /// may have.
    pub fn take(&mut self, id: u32, mut leaf: Leaf, stopped: bool, remains: &mut Remains) {
        if leaf.is_gone_after_remove() {
            remains.look(leaf.home(), stopped);
            return;
        }
        leaf.only_watch();
        let mut event = EpollEvent::new(EpollFlags::EPOLLPRI, token(LEFT, id));
        let watched = leaf.events().ok_or(Errno::EBADF).and_then(|events| {
            match self.epoll.add(events, event) {
                // As the leaf of a command that has been answered meanwhile.
                Err(Errno::EEXIST) => self.epoll.modify(events, &mut event),
                done => done,
            }
        });
        match watched {
            Ok(()) => {
                self.leaves.insert(id, leaf);
                self.turn(id, remains);
            }
            Err(errno) => {
                tracing::warn!(%errno, "cannot watch a cgroup that is still in use; a restart will clear it")
            }
        }
    }

    /// Something has changed in a leaf.
    pub fn turn(&mut self, id: u32, remains: &mut Remains) {
        // Asked first, or its events would go on being reported.
        if let Some(leaf) = self.leaves.get(&id)
            && leaf.is_empty()
            && leaf.is_gone_after_remove()
            && let Some(leaf) = self.leaves.remove(&id)
        {
            let _ = leaf.events().map(|events| self.epoll.delete(events));
            remains.look(leaf.home(), true);
        }
    }
}
