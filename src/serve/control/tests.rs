use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use nix::unistd::Uid;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use super::porter::Node;
use super::*;
use crate::config;
use crate::control::{Ask, Catalogue, Examined, Running};
use crate::ledger::query::{Filter, newest_first};
use crate::ledger::{Kind, Ledger, Options, Receipt};
use crate::policy::approval::{How, Request};
use crate::policy::{Halt, Policy, Rules};

const PLAN: &str = "00112233445566778899aabbccddeeff";

/// A node on which nothing runs.
struct Quiet;

impl Node for Quiet {
    async fn running(&self) -> Result<Vec<Running>, String> {
        Ok(Vec::new())
    }

    fn catalogue(&self) -> Catalogue {
        Catalogue { origin: String::new(), problem: None, endpoints: 0, unclassified: Vec::new() }
    }

    async fn examined(&self) -> Examined {
        Examined { version: "1".into(), ..Examined::default() }
    }
}

struct Office {
    dir: TempDir,
    policy: Policy,
    ledger: Ledger,
    refused: Crowds,
}

impl Office {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = "[approval]\nmembers=['group:approvers']\n[[role]]\nname='a'\nmembers=['user:alice']\nprofile='full'";
        let mut policy = Policy::new(Rules::fixed(config::parse(Path::new("x"), text).unwrap()));
        policy.halt = Halt::beside(&dir.path().join("ledger"));
        let ledger = Ledger::open(Options::new(dir.path().join("ledger"))).unwrap();
        let expires = Duration::from_secs(900);
        let request = Request {
            plan: PLAN.into(),
            sha256: "5f16".into(),
            account: 1000.into(),
            behind: None,
            who: alice().to_string(),
            role: "a".into(),
            endpoint: "DELETE /nodes/{node}/lxc/{vmid}".into(),
            guest: Some(105),
            summary: vec!["destroys container 105".into()],
            text: "destroys container 105 and its volumes".into(),
            because: vec!["destructive: the guest is gone".into()],
            receipt: 7,
            expires: Instant::now() + expires,
            expires_at: jiff::Timestamp::now() + expires,
            self_approval: false,
            how: vec![How::Terminal],
        };
        policy.approvals.ask(request).unwrap();
        Self { dir, policy, ledger, refused: Crowds::default() }
    }

    /// What somebody is answered: the answer, or the kind of the refusal.
    async fn ask(&self, who: &Principal, ask: Ask) -> Result<Value, String> {
        let porter =
            Porter { policy: &self.policy, ledger: &self.ledger, node: &Quiet, refused: &self.refused };
        match porter.answer(who, ask).await {
            Reply::Done(answer) => Ok(answer),
            Reply::Refused(refused) => {
                assert!(!refused.message.is_empty() && !refused.next.is_empty(), "{refused:?}");
                Err(refused.kind)
            }
        }
    }

    async fn decide(&self, who: &Principal, id: &str, approve: bool) -> Result<Value, String> {
        let decide = Ask::Decide { id: id.into(), sha256: "5f16".into(), approve, why: "as agreed".into() };
        self.ask(who, decide).await
    }

    /// The latest receipts, the newest first.
    async fn receipts(&self) -> Vec<Receipt> {
        // What is written after it is behind it.
        self.ledger.checkpoint().await.unwrap();
        let mut found = Vec::new();
        newest_first(self.ledger.place(), &Filter::default(), |receipt| {
            found.push(receipt);
            ControlFlow::Continue(())
        })
        .unwrap();
        found
    }
}

fn halt() -> Ask {
    Ask::Halt { why: "the storage fails".into() }
}

fn resume() -> Ask {
    Ask::Resume { why: "mended".into() }
}

fn root() -> Principal {
    Principal::for_tests(0, "root", &[(0, "root")])
}

fn alice() -> Principal {
    Principal::for_tests(1000, "alice", &[(1000, "alice")])
}

fn bob() -> Principal {
    Principal::for_tests(1001, "bob", &[(1001, "bob"), (50, "approvers")])
}

fn carol() -> Principal {
    Principal::for_tests(1002, "carol", &[(1002, "carol")])
}

#[tokio::test]
async fn root_and_approvers_halt_and_resume_and_nobody_else_with_a_receipt_of_each() {
    let office = Office::new();
    for (who, may) in [(root(), true), (bob(), true), (alice(), false), (carol(), false)] {
        let halted = office.ask(&who, halt()).await;
        let receipt = office.receipts().await.remove(0);
        assert_eq!(receipt.principal.as_ref().and_then(|who| who.uid), who.who(None).uid);
        if may {
            assert_eq!(halted.unwrap()["halted"]["by"], json!(who.to_string()));
            assert_eq!((receipt.kind, &receipt.body), (Kind::Halt, &json!({ "halted": true })));
            assert!(office.policy.halt.check().is_err());
        } else {
            assert_eq!(halted, Err("not_an_approver".into()));
            assert_eq!((receipt.kind, &receipt.body["code"]), (Kind::Refusal, &json!("not_an_approver")));
            assert!(office.policy.halt.check().is_ok());
            office.policy.halt.halt("user:root (uid 0)", "").unwrap();
        }
        let resumed = office.ask(&who, resume()).await;
        assert_eq!((resumed.is_ok(), office.policy.halt.check().is_ok()), (may, may), "{who}");
        office.policy.halt.resume().unwrap();
    }
}

#[tokio::test]
async fn a_halt_holds_unrecorded_and_nothing_that_permits_does() {
    let office = Office::new();
    office.ledger.clone().close();
    let halted = office.ask(&root(), halt()).await.unwrap();
    assert!(halted["note"].as_str().unwrap().contains("not recorded"), "{halted}");
    assert_eq!(office.ask(&root(), resume()).await, Err("stopping".into()));
    assert!(office.policy.halt.check().is_err());
    assert_eq!(office.decide(&bob(), PLAN, true).await, Err("stopping".into()));
    assert_eq!(office.ask(&bob(), Ask::Plans {}).await.unwrap()["plans"][0]["state"], json!("waiting"));
}

#[tokio::test]
async fn a_halt_stands_for_the_daemon_that_comes_after() {
    let office = Office::new();
    office.ask(&bob(), halt()).await.unwrap();
    let after = Halt::beside(&office.dir.path().join("ledger")).now().unwrap();
    assert_eq!((after.by.as_str(), after.why.as_str()), ("user:bob (uid 1001)", "the storage fails"));
    // Who asks for plans meanwhile is told.
    assert_eq!(
        office.ask(&alice(), Ask::Plans {}).await.unwrap()["halted"]["why"],
        json!("the storage fails")
    );
}

#[tokio::test]
async fn an_answer_leaves_a_receipt_that_names_the_plan_and_the_person() {
    for (approve, decision) in [(true, "allowed"), (false, "refused")] {
        let office = Office::new();
        let shown = office.ask(&bob(), Ask::Plan { id: PLAN.into() }).await.unwrap();
        assert!(shown["text"].as_str().unwrap().contains("and its volumes"), "{shown}");
        let decided = office.decide(&bob(), PLAN, approve).await.unwrap();
        assert_eq!(decided["approved"], json!(approve));
        let receipt = office.receipts().await.remove(0);
        assert_eq!((json!(receipt.seq), receipt.kind), (decided["receipt"].clone(), Kind::Approval));
        assert_eq!(receipt.body, json!({ "how": "terminal", "of": 7, "sha256": "5f16" }));
        assert_eq!(receipt.decision.map(|it| it.name()), Some(decision));
        assert_eq!(receipt.plan.as_deref(), Some(PLAN));
        assert_eq!((receipt.guest, receipt.principal_name().as_str()), (Some(105), "user:bob"));
        assert_eq!(office.decide(&root(), PLAN, !approve).await, Err("already_decided".into()));
    }
}

#[tokio::test]
async fn each_refused_answer_leaves_a_receipt_of_its_own() {
    let office = Office::new();
    let guessed = "ffffffffffffffffffffffffffffffff";
    for (who, id, kind) in [
        (alice(), PLAN, "self_approval"),
        (carol(), PLAN, "no_such_plan"),
        (carol(), guessed, "no_such_plan"),
        (bob(), guessed, "no_such_plan"),
        (bob(), "../../etc/passwd", "no_such_plan"),
    ] {
        assert_eq!(office.decide(&who, id, true).await, Err(kind.into()), "{who} {id}");
        let receipt = office.receipts().await.remove(0);
        assert_eq!((receipt.kind, &receipt.body["code"]), (Kind::Refusal, &json!(kind)), "{who} {id}");
        assert_eq!(receipt.plan.is_some(), id.len() == 32, "{who} {id}");
    }
    let mut other =
        Ask::Decide { id: PLAN.into(), sha256: "other".into(), approve: true, why: String::new() };
    assert_eq!(office.ask(&bob(), other.clone()).await, Err("another_plan".into()));
    if let Ask::Decide { sha256, .. } = &mut other {
        *sha256 = "5f16".into();
    }
    assert!(office.ask(&bob(), other).await.is_ok());
}

#[tokio::test]
async fn who_is_refused_again_and_again_fills_no_disk_and_hides_nobody_else() {
    let office = Office::new();
    let revoke = |at: u64| Ask::RevokeToken { id: format!("{at:016x}"), why: String::new() };
    for at in 0..200 {
        assert_eq!(office.ask(&carol(), revoke(at)).await, Err("no_such_token".into()));
    }
    let receipts = office.receipts().await;
    assert!((20..30).contains(&receipts.len()), "{}", receipts.len());
    assert_eq!(office.ask(&bob(), revoke(0)).await, Err("no_such_token".into()));
    let last = office.receipts().await.remove(0);
    assert!(last.principal.is_some_and(|who| who.uid == Some(1001)), "bob's own");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_after_the_plan_expired_is_refused_with_a_receipt() {
    let office = Office::new();
    tokio::time::advance(Duration::from_secs(900)).await;
    assert_eq!(office.decide(&bob(), PLAN, true).await, Err("plan_expired".into()));
    let receipt = office.receipts().await.remove(0);
    assert_eq!((receipt.kind, &receipt.body["code"]), (Kind::Refusal, &json!("plan_expired")));
    assert_eq!(receipt.plan.as_deref(), Some(PLAN));
}

#[tokio::test]
async fn plans_are_shown_to_who_asked_and_to_who_decides() {
    let office = Office::new();
    for (who, sees) in [(root(), 1), (bob(), 1), (alice(), 1), (carol(), 0)] {
        let plans = office.ask(&who, Ask::Plans {}).await.unwrap();
        assert_eq!(plans["plans"].as_array().map(Vec::len), Some(sees), "{who}");
        assert_eq!(office.ask(&who, Ask::Plan { id: PLAN.into() }).await.is_ok(), sees == 1, "{who}");
    }
}

/// A door on a socket that anybody reaches, of a node whose approver is this test's account and nobody else.
fn door() -> (TempDir, Arc<Provost>, CancellationToken) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let text = format!(
        "[pve]\nurl='http://127.0.0.1:9'\ndaemon=''\napidoc='/nowhere'\n[approval]\nmembers=['user:{}']",
        Uid::effective()
    );
    let provost = Arc::new(Provost::for_tests(Rules::fixed(config::parse(Path::new("x"), &text).unwrap())));
    let path = dir.path().join("control.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(Door { listener, path: Some(path) }.serve(provost.clone(), stop.clone()));
    (dir, provost, stop)
}

async fn knock(dir: &TempDir, question: &[u8]) -> Value {
    let mut stream = UnixStream::connect(dir.path().join("control.sock")).await.unwrap();
    // A question that is too long is not read to its end.
    let _ = stream.write_all(question).await;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    serde_json::from_str(&answer).unwrap_or(Value::Null)
}

#[tokio::test]
async fn a_question_is_a_line_of_json_and_anything_else_is_refused() {
    let (dir, provost, stop) = door();
    assert_eq!(
        knock(&dir, b"{\"ask\":\"plans\"}\n").await,
        json!({ "done": { "halted": null, "plans": [] } })
    );
    for question in
        [&b"\n"[..], b"plans\n", b"{\"ask\":\"stop\"}\n", b"\xff\n", b"{\"ask\":\"halt\",\"uid\":0}\n"]
    {
        let answer = knock(&dir, question).await;
        assert!(answer.get("done").is_none(), "{question:?}: {answer}");
    }
    let long = format!("{{\"ask\":\"halt\",\"why\":\"{}\"}}\n", "x".repeat(MOST_ASKED as usize));
    assert!(knock(&dir, long.as_bytes()).await.get("done").is_none());
    assert!(provost.policy.halt.check().is_ok());
    stop.cancel();
}

#[tokio::test]
async fn another_account_is_known_by_the_kernel_and_may_not_halt() {
    if !Uid::effective().is_root() {
        eprintln!("NOT RUN without root: another_account_is_known_by_the_kernel_and_may_not_halt");
        return;
    }
    let (dir, provost, stop) = door();
    let script = "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die $!; \
                  print $s \"$ARGV[1]\\n\"; $s->flush; print <$s>";
    let question = r#"{"ask":"halt","why":"uid 0 says so"}"#;
    let asked = tokio::process::Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "perl", "-e", script])
        .arg(dir.path().join("control.sock"))
        .arg(question)
        .output()
        .await
        .unwrap();
    let answer: Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!(answer["refused"]["kind"], json!("not_an_approver"), "{answer}");
    assert!(provost.policy.halt.check().is_ok());
    // The same words from who may.
    let answer = knock(&dir, format!("{question}\n").as_bytes()).await;
    assert!(answer["done"]["unseen"].is_string(), "{answer}");
    assert_eq!(provost.policy.halt.now().unwrap().why, "uid 0 says so");
    stop.cancel();
}
