//! A guest's configuration out of the API's answers, as its file would have it.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{Api, Fetch, line, malformed};
use crate::estate::finding::What;
use crate::estate::guest::Kind;
use crate::estate::source::Unread;

/// What is no setting of the guest's, or what nobody depends on and may have lines.
const LEFT_OUT: &[&str] = &["digest", "description", "snapshots"];

impl<F: Fetch> Api<F> {
    pub(super) fn config(&self, node: &str, kind: Kind, vmid: u32) -> Result<Zeroizing<String>, Unread> {
        let guest = format!("/nodes/{node}/{}/{vmid}", kind.name());
        let mut text = Zeroizing::new(String::new());
        let (mut pending, mut gone) = (String::new(), Vec::new());
        for row in self.rows(&format!("{guest}/pending"))? {
            let key = row.get("key").and_then(Value::as_str).ok_or_else(|| malformed("pending"))?;
            if LEFT_OUT.contains(&key) {
                continue;
            }
            setting(&mut text, key, &row["value"])?;
            setting(&mut pending, key, &row["pending"])?;
            if row.get("delete").is_some_and(|delete| *delete != 0) {
                gone.push(key.to_owned());
            }
        }
        if !pending.is_empty() || !gone.is_empty() {
            let head = if kind == Kind::Qemu { "PENDING" } else { "pve:pending" };
            text.push_str(&format!("\n[{head}]\n"));
            if !gone.is_empty() {
                text.push_str(&format!("delete: {}\n", gone.join(",")));
            }
            text.push_str(&pending);
        }
        for row in self.rows(&format!("{guest}/snapshot"))? {
            let name = row.get("name").and_then(Value::as_str).ok_or_else(|| malformed("snapshot"))?;
            // It stands for the present.
            if name == "current" {
                continue;
            }
            if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
                return Err(Unread::Because(What::Section(crate::estate::finding::shown(name))));
            }
            text.push_str(&format!("\n[{name}]\n"));
            let path = format!("{guest}/snapshot/{}/config", utf8_percent_encode(name, NON_ALPHANUMERIC));
            let config = self.fetch.get(&path)?;
            for (key, value) in config.as_object().ok_or_else(|| malformed(&path))? {
                if !LEFT_OUT.contains(&key.as_str()) {
                    setting(&mut text, key, value)?;
                }
            }
        }
        Ok(text)
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
