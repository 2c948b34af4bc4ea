//! The text of catalogues, read for one release.

use std::{cell::Cell, collections::HashMap, sync::Arc};

use super::{
    TextError,
    line::{self, Words},
};
use crate::catalog::{
    Catalog, Endpoint, Format, Kind, Method, Parameter, Permission, PropertyKey, Schema, Variant, Variants,
};

/// Deeper than this no schema goes.
const MAX_DEPTH: usize = 24;

/// More schemas than this no release has, shared ones counted wherever they stand: today's have 10,000.
const MAX_SCHEMAS: usize = 50_000;

pub(super) fn catalog(text: &str, release: &str) -> Result<Catalog, TextError> {
    let lines = lines(text, release)?;
    let mut reader = Reader::new(&lines);
    let mut endpoints = Vec::new();
    let mut known = false;
    for number in reader.within(0..lines.len(), 0) {
        let line = &lines[number];
        let mut words = Words::new(line.text);
        match words.word() {
            Some("releases") => known = std::iter::from_fn(|| words.word()).any(|name| name == release),
            Some("share") => {
                let name = words.word().ok_or_else(|| line.error("share without a name"))?;
                // One that this release has not has no line left.
                if let Some(first) = reader.children(number).next() {
                    reader.shared.insert(name, first);
                }
            }
            Some(word) => {
                let method =
                    Method::from_name(word).ok_or_else(|| line.error("neither share nor a method"))?;
                endpoints
                    .push(reader.endpoint(number, method, words).map_err(|problem| line.error(problem))?);
            }
            None => {}
        }
    }
    if !known {
        return Err(TextError { line: 1, problem: format!("has no release {release}") });
    }
    Ok(Catalog::new(endpoints))
}

/// Parameters that stand outside of any endpoint and release.
pub(in crate::catalog) fn parameters(text: &str) -> Result<Vec<Parameter>, TextError> {
    let lines = lines(text, "")?;
    let reader = Reader::new(&lines);
    let read = |number: usize| {
        let line = &lines[number];
        reader.parameter(number, line.text).map(|key| key.parameter).map_err(|problem| line.error(problem))
    };
    reader.within(0..lines.len(), 0).map(read).collect()
}

struct Line<'a> {
    number: usize,
    depth: usize,
    text: &'a str,
}

impl Line<'_> {
    fn error(&self, problem: impl Into<String>) -> TextError {
        TextError { line: self.number, problem: problem.into() }
    }
}

/// Those that are there in this release, without their marks.
fn lines<'a>(text: &'a str, release: &str) -> Result<Vec<Line<'a>>, TextError> {
    let mut lines = Vec::new();
    let mut left_out = usize::MAX;
    for (number, line) in (1..).zip(text.lines()) {
        let mut text = line.trim_start_matches(' ');
        let depth = (line.len() - text.len()) / 2;
        if text.is_empty() || text.starts_with('#') || depth > left_out {
            continue;
        }
        left_out = usize::MAX;
        if let Some(marked) = text.strip_prefix('<') {
            let (releases, rest) = marked
                .split_once("> ")
                .ok_or_else(|| TextError { line: number, problem: "'<' without '> '".into() })?;
            if !releases.split(',').any(|name| name == release) {
                left_out = depth;
                continue;
            }
            text = rest;
        }
        if depth > MAX_DEPTH {
            return Err(TextError { line: number, problem: "is too deep".into() });
        }
        lines.push(Line { number, depth, text });
    }
    Ok(lines)
}

struct Reader<'a> {
    lines: &'a [Line<'a>],
    /// By name: the number of the one line.
    shared: HashMap<&'a str, usize>,
    parameters: HashMap<usize, Arc<Parameter>>,
    returns: HashMap<usize, Arc<Schema>>,
    /// Of schemas within schemas, shared ones included.
    depth: Cell<usize>,
    schemas: Cell<usize>,
}

/// A schema with what its line says beside it.
#[derive(Default)]
struct Described {
    schema: Schema,
    requires: Option<String>,
    by: Option<String>,
    cases: Vec<Variant>,
    alias: Option<String>,
    key_alias: Option<String>,
    is_default: bool,
}

impl<'a> Reader<'a> {
    fn new(lines: &'a [Line<'a>]) -> Self {
        Self {
            lines,
            shared: HashMap::new(),
            parameters: HashMap::new(),
            returns: HashMap::new(),
            depth: Cell::new(0),
            schemas: Cell::new(0),
        }
    }

    fn endpoint(&mut self, number: usize, method: Method, mut words: Words<'a>) -> Result<Endpoint, String> {
        let path = words.word().ok_or("a method without a path")?;
        let mut endpoint = Endpoint {
            product: crate::product::Product::Pve,
            method,
            path: path.to_owned(),
            description: String::new(),
            protected: false,
            proxyto: None,
            allowtoken: true,
            permission: Permission::Root,
            parameters: Vec::new(),
            additional: false,
            returns: Arc::default(),
        };
        while let Some(attribute) = words.attribute()? {
            match attribute.key {
                "protected" => endpoint.protected = true,
                "no-token" => endpoint.allowtoken = false,
                "additional" => endpoint.additional = true,
                "proxyto" => endpoint.proxyto = Some(attribute.text()?),
                "perm" => endpoint.permission = attribute.permission()?,
                other => return Err(format!("'{other}' says nothing of an endpoint")),
            }
        }
        for child in self.children(number) {
            let child = self.resolved(child)?;
            if let Some(rest) = self.lines[child].text.strip_prefix("returns ") {
                endpoint.returns = match self.returns.get(&child) {
                    Some(known) => Arc::clone(known),
                    None => {
                        let made = Arc::new(self.described(child, Words::new(rest))?.schema);
                        self.returns.insert(child, Arc::clone(&made));
                        made
                    }
                };
                continue;
            }
            let parameter = match self.parameters.get(&child) {
                Some(known) => Arc::clone(known),
                None => {
                    let made = Arc::new(self.parameter(child, self.lines[child].text)?.parameter);
                    self.parameters.insert(child, Arc::clone(&made));
                    made
                }
            };
            endpoint.parameters.push(parameter);
        }
        Ok(endpoint)
    }

    /// `?name[n] kind …`, as a key of a property string, which a parameter is the greater part of.
    fn parameter(&self, number: usize, text: &'a str) -> Result<PropertyKey, String> {
        let mut words = Words::new(text);
        let word = words.word().ok_or("a line without a name")?;
        let (word, optional) = word.strip_prefix('?').map_or((word, false), |word| (word, true));
        let (name, family) = word.strip_suffix("[n]").map_or((word, false), |name| (name, true));
        let described = self.described(number, words)?;
        let schema = described.cases.first().map_or(described.schema, |case| case.schema.clone());
        let variants = described.by.map(|property| Box::new(Variants { property, cases: described.cases }));
        Ok(PropertyKey {
            parameter: Parameter {
                name: name.to_owned(),
                family,
                optional,
                requires: described.requires,
                schema,
                variants,
            },
            is_default: described.is_default,
            alias: described.alias,
            key_alias: described.key_alias,
        })
    }

    fn described(&self, number: usize, mut words: Words<'a>) -> Result<Described, String> {
        let mut made = Described::default();
        let mut typed = words;
        if let Some(kind) = typed.word().and_then(line::kind) {
            made.schema.kind = kind;
            words = typed;
        }
        while let Some(attribute) = words.attribute()? {
            match attribute.key {
                "requires" => made.requires = Some(attribute.text()?),
                "by" => made.by = Some(attribute.text()?),
                "alias" => made.alias = Some(attribute.text()?),
                "key-alias" => made.key_alias = Some(attribute.text()?),
                "default-key" => made.is_default = true,
                _ if attribute.apply(&mut made.schema)? => {}
                other => return Err(format!("'{other}' says nothing of a schema")),
            }
        }
        if self.depth.get() > MAX_DEPTH {
            return Err("is too deep, or holds itself".into());
        }
        if self.schemas.replace(self.schemas.get() + 1) > MAX_SCHEMAS {
            return Err("is one of too many: what is shared within what is shared multiplies".into());
        }
        self.depth.set(self.depth.get() + 1);
        for child in self.children(number) {
            self.child(child, &mut made)?;
        }
        self.depth.set(self.depth.get() - 1);
        Ok(made)
    }

    fn child(&self, child: usize, made: &mut Described) -> Result<(), String> {
        let child = self.resolved(child)?;
        let text = self.lines[child].text;
        let schema = &mut made.schema;
        if let Some(rest) = text.strip_prefix("[] ") {
            schema.items = Some(Box::new(self.described(child, Words::new(rest))?.schema));
        } else if let Some(rest) = text.strip_prefix("{} ") {
            schema.values = Some(Box::new(self.described(child, Words::new(rest))?.schema));
        } else if let Some(rest) = text.strip_prefix("| ") {
            let mut words = Words::new(rest);
            let values = words.word().ok_or("a case without values")?;
            let rest = words.rest();
            let (rest, optional) = rest.strip_prefix('?').map_or((rest, false), |rest| (rest, true));
            let schema = self.described(child, Words::new(rest))?.schema;
            let values = values.split(',').map(str::to_owned).collect();
            made.cases.push(Variant { values, optional, schema });
        } else if let Some(rest) = text.strip_prefix(',') {
            match &mut schema.format {
                Some(Format::Properties(keys)) => keys.push(self.parameter(child, rest)?),
                _ => return Err("a key of what is no property string".into()),
            }
        } else {
            if !matches!(schema.kind, Kind::Object | Kind::Any | Kind::Array | Kind::String) {
                return Err("a property of what is no object".into());
            }
            schema.properties.push(self.parameter(child, text)?.parameter);
        }
        Ok(())
    }

    /// The line that an `@name` stands for.
    fn resolved(&self, number: usize) -> Result<usize, String> {
        match self.lines[number].text.strip_prefix('@') {
            None => Ok(number),
            Some(name) => {
                self.shared.get(name).copied().ok_or_else(|| format!("nothing is shared as {name}"))
            }
        }
    }

    fn children(&self, number: usize) -> impl Iterator<Item = usize> + use<'a> {
        self.within(number + 1..self.lines.len(), self.lines[number].depth + 1)
    }

    /// The lines of this depth before the first of a lesser one.
    fn within(&self, range: std::ops::Range<usize>, depth: usize) -> impl Iterator<Item = usize> + use<'a> {
        let lines = self.lines;
        range
            .take_while(move |number| lines[*number].depth >= depth)
            .filter(move |number| lines[*number].depth == depth)
    }
}
