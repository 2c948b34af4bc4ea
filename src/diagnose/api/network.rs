//! How a node is connected, as it is configured and as PVE sees it run.

use serde_json::Value;

use super::super::{Gathered, Page};
use super::{Fields, rows};

pub fn dns(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let dns = gathered.answer("node_dns")?;
    let servers: Vec<&str> = ["dns1", "dns2", "dns3"]
        .iter()
        .map(|key| dns.text(key))
        .filter(|server| !server.is_empty())
        .collect();
    page.fact(servers.join(", "));
    if servers.is_empty() {
        page.flag("no_resolver", "it has no DNS server configured", "by /nodes/{node}/dns");
    } else {
        page.cannot_tell("whether its DNS servers and its gateway answer: PVE has no call that asks them");
    }
    Ok(())
}

pub fn interfaces(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let rows = rows(gathered.answer("node_network")?)?;
    let gateways: Vec<&str> = rows
        .iter()
        .flat_map(|row| [row.text("gateway"), row.text("gateway6")])
        .filter(|gateway| !gateway.is_empty())
        .collect();
    page.fact(format!("gateway {}", gateways.join(", ")));
    let takes_one = |row: &Value| {
        [row.text("method"), row.text("method6")].iter().any(|method| matches!(*method, "dhcp" | "auto"))
    };
    if gateways.is_empty() && !rows.iter().any(takes_one) {
        page.flag(
            "no_gateway",
            "it has no gateway configured",
            format!("{} interfaces, none with one", rows.len()),
        );
    }
    for row in
        rows.iter().filter(|row| row.flag("autostart") == Some(true) && row.flag("active") != Some(true))
    {
        let (name, kind) = (row.text("iface"), row.text("type"));
        // An alias, and what a bridge or bond takes up by itself, are never called active.
        if matches!(kind, "bridge" | "bond" | "vlan" | "OVSBridge" | "OVSBond") {
            page.flag(
                "interface_down",
                format!("{kind} {name} is not up"),
                "autostart 1, not active, by PVE",
            );
        }
    }
    Ok(())
}
