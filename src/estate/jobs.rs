//! `jobs.cfg`: which guests are backed up, to where and when.

use smol_str::SmolStr;

use super::finding::{Findings, What};
use super::guest::Guest;
use super::section::{Heads, Section, sections};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupJob {
    pub id: SmolStr,
    pub enabled: bool,
    pub chosen: Chosen,
    /// Nothing: what the node's own `vzdump.conf` says.
    pub storage: Option<SmolStr>,
    pub schedule: Option<SmolStr>,
    /// It runs there alone, and takes only guests that are there.
    pub node: Option<SmolStr>,
    /// How many are kept, as PVE writes it; with it, old ones go.
    pub prune: Option<SmolStr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    Guests(Box<[u32]>),
    Pool(SmolStr),
    AllBut(Box<[u32]>),
    /// It takes none.
    Nothing,
}

impl BackupJob {
    /// Whether it takes the guest when it runs. `pool` is the guest's.
    #[must_use]
    pub fn covers(&self, guest: &Guest, pool: Option<&str>) -> bool {
        if self.node.as_ref().is_some_and(|node| *node != guest.node) {
            return false;
        }
        match &self.chosen {
            Chosen::Guests(list) => list.contains(&guest.vmid),
            Chosen::Pool(name) => pool == Some(name),
            Chosen::AllBut(list) => !list.contains(&guest.vmid),
            Chosen::Nothing => false,
        }
    }
}

pub fn parse(text: &str, findings: &mut Findings<'_>) -> Vec<BackupJob> {
    let all = sections(text, Heads::Typed, findings);
    all.iter().filter(|section| section.kind == "vzdump").map(|section| job(section, findings)).collect()
}

fn job(section: &Section<'_>, findings: &mut Findings<'_>) -> BackupJob {
    let mut guests = |key| -> Box<[u32]> {
        let mut ids = Vec::new();
        for text in section.list(key) {
            match text.parse() {
                Ok(vmid) => ids.push(vmid),
                Err(_) => findings.add(section.line, What::Value(key.into())),
            }
        }
        ids.into()
    };
    let chosen = if section.flag("all") == Some(true) {
        Chosen::AllBut(guests("exclude"))
    } else if let Some(pool) = section.name("pool") {
        Chosen::Pool(pool)
    } else if section.get("vmid").is_some() {
        Chosen::Guests(guests("vmid"))
    } else {
        Chosen::Nothing
    };
    BackupJob {
        id: section.id.into(),
        enabled: section.flag("enabled").unwrap_or(true),
        chosen,
        storage: section.name("storage"),
        schedule: section.name("schedule"),
        node: section.name("node"),
        prune: section.name("prune-backups"),
    }
}

/// `vzdump.cron` of PVE 7 and before: its lines are not understood here, and said to be there.
pub fn parse_cron(text: &str, findings: &mut Findings<'_>) {
    for (number, line) in (1u32..).zip(text.lines()) {
        if !line.trim_ascii_start().starts_with('#') && line.contains("vzdump") {
            findings.add(number, What::Value("a backup job in the form of PVE 7".into()));
        }
    }
}
