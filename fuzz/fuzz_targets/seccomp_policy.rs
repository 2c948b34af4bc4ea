//! Whatever stands in a policy file, it becomes a filter that the kernel would take, or a message of one short line.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use provost::enter::policy::compile;

/// libseccomp takes exponentially long over conditions on one call; that is not what is tried here.
const MAX_CONDITIONS: usize = 12;

const RET: u16 = 0x06;
const JUMP: u16 = 0x05;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    if bytes.iter().filter(|byte| **byte == b'[').count() > MAX_CONDITIONS {
        return Corpus::Reject;
    }
    match compile(&String::from_utf8_lossy(bytes)) {
        Ok(compiled) => {
            let instructions = compiled.program.instructions();
            assert!((1..=4096).contains(&instructions.len()));
            assert_eq!(instructions.last().map(|last| last.code), Some(RET));
            for (at, instruction) in instructions.iter().enumerate() {
                let furthest = match instruction.code {
                    JUMP => instruction.k as usize,
                    _ => instruction.jt.max(instruction.jf).into(),
                };
                assert!(at + furthest < instructions.len());
            }
        }
        Err(error) => {
            let message = error.to_string();
            assert!(
                !message.is_empty() && message.len() < 2000 && !message.contains(|c: char| c.is_control())
            );
        }
    }
    Corpus::Keep
});
