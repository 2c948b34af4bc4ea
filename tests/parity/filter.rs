//! The seccomp filter that a command carries, instruction by instruction.
#![allow(unsafe_code, reason = "ptrace, of a process of the test's own")]

use std::io;

use crate::place::{Place, Sleeper, everywhere};

everywhere!(the_seccomp_filter_is_lxc_attachs_byte_for_byte);

fn the_seccomp_filter_is_lxc_attachs_byte_for_byte(place: Place) {
    let node = place.node();
    let (lxc, provost) = (Sleeper::by_lxc(place), Sleeper::by_provost(place, &node));
    let (theirs, ours) = (filters(lxc.pid), filters(provost.pid));
    assert_eq!(theirs.len(), 1, "lxc-attach installs one filter");
    assert!(theirs[0].len() > 20, "the filter is that of a profile: {} instructions", theirs[0].len());
    assert_eq!(ours.len(), 1, "Provost installs one filter");
    let differs = theirs[0].iter().zip(&ours[0]).position(|(theirs, ours)| theirs != ours);
    assert_eq!(
        (differs, ours[0].len()),
        (None, theirs[0].len()),
        "the first instruction that differs, and how many there are"
    );
}

/// One BPF instruction as the kernel has it: code, jt, jf, k.
type Instruction = (u16, u8, u8, u32);

/// The filters of a process, the one installed last first.
fn filters(pid: i32) -> Vec<Vec<Instruction>> {
    let traced = Traced::stop(pid);
    (0..).map_while(|index| traced.filter(index)).collect()
}

/// A process that is stopped by ptrace until the value goes.
struct Traced(i32);

impl Traced {
    fn stop(pid: i32) -> Self {
        // SAFETY: PTRACE_SEIZE and PTRACE_INTERRUPT take no memory.
        unsafe {
            let seized = libc::ptrace(libc::PTRACE_SEIZE, pid, 0_usize, 0_usize);
            assert_eq!(seized, 0, "seize {pid}: {}", io::Error::last_os_error());
            assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, pid, 0_usize, 0_usize), 0);
        }
        let mut status = 0;
        // SAFETY: the status is a local that outlives the call.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) }, pid);
        Self(pid)
    }

    fn filter(&self, index: usize) -> Option<Vec<Instruction>> {
        // SAFETY: a null address asks for the number of instructions.
        let length = unsafe { libc::ptrace(PTRACE_SECCOMP_GET_FILTER, self.0, index, 0_usize) };
        if length < 0 {
            let error = io::Error::last_os_error();
            assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "read filter {index}: {error}");
            return None;
        }
        let none = libc::sock_filter { code: 0, jt: 0, jf: 0, k: 0 };
        let mut instructions = vec![none; length as usize];
        // SAFETY: the kernel writes as many instructions as it has just said, for which there is room.
        let got =
            unsafe { libc::ptrace(PTRACE_SECCOMP_GET_FILTER, self.0, index, instructions.as_mut_ptr()) };
        assert_eq!(got, length);
        Some(instructions.iter().map(|each| (each.code, each.jt, each.jf, each.k)).collect())
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        // SAFETY: PTRACE_DETACH takes no memory. A process that is gone needs no detaching.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, 0_usize, 0_usize) };
    }
}

/// Of linux/ptrace.h; libc has no name for it.
const PTRACE_SECCOMP_GET_FILTER: libc::c_uint = 0x420c;
