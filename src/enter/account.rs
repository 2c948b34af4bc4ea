//! Whom a command runs as: names are looked up in the container's own files, by this code alone.
//!
//! No `getpwnam`: it would load libraries that the container supplies (CVE-2019-14271). What the files hold is the
//! container's to choose; all that it can choose is which of its own ids a name of its own stands for.

use std::fs::File;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{Gid, Uid};

/// An account's ids, and its home as `/etc/passwd` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub uid: Uid,
    pub gid: Gid,
    pub groups: Vec<Gid>,
    pub home: String,
    pub name: Option<String>,
}

impl Account {
    /// The container's root, as lxc-attach enters.
    pub fn root() -> Self {
        Self {
            uid: Uid::from_raw(0),
            gid: Gid::from_raw(0),
            groups: vec![],
            home: "/root".into(),
            name: None,
        }
    }

    /// The account that `spec` names: `name`, `uid` or `uid:gid`. Called inside the container.
    pub fn find(spec: &str) -> Result<Self, Errno> {
        let passwd = read("/etc/passwd").unwrap_or_default();
        if let Some((uid, gid)) = spec.split_once(':') {
            let number = |text: &str| id(text).ok_or(Errno::EINVAL);
            return Ok(Self {
                uid: Uid::from_raw(number(uid)?),
                gid: Gid::from_raw(number(gid)?),
                groups: vec![],
                home: in_passwd(&passwd, uid).map_or_else(|| "/".into(), |account| account.home),
                name: None,
            });
        }
        match in_passwd(&passwd, spec) {
            Some(mut account) => {
                if let Some(name) = &account.name {
                    account.groups = groups_of(&read("/etc/group").unwrap_or_default(), name);
                    account.groups.insert(0, account.gid);
                }
                Ok(account)
            }
            None => {
                let id = id(spec).ok_or(Errno::ENOENT)?;
                let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
                Ok(Self { uid, gid, groups: vec![], home: "/".into(), name: None })
            }
        }
    }
}

/// An account of the node's own, for deciding whom to serve. From the file alone: a name service would bring libraries
/// and the network into a process that is root.
pub fn on_host(name: &str) -> std::io::Result<Option<Account>> {
    Ok(in_passwd(&std::fs::read_to_string("/etc/passwd")?, name))
}

/// An id as files and callers write it. All ones is none: to the kernel it means "leave it as it is", and what would be
/// left is the node's root, in the container (as in CVE-2019-14287).
pub(super) fn id(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && *id != u32::MAX)
}

/// The line of `/etc/passwd` with that name, or that number.
fn in_passwd(passwd: &str, spec: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, _] = fields[..] else { return None };
        // A number is a uid, whatever an account may be called.
        let wanted = if id(spec).is_some() { uid } else { name };
        if name.is_empty() || wanted != spec {
            return None;
        }
        Some(Account {
            uid: Uid::from_raw(id(uid)?),
            gid: Gid::from_raw(id(gid)?),
            groups: vec![],
            home: if home.starts_with('/') && !home.contains('\0') { home.into() } else { "/".into() },
            name: Some(name.into()),
        })
    })
}

/// The groups of `/etc/group` that list the name.
fn groups_of(group: &str, name: &str) -> Vec<Gid> {
    /// The kernel's own limit is higher; a file made up to hurt is cut here.
    const MOST: usize = 1024;
    let member = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [_, _, gid, members] = fields[..] else { return None };
        members.split(',').any(|member| member == name).then(|| id(gid).map(Gid::from_raw)).flatten()
    };
    group.lines().filter_map(member).take(MOST).collect()
}

/// A plain file of the container, whole: no FIFO to hang on, no device to read, no way out by a magic link.
pub(super) fn read(path: &str) -> Result<String, Errno> {
    const LONGEST: u64 = 4 << 20;
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
        .resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = openat2(AT_FDCWD, path, how)?;
    if fstat(&file)?.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
        return Err(Errno::EINVAL);
    }
    let mut bytes = Vec::new();
    use std::io::Read;
    File::from(file)
        .take(LONGEST)
        .read_to_end(&mut bytes)
        .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n+::::::\nbroken:x:1\nwww-data:x:33:33::relative:/bin/sh\nodd:x:-1:5::/:\nsame:x:4294967295:5::/:\n";

    #[test]
    fn names_and_numbers_are_found_in_the_containers_own_files() {
        let www = in_passwd(PASSWD, "www-data").unwrap();
        assert_eq!((www.uid.as_raw(), www.gid.as_raw(), www.home.as_str()), (33, 33, "/"));
        assert_eq!(in_passwd(PASSWD, "33").unwrap().name.as_deref(), Some("www-data"));
        for nobody in ["", "broken", "odd", "same", "+", "alice"] {
            assert_eq!(in_passwd(PASSWD, nobody), None, "{nobody}");
        }
    }

    #[test]
    fn groups_are_those_that_list_the_name_whole() {
        let group = "adm:x:4:syslog,www-data\nnot:x:5:www\nodd:x:x:www-data\nroot:x:0:\n";
        assert_eq!(groups_of(group, "www-data"), [Gid::from_raw(4)]);
    }
}
