//! `find`: plain words to endpoints and recipes.
//!
//! It looks into the catalogue and nowhere else, makes no call, and never shows what was typed.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Provost;
use super::answer::{Answer, Failure, arguments};
use super::api::Reader;
use super::limit::clamped;
use super::record::Notes;
use crate::catalog::find::{Finder, Found, MAX_QUERY};
use crate::catalog::recipe::commands::{self, Command};
use crate::catalog::recipe::{self, Recipe};
use crate::catalog::tier::{self, Tier};
use crate::catalog::{Endpoint, Method};
use crate::policy::Principal;
use crate::pve::loose;
use crate::text::clean;

const DEFAULT_LIMIT: usize = 8;
const MOST_LIMIT: usize = 50;
const MOST_RECIPES: usize = 2;
/// Of what was typed, the share from which on a command is what was meant.
const SURE: f32 = 0.75;
/// Of all rows together, as JSON.
const MOST_BYTES: usize = 12_000;
/// Characters of PVE's prose about an endpoint.
const MOST_PROSE: usize = 120;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindArguments {
    /// "grow disk of vm 100", or a path
    query: String,
    /// Default 8
    #[serde(default, deserialize_with = "loose::optional::u64")]
    #[schemars(with = "Option<usize>")]
    limit: Option<u64>,
}

/// What may be meant, the likeliest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FindAnswer {
    matches: Vec<Match>,
    /// How the job is done, step by step.
    recipes: Vec<Steps>,
    /// How many endpoints fit, those that are not shown included.
    total: usize,
    #[serde(skip_serializing_if = "str::is_empty")]
    next: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// One endpoint.
#[derive(Debug, Serialize, JsonSchema)]
struct Match {
    #[schemars(with = "String")]
    method: Method,
    /// With what the words named filled in; what is in braces is still open.
    path: String,
    /// The path as it is in the API, where something has been filled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    /// How far it can reach: read, reversible, additive, change, disruptive, lockout, destructive, host or held.
    #[schemars(with = "String")]
    tier: Tier,
    /// Why it has that tier; absent for a read. Arguments can add to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
    /// Required parameters that are still to be given; `net[n]` stands for net0, net1, ….
    needs: Vec<String>,
    /// Who may call it, as PVE checks it.
    privileges: String,
    /// Whether an API token may call it; absent where it may.
    #[serde(skip_serializing_if = "is_true")]
    token: bool,
    /// The node's own words about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    about: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Steps {
    title: &'static str,
    steps: Vec<Step>,
    /// What may stand for the words in capitals of a call.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    fill: BTreeMap<&'static str, &'static str>,
    /// Elements of argv that are left out where they are not wanted.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    leave_out: &'static [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<&'static str>,
}

/// A call of the API, through `read` or `plan`; or one of another tool.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Step {
    Api(ApiStep),
    Tool(ToolStep),
}

#[derive(Debug, Serialize, JsonSchema)]
struct ToolStep {
    tool: &'static str,
    /// Of the tool, each word in capitals filled in and nothing else changed.
    args: Map<String, Value>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ApiStep {
    #[schemars(with = "String")]
    method: Method,
    path: String,
    /// What is in capitals is to be filled in.
    #[serde(skip_serializing_if = "Map::is_empty")]
    args: Map<String, Value>,
    #[serde(skip_serializing_if = "str::is_empty")]
    why: &'static str,
}

/// Of words that say "not".
const DENIED: &str = "the words say what is not to be done: that is left out, and these are for the rest";

fn is_true(value: &bool) -> bool {
    *value
}

pub fn call(
    provost: &Provost,
    principal: &Principal,
    given: Map<String, Value>,
    notes: &Arc<Notes>,
) -> Answer {
    let reader = provost.reader(principal, notes)?;
    let FindArguments { query, limit } = arguments(given)?;
    if query.len() > MAX_QUERY {
        let message = format!("query has {} bytes; at most {MAX_QUERY} are read", query.len());
        return Err(Failure::new("arguments", message, "say it in fewer words"));
    }
    let (limit, note) = clamped(limit, DEFAULT_LIMIT, MOST_LIMIT);
    let found = find(&reader, &query, limit);
    let denied = reader.finder().denies(&query).then(|| DENIED.to_owned());
    let answer = FindAnswer { note: note.or(denied), ..found };
    notes.rows(answer.matches.len());
    match serde_json::to_value(answer) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(Failure::new("internal", "the answer could not be written", "")),
    }
}

fn find(reader: &Reader, query: &str, limit: usize) -> FindAnswer {
    let finder = reader.finder();
    let found = finder.search(&reader.catalog, query);
    let mut room = MOST_BYTES;
    let endpoints = reader.catalog.endpoints();
    let matches = found.iter().take(limit).map(|found| Match::new(found, &endpoints[found.endpoint]));
    let matches: Vec<Match> = matches.take_while(|row| fits(row, &mut room)).collect();
    let kind = found.first().map_or("lxc", |found| kind(&endpoints[found.endpoint].path));
    let recipes: Vec<Steps> = recipes(reader, &finder, query, &found, kind)
        .into_iter()
        .filter(|recipe| fits(recipe, &mut room))
        .collect();
    let next = match found.is_empty() && recipes.is_empty() {
        true => "say what is to be done and to what: \"list containers\", \"resize disk of vm 100\"",
        false => "",
    };
    FindAnswer { matches, recipes, total: found.len(), next, note: None }
}

/// Of both tables the likeliest. What is called by its title comes alone: `diagnose` sends its reader here with one.
fn recipes(reader: &Reader, finder: &Finder, query: &str, found: &[Found], kind: &str) -> Vec<Steps> {
    let words = query.trim().trim_start_matches("find:").trim();
    let of_api = finder.recipes(&reader.catalog, words, found).into_iter();
    let is_title = |title: &str| title.eq_ignore_ascii_case(words);
    let of_api: Vec<_> = of_api.take(MOST_RECIPES).collect();
    let commands = commands::find(words);
    if let Some(recipe) = of_api.iter().find(|recipe| is_title(recipe.title)) {
        return vec![Steps::new(recipe, kind)];
    }
    if let Some((command, _)) = commands.iter().find(|(command, _)| is_title(&command.title)) {
        return vec![Steps::of_command(command)];
    }
    // A command has to fit well to go before what the API has.
    let (sure, rest): (Vec<_>, Vec<_>) = commands.into_iter().partition(|(_, share)| *share >= SURE);
    let sure = sure.into_iter().take(1).map(|(command, _)| Steps::of_command(command));
    let rest = rest.into_iter().map(|(command, _)| Steps::of_command(command));
    let of_api = of_api.into_iter().map(|recipe| Steps::new(recipe, kind));
    sure.chain(of_api).chain(rest).take(MOST_RECIPES).collect()
}

/// Whether a row still fits; if so, its bytes are taken.
fn fits(row: &impl Serialize, room: &mut usize) -> bool {
    let bytes = serde_json::to_string(row).map_or(usize::MAX, |text| text.len());
    match room.checked_sub(bytes) {
        Some(left) => {
            *room = left;
            true
        }
        None => false,
    }
}

fn kind(path: &str) -> &'static str {
    if path.contains("/qemu") { "qemu" } else { "lxc" }
}

impl Match {
    fn new(found: &Found, endpoint: &Endpoint) -> Self {
        let (tier, why) = tier::of(endpoint.product, endpoint.method, &endpoint.path);
        let filled = found.path != endpoint.path;
        let is_open = |name: &str| {
            let braced = format!("{{{name}}}");
            found.path.contains(&braced) || !endpoint.path.contains(&braced)
        };
        let needed =
            endpoint.parameters.iter().filter(|parameter| !parameter.optional && is_open(&parameter.name));
        Self {
            method: endpoint.method,
            path: found.path.clone(),
            endpoint: filled.then(|| endpoint.path.clone()),
            tier,
            why: (tier != Tier::Read).then_some(why),
            needs: needed
                .map(|parameter| format!("{}{}", parameter.name, if parameter.family { "[n]" } else { "" }))
                .collect(),
            privileges: endpoint.privileges(),
            token: endpoint.allowtoken,
            about: first_sentence(&endpoint.description),
        }
    }
}

fn first_sentence(prose: &str) -> String {
    let sentence = prose.split(". ").next().unwrap_or_default();
    let line: String = clean(sentence.as_bytes()).split_whitespace().collect::<Vec<_>>().join(" ");
    crate::text::shortened(&line, MOST_PROSE)
}

impl Steps {
    fn new(recipe: &'static Recipe, kind: &str) -> Self {
        let step = |step: &'static recipe::Step| ApiStep {
            method: step.method,
            path: step.path.replace("{kind}", kind),
            args: step
                .arguments
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
                .collect(),
            why: step.why,
        };
        Self {
            title: recipe.title,
            steps: recipe.steps.iter().map(|one| Step::Api(step(one))).collect(),
            fill: BTreeMap::new(),
            leave_out: &[],
            notes: recipe.notes.clone(),
        }
    }

    fn of_command(command: &'static Command) -> Self {
        let guest = (command.tool != "diagnose").then(|| ("guest".to_owned(), Value::from("VMID")));
        let args = guest.into_iter().chain(command.args.clone()).collect();
        Self {
            title: &command.title,
            steps: vec![Step::Tool(ToolStep { tool: &command.tool, args })],
            fill: command.fill.iter().map(|(name, what)| (name.as_str(), what.as_str())).collect(),
            leave_out: &command.leave,
            notes: command.notes.iter().map(String::as_str).collect(),
        }
    }
}
