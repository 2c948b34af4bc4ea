//! Catalogues as text: what they have in common once, and what repeats once.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

use super::line;
use crate::catalog::{Catalog, Endpoint, Format, Parameter, PropertyKey, Schema};

/// A line with what belongs to it is shared when it is longer than this, and sharing saves as many bytes again. A
/// reader is better off with a short line than with its name.
const WORTH_SHARING: usize = 48;

/// The catalogues of several releases, by their names, as one text without prose. What is read from it again is equal
/// to [`Catalog::without_prose`].
#[must_use]
pub fn text(releases: &BTreeMap<String, Catalog>) -> String {
    let product = releases.values().next().map(Catalog::product).unwrap_or_default();
    let names: Vec<&str> = releases.keys().map(String::as_str).collect();
    let trees = releases.values().map(Catalog::without_prose).enumerate().map(|(number, catalog)| {
        (1u32 << number, catalog.endpoints().iter().map(endpoint).collect::<Vec<_>>())
    });
    let merged = merge(trees.collect());
    let mut out = format!(
        "# The API of {product}: made by `cargo run --example catalogue`.\n\nreleases {}\n",
        names.join(" ")
    );
    let all = (1 << names.len()) - 1;
    let shared = Shared::of(&merged, &names);
    for (name, definition) in &shared.definitions {
        let _ = write!(out, "\nshare {name}\n");
        shared.write_own(&mut out, definition, 1, definition.releases);
    }
    for endpoint in &merged {
        out.push('\n');
        shared.write(&mut out, endpoint, 0, all);
    }
    out
}

/// A line with those that belong to it. `order` is where it stands among its like.
#[derive(Clone)]
struct Tree {
    order: (u8, String),
    text: String,
    children: Vec<Tree>,
}

/// The same of several releases: a bit for each that has it.
#[derive(Clone)]
struct Merged {
    releases: u32,
    text: String,
    children: Vec<Merged>,
}

fn endpoint(endpoint: &Endpoint) -> Tree {
    let mut text = format!("{} {}", endpoint.method, endpoint.path);
    for (flag, word) in [
        (endpoint.protected, " protected"),
        (!endpoint.allowtoken, " no-token"),
        (endpoint.additional, " additional"),
    ] {
        text.push_str(if flag { word } else { "" });
    }
    if let Some(parameter) = &endpoint.proxyto {
        let _ = write!(text, " proxyto={}", line::text(parameter));
    }
    let _ = write!(text, " perm={}", line::permission(&endpoint.permission));
    let mut children: Vec<Tree> = endpoint.parameters.iter().map(|each| parameter(each, "")).collect();
    children.push(tree((9, String::new()), "returns ".into(), &endpoint.returns));
    Tree { order: (0, format!("{} {}", endpoint.path, endpoint.method as u8)), text, children }
}

/// A parameter, a property, or a key of a property string, which a comma tells.
fn parameter(parameter: &Parameter, sigil: &str) -> Tree {
    let optional = if parameter.optional { "?" } else { "" };
    let family = if parameter.family { "[n]" } else { "" };
    let head = format!("{sigil}{optional}{}{family} ", parameter.name);
    let order = (0, parameter.name.clone());
    let mut made = match &parameter.variants {
        None => tree(order, head, &parameter.schema),
        Some(variants) => Tree {
            order,
            text: format!("{head}by={}", line::text(&variants.property)),
            children: (variants.cases.iter().enumerate())
                .map(|(number, case)| {
                    let optional = if case.optional { "?" } else { "" };
                    let head = format!("| {} {optional}", line::texts(&case.values));
                    tree((number as u8, String::new()), head, &case.schema)
                })
                .collect(),
        },
    };
    if let Some(other) = &parameter.requires {
        made.insert(&format!(" requires={}", line::text(other)));
    }
    made
}

fn key(key: &PropertyKey) -> Tree {
    let mut made = parameter(&key.parameter, ",");
    if let Some(alias) = &key.alias {
        made.insert(&format!(" alias={}", line::text(alias)));
    }
    if let Some(alias) = &key.key_alias {
        made.insert(&format!(" key-alias={}", line::text(alias)));
    }
    if key.is_default {
        made.insert(" default-key");
    }
    made
}

fn tree(order: (u8, String), head: String, schema: &Schema) -> Tree {
    let mut children: Vec<Tree> = schema.properties.iter().map(|each| parameter(each, "")).collect();
    if let Some(Format::Properties(keys)) = &schema.format {
        children.extend(keys.iter().map(key));
    }
    if let Some(items) = &schema.items {
        children.push(tree((1, String::new()), "[] ".into(), items));
    }
    if let Some(values) = &schema.values {
        children.push(tree((2, String::new()), "{} ".into(), values));
    }
    Tree { order, text: format!("{head}{}{}", line::schema(schema), line::pattern(schema)), children }
}

impl Tree {
    /// Puts an attribute before the pattern, which takes all that follows.
    fn insert(&mut self, attribute: &str) {
        let at = self.text.find(" ~ ").unwrap_or(self.text.len());
        self.text.insert_str(at, attribute);
    }
}

/// What several releases say in one place, each line once.
fn merge(sides: Vec<(u32, Vec<Tree>)>) -> Vec<Merged> {
    // By place, text, and how often one release has said that in this place already.
    type Same = BTreeMap<((u8, String), String, usize), Vec<(u32, Tree)>>;
    let mut same = Same::new();
    for (release, trees) in sides {
        for tree in trees {
            let mut count = 0;
            let mut key = (tree.order.clone(), tree.text.clone(), count);
            while same.get(&key).is_some_and(|found| found.iter().any(|(other, _)| *other == release)) {
                count += 1;
                key.2 = count;
            }
            same.entry(key).or_default().push((release, tree));
        }
    }
    same.into_iter()
        .map(|((_, text, _), found)| Merged {
            releases: found.iter().map(|(release, _)| release).sum(),
            text,
            children: merge(found.into_iter().map(|(release, tree)| (release, tree.children)).collect()),
        })
        .collect()
}

/// What stands once and is named everywhere else.
struct Shared<'a> {
    names: Vec<&'a str>,
    /// By how it is written.
    by_text: HashMap<String, String>,
    definitions: Vec<(String, Merged)>,
}

impl<'a> Shared<'a> {
    fn of(roots: &[Merged], names: &[&'a str]) -> Self {
        let mut shared = Self { names: names.to_vec(), by_text: HashMap::new(), definitions: Vec::new() };
        let mut found: HashMap<String, (usize, Merged)> = HashMap::new();
        for root in roots {
            for child in &root.children {
                shared.count(child, &mut found);
            }
        }
        let mut chosen: Vec<(String, usize, Merged)> = found
            .into_iter()
            .filter(|(text, (count, _))| {
                text.len() > WORTH_SHARING && (count - 1) * text.len() > 2 * WORTH_SHARING
            })
            .map(|(text, (count, merged))| (text, count, merged))
            .collect();
        chosen.sort_by(|(a, x, m), (b, y, n)| {
            base(&m.text).cmp(base(&n.text)).then(y.cmp(x)).then_with(|| a.cmp(b))
        });
        // One that only stands within another is not worth a name of its own.
        loop {
            let known: HashMap<&str, usize> =
                chosen.iter().enumerate().map(|(number, (text, ..))| (text.as_str(), number)).collect();
            let mut uses = vec![0; chosen.len()];
            let mut roots: Vec<&Merged> = roots.iter().flat_map(|root| &root.children).collect();
            let mut entered = vec![false; chosen.len()];
            while let Some(merged) = roots.pop() {
                match known.get(shared.plain(merged).as_str()) {
                    Some(number) => {
                        uses[*number] += 1;
                        if !std::mem::replace(&mut entered[*number], true) {
                            roots.extend(&merged.children);
                        }
                    }
                    None => roots.extend(&merged.children),
                }
            }
            let before = chosen.len();
            let mut number = 0;
            chosen.retain(|_| {
                number += 1;
                uses[number - 1] >= 2
            });
            if chosen.len() == before {
                break;
            }
        }
        let mut numbers: HashMap<String, usize> = HashMap::new();
        for (text, _, merged) in chosen {
            let base = base(&merged.text).to_owned();
            let number = numbers.entry(base.clone()).and_modify(|number| *number += 1).or_insert(1);
            let name = if *number == 1 { base } else { format!("{base}.{number}") };
            shared.by_text.insert(text, name.clone());
            shared.definitions.push((name, merged));
        }
        shared.definitions.sort_by(|(a, _), (b, _)| natural(a, b));
        shared
    }

    fn count(&self, merged: &Merged, found: &mut HashMap<String, (usize, Merged)>) {
        found
            .entry(self.plain(merged))
            .and_modify(|(count, _)| *count += 1)
            .or_insert_with(|| (1, merged.clone()));
        for child in &merged.children {
            self.count(child, found);
        }
    }

    /// With nothing shared, and without a mark of its own.
    fn plain(&self, merged: &Merged) -> String {
        let none = Self { names: self.names.clone(), by_text: HashMap::new(), definitions: Vec::new() };
        let mut out = String::new();
        none.write_own(&mut out, merged, 0, merged.releases);
        out
    }

    fn write(&self, out: &mut String, merged: &Merged, depth: usize, around: u32) {
        out.push_str(&"  ".repeat(depth));
        if merged.releases != around {
            let releases: Vec<&str> = (0..)
                .zip(&self.names)
                .filter(|(n, _)| merged.releases >> n & 1 == 1)
                .map(|(_, name)| *name)
                .collect();
            let _ = write!(out, "<{}> ", releases.join(","));
        }
        match self.by_text.get(&self.plain_unless_root(merged, depth)) {
            Some(name) => {
                let _ = writeln!(out, "@{name}");
            }
            None => self.write_rest(out, merged, depth, merged.releases),
        }
    }

    fn plain_unless_root(&self, merged: &Merged, depth: usize) -> String {
        if depth == 0 || self.by_text.is_empty() { String::new() } else { self.plain(merged) }
    }

    /// In full, whether or not it is shared.
    fn write_own(&self, out: &mut String, merged: &Merged, depth: usize, around: u32) {
        out.push_str(&"  ".repeat(depth));
        self.write_rest(out, merged, depth, around);
    }

    fn write_rest(&self, out: &mut String, merged: &Merged, depth: usize, around: u32) {
        out.push_str(&merged.text);
        out.push('\n');
        for child in &merged.children {
            self.write(out, child, depth + 1, around);
        }
    }
}

/// What a shared line is named after.
fn base(text: &str) -> &str {
    let word = text.split(' ').next().unwrap_or_default().trim_start_matches([',', '?']);
    match word {
        "[]" => "item",
        "{}" => "values",
        "|" => "case",
        word => word.strip_suffix("[n]").unwrap_or(word),
    }
}

/// `x.2` before `x.10`.
fn natural(a: &str, b: &str) -> Ordering {
    let parts =
        |name: &str| match name.rsplit_once('.').map(|(base, number)| (base.to_owned(), number.parse())) {
            Some((base, Ok(number))) => (base, number),
            _ => (name.to_owned(), 0u32),
        };
    parts(a).cmp(&parts(b))
}
