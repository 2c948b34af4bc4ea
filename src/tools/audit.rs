//! `audit`: the receipts, queried and verified.
//!
//! It reads files, and may read all of them: on a thread of its own, few at once, and not for ever.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rmcp::model::JsonObject;
use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Provost;
use super::answer::{Answer, Failure, arguments, no_longer_wanted, to_object};
use super::record::Notes;
use crate::account::Account;
use crate::ledger::query::{Filter, newest_first_while, time};
use crate::ledger::verify::{Against, verify_slowly};
use crate::ledger::{Ledger, Receipt, Seq, witness};
use crate::policy::{Principal, Sight};
use crate::text::clean_json;

/// Bytes of the receipts in one answer, and of the body of one.
const BUDGET: usize = 16 << 10;
const MOST_BODY: usize = 2 << 10;
const LIMIT: usize = 20;
/// Findings that one answer names.
const FINDINGS: usize = 10;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditArguments {
    /// vmid
    guest: Option<u32>,
    /// user:NAME, vm:VMID
    principal: Option<String>,
    /// exec, refusal, read, intent, outcome, session, ...
    kind: Option<String>,
    /// allowed, refused, held
    decision: Option<String>,
    /// today, 2h, RFC 3339
    since: Option<String>,
    limit: Option<usize>,
    /// A receipt's number
    before: Option<Seq>,
    /// Check the whole log
    #[serde(default)]
    verify: bool,
}

/// Receipts, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AuditAnswer {
    receipts: Vec<Value>,
    /// Whether there may be older ones that fit: ask with the last number as `before`.
    more: bool,
    /// Where the search stopped because it took too long: ask with it as `before` to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    searched_to: Option<Seq>,
    head: Head,
    /// Only when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<Verified>,
}

/// The log as it stands.
#[derive(Debug, Serialize, JsonSchema)]
struct Head {
    origin: String,
    /// Receipts on the disk.
    size: u64,
    /// How many of them the signed head covers.
    signed: u64,
    /// "ready", "damaged", "unavailable".
    state: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Verified {
    holds: bool,
    /// Receipts that were checked.
    receipts: u64,
    /// Signed heads that they were held against.
    heads: usize,
    /// Root of the tree, base64.
    root: String,
    /// What is wrong, and where.
    damage: Vec<String>,
}

/// Searches at once, of all sessions; and how long one looks.
const SEARCHES: usize = 2;
const PATIENCE: Duration = Duration::from_secs(5);

/// What keeps audits from taking the node: they read files, of which there may be gigabytes.
pub struct Auditor {
    searches: Arc<Semaphore>,
    /// When the next verification may begin; none while one is under way.
    next: Arc<Mutex<Option<Instant>>>,
}

impl Default for Auditor {
    fn default() -> Self {
        Self {
            searches: Arc::new(Semaphore::new(SEARCHES)),
            next: Arc::new(Mutex::new(Some(Instant::now()))),
        }
    }
}

/// Which receipts a principal may see: its own, the daemon's, those about guests that its role includes; all with profile
/// `full`.
struct Sees {
    account: Account,
    sight: Sight,
}

impl Sees {
    fn includes(&self, receipt: &Receipt) -> bool {
        let own = receipt.principal.as_ref().is_none_or(|who| who.account() == Some(self.account));
        own || self.sight.sees_everybody() || receipt.guest.is_some_and(|guest| self.sight.includes(guest))
    }
}

pub async fn call(
    provost: &Provost,
    principal: &Principal,
    given: JsonObject,
    notes: &Arc<Notes>,
    given_up: &CancellationToken,
) -> Answer {
    let sees = Sees { account: principal.account(), sight: provost.policy.read(principal)? };
    let given: AuditArguments = arguments(given)?;
    if let Some(guest) = given.guest {
        notes.guest(guest);
    }
    let turn = given.verify.then(|| Verification::begin(&provost.auditor.next)).transpose()?;
    let searching = provost.auditor.searches.clone().acquire_owned();
    let place = tokio::select! {
        place = searching => place,
        () = given_up.cancelled() => return Err(no_longer_wanted()),
    };
    let (ledger, stop) = (provost.desk.ledger.clone(), given_up.clone());
    let work = tokio::task::spawn_blocking(move || {
        let _held = (place, turn);
        answer(&ledger, given, |receipt| sees.includes(receipt), &stop)
    });
    // What was begun ends by itself soon after nobody wants it: it looks at the same token.
    let answer = work.await.map_err(|error| Failure::new("internal", error.to_string(), "report this"))??;
    notes.rows(answer.receipts.len());
    to_object(answer)
}

/// A verification under way. It reads all there is, so one runs at a time, and they may take a fifth of a processor.
struct Verification {
    began: Instant,
    next: Arc<Mutex<Option<Instant>>>,
}

impl Verification {
    fn begin(next: &Arc<Mutex<Option<Instant>>>) -> Result<Self, Failure> {
        let mut at = next.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = |text: String, then| Err(Failure::new("busy", text, then));
        match *at {
            None => {
                return busy(
                    "the log is being verified for somebody else".into(),
                    "call again when that has ended",
                );
            }
            Some(at) if at > Instant::now() => {
                let wait = (at - Instant::now()).as_secs() + 1;
                let text = format!("the log was verified a moment ago; the next time is free in {wait} s");
                return busy(text, "call again then; on the node, provost audit verify waits for nobody");
            }
            Some(_) => *at = None,
        }
        Ok(Self { began: Instant::now(), next: next.clone() })
    }
}

impl Drop for Verification {
    fn drop(&mut self) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = Some(Instant::now() + 4 * self.began.elapsed());
    }
}

fn answer(
    ledger: &Ledger,
    given: AuditArguments,
    sees: impl Fn(&Receipt) -> bool,
    stop: &CancellationToken,
) -> Result<AuditAnswer, Failure> {
    let verified = given.verify.then(|| verified(ledger, stop)).transpose()?;
    let limit = given.limit.unwrap_or(LIMIT);
    let filter = filter(given)?;
    let (mut receipts, mut size, mut more, mut searched_to) = (Vec::new(), 0, false, None);
    let until = Instant::now() + PATIENCE;
    let go_on = |seq| {
        let enough = Instant::now() > until || stop.is_cancelled();
        searched_to = enough.then_some(seq);
        !enough
    };
    let read = newest_first_while(ledger.place(), &filter, go_on, |receipt| {
        if !sees(&receipt) {
            return ControlFlow::Continue(());
        }
        let shown = shown(receipt);
        size += shown.to_string().len();
        more = receipts.len() == limit || size > BUDGET;
        if more {
            return ControlFlow::Break(());
        }
        receipts.push(shown);
        ControlFlow::Continue(())
    });
    read.map_err(|error| {
        Failure::new("ledger_unreadable", error.to_string(), "the operator should run: provost audit verify")
    })?;
    let status = ledger.status();
    let head = Head { origin: status.origin, size: status.size, signed: status.signed, state: status.state };
    Ok(AuditAnswer { receipts, more: more || searched_to.is_some(), searched_to, head, verified })
}

fn filter(given: AuditArguments) -> Result<Filter, Failure> {
    let wrong = |message: String| Failure::new("arguments", message, "correct the argument and call again");
    Ok(Filter {
        guest: given.guest,
        principal: given.principal,
        kind: given.kind.map(|kind| kind.parse()).transpose().map_err(wrong)?,
        decision: given.decision.map(|decision| decision.parse()).transpose().map_err(wrong)?,
        since: given.since.map(|since| time(&since)).transpose().map_err(wrong)?,
        before: given.before,
        ..Filter::default()
    })
}

/// As a model reads it: without what only a verifier needs, and no body that would fill the answer.
fn shown(receipt: Receipt) -> Value {
    let mut shown = json!(receipt);
    if let Value::Object(object) = &mut shown {
        for name in ["mono_us", "start", "v"] {
            object.remove(name);
        }
        let body = object["body"].to_string().len();
        if body > MOST_BODY {
            let whole = format!("provost audit show {}", receipt.seq);
            object.insert("body".into(), json!({ "bytes": body, "whole": whole }));
        }
    }
    clean_json(&mut shown);
    shown
}

fn verified(ledger: &Ledger, stop: &CancellationToken) -> Result<Verified, Failure> {
    let against = Against { witnesses: witness::dirs(), ..Against::default() };
    let go_on = |_| if stop.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let verdict = verify_slowly(ledger.place(), &against, go_on).map_err(|error| {
        Failure::new("ledger_unreadable", error.to_string(), "call again, or see journalctl -t provost")
    })?;
    let verdict = verdict.ok_or_else(no_longer_wanted)?;
    let verified = Verified {
        holds: verdict.holds(),
        receipts: verdict.size - verdict.first,
        heads: verdict.heads,
        root: verdict.root.clone(),
        damage: verdict.damage.iter().take(FINDINGS).map(|damage| damage.to_string()).collect(),
    };
    // Whoever finds it, from now on nothing may be changed.
    if let Some(damage) = verdict.damage.into_iter().next() {
        ledger.damaged(damage);
    }
    Ok(verified)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::receipt::body::{Read, Refusal};
    use crate::ledger::{Decision, Entry, Options, Who};

    fn with(entries: impl IntoIterator<Item = Entry>) -> (tempfile::TempDir, Ledger) {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(Options::new(dir.path())).unwrap();
        for entry in entries {
            ledger.append_durable_blocking(entry).unwrap();
        }
        (dir, ledger)
    }

    fn asked(ledger: &Ledger, arguments: Value) -> Value {
        let Value::Object(arguments) = arguments else { panic!("an object") };
        let stop = CancellationToken::new();
        match super::arguments(arguments).and_then(|given| answer(ledger, given, |_| true, &stop)) {
            Ok(answer) => json!(answer),
            Err(failure) => json!({ "error": failure }),
        }
    }

    #[test]
    fn a_role_sees_its_own_the_daemons_and_what_is_about_its_guests_and_full_without_guests_sees_all() {
        let seen = |keys: &str, receipt: Option<(u32, Option<u32>)>| {
            let text = format!("[[role]]\nname='a'\nmembers=['user:alice']\n{keys}");
            let rules = crate::config::parse(std::path::Path::new("x"), &text).unwrap();
            let policy = crate::policy::Policy::new(crate::policy::Rules::fixed(rules));
            let alice = Principal::for_tests(1000, "alice", &[]);
            let sees = Sees { account: 1000.into(), sight: policy.read(&alice).unwrap() };
            let mut line = json!({
                "body": {}, "kind": "read", "mono_us": 1, "seq": 1, "start": "x", "time": "2026-01-31T10:00:00Z", "v": 1,
            });
            if let Some((uid, guest)) = receipt {
                line["principal"] = json!({ "uid": uid });
                line["guest"] = json!(guest);
            }
            sees.includes(&serde_json::from_value(line).unwrap())
        };
        let (mine, others) = (Some((1000, Some(300))), Some((1001, Some(300))));
        for profile in ["observe", "operate", "provision"] {
            let keys = format!("profile='{profile}'\nguests=['100-199']");
            assert!(seen(&keys, mine) && seen(&keys, None), "{profile}");
            assert!(seen(&keys, Some((1001, Some(150)))) && !seen(&keys, others), "{profile}");
            assert!(!seen(&keys, Some((1001, None))) && !seen("", Some((1001, None))), "{profile}");
        }
        assert!(
            !seen("profile='full'\nguests=['100-199']", others) && seen("profile='full'", Some((1001, None)))
        );
    }

    fn refusal(guest: u32, user: &str, why: &str) -> Entry {
        let body = Refusal { args: None, argv: None, code: "no".into(), next: None };
        Entry {
            principal: Some(Who { user: Some(user.into()), ..Who::default() }),
            guest: Some(guest),
            decision: Some(Decision::Refused),
            why: Some(why.into()),
            ..Entry::of(body)
        }
    }

    #[test]
    fn receipts_are_found_by_what_they_say_the_newest_first() {
        let all = (0..10).map(|index| refusal(100 + index % 2, ["alice", "bob"][index as usize / 5], "no"));
        let (_dir, ledger) = with(all);
        let found = |arguments| {
            let answer = asked(&ledger, arguments);
            let seqs = answer["receipts"].as_array().unwrap().iter().map(|one| one["seq"].as_u64().unwrap());
            (seqs.collect::<Vec<_>>(), answer["more"] == true)
        };
        assert_eq!(found(json!({ "guest": 100 })), (vec![9, 7, 5, 3, 1], false));
        assert_eq!(found(json!({ "guest": 100, "limit": 2 })), (vec![9, 7], true));
        assert_eq!(found(json!({ "principal": "user:bob", "guest": 101 })), (vec![10, 8, 6], false));
        assert_eq!(found(json!({ "kind": "start" })), (vec![0], false));
        assert_eq!(found(json!({ "decision": "allowed" })), (vec![], false));
        assert_eq!(found(json!({ "since": "1h", "decision": "refused" })).0.len(), 10);
        let answer = asked(&ledger, json!({ "kind": "reed" }));
        assert!(answer["error"]["message"].as_str().unwrap().contains("refusal"), "{answer}");
    }

    #[test]
    fn an_answer_stays_within_its_bytes_and_hides_nothing_from_its_reader() {
        let long = "x".repeat(4000) + "\u{202e}\u{1b}[2J";
        let (_dir, ledger) = with((0..30).map(|_| refusal(1, "alice", &long)));
        let answer = asked(&ledger, json!({ "limit": 1000 }));
        let text = answer.to_string();
        assert!(text.len() < BUDGET + 1024 && answer["more"] == true, "{}", text.len());
        assert!(!text.contains('\u{202e}') && !text.contains("\\u001b"));
        let args = crate::ledger::receipt::Json::of("/", json!({ "a": "y".repeat(100_000) }));
        let body = Read { args: Some(args), bytes: 0, duration_us: 0, rows: None, status: None };
        let (_dir, ledger) = with([Entry::of(body)]);
        let answer = asked(&ledger, json!({ "kind": "read" }));
        assert!(answer["receipts"][0]["body"]["bytes"].as_u64().unwrap() > 100_000);
    }

    #[test]
    fn verification_says_that_it_holds_or_what_does_not_and_then_refuses_changes() {
        let (dir, ledger) = with((0..3).map(|_| refusal(1, "alice", "was not allowed")));
        let answer = asked(&ledger, json!({ "verify": true }));
        assert_eq!(
            (&answer["verified"]["holds"], &answer["head"]["size"]),
            (&json!(true), &json!(4)),
            "{answer}"
        );
        let path = dir.path().join("entries-000001.jsonl");
        let text = std::fs::read_to_string(&path).unwrap().replacen("was not allowed", "was all allowed", 1);
        std::fs::write(&path, text).unwrap();
        let answer = asked(&ledger, json!({ "verify": true }));
        assert_eq!(answer["verified"]["holds"], false);
        assert!(answer["verified"]["damage"][0].as_str().unwrap().contains("entry 1"), "{answer}");
        // It is told to the writer by a thread of its own; the writer's next answer is a refusal.
        let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while ledger.append_durable_blocking(refusal(1, "alice", "no")).is_ok() {
            assert!(std::time::Instant::now() < end);
        }
    }
}
