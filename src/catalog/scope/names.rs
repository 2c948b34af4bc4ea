//! How PVE's texts name guests: `105`, `vm:105`, `105-0`, `local-lvm:vm-105-disk-0`, a UPID, `/vms/105`, `qemu/105`.
//!
//! Two ways to ask. A [`Form`] reads a value that is there to name guests, and says so when it cannot tell. [`mentions`]
//! looks for guests in any text; a guest's *name* it cannot know.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::catalog::list;
use crate::pve::Upid;

/// What stands where another guest was named.
pub const ANOTHER: &str = "[another guest]";

/// How a value names guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Numbers, and nothing else: `105`, `"104,105"`.
    Ids,
    /// A number; what is none names nobody.
    Number,
    /// HA's: `vm:104,ct:105`, and a bare number.
    Sids,
    /// Of replication: `105-0`.
    Job,
    /// The owner of a volume, the last that stands in its name: `base-9000-disk-0/vm-111-disk-0` is 111's.
    Volume,
    Upid,
    /// The id in a UPID: `105`, `105@local`, or what is no guest's.
    Task,
    /// A path of access control: `/vms/105`.
    Acl,
    /// An object of the cluster: `qemu/105`.
    Object,
}

/// Whom a value names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    Nobody,
    Guests(Vec<u32>),
    /// It may name somebody, and nobody can tell whom.
    Unclear,
}

impl Form {
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "ids" => Self::Ids,
            "number" => Self::Number,
            "sids" => Self::Sids,
            "job" => Self::Job,
            "volume" => Self::Volume,
            "upid" => Self::Upid,
            "task" => Self::Task,
            "acl" => Self::Acl,
            "object" => Self::Object,
            _ => return None,
        })
    }

    /// The form of what PVE calls so wherever it stands.
    pub fn of_key(name: &str) -> Option<Self> {
        Some(match name {
            "vmid" => Self::Ids,
            "guest" => Self::Number,
            "sid" | "resource" => Self::Sids,
            "upid" => Self::Upid,
            "volid" | "volume" => Self::Volume,
            _ => return None,
        })
    }

    pub fn read(self, value: &Value) -> Named {
        match value {
            Value::Null => Named::Nobody,
            Value::String(text) => self.read_text(text),
            Value::Number(number) => self.read_text(&number.to_string()),
            Value::Array(items) => items.iter().map(|item| self.read(item)).fold(Named::Nobody, Named::and),
            Value::Bool(_) | Value::Object(_) => Named::Unclear,
        }
    }

    pub fn read_text(self, text: &str) -> Named {
        let text = text.trim();
        let one = |guest: Option<u32>| guest.map_or(Named::Unclear, |guest| Named::Guests(vec![guest]));
        match self {
            _ if text.is_empty() => Named::Nobody,
            Self::Ids => items(text).map(|item| one(id(item))).fold(Named::Nobody, Named::and),
            Self::Number => id(text).map_or(Named::Nobody, |guest| Named::Guests(vec![guest])),
            Self::Sids => items(text).map(sid).fold(Named::Nobody, Named::and),
            Self::Job => {
                one(text.split_once('-').and_then(|(guest, job)| id(guest).filter(|_| id_or_zero(job))))
            }
            Self::Volume => mentions(text).last().map_or(Named::Nobody, |(_, guests)| match guests.last() {
                Some(Some(guest)) => Named::Guests(vec![*guest]),
                _ => Named::Unclear,
            }),
            Self::Upid => text.parse::<Upid>().map_or(Named::Unclear, |upid| Self::Task.read_text(&upid.id)),
            Self::Task => {
                let number = text.split('@').next().unwrap_or_default();
                id(number).map_or(Named::Nobody, |guest| Named::Guests(vec![guest]))
            }
            Self::Acl => match text.strip_prefix("/vms/") {
                Some(rest) => one(id(rest.split('/').next().unwrap_or_default())),
                None => Named::Nobody,
            },
            Self::Object => match text.split_once('/') {
                Some(("qemu" | "lxc" | "openvz", guest)) => one(id(guest)),
                _ => Named::Nobody,
            },
        }
    }

    /// The same value with only those guests in its lists that `sees` includes.
    pub fn trimmed(self, value: &Value, sees: &dyn Fn(u32) -> bool) -> Value {
        let keeps = |text: &str| match self.read_text(text) {
            Named::Nobody => true,
            Named::Guests(guests) => guests.into_iter().all(sees),
            Named::Unclear => false,
        };
        match value {
            Value::String(text) if !keeps(text) => {
                items(text).filter(|item| keeps(item)).collect::<Vec<_>>().join(",").into()
            }
            Value::Array(items) => {
                let shown = |item: &&Value| match item {
                    Value::String(text) => keeps(text),
                    item => keeps(&item.to_string()),
                };
                items.iter().filter(shown).cloned().collect()
            }
            Value::Number(number) if !keeps(&number.to_string()) => Value::Null,
            value => value.clone(),
        }
    }
}

impl Named {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unclear, _) | (_, Self::Unclear) => Self::Unclear,
            (Self::Nobody, other) | (other, Self::Nobody) => other,
            (Self::Guests(mut guests), Self::Guests(more)) => {
                guests.extend(more);
                Self::Guests(guests)
            }
        }
    }
}

/// As PVE splits its lists.
fn items(text: &str) -> impl Iterator<Item = &str> {
    list(text)
}

/// A guest's id as PVE writes it.
fn id(text: &str) -> Option<u32> {
    let digits = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits && !text.starts_with('0'))
}

fn id_or_zero(text: &str) -> bool {
    text == "0" || id(text).is_some()
}

fn sid(text: &str) -> Named {
    match text.split_once(':') {
        Some(("vm" | "ct", guest)) => id(guest).map_or(Named::Unclear, |guest| Named::Guests(vec![guest])),
        Some(_) => Named::Unclear,
        None => id(text).map_or(Named::Nobody, |guest| Named::Guests(vec![guest])),
    }
}

/// What in a text names a guest: where it stands, and whom it names. None for a number that no guest can have.
pub fn mentions(text: &str) -> impl Iterator<Item = (Range<usize>, Vec<Option<u32>>)> + '_ {
    // Nothing is named without a number, and most texts have none.
    let has_number = text.bytes().any(|byte| byte.is_ascii_digit());
    has_number.then(|| MENTION.captures_iter(text)).into_iter().flatten().filter_map(|found| {
        let whole = found.get(0)?.range();
        let guests = found.iter().skip(1).flatten().map(|number| number.as_str().parse().ok()).collect();
        Some((whole, guests))
    })
}

/// Whether a text names a guest that `sees` does not include.
pub fn names_another(text: &str, sees: &dyn Fn(u32) -> bool) -> bool {
    mentions(text).any(|(_, guests)| !all_seen(&guests, sees))
}

/// A text without the guests that `sees` does not include.
pub fn without_others<'a>(text: &'a str, sees: &dyn Fn(u32) -> bool) -> Cow<'a, str> {
    let (mut shown, mut from) = (String::new(), 0);
    for (place, guests) in mentions(text) {
        if !all_seen(&guests, sees) {
            shown.push_str(&text[from..place.start]);
            shown.push_str(ANOTHER);
            from = place.end;
        }
    }
    match from {
        0 => Cow::Borrowed(text),
        _ => Cow::Owned(shown + &text[from..]),
    }
}

fn all_seen(guests: &[Option<u32>], sees: &dyn Fn(u32) -> bool) -> bool {
    guests.iter().all(|guest| guest.is_some_and(sees))
}

/// Each alternative takes all that tells of the guest, and its groups the ids.
static MENTION: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"(?x)
        # A task.
        UPID:[^:\s]*:[^:\s]*:[^:\s]*:[^:\s]*:[^:\s]*:(\d+)(?:@[^:\s]*)?:\S*
        # A volume, a state, a cloud-init image, with the directory that it stands in; and as the device mapper has it.
        | (?:\b(\d+)/)? \b(?:base|basevol|vm|subvol)-(\d+)-[^/,;\s"']*
        | \b(?:base|basevol|vm|subvol)--(\d+)--\S*
        # A backup, by its file or as a backup server has it.
        | \bvzdump-(?:qemu|lxc|openvz)-(\d+)-[^/,;\s"']*
        | \b(?:vm|ct)/(\d+)\b
        # HA's, and paths.
        | \b(?:vm|ct):(\d+)\b
        | \b(?:qemu|lxc|openvz|qemu-server|images|private)/(\d+)\b
        | /vms/(\d+)\b
        # A network device, a configuration file.
        | \b(?:tap|veth|fwbr|fwpr|fwln)(\d+)[a-z]\d+\b
        | \b(\d+)\.(?:conf|fw)\b
        # Words.
        | (?i:\b(?:vm|ct|guest|container|vmid|lxc|qemu)(?:\s+id)?(?:\s*[=:\#]\s*|\s+)['"]?(\d{3,}))\b
    "#;
    // It is a constant, and a test compiles it.
    Regex::new(pattern).unwrap_or_else(|error| panic!("{error}"))
});
