//! What the compiled policies promise, seen from a process: the filters are run, instruction by instruction.

mod behaviour;
mod cached;
mod machine;
mod recorded;
mod refusals;

use libseccomp::{ScmpArch, ScmpSyscall};

use super::{Compiled, SkipReason, compile};
use machine::{Call, run};

/// What the kernel calls the architectures (AUDIT_ARCH_*), and libseccomp.
const X86_64: (u32, ScmpArch) = (0xc000_003e, ScmpArch::X8664);
const X86: (u32, ScmpArch) = (0x4000_0003, ScmpArch::X86);
const X32: (u32, ScmpArch) = (0xc000_003e, ScmpArch::X32);
const ARM64: (u32, ScmpArch) = (0xc000_00b7, ScmpArch::Aarch64);
const ARM: (u32, ScmpArch) = (0x4000_0028, ScmpArch::Arm);
const RISCV64: (u32, ScmpArch) = (0xc000_00f3, ScmpArch::Riscv64);

/// The architectures that are filtered here, the native one first.
const HERE: &[(u32, ScmpArch)] =
    if cfg!(target_arch = "x86_64") { &[X86_64, X86, X32] } else { &[ARM64, ARM] };
const NATIVE: (u32, ScmpArch) = HERE[0];

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const KILL: u32 = libc::SECCOMP_RET_KILL_THREAD;
const TRAP: u32 = libc::SECCOMP_RET_TRAP;
const NOTIFY: u32 = libc::SECCOMP_RET_USER_NOTIF;

const fn errno(number: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | number as u32
}

fn compiled(policy: &str) -> Compiled {
    compile(policy).unwrap_or_else(|error| panic!("{error}\n{policy}"))
}

/// What a process of `arch` is answered when it makes the call `name`.
#[track_caller]
fn answer(policy: &Compiled, (audit, arch): (u32, ScmpArch), name: &str, args: &[u64]) -> u32 {
    let number = ScmpSyscall::from_name_by_arch(name, arch).map(i32::from).unwrap_or(-1);
    let number = u32::try_from(number).unwrap_or_else(|_| panic!("{arch:?} has no {name}"));
    run(policy.program.instructions(), &Call::new(audit, number, args))
}
