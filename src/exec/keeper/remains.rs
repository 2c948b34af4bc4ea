//! Containers that stopped with a leaf in them: what lxc could not clear away for it is cleared here.

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::enter::home::{Cleared, Home};

/// The container's processes may still be on their way out: looked at again so often, for so long.
const AGAIN: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(5);
/// The monitor clears away itself, and runs the hooks of the container's end before it ends. One that lives on has started
/// the container anew.
const PATIENCE_WITH_LXC: Duration = Duration::from_secs(120);

struct Remain {
    home: Rc<Home>,
    next: Instant,
    /// Until when lxc's own turn is waited for, and from its end on, ours.
    until: Instant,
    is_ours: bool,
}

#[derive(Default)]
pub struct Remains(Vec<Remain>);

impl Remains {
    /// A leaf in it has gone: if the container has too, so does what is left of its directories.
    /// `suspect`: something says that the container is on its way out, too; that takes a look into /proc to tell.
    pub fn look(&mut self, home: &Rc<Home>, suspect: bool) {
        let gone = home.is_deserted() || suspect && home.is_being_left();
        let known = self.0.iter().any(|remain| Rc::ptr_eq(&remain.home, home));
        if gone && !known && home.clear() != Cleared::Yes {
            let now = Instant::now();
            let until = now + PATIENCE_WITH_LXC;
            self.0.push(Remain { home: Rc::clone(home), next: now + AGAIN, until, is_ours: false });
        }
    }

    /// When to call [`Remains::turn`].
    pub fn deadline(&self) -> Option<Instant> {
        self.0.iter().map(|remain| remain.next).min()
    }

    pub fn turn(&mut self) {
        let now = Instant::now();
        self.0.retain_mut(|remain| {
            if remain.next > now {
                return true;
            }
            remain.next = now + AGAIN;
            match remain.home.clear() {
                Cleared::Yes => return false,
                Cleared::LeftToLxc => return remain.until > now,
                Cleared::No if !remain.is_ours => (remain.is_ours, remain.until) = (true, now + PATIENCE),
                Cleared::No => {}
            }
            if remain.until > now {
                return true;
            }
            tracing::warn!(
                cgroup = %remain.home.path(),
                "a stopped container's cgroup cannot be removed, and lxc will not start it beside that: see what is in it"
            );
            false
        });
    }
}
