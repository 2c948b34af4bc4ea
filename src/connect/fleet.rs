//! Which hosts there are: from the command line, or from a file with groups.
//!
//! A name goes to `ssh` as an argument and to a client as a word, so it is a name and nothing else: no option, nothing
//! that a shell or ssh's own configuration would expand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use crate::config::with_nearest;

/// Hosts of one fleet.
pub const MOST_HOSTS: usize = 64;
const LONGEST_NAME: usize = 64;
const LONGEST_DESTINATION: usize = 255;

/// One host, as it is called and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    pub name: String,
    pub at: At,
    /// The node that it has to be: another is turned away.
    pub node: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// As `ssh` takes it: a name of its configuration, `user@host` or `ssh://user@host:port`.
    Ssh(String),
    /// The daemon's socket, or the near end of a tunnel to it.
    Socket(PathBuf),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fleet {
    pub hosts: Vec<Spec>,
    pub groups: BTreeMap<String, Vec<String>>,
    /// In place of OpenSSH's own: `ssh -F`.
    pub ssh_config: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: {message}")]
    Toml { path: PathBuf, message: String },
    #[error(
        "\"{0}\" is no name of a host: letters, digits, '.', '_', '-' and ':', at most 64, and no '-' at its beginning"
    )]
    Name(String),
    #[error(
        "\"{0}\" is nothing that ssh is given here: NAME, USER@NAME or ssh://USER@NAME:PORT, and no '-' at its beginning"
    )]
    Destination(String),
    #[error("\"{0}\" is named twice; NAME=DESTINATION gives one of them another name")]
    Twice(String),
    #[error("{0} hosts are more than {MOST_HOSTS}, which one fleet may have")]
    Many(usize),
    #[error("there is no host \"{name}\" and no group of that name{}", or_nearest(.nearest))]
    Unknown { name: String, nearest: Option<String> },
    #[error("host \"{0}\": `ssh` and `socket` are two ways to it; leave one out")]
    TwoWays(String),
    #[error("no host is named: provost connect HOST..., or --config FILE")]
    None,
}

fn or_nearest(name: &Option<String>) -> String {
    name.as_ref().map(|name| format!("; the nearest name is \"{name}\"")).unwrap_or_default()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    ssh_config: Option<PathBuf>,
    #[serde(default)]
    host: Vec<Entry>,
    #[serde(default)]
    groups: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    ssh: Option<String>,
    socket: Option<PathBuf>,
    node: Option<String>,
}

impl Fleet {
    /// Hosts as they are typed.
    pub fn of(hosts: Vec<Spec>) -> Result<Self, FleetError> {
        Self { hosts, ..Self::default() }.checked()
    }

    pub fn read(path: &Path) -> Result<Self, FleetError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| FleetError::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    pub fn parse(path: &Path, text: &str) -> Result<Self, FleetError> {
        let file: File = toml::from_str(text).map_err(|error| FleetError::Toml {
            path: path.to_owned(),
            message: with_nearest(error.to_string().trim_end()),
        })?;
        let hosts = file.host.into_iter().map(Entry::spec).collect::<Result<_, _>>()?;
        // What the file names beside itself is beside it.
        let ssh_config = file.ssh_config.map(|config| match path.parent() {
            Some(dir) if config.is_relative() => dir.join(config),
            _ => config,
        });
        Self { hosts, groups: file.groups, ssh_config }.checked()
    }

    /// Of these hosts and groups, in the file's order.
    pub fn only(mut self, wanted: &[String]) -> Result<Self, FleetError> {
        if wanted.is_empty() {
            return Ok(self);
        }
        let mut names = Vec::new();
        for name in wanted {
            names.extend(self.members(name).ok_or_else(|| self.unknown(name))?.to_vec());
        }
        self.hosts.retain(|host| names.contains(&host.name));
        for members in self.groups.values_mut() {
            members.retain(|member| names.contains(member));
        }
        self.groups.retain(|_, members| !members.is_empty());
        Ok(self)
    }

    /// The hosts that a name stands for: one, or a group's.
    pub fn members<'a>(&'a self, name: &'a str) -> Option<&'a [String]> {
        let host = self.hosts.iter().find(|host| host.name == name);
        host.map(|host| std::slice::from_ref(&host.name)).or_else(|| self.groups.get(name).map(Vec::as_slice))
    }

    pub fn unknown(&self, name: &str) -> FleetError {
        let names = self.hosts.iter().map(|host| &host.name).chain(self.groups.keys());
        let nearest = names
            .map(|known| (strsim::jaro_winkler(name, known), known))
            .filter(|(likeness, _)| *likeness > 0.7)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, known)| known.clone());
        FleetError::Unknown { name: crate::text::brief(name, LONGEST_NAME), nearest }
    }

    fn checked(self) -> Result<Self, FleetError> {
        if self.hosts.is_empty() {
            return Err(FleetError::None);
        }
        if self.hosts.len() > MOST_HOSTS {
            return Err(FleetError::Many(self.hosts.len()));
        }
        let mut seen = std::collections::HashSet::new();
        for name in self.hosts.iter().map(|host| &host.name).chain(self.groups.keys()) {
            if !is_name(name) {
                return Err(FleetError::Name(crate::text::brief(name, LONGEST_NAME)));
            }
            if !seen.insert(name) {
                return Err(FleetError::Twice(name.clone()));
            }
        }
        for host in &self.hosts {
            match &host.at {
                At::Ssh(to) if !is_destination(to) => {
                    return Err(FleetError::Destination(crate::text::brief(to, LONGEST_DESTINATION)));
                }
                _ => {}
            }
        }
        for member in self.groups.values().flatten() {
            if !self.hosts.iter().any(|host| host.name == *member) {
                return Err(self.unknown(member));
            }
        }
        Ok(self)
    }
}

impl Entry {
    fn spec(self) -> Result<Spec, FleetError> {
        let at = match (self.ssh, self.socket) {
            (Some(_), Some(_)) => return Err(FleetError::TwoWays(self.name)),
            (Some(ssh), None) => At::Ssh(ssh),
            (None, Some(socket)) => At::Socket(socket),
            (None, None) => At::Ssh(self.name.clone()),
        };
        Ok(Spec { name: self.name, at, node: self.node })
    }
}

/// `[NAME=]DESTINATION`; what has a slash and no scheme is a socket.
impl FromStr for Spec {
    type Err = FleetError;

    fn from_str(text: &str) -> Result<Self, FleetError> {
        let (name, to) = match text.split_once('=') {
            Some((name, to)) => (Some(name.to_owned()), to),
            None => (None, text),
        };
        let url = to.strip_prefix("ssh://");
        let at = match url.is_none() && to.contains('/') {
            true => At::Socket(to.into()),
            false => At::Ssh(to.to_owned()),
        };
        let name = name.unwrap_or_else(|| match &at {
            At::Socket(path) => path.file_stem().map_or_else(String::new, |stem| stem.display().to_string()),
            At::Ssh(to) => {
                let host = to.rsplit_once('@').map_or(url.unwrap_or(to), |(_, host)| host);
                // An address of IPv6 stands in brackets.
                match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                    Some((address, _)) => address.to_owned(),
                    None if url.is_some() => host.split(['/', ':']).next().unwrap_or(host).to_owned(),
                    None => host.to_owned(),
                }
            }
        });
        if !is_name(&name) {
            return Err(FleetError::Name(crate::text::brief(&name, LONGEST_NAME)));
        }
        match &at {
            At::Ssh(to) if !is_destination(to) => {
                Err(FleetError::Destination(crate::text::brief(to, LONGEST_DESTINATION)))
            }
            _ => Ok(Self { name, at, node: None }),
        }
    }
}

fn is_name(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte);
    !text.is_empty() && text.len() <= LONGEST_NAME && text.bytes().all(good) && !text.starts_with('-')
}

/// What ssh takes for a destination and for nothing else, in every part: `user@-oProxyCommand=x` is none.
fn is_destination(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:[]%@+".contains(&byte);
    let rest = text.strip_prefix("ssh://").unwrap_or(text);
    let parts = rest.split('@');
    !rest.is_empty()
        && text.len() <= LONGEST_DESTINATION
        && rest.bytes().all(good)
        && parts.clone().count() <= 2
        && parts.clone().all(|part| !part.is_empty() && !part.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_an_option_or_more_than_a_name_is_no_host() {
        for bad in [
            "-oProxyCommand=x",
            "-oProxyCommand",
            "a=-oProxyCommand",
            "user@-oProxyCommand",
            "ssh://-oProxyCommand",
            "-a=pve1",
            "a b",
            "$(x)",
            "a;b",
            "`x`",
            "a|b",
            "",
            "=",
            "a=",
            "@",
            "a@",
            "a@b@c",
            "a\nb",
            "a\"b",
            "a'b",
            "a,b",
            "\u{1b}[31m",
        ] {
            assert!(bad.parse::<Spec>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_is_called_as_it_is_typed_or_as_somebody_says() {
        let ssh = |to: &str| At::Ssh(to.into());
        for (text, name, at) in [
            ("pve1", "pve1", ssh("pve1")),
            ("alice@pve1.example", "pve1.example", ssh("alice@pve1.example")),
            ("ssh://alice@pve1:2222", "pve1", ssh("ssh://alice@pve1:2222")),
            ("ssh://root@[2001:db8::1]:2222", "2001:db8::1", ssh("ssh://root@[2001:db8::1]:2222")),
            ("one=alice@192.0.2.1", "one", ssh("alice@192.0.2.1")),
            ("/run/user/1000/pve2.sock", "pve2", At::Socket("/run/user/1000/pve2.sock".into())),
            ("two=./b.sock", "two", At::Socket("./b.sock".into())),
        ] {
            assert_eq!(text.parse::<Spec>().unwrap(), Spec { name: name.into(), at, node: None }, "{text}");
        }
    }

    fn parsed(text: &str) -> Result<Fleet, String> {
        Fleet::parse(Path::new("/etc/fleet.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_names_hosts_ways_and_groups() {
        let fleet = parsed(
            "ssh_config = 'config'\n[[host]]\nname = 'pve1'\nnode = 'pve1'\n[[host]]\nname = 'b'\nssh = 'root@b.example'\n\
             [[host]]\nname = 'c'\nsocket = '/run/c.sock'\n[groups]\nprod = ['pve1', 'b']\n",
        )
        .unwrap();
        assert_eq!(fleet.ssh_config.as_deref(), Some(Path::new("/etc/config")));
        assert_eq!(fleet.hosts[0].at, At::Ssh("pve1".into()));
        assert_eq!(fleet.members("prod").unwrap(), ["pve1", "b"]);
        assert_eq!(fleet.members("c").unwrap(), ["c"]);
        let prod = fleet.only(&["prod".into()]).unwrap();
        assert_eq!(prod.hosts.len(), 2);
    }

    #[test]
    fn what_is_wrong_in_a_file_is_named_with_what_would_be_right() {
        for (text, says) in [
            ("", "no host is named"),
            ("[[host]]\nname = 'a'\nshh = 'a'", "nearest valid name is \"ssh\""),
            ("[[host]]\nname = 'a'\n[[host]]\nname = 'a'", "named twice"),
            ("[[host]]\nname = 'a'\n[groups]\na = ['a']", "named twice"),
            ("[[host]]\nname = 'pve1'\n[groups]\nx = ['pve2']", "the nearest name is \"pve1\""),
            ("[[host]]\nname = 'a'\nssh = '-oX'", "nothing that ssh is given"),
            ("[[host]]\nname = 'a'\nssh = 'a'\nsocket = '/a'", "two ways"),
            ("[[host]]\nname = '-a'", "no name of a host"),
        ] {
            let said = parsed(text).unwrap_err();
            assert!(said.contains(says), "{text}: {said}");
        }
    }
}
