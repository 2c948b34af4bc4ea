//! The monitors that are being asked, each watched by the loop until it has answered or had its time.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use super::token;
use crate::enter::EnterError;
use crate::enter::inquiry::{Facts, Inquiry};

pub struct Inquiries {
    epoll: Rc<Epoll>,
    kind: u64,
    /// Each with the generation of the configuration that it was begun by.
    under_way: HashMap<u32, (Inquiry, u64)>,
}

impl Inquiries {
    /// `kind` is what the loop's events are told by.
    pub fn new(epoll: &Rc<Epoll>, kind: u64) -> Self {
        Self { epoll: Rc::clone(epoll), kind, under_way: HashMap::new() }
    }

    /// Begins one, unless one is under way.
    pub fn begin(
        &mut self,
        vmid: u32,
        generation: u64,
        begin: impl FnOnce() -> Result<Inquiry, EnterError>,
    ) -> Result<(), EnterError> {
        if !self.under_way.contains_key(&vmid) {
            let inquiry = begin()?;
            self.watch(vmid, &inquiry)?;
            self.under_way.insert(vmid, (inquiry, generation));
        }
        Ok(())
    }

    /// Goes on with one: what came of it, if it is over.
    pub fn turn(&mut self, vmid: u32) -> Option<(Result<Facts, EnterError>, u64)> {
        let (inquiry, generation) = self.under_way.get_mut(&vmid)?;
        let generation = *generation;
        let over = match inquiry.turn() {
            Ok(Some(facts)) => Ok(facts),
            Err(error) => Err(error),
            // Each question has a connection of its own.
            Ok(None) => {
                let (inquiry, _) = &self.under_way[&vmid];
                match self.watch(vmid, inquiry) {
                    Ok(()) => return None,
                    Err(error) => Err(error),
                }
            }
        };
        self.under_way.remove(&vmid);
        Some((over, generation))
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.under_way.values().map(|(inquiry, _)| inquiry.deadline()).min()
    }

    pub fn late(&self) -> Vec<u32> {
        let now = Instant::now();
        let late = self.under_way.iter().filter(|(_, (inquiry, _))| inquiry.deadline() <= now);
        late.map(|(vmid, _)| *vmid).collect()
    }

    fn watch(&self, vmid: u32, inquiry: &Inquiry) -> Result<(), EnterError> {
        match self.epoll.add(inquiry, EpollEvent::new(EpollFlags::EPOLLIN, token(self.kind, vmid))) {
            Ok(()) | Err(Errno::EEXIST) => Ok(()),
            Err(errno) => Err(EnterError::Monitor { vmid, what: "the connection", errno }),
        }
    }
}
