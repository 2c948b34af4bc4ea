//! Whatever a client calls a path, it names an endpoint whose rendered path names the same, or it is refused; nothing
//! in what was captured points upwards or ends a request line.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use provost::catalog::{Catalog, Method, Release};
use serde_json::Map;

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::embedded(Release::LATEST));

fuzz_target!(|path: &str| {
    for method in Method::ALL {
        let Ok(found) = CATALOG.endpoint(method, path) else { continue };
        for (_, value) in &found.captured {
            assert!(!value.split('/').any(|part| matches!(part, "" | "." | "..")));
            assert!(!value.contains(|c: char| c.is_control() || c == '?' || c == '#'));
        }
        if let Ok(checked) = found.check(&Map::new()) {
            let path = checked.path();
            assert!(path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\".contains(&byte)));
            let again = CATALOG.endpoint(method, path).expect("what was rendered");
            assert_eq!((again.endpoint, &again.captured), (found.endpoint, &found.captured));
        }
    }
});
