//! The rules in force: the configuration as it was last found right, and whether the file still says so.
//!
//! The file is looked at before each call is judged, so what the operator writes holds from the next call on, in
//! sessions that are open too. One that has become wrong changes nothing but what `status` and the log say.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::{self, Config, ConfigError, Identity};
use crate::{files, sandbox};

pub struct Rules {
    file: Option<PathBuf>,
    now: Mutex<Now>,
}

struct Now {
    config: Arc<Config>,
    /// Of the file when it was last read, rightly or not.
    seen: Option<Identity>,
    /// Why the file as it is now is not in force.
    error: Option<String>,
}

impl Rules {
    /// Rules that never change.
    pub fn fixed(config: Config) -> Self {
        let now = Now { config: Arc::new(config), seen: None, error: None };
        Self { file: None, now: Mutex::new(now) }
    }

    /// The rules of a file, which must be right to begin with.
    pub fn of(file: PathBuf) -> Result<Self, ConfigError> {
        let (config, seen) = config::load_trusted(&file)?;
        warn_of_not_yet(&config, None);
        let now = Now { config: Arc::new(config), seen: Some(seen), error: None };
        Ok(Self { file: Some(file), now: Mutex::new(now) })
    }

    /// Whether they are a file's, as those of a daemon are.
    pub fn is_of_file(&self) -> bool {
        self.file.is_some()
    }

    /// What is in force now.
    pub fn now(&self) -> Arc<Config> {
        let mut now = self.lock();
        if let Some(file) = &self.file {
            let seen = config::identity(file);
            if seen.is_none() || seen != now.seen {
                now.read(file);
            }
        }
        now.config.clone()
    }

    /// Reads the file again, whether it has changed or not, and says in the log what came of it.
    pub fn reload(&self) {
        let mut now = self.lock();
        if let Some(file) = &self.file {
            now.error = None;
            now.read(file);
        }
    }

    /// Why the file is not in force, when it is not.
    pub fn error(&self) -> Option<String> {
        self.lock().error.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Now {
    fn read(&mut self, file: &Path) {
        // Before it is read: what changes meanwhile is another file at the next look.
        self.seen = config::identity(file);
        match config::load_trusted(file) {
            Ok((config, seen)) => {
                if config.listen != self.config.listen {
                    tracing::warn!("[listen] has changed; that holds from the next start of provostd on");
                }
                warn_of_not_yet(&config, Some(&self.config));
                sandbox::say_closed(closed(&config));
                (self.config, self.seen, self.error) = (Arc::new(config), Some(seen), None);
                tracing::info!(path = %file.display(), roles = self.config.roles.len(), "read the configuration again");
            }
            Err(error) => {
                let error = error.to_string();
                if self.error.as_ref() != Some(&error) {
                    tracing::error!(
                        "the configuration is wrong, and the one before it stays in force: {error}"
                    );
                }
                self.error = Some(error);
            }
        }
    }
}

/// The tokens that this process may not open as it was started. One that is not there, or that its account may not read,
/// is another matter: the call that needs it says so.
fn closed(config: &Config) -> Vec<String> {
    let tokens = config.roles.iter().filter_map(|role| Some((role, role.token.as_ref()?)));
    let closed = tokens.filter(|(_, token)| {
        token.is_absolute()
            && files::open(token).is_err_and(|error| error.raw_os_error() == Some(libc::EPERM))
    });
    closed.map(|(role, token)| format!("token of role \"{}\", {}", role.name, token.display())).collect()
}

/// Once for each key.
fn warn_of_not_yet(config: &Config, before: Option<&Config>) {
    let known = before.map(Config::not_yet).unwrap_or_default();
    for not_yet in config.not_yet().iter().filter(|not_yet| !known.contains(not_yet)) {
        tracing::warn!("{} is set, and this version does not act on it: {}", not_yet.key, not_yet.meaning);
    }
}
