//! What a row of the system call table says.

/// One row: what becomes of some system calls, and why.
pub struct Row(pub Rule, pub &'static [libc::c_long], pub &'static str);

/// What becomes of a call.
#[derive(Clone, Copy)]
pub enum Rule {
    /// The kernel carries it out, under Landlock and without capabilities.
    Allow,
    /// EPERM.
    Refuse,
    /// ENOSYS, as on a kernel that does not have it: libraries then fall back to an older call.
    Absent,
    /// Allowed when every test of any one group holds, else EPERM.
    Only(&'static [&'static [Test]]),
    /// Allowed when every test of any one group holds, else EROFS: what a program hears on a read-only file system.
    Unwritable(&'static [&'static [Test]]),
    /// This rule below the given Landlock ABI; from it on the call is allowed, because Landlock itself guards it.
    Below(u32, &'static Rule),
}

impl Rule {
    /// The rule in force where the kernel offers Landlock at `abi`.
    pub fn at(self, abi: u32) -> Rule {
        match self {
            Rule::Below(from, _) if abi >= from => Rule::Allow,
            Rule::Below(_, rule) => rule.at(abi),
            rule => rule,
        }
    }
}

/// A test of one argument (0 to 5).
///
/// Only arguments that the kernel itself takes as 32 bits are tested by [`Test::In`]: it looks at the low half as the
/// kernel does, so nothing is gained by a value that differs in the half that the kernel drops.
#[derive(Clone, Copy)]
pub enum Test {
    /// The low 32 bits, masked, are one of the values.
    In(u8, u32, &'static [u32]),
    /// All 64 bits are zero: a null pointer.
    Null(u8),
}

/// The mask of a test that looks at all 32 bits.
pub const ALL: u32 = u32::MAX;
