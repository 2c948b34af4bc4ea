#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| { if let Ok(t) = std::str::from_utf8(bytes) { let _ = provost::enter::policy::compile(t); } });
