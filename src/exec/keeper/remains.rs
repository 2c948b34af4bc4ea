//! Containers that stopped with a leaf in them: what lxc could not clear away for it is cleared here.

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::enter::home::Home;

/// The container's processes may still be on their way out: looked at again so often, for so long.
const AGAIN: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(5);

struct Remain {
    home: Rc<Home>,
    next: Instant,
    until: Instant,
}

#[derive(Default)]
pub struct Remains(Vec<Remain>);

impl Remains {
    /// A leaf in it has gone: if the container has too, so does what is left of its directories.
    /// `suspect`: something says that the container is on its way out, too; that takes a look into /proc to tell.
    pub fn look(&mut self, home: &Rc<Home>, suspect: bool) {
        let gone = home.is_deserted() || suspect && home.is_being_left();
        if gone && !home.clear() {
            let now = Instant::now();
            self.0.push(Remain { home: Rc::clone(home), next: now + AGAIN, until: now + PATIENCE });
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
            if remain.home.clear() {
                return false;
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
