//! Whatever stands where a node's apidoc.js should, it becomes a catalogue that can be searched, kept and written down
//! again, or a message of one short line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use provost::catalog::{Catalog, import};

fuzz_target!(|bytes: &[u8]| {
    let script = import::script(bytes);
    // Most of what comes is no array of that name; then it is tried as the array alone.
    let read = script.or_else(|_| import::script(&[b"apiSchema = ", bytes].concat()));
    match read {
        Ok(catalog) => {
            for endpoint in catalog.endpoints() {
                assert_eq!(catalog.template(endpoint.method, &endpoint.path), Some(endpoint));
            }
            let plain = catalog.without_prose();
            let text = provost::catalog::text(&[("1".to_owned(), plain.clone())].into());
            assert!(!text.is_empty());
            let _ = Catalog::from_text(&text, "1");
        }
        Err(error) => {
            let message = error.to_string();
            assert!(!message.is_empty() && message.len() < 1000, "{message}");
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Catalog::from_text(text, "1");
    }
});
