//! What is to be read: a path, a template with blanks, a UPID or plain words become one checked GET.

use std::sync::Arc;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::cursor::FARTHEST;
use super::normalise::{Asked, normalise};
use super::page::View;
use super::words;
use crate::catalog::{Checked, Endpoint, Kind, Method, PathError, Schema};
use crate::http::encoded;
use crate::pve::{loose, task};
use crate::tools::answer::Failure;
use crate::tools::api::{Permitted, Reader};
use crate::tools::guests;

/// Characters of a path or of words that a message shows.
const SHOWN: usize = 120;

/// Rows that are looked at, of a list that PVE gives in parts, where they have to be seen.
pub const SEEN: usize = 5_000;

/// A GET whose parameters are right.
pub struct Target {
    checked: Checked,
    permitted: Permitted,
    returns: Arc<Schema>,
    /// Whether PVE gives this list in parts, by `start` and `limit`.
    in_parts: bool,
    /// The part that the caller's arguments name, if they name one.
    pub own: Part,
    /// The part to ask for.
    part: Option<Part>,
}

/// A part of a list that PVE gives in parts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Part {
    /// The first row.
    pub start: Option<usize>,
    pub rows: Option<usize>,
}

impl Part {
    const NAMES: [&str; 2] = ["start", "limit"];

    /// Takes it out of arguments that were checked.
    fn take(args: &mut Map<String, Value>) -> Result<Self, Failure> {
        let [start, rows] = Self::NAMES.map(|name| args.remove(name));
        let number = |value: Option<Value>| value.and_then(|value| loose::u64(value).ok());
        let (start, rows) = (number(start), number(rows).filter(|rows| *rows > 0));
        if start.is_some_and(|start| start > FARTHEST as u64) {
            let message = format!("start: no list is longer than {FARTHEST} rows");
            return Err(Failure::new("parameters", message, "correct it and call again"));
        }
        let bounded = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).min(FARTHEST);
        Ok(Self { start: start.map(bounded), rows: rows.map(bounded) })
    }
}

impl Target {
    pub fn path(&self) -> &str {
        self.checked.path()
    }

    pub fn template(&self) -> &str {
        self.checked.template()
    }

    /// The question as a text: its path and its arguments.
    pub fn name(&self) -> String {
        format!("{}?{} {:?}", self.checked.path(), self.checked.form(), self.own)
    }

    /// The fields that the rows, or the object, are declared to have.
    pub fn declared(&self) -> Vec<&str> {
        let schema = self.returns.items.as_deref().unwrap_or(&self.returns);
        schema.properties.iter().map(|property| property.name.as_str()).collect()
    }

    /// Whether a list is what the API describes there.
    pub fn is_list(&self) -> bool {
        self.returns.kind == Kind::Array
    }

    pub fn captured(&self, name: &str) -> Option<String> {
        let value =
            self.template().split('/').zip(self.path().split('/')).find_map(|(template, segment)| {
                (template.strip_prefix('{')?.strip_suffix('}')? == name).then_some(segment)
            })?;
        percent_decode_str(value).decode_utf8().ok().map(Into::into)
    }

    /// Whether PVE itself gives pages of what `view` asks for: it can, and no row has to be seen to choose among them.
    pub fn is_paged_by_pve(&self, view: &View, is_scoped: bool) -> bool {
        self.in_parts && view.filter.fields().next().is_none() && view.by.is_empty() && !is_scoped
    }

    /// Asks PVE for these rows of a list that it gives in parts.
    pub fn ask_for(&mut self, start: usize, rows: usize) {
        self.part = self.in_parts.then_some(Part { start: Some(start), rows: Some(rows) });
    }

    pub fn permitted(&self) -> Permitted {
        let named = self.part.iter().flat_map(|part| Part::NAMES.into_iter().zip([part.start, part.rows]));
        self.permitted.clone().part(named.filter_map(|(name, number)| Some((name, number?))).collect())
    }
}

/// What a client means by `asked`.
pub async fn find(reader: &Reader, asked: &str, args: Map<String, Value>) -> Result<Target, Failure> {
    match normalise(reader.catalog.product(), asked) {
        Asked::Task(upid) => of_path(reader, task::status(&upid).path().as_str(), args).await,
        Asked::NoTask(text) => {
            let message = format!("{} begins as a UPID does, and is none", shown(&text));
            Err(Failure::new(
                "path",
                message,
                "give it whole, as the task's list or the call that began it gave it",
            ))
        }
        Asked::Path(path) => of_path(reader, &path, args).await,
        Asked::Change(method, path) => Err(changes(method, &shown(&path))),
        Asked::Words(words) => {
            let (path, args) = words::to_path(reader, &words, args).await?;
            of_path(reader, &path, args).await
        }
    }
}

/// A path of the API, its blanks (`{node}`) filled in from the arguments, or by what there is.
pub async fn of_path(reader: &Reader, path: &str, mut args: Map<String, Value>) -> Result<Target, Failure> {
    let filled = fill(reader, path, &mut args).await?;
    let found = match reader.catalog.endpoint(Method::Get, &filled) {
        Ok(found) => found,
        Err(error) => return Err(no_endpoint(path, error)),
    };
    reader.may(&found.endpoint.path, &filled)?;
    if gives_a_file(&found.endpoint.path) {
        let message = format!("{} gives a file's bytes, and `read` shows data", shown(path));
        let next =
            "read what lists the files beside it; the file itself is downloaded in PVE's web interface";
        return Err(Failure::new("not_a_read", message, next));
    }
    let check = |args: &Map<String, Value>| {
        found.check(args).map_err(|problems| {
            let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
            let next =
                format!("correct them and call again; `find` tells what GET {} takes", found.endpoint.path);
            Failure::new("parameters", texts.join("; "), next)
        })
    };
    let in_parts = is_in_parts(found.endpoint);
    let mut checked = check(&args)?;
    let mut own = Part::default();
    if in_parts && Part::NAMES.iter().any(|name| args.contains_key(*name)) {
        own = Part::take(&mut args)?;
        checked = check(&args)?;
    }
    Ok(Target {
        permitted: reader.permit(&checked)?,
        checked,
        returns: found.endpoint.returns.clone(),
        in_parts,
        own,
        part: None,
    })
}

/// Whether what is answered there is no JSON, but a file.
fn gives_a_file(template: &str) -> bool {
    template.ends_with("/file-restore/download")
}

fn is_in_parts(endpoint: &Endpoint) -> bool {
    let has = |name: &str| endpoint.parameters.iter().any(|parameter| parameter.name == name);
    has("start") && has("limit")
}

/// Fills in blanks: from `args`, and the node by where the guest is, or as this one.
async fn fill(reader: &Reader, path: &str, args: &mut Map<String, Value>) -> Result<String, Failure> {
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
            _ if name == "node" => match guest_in(&segments, args) {
                Some(guest) => guests::locate(reader, guest).await?.node,
                None => reader.node().await?,
            },
            _ => {
                let message = format!("{} has a blank: {{{}}}", shown(path), shown(name));
                return Err(Failure::new("parameters", message, format!("give {} in args", shown(name))));
            }
        };
        segments[at] = encoded(&value).to_string();
    }
    Ok(segments.join("/"))
}

/// The guest that a path with blanks is about.
fn guest_in(segments: &[String], args: &Map<String, Value>) -> Option<u32> {
    let at = segments.iter().position(|segment| segment == "qemu" || segment == "lxc")? + 1;
    let given = match segments.get(at)?.as_str() {
        "{vmid}" => {
            args.get("vmid")?.as_str().map(str::to_owned).or_else(|| Some(args.get("vmid")?.to_string()))?
        }
        segment => segment.to_owned(),
    };
    given.parse().ok()
}

fn no_endpoint(path: &str, error: PathError) -> Failure {
    let shown = shown(path);
    match error {
        PathError::Method { exist, .. } => {
            let methods: Vec<&str> = exist.iter().map(|method| method.name()).collect();
            let message = format!("{shown} cannot be read: it has {} only", methods.join(", "));
            Failure::new("not_a_read", message, "`plan` is for what changes something")
        }
        PathError::Unknown { .. } => {
            let next = "`find` finds paths by plain words, and `read` takes such words as well";
            Failure::new("no_such_path", format!("{shown}: {error}"), next)
        }
        PathError::Malformed(_) => Failure::new(
            "path",
            format!("{shown}: {error}"),
            "a path is as `find` gives it; parameters go into args",
        ),
    }
}

/// A read that words, or a method, turned into a change.
pub fn changes(method: Method, path: &str) -> Failure {
    let message = format!("{method} {path} changes something, and `read` only reads");
    Failure::new(
        "not_a_read",
        message,
        format!("`plan` with method {method} and this path shows what it would do"),
    )
}

fn shown(text: &str) -> String {
    crate::text::brief(text, SHOWN)
}
