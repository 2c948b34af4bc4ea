//! Parameters, checked before a call is made.
//!
//! In: the arguments of a call as a client gave them. Out: a [`Checked`] request, which is the only thing that can be
//! sent; or every [`Problem`] at once. What a schema says and nobody here can check is let through and said.

mod family;
mod format;
mod parts;
mod pattern;
mod problem;
mod property;
#[cfg(test)]
pub(crate) mod tests;
mod value;

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

pub use problem::{Fault, Problem};

use self::{
    family::Named,
    problem::nearest,
    value::{Findings, Place, Sent},
};
use super::{Endpoint, Match, Method, Parameter, Schema, path, segment};
use crate::{http::encoded, product::Product};

/// A request whose parameters are as the endpoint wants them. Only [`Endpoint::check`] makes one.
///
/// Its `Debug` names the parameters and withholds their values: passwords are among them.
#[derive(Clone, PartialEq)]
pub struct Checked {
    product: Product,
    method: Method,
    template: String,
    path: String,
    pairs: Vec<(String, String)>,
    protected: bool,
    node: Option<String>,
    unchecked: Vec<Unchecked>,
}

/// Something that a schema says and nobody here can check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unchecked {
    /// `net0`, or `net0.bridge` within a property string.
    pub parameter: String,
    /// `format pve-something-new`.
    pub what: String,
}

impl Checked {
    /// Whose API it is of.
    #[must_use]
    pub fn product(&self) -> Product {
        self.product
    }

    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// As the catalogue has it: `/nodes/{node}/lxc/{vmid}/config`.
    #[must_use]
    pub fn template(&self) -> &str {
        &self.template
    }

    /// Filled in and encoded: `/nodes/pve1/lxc/105/config`. Without `/api2/json` before it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What goes into the query or the body, in the order of the names; a name stands once for each of its values.
    #[must_use]
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// The same as arguments, each value the text that is sent; a name that stands more than once has a list.
    #[must_use]
    pub fn arguments(&self) -> Map<String, Value> {
        let mut arguments = Map::new();
        for (name, value) in &self.pairs {
            let value = Value::from(value.as_str());
            match arguments.get_mut(name) {
                None => drop(arguments.insert(name.clone(), value)),
                Some(Value::Array(values)) => values.push(value),
                Some(one) => *one = Value::Array(vec![one.take(), value]),
            }
        }
        arguments
    }

    /// The pairs as `application/x-www-form-urlencoded`, every `=` and `,` within a value encoded.
    #[must_use]
    pub fn form(&self) -> String {
        self.pairs
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect::<Vec<_>>()
            .join("&")
    }

    /// Runs in `pvedaemon` as root.
    #[must_use]
    pub fn protected(&self) -> bool {
        self.protected
    }

    /// The node that answers, where the endpoint says which parameter names it.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }

    #[must_use]
    pub fn unchecked(&self) -> &[Unchecked] {
        &self.unchecked
    }
}

impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.pairs.iter().map(|(name, _)| name).collect();
        write!(f, "{} {} {names:?}", self.method, self.path)
    }
}

impl Match<'_> {
    /// Checks `args` together with what stood in the path.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::check`]; and when `args` has another value for what stands in the path.
    pub fn check(&self, args: &Map<String, Value>) -> Result<Checked, Vec<Problem>> {
        let mut all = self.args();
        let mut conflicts = Vec::new();
        for (name, value) in args {
            let same = |captured: &Value| match value {
                Value::String(text) => captured == text,
                value => captured.as_str() == Some(&value.to_string()),
            };
            match all.get(name) {
                Some(captured) if same(captured) || value.is_null() => {}
                Some(_) => {
                    conflicts.push(Problem { parameter: name.clone(), key: None, fault: Fault::Conflict });
                }
                None => {
                    all.insert(name.clone(), value.clone());
                }
            }
        }
        match self.endpoint.check(&all) {
            Ok(checked) if conflicts.is_empty() => Ok(checked),
            Ok(_) => Err(conflicts),
            Err(problems) => Err(conflicts.into_iter().chain(problems).collect()),
        }
    }
}

impl Endpoint {
    /// The request that `args` make, those of the path among them. `null` is what was not given.
    ///
    /// # Errors
    ///
    /// Everything that PVE would refuse for its schema's sake, at once.
    pub fn check(&self, args: &Map<String, Value>) -> Result<Checked, Vec<Problem>> {
        let mut findings = Findings::default();
        let mut sent: BTreeMap<&str, Sent> = BTreeMap::new();
        for (name, value) in args.iter().filter(|(_, value)| !value.is_null()) {
            let place = Place { at: &self.path, parameter: name, key: None };
            let parameter = match self.named(name) {
                Named::Parameter(parameter) => parameter,
                Named::Beyond { highest } => {
                    let shown = problem::cut(name);
                    findings.refuse(
                        Place { at: &self.path, parameter: &shown, key: None },
                        Fault::Index { highest },
                    );
                    continue;
                }
                Named::Nothing => {
                    self.unknown(place, value, &mut findings, &mut sent);
                    continue;
                }
            };
            match candidates(parameter, place, args) {
                Ok(schemas) => {
                    if let Some(value) = any_of(&schemas, place, value, &mut findings) {
                        sent.insert(name, value);
                    }
                }
                Err(fault) => findings.refuse(place, fault),
            }
            if let Some(other) = parameter.requires.as_deref().filter(|other| !is_given(args, other)) {
                findings.refuse(
                    Place { at: &self.path, parameter: other, key: None },
                    Fault::RequiredBy(name.clone()),
                );
            }
        }
        for parameter in &self.parameters {
            if !parameter.family && !is_given(args, &parameter.name) && is_required(parameter, args) {
                findings
                    .refuse(Place { at: &self.path, parameter: &parameter.name, key: None }, Fault::Missing);
            }
        }
        let path = self.concrete(&sent, &mut findings);
        if !findings.problems.is_empty() {
            return Err(findings.problems);
        }
        let node = self.proxyto.as_deref().and_then(|name| match sent.get(name)? {
            Sent::One(node) => Some(node.clone()),
            Sent::Many(_) => None,
        });
        for captured in path::captures(&self.path) {
            sent.remove(captured);
        }
        let pairs = sent.into_iter().flat_map(|(name, value)| {
            let values = match value {
                Sent::One(value) => vec![value],
                Sent::Many(values) => values,
            };
            values.into_iter().map(|value| (name.to_owned(), value))
        });
        Ok(Checked {
            product: self.product,
            method: self.method,
            template: self.path.clone(),
            path,
            pairs: pairs.collect(),
            protected: self.protected,
            node,
            unchecked: findings.unchecked,
        })
    }

    /// The concrete path that `args` make, and those of them that are not part of it. Nothing else is checked: this is
    /// for showing a path, not for calling it.
    ///
    /// # Errors
    ///
    /// When one of the path is missing, or cannot stand in a path.
    pub fn render(&self, args: &Map<String, Value>) -> Result<(String, Map<String, Value>), Vec<Problem>> {
        let mut findings = Findings::default();
        let mut sent: BTreeMap<&str, Sent> = BTreeMap::new();
        let mut rest = args.clone();
        for name in path::captures(&self.path) {
            let place = Place { at: &self.path, parameter: name, key: None };
            match rest.remove(name).filter(|value| !value.is_null()) {
                Some(value) => {
                    place
                        .check(&Schema::default(), &value, &mut findings)
                        .map(|value| sent.insert(name, value));
                }
                None => findings.refuse(place, Fault::Missing),
            }
        }
        let path = self.concrete(&sent, &mut findings);
        if findings.problems.is_empty() { Ok((path, rest)) } else { Err(findings.problems) }
    }

    /// A name that the endpoint does not list.
    fn unknown<'a>(
        &self,
        place: Place<'a>,
        value: &Value,
        findings: &mut Findings,
        sent: &mut BTreeMap<&'a str, Sent>,
    ) {
        let nearest =
            nearest(place.parameter, self.parameters.iter().map(|parameter| parameter.name.as_str()));
        let shown = problem::cut(place.parameter);
        if !self.additional || shown != place.parameter {
            findings
                .refuse(Place { at: &self.path, parameter: &shown, key: None }, Fault::Unknown { nearest });
            return;
        }
        let what = match nearest.first() {
            Some(nearest) => {
                format!("name that the schema lets pass and does not list; near it is {nearest}")
            }
            None => "name that the schema lets pass and does not list".into(),
        };
        findings.unchecked.push(Unchecked { parameter: place.parameter.to_owned(), what });
        if let Some(value) = place.check(&Schema::default(), value, findings) {
            sent.insert(place.parameter, value);
        }
    }

    /// The path with its parameters filled in.
    fn concrete(&self, sent: &BTreeMap<&str, Sent>, findings: &mut Findings) -> String {
        let mut concrete = String::new();
        for part in self.path.split('/').skip(1) {
            concrete.push('/');
            let Some(name) = path::capture(part) else {
                concrete.push_str(part);
                continue;
            };
            // One that is not here has been complained of.
            let Some(Sent::One(value)) = sent.get(name) else { continue };
            match segment::encode(value, name) {
                Ok(encoded) => concrete.push_str(&encoded),
                Err(fault) => {
                    findings.refuse(Place { at: &self.path, parameter: name, key: None }, Fault::Path(fault))
                }
            }
        }
        concrete
    }
}

fn is_given(args: &Map<String, Value>, name: &str) -> bool {
    args.get(name).is_some_and(|value| !value.is_null())
}

/// The value of the parameter that decides about others, if it was given.
fn deciding<'a>(args: &'a Map<String, Value>, property: &str) -> Option<&'a str> {
    args.get(property)?.as_str()
}

/// What may count for this parameter beside these others; one of several is enough.
fn candidates<'a>(
    parameter: &'a Parameter,
    place: Place<'_>,
    args: &Map<String, Value>,
) -> Result<Vec<&'a Schema>, Fault> {
    let Some(variants) = &parameter.variants else { return Ok(vec![&parameter.schema]) };
    // Where nothing decides, PVE knows from what it has on record, and any may be right.
    let Some(value) = deciding(args, &variants.property) else {
        return Ok(variants.cases.iter().map(|case| &case.schema).collect());
    };
    match variants.cases.iter().find(|case| case.values.iter().any(|known| known == value)) {
        Some(case) => Ok(vec![&case.schema]),
        None => Err(Fault::NotWith {
            property: variants.property.clone(),
            value: problem::shown(Place { parameter: &variants.property, ..place }, value),
            values: variants.cases.iter().flat_map(|case| case.values.iter().cloned()).collect(),
        }),
    }
}

/// The value as it is sent, by the first of `schemas` that takes it; what the first has against it if none does.
fn any_of(schemas: &[&Schema], place: Place<'_>, value: &Value, findings: &mut Findings) -> Option<Sent> {
    let mut first = None;
    for schema in schemas {
        let mut own = Findings::default();
        if let Some(sent) = place.check(schema, value, &mut own) {
            findings.append(own);
            return Some(sent);
        }
        first.get_or_insert(own);
    }
    findings.append(first.unwrap_or_default());
    None
}

fn is_required(parameter: &Parameter, args: &Map<String, Value>) -> bool {
    let Some(variants) = &parameter.variants else { return !parameter.optional };
    deciding(args, &variants.property).is_some_and(|value| {
        variants.cases.iter().any(|case| !case.optional && case.values.iter().any(|known| known == value))
    })
}
