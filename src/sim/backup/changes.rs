//! What the simulated server changes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::answers::{path_of, time};
use super::people::{fields, set};
use super::state::Group;
use super::{Answered, Call, Refusal, Server, Store, keep, no};

/// The kind of a job or a remote that a path is of, and the parameter that names one.
pub(super) fn section(template: &str) -> Option<(&'static str, Option<&'static str>)> {
    let rest = template.strip_prefix("/config/").or_else(|| template.strip_prefix("/admin/"))?;
    let (kind, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let kind = ["prune", "sync", "verify", "remote"].into_iter().find(|known| *known == kind)?;
    match rest {
        "" => Some((kind, None)),
        "{id}" | "{id}/run" => Some((kind, Some("id"))),
        "{name}" => Some((kind, Some("name"))),
        _ => None,
    }
}

impl Server {
    pub(super) fn change(&mut self, call: &Call<'_>) -> Answered {
        if let Some(answer) = self.change_people(call) {
            return answer;
        }
        match (call.method.name(), call.template) {
            ("POST", "/config/datastore") => {
                self.may(call, &["datastore"], "Datastore.Allocate")?;
                let name = call.text("name");
                if self.stores.contains_key(&name) {
                    return no(format!("datastore '{name}' already exists."));
                }
                let namespaces = BTreeMap::from([(String::new(), BTreeMap::new())]);
                let config = fields(call, &["name", "reuse-datastore", "overwrite-in-use"]);
                self.stores.insert(name.clone(), Store { config, namespaces, ..Store::default() });
                Ok(self.done(call, "create-datastore", &name, vec![format!("Chunkstore create: {name}")]))
            }
            ("PUT", "/config/datastore/{name}") => {
                let name = call.text("name");
                self.may(call, &["datastore", &name], "Datastore.Modify")?;
                self.store(&name)?;
                if let Some(store) = self.stores.get_mut(&name) {
                    set(&mut store.config, call, &["name"]);
                }
                Ok(Value::Null)
            }
            ("DELETE", "/config/datastore/{name}") => {
                let name = call.text("name");
                self.may(call, &["datastore", &name], "Datastore.Allocate")?;
                self.store(&name)?;
                self.stores.remove(&name);
                if call.flag("keep-job-configs") != Some(true) {
                    for jobs in self.sections.values_mut() {
                        jobs.retain(|_, job| job.get("store").and_then(Value::as_str) != Some(&name));
                    }
                    let below = path_of(&name, "");
                    self.rights
                        .retain(|right| right.path != below && !right.path.starts_with(&format!("{below}/")));
                }
                Ok(self.done(
                    call,
                    "delete-datastore",
                    &name,
                    vec!["Removing datastore from config".to_owned()],
                ))
            }
            // It answers, and is as it was: nobody waits for a simulated host to start.
            ("POST", "/nodes/{node}/status") => {
                self.may(call, &["system", "status"], "Sys.PowerManagement")?;
                match call.text("command").as_str() {
                    "reboot" | "shutdown" => Ok(Value::Null),
                    other => no(format!(
                        "parameter verification failed - 'command': value '{other}' is not defined in the enumeration."
                    )),
                }
            }
            (_, template) if template.starts_with("/admin/datastore/{store}/") => self.change_store(call),
            (method, template) => match section(template) {
                Some((kind, Some("id"))) if template.ends_with("/run") => self.run(kind, call),
                Some((kind, key)) => self.change_section(method, kind, key, call),
                None => no(format!("the simulated server does nothing at {template}")),
            },
        }
    }

    fn change_store(&mut self, call: &Call<'_>) -> Answered {
        let (name, ns) = (call.text("store"), call.text("ns"));
        self.store(&name)?;
        let leaf = call.template.trim_start_matches("/admin/datastore/{store}/");
        match (call.method.name(), leaf) {
            ("POST", "gc") => {
                self.may(call, &["datastore", &name], "Datastore.Modify")?;
                if let Some(store) = self.stores.get_mut(&name) {
                    store.removed += std::mem::take(&mut store.pending);
                }
                let log = vec![
                    format!("starting garbage collection on store {name}"),
                    "Start GC phase1 (mark used chunks)".to_owned(),
                ];
                Ok(self.done(call, "garbage_collection", &name, log))
            }
            ("POST", "verify") => {
                self.may_in(call, "Datastore.Verify")?;
                self.each_backup(&name, &ns, |backup| backup.verified = Some("ok"));
                Ok(self.done(call, "verify", &name, vec![format!("verify datastore {name}")]))
            }
            ("POST", "namespace") => {
                let parent = call.text("parent");
                self.may(call, &["datastore", &name], "Datastore.Modify")?;
                let ns = if parent.is_empty() {
                    call.text("name")
                } else {
                    format!("{parent}/{}", call.text("name"))
                };
                let store = self.stores.get_mut(&name).ok_or_else(gone)?;
                if !store.namespaces.contains_key(&parent) || store.namespaces.contains_key(&ns) {
                    return no(format!("namespace '{ns}' already exists, or what it would lie in does not"));
                }
                store.namespaces.insert(ns.clone(), BTreeMap::new());
                Ok(ns.into())
            }
            ("DELETE", "namespace") => {
                self.may(call, &["datastore", &name], "Datastore.Modify")?;
                let all = call.flag("delete-groups") == Some(true);
                let store = self.stores.get_mut(&name).ok_or_else(gone)?;
                if !store.namespaces.contains_key(&ns) {
                    return no(format!("namespace '{ns}' does not exist"));
                }
                let is_below =
                    |other: &str| other == ns || ns.is_empty() || other.starts_with(&format!("{ns}/"));
                store.namespaces.retain(|other, groups| !is_below(other) || !(all || groups.is_empty()));
                store.namespaces.entry(String::new()).or_default();
                Ok(Value::Null)
            }
            ("DELETE", "groups") => {
                let group = self.group(call)?;
                let protected = group.backups.values().filter(|backup| backup.protected).count();
                let removed = group.backups.len() - protected;
                let freed: u64 =
                    group.backups.values().filter(|backup| !backup.protected).map(|backup| backup.size).sum();
                let key = (call.text("backup-type"), call.text("backup-id"));
                if protected > 0 && call.flag("error-on-protected") != Some(false) {
                    return no("could not delete all snapshots of the group: some are protected");
                }
                let store = self.stores.get_mut(&name).ok_or_else(gone)?;
                store.pending += freed;
                let groups = store.namespaces.get_mut(&ns).ok_or_else(gone)?;
                if protected == 0 {
                    groups.remove(&key);
                } else if let Some(group) = groups.get_mut(&key) {
                    group.backups.retain(|_, backup| backup.protected);
                }
                Ok(
                    json!({ "removed-groups": u8::from(protected == 0), "removed-snapshots": removed, "protected-snapshots": protected }),
                )
            }
            ("DELETE", "snapshots") => {
                let at = time(call)?;
                match self.group(call)?.backups.get(&at) {
                    None => no("snapshot does not exist"),
                    Some(backup) if backup.protected => no("cannot remove protected snapshot"),
                    Some(backup) => {
                        let size = backup.size;
                        self.group_mut(call)?.backups.remove(&at);
                        if let Some(store) = self.stores.get_mut(&name) {
                            store.pending += size;
                        }
                        Ok(Value::Null)
                    }
                }
            }
            ("PUT", "protected") => {
                let (at, on) = (time(call)?, call.flag("protected") == Some(true));
                self.group(call)?;
                match self.group_mut(call)?.backups.get_mut(&at) {
                    None => no("snapshot does not exist"),
                    Some(backup) => {
                        backup.protected = on;
                        Ok(Value::Null)
                    }
                }
            }
            ("PUT", "notes") => {
                let (at, notes) = (time(call)?, call.text("notes"));
                self.group(call)?;
                match self.group_mut(call)?.backups.get_mut(&at) {
                    None => no("snapshot does not exist"),
                    Some(backup) => {
                        backup.notes = notes;
                        Ok(Value::Null)
                    }
                }
            }
            ("PUT", "group-notes") => {
                self.group(call)?;
                self.group_mut(call)?.notes = call.text("notes");
                Ok(Value::Null)
            }
            ("POST", "change-owner") => {
                self.may_in(call, "Datastore.Modify")?;
                self.group_mut(call)?.owner = call.text("new-owner");
                Ok(Value::Null)
            }
            ("POST", "prune") => {
                let rows = self.pruned_rows(call)?;
                if call.flag("dry-run") != Some(true) {
                    self.prune_group(call)?;
                }
                Ok(rows)
            }
            ("POST", "prune-datastore") => {
                self.may_in(call, "Datastore.Prune")?;
                let log = self.prune_below(&name, &ns, call, call.flag("dry-run") == Some(true));
                Ok(self.done(call, "prune", &name, log))
            }
            _ => no(format!("the simulated server does nothing at {}", call.template)),
        }
    }

    fn group_mut(&mut self, call: &Call<'_>) -> Result<&mut Group, Refusal> {
        let key = (call.text("backup-type"), call.text("backup-id"));
        let store = self.stores.get_mut(&call.text("store")).ok_or_else(gone)?;
        store.namespaces.get_mut(&call.text("ns")).and_then(|groups| groups.get_mut(&key)).ok_or_else(gone)
    }

    fn pruned_rows(&self, call: &Call<'_>) -> Answered {
        let (kind, id) = (call.text("backup-type"), call.text("backup-id"));
        let group = self.group(call)?;
        let row = |(time, keep): (&i64, &bool)| {
            let protected = group.backups.get(time).is_some_and(|backup| backup.protected);
            json!({ "backup-type": kind, "backup-id": id, "backup-time": time, "keep": keep, "protected": protected })
        };
        Ok(keep::keep(call, &group.backups).iter().map(row).collect())
    }

    fn prune_group(&mut self, call: &Call<'_>) -> Result<(), Refusal> {
        let kept = keep::keep(call, &self.group(call)?.backups);
        let group = self.group_mut(call)?;
        group.backups.retain(|time, _| kept.get(time).copied().unwrap_or(true));
        Ok(())
    }

    fn prune_below(&mut self, store: &str, ns: &str, call: &Call<'_>, dry: bool) -> Vec<String> {
        let mut log = Vec::new();
        let Some(store) = self.stores.get_mut(store) else { return log };
        for (at, groups) in &mut store.namespaces {
            if !(ns.is_empty() || at == ns || at.starts_with(&format!("{ns}/"))) {
                continue;
            }
            for ((kind, id), group) in groups {
                let kept = keep::keep(call, &group.backups);
                for (time, keep) in &kept {
                    log.push(format!("{} {kind}/{id}/{time}", if *keep { "keep" } else { "remove" }));
                }
                if !dry {
                    let size: u64 =
                        group.backups.iter().filter(|(time, _)| !kept[time]).map(|(_, one)| one.size).sum();
                    store.pending += size;
                    group.backups.retain(|time, _| kept[time]);
                }
            }
        }
        log
    }

    fn each_backup(&mut self, store: &str, ns: &str, mut work: impl FnMut(&mut super::Backup)) {
        let Some(store) = self.stores.get_mut(store) else { return };
        let below = |at: &str| ns.is_empty() || at == ns || at.starts_with(&format!("{ns}/"));
        let groups = store
            .namespaces
            .iter_mut()
            .filter(|(at, _)| below(at))
            .flat_map(|(_, groups)| groups.values_mut());
        groups.flat_map(|group| group.backups.values_mut()).for_each(&mut work);
    }

    /// A job that runs now.
    fn run(&mut self, kind: &str, call: &Call<'_>) -> Answered {
        let id = call.text("id");
        let Some(job) = self.sections.get(kind).and_then(|jobs| jobs.get(&id)).cloned() else {
            return no(format!("no such {kind} job '{id}'"));
        };
        let by_job = Call { method: call.method, template: call.template, args: job, who: call.who.clone() };
        let (store, ns) = (by_job.text("store"), by_job.text("ns"));
        self.may_in(&by_job, if kind == "verify" { "Datastore.Verify" } else { "Datastore.Prune" })?;
        let log = match kind {
            "prune" => self.prune_below(&store, &ns, &by_job, false),
            "verify" => {
                self.each_backup(&store, &ns, |backup| backup.verified = Some("ok"));
                vec![format!("verify datastore {store}")]
            }
            _ => vec![format!(
                "sync datastore '{store}' from '{}/{}'",
                by_job.text("remote"),
                by_job.text("remote-store")
            )],
        };
        let kind = match kind {
            "prune" => "prunejob",
            "verify" => "verificationjob",
            _ => "syncjob",
        };
        Ok(self.done(call, kind, &format!("{store}:{id}"), log))
    }

    pub(super) fn section_list(&self, kind: &str, call: &Call<'_>) -> Value {
        let key = if kind == "remote" { "name" } else { "id" };
        let wanted = call.given("store");
        let of = |job: &Map<String, Value>| {
            wanted.as_deref().is_none_or(|store| job.get("store").and_then(Value::as_str) == Some(store))
        };
        // Those that fetch alone, where nothing is said.
        let direction = call.given("sync-direction").unwrap_or_else(|| "pull".to_owned());
        let goes = |job: &Map<String, Value>| {
            let goes = job.get("sync-direction").and_then(Value::as_str).unwrap_or("pull");
            kind != "sync" || ["all", goes].contains(&direction.as_str())
        };
        let jobs = self.sections.get(kind).into_iter().flatten().filter(|(_, job)| of(job) && goes(job));
        let row = |(id, job): (&String, &Map<String, Value>)| {
            let mut row = job.clone();
            row.remove("password");
            row.insert(key.to_owned(), id.as_str().into());
            Value::from(row)
        };
        jobs.map(row).collect()
    }

    pub(super) fn section_row(&self, kind: &str, id: &str) -> Answered {
        match self.sections.get(kind).and_then(|jobs| jobs.get(id)) {
            Some(job) => {
                let mut row = job.clone();
                row.remove("password");
                row.insert(if kind == "remote" { "name" } else { "id" }.to_owned(), id.into());
                Ok(row.into())
            }
            None => no(format!("no such {kind} job '{id}'")),
        }
    }

    fn change_section(
        &mut self,
        method: &str,
        kind: &'static str,
        key: Option<&str>,
        call: &Call<'_>,
    ) -> Answered {
        let name = if kind == "remote" { "name" } else { "id" };
        let (right, at) =
            if kind == "remote" { ("Remote.Modify", "remote") } else { ("Datastore.Modify", "datastore") };
        self.may(call, &[at], right)?;
        let id = call.text(key.unwrap_or(name));
        let jobs = self.sections.entry(kind).or_default();
        match (method, jobs.contains_key(&id)) {
            ("POST", true) => no(format!("{kind} job '{id}' already exists.")),
            ("POST", false) => {
                jobs.insert(id, fields(call, &[name]));
                Ok(Value::Null)
            }
            (_, false) => no(format!("{kind} job '{id}' does not exist.")),
            ("PUT", true) => {
                if let Some(job) = jobs.get_mut(&id) {
                    set(job, call, &[name]);
                }
                Ok(Value::Null)
            }
            (_, true) => {
                jobs.remove(&id);
                Ok(Value::Null)
            }
        }
    }
}

fn gone() -> Refusal {
    Refusal(400, "it does not exist any more".to_owned())
}
