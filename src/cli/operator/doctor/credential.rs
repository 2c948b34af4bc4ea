//! A token that is a credential of systemd's: whether it is where the unit looks for it, and whether this host can open it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Check, State, files};
use crate::cli::creds::Creds;

const NAME: &str = "token";

/// Where the unit has its credentials from, the first before the second, and what opens the first.
pub struct Places {
    sealed: PathBuf,
    open: PathBuf,
    creds: Creds,
    is_root: bool,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            sealed: "/etc/credstore.encrypted".into(),
            open: "/etc/credstore".into(),
            creds: Creds { program: "/usr/bin/systemd-creds".into() },
            is_root: nix::unistd::Uid::effective().is_root(),
        }
    }
}

pub fn check(name: &Path, places: &Places) -> Check {
    let (sealed, open) = (places.sealed.join(name), places.open.join(name));
    match (std::fs::symlink_metadata(&sealed), std::fs::symlink_metadata(&open)) {
        (Ok(_), _) if places.is_root => decrypted(name, &sealed, &places.creds),
        (Ok(_), _) => Check::good(
            NAME,
            format!(
                "{} is there; systemd decrypts it for the daemon (as root it is tried)",
                sealed.display()
            ),
        ),
        (Err(error), Ok(_)) if error.kind() == ErrorKind::NotFound => files::file(&open),
        (Err(a), Err(b)) if a.kind() == ErrorKind::NotFound && b.kind() == ErrorKind::NotFound => Check::not(
            NAME,
            State::Bad,
            format!(
                "the configuration names the credential {}, and there is neither {} nor {}",
                name.display(),
                sealed.display(),
                open.display()
            ),
            "provost setup makes one",
        ),
        (Err(error), _) => Check::skipped(NAME, format!("{}: {error}", sealed.display())),
    }
}

/// What it prints is the secret: it is looked at by nobody, and wiped.
fn decrypted(name: &Path, sealed: &Path, creds: &Creds) -> Check {
    let place = sealed.display();
    match creds.decrypt(name, sealed) {
        Ok(Ok(_)) => {
            Check::good(NAME, format!("{place} is there, and systemd can decrypt it for the daemon"))
        }
        Ok(Err(said)) => Check::not(
            NAME,
            State::Bad,
            format!(
                "{place} cannot be decrypted on this host, so the unit does not start (243/CREDENTIALS): {}",
                crate::text::brief(&said, 200)
            ),
            "provost setup makes another in its place; then systemctl restart provost",
        ),
        Err(error) => Check::skipped(NAME, format!("{place} is there; {}: {error}", creds.program.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn places(dir: &Path, is_root: bool) -> Places {
        let places = Places {
            sealed: dir.join("sealed"),
            open: dir.join("open"),
            creds: Creds { program: dir.join("systemd-creds") },
            is_root,
        };
        let text = "#!/bin/sh\n[ \"$1 $2\" = 'decrypt --name=pve-token' ] && grep -q good \"$3\" && exec cat \"$3\"\n\
                    echo 'Failed to decrypt: Bad message' >&2\nexit 1\n";
        fs::write(&places.creds.program, text).unwrap();
        fs::set_permissions(&places.creds.program, PermissionsExt::from_mode(0o755)).unwrap();
        for dir in [&places.sealed, &places.open] {
            fs::create_dir(dir).unwrap();
        }
        places
    }

    #[test]
    fn one_that_this_host_cannot_decrypt_is_bad_where_it_can_be_tried() {
        let dir = tempfile::tempdir().unwrap();
        for (text, is_root, state) in
            [("good", true, State::Good), ("other", true, State::Bad), ("other", false, State::Good)]
        {
            let dir = tempfile::tempdir_in(dir.path()).unwrap();
            let places = places(dir.path(), is_root);
            fs::write(places.sealed.join("pve-token"), text).unwrap();
            let check = check(Path::new("pve-token"), &places);
            assert_eq!(check.state, state, "{text}: {}", check.evidence);
            assert_eq!(check.evidence.contains("Bad message"), state == State::Bad, "{}", check.evidence);
        }
    }

    #[test]
    fn one_that_lies_open_is_found_and_judged_as_a_file_is() {
        let dir = tempfile::tempdir().unwrap();
        let places = places(dir.path(), true);
        let name = Path::new("pve-token");
        let none = check(name, &places);
        assert!(none.state == State::Bad && none.evidence.contains("neither"), "{}", none.evidence);
        let open = places.open.join(name);
        fs::write(&open, "a@pve!t=5f3a1c9e-1111\n").unwrap();
        for (mode, state) in [(0o400, State::Good), (0o444, State::Bad)] {
            fs::set_permissions(&open, PermissionsExt::from_mode(mode)).unwrap();
            assert_eq!(check(name, &places).state, state, "{mode:o}");
        }
    }
}
