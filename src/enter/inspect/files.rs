//! What the command may do with files: the Landlock domain.
//!
//! Everything may be read and run, and nothing written, created, removed, renamed or truncated. `/dev` is the exception
//! both ways: no device there can be opened (to read a terminal is to take what was typed into it, and to open one may
//! make it the command's own) but those that hold no state, and of these the sinks stay writable, or every
//! `2>/dev/null` would fail. Landlock can only add to what lies above, so reading is granted on each entry of `/` but
//! `dev`. What is in `/` is the container's and may be anything.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use nix::sys::stat::makedev;

use super::error::{InspectError, Step};

/// The newest ABI that the tests have seen at work; a newer kernel is asked for no more than that.
pub const NEWEST: ABI = ABI::V7;

/// Entries of `/` beyond this many stay unreadable: a container decides how many there are.
const ROOT_ENTRIES: usize = 1024;

/// Devices that hold no state of the container: minor of major 1, and whether the command may write to it.
const DEVICES: [(&str, u64, bool); 5] = [
    ("/dev/null", 3, true),
    ("/dev/zero", 5, true),
    ("/dev/full", 7, true),
    ("/dev/random", 8, false),
    ("/dev/urandom", 9, false),
];

/// Directories under `/dev` whose files are not devices.
const SHARED: [&str; 3] = ["/dev/shm", "/dev/mqueue", "/dev/hugepages"];

/// Enters the domain: no_new_privs is set on the way. Every right of `abi` is handled, and required of the kernel.
pub fn restrict(abi: ABI) -> Result<(), InspectError> {
    let rules = |source| InspectError::Landlock { step: Step::Rules, source };
    let mut domain = handle_everything(abi).map_err(rules)?;
    let root = open("/").map_err(|e| InspectError::kernel(Step::Root, e))?;
    domain = domain.add_rule(PathBeneath::new(root, AccessFs::Execute | AccessFs::ReadDir)).map_err(rules)?;
    for entry in std::fs::read_dir("/").map_err(|e| InspectError::kernel(Step::Root, e))?.take(ROOT_ENTRIES) {
        let entry = entry.map_err(|e| InspectError::kernel(Step::Root, e))?;
        let kind = entry.file_type().map_err(|e| InspectError::kernel(Step::Root, e))?;
        if (kind.is_dir() || kind.is_file()) && entry.file_name() != "dev" {
            domain = grant(domain, &entry.path(), Step::Root, AccessFs::ReadFile.into(), |_| Ok(true))?;
        }
    }
    for directory in SHARED {
        domain = grant(domain, Path::new(directory), Step::Device, AccessFs::ReadFile.into(), |file| {
            Ok(file.metadata()?.is_dir())
        })?;
    }
    let write = AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
    for (path, minor, writable) in DEVICES {
        let mut rights = BitFlags::from(AccessFs::ReadFile);
        if writable {
            rights |= write & AccessFs::from_file(abi);
        }
        let genuine = |file: &File| {
            let device = file.metadata()?;
            Ok(device.file_type().is_char_device() && device.rdev() == makedev(1, minor))
        };
        domain = grant(domain, Path::new(path), Step::Device, rights, genuine)?;
    }
    enforce(domain)
}

/// Enters a domain that ends at `root`, with the files in `also` to read: no_new_privs is set on the way.
pub fn restrict_to(abi: ABI, root: &OwnedFd, also: &[OwnedFd], changes: bool) -> Result<(), InspectError> {
    let rules = |source| InspectError::Landlock { step: Step::Rules, source };
    let mut rights = AccessFs::ReadFile | AccessFs::ReadDir;
    if changes {
        rights |= AccessFs::WriteFile | AccessFs::MakeReg | AccessFs::RemoveFile;
    }
    let mut domain = handle_everything(abi).map_err(rules)?;
    for file in also {
        domain = domain.add_rule(PathBeneath::new(file, AccessFs::ReadFile)).map_err(rules)?;
    }
    enforce(domain.add_rule(PathBeneath::new(root, rights)).map_err(rules)?)
}

fn enforce(domain: RulesetCreated) -> Result<(), InspectError> {
    let status =
        domain.restrict_self().map_err(|source| InspectError::Landlock { step: Step::Domain, source })?;
    match status.ruleset {
        RulesetStatus::FullyEnforced if status.no_new_privs => Ok(()),
        _ => Err(InspectError::Partial { step: Step::Domain }),
    }
}

/// Denials after the exec are not written to the audit log: the kernel's default, left alone.
fn handle_everything(abi: ABI) -> Result<RulesetCreated, RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(abi))?;
    if abi >= ABI::V4 {
        rules = rules.handle_access(AccessNet::from_all(abi))?;
    }
    if abi >= ABI::V6 {
        rules = rules.scope(Scope::from_all(abi))?;
    }
    rules.create()
}

/// Grants `rights` on what `path` itself is, if it is what it should be; a link, or a thing that is not there, gets none.
fn grant(
    domain: RulesetCreated,
    path: &Path,
    step: Step,
    rights: BitFlags<AccessFs>,
    is_right: impl Fn(&File) -> io::Result<bool>,
) -> Result<RulesetCreated, InspectError> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(domain),
        Err(error) => return Err(InspectError::kernel(step, error)),
    };
    if !is_right(&file).map_err(|e| InspectError::kernel(step, e))? {
        return Ok(domain);
    }
    domain
        .add_rule(PathBeneath::new(file, rights))
        .map_err(|source| InspectError::Landlock { step: Step::Rules, source })
}

/// A handle that names the thing without opening it: nothing that the container put there is woken, and no link followed.
fn open(path: impl AsRef<Path>) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC).open(path)
}
