//! Firewalls: the cluster's, the nodes', the guests' and the virtual networks', with one set of methods for all.

mod rules;
mod sets;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::catalog::Kind;
use crate::catalog::Method::{self, Delete, Get, Post, Put};
use crate::sim::answer::{Refusal, Reply};
use crate::sim::api::sections::as_kind;
use crate::sim::call::Call;
use crate::sim::estate::digest;
use crate::sim::estate::firewall::{Firewall, shown_digest};
use crate::sim::route::Row;

use rules::{
    change_rule, create_group, create_rule, groups, remove_group, remove_rule, rule, rules as list_rules,
};
use sets::{
    add_member, alias, aliases, change_alias, change_member, create_alias, create_set, member, remove_alias,
    remove_member, remove_set, set, sets as list_sets,
};

macro_rules! table {
    ($($row:expr,)* ; aliased $($aliased:literal)* ; guarded $($guarded:literal)*) => {
        &[
            $($row,)*
            $(
                (Get, concat!($aliased, "/aliases"), aliases),
                (Post, concat!($aliased, "/aliases"), create_alias),
                (Get, concat!($aliased, "/aliases/{name}"), alias),
                (Put, concat!($aliased, "/aliases/{name}"), change_alias),
                (Delete, concat!($aliased, "/aliases/{name}"), remove_alias),
                (Get, concat!($aliased, "/ipset"), list_sets),
                (Post, concat!($aliased, "/ipset"), create_set),
                (Get, concat!($aliased, "/ipset/{name}"), set),
                (Post, concat!($aliased, "/ipset/{name}"), add_member),
                (Delete, concat!($aliased, "/ipset/{name}"), remove_set),
                (Get, concat!($aliased, "/ipset/{name}/{cidr}"), member),
                (Put, concat!($aliased, "/ipset/{name}/{cidr}"), change_member),
                (Delete, concat!($aliased, "/ipset/{name}/{cidr}"), remove_member),
                (Get, concat!($aliased, "/refs"), refs),
            )*
            $(
                (Get, concat!($guarded, "/options"), options),
                (Put, concat!($guarded, "/options"), set_options),
                (Get, concat!($guarded, "/rules"), list_rules),
                (Post, concat!($guarded, "/rules"), create_rule),
                (Get, concat!($guarded, "/rules/{pos}"), rule),
                (Put, concat!($guarded, "/rules/{pos}"), change_rule),
                (Delete, concat!($guarded, "/rules/{pos}"), remove_rule),
            )*
        ]
    };
}

pub const TABLE: &[Row] = table![
    (Get, "/cluster/firewall/macros", macros),
    (Get, "/cluster/firewall/groups", groups),
    (Post, "/cluster/firewall/groups", create_group),
    (Get, "/cluster/firewall/groups/{group}", list_rules),
    (Post, "/cluster/firewall/groups/{group}", create_rule),
    (Delete, "/cluster/firewall/groups/{group}", remove_group),
    (Get, "/cluster/firewall/groups/{group}/{pos}", rule),
    (Put, "/cluster/firewall/groups/{group}/{pos}", change_rule),
    (Delete, "/cluster/firewall/groups/{group}/{pos}", remove_rule),
    (Get, "/nodes/{node}/firewall/log", log),
    (Get, "/nodes/{node}/qemu/{vmid}/firewall/log", log),
    (Get, "/nodes/{node}/lxc/{vmid}/firewall/log", log),
    ;
    aliased "/cluster/firewall" "/nodes/{node}/qemu/{vmid}/firewall" "/nodes/{node}/lxc/{vmid}/firewall" ;
    guarded "/cluster/firewall" "/nodes/{node}/firewall" "/nodes/{node}/qemu/{vmid}/firewall"
        "/nodes/{node}/lxc/{vmid}/firewall" "/cluster/sdn/vnets/{vnet}/firewall"
];

/// Macros by name and what they are for: a part of PVE's.
const MACROS: &[(&str, &str)] = &[
    ("BGP", "Border Gateway Protocol traffic"),
    ("DNS", "Domain Name System traffic (upd and tcp)"),
    ("FTP", "File Transfer Protocol"),
    ("HTTP", "Hypertext Transfer Protocol (WWW)"),
    ("HTTPS", "Hypertext Transfer Protocol (WWW) over SSL"),
    ("IMAP", "Internet Message Access Protocol"),
    ("LDAP", "Lightweight Directory Access Protocol traffic"),
    ("MySQL", "MySQL server"),
    ("NTP", "Network Time Protocol (ntpd)"),
    ("Ping", "ICMP echo request"),
    ("PostgreSQL", "PostgreSQL server"),
    ("RDP", "Microsoft Remote Desktop Protocol traffic"),
    ("SMTP", "Simple Mail Transfer Protocol"),
    ("SNMP", "Simple Network Management Protocol"),
    ("SSH", "Secure shell traffic"),
    ("Syslog", "Syslog protocol (RFC 5424) traffic"),
];

/// The others, which a rule may name and this cluster does not explain.
const OTHER_MACROS: &str = "Amanda Auth BitTorrent BitTorrent32 Ceph Citrix CVS DAAP DCC DHCPfwd Distcc Finger Git \
    GNUnet GRE HKP ICPV2 ICQ IMAPS IPIP IPsec IPsecah IPsecnat IRC Jetdirect L2TP LDAPS Mail \
    MDNS MSNP MSSQL Munin NNTP NNTPS OpenVPN OSPF PCA PMG POP3 POP3S PPtP Printer Razor Rdate \
    RIP RNDC Rsync SANE SixXS SMB SMBswat SMTPS SPAMD SPICEproxy Squid Submission SVN Telnet \
    Telnets TFTP Time Trcrt VNC VNCL Web Webcache Webmin Whois";

/// Whether a rule may name it, in whatever letters.
fn is_macro(name: &str) -> bool {
    let mut known = MACROS.iter().map(|(known, _)| *known).chain(OTHER_MACROS.split(' '));
    known.any(|known| known.eq_ignore_ascii_case(name))
}

fn macros(_: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(MACROS.iter().map(|(name, what)| json!({ "macro": name, "descr": what })).collect::<Value>().into())
}

/// The file of the firewall that the path is about; a guest's only if the guest is there.
fn file(call: &Call<'_>) -> Result<String, Refusal> {
    let path = call.endpoint.path.as_str();
    if path.starts_with("/cluster/firewall") {
        return Ok("firewall/cluster.fw".to_owned());
    }
    if path.starts_with("/cluster/sdn") {
        let vnet = call.need("vnet");
        return match call.estate.sections("sdn/vnets.cfg").find(&vnet) {
            Some(_) => Ok(format!("sdn/firewall/{vnet}.fw")),
            None => Err(Refusal::die(format!("sdn vnet '{vnet}' does not exist"))),
        };
    }
    if path.contains("{vmid}") {
        return Ok(format!("firewall/{}.fw", call.guest()?.vmid));
    }
    Ok(format!("nodes/{}/host.fw", call.node()))
}

fn here<'a>(call: &'a Call<'_>) -> Result<&'a Firewall, Refusal> {
    Ok(call.estate.firewall(&file(call)?))
}

fn here_mut<'a>(call: &'a mut Call<'_>) -> Result<&'a mut Firewall, Refusal> {
    let file = file(call)?;
    Ok(call.estate.firewall_mut(&file))
}

fn log(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    if call.endpoint.path.contains("{vmid}") {
        call.guest()?;
    }
    let lines = json!([{ "n": 1, "t": "unable to open file - No such file or directory" }]);
    Ok(Reply::Lines { lines, total: 1 })
}

/// A value as it is shown, by the schema of the method that sets it.
fn shown(call: &Call<'_>, key: &str, value: &str) -> Value {
    let kind = match key {
        "enable" | "nomatch" => Some(Kind::Boolean),
        _ => {
            let setter = call.shared.endpoint(Method::Put, &call.endpoint.path);
            let parameter = setter.and_then(|endpoint| crate::sim::verify::declared(endpoint, key));
            parameter.map(|parameter| parameter.schema.kind)
        }
    };
    as_kind(kind, value)
}

/// An empty file's digest where nothing is set: nothing was written either.
fn values_digest(values: &BTreeMap<String, String>) -> String {
    if values.is_empty() { digest(b"") } else { shown_digest(values) }
}

fn options(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let options = &here(call)?.options;
    let mut row: Map<String, Value> =
        options.iter().map(|(key, value)| (key.clone(), shown(call, key, value))).collect();
    row.insert("digest".to_owned(), json!(values_digest(options)));
    Ok(Value::Object(row).into())
}

fn set_options(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    call.fresh(&values_digest(&here(call)?.options))?;
    const NOT: &[&str] = &["node", "vmid", "vnet", "delete", "digest"];
    let given: BTreeMap<String, String> = call
        .parameters
        .iter()
        .filter(|(key, _)| !NOT.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let gone = call.list("delete");
    let options = &mut here_mut(call)?.options;
    options.retain(|key, _| !gone.contains(key));
    options.extend(given);
    Ok(Reply::NULL)
}

fn with_comment(mut row: Value, comment: Option<&String>) -> Value {
    if let Some(comment) = comment {
        row["comment"] = json!(comment);
    }
    row
}

/// What rules here can name: this firewall's own, and the cluster's.
fn refs(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let own = file(call)?;
    let mut rows = Vec::new();
    let cluster = "firewall/cluster.fw";
    let mut files = vec![(cluster, "dc")];
    if own != cluster {
        files.push((&own, "guest"));
    }
    let kind = call.get("type");
    for (file, scope) in files {
        let firewall = call.estate.firewall(file);
        if kind.is_none_or(|kind| kind == "alias") {
            rows.extend(firewall.aliases.iter().map(|(name, alias)| {
                let row = json!({ "type": "alias", "name": name, "ref": name, "scope": scope });
                with_comment(row, alias.comment.as_ref())
            }));
        }
        if kind.is_none_or(|kind| kind == "ipset") {
            rows.extend(firewall.sets.iter().map(|(name, set)| {
                let row = json!({ "type": "ipset", "name": name, "ref": format!("+{name}"), "scope": scope });
                with_comment(row, set.comment.as_ref())
            }));
        }
    }
    Ok(Value::Array(rows).into())
}
