//! A plan of setup's: shown, and carried out one step after another.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde_json::json;

use super::pveum::Pveum;
use super::secret::Store;
use super::steps::Step;
use super::units::{done, remove_drop_in};
use super::{Failed, Node, settings};
use crate::cli::program;
use crate::config::{self, Config};
use crate::pve::{Client, Methods, Options, PveError, Read};

const CALL: Style = AnsiColor::Cyan.on_default();
const FAINT: Style = Style::new().dimmed();
const LOOK: Style = AnsiColor::Yellow.on_default();

/// Who may connect to the socket.
const GROUP: &str = "provost";

pub struct Plan<'a> {
    pub node: &'a Node,
    pub store: &'a Store,
    pub pveum: &'a Pveum,
    pub steps: Vec<Step>,
    /// The file, as it is and as it is to be.
    pub config: Option<(&'a Path, &'a str, &'a str)>,
    /// The place of a token that lies elsewhere from now on, and is none any more.
    pub left: Option<&'a Path>,
    /// Unix users that the group lacks.
    pub operators: Vec<String>,
    /// Credentials that the unit has to load.
    pub credentials: Vec<String>,
    /// Whether the daemon has to start anew to see where its tokens are.
    pub restart: bool,
    pub notes: Vec<String>,
}

impl Plan<'_> {
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
            && self.config.is_none()
            && self.operators.is_empty()
            && self.node.told(&self.credentials).is_none()
    }

    pub fn show(&self) -> Result<(), Failed> {
        let mut out = anstream::stdout().lock();
        for note in &self.notes {
            writeln!(out, "{LOOK}note{LOOK:#}  {}", clean(note))?;
        }
        if self.is_empty() {
            writeln!(out, "All is there already: nothing to do.")?;
            return Ok(());
        }
        writeln!(out, "To be done:")?;
        for step in &self.steps {
            call(&mut out, &self.pveum.typed(&step.words()), &step.why)?;
        }
        if let Some((path, before, after)) = self.config {
            writeln!(out, "  {CALL}write {}{CALL:#}", path.display())?;
            for line in settings::difference(before, after).lines() {
                writeln!(out, "      {}", clean(line))?;
            }
        }
        for user in &self.operators {
            call(
                &mut out,
                &program::typed(&self.joining(user)),
                "so that it may connect; what it may do, its role says",
            )?;
        }
        match self.node.told(&self.credentials) {
            Some((path, Some(_))) => call(
                &mut out,
                &format!("write {}", path.display()),
                "systemd decrypts the token for the daemon alone",
            )?,
            Some((path, None)) => call(
                &mut out,
                &format!("rm {}", path.display()),
                "the configuration names no credential that the unit does not load by itself",
            )?,
            None => {}
        }
        if let Some((line, why)) = self.node.restart().filter(|_| self.restarts()) {
            call(&mut out, &line, why)?;
        }
        if let Some(left) = self.left {
            call(&mut out, &self.removal(left), "the token that it holds is one no more")?;
        }
        Ok(())
    }

    pub fn json(&self) -> Result<(), Failed> {
        let step =
            |step: &Step| json!({ "call": step.words, "why": clean(&step.why), "secret_to": step.secret_to });
        let plan = json!({
            "pveum": self.steps.iter().map(step).collect::<Vec<_>>(),
            "configuration": self.config.map(|(path, before, after)| {
                json!({ "path": path, "difference": settings::difference(before, after) })
            }),
            "operators": self.operators,
            "restart": self.restarts(),
            "removed": self.left.map(|left| self.store.place(left)),
            "credentials": self.node.told(&self.credentials).and_then(|(_, text)| text).map(|_| &self.credentials),
            "notes": self.notes,
        });
        writeln!(std::io::stdout(), "{plan:#}")?;
        Ok(())
    }

    /// `made`: how much was changed, however it ends.
    pub fn carry_out(&self, made: &mut usize) -> Result<(), Failed> {
        // Before what it is told by is there.
        let restarts = self.restarts();
        let first = self.steps.iter().take_while(|step| !step.last).count();
        let (first, last) = self.steps.split_at(first);
        make(self.pveum, self.store, first, made)?;
        if let Some((path, _, after)) = self.config {
            say(&format!("write {}", path.display()))?;
            settings::write(path, after)?;
            *made += 1;
        }
        for user in &self.operators {
            let words = self.joining(user);
            say(&program::typed(&words))?;
            done(Path::new(words[0]), &words[1..])?;
            *made += 1;
        }
        if let Some((path, text)) = self.node.told(&self.credentials) {
            match text {
                Some(text) => {
                    say(&format!("write {}", path.display()))?;
                    settings::write(&path, &text)?;
                }
                None => remove_drop_in(&path)?,
            }
            *made += 1;
            self.node.systemctl(&["daemon-reload"])?;
        }
        self.node.tell_daemon(restarts)?;
        if let Some(left) = self.left {
            say(&self.removal(left))?;
            self.store.remove(left)?;
        }
        make(self.pveum, self.store, last, made)
    }

    /// Whether the daemon has to start anew.
    fn restarts(&self) -> bool {
        let written = self.steps.iter().filter_map(|step| step.secret_to.as_deref());
        self.restart
            || written.into_iter().any(config::is_credential)
            || self.node.told(&self.credentials).is_some()
    }

    fn removal(&self, left: &Path) -> String {
        format!("rm {}", self.store.place(left).display())
    }

    fn joining<'a>(&self, user: &'a str) -> [&'a str; 5] {
        ["/usr/sbin/usermod", "--append", "--groups", GROUP, user]
    }
}

/// Makes calls, each shown before, and takes up the secrets that they answer with. A secret is put into its file when its
/// token has its rights, as the daemon uses what is in the file at once.
pub fn make(pveum: &Pveum, store: &Store, steps: &[Step], made: &mut usize) -> Result<(), Failed> {
    let mut answered = None;
    for step in steps {
        say(&pveum.typed(&step.words()))?;
        let done = match &step.secret_to {
            None => pveum.call(&step.words()).map(drop),
            Some(given) => {
                store.ready(given)?;
                pveum.make_token(&step.words()).map(|line| answered = Some((given, line)))
            }
        };
        // What PVE refused it did not do; of all else nobody knows that.
        if !matches!(done, Err(Failed::Pveum { .. })) {
            *made += 1;
        }
        done?;
        if step.keeps
            && let Some((given, line)) = answered.take()
        {
            store.put(given, &line)?;
        }
    }
    Ok(())
}

pub fn say(line: &str) -> Result<(), Failed> {
    Ok(writeln!(anstream::stdout(), "{CALL}${CALL:#} {}", clean(line))?)
}

fn call(out: &mut impl Write, line: &str, why: &str) -> Result<(), Failed> {
    writeln!(out, "  {CALL}{}{CALL:#}", clean(line))?;
    Ok(writeln!(out, "      {FAINT}{}{FAINT:#}", clean(why))?)
}

pub fn clean(text: &str) -> String {
    crate::text::clean(text.as_bytes()).replace('\n', " ")
}

/// Of these Unix users, those that the group does not have.
pub fn lacking(users: &[String]) -> Result<Vec<String>, Failed> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let group = nix::unistd::Group::from_name(GROUP).ok().flatten().ok_or_else(|| {
        Failed::Wrong(format!(
            "there is no group {GROUP} on this node; the package makes it (systemd-sysusers)"
        ))
    })?;
    for user in users {
        if !matches!(nix::unistd::User::from_name(user), Ok(Some(_))) {
            return Err(Failed::Wrong(format!("there is no Unix user {}", crate::text::brief(user, 40))));
        }
    }
    Ok(users.iter().filter(|user| !group.mem.contains(user)).cloned().collect())
}

/// Whether PVE says that this is not the secret of that token, or the file may not be used as it is. Where PVE cannot be
/// asked, it does not say so.
pub fn is_refused(config: &Config, store: &Store, given: &Path) -> bool {
    let lent = match config::is_credential(given) {
        false => None,
        // As systemd would put it before the daemon.
        true => match store.lent(given) {
            Ok(Some(lent)) => Some(lent),
            _ => return false,
        },
    };
    let given = lent.as_ref().map_or(given, |(_, path)| path);
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return false;
    };
    let asked = async {
        let client =
            Client::new(Options::from(&config.pve)).ok()?.for_token(given).limited_to(Methods::Reads);
        let path = crate::pve::Path::of(["access", "permissions"]).ok()?;
        client.get(&Read::new(path).within(Duration::from_secs(5))).await.err()
    };
    // A file that everybody may read counts as none: its secret may be known.
    runtime
        .block_on(asked)
        .is_some_and(|error| error.status() == Some(401) || matches!(error, PveError::Token(_)))
}

/// The configuration of a node that is set up.
pub fn load(node: &Node) -> Result<(PathBuf, Config), Failed> {
    let path = config::path(node.config.clone());
    let config = config::load(&path)?;
    Ok((path, config))
}
