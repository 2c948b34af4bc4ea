//! Runs compiled programs as the kernel would, and compares them with what the table says, call by call.

use super::*;
use crate::enter::inspect::rows;
use crate::enter::inspect::rule::ALL;

const ABIS: std::ops::RangeInclusive<u32> = 1..=7;

/// A call as a filter sees it.
#[derive(Clone, Copy)]
struct Call {
    arch: u32,
    number: u32,
    args: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.arch,
            _ => (self.args[(offset as usize - 16) / 8] >> (offset % 8 * 8)) as u32,
        }
    }
}

fn run(program: &[sock_filter], call: Call) -> u32 {
    let (mut at, mut accumulator) = (0, 0u32);
    loop {
        let op = program[at];
        at += 1;
        let hop = |taken: bool| usize::from(if taken { op.jt } else { op.jf });
        match u32::from(op.code) {
            code if code == BPF_LD | BPF_W | BPF_ABS => accumulator = call.word(op.k),
            code if code == BPF_ALU | BPF_AND | BPF_K => accumulator &= op.k,
            code if code == BPF_JMP | BPF_JEQ | BPF_K => at += hop(accumulator == op.k),
            code if code == BPF_JMP | BPF_JGE | BPF_K => at += hop(accumulator >= op.k),
            code if code == BPF_JMP | BPF_JA | BPF_K => at += op.k as usize,
            code if code == BPF_RET | BPF_K => return op.k,
            code => panic!("an instruction that the compiler does not write: {code:#x}"),
        }
    }
}

fn holds(test: &Test, args: &[u64; 6]) -> bool {
    match *test {
        Test::In(argument, mask, values) => values.contains(&(args[usize::from(argument)] as u32 & mask)),
        Test::Null(argument) => args[usize::from(argument)] == 0,
    }
}

/// The table's rule for a number, read from its rows and not from the program.
fn rule(number: u32, abi: u32) -> Rule {
    let row = rows().find(|row| row.1.contains(&libc::c_long::from(number)));
    row.map_or(Rule::Absent, |row| row.0.at(abi))
}

fn expected(rule: Rule, args: &[u64; 6]) -> u32 {
    match rule {
        Rule::Allow => ALLOW,
        Rule::Refuse => REFUSE,
        Rule::Absent => ABSENT,
        Rule::Only(groups) | Rule::Unwritable(groups)
            if groups.iter().any(|tests| tests.iter().all(|test| holds(test, args))) =>
        {
            ALLOW
        }
        Rule::Only(_) => REFUSE,
        Rule::Unwritable(_) => UNWRITABLE,
        Rule::Below(..) => unreachable!("`at` resolves it"),
    }
}

/// Values that matter to some test of the table, alone and with bits beside them, and in the half that is not looked at.
fn telling_values() -> Vec<u64> {
    let mut values = vec![0, 1, 2, 3, 0x8000, 0x1000_0000, u64::from(u32::MAX), 1 << 32, u64::MAX];
    for row in rows() {
        let (Rule::Only(groups) | Rule::Unwritable(groups)) = row.0.at(1) else { continue };
        for test in groups.iter().copied().flatten() {
            if let Test::In(_, _, listed) = test {
                values.extend(
                    listed.iter().flat_map(|v| [u64::from(*v), u64::from(*v) ^ 1, u64::from(*v) | 7 << 32]),
                );
            }
        }
    }
    values.sort_unstable();
    values.dedup();
    values
}

#[test]
fn the_program_says_what_the_table_says() {
    let telling = telling_values();
    for abi in ABIS {
        let program = compile(rows(), abi);
        for number in 0..512 {
            let rule = rule(number, abi);
            let values = if matches!(rule, Rule::Only(_) | Rule::Unwritable(_)) {
                &telling[..]
            } else {
                &telling[..8]
            };
            for (argument, value) in
                (0..6).flat_map(|argument| values.iter().map(move |value| (argument, value)))
            {
                for rest in [0, 1, 16] {
                    let mut args = [rest; 6];
                    args[argument] = *value;
                    let got = run(&program, Call { arch: ARCH, number, args });
                    assert_eq!(got, expected(rule, &args), "call {number} {args:x?} at ABI {abi}");
                }
            }
        }
    }
}

#[test]
fn numbers_yet_to_come_and_those_of_x32_are_absent() {
    let program = compile(rows(), 7);
    for number in [471, 600, 1024, 0x4000_0000, 0x4000_0001, 0x4000_0101, 0x7FFF_FFFF, u32::MAX] {
        assert_eq!(run(&program, Call { arch: ARCH, number, args: [0; 6] }), ABSENT, "{number:#x}");
    }
}

#[test]
fn another_architectures_door_kills() {
    const I386: u32 = 0x4000_0003;
    let program = compile(rows(), 7);
    for number in 0..512 {
        assert_eq!(run(&program, Call { arch: I386, number, args: [0; 6] }), FOREIGN);
    }
}

#[test]
fn a_value_in_the_half_that_the_kernel_drops_changes_nothing() {
    const TIOCSTI: u64 = 0x5412;
    let program = compile(rows(), 7);
    let ioctl = |request| {
        run(&program, Call { arch: ARCH, number: libc::SYS_ioctl as u32, args: [0, request, 0, 0, 0, 0] })
    };
    assert_eq!(ioctl(TIOCSTI | 1 << 32), REFUSE);
    assert_eq!(ioctl(0x5401 | u64::from(ALL) << 32), ALLOW);
}

#[test]
fn the_kernel_takes_the_program_of_every_abi() {
    for abi in ABIS {
        let program = compile(rows(), abi);
        assert!(program.len() < 600, "ABI {abi}: {} instructions", program.len());
        // In a thread of its own, which ends with it: without CAP_SYS_ADMIN this sets no_new_privs for that thread.
        std::thread::spawn(move || {
            nix::sys::prctl::set_no_new_privs().expect("no_new_privs");
            crate::enter::sys::install_filter(&program).expect("installing");
            let error =
                nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUTS).expect_err("unshare went through");
            assert_eq!(error, nix::errno::Errno::EPERM);
        })
        .join()
        .expect("the thread");
    }
}
