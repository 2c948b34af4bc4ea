//! The credentials that setup sealed, by their names: what a person sealed is not for an uninstall, or a purge of the package,
//! to remove. A line each in a file beside the configuration, which only root may write.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone)]
pub struct Sealed {
    pub file: PathBuf,
}

impl Sealed {
    pub fn has(&self, name: &Path) -> bool {
        self.names().contains(&name.display().to_string())
    }

    pub fn add(&self, name: &Path) -> io::Result<()> {
        let mut names = self.names();
        match names.insert(name.display().to_string()) {
            true => self.write(&names),
            false => Ok(()),
        }
    }

    pub fn drop(&self, name: &Path) -> io::Result<()> {
        let mut names = self.names();
        match names.remove(&name.display().to_string()) {
            // An empty list is no file.
            true if names.is_empty() => std::fs::remove_file(&self.file),
            true => self.write(&names),
            false => Ok(()),
        }
    }

    fn names(&self) -> BTreeSet<String> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Whole or not at all, and there when the power goes out.
    fn write(&self, names: &BTreeSet<String>) -> io::Result<()> {
        let dir = self.file.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(dir)?;
        let mut file = tempfile::Builder::new().prefix(".provost-").tempfile_in(dir)?;
        names.iter().try_for_each(|name| writeln!(file, "{name}"))?;
        file.as_file().sync_all()?;
        file.persist(&self.file).map_err(|error| error.error)?;
        File::open(dir)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_and_go_and_the_last_takes_the_file_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let sealed = Sealed { file: dir.path().join("etc/credentials") };
        let [a, b] = ["a", "b"].map(Path::new);
        for name in [b, a, a] {
            sealed.add(name).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&sealed.file).unwrap(), "a\nb\n");
        sealed.drop(a).unwrap();
        assert!(sealed.has(b) && !sealed.has(a));
        sealed.drop(a).unwrap();
        sealed.drop(b).unwrap();
        assert!(!sealed.file.exists() && !sealed.has(b));
    }
}
