//! What systemd is told: the credentials that the daemon's unit loads, and that it should look at what changed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::carry::{clean, say};
use super::{Failed, Node};
use crate::cli::program;
use crate::config::{Config, is_credential};

const PATIENCE: Duration = Duration::from_secs(90);
/// What setup says to systemd, and how it begins.
const DROP_IN: &str = "provost-setup.conf";
const WRITTEN: &str = "# Written by provost setup.\n";

/// The one that the package's unit loads by itself.
const LOADED: &str = "pve-token";

/// The credentials that a configuration names beside it.
pub fn credentials(config: &Config) -> Vec<String> {
    let own = config.roles.iter().filter_map(|role| role.token.as_ref());
    let names = std::iter::once(&config.pve.token).chain(own).filter(|given| is_credential(given));
    let mut names: Vec<String> = names.map(|name| name.display().to_string()).collect();
    names.retain(|name| name != LOADED);
    names.sort();
    names.dedup();
    names
}

/// With its directory, where nobody else has anything in it.
pub fn remove_drop_in(path: &Path) -> Result<(), Failed> {
    say(&format!("rm {}", path.display()))?;
    std::fs::remove_file(path).map_err(|error| Failed::Wrong(format!("{}: {error}", path.display())))?;
    let _ = path.parent().map(std::fs::remove_dir);
    Ok(())
}

impl Node {
    /// What makes the unit load these credentials, if it does not say so yet; without a text it is to go.
    pub fn told(&self, credentials: &[String]) -> Option<(PathBuf, Option<String>)> {
        if credentials.is_empty() {
            return self.drop_in().map(|path| (path, None));
        }
        let path = self.drop_ins.join(DROP_IN);
        let loads: String =
            credentials.iter().map(|name| format!("LoadCredentialEncrypted={name}\n")).collect();
        let text = format!("{WRITTEN}[Service]\n{loads}");
        let now = std::fs::read_to_string(&path).ok();
        (now.as_deref() != Some(text.as_str())).then_some((path, Some(text)))
    }

    /// What setup wrote for systemd, where it did.
    pub fn drop_in(&self) -> Option<PathBuf> {
        let path = self.drop_ins.join(DROP_IN);
        std::fs::read_to_string(&path).is_ok_and(|text| text.starts_with(WRITTEN)).then_some(path)
    }

    /// Has the running daemon see what changed. Without systemd it looks by itself within a second, but for `[pve]`.
    pub fn tell_daemon(&self, restart: bool) -> Result<(), Failed> {
        self.systemctl(&telling(restart))
    }

    /// What [`Self::tell_daemon`] will do that somebody may want to know before, and why.
    pub fn restart(&self) -> Option<(String, &'static str)> {
        let why = "what the daemon has from systemd it has from its start: sessions end, and plans that wait are void";
        self.has_systemd().then(|| (format!("systemctl {}", program::typed(&telling(true))), why))
    }

    fn has_systemd(&self) -> bool {
        let own = self.systemctl == Path::new("/usr/bin/systemctl");
        (Path::new("/run/systemd/system").is_dir() || !own) && self.systemctl.exists()
    }

    pub fn systemctl(&self, words: &[&str]) -> Result<(), Failed> {
        if !self.has_systemd() {
            return Ok(());
        }
        say(&format!("systemctl {}", program::typed(words)))?;
        done(&self.systemctl, words)
    }
}

fn telling(restart: bool) -> [&'static str; 2] {
    [if restart { "try-restart" } else { "try-reload-or-restart" }, "provost.service"]
}

pub fn done(program: &Path, words: &[&str]) -> Result<(), Failed> {
    let failed = |said: String| {
        Failed::Wrong(format!("{} {}: {}", program.display(), program::typed(words), clean(&said)))
    };
    let ran = program::run(program, words, b"", PATIENCE).map_err(|error| failed(error.to_string()))?;
    match ran.status.success() {
        true => Ok(()),
        false => Err(failed(ran.stderr)),
    }
}
