//! SDN's files are changed first and hold once they are applied: which of both a call wants to see, and in what they differ.

use indexmap::IndexMap;

use crate::sim::call::Call;
use crate::sim::estate::sections::{Section, Sections};

/// How a section differs from the one that holds.
pub struct Difference {
    pub state: &'static str,
    /// What is to hold; `deleted` for what is no more.
    pub values: IndexMap<String, String>,
}

/// The sections of a file as the call asks: as configured, as they hold (`running`), or as they hold with what is to come
/// (`pending`).
pub fn sections(call: &Call<'_>, file: &str) -> Vec<(Section, Option<Difference>)> {
    let configured = call.estate.sections(file);
    if !file.starts_with("sdn/") {
        return plain(configured);
    }
    let nothing = Sections { typed: true, list: Vec::new() };
    let running = call.estate.sdn_running.get(file).unwrap_or(&nothing);
    if call.flag("running") {
        return plain(running);
    }
    if !call.flag("pending") {
        return plain(configured);
    }
    let old = running.list.iter().map(|old| (old.clone(), difference(old, configured.find(&old.id))));
    let new = configured.list.iter().filter(|new| running.find(&new.id).is_none());
    let new = new.map(|new| (new.clone(), Some(Difference { state: "new", values: new.values.clone() })));
    old.chain(new).collect()
}

fn plain(sections: &Sections) -> Vec<(Section, Option<Difference>)> {
    sections.list.iter().map(|section| (section.clone(), None)).collect()
}

fn difference(old: &Section, new: Option<&Section>) -> Option<Difference> {
    let Some(new) = new else {
        return Some(Difference { state: "deleted", values: IndexMap::new() });
    };
    let changed = new.values.iter().filter(|(key, value)| old.get(key) != Some(value.as_str()));
    let mut values: IndexMap<String, String> =
        changed.map(|(key, value)| (key.clone(), value.clone())).collect();
    let gone = old.values.keys().filter(|key| !new.values.contains_key(*key));
    values.extend(gone.map(|key| (key.clone(), "deleted".to_owned())));
    (!values.is_empty()).then_some(Difference { state: "changed", values })
}
