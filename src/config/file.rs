//! The configuration as a file that decides something: read only when nobody but its owner could have written it, and
//! known again by its identity when it has changed.

use std::fs::Metadata;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Config, ConfigError, parse};
use crate::files;

/// A file's identity: another file, or another content, owner or mode, has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity([i64; 7]);

impl From<&Metadata> for Identity {
    fn from(stat: &Metadata) -> Self {
        Self([
            stat.dev() as i64,
            stat.ino() as i64,
            stat.size() as i64,
            stat.mtime(),
            stat.mtime_nsec(),
            stat.ctime(),
            stat.ctime_nsec(),
        ])
    }
}

/// What stands there now; none when that cannot be told.
pub fn identity(path: &Path) -> Option<Identity> {
    std::fs::metadata(path).ok().map(|stat| Identity::from(&stat))
}

/// Reads and checks the whole file, which must be root's or this process's own account's, and nobody else's to write.
pub fn load_trusted(path: &Path) -> Result<(Config, Identity), ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    // What is looked at is what is read: a name can be given to another file in between.
    let mut file = files::open(path).map_err(failed)?;
    let stat = file.metadata().map_err(failed)?;
    let (uid, mode) = (stat.uid(), stat.mode() & 0o777);
    if (uid != 0 && uid != nix::unistd::Uid::effective().as_raw()) || mode & 0o022 != 0 {
        return Err(ConfigError::Writable { path: path.to_owned(), uid, mode });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    Ok((parse(path, &text)?, Identity::from(&stat)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_others_may_write_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("provost.toml");
        std::fs::write(&path, "").unwrap();
        for (mode, good) in [(0o600, true), (0o644, true), (0o664, false), (0o646, false)] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let loaded = load_trusted(&path);
            assert_eq!(loaded.is_ok(), good, "{mode:o}");
            if let Err(error) = loaded {
                assert!(error.to_string().contains("chmod go-w"), "{error}");
            }
        }
    }

    #[test]
    fn another_accounts_file_is_refused() {
        if !nix::unistd::Uid::effective().is_root() {
            eprintln!("NOT RUN without root: another_accounts_file_is_refused");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("provost.toml");
        std::fs::write(&path, "").unwrap();
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        let error = load_trusted(&path).expect_err("must be refused").to_string();
        assert!(error.contains("uid 65534"), "{error}");
    }
}
