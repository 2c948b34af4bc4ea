//! What planning reads of the node: the API as the role has it, and nothing that changes anything.

use std::sync::Arc;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::fields;
use crate::catalog::tier::{self, Tier};
use crate::catalog::{Catalog, Method};
use crate::pve::{CallError, Client, Failure, Methods, Path, PveError, Read, loose};

/// A client that only reads, and what it can ask for.
#[derive(Clone)]
pub struct Eyes {
    pub client: Client,
    pub catalog: Arc<Catalog>,
}

/// A guest as the cluster lists it.
#[derive(Debug, Clone, Deserialize)]
pub struct Listed {
    #[serde(deserialize_with = "vmid")]
    pub vmid: u32,
    /// `qemu` or `lxc`.
    #[serde(rename = "type")]
    pub kind: String,
    pub node: String,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub name: String,
}

fn vmid<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    loose::u64(from)?.try_into().map_err(serde::de::Error::custom)
}

/// What a look found.
#[derive(Clone, PartialEq)]
pub enum Seen {
    There(Value),
    /// PVE says that there is no such thing.
    Missing(String),
    /// It may be there; this is why nobody here knows.
    Hidden(String),
}

impl Seen {
    pub fn object(&self) -> Option<&Map<String, Value>> {
        match self {
            Self::There(Value::Object(object)) => Some(object),
            _ => None,
        }
    }

    pub fn rows(&self) -> &[Value] {
        match self {
            Self::There(Value::Array(rows)) => rows,
            _ => &[],
        }
    }
}

impl Eyes {
    pub fn new(client: &Client, catalog: Arc<Catalog>) -> Self {
        Self { client: client.limited_to(Methods::Reads), catalog }
    }

    /// Every guest that the token may see.
    pub async fn guests(&self) -> Result<Vec<Listed>, PveError> {
        let read = path(["cluster", "resources"]).and_then(|read| read.with("type", "vm"));
        let answer = self.client.get(&read.expect("a path of constants")).await?;
        let rows: Vec<&RawValue> = answer.data()?;
        // A row that is no guest's is left out.
        Ok(rows.into_iter().filter_map(|row| serde_json::from_str(row.get()).ok()).collect())
    }

    /// Whether the catalogue has a GET there that only reads.
    pub fn can_read(&self, template: &str) -> bool {
        self.catalog.template(Method::Get, template).is_some()
            && tier::of(self.catalog.product(), Method::Get, template).0 == Tier::Read
    }

    /// The same of a path with its values in it.
    pub fn can_read_at(&self, path: &str) -> bool {
        self.catalog.endpoint(Method::Get, path).is_ok_and(|found| self.can_read(&found.endpoint.path))
    }

    /// What `template` gives, with these values in its braces. A thing that is not there, or that may not be seen, is an
    /// answer; that nobody answered is an error.
    pub async fn look(
        &self,
        template: &str,
        named: &Map<String, Value>,
        query: &[(&str, &str)],
    ) -> Result<Seen, PveError> {
        if !self.can_read(template) {
            return Ok(Seen::Hidden(format!("the API has no GET {template}")));
        }
        let read = filled(template, named)
            .and_then(|read| query.iter().try_fold(read, |read, (name, value)| read.with(name, value)));
        let read = match read {
            Ok(read) => read,
            Err(error) => return Ok(Seen::Hidden(error.to_string())),
        };
        match self.client.get(&read).await {
            Ok(answer) => answer.data().map(Seen::There),
            Err(error) => seen(error),
        }
    }
}

/// Which refusals are answers.
fn seen(error: PveError) -> Result<Seen, PveError> {
    match &error {
        PveError::NotFound { .. } => Ok(Seen::Missing(error.to_string())),
        PveError::Failed {
            failure:
                Failure::NoSuchGuest | Failure::NoSuchStorage | Failure::NoSuchThing | Failure::NoSuchNode,
            ..
        } => Ok(Seen::Missing(error.to_string())),
        // `No such job 'weekly'` comes as a wrong parameter.
        PveError::BadParameters { errors, .. }
            if errors.values().any(|why| Failure::recognise(why) == Failure::NoSuchThing) =>
        {
            Ok(Seen::Missing(error.to_string()))
        }
        PveError::Forbidden { .. }
        | PveError::Failed { .. }
        | PveError::BadParameters { .. }
        | PveError::NotImplemented { .. }
        | PveError::Unexpected { .. } => Ok(Seen::Hidden(error.to_string())),
        _ => Err(error),
    }
}

fn path<'a>(segments: impl IntoIterator<Item = &'a str>) -> Result<Read, CallError> {
    Ok(Read::new(Path::of(segments)?))
}

/// A GET of `template` with these values in its braces.
fn filled(template: &str, named: &Map<String, Value>) -> Result<Read, CallError> {
    let segments = template.split('/').skip(1).map(|segment| {
        match segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}')) {
            Some(name) => named.get(name).map(fields::text).unwrap_or_default(),
            None => segment.to_owned(),
        }
    });
    Ok(Read::new(Path::of(segments.collect::<Vec<_>>())?))
}

/// The segments of a concrete path, decoded.
pub fn segments(path: &str) -> Vec<String> {
    path.split('/')
        .skip(1)
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect()
}
