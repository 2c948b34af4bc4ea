//! What is asked for, made one checked call: by method and path, its blanks filled in, or by plain words.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::eyes::{Eyes, Listed};
use super::{Refused, reach};
use crate::catalog::tier::{self, Judgement};
use crate::catalog::{Catalog, Checked, Endpoint, Kind, Method};
use crate::product::Product;
use crate::text::clean;

/// All but what RFC 3986 never lets mean anything.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Bytes of all arguments together, as JSON.
const MOST_ARGS: usize = 256 << 10;
/// Characters of a path or of words that a message shows.
const SHOWN: usize = 120;

/// What a client asks for.
#[derive(Clone)]
pub struct Ask {
    /// Where it was given.
    pub method: Option<Method>,
    /// A path, a template with blanks, or words ([`super::words`]).
    pub path: String,
    pub args: Map<String, Value>,
}

/// One call that changes something, with right parameters and its tier.
#[derive(Clone)]
pub struct Request {
    pub checked: Checked,
    /// What stands in the path, decoded.
    pub captured: Map<String, Value>,
    /// The other arguments, as they would be sent.
    pub args: Map<String, Value>,
    pub judgement: Judgement,
    /// Every guest that it names or reaches.
    pub guests: Vec<u32>,
}

/// Without values: passwords are among them.
impl fmt::Debug for Request {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.checked.fmt(to)
    }
}

impl Request {
    pub fn product(&self) -> Product {
        self.checked.product()
    }

    pub fn method(&self) -> Method {
        self.checked.method()
    }

    pub fn template(&self) -> &str {
        self.checked.template()
    }

    pub fn path(&self) -> &str {
        self.checked.path()
    }

    /// `PUT /nodes/{node}/lxc/{vmid}/config`
    pub fn endpoint(&self) -> String {
        format!("{} {}", self.method(), self.template())
    }

    /// An argument as text, from the path or beside it.
    pub fn text(&self, name: &str) -> Option<String> {
        self.captured.get(name).or_else(|| self.args.get(name)).map(super::fields::text)
    }

    pub fn flag(&self, name: &str) -> bool {
        self.args.get(name).is_some_and(|value| super::fields::truth(value) == Some(true))
    }

    /// The guest that the path is of.
    pub fn guest(&self) -> Option<u32> {
        self.template().contains("/{vmid}").then(|| self.text("vmid")?.parse().ok()).flatten()
    }

    pub fn kind(&self) -> Option<&'static str> {
        ["lxc", "qemu"].into_iter().find(|kind| {
            self.template().strip_prefix("/nodes/{node}/").is_some_and(|rest| {
                rest.strip_prefix(kind).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        })
    }

    /// The same with one more argument.
    pub fn with(&self, catalog: &Catalog, name: &str, value: Value) -> Result<Self, Refused> {
        let mut args = self.args.clone();
        args.insert(name.to_owned(), value);
        Self::of(catalog, self.method(), self.path(), args, self.guests.clone())
    }

    /// Of a whole path, nothing in it left blank.
    pub fn of(
        catalog: &Catalog,
        method: Method,
        path: &str,
        mut args: Map<String, Value>,
        guests: Vec<u32>,
    ) -> Result<Self, Refused> {
        if method == Method::Get {
            return Err(Refused::NoChange { path: shown(path) });
        }
        let found = catalog
            .endpoint(method, path)
            .map_err(|error| Refused::NoEndpoint { path: shown(path), why: error.to_string() })?;
        args.retain(|_, value| !value.is_null());
        let checked = found.check(&args).map_err(|problems| Refused::Parameters {
            endpoint: format!("{method} {}", found.endpoint.path),
            problems: problems.iter().map(ToString::to_string).collect(),
        })?;
        let captured = found.args();
        // Whatever is judged, shown and compared from here on is what would be sent, not what was given: the same value
        // can be given in several ways, and a look at one of them is not a look at the others.
        let args = sent(found.endpoint, &checked);
        let judgement = tier::judge(found.endpoint.product, method, &found.endpoint.path, &args);
        Ok(Self { checked, captured, args, judgement, guests })
    }

    /// The endpoint that is meant, if any is, and the guest in its path: what can be said of a call before its arguments
    /// are right.
    pub fn endpoint_of<'a>(catalog: &'a Catalog, ask: &Ask) -> Option<(&'a Endpoint, Option<u32>)> {
        let (method, path) = named(ask.method, &ask.path).ok()?;
        if let Some(endpoint) = catalog.template(method, path) {
            return Some((endpoint, None));
        }
        let found = catalog.endpoint(method, path).ok()?;
        let guest = found.args().get("vmid").map(super::fields::text).and_then(|vmid| vmid.parse().ok());
        Some((found.endpoint, guest))
    }

    /// What the client asks for by a path, every blank filled in and every guest known.
    pub async fn read(eyes: &Eyes, ask: Ask) -> Result<Self, Refused> {
        let size = serde_json::to_vec(&ask.args).map_or(usize::MAX, |text| text.len());
        if size > MOST_ARGS {
            return Err(Refused::TooMuch { bytes: size, most: MOST_ARGS });
        }
        let Ask { method, path, mut args } = ask;
        let (method, path) = named(method, &path)?;
        let path = fill(eyes, path, &mut args).await?;
        chosen_for(method, &path, &mut args);
        let mut request = Self::of(&eyes.catalog, method, &path, args, Vec::new())?;
        if let Some((name, _)) = request.args.iter().find(|(_, value)| holds_nul(value)) {
            let problems = vec![format!("{name}: holds a NUL byte, which PVE cannot take")];
            return Err(Refused::Parameters { endpoint: request.endpoint(), problems });
        }
        // Every daemon of PVE's takes itself for it. What is limited to a node, or denied on it, is not got around by that.
        if request.captured.get("node").is_some_and(|node| super::fields::text(node) == "localhost") {
            let node = eyes.client.node().await?;
            let path = path.replacen("/nodes/localhost", &format!("/nodes/{node}"), 1);
            request = Self::of(&eyes.catalog, method, &path, request.args, Vec::new())?;
        }
        request.guests = reach::guests(eyes, &request).await?;
        Ok(request)
    }
}

/// The arguments as they would be sent; numbers as numbers where the endpoint has them so.
fn sent(endpoint: &Endpoint, checked: &Checked) -> Map<String, Value> {
    let mut args = checked.arguments();
    for (name, value) in &mut args {
        let kind = endpoint.parameter(name).map(|parameter| parameter.schema.kind);
        if let (Some(Kind::Integer | Kind::Boolean), Value::String(text)) = (kind, &*value)
            && let Ok(number) = text.parse::<i64>()
            && number.to_string() == *text
        {
            *value = number.into();
        }
    }
    args
}

/// What releases of PVE choose differently where nothing is said: the safe way is said. Until 9.0 a new container was
/// privileged.
fn chosen_for(method: Method, path: &str, args: &mut Map<String, Value>) {
    let new = method == Method::Post && path.starts_with("/nodes/") && path.ends_with("/lxc");
    if new && !args.contains_key("unprivileged") && !args.contains_key("restore") {
        args.insert("unprivileged".to_owned(), 1.into());
    }
}

/// The method, where the text has one or it was given, and the path or the words behind it.
pub fn split(method: Option<Method>, given: &str) -> (Option<Method>, &str) {
    let given = given.trim();
    let (method, given) = match given.split_once(' ') {
        Some((word, path)) if path.trim_start().starts_with('/') => match (Method::from_name(word), method) {
            (Some(said), None) => (Some(said), path.trim()),
            (Some(said), Some(method)) if said == method => (Some(said), path.trim()),
            _ => (method, given),
        },
        _ => (method, given),
    };
    let given = given.strip_prefix("/api2/json").filter(|rest| rest.starts_with('/')).unwrap_or(given);
    (method, given)
}

/// The method and the path that are meant, blanks still in it.
fn named(method: Option<Method>, given: &str) -> Result<(Method, &str), Refused> {
    let (method, path) = split(method, given);
    if !path.starts_with('/') {
        return Err(Refused::Words { words: shown(path) });
    }
    Ok((method.ok_or_else(|| Refused::NoMethod { path: shown(path) })?, path))
}

/// Fills in blanks: from `args`, and the node by where the guest is, or as this one.
async fn fill(eyes: &Eyes, path: &str, args: &mut Map<String, Value>) -> Result<String, Refused> {
    if !path.contains('{') {
        return Ok(path.to_owned());
    }
    let mut segments: Vec<String> = path.split('/').map(str::to_owned).collect();
    for at in 0..segments.len() {
        let Some(name) = segments[at].strip_prefix('{').and_then(|name| name.strip_suffix('}')) else {
            continue;
        };
        let value = match args.remove(name) {
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) => number.to_string(),
            _ if name == "node" => node(eyes, &segments, args).await?,
            _ => return Err(Refused::Blank { path: shown(path), name: shown(name) }),
        };
        segments[at] = utf8_percent_encode(&value, ENCODED).to_string();
    }
    Ok(segments.join("/"))
}

async fn node(eyes: &Eyes, segments: &[String], args: &Map<String, Value>) -> Result<String, Refused> {
    let guest = segments.iter().position(|segment| segment == "qemu" || segment == "lxc");
    let guest = guest.and_then(|at| match segments.get(at + 1)?.as_str() {
        "{vmid}" => args.get("vmid").map(super::fields::text),
        segment => Some(segment.to_owned()),
    });
    let Some(vmid) = guest.and_then(|guest| guest.parse::<u32>().ok()) else {
        return eyes.client.node().await.map_err(Refused::from);
    };
    let guests: Vec<Listed> = eyes.guests().await?;
    let found = guests.into_iter().find(|guest| guest.vmid == vmid);
    found.map(|guest| guest.node).ok_or(Refused::NoGuest { vmid })
}

/// It would be refused as it is sent, by a call that has used the plan up.
fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(fields) => fields.values().any(holds_nul),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// What a message may show of what was typed.
pub fn shown(text: &str) -> String {
    let mut shown: String = clean(text.as_bytes()).replace('\n', " ").chars().take(SHOWN).collect();
    if text.chars().count() > SHOWN {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
