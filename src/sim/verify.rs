//! PVE's check of a call's parameters, in PVE's words.
//!
//! Types, limits and names are judged here, as the node does, all problems at once. What needs a pattern, a format or a
//! property string goes to the catalogue's own checker.

use std::collections::BTreeMap;

use serde_json::Value;

use super::answer::Refusal;
use crate::catalog::{Endpoint, Format, Kind, Parameter, Problem, Schema};

const MISSING: &str = "property is missing and it is not optional";
const UNDECLARED: &str =
    "property is not defined in schema and the schema does not allow additional properties";

/// The parameters as text (see [`Call`](super::call::Call)), or the refusal that names each wrong one.
pub fn verify(
    endpoint: &Endpoint,
    given: BTreeMap<String, Value>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let mut errors = BTreeMap::new();
    let mut checked = BTreeMap::new();
    for (name, value) in given.clone() {
        let schema = declared(endpoint, &name).and_then(|parameter| holding(parameter, &given));
        let Some((schema, _)) = schema else {
            if endpoint.additional {
                checked.insert(name, text(&value));
            } else {
                errors.insert(name, UNDECLARED.to_owned());
            }
            continue;
        };
        match one(schema, &value) {
            Ok(text) => {
                checked.insert(name, text);
            }
            Err(problem) => {
                errors.insert(name, problem);
            }
        }
    }
    for parameter in &endpoint.parameters {
        let here = checked.contains_key(&parameter.name) || errors.contains_key(&parameter.name);
        let needed = holding(parameter, &given).is_some_and(|(_, optional)| !optional);
        if !here && needed && !parameter.family {
            errors.insert(parameter.name.clone(), MISSING.to_owned());
        }
        if let (true, Some(other)) = (here, &parameter.requires)
            && !checked.contains_key(other)
        {
            let problem = format!("missing property - '{}' requires this property", parameter.name);
            errors.entry(other.clone()).or_insert(problem);
        }
    }
    // Lists that came as repeated names are arrays by now; in PVE's list formats they are one text.
    let given = given.into_iter().map(|(name, value)| {
        let list =
            value.is_array() && declared(endpoint, &name).is_some_and(|parameter| is_list(&parameter.schema));
        let value = if list { Value::String(text(&value).replace('\0', ",")) } else { value };
        (name, value)
    });
    if let Err(problems) = endpoint.check(&given.collect()) {
        for (name, problem) in Problem::pve_errors(&problems) {
            errors.entry(name).or_insert(problem);
        }
    }
    if errors.is_empty() { Ok(checked) } else { Err(Refusal::parameters(errors)) }
}

/// What holds of a parameter beside these others, and whether it may be left out; `None` where it has no place.
fn holding<'a>(parameter: &'a Parameter, given: &BTreeMap<String, Value>) -> Option<(&'a Schema, bool)> {
    let Some(variants) = &parameter.variants else { return Some((&parameter.schema, parameter.optional)) };
    let decides = given.get(&variants.property).map(text).unwrap_or_default();
    let case = variants.cases.iter().find(|case| case.values.contains(&decides));
    match case {
        Some(case) => Some((&case.schema, case.optional)),
        // Nothing decides in a change of what is there: the first case stands for all.
        None if decides.is_empty() => Some((&parameter.schema, true)),
        None => None,
    }
}

/// The parameter of this name; `net3` is of the family `net`.
pub fn declared<'a>(endpoint: &'a Endpoint, name: &str) -> Option<&'a Parameter> {
    let family = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    endpoint
        .parameters
        .iter()
        .find(|parameter| parameter.name == name && !parameter.family)
        .or_else(|| {
            let numbered = family.len() < name.len();
            endpoint
                .parameters
                .iter()
                .find(|parameter| numbered && parameter.family && parameter.name == family)
        })
        .map(|parameter| &**parameter)
}

/// How a value of any JSON kind reads as PVE's text.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => u8::from(*flag).to_string(),
        Value::Null => String::new(),
        Value::Array(list) => list.iter().map(text).collect::<Vec<_>>().join("\0"),
        other => other.to_string(),
    }
}

fn one(schema: &Schema, value: &Value) -> Result<String, String> {
    let text = text(value);
    let wrong = |kind: &str| format!("type check ('{kind}') failed - got '{text}'");
    match schema.kind {
        Kind::Boolean => {
            // The words for it are a property string's alone.
            return if matches!(&*text, "0" | "1") { Ok(text) } else { Err(wrong("boolean")) };
        }
        Kind::Integer => {
            let number: i64 = text.parse().map_err(|_| wrong("integer"))?;
            limits(schema, number as f64)?;
        }
        Kind::Number => {
            let number: f64 = text.parse().map_err(|_| wrong("number"))?;
            limits(schema, number)?;
        }
        Kind::String if value.is_array() && !is_list(schema) => return Err(wrong("string")),
        Kind::String => {}
        Kind::Array | Kind::Any | Kind::Null | Kind::Object => return Ok(text),
    }
    if let Some(Format::Named(format)) = &schema.format
        && let Some(problem) = named(format, &text)
    {
        return Err(format!("invalid format - {problem}\n"));
    }
    if !schema.choices.is_empty() && !schema.choices.contains(&text) {
        let choices = schema.choices.join(", ");
        return Err(format!("value '{text}' does not have a value in the enumeration '{choices}'"));
    }
    if schema.kind == Kind::String {
        lengths(schema, &text)?;
    }
    Ok(text)
}

fn is_list(schema: &Schema) -> bool {
    matches!(&schema.format, Some(Format::Named(name)) if name.ends_with("-list") || name.ends_with("-alist"))
}

fn limits(schema: &Schema, number: f64) -> Result<(), String> {
    if let Some(minimum) = schema.minimum.filter(|minimum| number < *minimum) {
        return Err(format!("value must have a minimum value of {minimum}"));
    }
    if let Some(maximum) = schema.maximum.filter(|maximum| number > *maximum) {
        return Err(format!("value must have a maximum value of {maximum}"));
    }
    Ok(())
}

fn lengths(schema: &Schema, text: &str) -> Result<(), String> {
    let length = text.chars().count();
    if let Some(least) = schema.min_length.filter(|least| length < *least as usize) {
        return Err(format!("value must be at least {least} characters long"));
    }
    if let Some(most) = schema.max_length.filter(|most| length > *most as usize) {
        return Err(format!("value may only be {most} characters long"));
    }
    Ok(())
}

/// PVE's sentence on a value that is not of this format; only for those whose words a caller sees often.
fn named(format: &str, text: &str) -> Option<String> {
    let id = |text: &str| {
        let mut letters = text.chars();
        letters.next().is_some_and(|first| first.is_ascii_alphabetic())
            && letters.clone().count() > 0
            && letters.all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.'))
    };
    match format {
        "pve-vmid" => {
            let right = text.parse::<u32>().is_ok_and(|vmid| (100..=999_999_999).contains(&vmid));
            (!right).then(|| "value does not look like a valid VM ID".to_owned())
        }
        "pve-node" => {
            let right = !text.is_empty()
                && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
            (!right).then(|| "value does not look like a valid node name".to_owned())
        }
        "pve-storage-id" => {
            let right = id(text) && text.chars().last().is_some_and(|last| last.is_ascii_alphanumeric());
            (!right).then(|| format!("storage ID '{text}' contains illegal characters"))
        }
        "pve-configid" => (!id(text)).then(|| format!("invalid configuration ID '{text}'")),
        "pve-replication-job-id" | "pve-replication-id" => {
            let right = text.split_once('-').is_some_and(|(vmid, number)| {
                vmid.len() >= 3 && vmid.parse::<u32>().is_ok() && number.parse::<u32>().is_ok()
            });
            (!right).then(|| format!("invalid replication job id '{text}'"))
        }
        "pve-sdn-fabric-id" => {
            let right = !text.is_empty()
                && text.len() <= 8
                && text.chars().all(|letter| letter.is_ascii_alphanumeric());
            (!right).then(|| format!("Fabric ID '{text}' contains illegal characters"))
        }
        _ => None,
    }
}
