//! `provost.toml`, edited as a person would: what is not asked for stays as it stands, comments and order with it.

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value, value};

use super::Failed;

/// What a configuration that setup begins says.
pub const BEGINNING: &str = "\
# Provost's configuration. Every key, with its value when absent: man provost.toml, or example.toml among the documents.
# Roles are read again when this file changes; [listen] and [pve] when provostd starts.
";

/// What is to be otherwise.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Change {
    pub role: Option<Role>,
    /// Containers in which commands may run; empty: commands are off.
    pub containers: Option<Vec<String>>,
    /// `[pve] token`
    pub token: Option<String>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Role {
    pub name: String,
    pub profile: Option<String>,
    pub members: Vec<String>,
    pub guests: Vec<String>,
    pub exec: Option<String>,
    pub token: Option<String>,
}

pub fn edit(path: &Path, text: &str, change: &Change) -> Result<String, Failed> {
    let wrong = |why: String| Failed::Wrong(format!("{}: {why}", path.display()));
    let mut document: DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| wrong(error.to_string()))?;
    if let Some(token) = &change.token {
        section(&mut document, "pve").map_err(wrong)?.insert("token", value(token));
    }
    if let Some(containers) = &change.containers {
        let exec = section(&mut document, "exec").map_err(wrong)?;
        set(exec, "enabled", value(!containers.is_empty()));
        if !containers.is_empty() {
            set(exec, "containers", value(guests(containers)));
        }
    }
    if let Some(role) = &change.role {
        set_role(&mut document, role).map_err(wrong)?;
    }
    Ok(document.to_string())
}

fn set_role(document: &mut DocumentMut, role: &Role) -> Result<(), String> {
    let roles = document.entry("role").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    let roles =
        roles.as_array_of_tables_mut().ok_or("roles are not written as [[role]]; write them so first")?;
    let named = |table: &Table| table.get("name").and_then(Item::as_str) == Some(&role.name);
    let at = roles.iter().position(named);
    let at = at.unwrap_or_else(|| {
        let mut table = Table::new();
        table.insert("name", value(&role.name));
        table.insert("members", value(Array::new()));
        roles.push(table);
        roles.len() - 1
    });
    let table = roles.get_mut(at).ok_or("the role is gone")?;
    if !role.members.is_empty() {
        set(table, "members", value(role.members.iter().collect::<Array>()));
    }
    if let Some(profile) = &role.profile {
        set(table, "profile", value(profile));
    }
    if !role.guests.is_empty() {
        set(table, "guests", value(guests(&role.guests)));
    }
    for (key, text) in [("exec", &role.exec), ("token", &role.token)] {
        if let Some(text) = text {
            set(table, key, value(text));
        }
    }
    Ok(())
}

fn section<'a>(document: &'a mut DocumentMut, name: &str) -> Result<&'a mut Table, String> {
    let item = document.entry(name).or_insert(Item::Table(Table::new()));
    item.as_table_mut().ok_or_else(|| format!("[{name}] is not written as a section; write it so first"))
}

/// With the comment that stood beside the value before; one that says the same already stays as it is written.
fn set(table: &mut Table, key: &str, new: Item) {
    let plain = |item: &Item| {
        item.as_value().map(|value| {
            let mut value = value.clone();
            value.decor_mut().clear();
            if let Value::Array(array) = &mut value {
                let bare = array.iter().map(|item| item.clone().decorated("", ""));
                return bare.map(|item| item.to_string()).collect::<Vec<_>>().join(",");
            }
            value.to_string()
        })
    };
    match table.get_mut(key) {
        Some(old) if plain(old) == plain(&new) => {}
        Some(old) => {
            let decor = old.as_value().map(|value| value.decor().clone());
            *old = new;
            if let (Some(decor), Some(value)) = (decor, old.as_value_mut()) {
                *value.decor_mut() = decor;
            }
        }
        None => {
            table.insert(key, new);
        }
    }
}

/// Ids as numbers, all else as texts.
fn guests(words: &[String]) -> Array {
    words
        .iter()
        .map(|word| match word.parse::<i64>() {
            Ok(id) => Value::from(id),
            Err(_) => Value::from(word.as_str()),
        })
        .collect()
}

/// As `diff -u` says it; empty where nothing changes.
pub fn difference(before: &str, after: &str) -> String {
    similar::TextDiff::from_lines(before, after).unified_diff().context_radius(2).to_string()
}

/// In place of what is there, whole or not at all, and as it was owned.
pub fn write(path: &Path, text: &str) -> Result<(), Failed> {
    let failed = |error: std::io::Error| Failed::Wrong(format!("cannot write {}: {error}", path.display()));
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).map_err(failed)?;
    let before = std::fs::metadata(path).ok();
    let mut file = tempfile::Builder::new().prefix(".provost-").tempfile_in(dir).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    if let Some(before) = &before {
        fchown(file.as_file(), Some(before.uid()), Some(before.gid())).map_err(failed)?;
    }
    let mode = before.map_or(0o644, |before| before.mode() & 0o755);
    file.as_file().set_permissions(Permissions::from_mode(mode)).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, change: &Change) -> String {
        let edited = edit(Path::new("x"), text, change).unwrap();
        crate::config::parse(Path::new("x"), &edited).unwrap();
        assert_eq!(edit(Path::new("x"), &edited, change).unwrap(), edited, "twice is once");
        edited
    }

    fn role(name: &str) -> Role {
        Role {
            name: name.into(),
            profile: Some("operate".into()),
            members: vec!["user:alice".into()],
            guests: vec!["101".into(), "pool:dev".into()],
            ..Role::default()
        }
    }

    #[test]
    fn a_role_is_added_and_nothing_else_is_touched() {
        let before = "# mine\n[exec] # off\nenabled = false   # for now\n\n[[role]]\nname = \"a\" # first\nmembers = []\n";
        let after = edited(before, &Change { role: Some(role("b")), ..Change::default() });
        assert!(after.starts_with(before), "{after}");
        assert!(
            after.contains("guests = [101, \"pool:dev\"]") && after.contains("profile = \"operate\""),
            "{after}"
        );
    }

    #[test]
    fn a_role_that_is_there_is_changed_where_it_stands_with_its_comments() {
        let before = "[[role]]\nname = 'a'\nmembers = [\"user:alice\"]  # her\nprofile = 'full' # too much\ndeny = []\n";
        let after = edited(before, &Change { role: Some(role("a")), ..Change::default() });
        assert!(after.contains("members = [\"user:alice\"]  # her"), "{after}");
        assert!(after.contains("profile = \"operate\" # too much") && after.contains("deny = []"), "{after}");
    }

    #[test]
    fn containers_turn_commands_on_and_none_turns_them_off() {
        let on = Change { containers: Some(vec!["101".into(), "200-299".into()]), ..Change::default() };
        let after = edited(BEGINNING, &on);
        assert!(after.contains("enabled = true\ncontainers = [101, \"200-299\"]"), "{after}");
        let off = Change { containers: Some(vec![]), ..Change::default() };
        assert!(edited(&after, &off).contains("enabled = false\ncontainers = [101, \"200-299\"]"));
    }

    #[test]
    fn what_cannot_be_edited_is_said() {
        let change = Change { role: Some(role("a")), ..Change::default() };
        let error = edit(Path::new("x"), "role = []\n", &change).unwrap_err().to_string();
        assert!(error.contains("[[role]]"), "{error}");
        assert!(edit(Path::new("x"), "[exec\n", &change).is_err());
    }
}
