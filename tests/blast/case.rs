//! One case: its estate as files, the call, and what is expected of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use provost::catalog::{Catalog, Method};
use provost::estate::{Index, Tree, refresh};
use provost::plan::blast::{Door, Peer, View};
use provost::plan::eyes::Seen;
use provost::plan::{Guest, Observed, Request, radius};
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// "hit: …", "miss: …" or "trap: …".
    name: String,
    /// `DELETE /storage/nas`
    call: String,
    #[serde(default)]
    args: Map<String, Value>,
    /// Laid over `base/`, by their names under /etc/pve.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// Of `base/`, what is not there.
    #[serde(default)]
    without: Vec<String>,
    /// The guests that run. The others are stopped; "?" alone: nobody could tell.
    #[serde(default)]
    running: Vec<Value>,
    /// `ssh 192.0.2.1 198.51.100.7`: the door, the node's address, whose.
    #[serde(default)]
    peers: Vec<String>,
    /// JSON, by the name that the rule gives it; `!why` is one that could not be had.
    #[serde(default)]
    answers: BTreeMap<String, String>,
    /// JSON: what the call's own GET shows, where that is not a guest's configuration.
    subject: Option<String>,
    /// `object severity: why`, in the order of a plan: the worst first, then by object.
    radius: Vec<String>,
    #[serde(default)]
    not_seen: Vec<String>,
}

impl Cases {
    /// Runs them all, and gives what is not as expected.
    pub fn failures(&self, catalog: &Catalog) -> Vec<String> {
        let failures = self.case.iter().filter_map(|case| {
            let (radius, not_seen) = case.outcome(catalog);
            let same = radius == case.radius && not_seen == case.not_seen;
            let list = |lines: &[String]| lines.iter().map(|line| format!("    {line:?},\n")).collect::<String>();
            (!same).then(|| {
                format!(
                    "{}\nradius = [\n{}]\nnot_seen = [\n{}]\nexpected radius = [\n{}]\nexpected not_seen = [\n{}]\n",
                    case.name,
                    list(&radius),
                    list(&not_seen),
                    list(&case.radius),
                    list(&case.not_seen),
                )
            })
        });
        failures.collect()
    }

    pub fn len(&self) -> usize {
        self.case.len()
    }

    /// Whether hit, miss and trap are there.
    pub fn kinds(&self) -> [bool; 3] {
        ["hit: ", "miss: ", "trap: "].map(|kind| self.case.iter().any(|case| case.name.starts_with(kind)))
    }
}

impl Case {
    fn outcome(&self, catalog: &Catalog) -> (Vec<String>, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/blast/base");
        copy(&base, dir.path());
        for (file, text) in &self.files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        self.without.iter().for_each(|file| fs::remove_file(dir.path().join(file)).unwrap());
        let index = refresh(&Tree::new(dir.path()), None);
        let (method, path) = self.call.split_once(' ').unwrap();
        let request =
            Request::of(catalog, Method::from_name(method).unwrap(), path, self.args.clone(), Vec::new());
        let request = request.unwrap_or_else(|refused| panic!("{}: {refused}", self.name));
        let observed = self.observed(&request, &index, dir.path());
        let mut view = View {
            status: self.status(&index),
            node: Some("pve1".into()),
            tokens: vec!["provost@pve!agent".into()],
            peers: self.peers.iter().map(|text| peer(text)).collect(),
            estate: Some(index),
            ..View::default()
        };
        self.answers.iter().for_each(|(name, text)| view.put(name.clone().leak(), seen(text)));
        let found = radius(catalog, &request, &observed, &view);
        let said = |hit: &provost::plan::blast::Hit| {
            let severity = serde_json::to_value(hit.severity).unwrap();
            format!("{} {}: {}", hit.object, severity.as_str().unwrap(), hit.why)
        };
        (found.hits.iter().map(said).collect(), found.not_seen)
    }

    fn status(&self, index: &Index) -> Option<BTreeMap<u32, String>> {
        if self.running.iter().any(|one| one == "?") {
            return None;
        }
        let runs = |vmid: u32| self.running.iter().any(|one| *one == vmid);
        let word = |vmid| if runs(vmid) { "running" } else { "stopped" };
        Some(index.guests().map(|guest| (guest.vmid, word(guest.vmid).to_owned())).collect())
    }

    /// As the API would show it: a guest by its file's current section.
    fn observed(&self, request: &Request, index: &Index, root: &Path) -> Observed {
        let guest = request.guest().zip(request.kind()).map(|(vmid, kind)| {
            let held = index.guest(vmid).next().unwrap_or_else(|| panic!("{}: no guest {vmid}", self.name));
            let config =
                fs::read_to_string(root.join(provost::estate::guest::file(held.kind, &held.node, vmid)));
            let config = config.unwrap();
            let lines = config
                .lines()
                .take_while(|line| !line.starts_with('['))
                .filter(|line| !line.starts_with('#'));
            let pairs = lines.filter_map(|line| line.split_once(':'));
            let config: Map<String, Value> =
                pairs.map(|(key, value)| (key.to_owned(), value.trim().into())).collect();
            let resource = index.cluster().resources.iter().find(|one| one.vmid == vmid);
            let status = self.status(index).and_then(|all| all.get(&vmid).cloned());
            Guest {
                vmid,
                kind,
                node: held.node.to_string(),
                name: String::new(),
                status: status.unwrap_or_else(|| "unknown".into()),
                lock: None,
                ha: resource.map(|one| one.state.to_string()),
                config,
            }
        });
        let shows_guest =
            request.template().ends_with("/{vmid}/config") || request.template().ends_with("/unlink");
        let subject = match (&self.subject, &guest) {
            (Some(text), _) => Some(seen(text)),
            (None, Some(guest)) if shows_guest => Some(Seen::There(Value::Object(guest.config.clone()))),
            _ => None,
        };
        let new = ["/nodes/{node}/lxc", "/nodes/{node}/qemu"].contains(&request.template());
        let taken = request.text("vmid").filter(|_| new).and_then(|vmid| vmid.parse().ok());
        let taken = taken.filter(|vmid| index.guest(*vmid).next().is_some());
        Observed { subject, digest: None, guest, taken }
    }
}

fn seen(text: &str) -> Seen {
    match text.strip_prefix('!') {
        Some(why) => Seen::Hidden(why.to_owned()),
        None => Seen::There(serde_json::from_str(text).unwrap()),
    }
}

fn peer(text: &str) -> Peer {
    let words: Vec<&str> = text.split_whitespace().collect();
    let door = if words[0] == "ssh" { Door::Ssh } else { Door::Web };
    Peer { door, local: words[1].parse().unwrap(), from: words[2].parse().unwrap() }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap();
        }
    }
}
