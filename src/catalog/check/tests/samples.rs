//! Values that a schema accepts and values that it refuses, made from the schema.

use proptest::{
    strategy::{Strategy, ValueTree},
    string::string_regex,
    test_runner::TestRunner,
};
use serde_json::{Value, json};

use crate::catalog::{
    Format, Kind, PropertyKey, Schema,
    check::{format, format::tests::SAMPLES, pattern},
};

/// One that is right.
pub(super) fn good(schema: &Schema) -> Value {
    match schema.kind {
        Kind::Boolean => json!(true),
        Kind::Integer | Kind::Number => match &schema.format {
            Some(Format::Named(name)) if name == "pve-vmid" => json!(105),
            _ if !schema.choices.is_empty() => json!(schema.choices[0]),
            _ => number(schema.minimum.or(schema.maximum).unwrap_or(1.0)),
        },
        Kind::Array => json!([schema.items.as_deref().map_or_else(|| json!("abc"), good)]),
        Kind::Any | Kind::String => text(schema).into(),
        Kind::Null | Kind::Object => panic!("no parameter is {:?}", schema.kind),
    }
}

fn text(schema: &Schema) -> String {
    if let Some(choice) = schema.choices.first() {
        return choice.clone();
    }
    let keys = match &schema.format {
        Some(Format::Properties(keys)) => Some(keys.as_slice()),
        Some(Format::Named(name)) => format::keys(name),
        None => None,
    };
    if let Some(keys) = keys {
        return properties(keys, None);
    }
    if let Some(Format::Named(name)) = &schema.format {
        let samples: Vec<&str> = named(name).map_or_else(|| vec!["abc"], |(good, _)| good.to_vec());
        let fits = |value: &&&str| {
            length(schema).contains(&value.len())
                && schema
                    .pattern
                    .as_ref()
                    .is_none_or(|it| pattern::verdict(it, value) == pattern::Verdict::Matches)
        };
        return samples
            .iter()
            .find(fits)
            .unwrap_or_else(|| panic!("{name}: no sample fits {schema:?}"))
            .to_string();
    }
    match &schema.pattern {
        Some(pattern) => matching(pattern, &length(schema)),
        None => "a".repeat((*length(schema).start()).clamp(1, 4096)),
    }
}

fn length(schema: &Schema) -> std::ops::RangeInclusive<usize> {
    let end = schema.max_length.map_or(usize::MAX, |length| length as usize);
    schema.min_length.map_or(0, |length| length as usize)..=end
}

/// Several that are wrong. Which words say so is another test's.
pub(super) fn bad(schema: &Schema) -> Vec<Value> {
    let mut bad = Vec::new();
    match schema.kind {
        Kind::Boolean => bad.extend([json!("maybe"), json!(2), json!({})]),
        Kind::Integer | Kind::Number => {
            bad.extend([json!("many"), json!(""), json!("1 2"), json!([1])]);
            bad.extend((schema.kind == Kind::Integer).then(|| json!(1.5)));
            bad.extend(schema.minimum.map(|least| number(least - 1.0)));
            bad.extend(schema.maximum.map(|most| number(most + 1.0)));
        }
        Kind::Array => {
            let items = schema.items.as_deref().map(self::bad).unwrap_or_default();
            bad.push(json!([]));
            bad.extend(items.into_iter().filter(|item| !item.is_array()).map(|item| json!([item])));
        }
        Kind::Any | Kind::String => {
            if !is_properties(schema) {
                bad.push(json!({"a": 1}));
            }
            bad.extend(schema.max_length.map(|most| json!("a".repeat(most as usize + 1))));
            bad.extend(
                schema
                    .min_length
                    .filter(|least| *least > 0)
                    .map(|least| json!("a".repeat(least as usize - 1))),
            );
            if let Some(Format::Named(name)) = &schema.format {
                bad.extend(named(name).into_iter().flat_map(|(_, bad)| bad).map(|value| json!(value)));
            }
            bad.extend(schema.pattern.as_deref().and_then(differing).map(|value| json!(value)));
        }
        Kind::Null | Kind::Object => {}
    }
    if !schema.choices.is_empty() {
        bad.push(json!("no such choice"));
    }
    bad
}

pub(super) fn is_properties(schema: &Schema) -> bool {
    match &schema.format {
        Some(Format::Properties(_)) => true,
        Some(Format::Named(name)) => format::keys(name).is_some(),
        None => false,
    }
}

/// The samples of a format, which is a list of itself; what is wrong in it is wrong in a list too, but for nothing.
fn named(name: &str) -> Option<(&'static [&'static str], Vec<&'static str>)> {
    let find = |name: &str| SAMPLES.iter().find(|(known, ..)| *known == name);
    if let Some((_, good, bad)) = find(name) {
        return Some((good, bad.to_vec()));
    }
    let optional = name.strip_suffix("-opt");
    let (_, good, bad) = find(optional.or(name.strip_suffix("-list"))?)?;
    let whole =
        |value: &&&str| !value.is_empty() && (optional.is_some() || !value.contains([',', ';', ' ', '\n']));
    Some((good, bad.iter().filter(whole).copied().collect()))
}

/// A property string of all that it must have, and of `one` key beside.
pub(super) fn properties(keys: &[PropertyKey], one: Option<(&PropertyKey, &str)>) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut put = |key: &PropertyKey| {
        let name = &key.parameter.name;
        let own = one.filter(|(one, _)| one.parameter.name == *name).map(|(_, value)| value.to_owned());
        let part = format!("{name}={}", own.unwrap_or_else(|| word(&key.parameter.schema)));
        if !parts.contains(&part) {
            parts.push(part);
        }
    };
    keys.iter().filter(|key| !key.parameter.optional && key.alias.is_none()).for_each(&mut put);
    if let Some((key, _)) = one {
        put(key);
        let required = key.parameter.requires.as_deref();
        keys.iter().filter(|other| Some(other.parameter.name.as_str()) == required).for_each(&mut put);
    } else if keys.iter().all(|key| key.parameter.optional) {
        let alone = |key: &&PropertyKey| key.alias.is_none() && key.parameter.requires.is_none();
        keys.iter().filter(alone).take(1).for_each(&mut put);
    }
    parts.join(",")
}

/// One that is right, as the text that a property string holds.
pub(super) fn word(schema: &Schema) -> String {
    match good(schema) {
        Value::String(text) => text,
        Value::Bool(truth) => u8::from(truth).to_string(),
        value => value.to_string(),
    }
}

pub(super) fn number(number: f64) -> Value {
    if number.fract() == 0.0 { json!(number as i64) } else { json!(number) }
}

/// A text that a pattern matches, always the same.
pub(super) fn matching(pattern: &str, length: &std::ops::RangeInclusive<usize>) -> String {
    let strategy = string_regex(&generative(pattern)).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let mut runner = TestRunner::deterministic();
    (0..200)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .find(|text| !text.is_empty() && length.contains(&text.chars().count()) && !text.contains(','))
        .unwrap_or_else(|| panic!("nothing was found that {pattern} matches"))
}

/// One of some odd texts that a pattern does not match.
fn differing(pattern: &str) -> Option<&'static str> {
    super::patterns::ODD.into_iter().find(|odd| pattern::verdict(pattern, odd) == pattern::Verdict::Differs)
}

/// A pattern of Perl's without what only looks around, and in ASCII, for a generator of texts.
fn generative(pattern: &str) -> String {
    let mut plain = pattern.replace("(?!\\n)", "").replace("(?>", "(?:").replace("\\0", "\\x00");
    for flags in ["(?^u:", "(?^:"] {
        plain = plain.replace(flags, "(?:");
    }
    plain = plain.replace("(?^i:", "(?i-u:").replace("{,", "{0,");
    for (class, ascii) in [("\\w", "a-z0-9"), ("\\d", "0-9"), ("\\s", " "), ("\\S", "a-z0-9@._-")] {
        plain = classes(&plain, class, ascii);
    }
    // A dot, and what a class forbids, may be anything: here they are letters.
    unanchored(&plain)
        .replace("[^,]", "[a-z]")
        .replace("[^ :/]", "[a-z]")
        .replace("[^:/ ]", "[a-z]")
        .replace(".*", "[a-z]*")
        .replace(".+", "[a-z]+")
}

/// Puts `ascii` for a class, in brackets where it does not stand in some.
fn classes(pattern: &str, class: &str, ascii: &str) -> String {
    let mut out = String::new();
    let mut in_class = false;
    let mut rest = pattern;
    while let Some(character) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix(class) {
            out.push_str(&if in_class { ascii.to_owned() } else { format!("[{ascii}]") });
            rest = after;
            continue;
        }
        let length = if character == '\\' { 2 } else { character.len_utf8() };
        in_class = match character {
            '[' => true,
            ']' => false,
            _ => in_class,
        };
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out
}

/// Without the anchors that a generator cannot place: `^` where no class begins, `$` at an end.
fn unanchored(pattern: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        let is_anchor = match character {
            '^' => before != '[' && before != '\\' && before != '?',
            '$' => before != '\\' && characters.peek().is_none_or(|next| *next == ')'),
            _ => false,
        };
        if !is_anchor {
            out.push(character);
        }
        before = character;
    }
    out
}
