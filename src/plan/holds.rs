//! What stands against a change whatever policy says: a lock, protection, HA, a thing that is not there or is there
//! already. PVE would refuse most of it; here it is said before anything is begun.

use serde_json::Value;

use super::eyes::Seen;
use super::fields::text;
use super::observe::Observed;
use super::shape::Shape;
use super::{Refused, Request, reach};
use crate::catalog::Method;

/// What is worth knowing and stops nothing.
pub fn holds(request: &Request, shape: &Shape, observed: &Observed) -> Result<Vec<String>, Refused> {
    let endpoint = request.endpoint();
    if endpoint.ends_with("/upload") {
        return Err(Refused::Upload { endpoint });
    }
    is_there(request, shape, observed)?;
    digest(request, observed)?;
    let mut warnings = Vec::new();
    if let Some(id) = observed.taken {
        let may = request.flag("force") && !endpoint.ends_with("/clone");
        match may {
            true => warnings.push(format!("guest {id} exists, and is overwritten")),
            false => return Err(Refused::Exists { what: format!("guest {id}") }),
        }
    }
    let unchecked = request.checked.unchecked().iter();
    warnings.extend(
        unchecked.map(|unchecked| format!("{}: {}: not checked here", unchecked.parameter, unchecked.what)),
    );
    if endpoint == "POST /access/users/{userid}/token/{tokenid}" || request.flag("regenerate") {
        warnings.push("the token's secret is in PVE's answer, and Provost shows and records no secret: make the token at a terminal if you need it".to_owned());
    }
    if let Some(guest) = &observed.guest {
        guest_holds(request, guest, &mut warnings)?;
    }
    Ok(warnings)
}

fn is_there(request: &Request, shape: &Shape, observed: &Observed) -> Result<(), Refused> {
    let what = request.path().to_owned();
    match (shape, &observed.subject) {
        (Shape::Create { key, .. }, Some(Seen::There(_))) if !request.args.contains_key("rename") => {
            Err(Refused::Exists { what: format!("{key} {}", request.text(key).unwrap_or_default()) })
        }
        (Shape::Create { .. }, _) => Ok(()),
        (_, Some(Seen::Missing(why))) => Err(Refused::NoSuchThing { what, why: why.clone() }),
        // One pool of that name, or none.
        (_, Some(Seen::There(Value::Array(rows)))) if request.template() == "/pools" && rows.is_empty() => {
            Err(Refused::NoSuchThing { what, why: "there is no such pool".to_owned() })
        }
        _ => Ok(()),
    }
}

fn digest(request: &Request, observed: &Observed) -> Result<(), Refused> {
    match (request.text("digest"), &observed.digest) {
        (Some(given), Some(now)) if given != *now => {
            Err(Refused::Stale { given: request_shown(&given), now: now.clone() })
        }
        _ => Ok(()),
    }
}

fn request_shown(text: &str) -> String {
    super::request::shown(text)
}

fn guest_holds(request: &Request, guest: &super::Guest, warnings: &mut Vec<String>) -> Result<(), Refused> {
    let template = request.template();
    let vmid = guest.vmid;
    let held = |why: &str| Err(Refused::Held { vmid, why: why.to_owned() });
    if !template.contains("/firewall/") {
        lock(request, guest)?;
    }
    let removes = request.method() == Method::Delete && template.ends_with("/{vmid}");
    if removes {
        if guest.is("protection") {
            return held("its protection is on");
        }
        if guest.is_running() && !(guest.kind == "lxc" && request.flag("force")) {
            return held("it runs: PVE removes only what is stopped");
        }
        if guest.ha.is_some() && !request.flag("purge") {
            return held("HA keeps it: PVE removes it only with purge");
        }
    }
    let is_disk = |key: &str| {
        ["rootfs", "mp", "scsi", "virtio", "ide", "sata", "cdrom"]
            .iter()
            .any(|family| key.starts_with(family))
    };
    // Another volume in its place takes it, too.
    let exchanges = |key: &String, value: &Value| {
        let volume = |value: &Value| {
            let value = text(value);
            let first = value.split(',').next().unwrap_or_default();
            first.trim_start_matches("file=").trim_start_matches("volume=").to_owned()
        };
        is_disk(key) && guest.config.get(key).is_some_and(|before| volume(before) != volume(value))
    };
    let takes_disk = template.ends_with("/config")
        && (super::effects::listed(request, "delete").iter().any(|key| is_disk(key))
            || request.args.iter().any(|(key, value)| exchanges(key, value)));
    if guest.is("protection") && (takes_disk || template.ends_with("/rollback")) {
        return held("its protection is on");
    }
    if guest.is("template") && ["/status/start", "/snapshot"].iter().any(|leaf| template.ends_with(leaf)) {
        return held("it is a template");
    }
    if let Some(ha) = &guest.ha
        && (template.contains("/status/") || template.ends_with("/migrate"))
    {
        warnings.push(format!(
            "HA keeps this guest (state {ha}): PVE hands the call to HA, which does it in its own time"
        ));
    }
    if guest.is_running() && template.ends_with("/{vmid}/config") {
        warnings.push(
            "it runs: what cannot change while it does waits as pending until it is restarted".to_owned(),
        );
    }
    Ok(())
}

fn lock(request: &Request, guest: &super::Guest) -> Result<(), Refused> {
    let Some(lock) = &guest.lock else { return Ok(()) };
    let frees = super::effects::listed(request, "delete").iter().any(|name| name == "lock");
    let wakes = lock == "suspended"
        && ["/status/start", "/status/resume"].iter().any(|leaf| request.template().ends_with(leaf));
    if request.flag("skiplock") || frees || wakes {
        return Ok(());
    }
    Err(Refused::Locked { vmid: guest.vmid, lock: reach::listed(lock).collect::<Vec<_>>().join(" ") })
}
