//! The machine that seccomp filters run on, as far as libseccomp uses it: a program sees the call as 64
//! bytes, has one register, jumps forward only, and ends in an answer.

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET,
    BPF_W, sock_filter,
};

/// A system call, as a filter sees it (`struct seccomp_data`).
pub(super) struct Call([u8; 64]);

impl Call {
    /// The call `number` of `arch` (AUDIT_ARCH_*); arguments not given are 0.
    pub(super) fn new(arch: u32, number: u32, args: &[u64]) -> Self {
        let mut data = [0; 64];
        data[0..4].copy_from_slice(&number.to_ne_bytes());
        data[4..8].copy_from_slice(&arch.to_ne_bytes());
        for (field, arg) in data[16..].chunks_exact_mut(8).zip(args) {
            field.copy_from_slice(&arg.to_ne_bytes());
        }
        Self(data)
    }

    fn word(&self, at: u32) -> u32 {
        assert_eq!(at % 4, 0, "a filter reads whole words");
        let at = at as usize;
        u32::from_ne_bytes(self.0[at..at + 4].try_into().unwrap())
    }
}

/// Runs a filter to its answer (SECCOMP_RET_*).
pub(super) fn run(program: &[sock_filter], call: &Call) -> u32 {
    const LOAD: u32 = BPF_LD | BPF_W | BPF_ABS;
    const AND: u32 = BPF_ALU | BPF_AND | BPF_K;
    const JUMP: u32 = BPF_JMP | BPF_JA;
    const EQUAL: u32 = BPF_JMP | BPF_JEQ | BPF_K;
    const GREATER: u32 = BPF_JMP | BPF_JGT | BPF_K;
    const AT_LEAST: u32 = BPF_JMP | BPF_JGE | BPF_K;
    const ANY_BIT: u32 = BPF_JMP | BPF_JSET | BPF_K;
    const ANSWER: u32 = BPF_RET | BPF_K;

    let (mut at, mut register) = (0, 0_u32);
    loop {
        let sock_filter { code, jt, jf, k } = program[at];
        let branch = |taken: bool| usize::from(if taken { jt } else { jf });
        at += 1 + match u32::from(code) {
            LOAD => {
                register = call.word(k);
                0
            }
            AND => {
                register &= k;
                0
            }
            JUMP => k as usize,
            EQUAL => branch(register == k),
            GREATER => branch(register > k),
            AT_LEAST => branch(register >= k),
            ANY_BIT => branch(register & k != 0),
            ANSWER => return k,
            other => panic!("instruction {at} has the code {other:#x}"),
        };
    }
}
