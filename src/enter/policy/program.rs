//! The compiled filter, as the kernel takes it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;

use libc::sock_filter;
use libseccomp::ScmpFilterContext;
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::error::PolicyError;

/// The most instructions that the kernel takes in one filter (BPF_MAXINSNS).
const MAX_INSTRUCTIONS: usize = 4096;

/// A filter to install with `seccomp(SECCOMP_SET_MODE_FILTER, 0, …)`.
#[derive(Clone)]
pub struct Program {
    instructions: Vec<sock_filter>,
    asks_supervisor: bool,
}

impl Program {
    /// The instructions: at least one, and no more than the kernel takes, so that their number fits in the
    /// `len` of a `sock_fprog`.
    #[must_use]
    pub fn instructions(&self) -> &[sock_filter] {
        &self.instructions
    }

    /// Whether the policy leaves calls to a supervisor (`notify`). Installed without a listener, as no flags
    /// mean, those calls answer ENOSYS.
    #[must_use]
    pub fn asks_supervisor(&self) -> bool {
        self.asks_supervisor
    }

    /// Takes the instructions out of a libseccomp filter.
    pub(super) fn export(filter: &ScmpFilterContext, asks_supervisor: bool) -> Result<Self, PolicyError> {
        let memory = memory().map_err(|errno| PolicyError::Memory(errno.into()))?;
        filter
            .export_bpf(&memory)
            .map_err(|source| PolicyError::Library { what: "export the filter", source })?;
        let bytes = read_back(memory).map_err(PolicyError::Memory)?;
        Self::from_bytes(&bytes, asks_supervisor)
    }

    fn from_bytes(bytes: &[u8], asks_supervisor: bool) -> Result<Self, PolicyError> {
        let (records, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(PolicyError::Export { bytes: bytes.len() });
        }
        if records.is_empty() || records.len() > MAX_INSTRUCTIONS {
            return Err(PolicyError::Length { instructions: records.len(), limit: MAX_INSTRUCTIONS });
        }
        let instruction = |&[c0, c1, jt, jf, k0, k1, k2, k3]: &[u8; 8]| sock_filter {
            code: u16::from_ne_bytes([c0, c1]),
            jt,
            jf,
            k: u32::from_ne_bytes([k0, k1, k2, k3]),
        };
        Ok(Self { instructions: records.iter().map(instruction).collect(), asks_supervisor })
    }
}

/// A file in memory. Where the system wants such files to be marked as never run, this one is; kernels
/// before 6.3 do not know the mark.
fn memory() -> nix::Result<OwnedFd> {
    let sealed = MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL) | MFdFlags::MFD_CLOEXEC;
    match memfd_create(c"seccomp-policy", sealed) {
        Err(Errno::EINVAL) => memfd_create(c"seccomp-policy", MFdFlags::MFD_CLOEXEC),
        created => created,
    }
}

fn read_back(memory: OwnedFd) -> io::Result<Vec<u8>> {
    let mut file = File::from(memory);
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Program({} instructions", self.instructions.len())?;
        if self.asks_supervisor {
            write!(f, ", asks a supervisor")?;
        }
        write!(f, ")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_or_empty_or_overlong_export_is_no_program() {
        let of = |bytes: usize| Program::from_bytes(&vec![0; bytes], false);
        assert!(matches!(of(12), Err(PolicyError::Export { bytes: 12 })));
        assert!(matches!(of(0), Err(PolicyError::Length { instructions: 0, .. })));
        assert!(matches!(of(8 * 4097), Err(PolicyError::Length { instructions: 4097, .. })));
        assert_eq!(of(8 * 4096).unwrap().instructions().len(), 4096);
    }
}
