//! A typed policy becomes a filter: the calls to libseccomp that LXC makes, in its order.

use libseccomp::error::{SeccompErrno, SeccompError};
use libseccomp::{ScmpAction, ScmpArch, ScmpFilterContext, ScmpSyscall};

use super::Compiled;
use super::arch::Host;
use super::error::{PolicyError, excerpt};
use super::parse::{Number, Policy};
use super::program::Program;
use super::rule::{Action, Rule};

/// A rule that is not in force, or not for all processes. LXC passes over it in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its line, counted from 1.
    pub line: usize,
    /// What stands where the call's name belongs, cut to what a log needs. Not escaped.
    pub syscall: String,
    pub reason: SkipReason,
}

/// Why a rule is not in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// libseccomp knows no call of that name.
    Unknown,
    /// Processes of this architecture (`native`, `x86`, `x32`, `arm`) have no such call, or none of its own;
    /// for the other architectures the rule is in force.
    Architecture(&'static str),
}

/// A filter being built for an architecture beside the native one, into which it is merged at the end.
struct Compat {
    arch: ScmpArch,
    name: &'static str,
    filter: ScmpFilterContext,
}

/// Compiles `policy` for `host`, which must be the machine that libseccomp was built for.
pub(super) fn compile(policy: &Policy, host: &Host) -> Result<Compiled, PolicyError> {
    match policy {
        Policy::Numbers(allowed) => numbers(allowed),
        Policy::Names { default, rules } => names(*default, rules, host),
    }
}

fn numbers(allowed: &[Number]) -> Result<Compiled, PolicyError> {
    let mut filter = new_filter(ScmpAction::KillThread, None)?;
    for &Number { line, syscall } in allowed {
        filter
            .add_rule(ScmpAction::Allow, syscall)
            .map_err(|source| refused(line, &syscall.to_string(), source))?;
    }
    Ok(Compiled { program: Program::export(&filter, false)?, skipped: Vec::new() })
}

fn names(default: Action, rules: &[Rule], host: &Host) -> Result<Compiled, PolicyError> {
    let mut native = new_filter(default.to_seccomp(), None)?;
    let mut compat = host
        .compat
        .iter()
        .map(|&(arch, name)| Ok(Compat { arch, name, filter: new_filter(default.to_seccomp(), Some(arch))? }))
        .collect::<Result<Vec<_>, PolicyError>>()?;

    let mut skipped = Vec::new();
    for rule in rules {
        let mut skip = |reason| {
            skipped.push(Skipped { line: rule.line, syscall: excerpt(&rule.syscall), reason });
        };
        add(rule, &mut native, &mut compat, &mut skip)
            .map_err(|source| refused(rule.line, &rule.syscall, source))?;
    }
    for Compat { filter, .. } in compat {
        native.merge(filter).map_err(|source| PolicyError::Library { what: "merge two filters", source })?;
    }

    let asks_supervisor = default == Action::Notify || rules.iter().any(|rule| rule.action == Action::Notify);
    Ok(Compiled { program: Program::export(&native, asks_supervisor)?, skipped })
}

/// An empty filter for the native architecture, or for another alone.
fn new_filter(default: ScmpAction, arch: Option<ScmpArch>) -> Result<ScmpFilterContext, PolicyError> {
    let build = || {
        let mut filter = ScmpFilterContext::new(default)?;
        // Says nothing in the instructions; what the filter is made with should still be what LXC's is.
        filter.set_ctl_nnp(false)?;
        if let Some(arch) = arch {
            filter.add_arch(arch)?.remove_arch(ScmpArch::Native)?;
        }
        Ok(filter)
    };
    build().map_err(|source| PolicyError::Library { what: "set up a filter", source })
}

/// Adds a rule to the filter of every architecture that has its call. Each takes the native number, which
/// libseccomp translates; one below zero stands for a call that the architecture in question lacks.
fn add(
    rule: &Rule,
    native: &mut ScmpFilterContext,
    compat: &mut [Compat],
    skip: &mut impl FnMut(SkipReason),
) -> Result<(), SeccompError> {
    let Some(syscall) = resolve(&rule.syscall, ScmpArch::Native) else {
        skip(SkipReason::Unknown);
        return Ok(());
    };
    let action = rule.action.to_seccomp();
    if syscall >= 0 {
        native.add_rule_conditional_exact(action, syscall, &rule.conditions)?;
    } else {
        skip(SkipReason::Architecture("native"));
    }
    for Compat { arch, name, filter } in compat {
        if resolve(&rule.syscall, *arch).is_some_and(|number| number >= 0) {
            filter.add_rule_conditional_exact(action, syscall, &rule.conditions)?;
        } else {
            skip(SkipReason::Architecture(name));
        }
    }
    Ok(())
}

fn resolve(name: &str, arch: ScmpArch) -> Option<i32> {
    ScmpSyscall::from_name_by_arch(name, arch).ok().map(i32::from)
}

fn refused(line: usize, text: &str, source: SeccompError) -> PolicyError {
    let why = match source.errno() {
        Some(SeccompErrno::EACCES) => {
            "the action is the policy's default action, which LXC takes for a mistake"
        }
        Some(SeccompErrno::EEXIST) => "the rule contradicts or repeats one above",
        _ => "libseccomp cannot express the rule",
    };
    PolicyError::Rule { line, text: excerpt(text), why, source }
}
