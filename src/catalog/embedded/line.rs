//! One line: a schema with what belongs to it, as text and back.

use std::fmt::Write as _;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::catalog::{Format, Kind, Permission, Schema};

const KINDS: [(Kind, &str); 8] = [
    (Kind::Any, "any"),
    (Kind::Null, "null"),
    (Kind::String, "string"),
    (Kind::Integer, "integer"),
    (Kind::Number, "number"),
    (Kind::Boolean, "boolean"),
    (Kind::Array, "array"),
    (Kind::Object, "object"),
];

/// The words of one line, as they are taken from its front.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    rest: &'a str,
}

/// `flag`, `key=value`, `~ pattern`.
pub(super) struct Attribute<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a str,
}

impl<'a> Words<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Self { rest: line }
    }

    /// Up to the next space.
    pub(super) fn word(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start_matches(' ');
        let (word, rest) = self.rest.split_once(' ').unwrap_or((self.rest, ""));
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }

    /// What has not been taken.
    pub(super) fn rest(&self) -> &'a str {
        self.rest.trim_start_matches(' ')
    }

    /// The next attribute. A value in quotes or brackets is JSON and may hold spaces; a pattern goes to the end.
    pub(super) fn attribute(&mut self) -> Result<Option<Attribute<'a>>, String> {
        self.rest = self.rest.trim_start_matches(' ');
        if self.rest.is_empty() {
            return Ok(None);
        }
        if let Some(pattern) = self.rest.strip_prefix("~ ") {
            self.rest = "";
            return Ok(Some(Attribute { key: "~", value: pattern }));
        }
        let end = self.rest.find(' ').unwrap_or(self.rest.len());
        let Some(equals) = self.rest[..end].find('=') else {
            let key = &self.rest[..end];
            self.rest = &self.rest[end..];
            return Ok(Some(Attribute { key, value: "" }));
        };
        let (key, after) = (&self.rest[..equals], &self.rest[equals + 1..]);
        let length = match after.as_bytes().first() {
            Some(b'"' | b'[') => {
                let mut values =
                    serde_json::Deserializer::from_str(after).into_iter::<serde::de::IgnoredAny>();
                match values.next() {
                    Some(Ok(_)) => values.byte_offset(),
                    _ => return Err(format!("what follows {key}= is no JSON")),
                }
            }
            _ => end - equals - 1,
        };
        self.rest = &after[length..];
        Ok(Some(Attribute { key, value: &after[..length] }))
    }
}

impl Attribute<'_> {
    pub(super) fn text(&self) -> Result<String, String> {
        if self.value.starts_with('"') { self.json() } else { Ok(self.value.to_owned()) }
    }

    pub(super) fn texts(&self) -> Result<Vec<String>, String> {
        if self.value.starts_with('[') {
            self.json()
        } else {
            Ok(self.value.split(',').flat_map(expanded).collect())
        }
    }

    fn number<N: std::str::FromStr>(&self) -> Result<N, String> {
        self.value.parse().map_err(|_| format!("{}={} is no number", self.key, self.value))
    }

    fn json<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_str(self.value).map_err(|error| format!("{}: {error}", self.key))
    }

    /// Puts this into the schema; whether it belongs there.
    pub(super) fn apply(&self, schema: &mut Schema) -> Result<bool, String> {
        match self.key {
            "min" => schema.minimum = Some(self.number()?),
            "max" => schema.maximum = Some(self.number()?),
            "minlen" => schema.min_length = Some(self.number()?),
            "maxlen" => schema.max_length = Some(self.number()?),
            "enum" => schema.choices = self.texts()?,
            "format" => schema.format = Some(Format::Named(self.text()?)),
            "properties" => schema.format = Some(Format::Properties(Vec::new())),
            "default" => {
                schema.default = Some(match self.value.parse::<serde_json::Number>() {
                    Ok(number) => Value::Number(number),
                    Err(_) => Value::String(self.text()?),
                });
            }
            "~" => schema.pattern = Some(self.value.to_owned()),
            "pattern" => schema.pattern = Some(self.text()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// `root`, `all`, `/vms/{vmid}:VM.Audit`, or PVE's expression as JSON.
    pub(super) fn permission(&self) -> Result<Permission, String> {
        let description = String::new();
        Ok(match self.value {
            "root" => Permission::Root,
            "world" => Permission::World,
            "all" => Permission::All { description },
            "described" => Permission::Described(description),
            value if value.starts_with('[') => Permission::Check { check: self.json()?, description },
            value => {
                let (path, privileges) = value.split_once(':').ok_or("perm= is no permission")?;
                let privileges: Vec<&str> = privileges.split(',').collect();
                Permission::Check { check: serde_json::json!(["perm", path, privileges]), description }
            }
        })
    }
}

pub(super) fn kind(word: &str) -> Option<Kind> {
    KINDS.iter().find(|(_, name)| *name == word).map(|(kind, _)| *kind)
}

/// The kind and the attributes of a schema; what it is made of stands in the lines below.
pub(super) fn schema(schema: &Schema) -> String {
    let mut line =
        KINDS.iter().find(|(kind, _)| *kind == schema.kind).map_or("any", |(_, name)| name).to_owned();
    let mut put = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(line, " {key}={value}");
        }
    };
    put("min", schema.minimum.map(|number| number.to_string()));
    put("max", schema.maximum.map(|number| number.to_string()));
    put("minlen", schema.min_length.map(|length| length.to_string()));
    put("maxlen", schema.max_length.map(|length| length.to_string()));
    put("enum", (!schema.choices.is_empty()).then(|| texts(&schema.choices)));
    put("default", schema.default.as_ref().map(default));
    match &schema.format {
        Some(Format::Named(name)) => put("format", Some(text(name))),
        Some(Format::Properties(_)) => line.push_str(" properties"),
        None => {}
    }
    line
}

/// The pattern, which comes last.
pub(super) fn pattern(schema: &Schema) -> String {
    match &schema.pattern {
        None => String::new(),
        Some(pattern)
            if pattern.trim() == pattern && !pattern.is_empty() && !pattern.contains(char::is_control) =>
        {
            format!(" ~ {pattern}")
        }
        Some(pattern) => format!(" pattern={}", Value::from(pattern.as_str())),
    }
}

pub(super) fn permission(permission: &Permission) -> String {
    match permission {
        Permission::Root => "root".into(),
        Permission::World => "world".into(),
        Permission::All { .. } => "all".into(),
        Permission::Described(_) => "described".into(),
        Permission::Check { check, .. } => simple(check).unwrap_or_else(|| check.to_string()),
    }
}

/// `["perm", "/vms/{vmid}", ["VM.Audit"]]` as `/vms/{vmid}:VM.Audit`.
fn simple(check: &Value) -> Option<String> {
    let [Value::String(word), Value::String(path), Value::Array(privileges)] = check.as_array()?.as_slice()
    else {
        return None;
    };
    let privileges: Vec<&str> = privileges.iter().map(Value::as_str).collect::<Option<_>>()?;
    let plain = |text: &&str| !text.is_empty() && !text.contains([' ', ':', ',', '"', '[']);
    (word == "perm"
        && path.starts_with('/')
        && plain(&path.as_str())
        && !privileges.is_empty()
        && privileges.iter().all(plain))
    .then(|| format!("{path}:{}", privileges.join(",")))
}

pub(super) fn text(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { Value::from(text).to_string() }
}

pub(super) fn texts(texts: &[String]) -> String {
    if !texts.iter().all(|text| is_plain(text) && !text.contains(',') && !text.contains("..")) {
        return Value::from(texts).to_string();
    }
    let mut parts: Vec<String> = Vec::new();
    let mut rest = texts;
    while let [first, ..] = rest {
        let run = run(rest);
        parts.push(match rest[run - 1].strip_prefix(numbered(first).map_or("", |(name, _)| name)) {
            Some(last) if run > 3 => format!("{first}..{last}"),
            _ => first.clone(),
        });
        rest = &rest[if run > 3 { run } else { 1 }..];
    }
    parts.join(",")
}

/// How many of the first count on from the very first: `mp0`, `mp1`, `mp2`.
fn run(texts: &[String]) -> usize {
    let Some((name, first)) = texts.first().and_then(|text| numbered(text)) else { return 1 };
    (first..).zip(texts).take_while(|(number, text)| numbered(text) == Some((name, *number))).count()
}

/// `mp12` as `mp` and 12.
fn numbered(text: &str) -> Option<(&str, u32)> {
    let name = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &text[name.len()..];
    let number = digits.parse().ok()?;
    (digits == "0" || !digits.starts_with('0')).then_some((name, number))
}

/// `mp0..3` as `mp0` to `mp3`, anything else as it is.
fn expanded(part: &str) -> Vec<String> {
    const MOST: u32 = 1024;
    let range = part.split_once("..").and_then(|(first, last)| {
        let (name, first) = numbered(first)?;
        let last = last.parse().ok().filter(|last| (first..first + MOST).contains(last))?;
        Some((first..=last).map(|number| format!("{name}{number}")).collect())
    });
    range.unwrap_or_else(|| vec![part.to_owned()])
}

fn default(value: &Value) -> String {
    match value {
        Value::String(string) if string.parse::<serde_json::Number>().is_err() => text(string),
        value => value.to_string(),
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(['"', '['])
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}
