//! The node's own `apidoc.js`, read into a [`Catalog`].
//!
//! In: the bytes of the file that pve-docs installs: JSON in a JavaScript. Out: the catalogue, its parameters shared
//! where they are the same. Only root writes the file; all the same it is bounded in length and depth, and nothing in
//! it is run.

mod convert;
mod lines;
mod permission;
mod raw;
mod script;
#[cfg(test)]
mod tests;

use thiserror::Error;

use super::Catalog;

/// A file longer than this is not read: the one of PVE 9.1 has 4 MB.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;

#[derive(Debug, Error)]
pub enum ImportError {
    #[error("has {bytes} bytes; at most {MAX_BYTES} are read")]
    TooLong { bytes: u64 },

    #[error("holds no `apiSchema = [`: this is not the API viewer's apidoc.js")]
    NoArray,

    #[error("line {line}, column {column}: {problem}")]
    Json { line: usize, column: usize, problem: String },

    #[error("{path}: no path of an API endpoint")]
    Path { path: String },

    #[error("names no endpoint at all")]
    Empty,
}

/// Reads an `apidoc.js`.
///
/// # Errors
///
/// When it is too long, holds no array named `apiSchema`, when that is no JSON or nested deeper than 128 levels, or
/// says of something what no schema says.
pub fn script(source: &[u8]) -> Result<Catalog, ImportError> {
    bounded(source)?;
    let array = script::array(source).ok_or(ImportError::NoArray)?;
    let mut json = serde_json::Deserializer::from_slice(&source[array..]);
    let tree =
        serde::Deserialize::deserialize(&mut json).map_err(|error| located(&source[..array], &error))?;
    convert::tree(tree)
}

/// Reads endpoints that stand one a line, each with its `path` and `method` beside what `apidoc.js` says of it.
///
/// # Errors
///
/// As [`script`].
pub fn lines(source: &[u8]) -> Result<Catalog, ImportError> {
    bounded(source)?;
    lines::read(source)
}

fn bounded(source: &[u8]) -> Result<(), ImportError> {
    if source.len() > MAX_BYTES {
        return Err(ImportError::TooLong { bytes: source.len() as u64 });
    }
    Ok(())
}

/// Where in the file, not in the array.
fn located(before: &[u8], error: &serde_json::Error) -> ImportError {
    let newlines = before.iter().filter(|byte| **byte == b'\n').count();
    let indent = before.iter().rev().take_while(|byte| **byte != b'\n').count();
    let column = error.column() + if error.line() == 1 { indent } else { 0 };
    let text = error.to_string();
    let problem = text.rsplit_once(" at line ").map_or(text.as_str(), |(problem, _)| problem).to_owned();
    ImportError::Json { line: newlines + error.line(), column, problem }
}
