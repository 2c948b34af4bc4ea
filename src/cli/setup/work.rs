//! What a run looks at before it decides: the places of the tokens, PVE's lists, and what they should be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::names::Names;
use super::pveum::{Present, Pveum};
use super::sealed::Sealed;
use super::secret::{Kept, Store};
use super::wanted::{self, Wanted};
use super::{Failed, Node, carry, steps};
use crate::catalog::{Release, Source};
use crate::cli::creds::Creds;
use crate::config::{self, Config, GuestTerm};
use crate::estate::{self, Index, Tree};
use crate::pve;

/// What there is and what there should be.
pub struct Work {
    pub pveum: Pveum,
    pub present: Present,
    pub wanted: Wanted,
    /// What the places of tokens hold, those of the configuration before it is changed among them.
    kept: BTreeMap<PathBuf, Kept>,
}

/// Where the tokens of a configuration are, each once.
pub fn files(config: &Config) -> Vec<&Path> {
    let own = config.roles.iter().filter_map(|role| role.token.as_deref());
    let mut files = vec![config.pve.token.as_path()];
    for file in own {
        if !files.contains(&file) {
            files.push(file);
        }
    }
    files
}

impl Node {
    pub fn creds(&self) -> Creds {
        Creds { program: self.systemd_creds.clone() }
    }

    /// `config`: its path.
    pub fn store(&self, config: &Path) -> Store {
        Store {
            account: config::Exec::default().user,
            creds: self.creds(),
            credstore: self.credstore.clone(),
            plain: self.plain_credstore.clone(),
            sealed: Sealed { file: config.with_file_name("credentials") },
        }
    }

    /// `before`: the configuration that is changed to this one.
    pub fn work(&self, store: &Store, config: &Config, before: Option<&Config>) -> Result<Work, Failed> {
        let root = nix::unistd::Uid::effective().is_root();
        if !root && self.pveum == Path::new("/usr/sbin/pveum") {
            return Err(Failed::Wrong("pveum answers root alone: sudo provost …".into()));
        }
        let pveum = Pveum { program: self.pveum.clone() };
        let present = pveum.look()?;
        let mut kept = BTreeMap::new();
        for file in files(config).into_iter().chain(before.into_iter().flat_map(files)) {
            kept.insert(file.to_owned(), store.kept(file)?);
        }
        let names = self.names(config, &kept, &present);
        // A node without the file of its own has the built-in catalogue of its release.
        let fallback = if present.known.contains("VM.Monitor") { Release::V8_4 } else { Release::LATEST };
        let catalog = Source::open(&config.pve.apidoc, None, fallback).current().catalog;
        let terms = config.roles.iter().filter_map(|role| role.guests.as_ref()).flatten();
        let estate = match terms.into_iter().any(|term| matches!(term, GuestTerm::Tag(_))) {
            true => estate::refresh(&Tree::new(&config.pve.etc_pve), None),
            false => Index::default().into(),
        };
        let wanted = wanted::wanted(names, config, &catalog, &present.known, &estate)?;
        Ok(Work { pveum, present, wanted, kept })
    }

    pub fn names(&self, config: &Config, kept: &BTreeMap<PathBuf, Kept>, present: &Present) -> Names {
        let held: Vec<String> = kept.values().filter_map(|kept| kept.id.clone()).collect();
        Names::of(&pve::here(&config.pve.etc_pve), self.user.as_deref(), &held, present)
    }
}

impl Work {
    pub fn kept(&self, given: &Path) -> Kept {
        self.kept.get(given).cloned().unwrap_or_default()
    }

    pub fn held(&self, store: &Store, config: &Config) -> Vec<steps::Held<'_>> {
        let held = |token| {
            let token: &wanted::Token = token;
            let id = self.kept(&token.given).id;
            let refused = id.is_some() && carry::is_refused(config, store, &token.given);
            steps::Held { token, id, refused }
        };
        self.wanted.tokens.iter().map(held).collect()
    }

    /// What no daemon can have, either: its unit does not even start.
    pub fn broken(&self, store: &Store) -> Vec<String> {
        let broken = self.kept.iter().filter_map(|(given, kept)| Some((given, kept.broken.as_ref()?)));
        let note = |(given, why): (&PathBuf, &String)| {
            let place = store.place(given);
            format!(
                "{} cannot be decrypted on this host ({why}): its token is lost, and replaced",
                place.display()
            )
        };
        broken.map(note).collect()
    }
}
