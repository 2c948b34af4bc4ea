//! What the process at the file door gives up before it looks at a path.

use std::os::fd::OwnedFd;

use caps::{CapSet, Capability, CapsHashSet};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, getgid, getuid, setgroups, setresgid, setresuid};

use super::{Door, Node, calls};
use crate::enter::inspect::{self, Lane};
use crate::enter::step::{At, Failure, Step};
use crate::enter::sys;

/// To read what belongs to any user of the container.
const READING: &[Capability] = &[Capability::CAP_DAC_READ_SEARCH];
/// The same on the node, where the unit gives `provost-execd` the other one that reads: that it reads only, Landlock sees to.
const READING_NODE: &[Capability] = &[Capability::CAP_DAC_READ_SEARCH, Capability::CAP_DAC_OVERRIDE];
/// To write for any user of the container, and to give to that user.
const WRITING: &[Capability] = &[
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_CHOWN,
    Capability::CAP_FOWNER,
    Capability::CAP_FSETID,
];

const ROOT: (Uid, Gid) = (Uid::from_raw(0), Gid::from_raw(0));

/// For good. `own` is the node's `/proc/self/fd`; `bounding` what the container's processes may have at all.
pub fn confine(own: OwnedFd, changes: bool, bounding: u64, lane: &Lane) -> Result<Door, Failure> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = open("/", flags, Mode::empty()).at(Step::Directory)?;
    let keep = if changes { WRITING } else { READING };
    let mask = keep.iter().fold(0, |mask, capability| mask | capability.bitmask());
    sys::keep_bounding(bounding & mask).at(Step::Bounding)?;
    prctl::set_no_new_privs().at(Step::NoNewPrivs)?;
    setgroups(&[]).at(Step::Identity)?;
    setresuid(ROOT.0, ROOT.0, ROOT.0).at(Step::Identity)?;
    prctl::set_dumpable(false).at(Step::Identity)?;
    setresgid(ROOT.1, ROOT.1, ROOT.1).at(Step::Identity)?;
    prctl::set_dumpable(false).at(Step::Identity)?;
    if (getuid(), getgid()) != ROOT {
        return Err(Errno::EPERM).at(Step::Identity);
    }
    if !changes {
        // A change ends by its pipes, so that it can clear away what it has begun.
        prctl::set_pdeathsig(Signal::SIGKILL).at(Step::Identity)?;
    }
    give_up(keep, bounding).at(Step::Confine)?;
    inspect::keep_within(lane, &root, &[], changes).at(Step::Confine)?;
    sys::install_filter(&calls::filter(changes)).at(Step::Confine)?;
    Ok(Door { root, own, node: None })
}

/// The same on the node itself, where there is no user namespace to be the root of: within one directory, as the node's
/// root, with no more capabilities than its files take. `own` as above; `root` that directory.
pub fn confine_on_node(
    own: OwnedFd,
    root: OwnedFd,
    node: Node,
    changes: bool,
    lane: &Lane,
) -> Result<Door, Failure> {
    // Whose files are, by name. Opened before they are out of reach.
    let names =
        ["/etc/passwd", "/etc/group"].map(|path| open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()));
    let names: Vec<OwnedFd> = names.into_iter().flatten().collect();
    prctl::set_no_new_privs().at(Step::NoNewPrivs)?;
    if !changes {
        prctl::set_pdeathsig(Signal::SIGKILL).at(Step::Identity)?;
    }
    // Nothing is executed here, so what is left in the bounding set gives nothing.
    give_up(if changes { WRITING } else { READING_NODE }, u64::MAX).at(Step::Confine)?;
    inspect::keep_within(lane, &root, &names, changes).at(Step::Confine)?;
    sys::install_filter(&calls::filter(changes)).at(Step::Confine)?;
    Ok(Door { root, own, node: Some(node) })
}

fn give_up(keep: &[Capability], bounding: u64) -> Result<(), Errno> {
    let failed = |_| Errno::last();
    let has = caps::read(None, CapSet::Permitted).map_err(failed)?;
    let is_kept = |capability: &Capability| has.contains(capability) && bounding & capability.bitmask() != 0;
    let kept: CapsHashSet = keep.iter().copied().filter(is_kept).collect();
    caps::clear(None, CapSet::Ambient).map_err(failed)?;
    caps::clear(None, CapSet::Inheritable).map_err(failed)?;
    for set in [CapSet::Effective, CapSet::Permitted] {
        caps::set(None, set, &kept).map_err(failed)?;
    }
    Ok(())
}
