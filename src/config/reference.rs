//! docs/configuration.md and the keys of provost.toml(5), made from the types that read the file: their keys in the order
//! of the types, what serde takes for each, its default, its range, and its comment for the operator. Both are committed, as a
//! reader has no compiler; the test that made them fails when they are no longer what the types say (`make docs` rewrites them).

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::{Config, parse, range};

/// One key, as both pages show it.
struct Key {
    name: String,
    takes: String,
    /// As the file would have it; none: absent, and the meaning says what that is.
    default: Option<String>,
    required: bool,
    meaning: String,
    /// What each of the values means, where the types say so.
    values: Vec<(String, String)>,
}

struct Section {
    /// `[exec]`, `[[role]]`
    head: String,
    meaning: String,
    keys: Vec<Key>,
}

/// The keys that serde takes there, in the order of the type: its own error lists them.
fn keys(before: &str) -> Vec<String> {
    let error = parse(Path::new("x"), &format!("{before}\nno_such_key = 1\n")).expect_err(before).to_string();
    let line = error.lines().find(|line| line.starts_with("unknown field")).expect(before);
    line.split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

struct Types {
    all: Map<String, Value>,
    /// `[exec] max_file` and what it may be.
    ranges: HashMap<&'static str, String>,
}

impl Types {
    fn follow<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(name) => &self.all[name.rsplit('/').next().unwrap()],
            None => schema,
        }
    }

    /// What a value may be, in words.
    fn takes(&self, schema: &Value) -> String {
        let one = self.follow(schema);
        if let Some(any) = one["anyOf"].as_array() {
            let of = |one: &Value| (one["type"] != "null").then(|| self.takes(one));
            return any.iter().filter_map(of).collect::<Vec<_>>().join(" or ");
        }
        let values = self.values(one);
        if !values.is_empty() {
            let quoted = values.iter().map(|(value, _)| format!("`\"{value}\"`"));
            return quoted.collect::<Vec<_>>().join(", ");
        }
        // What may be absent is `["string", "null"]`.
        let name = one["type"].as_str().or_else(|| one["type"][0].as_str());
        match name.unwrap_or_else(|| panic!("no type: {one}")) {
            "string" => "text".into(),
            "integer" => "number".into(),
            "boolean" => "`true` or `false`".into(),
            "array" => format!("list of {}", self.takes(&one["items"])),
            other => panic!("no word for {other}: {one}"),
        }
    }

    /// The names that an enumeration has, each with what it means.
    fn values(&self, schema: &Value) -> Vec<(String, String)> {
        let name = |value: &Value| value.as_str().expect("a name").to_owned();
        let bare = |schema: &Value| {
            schema["enum"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|one| (name(one), String::new()))
                .collect::<Vec<_>>()
        };
        let one = self.follow(schema);
        let mut values = bare(one);
        for one in one["oneOf"].as_array().into_iter().flatten() {
            match &one["const"] {
                Value::Null => values.extend(bare(one)),
                value => values.push((name(value), flowing(&one["description"]))),
            }
        }
        values
    }

    /// The enumeration that a list or an absent value is of, too.
    fn named(&self, schema: &Value) -> Vec<(String, String)> {
        let one = self.follow(schema);
        let any = one["anyOf"].as_array().into_iter().flatten().chain([one, &one["items"]]);
        any.map(|one| self.values(one)).find(|values| !values.is_empty()).unwrap_or_default()
    }

    fn key(&self, section: &str, of: &Value, name: &str) -> Key {
        let schema = &of["properties"][name];
        assert!(!schema.is_null(), "{section} {name} has no schema");
        let mut takes = self.takes(schema);
        if takes.ends_with("number") {
            let unit = schema["unit"].as_str();
            takes = format!("number: {}", unit.unwrap_or_else(|| panic!("{section} {name} has no unit")));
            if let Some(range) = self.ranges.get(format!("{section} {name}").as_str()) {
                takes.push_str(range);
            }
        }
        let meaning = flowing(&schema["description"]);
        assert!(!meaning.is_empty(), "{section} {name} has no comment that says what it means");
        let default = match schema.get("default") {
            None | Some(Value::Null) => None,
            Some(value) => Some(toml(value)),
        };
        let required = of["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
        Key { name: name.to_owned(), takes, default, required, meaning, values: self.named(schema) }
    }
}

fn toml(value: &Value) -> String {
    match value {
        Value::Array(all) => format!("[{}]", all.iter().map(toml).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// A comment's lines as one.
fn flowing(text: &Value) -> String {
    text.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn sections() -> Vec<Section> {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Config>();
    let all = schema.get("$defs").and_then(Value::as_object).expect("definitions").clone();
    let ranges = range::ranges(&Config::default());
    let range = |(key, _, least, most, why)| (key, format!(", {least} to {most}{why}"));
    let types = Types { all, ranges: ranges.into_iter().map(range).collect() };
    let of = |name: String| {
        let known = &schema.get("properties").expect("sections")[&name];
        let list = known["type"] == "array";
        let table = types.follow(if list { &known["items"] } else { known });
        let head = if list { format!("[[{name}]]") } else { format!("[{name}]") };
        let mut keys: Vec<Key> = keys(&head).iter().map(|key| types.key(&head, table, key)).collect();
        // The same names mean the same: once is enough.
        let mut told = HashSet::new();
        for key in &mut keys {
            if !told.insert(key.values.clone()) {
                key.values.clear();
            }
        }
        Section { head, meaning: flowing(&table["description"]), keys }
    };
    keys("").into_iter().map(of).collect()
}

fn markdown() -> String {
    let mut page = include_str!("reference.md").to_owned();
    for section in sections() {
        write!(page, "\n## `{}`\n\n{}\n", section.head, section.meaning).unwrap();
        page.push_str("\n| key | takes | when absent | |\n| --- | --- | --- | --- |\n");
        for key in &section.keys {
            let absent = match (&key.default, key.required) {
                (Some(value), _) => format!("`{value}`"),
                (None, true) => "an error".into(),
                (None, false) => "–".into(),
            };
            let told = key.values.iter().filter(|(_, says)| !says.is_empty());
            let told: String = told.map(|(value, says)| format!(" `{value}`: {says}")).collect();
            writeln!(page, "| `{}` | {} | {absent} | {}{told} |", key.name, key.takes, key.meaning).unwrap();
        }
    }
    page
}

/// Text with words in backticks, as `man` has it.
fn roff(text: &str) -> String {
    let plain = |text: &str| text.replace('\\', "\\e").replace('-', "\\-").replace('"', "\\(dq");
    let parts = text.split('`').enumerate();
    let text: String = parts
        .map(|(at, part)| if at % 2 == 1 { format!("\\fB{}\\fR", plain(part)) } else { plain(part) })
        .collect();
    // A line that begins so would be an instruction.
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

fn manual() -> String {
    let mut keys = String::new();
    for section in sections() {
        writeln!(keys, ".SH {}\n{}", section.head, roff(&section.meaning)).unwrap();
        for key in &section.keys {
            let value = key.default.as_ref().map(|value| format!(" = {value}")).unwrap_or_default();
            writeln!(keys, ".TP\n.B {}", roff(&format!("{}{value}", key.name))).unwrap();
            writeln!(keys, "{}", roff(&key.meaning)).unwrap();
            if key.takes != "text" {
                writeln!(keys, ".br\nTakes: {}.", roff(&key.takes)).unwrap();
            }
            for (value, says) in key.values.iter().filter(|(_, says)| !says.is_empty()) {
                writeln!(keys, ".br\n{}", roff(&format!("`{value}`: {says}"))).unwrap();
            }
        }
    }
    include_str!("reference.5").replace("@KEYS@\n", &keys)
}

#[test]
fn the_reference_and_the_manuals_page_are_what_the_types_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, page) in [("docs/configuration.md", markdown()), ("src/cli/pages/provost.toml.5", manual())] {
        if std::env::var_os("PROVOST_WRITE_DOCS").is_some() {
            std::fs::write(root.join(path), &page).unwrap();
        }
        let kept = std::fs::read_to_string(root.join(path)).unwrap_or_default();
        let differs = page.lines().zip(kept.lines()).find(|(new, old)| new != old);
        assert!(
            kept == page,
            "{path} is not what src/config says; make docs rewrites it. First: {differs:#?}"
        );
    }
}

#[test]
fn the_example_has_each_key_and_the_value_that_an_absent_one_has() {
    let example = include_str!("example.toml");
    let mut held = 0;
    for section in sections() {
        let part = example.split_once(&format!("\n{}", section.head)).expect(&section.head).1;
        let part = part.split("\n[").next().unwrap();
        // A whole section of them: what a role has absent, its comments say.
        let made_up = part.lines().next().is_some_and(|line| line.contains("example"));
        for key in section.keys {
            let mut lines = part.lines().map(|line| (line, line.trim_start_matches(['#', ' '])));
            let line = lines.find(|(_, line)| line.split([' ', '=']).next() == Some(&key.name));
            let (line, _) =
                line.unwrap_or_else(|| panic!("the example has no {} in {}", key.name, section.head));
            let Some(default) = &key.default else { continue };
            if !made_up && !line.starts_with('#') && !line.contains("# example") {
                let (_, value) = line.split_once('=').unwrap();
                assert_eq!(value.split(" #").next().unwrap().trim(), default, "{}", key.name);
                held += 1;
            }
        }
    }
    assert!(held > 15, "{held}");
}
