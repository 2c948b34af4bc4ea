//! The questions of a battery to the API, side by side.
//!
//! Each is permitted by the role as any read is. In two rounds: what is asked once a node or a storage waits for the list of
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use tokio::task::JoinSet;

use super::told;
use crate::diagnose::battery::Each;
use crate::diagnose::{Answered, Battery, On, Probe, Subject};
use crate::tools::answer::Failure;
use crate::tools::api::Reader;
use crate::tools::guests;

/// How long one answer may take: SMART asks each disk.
const PATIENCE: Duration = Duration::from_secs(8);
/// Questions of one probe: nodes, or storages.
const MOST: usize = 64;
const DAY: u64 = 86_400;

type Answers = BTreeMap<String, Vec<Answered>>;

/// One question.
struct Ask {
    probe: String,
    place: String,
    path: String,
    args: Map<String, Value>,
}

/// The node that the subject is on, and what the API gave for each probe. An error is a subject that is not there, or none of
/// the role's.
pub async fn gather(
    reader: &Arc<Reader>,
    battery: &'static Battery,
    subject: &Subject,
) -> Result<(Option<String>, Answers), Failure> {
    let node = match subject {
        Subject::Lxc(vmid) | Subject::Qemu(vmid) => match guests::locate(reader, *vmid).await {
            Ok(guest) if guest.kind == subject.kind() => Some(guest.node),
            Ok(guest) => {
                let message = format!("guest {vmid} is no {}", subject.kind());
                return Err(Failure::new(
                    "no_such_guest",
                    message,
                    format!("diagnose {}/{vmid}", guest.kind),
                ));
            }
            Err(failure) if failure.denied || failure.kind == "no_such_guest" => return Err(failure),
            // What the API does not tell is missing; the rest may say why.
            Err(failure) => return Ok((None, all_missing(battery, &told(&failure)))),
        },
        Subject::Node(name) => Some(name.clone()),
        Subject::Cluster | Subject::Unit(..) => None,
    };
    let names = |ask: &Probe, storage: &str, on: &str| fill(ask, subject, on, storage);
    let here = node.as_deref().unwrap_or_default();
    let mut answers = Answers::new();
    let first = battery.on(On::Api).filter(|probe| probe.each.is_none()).map(|probe| names(probe, "", here));
    round(reader, first.collect(), &mut answers).await;
    let mut second = Vec::new();
    for probe in battery.on(On::Api) {
        let places = match probe.each {
            None => continue,
            Some(Each::Node) => nodes(&answers),
            Some(Each::Backups) => storages(&answers, here),
            Some(Each::Silent) => silent(&answers, here),
        };
        match places {
            Ok(places) => second.extend(
                places
                    .into_iter()
                    .take(MOST)
                    .map(|(place, node, storage)| Ask { place, ..names(probe, &storage, &node) }),
            ),
            Err(why) => {
                let said = Err(why);
                answers.insert(probe.name.clone(), vec![Answered { place: String::new(), said }]);
            }
        }
    }
    round(reader, second, &mut answers).await;
    Ok((node, answers))
}

fn all_missing(battery: &Battery, why: &str) -> Answers {
    let missing = |probe: &Probe| {
        let answered = Answered { place: String::new(), said: Err(why.to_owned()) };
        (probe.name.clone(), vec![answered])
    };
    battery.on(On::Api).map(missing).collect()
}

fn fill(probe: &Probe, subject: &Subject, node: &str, storage: &str) -> Ask {
    let vmid = subject.guest().map(|vmid| vmid.to_string()).unwrap_or_default();
    let path = probe.get.replace("{node}", node).replace("{vmid}", &vmid);
    let path = path.replace("{storage}", &crate::http::encoded(storage).to_string());
    let yesterday = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        now.saturating_sub(DAY).to_string()
    };
    let value = |value: &String| match value.as_str() {
        "@day" => yesterday(),
        "{vmid}" => vmid.clone(),
        value => value.to_owned(),
    };
    let args = probe.args.iter().map(|(name, given)| (name.clone(), value(given).into())).collect();
    Ask { probe: probe.name.clone(), place: String::new(), path, args }
}

async fn round(reader: &Arc<Reader>, asks: Vec<Ask>, answers: &mut Answers) {
    let mut under_way = JoinSet::new();
    for ask in asks {
        let reader = reader.clone();
        under_way.spawn(async move {
            let said = match tokio::time::timeout(PATIENCE, get(&reader, &ask)).await {
                Ok(said) => said.map_err(|failure| told(&failure)),
                Err(_) => Err(format!("GET {}: no answer within {} s", ask.path, PATIENCE.as_secs())),
            };
            (ask.probe, Answered { place: ask.place, said })
        });
    }
    while let Some(joined) = under_way.join_next().await {
        if let Ok((probe, answered)) = joined {
            answers.entry(probe).or_default().push(answered);
        }
    }
    for answered in answers.values_mut() {
        answered.sort_by(|a, b| a.place.cmp(&b.place));
    }
}

async fn get(reader: &Reader, ask: &Ask) -> Result<Value, Failure> {
    let permitted = reader.permit_path(&ask.path, &ask.args)?;
    Ok(reader.get(&permitted).await?.data::<Value>()?)
}

/// A place's name, its node, and the storage there.
type Place = (String, String, String);

fn list<'a>(answers: &'a Answers, probe: &str) -> Result<&'a Vec<Value>, String> {
    let answered = answers.get(probe).and_then(|answered| answered.first());
    let value = answered.and_then(|answered| answered.said.as_ref().ok());
    value.and_then(Value::as_array).ok_or_else(|| format!("it needs what probe {probe} could not read"))
}

/// The nodes that are online. Those that are not are flagged already.
fn nodes(answers: &Answers) -> Result<Vec<Place>, String> {
    let online = list(answers, "nodes")?.iter().filter(|row| row["status"] == "online");
    let names = online.filter_map(|row| row["node"].as_str());
    Ok(names.map(|name| (name.to_owned(), name.to_owned(), String::new())).collect())
}

fn text(row: &Value, key: &str) -> String {
    row[key].as_str().unwrap_or_default().to_owned()
}

fn is(row: &Value, key: &str) -> bool {
    matches!(&row[key], Value::Number(one) if one.as_i64() == Some(1)) || row[key] == "1" || row[key] == true
}

/// Storages of Backup Servers that are enabled and not reached. Of the cluster's rows, those of nodes that are there.
fn silent(answers: &Answers, here: &str) -> Result<Vec<Place>, String> {
    let online: Vec<String> = nodes(answers).unwrap_or_default().into_iter().map(|(name, ..)| name).collect();
    let places = list(answers, "backup_storages")?.iter().filter_map(|row| {
        let (storage, node) = (text(row, "storage"), text(row, "node"));
        let silent = match node.is_empty() {
            true => text(row, "type") == "pbs" && is(row, "enabled") && !is(row, "active"),
            false => text(row, "plugintype") == "pbs" && row["status"] != "available",
        };
        let there = node.is_empty() || online.contains(&node);
        let node = if node.is_empty() { here.to_owned() } else { node };
        (silent && there).then(|| (format!("{storage} on {node}"), node, storage))
    });
    Ok(places.collect())
}

/// Storages that hold backups and can be read; a shared one once.
fn storages(answers: &Answers, here: &str) -> Result<Vec<Place>, String> {
    let mut seen = BTreeSet::new();
    let mut places = Vec::new();
    for row in list(answers, "backup_storages")? {
        let holds = text(row, "content").split(',').any(|content| content == "backup");
        // As a node lists it, and as the cluster does.
        let there = is(row, "active") || row["status"] == "available";
        if !holds || !there {
            continue;
        }
        let (storage, node) = (text(row, "storage"), text(row, "node"));
        let node = if node.is_empty() { here.to_owned() } else { node };
        if is(row, "shared") && !seen.insert(storage.clone()) {
            continue;
        }
        places.push((format!("{storage} on {node}"), node, storage));
    }
    Ok(places)
}
