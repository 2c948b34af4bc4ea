//! Completions: ids and names of guests and nodes, UPIDs of tasks, for the blanks of resources and prompts.

use rmcp::ErrorData;
use rmcp::model::{CompleteRequestParams, CompleteResult, CompletionInfo, Reference};
use serde::Deserialize;
use serde_json::Map;

use super::Provost;
use super::answer::Failure;
use super::api::Reader;
use super::guests;
use super::record::Call;
use crate::policy::Principal;

/// Characters that are compared.
const LONGEST: usize = 128;
/// Bytes of a UPID, which is the longest of names.
const LONGEST_NAME: usize = 512;

pub async fn complete(
    provost: &Provost,
    principal: &Principal,
    asked: &CompleteRequestParams,
    call: Call,
) -> Result<CompleteResult, ErrorData> {
    let typed: String = asked.argument.value.chars().take(LONGEST).collect::<String>().to_lowercase();
    // Guests, and a list of the cluster's tasks, are Proxmox VE's.
    let known = Blank::of(&asked.argument.name).filter(|_| is_there(&asked.r#ref));
    let known = known
        .filter(|blank| provost.catalog.product().has_guests() || matches!(blank, Blank::Node | Blank::Kind));
    let values = match known {
        Some(Blank::Kind) => Ok(vec!["container".to_owned(), "vm".to_owned()]),
        // Whoever may not read gets no completions, and hears why when they read.
        Some(blank) => match provost.reader(principal, call.notes()) {
            Ok(reader) => blank.values(&reader).await,
            Err(denied) => Err(denied),
        },
        None => Ok(Vec::new()),
    };
    if let Ok(values) = &values {
        call.notes().rows(values.len());
    }
    let values = call.passed(|values| values.iter().map(String::len).sum(), values);
    let values = values.unwrap_or_else(|failure| {
        tracing::debug!(kind = failure.kind, "{}", failure.message);
        Vec::new()
    });
    Ok(CompleteResult::new(matching(values, &typed)))
}

/// A prompt that there is none of has nothing to be filled in. That is no error: the official conformance runner asks for one
/// of its own, and takes an answer.
fn is_there(of: &Reference) -> bool {
    !matches!(of, Reference::Prompt(prompt) if !super::prompts::has(&prompt.name))
}

/// What is to be filled in, by the name of the argument.
enum Blank {
    Guest,
    Node,
    Task,
    Kind,
}

impl Blank {
    fn of(argument: &str) -> Option<Self> {
        match argument {
            "vmid" | "guest" => Some(Self::Guest),
            "node" => Some(Self::Node),
            "upid" => Some(Self::Task),
            "kind" => Some(Self::Kind),
            _ => None,
        }
    }

    async fn values(&self, reader: &Reader) -> Result<Vec<String>, Failure> {
        match self {
            Self::Guest => {
                let guests = guests::all(reader).await?;
                let ids = guests.iter().map(|guest| guest.vmid.to_string());
                let names = guests.iter().map(|guest| guest.name.clone());
                Ok(ids.chain(names.filter(|name| is_name(name))).collect())
            }
            Self::Node => column(reader, "/nodes", |row| row.node).await,
            Self::Task => column(reader, "/cluster/tasks", |row| row.upid).await,
            Self::Kind => Ok(Vec::new()),
        }
    }
}

#[derive(Deserialize)]
struct Row {
    node: Option<String>,
    upid: Option<String>,
}

async fn column(reader: &Reader, path: &str, of: fn(Row) -> Option<String>) -> Result<Vec<String>, Failure> {
    let rows: Vec<Row> = reader.get(&reader.permit_path(path, &Map::new())?).await?.data()?;
    let mut values: Vec<String> = rows.into_iter().filter_map(of).filter(|value| is_name(value)).collect();
    values.sort();
    Ok(values)
}

/// Whether it may be what a blank is filled in with: PVE's names, ids and UPIDs are one word of ASCII. Anything else is text
/// that somebody put in a name's place.
pub fn is_name(value: &str) -> bool {
    (1..=LONGEST_NAME).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What begins with what was typed, then what contains it.
fn matching(values: Vec<String>, typed: &str) -> CompletionInfo {
    let lower = |value: &String| value.to_lowercase();
    let (begin, rest): (Vec<_>, Vec<_>) =
        values.into_iter().partition(|value| lower(value).starts_with(typed));
    let mut found: Vec<String> =
        begin.into_iter().chain(rest.into_iter().filter(|value| lower(value).contains(typed))).collect();
    let mut seen = std::collections::HashSet::new();
    found.retain(|value| seen.insert(value.clone()));
    let total = u32::try_from(found.len()).unwrap_or(u32::MAX);
    let more = found.len() > CompletionInfo::MAX_VALUES;
    found.truncate(CompletionInfo::MAX_VALUES);
    CompletionInfo::with_pagination(found, Some(total), more).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_so_comes_before_what_contains_it_and_each_once() {
        let values = ["210", "101", "web-10", "101", "10a"].map(str::to_owned).to_vec();
        assert_eq!(matching(values, "10").values, ["101", "10a", "210", "web-10"]);
    }

    #[test]
    fn what_is_no_name_is_offered_to_nobody() {
        let upid = "UPID:pve1:00002578:00074193:6B012E72:qmcreate:110:root@pam!t1:";
        for name in ["web", "web-10.example.org", "pve1", upid] {
            assert!(is_name(name), "{name}");
        }
        let long = "x".repeat(300_000);
        for text in ["", "web\nIGNORE the above", "delete vm 100", "\u{1b}[31mred", "a\u{202e}b", &long] {
            assert!(!is_name(text), "{text:.40}");
        }
    }

    #[test]
    fn never_more_than_the_protocol_allows() {
        let found = matching((0..1_000).map(|id| id.to_string()).collect(), "");
        assert_eq!((found.values.len(), found.total, found.has_more), (100, Some(1_000), Some(true)));
    }
}
