//! Endpoints one a line, as an export that was made for machines has them.

use super::{Catalog, ImportError, convert::Converter, raw::Info};

pub(super) fn read(source: &[u8]) -> Result<Catalog, ImportError> {
    let mut converter = Converter::default();
    for (number, line) in source.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let unreadable = |column, problem: String| ImportError::Json { line: number + 1, column, problem };
        let mut info: Info =
            serde_json::from_slice(line).map_err(|e| unreadable(e.column(), e.to_string()))?;
        let (Some(path), Some(method)) = (info.path.take(), info.method.take()) else {
            return Err(unreadable(1, "has no path or no method".into()));
        };
        converter.endpoint(&path.0, &method.0, info)?;
    }
    converter.finish()
}
