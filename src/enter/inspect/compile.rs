//! From the table to a seccomp program.
//!
//! The crates were measured first, with this table: seccompiler takes 1.05 ms to install, a third of the whole entry (one
//! answer beside the default means two programs, both chains, which the kernel walks once for every call number);
//! libseccomp's tree takes 0.14 ms, and cannot answer EPERM to a test that fails where the default is ENOSYS. The tree of
//! number ranges below takes 0.1 ms, says both, and puts no C library into a process of root's.

use std::collections::BTreeMap;
use std::mem::offset_of;

use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};
use libc::{seccomp_data, sock_filter};

use super::rule::{Row, Rule, Test};

/// `AUDIT_ARCH_X86_64` of linux/audit.h: EM_X86_64, 64 bits, little endian.
pub const ARCH: u32 = 0xC000_003E;
pub const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
pub const REFUSE: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
pub const UNWRITABLE: u32 = libc::SECCOMP_RET_ERRNO | libc::EROFS as u32;
pub const ABSENT: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
/// For an entry by another architecture's door (int 0x80): its numbers mean other calls. SIGSYS tells it apart.
pub const FOREIGN: u32 = libc::SECCOMP_RET_KILL_PROCESS;

/// The program for `rows` where the kernel offers Landlock at `abi`. A number that no row names is absent: that holds
/// for those that newer kernels will add, and for x32, whose numbers carry bit 30.
pub fn compile<'a>(rows: impl Iterator<Item = &'a Row>, abi: u32) -> Vec<sock_filter> {
    let rules: BTreeMap<u32, Rule> =
        rows.flat_map(|Row(rule, calls, _)| calls.iter().map(|call| (*call as u32, rule.at(abi)))).collect();
    let mut program = vec![
        load(offset_of!(seccomp_data, arch)),
        jump(BPF_JEQ, ARCH, 1, 0),
        verdict(FOREIGN),
        load(offset_of!(seccomp_data, nr)),
    ];
    program.extend(tree(&ranges(&rules)));
    program
}

/// Where a run of call numbers with one answer begins, and the code that gives the answer.
struct Range {
    from: u32,
    code: Vec<sock_filter>,
}

fn ranges(rules: &BTreeMap<u32, Rule>) -> Vec<Range> {
    let mut ranges = Vec::new();
    let mut next = 0;
    for (&number, &rule) in rules {
        if next < number {
            push(&mut ranges, next, vec![verdict(ABSENT)]);
        }
        push(&mut ranges, number, answer(rule));
        next = number + 1;
    }
    push(&mut ranges, next, vec![verdict(ABSENT)]);
    ranges
}

/// Adds a range, or lets the one before it run on when both give the same plain verdict.
fn push(ranges: &mut Vec<Range>, from: u32, code: Vec<sock_filter>) {
    let runs_on = ranges
        .last()
        .is_some_and(|last| last.code.len() == 1 && code.len() == 1 && last.code[0].k == code[0].k);
    if !runs_on {
        ranges.push(Range { from, code });
    }
}

/// A binary search over the ranges, with the call number in the accumulator.
fn tree(ranges: &[Range]) -> Vec<sock_filter> {
    let [range] = ranges else {
        let (low, high) = ranges.split_at(ranges.len() / 2);
        let (below, above) = (tree(low), tree(high));
        // A conditional jump reaches 255 instructions; past that it hops over an unconditional one.
        let mut code = match u8::try_from(below.len()) {
            Ok(short) => vec![jump(BPF_JGE, high[0].from, short, 0)],
            Err(_) => vec![jump(BPF_JGE, high[0].from, 0, 1), jump(BPF_JA, below.len() as u32, 0, 0)],
        };
        code.extend(below);
        code.extend(above);
        return code;
    };
    range.code.clone()
}

fn answer(rule: Rule) -> Vec<sock_filter> {
    match rule {
        Rule::Allow => vec![verdict(ALLOW)],
        Rule::Absent => vec![verdict(ABSENT)],
        // `at` has resolved `Below`; one left over would be a mistake here, and is refused.
        Rule::Refuse | Rule::Below(..) => vec![verdict(REFUSE)],
        Rule::Only(groups) => tested(groups, REFUSE),
        Rule::Unwritable(groups) => tested(groups, UNWRITABLE),
    }
}

/// Allows when one group holds, else gives the verdict.
fn tested(groups: &[&[Test]], otherwise: u32) -> Vec<sock_filter> {
    let mut code: Vec<_> = groups.iter().flat_map(|tests| group(tests)).collect();
    code.push(verdict(otherwise));
    code
}

/// Allows when all tests hold; otherwise runs on behind itself. Built from its end, so that each test knows how far away
/// the end is.
fn group(tests: &[Test]) -> Vec<sock_filter> {
    let mut rest = vec![verdict(ALLOW)];
    for test in tests.iter().rev() {
        let mut code = match *test {
            Test::In(argument, mask, values) => {
                let mut code = vec![load(low_half(argument))];
                if mask != super::rule::ALL {
                    code.push(statement(BPF_ALU | BPF_AND | BPF_K, mask));
                }
                for (left, value) in (0..values.len()).rev().zip(values) {
                    let otherwise = if left == 0 { rest.len() } else { 0 };
                    code.push(jump(BPF_JEQ, *value, short(left), short(otherwise)));
                }
                code
            }
            Test::Null(argument) => vec![
                load(low_half(argument)),
                jump(BPF_JEQ, 0, 0, short(rest.len() + 2)),
                load(low_half(argument) + 4),
                jump(BPF_JEQ, 0, 0, short(rest.len())),
            ],
        };
        code.append(&mut rest);
        rest = code;
    }
    rest
}

fn low_half(argument: u8) -> usize {
    offset_of!(seccomp_data, args) + 8 * usize::from(argument)
}

fn short(distance: usize) -> u8 {
    u8::try_from(distance).expect("the tests of one call fit a short jump, as the table's tests show")
}

fn load(offset: usize) -> sock_filter {
    statement(BPF_LD | BPF_W | BPF_ABS, offset as u32)
}

fn verdict(action: u32) -> sock_filter {
    statement(BPF_RET | BPF_K, action)
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

fn jump(test: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: (BPF_JMP | test | BPF_K) as u16, jt, jf, k }
}

#[cfg(test)]
#[path = "compile_tests.rs"]
mod tests;
