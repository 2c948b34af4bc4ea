//! A guest's configuration out of the API's answers, as its file would have it.

use serde_json::Value;
use zeroize::Zeroizing;

use super::{Api, Fetch, line, malformed};
use crate::estate::finding::{What, shown};
use crate::estate::guest::Kind;
use crate::estate::source::Unread;

/// What is no setting of the guest's, or what nobody depends on and may have lines.
const LEFT_OUT: &[&str] = &["digest", "description", "snapshots"];

impl<F: Fetch> Api<F> {
    pub(super) fn config(&self, node: &str, kind: Kind, vmid: u32) -> Result<Zeroizing<String>, Unread> {
        let guest = format!("/nodes/{node}/{}/{vmid}", kind.name());
        let snapshots = self.rows(&format!("{guest}/snapshot"))?;
        let mut text = Zeroizing::new(String::new());
        // It stands for the present.
        let present = snapshots.iter().find(|row| row["name"] == "current");
        setting(&mut text, "parent", present.map_or(&Value::Null, |row| &row["parent"]))?;
        self.values(&guest, kind, &mut text)?;
        for row in snapshots.iter().filter(|row| row["name"] != "current") {
            self.snapshot(&guest, row, &mut text)?;
        }
        Ok(text)
    }

    /// What is, and what waits for a restart.
    fn values(&self, guest: &str, kind: Kind, text: &mut String) -> Result<(), Unread> {
        let mut pending = Zeroizing::new(String::new());
        for row in self.rows(&format!("{guest}/pending"))? {
            let key = row.get("key").and_then(Value::as_str).ok_or_else(|| malformed("pending"))?;
            if LEFT_OUT.contains(&key) || key == "parent" {
                continue;
            }
            setting(text, key, &row["value"])?;
            setting(&mut pending, key, &row["pending"])?;
            if row.get("delete").is_some_and(|delete| *delete != 0) {
                setting(&mut pending, "delete", &Value::from(key))?;
            }
        }
        if !pending.is_empty() {
            let head = if kind == Kind::Qemu { "PENDING" } else { "pve:pending" };
            text.push_str(&format!("\n[{head}]\n{}", *pending));
        }
        Ok(())
    }

    fn snapshot(&self, guest: &str, row: &Value, text: &mut String) -> Result<(), Unread> {
        let name = row.get("name").and_then(Value::as_str).ok_or_else(|| malformed("snapshot"))?;
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
            return Err(Unread::Because(What::Section(shown(name))));
        }
        text.push_str(&format!("\n[{name}]\n"));
        setting(text, "parent", &row["parent"])?;
        let path = format!("{guest}/snapshot/{name}/config");
        let config = self.fetch.get(&path)?;
        let values = config.as_object().ok_or_else(|| malformed(&path))?;
        let kept = values.iter().filter(|(key, _)| !LEFT_OUT.contains(&key.as_str()) && *key != "parent");
        for (key, value) in kept {
            setting(text, key, value)?;
        }
        Ok(())
    }
}

fn setting(text: &mut String, key: &str, value: &Value) -> Result<(), Unread> {
    // A container's raw settings: `[["lxc.mount.entry", "/srv srv none bind"]]`.
    if let ("lxc", Value::Array(pairs)) = (key, value) {
        for pair in pairs {
            let name = pair.get(0).and_then(Value::as_str).ok_or_else(|| malformed("lxc"))?;
            line(text, "", name, ": ", &pair[1])?;
        }
        return Ok(());
    }
    line(text, "", key, ": ", value)
}
