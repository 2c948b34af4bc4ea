//! A node's description of its API, for those who measure what reading it takes.

use std::env;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use provost::catalog::{Catalog, Release};

/// A file to read, and what it is: `$PROVOST_APIDOC`, or of PVE 9.1 from `$PROVOST_APIDOC_DIR`, or one that is made.
pub fn bytes() -> (Vec<u8>, String) {
    if let Some(path) = env::var_os("PROVOST_APIDOC").map(PathBuf::from) {
        return (fs::read(&path).expect("$PROVOST_APIDOC"), path.display().to_string());
    }
    if let Some(directory) = env::var_os("PROVOST_APIDOC_DIR").map(PathBuf::from) {
        let output = Command::new("zcat").arg(directory.join("apidoc-9.1.js.gz")).output().expect("zcat");
        assert!(output.status.success(), "no apidoc-9.1.js.gz in $PROVOST_APIDOC_DIR");
        return (output.stdout, "a real node's, PVE 9.1".into());
    }
    (
        Catalog::embedded(Release::V9_1).to_script().into_bytes(),
        "MADE OF WHAT IS BUILT IN, without prose".into(),
    )
}

/// Puts it at `file` as on a node, and says what it is.
pub fn write(file: &Path) -> io::Result<String> {
    let (bytes, from) = bytes();
    fs::write(file, &bytes)?;
    fs::set_permissions(file, Permissions::from_mode(0o644))?;
    Ok(format!("{from}, {:.2} MB", bytes.len() as f64 / 1e6))
}
