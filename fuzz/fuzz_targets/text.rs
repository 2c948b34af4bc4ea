//! What a guest wrote, made safe to show.
#![no_main]

use libfuzzer_sys::fuzz_target;
use provost::text::{brief, clean, clean_json, quoted};

fn acts(text: &str) -> bool {
    text.chars().any(|one| (one.is_control() && !matches!(one, '\n' | '\t')) || matches!(one, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}'))
}

fuzz_target!(|data: &[u8]| {
    let shown = clean(data);
    assert!(!acts(&shown));
    assert_eq!(clean(shown.as_bytes()), shown);
    let text = String::from_utf8_lossy(data);
    let short = brief(&text, 80);
    assert!(!acts(&short) && !short.contains(['\n', '\t']) && short.chars().count() <= 81);
    assert!(!quoted(&text, 80).trim_matches('"').contains('"'));
    if let Ok(mut value) = serde_json::from_slice(data) {
        clean_json(&mut value);
        assert!(!acts(&value.to_string()));
    }
});
