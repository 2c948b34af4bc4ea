//! Every parameter of every mutating endpoint of every release: what its schema accepts is accepted, and what it
//! refuses is refused, by name and alone.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::samples::{bad, good, is_properties, properties, word};
use crate::catalog::{
    Catalog, Endpoint, Fault, Format, Method, Parameter, Problem, PropertyKey, Release, Schema,
    check::{family::highest, format, property::Origin},
    testing,
};

#[test]
fn of_8_4() {
    every(Release::V8_4, 300);
}

#[test]
fn of_9_1() {
    every(Release::V9_1, 320);
}

#[test]
fn of_9_2() {
    every(Release::V9_2, 330);
}

#[test]
fn of_real_nodes() {
    for (release, catalog) in testing::real_catalogs() {
        every_of(
            &catalog,
            match release {
                Release::V8_4 => 300,
                Release::V9_1 => 320,
                Release::V9_2 => 330,
            },
        );
    }
}

fn every(release: Release, at_least: usize) {
    every_of(testing::catalog(release), at_least);
}

fn every_of(catalog: &Catalog, at_least: usize) {
    let mut seen = HashSet::new();
    let mutating: Vec<_> =
        catalog.endpoints().iter().filter(|endpoint| endpoint.method != Method::Get).collect();
    assert!(mutating.len() >= at_least, "{}", mutating.len());
    for endpoint in mutating {
        let case = Case { endpoint, required: required(endpoint) };
        case.accepts(&case.required);
        case.refuses_what_is_unknown();
        for parameter in &endpoint.parameters {
            case.parameter(parameter);
            if seen.insert(std::sync::Arc::as_ptr(parameter)) {
                case.keys(parameter);
            }
        }
    }
}

/// Whether a key may stand there twice.
fn is_closed(format: &str) -> bool {
    matches!(Origin::of(format), Origin::Closed { .. })
}

struct Case<'a> {
    endpoint: &'a Endpoint,
    /// What a call must have.
    required: Map<String, Value>,
}

/// The least that the endpoint takes.
pub(crate) fn required(endpoint: &Endpoint) -> Map<String, Value> {
    let required = endpoint.parameters.iter().filter(|parameter| !parameter.optional);
    let mut args: Map<String, Value> =
        required.map(|parameter| (parameter.name.clone(), good(&parameter.schema))).collect();
    for parameter in &endpoint.parameters {
        let Some(variants) = &parameter.variants else { continue };
        let Some(value) = args.get(&variants.property).and_then(Value::as_str) else { continue };
        let case = variants.cases.iter().find(|case| case.values.iter().any(|known| known == value));
        if let Some(case) = case.filter(|case| !case.optional) {
            args.insert(parameter.name.clone(), good(&case.schema));
        }
    }
    args
}

impl Case<'_> {
    fn parameter(&self, parameter: &Parameter) {
        let name = if parameter.family { format!("{}0", parameter.name) } else { parameter.name.clone() };
        match &parameter.variants {
            None => self.schema(&name, &parameter.schema, self.with_requirement(parameter)),
            Some(variants) => {
                for case in &variants.cases {
                    let mut args = self.without_variants();
                    args.insert(variants.property.clone(), json!(case.values[0]));
                    self.fill(&mut args);
                    self.schema(&name, &case.schema, args);
                }
                let mut args = self.without_variants();
                args.insert(variants.property.clone(), json!("none of them"));
                args.insert(name.clone(), good(&parameter.schema));
                let problems = self.endpoint.check(&args).unwrap_err();
                let refused = |problem: &&Problem| problem.parameter == name;
                assert!(
                    matches!(problems.iter().find(refused).unwrap().fault, Fault::NotWith { .. }),
                    "{problems:?}"
                );
            }
        }
        if parameter.family {
            let mut args = self.required.clone();
            args.insert(
                format!("{}{}", parameter.name, highest(&parameter.name) + 1),
                good(&parameter.schema),
            );
            let beyond = format!("{}{}", parameter.name, highest(&parameter.name) + 1);
            self.refuses(&args, &beyond, |fault| matches!(fault, Fault::Index { .. }));
        }
        if !parameter.optional {
            let mut args = self.required.clone();
            args.remove(&name);
            self.refuses(&args, &name, |fault| matches!(fault, Fault::Missing | Fault::RequiredBy(_)));
        }
    }

    fn schema(&self, name: &str, schema: &Schema, mut args: Map<String, Value>) {
        args.insert(name.to_owned(), good(schema));
        self.accepts(&args);
        let own = match schema.kind {
            crate::catalog::Kind::Boolean => vec![json!("1"), json!(0), json!("off"), json!("Yes")],
            crate::catalog::Kind::Integer => vec![json!(word(schema))],
            _ => Vec::new(),
        };
        for value in own.into_iter().chain(schema.choices.iter().map(|choice| json!(choice)).take(300)) {
            args.insert(name.to_owned(), value);
            if self.decides(name) {
                args.retain(|name, _| !self.varies(name));
                self.fill(&mut args);
            }
            self.accepts(&args);
        }
        for limit in [schema.minimum, schema.maximum].into_iter().flatten() {
            if schema.format.is_none() {
                args.insert(name.to_owned(), super::samples::number(limit));
                self.accepts(&args);
            }
        }
        if self.decides(name) {
            args = self.without_variants();
        }
        for value in bad(schema) {
            args.insert(name.to_owned(), value);
            self.refuses(&args, name, |_| true);
        }
    }

    /// Each key of a property string.
    fn keys(&self, parameter: &Parameter) {
        let schema = &parameter.schema;
        if !is_properties(schema) || parameter.variants.is_some() {
            return;
        }
        let keys: &[PropertyKey] = match &schema.format {
            Some(Format::Properties(keys)) => keys,
            Some(Format::Named(name)) => format::keys(name).unwrap(),
            None => return,
        };
        let name = if parameter.family { format!("{}0", parameter.name) } else { parameter.name.clone() };
        let mut args = self.with_requirement(parameter);
        let mut give = |text: String| {
            args.insert(name.clone(), json!(text));
            args.clone()
        };
        for key in keys.iter().filter(|key| key.alias.is_none()) {
            self.accepts(&give(properties(keys, Some((key, &word(&key.parameter.schema))))));
            for value in bad(&key.parameter.schema) {
                let Value::String(value) = value else { continue };
                // What ends a part, or makes the whole too long, is another mistake.
                if !value.is_empty() && !value.contains(',') && value.trim() == value && value.len() < 128 {
                    let args = give(properties(keys, Some((key, &value))));
                    self.refuses(&args, &name, |fault| {
                        !matches!(fault, Fault::Unknown { .. } | Fault::Missing)
                    });
                }
            }
        }
        for key in keys.iter().filter(|key| key.key_alias.is_some()) {
            self.accepts(&give(format!("{}=BC:24:11:00:00:01", key.parameter.name)));
        }
        if let Some(first) = keys.iter().find(|key| key.alias.is_none()) {
            let twice = properties(keys, Some((first, &word(&first.parameter.schema))));
            let part = format!("{}={}", first.parameter.name, word(&first.parameter.schema));
            let given = give(format!("{twice},{part}"));
            match &schema.format {
                Some(Format::Named(format)) if is_closed(format) => self.accepts(&given),
                _ => self.refuses(&given, &name, |_| true),
            }
            let mut misspelt = first.parameter.name.clone();
            misspelt.push('x');
            if !keys.iter().any(|key| key.parameter.name == misspelt) {
                let all = give(format!("{twice},{misspelt}=1"));
                self.refuses(&all, &name, |fault| matches!(fault, Fault::Unknown { .. }));
            }
        }
    }

    fn with_requirement(&self, parameter: &Parameter) -> Map<String, Value> {
        let mut args = self.required.clone();
        let mut next = parameter.requires.as_deref();
        while let Some(name) = next.filter(|name| !args.contains_key(*name)) {
            let other =
                self.endpoint.parameter(name).unwrap_or_else(|| panic!("{} requires {name}", parameter.name));
            args.insert(name.to_owned(), good(&other.schema));
            next = other.requires.as_deref();
        }
        args
    }

    fn without_variants(&self) -> Map<String, Value> {
        let mut args = self.required.clone();
        args.retain(|name, _| !self.varies(name));
        args
    }

    fn varies(&self, name: &str) -> bool {
        self.endpoint.parameter(name).is_some_and(|parameter| parameter.variants.is_some())
    }

    fn decides(&self, name: &str) -> bool {
        let mut variants =
            self.endpoint.parameters.iter().filter_map(|parameter| parameter.variants.as_deref());
        variants.any(|variants| variants.property == name)
    }

    /// What the deciding value that is there now requires.
    fn fill(&self, args: &mut Map<String, Value>) {
        for parameter in &self.endpoint.parameters {
            let Some(variants) = &parameter.variants else { continue };
            let Some(value) = args.get(&variants.property).and_then(Value::as_str) else { continue };
            let case = variants.cases.iter().find(|case| case.values.iter().any(|known| known == value));
            if let Some(case) = case.filter(|case| !case.optional) {
                args.insert(parameter.name.clone(), good(&case.schema));
            }
        }
    }

    fn refuses_what_is_unknown(&self) {
        let mut args = self.required.clone();
        args.insert("zz-nobody-knows".into(), json!(1));
        if self.endpoint.additional {
            let checked = self.endpoint.check(&args).unwrap();
            assert!(checked.unchecked().iter().any(|it| it.parameter == "zz-nobody-knows"));
        } else {
            self.refuses(&args, "zz-nobody-knows", |fault| matches!(fault, Fault::Unknown { .. }));
        }
    }

    fn accepts(&self, args: &Map<String, Value>) {
        if let Err(problems) = self.endpoint.check(args) {
            panic!(
                "{} {} {args:?} should be accepted: {problems:?}",
                self.endpoint.method, self.endpoint.path
            );
        }
    }

    fn refuses(&self, args: &Map<String, Value>, name: &str, by: impl Fn(&Fault) -> bool) {
        let what = || format!("{} {} {args:?}", self.endpoint.method, self.endpoint.path);
        match self.endpoint.check(args) {
            Ok(checked) => panic!("{} should be refused for {name}: {checked:?}", what()),
            Err(problems) => {
                let only = problems.iter().all(|problem| problem.parameter == name);
                let as_expected = problems.iter().any(|problem| by(&problem.fault));
                assert!(only && as_expected, "{}: {name} alone is wrong: {problems:?}", what());
            }
        }
    }
}
