//! Where a token's secret is kept: a credential that systemd decrypts for the daemon alone, or, without systemd, a file that
//! only the daemon's account and root can read.
//!
//! It goes from `pveum`'s pipe to the file, and is shown, logged and given to other programs' arguments nowhere. The file is
//! the account's and not the group's: who is in group `provost` may talk to the daemon, and must not become it.

use std::fs::{File, Permissions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::Failed;
use super::sealed::Sealed;
use crate::cli::creds::Creds;
use crate::config::is_credential;

/// A token is near 60 bytes.
const MOST: u64 = 1024;
/// What failed where systemd cannot open what it sealed.
const DECRYPT: &str = "decrypt";

/// Where secrets are put.
#[derive(Debug, Clone)]
pub struct Store {
    /// The account that reads files.
    pub account: String,
    pub creds: Creds,
    pub credstore: PathBuf,
    /// Where a credential lies open, on a host that cannot encrypt; setup puts none there that was not there.
    pub plain: PathBuf,
    /// Which credentials setup sealed.
    pub sealed: Sealed,
}

/// What is kept at a place; nothing of it where nothing is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// `USER@REALM!ID`
    pub id: Option<String>,
    /// Why systemd cannot decrypt it: this host's key is another than it was sealed by.
    pub broken: Option<String>,
}

impl Store {
    /// Where a token of the configuration lies: a bare name is a credential, and the daemon prefers the encrypted one.
    pub fn place(&self, given: &Path) -> PathBuf {
        match (is_credential(given), self.is_plain(given)) {
            (false, _) => given.to_owned(),
            (true, true) => self.plain.join(given),
            (true, false) => self.credstore.join(given),
        }
    }

    fn is_plain(&self, given: &Path) -> bool {
        !self.credstore.join(given).exists() && self.plain.join(given).exists()
    }

    fn is_sealed(&self, given: &Path) -> bool {
        is_credential(given) && !self.is_plain(given)
    }

    pub fn kept(&self, given: &Path) -> Result<Kept, Failed> {
        match self.line(given) {
            Ok(None) => Ok(Kept::default()),
            Ok(Some(line)) => {
                let id = line.split('=').next().unwrap_or_default().trim();
                let is = id.contains('@') && id.contains('!');
                Ok(Kept { id: is.then(|| crate::text::brief(id, 200)), broken: None })
            }
            Err(Failed::Secret { verb: DECRYPT, said, .. }) => Ok(Kept { id: None, broken: Some(said) }),
            Err(error) => Err(error),
        }
    }

    fn line(&self, given: &Path) -> Result<Option<Zeroizing<String>>, Failed> {
        let place = self.place(given);
        if self.is_sealed(given) {
            if !place.exists() {
                return Ok(None);
            }
            let opened = self.creds.decrypt(given, &place);
            let opened = opened.map_err(|error| self.failed("read", &place, error.to_string()))?;
            return opened.map(|bytes| Some(text(bytes))).map_err(|said| self.failed(DECRYPT, &place, said));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(MOST as usize));
        match File::open(&place).and_then(|file| file.take(MOST).read_to_end(&mut bytes)) {
            Ok(_) => Ok(Some(text(bytes))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read", &place, error.to_string())),
        }
    }

    /// A credential as a file of this process's own, in memory alone, for who reads tokens from files.
    pub fn lent(&self, given: &Path) -> Result<Option<(File, PathBuf)>, Failed> {
        let Some(line) = self.line(given)? else { return Ok(None) };
        let make = || {
            let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
            let mut file = File::from(nix::sys::memfd::memfd_create(c"provost-token", flags)?);
            file.set_permissions(Permissions::from_mode(0o400))?;
            file.write_all(line.as_bytes())?;
            Ok(file)
        };
        let file = make().map_err(|error: std::io::Error| self.failed("read", given, error.to_string()))?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        Ok(Some((file, path)))
    }

    /// Puts a line in place of what is there, whole or not at all.
    pub fn put(&self, given: &Path, line: &str) -> Result<(), Failed> {
        let place = self.place(given);
        let failed = |error: std::io::Error| self.failed("write", &place, error.to_string());
        let sealed;
        let (content, account) = match self.is_sealed(given) {
            false if is_credential(given) => (line.as_bytes(), None),
            false => (line.as_bytes(), self.account()),
            true => {
                sealed = self.seal(given, line)?;
                (sealed.as_slice(), None)
            }
        };
        let dir = place.parent().unwrap_or(Path::new("/"));
        if self.is_sealed(given) {
            if !dir.exists() {
                std::fs::create_dir_all(dir).map_err(failed)?;
                std::fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(failed)?;
            }
            // Before there is one: what is broken off here is still known to be setup's.
            self.sealed.add(given).map_err(failed)?;
        }
        // Its owner's alone from its first byte on.
        let mut file = tempfile::Builder::new().prefix(".provost-").tempfile_in(dir).map_err(failed)?;
        file.write_all(content).map_err(failed)?;
        if let Some(account) = account {
            fchown(file.as_file(), Some(account), Some(0)).map_err(failed)?;
        }
        file.as_file().set_permissions(Permissions::from_mode(0o400)).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&place).map_err(|error| failed(error.error))?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
    }

    /// That a secret can be kept there, before there is one.
    pub fn ready(&self, given: &Path) -> Result<(), Failed> {
        if self.is_sealed(given) {
            return self.seal(given, "").map(drop);
        }
        let place = self.place(given);
        let failed = |error: std::io::Error| self.failed("keep", &place, error.to_string());
        if let Some(dir) = place.parent() {
            std::fs::create_dir_all(dir).map_err(failed)?;
            tempfile::tempfile_in(dir).map_err(failed)?;
        }
        Ok(())
    }

    fn seal(&self, given: &Path, line: &str) -> Result<Zeroizing<Vec<u8>>, Failed> {
        let place = self.place(given);
        let sealed = self.creds.encrypt(given, line.as_bytes());
        let sealed = sealed.map_err(|error| self.failed("encrypt", &place, error.to_string()))?;
        let hint = "; provost setup --store file keeps it in a file that only the daemon's account and root can read";
        sealed.map_err(|said| self.failed("encrypt", &place, said + hint))
    }

    pub fn remove(&self, given: &Path) -> Result<(), Failed> {
        let place = self.place(given);
        match std::fs::remove_file(&place) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(self.failed("remove", &place, error.to_string()))
            }
            _ => self.sealed.drop(given).map_err(|error| self.failed("remove", &place, error.to_string())),
        }
    }

    /// None where there is no such account, or where we are not root: then the file is whoever's runs this.
    fn account(&self) -> Option<u32> {
        if !nix::unistd::Uid::effective().is_root() {
            return None;
        }
        let named = nix::unistd::User::from_name(&self.account).ok().flatten().map(|user| user.uid.as_raw());
        named.or_else(|| self.account.parse().ok())
    }

    fn failed(&self, verb: &'static str, place: &Path, said: String) -> Failed {
        Failed::Secret { verb, place: place.to_owned(), said }
    }
}

fn text(bytes: Zeroizing<Vec<u8>>) -> Zeroizing<String> {
    Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn store(dir: &Path) -> Store {
        Store {
            account: nix::unistd::Uid::effective().to_string(),
            creds: Creds { program: "/usr/bin/systemd-creds".into() },
            credstore: dir.join("credstore.encrypted"),
            plain: dir.join("credstore"),
            sealed: Sealed { file: dir.join("credentials") },
        }
    }

    #[test]
    fn a_file_is_its_accounts_alone_and_replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (store, file) = (store(dir.path()), dir.path().join("token"));
        assert_eq!(store.kept(&file).unwrap().id, None);
        store.put(&file, "provost@pve!a=5f3a1c9e-1111\n").unwrap();
        let before = std::fs::metadata(&file).unwrap();
        assert_eq!(before.mode() & 0o7777, 0o400);
        assert_eq!(store.kept(&file).unwrap().id.as_deref(), Some("provost@pve!a"));
        store.put(&file, "provost@pve!b=5f3a1c9e-2222\n").unwrap();
        assert_ne!(std::fs::metadata(&file).unwrap().ino(), before.ino());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing half is left");
    }

    #[test]
    fn a_credential_is_encrypted_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        // Without one systemd would make it, which is not for a test to do to a machine.
        let has_secret = Path::new("/var/lib/systemd/credential.secret").exists();
        if !store.creds.program.exists() || !has_secret {
            eprintln!("NOT RUN without a host key of systemd's: a_credential_is_encrypted_and_read_again");
            return;
        }
        let name = Path::new("pve-token");
        store.put(name, "provost@pve!a=5f3a1c9e-1111\n").unwrap();
        let sealed = std::fs::read(dir.path().join("credstore.encrypted/pve-token")).unwrap();
        assert!(!String::from_utf8_lossy(&sealed).contains("5f3a1c9e"));
        assert_eq!(store.kept(name).unwrap().id.as_deref(), Some("provost@pve!a"));
    }
}
