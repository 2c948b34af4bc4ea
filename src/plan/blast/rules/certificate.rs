//! Another certificate for a node's web interface: whoever pins the old one is cut off, the agent first.

use serde_json::Value;

use super::network::connection;
use super::{Get, Need, Rule};
use crate::plan::blast::look::and;
use crate::plan::blast::{Door, Found, Look, Severity};
use crate::plan::fields::text;

const CONFIG: &str = "the node's own settings";

const SET: Need = Need::Get(Get { name: CONFIG, template: "/nodes/{node}/config", with: &[] });

pub const RULES: &[Rule] = &[
    Rule {
        calls: &[
            "POST /nodes/{node}/certificates/custom",
            "DELETE /nodes/{node}/certificates/custom",
            "POST /nodes/{node}/certificates/acme/certificate",
            "PUT /nodes/{node}/certificates/acme/certificate",
            "DELETE /nodes/{node}/certificates/acme/certificate",
        ],
        needs: &[Need::Peers],
        checks: &[exchanged],
    },
    Rule { calls: &["DELETE /cluster/acme/account/{name}"], needs: &[SET], checks: &[account_removed] },
    Rule {
        calls: &["DELETE /cluster/acme/plugins/{id}", "PUT /cluster/acme/plugins/{id}"],
        needs: &[SET],
        checks: &[plugin_lost],
    },
];

fn exchanged(look: &Look<'_>, found: &mut Found) {
    let Some(node) = look.text("node") else { return };
    // Only a certificate that is put there by hand may wait.
    let waits = look.request().template().ends_with("/custom") && !look.flag("restart");
    let when = if waits { "once its web interface is next restarted" } else { "at once" };
    let what = match look.request().method() {
        crate::catalog::Method::Delete => "shows the certificate of the cluster's own authority",
        _ => "shows another certificate",
    };
    let why = format!("{node} {what} {when}: whoever pins the old one by its fingerprint is cut off");
    found.hit(format!("node/{node}"), Severity::Unreachable, why);
    if look.view.node.as_ref() != Some(&node) {
        return;
    }
    for token in &look.view.tokens {
        let why = format!(
            "the agent pins {node}'s certificate, and {when} it is cut off from the API until it has read the new one"
        );
        found.hit(format!("agent {token}"), Severity::Unreachable, why);
    }
    for peer in look.view.peers.iter().filter(|peer| peer.door == Door::Web && !waits) {
        let why = format!(
            "the web interface restarts, and the browser or program at {} has to trust the new certificate",
            peer.from
        );
        found.hit(connection(peer), Severity::Degraded, why);
    }
}

/// `acme`, `acmedomain0`: what the node orders its certificates by.
fn orders(look: &Look<'_>) -> Vec<(String, String)> {
    let settings = look.answer(CONFIG).and_then(Value::as_object);
    let own = settings.into_iter().flatten().filter(|(key, _)| key.starts_with("acme"));
    own.map(|(key, value)| (key.clone(), text(value))).collect()
}

fn part<'a>(value: &'a str, key: &str) -> Option<&'a str> {
    crate::estate::property::get(value, key)
}

fn elsewhere(look: &Look<'_>, found: &mut Found) {
    let other = |node: &&String| look.view.node.as_ref() != Some(*node);
    let nodes: Vec<String> = look.estate.nodes().iter().map(ToString::to_string).collect();
    let others: Vec<String> = nodes.iter().filter(other).cloned().collect();
    if !others.is_empty() {
        found.unseen(format!("by what {} renew their certificates", and(&others)));
    }
}

fn account_removed(look: &Look<'_>, found: &mut Found) {
    let (Some(name), Some(node)) = (look.text("name"), &look.view.node) else { return };
    let orders = orders(look);
    let acme = orders.iter().find(|(key, _)| key == "acme").map(|(_, value)| value.as_str());
    // A node that orders certificates and names no account has the one that is called "default".
    let uses = acme.map(|value| part(value, "account").unwrap_or("default"));
    let uses = uses.or((!orders.is_empty()).then_some("default"));
    if uses == Some(name.as_str()) {
        let why = format!("its certificate is renewed by the account {name}, and runs out without it");
        found.hit(format!("node/{node}"), Severity::Degraded, why);
    }
    elsewhere(look, found);
}

fn plugin_lost(look: &Look<'_>, found: &mut Found) {
    let (Some(id), Some(node)) = (look.text("id"), &look.view.node) else { return };
    if look.request().method() == crate::catalog::Method::Put && !look.flag("disable") {
        return;
    }
    let domains: Vec<String> = orders(look)
        .iter()
        .filter(|(_, value)| part(value, "plugin") == Some(id.as_str()))
        .map(|(_, value)| part(value, "domain").or(value.split(',').next()).unwrap_or_default().to_owned())
        .collect();
    if !domains.is_empty() {
        let why =
            format!("its certificate for {} is renewed by {id}, and runs out without it", and(&domains));
        found.hit(format!("node/{node}"), Severity::Degraded, why);
    }
    elsewhere(look, found);
}
