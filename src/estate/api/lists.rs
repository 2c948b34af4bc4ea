//! The cluster's own files out of the API's lists.

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Api, Fetch, line, malformed};
use crate::estate::finding::What;
use crate::estate::source::Unread;

/// Files that are one list: `(file, path, what names a row, what its type is, or else the type of all)`.
const LISTS: &[(&str, &str, &str, &str)] = &[
    ("storage.cfg", "/storage", "storage", "type"),
    ("jobs.cfg", "/cluster/backup", "id", "vzdump"),
    ("replication.cfg", "/cluster/replication", "id", "type"),
    ("ha/resources.cfg", "/cluster/ha/resources", "sid", "type"),
    ("ha/groups.cfg", "/cluster/ha/groups", "group", "group"),
    ("ha/rules.cfg", "/cluster/ha/rules", "rule", "type"),
    ("sdn/zones.cfg", "/cluster/sdn/zones", "zone", "type"),
    ("sdn/vnets.cfg", "/cluster/sdn/vnets", "vnet", "vnet"),
    ("sdn/controllers.cfg", "/cluster/sdn/controllers", "controller", "type"),
    ("mapping/pci.cfg", "/cluster/mapping/pci", "id", ""),
    ("mapping/usb.cfg", "/cluster/mapping/usb", "id", ""),
    ("mapping/directory.cfg", "/cluster/mapping/dir", "id", ""),
];

impl<F: Fetch> Api<F> {
    pub(super) fn file(&self, file: &str) -> Result<Zeroizing<String>, Unread> {
        if let Some((_, path, name, kind)) = LISTS.iter().find(|(name, ..)| *name == file) {
            let rows = match self.rows(path) {
                // PVE 9, in words of a 500: there are none.
                Err(Unread::Because(What::Failed(why)))
                    if file == "ha/groups.cfg" && why.contains("migrated") =>
                {
                    return Err(Unread::Absent);
                }
                rows => rows?,
            };
            return sections(&rows, name, kind);
        }
        match file {
            ".members" => self.members(),
            "datacenter.cfg" => self.options(),
            "user.cfg" => self.access(),
            "sdn/subnets.cfg" => self.subnets(),
            "firewall/cluster.fw" => self.firewall(),
            _ => Err(Unread::Absent),
        }
    }

    fn members(&self) -> Result<Zeroizing<String>, Unread> {
        let rows = self.rows("/cluster/status")?;
        let of = |kind| rows.iter().filter(move |row| row["type"] == kind);
        let local = of("node").find(|row| row["local"] == 1).or_else(|| of("node").next());
        let mut file = json!({ "nodename": local.map_or(&Value::Null, |row| &row["name"]) });
        if let Some(cluster) = of("cluster").next() {
            let quorate = u8::from(cluster["quorate"] == 1);
            file["cluster"] = json!({ "name": cluster["name"], "quorate": quorate });
        }
        for row in of("node") {
            let name = row["name"].as_str().ok_or_else(|| malformed("/cluster/status"))?;
            file["nodelist"][name] = json!({ "online": u8::from(row["online"] == 1), "ip": row["ip"] });
        }
        Ok(Zeroizing::new(file.to_string()))
    }

    fn options(&self) -> Result<Zeroizing<String>, Unread> {
        let options = self.fetch.get("/cluster/options")?;
        let mut text = Zeroizing::new(String::new());
        for (key, value) in options.as_object().ok_or_else(|| malformed("/cluster/options"))? {
            // Objects stand there where the file has a property string; nothing depends on what is in them.
            if key != "description" && !value.is_object() && !value.is_array() {
                line(&mut text, "", key, ": ", value)?;
            }
        }
        Ok(text)
    }

    fn subnets(&self) -> Result<Zeroizing<String>, Unread> {
        let mut rows = Vec::new();
        for vnet in self.rows("/cluster/sdn/vnets")? {
            let id = vnet["vnet"].as_str().ok_or_else(|| malformed("/cluster/sdn/vnets"))?;
            rows.extend(self.rows(&format!("/cluster/sdn/vnets/{id}/subnets"))?);
        }
        sections(&rows, "subnet", "subnet")
    }

    /// Users, tokens, groups, roles, pools and access lists, each field checked for what would end it.
    fn access(&self) -> Result<Zeroizing<String>, Unread> {
        let mut text = Zeroizing::new(String::new());
        let mut put = |kind: &str, fields: &[&str]| {
            let bad = |field: &&str| field.contains([':', '\n', '\r']);
            if fields.iter().any(bad) {
                return Err(malformed("an entry of access"));
            }
            text.push_str(&format!("{kind}:{}:\n", fields.join(":")));
            Ok(())
        };
        let word = |row: &Value, key: &str| match &row[key] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        for user in self.rows("/access/users?full=1")? {
            let id = word(&user, "userid");
            let enabled = if user.get("enable").is_none_or(|enable| *enable == 1) { "1" } else { "0" };
            put("user", &[&id, enabled, &word(&user, "expire")])?;
            for token in user["tokens"].as_array().into_iter().flatten() {
                let name = format!("{id}!{}", word(token, "tokenid"));
                let separate = if word(token, "privsep") == "0" { "0" } else { "1" };
                put("token", &[&name, &word(token, "expire"), separate])?;
            }
        }
        for group in self.rows("/access/groups")? {
            put("group", &[&word(&group, "groupid"), &word(&group, "users")])?;
        }
        for role in self.rows("/access/roles")?.iter().filter(|role| role["special"] != 1) {
            put("role", &[&word(role, "roleid"), &word(role, "privs")])?;
        }
        let resources = self.rows("/cluster/resources")?;
        for pool in self.rows("/pools")? {
            let id = word(&pool, "poolid");
            let held = |key: &str| -> String {
                let rows = resources.iter().filter(|row| row["pool"] == id.as_str());
                rows.map(|row| word(row, key)).filter(|name| !name.is_empty()).collect::<Vec<_>>().join(",")
            };
            put("pool", &[&id, "", &held("vmid"), &held("storage")])?;
        }
        for acl in self.rows("/access/acl")? {
            let at = if acl["type"] == "group" { "@" } else { "" };
            let who = format!("{at}{}", word(&acl, "ugid"));
            let propagate = if word(&acl, "propagate") == "0" { "0" } else { "1" };
            put("acl", &[propagate, &word(&acl, "path"), &who, &word(&acl, "roleid")])?;
        }
        Ok(text)
    }

    fn firewall(&self) -> Result<Zeroizing<String>, Unread> {
        let at = "/cluster/firewall";
        let mut text = Zeroizing::new("[OPTIONS]\n".to_owned());
        let options = self.fetch.get(&format!("{at}/options"))?;
        for (key, value) in options.as_object().ok_or_else(|| malformed("options"))? {
            if key != "digest" {
                line(&mut text, "", key, ": ", value)?;
            }
        }
        let name = |row: &Value, key: &str| -> Result<String, Unread> {
            let name = row[key]
                .as_str()
                .filter(|name| !name.contains(|c: char| c.is_whitespace() || c.is_control()));
            name.map(str::to_owned).ok_or_else(|| malformed(key))
        };
        text.push_str("[ALIASES]\n");
        for row in self.rows(&format!("{at}/aliases"))? {
            text.push_str(&format!("{} {}\n", name(&row, "name")?, name(&row, "cidr")?));
        }
        for row in self.rows(&format!("{at}/ipset"))? {
            let set = name(&row, "name")?;
            text.push_str(&format!("[IPSET {set}]\n"));
            for member in self.rows(&format!("{at}/ipset/{set}"))? {
                let not = if member["nomatch"] == 1 { "!" } else { "" };
                text.push_str(&format!("{not}{}\n", name(&member, "cidr")?));
            }
        }
        text.push_str("[RULES]\n");
        self.rows(&format!("{at}/rules"))?.iter().try_for_each(|row| rule(&mut text, row))?;
        for row in self.rows(&format!("{at}/groups"))? {
            let group = name(&row, "group")?;
            text.push_str(&format!("[group {group}]\n"));
            self.rows(&format!("{at}/groups/{group}"))?.iter().try_for_each(|row| rule(&mut text, row))?;
        }
        Ok(text)
    }
}

fn rule(text: &mut String, row: &Value) -> Result<(), Unread> {
    let word = |key: &str| row[key].as_str().unwrap_or_default();
    let action = if word("macro").is_empty() {
        word("action").into()
    } else {
        format!("{}({})", word("macro"), word("action"))
    };
    let off = if row["enable"] == 0 { "|" } else { "" };
    let mut line = format!("{off}{} {action}", word("type").to_uppercase());
    for (key, flag) in [
        ("iface", "i"),
        ("source", "source"),
        ("dest", "dest"),
        ("proto", "p"),
        ("dport", "dport"),
        ("sport", "sport"),
    ] {
        if !word(key).is_empty() {
            line.push_str(&format!(" -{flag} {}", word(key).replace(' ', "")));
        }
    }
    if line.contains(['\n', '\r', '#']) {
        return Err(malformed("a rule"));
    }
    text.push_str(&line);
    text.push('\n');
    Ok(())
}

fn sections(rows: &[Value], name: &str, kind: &str) -> Result<Zeroizing<String>, Unread> {
    let mut text = Zeroizing::new(String::new());
    for row in rows {
        let row = row.as_object().ok_or_else(|| malformed(name))?;
        let word = |key: &str| row.get(key).and_then(Value::as_str);
        let id = word(name)
            .filter(|id| !id.is_empty() && !id.contains(|c: char| c.is_whitespace() || c.is_control()));
        let id = id.ok_or_else(|| malformed(name))?;
        let kind = if kind == "type" { word("type").ok_or_else(|| malformed("type"))? } else { kind };
        // HA's ids hold the type.
        let id = id.strip_prefix(&format!("{kind}:")).unwrap_or(id);
        let head = if kind.is_empty() { id.to_owned() } else { format!("{kind}: {id}") };
        text.push_str(&format!("{head}\n"));
        for (key, value) in
            row.iter().filter(|(key, _)| !matches!(key.as_str(), "digest" | "comment" | "type"))
        {
            match value {
                Value::Array(items) if key == "map" => {
                    items.iter().try_for_each(|item| line(&mut text, "\t", key, " ", item))?;
                }
                Value::Array(_) | Value::Object(_) => {}
                value => line(&mut text, "\t", key, " ", value)?,
            }
        }
        text.push('\n');
    }
    Ok(text)
}
