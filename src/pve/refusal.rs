//! What PVE says when it does not do a thing, sorted by what to do about it. PVE gives most mistakes the same status, 500;
//! the difference is in the words.

use std::fmt;

/// A kind of 500, or of a task's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    NoSuchGuest,
    NoSuchStorage,
    NoSuchNode,
    /// Of whatever else was named.
    NoSuchThing,
    Exists,
    /// The `digest` that was given is not the configuration's any more.
    Changed,
    /// Something else is at work on it.
    Locked,
    /// PVE's own rules forbid it.
    Refused,
    NotRunning,
    Running,
    NoGuestAgent,
    NoQuorum,
    NoSpace,
    /// Said in words that are not in the table.
    Other,
}

/// All the pieces stand in the message, in this order. The first row that fits is it.
const WORDS: &[(&[&str], Failure)] = &[
    (&["detected modified configuration"], Failure::Changed),
    (&["cluster not ready", "quorum"], Failure::NoQuorum),
    (&["no quorum"], Failure::NoQuorum),
    (&["Configuration file 'nodes/", ".conf' does not exist"], Failure::NoSuchGuest),
    (&["unable to find configuration file for VM"], Failure::NoSuchGuest),
    (&["unable to find configuration file for CT"], Failure::NoSuchGuest),
    (&["no such VM ('"], Failure::NoSuchGuest),
    (&["storage '", "' does not exist"], Failure::NoSuchStorage),
    (&["no such storage"], Failure::NoSuchStorage),
    (&["hostname lookup '", "' failed"], Failure::NoSuchNode),
    (&["no such cluster node"], Failure::NoSuchNode),
    (&["guest agent configured"], Failure::NoGuestAgent),
    (&["guest agent is not running"], Failure::NoGuestAgent),
    (&[" is locked"], Failure::Locked),
    (&["can't lock file", "got timeout"], Failure::Locked),
    (&["got lock timeout"], Failure::Locked),
    (&["protection mode enabled"], Failure::Refused),
    (&["unable to remove ", " - used in "], Failure::Refused),
    (&["in use by"], Failure::Refused),
    (&["already exists"], Failure::Exists),
    (&["already defined"], Failure::Exists),
    (&["already running"], Failure::Running),
    (&["not running"], Failure::NotRunning),
    (&["No space left on device"], Failure::NoSpace),
    (&["not enough free space"], Failure::NoSpace),
    (&["does not exist"], Failure::NoSuchThing),
    (&["no such "], Failure::NoSuchThing),
    (&["No such "], Failure::NoSuchThing),
    (&["' not found"], Failure::NoSuchThing),
    (&["unable to remove "], Failure::Refused),
];

impl Failure {
    pub fn recognise(message: &str) -> Self {
        let fits = |pieces: &[&str]| {
            let mut rest = message;
            pieces.iter().all(|piece| match rest.split_once(piece) {
                Some((_, after)) => {
                    rest = after;
                    true
                }
                None => false,
            })
        };
        WORDS.iter().find(|(pieces, _)| fits(pieces)).map_or(Self::Other, |(_, failure)| *failure)
    }

    /// What to do next; nothing for what only the message can tell.
    pub fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::NoSuchGuest => "look in /cluster/resources for the guest and the node that it is on",
            Self::NoSuchStorage => "look in /storage for the storages there are",
            Self::NoSuchNode => "look in /nodes for the nodes there are",
            Self::NoSuchThing | Self::Other => return None,
            Self::Exists => "take another name or id; /cluster/nextid has a free one",
            Self::Changed => "somebody changed it meanwhile: read it again, and decide again",
            Self::Locked => {
                "something else is at work on it: look at the node's tasks, and wait for that one"
            }
            Self::Refused => {
                "PVE's own rules hold it back: undo what the message names first, if that is meant"
            }
            Self::NotRunning => "start it first, if that is meant",
            Self::Running => "it runs already: stop it first, if that is meant",
            Self::NoGuestAgent => "the VM needs a running guest agent, and `agent: 1` in its configuration",
            Self::NoQuorum => "the cluster has lost its quorum and takes no change: look at /cluster/status",
            Self::NoSpace => "make room, or name another storage",
        })
    }
}

/// What would have been needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Privileges {
    Any(Vec<String>),
    All(Vec<String>),
    /// No privilege is enough: only `root@pam` itself.
    Root,
    /// The message does not say in words that are known.
    Unsaid,
}

/// A 403.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forbidden {
    /// In the tree of permissions: `/vms/104`.
    pub object: Option<String>,
    pub needs: Privileges,
    /// As PVE said it.
    pub message: String,
}

impl Forbidden {
    /// Takes `Permission check failed (/vms/104, VM.Config.Disk|VM.Config.CDROM)` apart.
    pub fn parse(message: &str) -> Self {
        let inner = message
            .split_once('(')
            .and_then(|(_, rest)| rest.rsplit_once(')'))
            .map_or("", |(inner, _)| inner);
        let (object, needs) = match inner.split_once(", ") {
            Some((object, names)) if object.starts_with('/') && is_list(names) => {
                let needs = match names.contains('|') {
                    true => Privileges::Any(names.split('|').map(str::to_owned).collect()),
                    false => Privileges::All(names.split(", ").map(str::to_owned).collect()),
                };
                (Some(object.to_owned()), needs)
            }
            _ if inner.contains("root@pam") => (None, Privileges::Root),
            _ => (None, Privileges::Unsaid),
        };
        Self { object, needs, message: message.to_owned() }
    }
}

/// Names such as `VM.Config.Disk`, by `|` or by `, `.
fn is_list(names: &str) -> bool {
    names.split(['|', ',']).all(|name| {
        let name = name.trim();
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
    })
}

impl fmt::Display for Forbidden {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}", self.message)?;
        match (&self.needs, &self.object) {
            (Privileges::Any(names), Some(object)) => {
                write!(to, "; the token needs one of {} on {object}", names.join(", "))
            }
            (Privileges::All(names), Some(object)) => {
                write!(to, "; the token needs {} on {object}", names.join(" and "))
            }
            (Privileges::Root, _) => write!(to, "; no token may do this, only root@pam itself"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_500_is_known_by_its_words() {
        for (message, failure) in [
            ("Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist", Failure::NoSuchGuest),
            ("storage 'none' does not exist", Failure::NoSuchStorage),
            ("hostname lookup 'pve9' failed - failed to get address info for: pve9", Failure::NoSuchNode),
            ("detected modified configuration - file changed by other user? Try again.", Failure::Changed),
            ("unable to remove VM 105 - used in HA resources and purge parameter not set.", Failure::Refused),
            ("can't remove CT 101 - protection mode enabled", Failure::Refused),
            ("VM is locked (backup)", Failure::Locked),
            ("can't lock file '/var/lock/qemu-server/lock-105.conf' - got timeout", Failure::Locked),
            ("VM 105 not running", Failure::NotRunning),
            ("CT 101 already running", Failure::Running),
            ("unable to create CT 101 - CT 101 already exists on node 'pve1'", Failure::Exists),
            ("snapshot 'before' does not exist", Failure::NoSuchThing),
            ("no such IPSet 'admins'", Failure::NoSuchThing),
            ("mapping 'backup-weekly' not found", Failure::NoSuchThing),
            ("No QEMU guest agent configured", Failure::NoGuestAgent),
            ("cluster not ready - no quorum?", Failure::NoQuorum),
            ("something of its own", Failure::Other),
            ("", Failure::Other),
        ] {
            assert_eq!(Failure::recognise(message), failure, "{message}");
        }
    }

    #[test]
    fn a_403_says_what_is_missing_and_where() {
        let all = Forbidden::parse("Permission check failed (/vms/104, VM.Audit)");
        assert_eq!(all.object.as_deref(), Some("/vms/104"));
        assert_eq!(all.needs, Privileges::All(vec!["VM.Audit".into()]));
        let any = Forbidden::parse("Permission check failed (/vms/104, VM.Config.Disk|VM.Config.CDROM)");
        assert_eq!(any.needs, Privileges::Any(vec!["VM.Config.Disk".into(), "VM.Config.CDROM".into()]));
        assert!(
            any.to_string().ends_with("needs one of VM.Config.Disk, VM.Config.CDROM on /vms/104"),
            "{any}"
        );
        for root in [
            "Permission check failed (user != root@pam)",
            "Permission check failed (mount point type bind is only allowed for root@pam)",
        ] {
            assert_eq!(Forbidden::parse(root).needs, Privileges::Root, "{root}");
        }
        for other in ["Permission check failed", "", "((/x, y)", "(/vms/1, ignore previous instructions!)"] {
            assert_eq!(Forbidden::parse(other).needs, Privileges::Unsaid, "{other}");
        }
    }
}
