//! Whatever a monitor socket answers is read without a panic, and no length is believed that no answer has.
#![no_main]

use libfuzzer_sys::fuzz_target;
use provost::enter::monitor::{HEADER, LONGEST, parse_header};

fuzz_target!(|bytes: &[u8]| {
    match parse_header(bytes) {
        Ok(header) => assert!(bytes.len() >= HEADER && header.length <= LONGEST),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
