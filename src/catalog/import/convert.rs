//! From PVE's words to ours: parameters that are the same are one, and what depends on another value says so.

use std::{borrow::Cow, collections::HashMap, hash::Hash, mem, sync::Arc};

use super::{
    ImportError,
    permission::permission,
    raw::{self, Additional, Info, Node, Pairs, Scalar, Text},
};
use crate::catalog::{
    Catalog, Endpoint, Format, Kind, Method, Parameter, PropertyKey, Schema, Variant, Variants,
    path::{self, captures},
};

/// Every endpoint of a tree.
pub(super) fn tree(roots: Vec<Node<'_>>) -> Result<Catalog, ImportError> {
    let mut converter = Converter::default();
    let mut open = roots;
    while let Some(Node { path, info, children }) = open.pop() {
        for (method, info) in info.0 {
            converter.endpoint(&path.0, &method, info)?;
        }
        open.extend(children);
    }
    converter.finish()
}

#[derive(Default)]
pub(super) struct Converter<'a> {
    has_root: bool,
    endpoints: Vec<Endpoint>,
    parameters: HashMap<(Cow<'a, str>, raw::Schema<'a>), Arc<Parameter>>,
    returns: HashMap<raw::Schema<'a>, Arc<Schema>>,
}

impl<'a> Converter<'a> {
    /// One method of one path. A method that HTTP may have and PVE does not is left out: nothing here could call it.
    pub(super) fn endpoint(&mut self, path: &str, method: &str, info: Info<'a>) -> Result<(), ImportError> {
        let Some(method) = Method::from_name(method) else { return Ok(()) };
        // The root of some products is an index too, and names no thing.
        if path == "/" {
            self.has_root = true;
            return Ok(());
        }
        if !path::is_template(path) {
            return Err(ImportError::Path { path: path.chars().take(200).collect() });
        }
        let (properties, additional) = flat(info.parameters);
        let mut parameters: Vec<_> =
            properties.into_iter().map(|(name, schema)| self.parameter(name, schema)).collect();
        for captured in captures(path) {
            match parameters.iter_mut().find(|parameter| parameter.name == captured) {
                // Not to be left out here, whatever it is elsewhere.
                Some(parameter) if parameter.optional => {
                    *parameter = Arc::new(Parameter { optional: false, ..Parameter::clone(parameter) });
                }
                Some(_) => {}
                None => parameters.push(self.parameter(
                    Cow::Owned(captured.to_owned()),
                    raw::Schema { kind: Some(Text(Cow::Borrowed("string"))), ..raw::Schema::default() },
                )),
            }
        }
        parameters.sort_by(|a, b| (&a.name, a.family).cmp(&(&b.name, b.family)));
        let returns = shared(&mut self.returns, info.returns, schema);
        self.endpoints.push(Endpoint {
            product: crate::product::Product::Pve,
            method,
            path: path.to_owned(),
            description: text(info.description),
            protected: info.protected.0,
            proxyto: info.proxyto.map(owned),
            allowtoken: info.allowtoken.0,
            permission: permission(info.permissions),
            parameters,
            additional,
            returns,
        });
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Catalog, ImportError> {
        if self.endpoints.is_empty() && self.has_root {
            return Err(ImportError::Path { path: "/".to_owned() });
        }
        if self.endpoints.is_empty() {
            return Err(ImportError::Empty);
        }
        Ok(Catalog::new(self.endpoints))
    }

    fn parameter(&mut self, name: Cow<'a, str>, schema: raw::Schema<'a>) -> Arc<Parameter> {
        shared(&mut self.parameters, (name, schema), |(name, schema)| parameter(name, schema))
    }
}

/// What was made of the same thing before, or what `make` makes of it now.
fn shared<K: Hash + Eq, V>(known: &mut HashMap<K, Arc<V>>, key: K, make: impl FnOnce(&K) -> V) -> Arc<V> {
    if let Some(value) = known.get(&key) {
        return Arc::clone(value);
    }
    let value = Arc::new(make(&key));
    known.insert(key, Arc::clone(&value));
    value
}

/// The parameters of an object, whether others may come beside them; `allOf` and the cases of `oneOf` laid together.
fn flat(mut schema: raw::Schema<'_>) -> (Vec<(Cow<'_, str>, raw::Schema<'_>)>, bool) {
    let mut properties = mem::take(&mut schema.properties).0;
    // As in JSON schema, what nobody forbids is allowed.
    let mut additional = !matches!(schema.additional, Some(Additional::Allowed(false)));
    if !schema.all_of.is_empty() {
        additional = true;
        for part in schema.all_of {
            let (more, open) = flat(part);
            additional &= open;
            properties.extend(more);
        }
    }
    if let Some(deciding) = schema.type_property {
        let cases = schema.one_of.len();
        let mut by_name: Vec<(Cow<'_, str>, Vec<raw::Schema<'_>>)> = Vec::new();
        for mut case in schema.one_of {
            additional &= !matches!(case.additional, Some(Additional::Allowed(false)));
            let instance = case.instance_type.take().or(case.title.take());
            for (name, mut property) in case.properties.0 {
                property.instance_types = instance.iter().cloned().collect();
                match by_name.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, found)) => found.push(property),
                    None => by_name.push((name, vec![property])),
                }
            }
        }
        for (name, mut found) in by_name {
            properties.push((
                name,
                match found.len() {
                    all if all == cases
                        && found.windows(2).all(|pair| same_but_for_types(&pair[0], &pair[1])) =>
                    {
                        let mut one = found.swap_remove(0);
                        one.instance_types.clear();
                        one
                    }
                    _ => raw::Schema {
                        one_of: found,
                        type_property: Some(deciding.clone()),
                        ..raw::Schema::default()
                    },
                },
            ));
        }
        if let Some(schema) = schema.type_property_schema {
            properties.push((deciding.0, *schema));
        }
    }
    properties.sort_by(|(a, _), (b, _)| a.cmp(b));
    properties.dedup_by(|(b, _), (a, _)| a == b);
    (properties, additional)
}

fn same_but_for_types(a: &raw::Schema<'_>, b: &raw::Schema<'_>) -> bool {
    parameter("", a).schema == parameter("", b).schema && a.optional == b.optional
}

/// `net[n]` is a family named `net`.
fn parameter(name: &str, raw: &raw::Schema<'_>) -> Parameter {
    let (name, family) = name.strip_suffix("[n]").map_or((name, false), |name| (name, true));
    let (schema, optional, variants) = match &raw.type_property {
        Some(property) if !raw.one_of.is_empty() => {
            let cases: Vec<Variant> = raw.one_of.iter().map(variant).collect();
            let first = cases.first().map(|case| case.schema.clone()).unwrap_or_default();
            (first, true, Some(Variants { property: property.0.clone().into_owned(), cases }))
        }
        Some(property) if !raw.instance_types.is_empty() => {
            let case = variant(raw);
            (
                case.schema.clone(),
                true,
                Some(Variants { property: property.0.clone().into_owned(), cases: vec![case] }),
            )
        }
        _ => (schema(raw), raw.optional.0, None),
    };
    Parameter {
        name: name.to_owned(),
        family,
        optional: optional || family,
        requires: raw.requires.clone().map(owned),
        schema,
        variants: variants.map(Box::new),
    }
}

fn variant(raw: &raw::Schema<'_>) -> Variant {
    Variant {
        values: raw.instance_types.iter().cloned().map(owned).collect(),
        optional: raw.optional.0,
        schema: schema(raw),
    }
}

fn schema(raw: &raw::Schema<'_>) -> Schema {
    Schema {
        kind: kind(raw),
        description: text(raw.description.clone()),
        choices: raw.choices.iter().flatten().map(Scalar::to_text).collect(),
        minimum: raw.minimum.as_ref().and_then(Scalar::to_number),
        maximum: raw.maximum.as_ref().and_then(Scalar::to_number),
        min_length: raw.min_length.as_ref().and_then(Scalar::to_length),
        max_length: raw.max_length.as_ref().and_then(Scalar::to_length),
        pattern: raw.pattern.clone().map(owned).map(bare),
        format: raw.format.as_ref().map(format),
        default: raw.default.as_ref().map(Scalar::to_json),
        items: raw.items.as_deref().map(|items| Box::new(schema(items))),
        properties: properties(raw),
        values: match &raw.additional {
            Some(Additional::Each(values)) => Some(Box::new(schema(values))),
            _ => None,
        },
    }
}

fn properties(raw: &raw::Schema<'_>) -> Vec<Parameter> {
    let mut properties: Vec<_> =
        raw.properties.0.iter().map(|(name, schema)| parameter(name, schema)).collect();
    properties.sort_by(|a, b| (&a.name, a.family).cmp(&(&b.name, b.family)));
    properties
}

/// As it says, or by what it has: some schemas of PVE name no type.
fn kind(raw: &raw::Schema<'_>) -> Kind {
    match raw.kind.as_ref().map(|kind| &*kind.0) {
        Some("null") => Kind::Null,
        Some("string") => Kind::String,
        Some("integer") => Kind::Integer,
        Some("number") => Kind::Number,
        Some("boolean") => Kind::Boolean,
        Some("array") => Kind::Array,
        Some("object") => Kind::Object,
        Some(_) => Kind::Any,
        None if raw.items.is_some() => Kind::Array,
        None if !raw.properties.0.is_empty() => Kind::Object,
        None if raw.choices.is_some() || raw.format.is_some() || raw.pattern.is_some() => Kind::String,
        None => Kind::Any,
    }
}

fn format(raw: &raw::Format<'_>) -> Format {
    match raw {
        raw::Format::Named(name) => Format::Named(name.clone().into_owned()),
        raw::Format::Keys(Pairs(keys)) => Format::Properties(
            keys.iter()
                .map(|(name, raw)| PropertyKey {
                    parameter: parameter(name, raw),
                    is_default: raw.default_key.0,
                    alias: raw.alias.clone().map(owned),
                    key_alias: raw.key_alias.clone().map(owned),
                })
                .collect(),
        ),
    }
}

/// A pattern that stands between slashes, as in JavaScript, without them.
fn bare(pattern: String) -> String {
    match pattern.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
        Some(inner) if inner.starts_with('^') => inner.to_owned(),
        _ => pattern,
    }
}

impl Scalar<'_> {
    fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone().into_owned(),
            Self::Integer(number) => number.to_string(),
            Self::Float(bits) => f64::from_bits(*bits).to_string(),
        }
    }

    fn to_number(&self) -> Option<f64> {
        match self {
            Self::Text(text) => text.trim().parse().ok(),
            Self::Integer(number) => Some(*number as f64),
            Self::Float(bits) => Some(f64::from_bits(*bits)),
        }
    }

    fn to_length(&self) -> Option<u32> {
        self.to_number().filter(|length| *length >= 0.0).map(|length| length as u32)
    }

    fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.clone().into_owned().into(),
            Self::Integer(number) => (*number).into(),
            Self::Float(bits) => f64::from_bits(*bits).into(),
        }
    }
}

pub(super) fn text(raw: Option<Text<'_>>) -> String {
    raw.map(owned).unwrap_or_default()
}

fn owned(text: Text<'_>) -> String {
    text.0.into_owned()
}
