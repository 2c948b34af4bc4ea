//! This program, run from a copy of its file that nobody can write.
//!
//! A container can have the program that enters it executed once more, by a script whose interpreter is
//! `/proc/self/exe`, and so come to hold the node's file; where its root is the node's root, it may write to it as soon
//! as it does not run (CVE-2019-5736). What it comes to hold is this copy, in memory, and sealed.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl;
use nix::unistd::fexecve;

/// What the program is called where only a name is shown.
const NAME: &std::ffi::CStr = c"provost-execd";

/// Returns in the sealed copy. The process stays the same, with its descriptors, arguments and variables.
pub fn run_sealed() -> io::Result<()> {
    let mut own = File::open("/proc/self/exe")?;
    // A file that is not in memory has no seals.
    let seals = fcntl(&own, FcntlArg::F_GET_SEALS).map_or(SealFlag::empty(), SealFlag::from_bits_retain);
    if seals.contains(SealFlag::F_SEAL_WRITE) {
        return Ok(prctl::set_name(NAME)?);
    }
    let mut copy = File::from(memory()?);
    io::copy(&mut own, &mut copy)?;
    fcntl(&copy, FcntlArg::F_ADD_SEALS(SealFlag::all()))?;
    fexecve(&copy, &strings(std::env::args_os())?, &strings(variables())?)?;
    Ok(())
}

fn memory() -> Result<OwnedFd, Errno> {
    /// Asks for what was a matter of course before Linux 6.3, and may not be any more.
    const EXECUTABLE: MFdFlags = MFdFlags::from_bits_retain(0x10);
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    match memfd_create(NAME, flags | EXECUTABLE) {
        Err(Errno::EINVAL) => memfd_create(NAME, flags),
        other => other,
    }
}

fn variables() -> impl Iterator<Item = OsString> {
    std::env::vars_os().map(|(mut variable, value)| {
        variable.push("=");
        variable.push(value);
        variable
    })
}

fn strings(strings: impl Iterator<Item = OsString>) -> io::Result<Vec<CString>> {
    strings.map(|string| CString::new(string.into_vec()).map_err(io::Error::other)).collect()
}
