//! Whatever comes over the exec socket is read without a panic, and what is accepted survives its own encoding.
#![no_main]

use libfuzzer_sys::fuzz_target;
use provost::exec::wire::{Reply, Request};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = Request::decode(bytes) {
        // A request can grow by escaping; one that no longer fits is refused, not cut.
        if let Ok(again) = request.encode() {
            assert_eq!(Request::decode(&again), Ok(request));
        }
    }
    if let Ok(reply) = Reply::decode(bytes) {
        assert!(Reply::decode(&reply.encode()).is_ok());
    }
});
