//! The Landlock domain, as far as the kernel has it.
//!
//! In: directories, files and ports. Out: what is enforced. A path that is not there gets no rule: what comes there later
//! is closed.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, NetPort,
    PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};

use super::Needs;

/// The newest ABI that the tests have seen at work; a newer kernel is asked for no more than that.
const NEWEST: ABI = ABI::V7;
/// The first that guards ports, and the first that guards signals and abstract sockets.
const NET: u32 = 4;
const SCOPES: u32 = 6;
/// The first that guards truncation, and the first that guards devices.
const TRUNCATE: u32 = 3;
const IOCTL: u32 = 5;

/// What the kernel took of it.
#[derive(Debug, Clone, Default)]
pub struct Domain {
    /// 0: the kernel has no Landlock.
    pub abi: u32,
    /// What it did not take, and why.
    pub missing: Vec<String>,
}

pub fn enter(needs: &Needs) -> Result<Domain, RulesetError> {
    let mut rules = handle_everything()?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = read
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir;
    for (paths, rights) in
        [(&needs.read, read), (&needs.write, write), (&needs.remove, AccessFs::RemoveFile.into())]
    {
        for path in paths {
            rules = grant(rules, path, rights)?;
        }
    }
    for port in &needs.ports {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    restrict(rules)
}

/// The domain of one that reads beneath `roots` and does nothing else.
pub fn enter_reading(roots: &[PathBuf]) -> Result<Domain, RulesetError> {
    let mut rules = handle_everything()?;
    for root in roots {
        rules = grant(rules, root, AccessFs::ReadFile | AccessFs::ReadDir)?;
    }
    restrict(rules)
}

fn handle_everything() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()
}

fn grant(
    rules: RulesetCreated,
    path: &Path,
    rights: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(place) = PathFd::new(path) else { return Ok(rules) };
    // A right on a directory that is asked for a file is refused.
    let rights = if path.is_dir() { rights } else { rights & AccessFs::from_file(NEWEST) };
    rules.add_rule(PathBeneath::new(place, rights))
}

fn restrict(rules: RulesetCreated) -> Result<Domain, RulesetError> {
    let status = rules.restrict_self()?;
    let (abi, why) = match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => ((effective_abi as u32).min(NEWEST as u32), ""),
        LandlockStatus::NotEnabled => {
            (0, "the kernel was started without Landlock (lsm= on its command line)")
        }
        LandlockStatus::NotImplemented => (0, "the kernel was built without Landlock"),
    };
    let older = |least: u32, what: &str| {
        let why = if abi == 0 {
            why.to_owned()
        } else {
            format!("its Landlock is at ABI {abi}, and that came with {least}")
        };
        (abi < least).then(|| format!("{what}: {why}"))
    };
    let missing = [
        older(1, "files: any that the account may open"),
        older(TRUNCATE, "truncating files"),
        older(NET, "TCP ports: any may be connected to"),
        older(IOCTL, "control calls of devices"),
        older(SCOPES, "signals and abstract sockets: of any process of the account"),
    ];
    Ok(Domain { abi, missing: missing.into_iter().flatten().collect() })
}
