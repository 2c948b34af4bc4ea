//! 266 answers of a real node, and what the simulated one says to the same questions.
//!
//! The facts of them (method, path, status line, keys and types) are in `recorded.txt`. With `PROVOST_APIDOC_DIR` set to
//! the folder of the recordings themselves, the words of errors are compared too, and the facts with their source;
//! `PROVOST_WRITE_RECORDED=1` writes them anew.

use std::path::{Path, PathBuf};

use provost::sim::estate::recorded;
use serde_json::Value;

use crate::client::Lab;
use crate::shape::shape;

/// What the simulated node answers otherwise, and why.
const OTHERWISE: &[(&str, &str)] = &[];

#[derive(Debug, PartialEq, Clone)]
struct Fact {
    method: String,
    path: String,
    status: u16,
    reason: String,
    shape: String,
}

impl Fact {
    fn line(&self) -> String {
        format!("{} {}\t{} {}\t{}", self.method, self.path, self.status, self.reason, self.shape)
    }

    fn read(line: &str) -> Self {
        let mut columns = line.split('\t');
        let mut words = columns.next().unwrap().splitn(2, ' ');
        let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
        let (status, reason) = columns.next().unwrap().split_once(' ').unwrap();
        let shape = columns.next().unwrap().to_owned();
        Self { method, path, status: status.parse().unwrap(), reason: reason.to_owned(), shape }
    }
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim/recorded.txt")
}

fn facts() -> Vec<Fact> {
    let text = std::fs::read_to_string(file()).unwrap();
    text.lines().filter(|line| !line.starts_with('#')).map(Fact::read).collect()
}

/// The recordings, where they are.
fn recordings() -> Option<Vec<(Fact, Value)>> {
    let Some(dir) = std::env::var_os("PROVOST_APIDOC_DIR") else {
        eprintln!("PROVOST_APIDOC_DIR is not set: compared with the facts alone, not with the recordings");
        return None;
    };
    let text = std::fs::read_to_string(Path::new(&dir).join("recorded-9.2.jsonl")).unwrap();
    let recordings = text.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        let fact = Fact {
            method: text("method"),
            path: text("path"),
            status: u16::try_from(row["status"].as_u64().unwrap()).unwrap(),
            reason: text("reason"),
            shape: shape(&row["body"]),
        };
        (fact, row["body"].clone())
    });
    Some(recordings.collect())
}

async fn answered(lab: &Lab, fact: &Fact) -> (Fact, Value) {
    let answer = lab.call(&fact.method, &fact.path, "").await;
    let body = answer.json();
    let found = Fact { status: answer.status, reason: answer.reason, shape: shape(&body), ..fact.clone() };
    (found, body)
}

#[tokio::test]
async fn each_recorded_answer_is_given() {
    let lab = Lab::new(recorded()).await;
    let facts = facts();
    assert_eq!(facts.len(), 266);
    let mut wrong = Vec::new();
    for fact in &facts {
        if OTHERWISE.iter().any(|(path, _)| *path == fact.path) {
            continue;
        }
        let (found, _) = answered(&lab, fact).await;
        if found != *fact {
            wrong.push(format!("recorded {}\n  found  {}\n", fact.line(), found.line()));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), facts.len(), wrong.join("\n"));
}

#[tokio::test]
async fn refusals_have_the_recorded_words() {
    let Some(recordings) = recordings() else { return };
    if std::env::var_os("PROVOST_WRITE_RECORDED").is_some() {
        let head = "# What a real node of PVE 9.2 answered: method, path, status line, keys and types.\n";
        let lines: String = recordings.iter().map(|(fact, _)| fact.line() + "\n").collect();
        std::fs::write(file(), format!("{head}{lines}")).unwrap();
    }
    let written: Vec<Fact> = recordings.iter().map(|(fact, _)| fact.clone()).collect();
    assert_eq!(written, facts(), "recorded.txt is not what the recordings say");
    let lab = Lab::new(recorded()).await;
    for (fact, body) in recordings.iter().filter(|(fact, _)| fact.status != 200) {
        let (_, found) = answered(&lab, fact).await;
        assert_eq!(found, *body, "{}", fact.path);
    }
}

/// Where an answer holds no time, size or key of its own making, it is the same to the value.
#[tokio::test]
async fn most_answers_are_equal_to_the_value() {
    let Some(recordings) = recordings() else { return };
    let lab = Lab::new(recorded()).await;
    let mut different = Vec::new();
    for (fact, body) in &recordings {
        let (_, found) = answered(&lab, fact).await;
        if sorted(found) != sorted(body.clone()) {
            different.push(fact.path.clone());
        }
    }
    println!("{} of {} differ in a value: {different:#?}", different.len(), recordings.len());
    assert!(different.len() <= 60, "{different:#?}");
}

/// Lists come in no order, nor do the words of a list in a text.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(sorted).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(values) => {
            let mut kept = serde_json::Map::new();
            for (key, value) in values {
                let value = match (key.as_str(), value) {
                    ("content", Value::String(words)) => {
                        let mut words: Vec<&str> = words.split(',').collect();
                        words.sort_unstable();
                        Value::String(words.join(","))
                    }
                    (_, value) => sorted(value),
                };
                kept.insert(key, value);
            }
            Value::Object(kept)
        }
        other => other,
    }
}
