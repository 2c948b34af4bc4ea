//! What calls are answered.

use super::*;
use crate::enter::policy::{arch, parse};

const FORCE: u64 = libc::MNT_FORCE as u64;
const DETACH: u64 = libc::MNT_DETACH as u64;

#[test]
fn a_denied_call_fails_on_every_architecture_and_others_pass() {
    let policy = compiled("2\ndenylist\n[all]\nkexec_load errno 1\ninit_module trap\nswapon\n");
    for arch in HERE {
        assert_eq!(answer(&policy, *arch, "kexec_load", &[]), errno(1), "{arch:?}");
        assert_eq!(answer(&policy, *arch, "init_module", &[]), TRAP, "{arch:?}");
        assert_eq!(answer(&policy, *arch, "swapon", &[]), KILL, "{arch:?}: a denylist kills by default");
        assert_eq!(answer(&policy, *arch, "getpid", &[]), ALLOW, "{arch:?}");
    }
    assert!(!policy.program.asks_supervisor());
    assert_eq!(policy.skipped, []);
}

#[test]
fn an_allowlist_answers_what_it_does_not_name_as_its_default_says() {
    for (header, answered) in [
        ("allowlist", KILL),
        ("whitelist", KILL),
        ("allowlist kill", KILL),
        ("allowlist errno 38", errno(38)),
        ("whitelist   trap", TRAP),
    ] {
        let policy = compiled(&format!("2\n{header}\ngetpid\nread allow\nwrite errno 5\n"));
        for arch in HERE {
            assert_eq!(answer(&policy, *arch, "getpid", &[]), ALLOW, "{header}, {arch:?}");
            assert_eq!(answer(&policy, *arch, "read", &[]), ALLOW, "{header}, {arch:?}");
            assert_eq!(answer(&policy, *arch, "write", &[]), errno(5), "{header}, {arch:?}");
            assert_eq!(answer(&policy, *arch, "mount", &[]), answered, "{header}, {arch:?}");
        }
    }
}

#[test]
fn a_process_of_an_unknown_architecture_is_killed_whatever_the_default() {
    for policy in [
        "2\ndenylist\n",
        "2\ndenylist\nswapon errno 1\n",
        "2\nallowlist errno 1\nread\n",
        "1\nallowlist\n0\n",
    ] {
        assert_eq!(answer(&compiled(policy), RISCV64, "read", &[]), KILL, "{policy}");
    }
}

#[test]
fn a_forced_umount_is_rejected_and_other_umounts_are_not() {
    let policy = compiled("2\ndenylist\nreject_force_umount # why not\n");
    for arch in HERE {
        let umount = |flags| answer(&policy, *arch, "umount2", &[0, flags]);
        assert_eq!(umount(FORCE), errno(libc::EACCES), "{arch:?}");
        assert_eq!(umount(FORCE | DETACH), errno(libc::EACCES), "{arch:?}");
        assert_eq!((umount(0), umount(DETACH)), (ALLOW, ALLOW), "{arch:?}");
    }
}

#[test]
fn conditions_compare_arguments_as_they_are_written() {
    const BIG: u64 = 0x1_0000_0000;
    for (condition, matching, other) in [
        ("[0,5,==]", vec![5], vec![4, 6, BIG + 5]),
        ("[0,5,SCMP_CMP_EQ]", vec![5], vec![4]),
        ("[0,5,!=]", vec![4, 6, BIG + 5], vec![5]),
        ("[0,5,SCMP_CMP_NE]", vec![4], vec![5]),
        ("[0,5,<]", vec![0, 4], vec![5, 6, BIG]),
        ("[0,5,SCMP_CMP_LT]", vec![4], vec![5]),
        ("[0,5,<=]", vec![4, 5], vec![6, BIG]),
        ("[0,5,SCMP_CMP_LE]", vec![5], vec![6]),
        ("[0,5,>]", vec![6, BIG], vec![4, 5]),
        ("[0,5,SCMP_CMP_GT]", vec![6], vec![5]),
        ("[0,5,>=]", vec![5, BIG], vec![4]),
        ("[0,5,SCMP_CMP_GE]", vec![5], vec![4]),
        ("[0,0x20,&=,0xf0]", vec![0x20, 0x2f, 0x1020], vec![0x30, 0]),
        ("[0,8192,SCMP_CMP_MASKED_EQ,61440]", vec![0o020_666], vec![0o060_666, 0o100_644]),
        ("[0,010,==]", vec![8], vec![10]),
        ("[0,0x100000005,==]", vec![BIG + 5], vec![5]),
        ("[0,18446744073709551615,==]", vec![u64::MAX], vec![u64::from(u32::MAX)]),
        ("[0,5,==,7]", vec![5], vec![13]), // a mask is only for &=
        ("[0,5,>][0x1,0,==]", vec![6], vec![5]),
    ] {
        let policy = compiled(&format!("2\ndenylist\nmadvise errno 7 {condition}\n"));
        for arg in matching {
            assert_eq!(answer(&policy, NATIVE, "madvise", &[arg]), errno(7), "{condition} on {arg:#x}");
        }
        for arg in other {
            assert_eq!(answer(&policy, NATIVE, "madvise", &[arg]), ALLOW, "{condition} on {arg:#x}");
        }
    }
}

#[test]
fn all_conditions_of_a_rule_must_hold() {
    let policy = compiled("2\ndenylist\nmadvise errno 7 [0,1,==][1,2,==][2,3,==]\n");
    for (args, answered) in
        [([1, 2, 3], errno(7)), ([0, 2, 3], ALLOW), ([1, 0, 3], ALLOW), ([1, 2, 0], ALLOW)]
    {
        assert_eq!(answer(&policy, NATIVE, "madvise", &args), answered, "{args:?}");
    }
}

#[test]
fn a_section_of_this_machine_reaches_all_its_architectures_and_others_none() {
    let (here, elsewhere) = if cfg!(target_arch = "x86_64") { ("x32", "arm") } else { ("ARM", "x86_64") };
    let policy = compiled(&format!(
        "2\ndenylist\n[{here}]\nswapon errno 1\n[{elsewhere}]\nswapoff errno 1\nnot [a rule\n[all]\nacct errno 1\n"
    ));
    for arch in HERE {
        assert_eq!(answer(&policy, *arch, "swapon", &[]), errno(1), "{arch:?}");
        assert_eq!(answer(&policy, *arch, "swapoff", &[]), ALLOW, "{arch:?}");
        assert_eq!(answer(&policy, *arch, "acct", &[]), errno(1), "{arch:?}");
    }
}

#[test]
fn the_other_machine_reads_the_sections_that_are_its_own() {
    let text = "2\ndenylist\nacct\n[x86_64]\nswapon\n[arm]\nswapoff\n[all]\nreboot\n";
    for (host, lines) in [(arch::X86_64, [3, 5, 9]), (arch::ARM64, [3, 7, 9])] {
        let parse::Policy::Names { rules, .. } = parse::parse(text, &host).unwrap() else {
            panic!("version 2 has names")
        };
        assert_eq!(rules.iter().map(|rule| rule.line).collect::<Vec<_>>(), lines);
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_call_that_an_architecture_lacks_or_multiplexes_is_left_out_there() {
    const SOCKETCALL: u32 = 102;
    let policy = compiled("2\ndenylist\nchown32 errno 1\nsocket errno 97 [0,38,==]\n");
    let skip = |line, syscall: &str, arch| super::super::Skipped {
        line,
        syscall: syscall.to_owned(),
        reason: SkipReason::Architecture(arch),
    };
    assert_eq!(
        policy.skipped,
        [skip(3, "chown32", "native"), skip(3, "chown32", "x32"), skip(4, "socket", "x86")]
    );
    assert_eq!(answer(&policy, X86, "chown32", &[]), errno(1));
    assert_eq!(answer(&policy, X86_64, "socket", &[38]), errno(97));
    assert_eq!(answer(&policy, X32, "socket", &[38]), errno(97));
    assert_eq!(answer(&policy, X86_64, "socket", &[2]), ALLOW);
    assert_eq!(run(policy.program.instructions(), &Call::new(X86.0, SOCKETCALL, &[1])), ALLOW);
}

#[test]
fn unknown_names_are_skipped_and_told() {
    let policy =
        compiled("2\ndenylist\nno_such_call errno 1\n\tswapon\nacct\r\n kill errno 1\nswapoff errno 1\n");
    let told: Vec<_> = policy.skipped.iter().map(|skipped| (skipped.line, &*skipped.syscall)).collect();
    assert_eq!(told, [(3, "no_such_call"), (4, "\tswapon"), (5, "acct\r"), (6, "")]);
    assert!(policy.skipped.iter().all(|skipped| skipped.reason == SkipReason::Unknown));
    assert_eq!(answer(&policy, NATIVE, "swapoff", &[]), errno(1));
    assert_eq!(answer(&policy, NATIVE, "kill", &[]), ALLOW);
}

#[test]
fn notify_stays_notify_and_is_told() {
    let policy = compiled("2\ndenylist\nmknodat notify [2,8192,&=,61440]\n");
    assert!(policy.program.asks_supervisor());
    assert_eq!(answer(&policy, NATIVE, "mknodat", &[0, 0, 0o020_666]), NOTIFY);
    assert_eq!(answer(&policy, NATIVE, "mknodat", &[0, 0, 0o010_666]), ALLOW);
}

#[test]
fn version_1_allows_its_numbers_to_native_processes_alone() {
    let policy = compiled("1\nallowlist\n3\n 5 this is not read\n");
    let call = |(audit, _), number| run(policy.program.instructions(), &Call::new(audit, number, &[]));
    assert_eq!([3, 5, 4].map(|number| call(NATIVE, number)), [ALLOW, ALLOW, KILL]);
    for arch in &HERE[1..] {
        assert_eq!(call(*arch, if arch.1 == ScmpArch::X32 { 0x4000_0003 } else { 3 }), KILL, "{arch:?}");
    }
}
