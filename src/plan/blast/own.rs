//! What a call does to the very thing that it is made on, by `own.txt`, and to the disks and cards of its guest.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::{Change, Hit, Severity};
use crate::catalog::list;
use crate::catalog::tier::Tier;
use crate::estate::volume::Volume;
use crate::plan::effects::listed;
use crate::plan::fields::{text, truth};
use crate::plan::{Request, fill};
use crate::product::Product;

struct Row {
    endpoint: String,
    when: When,
    /// Only where no rule looked: it would say the same, and more.
    unlooked: bool,
    severity: Severity,
    object: String,
    why: &'static str,
}

enum When {
    Always,
    Running,
    Given(&'static str),
    True(&'static str),
    False(&'static str),
    /// The id that is to be given is a guest's.
    Taken,
}

const TEXT: &str = include_str!("own.txt");

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let lines = TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.flat_map(|line| rows(line).unwrap_or_default()).collect()
});

fn rows(line: &'static str) -> Option<Vec<Row>> {
    let [call, when, severity, object, why]: [&'static str; 5] =
        line.split('|').map(str::trim).collect::<Vec<_>>().try_into().ok()?;
    let kinds: &[&str] = if call.contains("{kind}") { &["lxc", "qemu"] } else { &[""] };
    let (when, unlooked) = match when.strip_suffix(" unlooked") {
        Some(when) => (when, true),
        None => (when, false),
    };
    let row = |kind: &&str| {
        Some(Row {
            unlooked,
            endpoint: call.replace("{kind}", kind),
            when: written(when)?,
            severity: named(severity)?,
            object: object.replace("{kind}", kind),
            why,
        })
    };
    kinds.iter().map(row).collect()
}

fn written(text: &'static str) -> Option<When> {
    Some(match text.split_once(' ') {
        None if text == "always" => When::Always,
        None if text == "running" => When::Running,
        None if text == "taken" => When::Taken,
        Some(("given", name)) => When::Given(name),
        Some(("true", name)) => When::True(name),
        Some(("false", name)) => When::False(name),
        _ => return None,
    })
}

fn named(text: &str) -> Option<Severity> {
    Some(match text {
        "degraded" => Severity::Degraded,
        "loses_backup" => Severity::LosesBackup,
        "loses_access" => Severity::LosesAccess,
        "stops" => Severity::Stops,
        "unreachable" => Severity::Unreachable,
        "wont_boot" => Severity::WontBoot,
        "data_lost" => Severity::DataLost,
        _ => return None,
    })
}

impl When {
    fn holds(&self, change: Change<'_>) -> bool {
        let given = |name: &str| change.request.args.get(name);
        match self {
            When::Always => true,
            // Who cannot tell takes it to run.
            When::Running => change.observed.guest.as_ref().is_none_or(|guest| guest.status != "stopped"),
            When::Taken => change.observed.taken.is_some(),
            When::Given(name) => given(name).is_some(),
            When::True(name) => given(name).is_some_and(|value| truth(value) != Some(false)),
            When::False(name) => given(name).is_some_and(|value| truth(value) != Some(true)),
        }
    }
}

/// `looked`: whether the estate was asked which guests a call on all of them reaches.
pub fn own(change: Change<'_>, looked: bool) -> Vec<Hit> {
    let request = change.request;
    let endpoint = request.endpoint();
    // Its rows are Proxmox VE's: a path of another product's that is called the same takes other arguments.
    let is_ours = |row: &&Row| request.product() == Product::Pve && row.endpoint == endpoint;
    let known: Vec<&Row> = ROWS.iter().filter(is_ours).collect();
    let said = |row: &&Row| {
        (row.when.holds(change) && !(row.unlooked && looked)).then(|| {
            let object = fill(&row.object, request).unwrap_or_else(|| request.path().to_owned());
            let why = fill(row.why, request).unwrap_or_else(|| row.why.to_owned());
            Hit { object, severity: row.severity, why }
        })
    };
    let mut hits: Vec<Hit> = known.iter().filter_map(said).collect();
    if !looked {
        hits.extend(every_guest(request));
    }
    hits.extend(disks(change, looked));
    hits.extend(cards(change));
    // A call that no row knows is named by its tier, unless its effects are all told by disks and cards. Whether it cuts
    // anybody off, whoever looked knows; and who goes by what is only written down.
    if known.is_empty() && disks(change, false).is_empty() {
        let told: &[Tier] = match (looked, is_definition(request.template())) {
            (false, _) => &[],
            (true, false) => &[Tier::Lockout],
            (true, true) => &[Tier::Lockout, Tier::Destructive],
        };
        hits.extend(by_grounds(request, told));
    }
    hits
}

/// Whether a call is about lines of a file: removed, they are kept in the receipt, and cost only those who went by them.
fn is_definition(template: &str) -> bool {
    let places = ["/access/", "/cluster/", "/pools"];
    places.iter().any(|place| template.starts_with(place)) || template.contains("/firewall/")
}

/// What the tier of a call says it can do, but for tiers of which others know more.
pub fn by_grounds(request: &Request, known: &[Tier]) -> Vec<Hit> {
    let grounds = request.judgement.grounds().iter();
    let grounds = grounds.filter(|ground| !known.contains(&ground.tier));
    grounds.filter_map(|ground| by_tier(request, ground.tier, ground.why)).collect()
}

fn by_tier(request: &Request, tier: Tier, why: &'static str) -> Option<Hit> {
    let severity = match tier {
        Tier::Destructive => Severity::DataLost,
        Tier::Lockout => Severity::LosesAccess,
        Tier::Host => Severity::Degraded,
        _ => return None,
    };
    Some(Hit { object: request.path().to_owned(), severity, why: why.to_owned() })
}

/// Of a call that acts on many guests: each of them.
fn every_guest(request: &Request) -> Vec<Hit> {
    let whole = ["stopall", "suspendall", "migrateall"].iter().any(|leaf| request.template().ends_with(leaf))
        || request.endpoint() == "POST /nodes/{node}/status"
        || request.template().starts_with("/cluster/bulk-action/");
    if !whole || request.template().ends_with("/start") {
        return Vec::new();
    }
    let hit = |guest: &u32| Hit {
        object: format!("guest/{guest}"),
        severity: Severity::Stops,
        why: "it is among those that the call acts on; it is away until it is started or has moved"
            .to_owned(),
    };
    request.guests.iter().map(hit).collect()
}

/// Whether a key of a guest's configuration is a disk.
fn is_disk(kind: &str, key: &str) -> bool {
    let family = key.trim_end_matches(|letter: char| letter.is_ascii_digit());
    match kind {
        "lxc" => key == "rootfs" || (family == "mp" && family != key),
        _ => {
            (["ide", "sata", "scsi", "virtio"].contains(&family) && family != key)
                || key == "efidisk0"
                || key == "tpmstate0"
        }
    }
}

fn volume(value: &Value) -> String {
    let value = text(value);
    let first = value.split(',').next().unwrap_or_default();
    first.strip_prefix("volume=").or_else(|| first.strip_prefix("file=")).unwrap_or(first).to_owned()
}

/// The disks that go with the guest, or are taken from it.
fn disks(change: Change<'_>, looked: bool) -> Vec<Hit> {
    let (Some(guest), request) = (&change.observed.guest, change.request) else { return Vec::new() };
    let endpoint = request.endpoint();
    let of = |key: &str, value: &Value, severity, why: String| Hit {
        object: format!("{} {key} ({})", guest.object(), volume(value)),
        severity,
        why,
    };
    if endpoint.starts_with("DELETE ") && endpoint.ends_with("/{vmid}") {
        let owned = guest.config.iter().filter(|(key, value)| {
            (is_disk(guest.kind, key) || key.starts_with("unused")) && is_own(guest.vmid, value)
        });
        return owned
            .map(|(key, value)| {
                of(key, value, Severity::DataLost, "the disk is removed with the guest".to_owned())
            })
            .collect();
    }
    let config = endpoint.ends_with("/{vmid}/config") || endpoint.ends_with("/unlink");
    // The rules know snapshots and other guests that have the same disk.
    if !config || looked {
        return Vec::new();
    }
    let mut hits = Vec::new();
    let mut taken = listed(request, "delete");
    taken.extend(listed(request, "idlist"));
    for key in taken {
        let Some(value) = guest.config.get(&key) else { continue };
        if key.starts_with("unused") || (is_disk(guest.kind, &key) && request.flag("force")) {
            hits.push(of(
                &key,
                value,
                Severity::DataLost,
                "the disk and what is on it are removed".to_owned(),
            ));
        } else if is_disk(guest.kind, &key) {
            hits.push(taken_out(guest.kind, &guest.config, &guest.object(), &key, value));
        }
    }
    let exchanged = request.args.iter().filter(|(key, _)| is_disk(guest.kind, key));
    for (key, new) in exchanged {
        if let Some(old) = guest.config.get(key).filter(|old| volume(old) != volume(new) && !is_medium(old)) {
            hits.push(taken_out(guest.kind, &guest.config, &guest.object(), key, old));
        }
    }
    hits
}

fn is_own(vmid: u32, value: &Value) -> bool {
    Volume::parse(&volume(value)).and_then(|volume| volume.owner()) == Some(vmid)
}

/// A disc in a drive.
fn is_medium(value: &Value) -> bool {
    text(value).split(',').any(|part| part == "media=cdrom")
}

fn taken_out(kind: &str, config: &Map<String, Value>, guest: &str, key: &str, value: &Value) -> Hit {
    let boots = match kind {
        "lxc" => key == "rootfs",
        _ => boots_from(config, key),
    };
    let (severity, why) = match boots {
        true => (Severity::WontBoot, format!("{key} is what it boots from")),
        false => (Severity::Degraded, format!("it loses {key}, which is kept as an unused disk")),
    };
    Hit { object: guest.to_owned(), severity, why: format!("{why} ({})", volume(value)) }
}

/// Whether a machine's boot order names the disk, or says nothing and has no other.
fn boots_from(config: &Map<String, Value>, key: &str) -> bool {
    let order = config.get("boot").map(text).unwrap_or_default();
    match order.split(',').find_map(|part| part.trim().strip_prefix("order=")) {
        Some(order) => list(order).any(|name| name == key),
        None => config.get("bootdisk").map(text).is_none_or(|disk| disk == key),
    }
}

/// Network cards that are taken out or put on another bridge.
fn cards(change: Change<'_>) -> Vec<Hit> {
    let (Some(guest), request) = (&change.observed.guest, change.request) else { return Vec::new() };
    if !request.template().ends_with("/{vmid}/config") {
        return Vec::new();
    }
    let is_card = |key: &str| key.strip_prefix("net").is_some_and(|number| number.parse::<u32>().is_ok());
    let hit = |why: String| Hit { object: guest.object(), severity: Severity::Unreachable, why };
    let gone =
        listed(request, "delete").into_iter().filter(|key| is_card(key) && guest.config.contains_key(key));
    let mut hits: Vec<Hit> = gone.map(|key| hit(format!("it loses its network card {key}"))).collect();
    let mut moved: Vec<&str> = Vec::new();
    for effect in change.effects.iter().filter(|effect| effect.before.is_some()) {
        let Some((key, part)) = effect.field.split_once('.') else { continue };
        let matters =
            ["bridge", "tag", "ip", "ip6", "gw", "gw6", "link_down", "firewall", "trunks"].contains(&part);
        if is_card(key) && matters && !moved.contains(&key) {
            moved.push(key);
            hits.push(hit(format!("{key} is put elsewhere: who reached the guest by it may not any more")));
        }
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Method, Release};

    #[test]
    fn each_line_is_read_and_names_an_endpoint_and_its_parameters() {
        let catalogs = Release::ALL.map(Catalog::embedded);
        for line in TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let rows = rows(line).unwrap_or_else(|| panic!("{line}"));
            for row in rows {
                let (method, path) = row.endpoint.split_once(' ').unwrap();
                let method = Method::from_name(method).unwrap();
                // The newest that has it: it has the most parameters.
                let endpoint = catalogs.iter().rev().find_map(|catalog| catalog.template(method, path));
                let endpoint = endpoint.unwrap_or_else(|| panic!("{}", row.endpoint));
                for text in [row.object.as_str(), row.why] {
                    for name in text.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
                        assert!(endpoint.parameter(name).is_some(), "{}: {name}", row.endpoint);
                    }
                }
                if let When::Given(name) | When::True(name) | When::False(name) = row.when {
                    assert!(endpoint.parameter(name).is_some(), "{}: {name}", row.endpoint);
                }
            }
        }
    }
}
