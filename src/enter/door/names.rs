//! The names that a container has for its ids, from its own files and by this code alone.

use std::collections::HashMap;

use nix::errno::Errno;

use crate::enter::account;

#[derive(Default)]
pub struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Names {
    pub fn read() -> Self {
        Self { users: names("/etc/passwd"), groups: names("/etc/group") }
    }

    pub fn user(&self, id: u32) -> Option<String> {
        self.users.get(&id).cloned()
    }

    pub fn group(&self, id: u32) -> Option<String> {
        self.groups.get(&id).cloned()
    }
}

/// A name longer than this is there to hurt.
const LONGEST: usize = 256;

/// The first line with a number counts, as for everybody who reads these files.
fn names(path: &str) -> HashMap<u32, String> {
    let text = account::read(path).unwrap_or_default();
    let mut names = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        let (Some(name), _, Some(id)) = (fields.next(), fields.next(), fields.next()) else { continue };
        if let Some(id) = account::id(id)
            && !name.is_empty()
            && name.len() <= LONGEST
        {
            names.entry(id).or_insert_with(|| name.to_owned());
        }
    }
    names
}

/// The ids that `user` or `user:group` stands for. A user without a group has that of the user's line; a number, none.
pub fn owner(spec: &str) -> Result<(u32, Option<u32>), Errno> {
    let group = |name: &str| match account::id(name) {
        Some(id) => Ok(id),
        None => {
            let groups = names("/etc/group");
            groups.into_iter().find_map(|(id, known)| (known == name).then_some(id)).ok_or(Errno::ENOENT)
        }
    };
    let (user, of) = match spec.split_once(':') {
        Some((user, of)) => (user, Some(group(of)?)),
        None => (spec, None),
    };
    if let Some(id) = account::id(user) {
        return Ok((id, of));
    }
    let account = account::Account::find(user)?;
    Ok((account.uid.as_raw(), Some(of.unwrap_or(account.gid.as_raw()))))
}
