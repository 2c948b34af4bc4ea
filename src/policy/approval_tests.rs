use std::path::Path;
use std::time::Duration;

use super::*;
use crate::catalog::Method;
use crate::catalog::tier;
use crate::config;
use crate::policy::{Machine, Rules, Wanted};

const PLAN: &str = "00112233445566778899aabbccddeeff";
const CONTENT: &str = "5f16";
const QUARTER: Duration = Duration::from_secs(15 * 60);

fn policy(keys: &str) -> Policy {
    let text = format!(
        "[approval]\nmembers=['group:approvers','user:alice']\n[[role]]\nname='a'\nmembers=['user:alice','user:dave','vm:1000']\n\
         profile='full'\n{keys}"
    );
    Policy::new(Rules::fixed(config::parse(Path::new("x"), &text).unwrap()))
}

fn root() -> Principal {
    Principal::for_tests(0, "root", &[(0, "root")])
}

/// Asks, and is an approver too.
fn alice() -> Principal {
    Principal::for_tests(1000, "alice", &[(1000, "alice")])
}

fn bob() -> Principal {
    Principal::for_tests(1001, "bob", &[(1001, "bob"), (50, "approvers")])
}

/// In a virtual machine that asks by the role as well, whose number is one of bob's groups and alice's.
fn machine() -> Principal {
    Principal::Machine(Machine::for_tests(50, 1000))
}

/// May connect, and no more.
fn carol() -> Principal {
    Principal::for_tests(1002, "carol", &[(1002, "carol")])
}

/// Asks, and is no approver.
fn dave() -> Principal {
    Principal::for_tests(1003, "dave", &[(1003, "dave")])
}

fn request(plan: &str, who: &Principal, self_approval: bool) -> Request {
    Request {
        plan: plan.into(),
        sha256: CONTENT.into(),
        account: who.account(),
        behind: who.behind(),
        who: who.to_string(),
        role: "a".into(),
        endpoint: "DELETE /nodes/{node}/lxc/{vmid}".into(),
        guest: Some(105),
        summary: vec!["destroys container 105".into()],
        text: "destroys container 105 and its volumes".into(),
        because: vec!["destructive: the guest is gone".into()],
        receipt: 7,
        expires: Instant::now() + QUARTER,
        expires_at: Timestamp::now(),
        self_approval,
        how: vec![How::Terminal, How::Elicitation],
    }
}

fn leave(policy: &Policy, who: &Principal) -> Leave {
    let template = "/nodes/{node}/lxc/{vmid}";
    let judgement =
        tier::judge(crate::product::Product::Pve, Method::Delete, template, &serde_json::Map::new());
    let path = "/nodes/pve1/lxc/105";
    let wanted = Wanted {
        method: Method::Delete,
        template,
        path,
        judgement: &judgement,
        guests: &[105],
        taint: false,
    };
    policy.change(who, &wanted).unwrap()
}

fn decide(policy: &Policy, who: &Principal, plan: &str, yes: bool) -> Result<Decision, Undecided> {
    policy.decide(who, plan, CONTENT, yes, How::Terminal).map(|claim| claim.settle(8))
}

fn clear(policy: &Policy, who: &Principal) -> Result<Cleared, NotApproved> {
    policy.approvals.clear(leave(policy, who), PLAN, CONTENT)
}

#[tokio::test(start_paused = true)]
async fn a_yes_lets_one_change_through_once_and_says_whose_it_was() {
    let policy = policy("");
    policy.approvals.ask(request(PLAN, &alice(), false)).unwrap();
    assert_eq!(clear(&policy, &alice()).unwrap_err().kind(), "needs_approval");
    let decision = decide(&policy, &bob(), PLAN, true).unwrap();
    assert_eq!((decision.yes, decision.receipt, decision.by.as_str()), (true, 8, "user:bob (uid 1001)"));
    let cleared = clear(&policy, &alice()).unwrap();
    assert_eq!(cleared.approved().map(|approved| approved.decision()), Some(&decision));
    assert_eq!(clear(&policy, &alice()).unwrap_err(), NotApproved::Used);
}

#[tokio::test(start_paused = true)]
async fn an_approval_of_which_nothing_came_can_be_given_back_and_counts_once_more() {
    let policy = policy("");
    policy.approvals.ask(request(PLAN, &alice(), false)).unwrap();
    decide(&policy, &bob(), PLAN, true).unwrap();
    let (_, approved) = clear(&policy, &alice()).unwrap().give_up();
    assert!(clear(&policy, &alice()).is_err());
    policy.approvals.give_back(approved.unwrap());
    assert!(clear(&policy, &alice()).is_ok() && clear(&policy, &alice()).is_err());
}

#[tokio::test(start_paused = true)]
async fn who_may_decide() {
    for (keys, asks, answers, expected) in [
        ("", alice(), bob(), "yes"),
        ("", alice(), root(), "yes"),
        ("", dave(), alice(), "yes"),
        ("", alice(), alice(), "self_approval"),
        ("", alice(), carol(), "no_such_plan"),
        ("", alice(), dave(), "no_such_plan"),
        ("", dave(), dave(), "self_approval"),
        ("self_approval=true", alice(), alice(), "yes"),
        ("self_approval=true", dave(), dave(), "not_an_approver"),
        ("self_approval=true", alice(), carol(), "no_such_plan"),
        // A machine asks, and never decides: not about its own, nor about that of the account that has its number.
        ("", machine(), bob(), "yes"),
        ("", machine(), machine(), "self_approval"),
        ("self_approval=true", machine(), machine(), "not_an_approver"),
        ("self_approval=true", alice(), machine(), "no_such_plan"),
    ] {
        let policy = policy(keys);
        let Needs::Approval { self_approval, .. } = *leave(&policy, &asks).needs() else {
            panic!("it waits")
        };
        policy.approvals.ask(request(PLAN, &asks, self_approval)).unwrap();
        let answer = decide(&policy, &answers, PLAN, true);
        let said = answer.as_ref().map_or_else(Undecided::kind, |_| "yes");
        assert_eq!(said, expected, "{keys}: {asks} asks, {answers} answers");
        assert_eq!(clear(&policy, &asks).is_ok(), said == "yes", "{keys}: {asks} asks, {answers} answers");
    }
}

#[tokio::test(start_paused = true)]
async fn root_does_not_approve_what_root_asked_for() {
    let policy = policy("");
    policy.approvals.ask(request(PLAN, &root(), false)).unwrap();
    assert_eq!(decide(&policy, &root(), PLAN, true), Err(Undecided::Own));
}

#[tokio::test(start_paused = true)]
async fn a_guessed_id_and_somebody_elses_are_refused_alike() {
    let policy = policy("");
    policy.approvals.ask(request(PLAN, &alice(), false)).unwrap();
    let guessed = "ffffffffffffffffffffffffffffffff";
    for who in [carol(), dave()] {
        let (foreign, guess) = (decide(&policy, &who, PLAN, true), decide(&policy, &who, guessed, true));
        assert_eq!((&foreign, foreign.is_err()), (&guess, true));
        assert!(policy.plans(&who).is_empty());
    }
    assert_eq!(decide(&policy, &bob(), guessed, true), Err(Undecided::NoSuch));
    // To who applies, too: another's plan is no plan.
    decide(&policy, &bob(), PLAN, true).unwrap();
    let unknown = NotApproved::Unknown { plan: PLAN.into() };
    assert_eq!(clear(&policy, &dave()).unwrap_err(), unknown);
    assert!(unknown.to_string().contains("started again"), "{unknown}");
    assert!(clear(&policy, &alice()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_a_no_and_one_that_comes_late_is_none() {
    let policy = policy("");
    policy.approvals.ask(request(PLAN, &alice(), false)).unwrap();
    tokio::time::advance(QUARTER - Duration::from_millis(1)).await;
    assert_eq!(policy.plans(&bob())[0].standing, Standing::Waiting);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(policy.plans(&bob())[0].standing, Standing::Expired);
    assert_eq!(decide(&policy, &bob(), PLAN, true).unwrap_err().kind(), "plan_expired");
    assert_eq!(clear(&policy, &alice()).unwrap_err().kind(), "plan_expired");
}

#[tokio::test(start_paused = true)]
async fn a_yes_expires_with_its_plan() {
    let policy = policy("");
    policy.approvals.ask(request(PLAN, &alice(), false)).unwrap();
    decide(&policy, &bob(), PLAN, true).unwrap();
    tokio::time::advance(QUARTER).await;
    assert_eq!(clear(&policy, &alice()).unwrap_err().kind(), "plan_expired");
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_counts_and_the_second_hears_of_it() {
    for first in [true, false] {
        let policy = policy("");
        policy.approvals.ask(request(PLAN, &dave(), false)).unwrap();
        // Two at once: the second comes while the first is being recorded.
        let claim = policy.decide(&bob(), PLAN, CONTENT, first, How::Terminal).unwrap();
        assert_eq!(decide(&policy, &alice(), PLAN, !first), Err(Undecided::Deciding));
        assert_eq!(clear(&policy, &dave()).unwrap_err().kind(), "needs_approval");
        claim.settle(8);
        let late = decide(&policy, &alice(), PLAN, !first);
        assert_eq!(late, Err(Undecided::Decided { yes: first, by: bob().to_string() }));
        let said = clear(&policy, &dave()).err().map(|error| error.kind());
        assert_eq!(said, (!first).then_some("denied_by_person"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_not_recorded_is_none() {
    let policy = policy("");
    policy.approvals.ask(request(PLAN, &alice(), false)).unwrap();
    drop(policy.decide(&bob(), PLAN, CONTENT, true, How::Terminal).unwrap());
    assert_eq!(policy.plans(&bob())[0].standing, Standing::Waiting);
    assert_eq!(clear(&policy, &alice()).unwrap_err().kind(), "needs_approval");
    assert!(decide(&policy, &bob(), PLAN, false).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_yes_is_for_what_was_shown_and_nothing_else() {
    let policy = policy("");
    policy.approvals.ask(request(PLAN, &alice(), false)).unwrap();
    let other = policy.decide(&bob(), PLAN, "another", true, How::Terminal);
    assert_eq!(other.err(), Some(Undecided::Another));
    decide(&policy, &bob(), PLAN, true).unwrap();
    let other = policy.approvals.clear(leave(&policy, &alice()), PLAN, "another");
    assert_eq!(other.unwrap_err().kind(), "another_plan");
}

#[tokio::test(start_paused = true)]
async fn what_needs_nothing_goes_on_without_a_plan_that_waits() {
    let policy = policy("approval=[]");
    assert!(clear(&policy, &alice()).unwrap().approved().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_role_that_lost_its_self_approval_has_none() {
    let (before, now) = (policy("self_approval=true"), policy(""));
    before.approvals.ask(request(PLAN, &alice(), true)).unwrap();
    decide(&before, &alice(), PLAN, true).unwrap();
    let late = before.approvals.clear(leave(&now, &alice()), PLAN, CONTENT);
    assert_eq!(late.unwrap_err(), NotApproved::Own);
}

#[tokio::test(start_paused = true)]
async fn an_answer_counts_by_the_ways_that_the_role_names_then_and_now() {
    let way = |how| Request { how: vec![how], ..request(PLAN, &alice(), true) };
    for (given, takes) in [(How::Terminal, How::Elicitation), (How::Elicitation, How::Terminal)] {
        let policy = policy("self_approval=true");
        policy.approvals.ask(way(takes)).unwrap();
        let answered = policy.decide(&alice(), PLAN, CONTENT, true, given);
        assert_eq!(answered.err(), Some(Undecided::How { how: given }));
        policy.decide(&alice(), PLAN, CONTENT, true, takes).unwrap().settle(8);
        assert!(clear(&policy, &alice()).is_ok());
    }
    // A role that takes no dialog any more does not take one that was answered before.
    let now = policy("self_approval=true\napprove_by=['terminal']");
    let before = policy("self_approval=true");
    before.approvals.ask(way(How::Elicitation)).unwrap();
    before.decide(&alice(), PLAN, CONTENT, true, How::Elicitation).unwrap().settle(8);
    let late = before.approvals.clear(leave(&now, &alice()), PLAN, CONTENT);
    assert_eq!(late.unwrap_err(), NotApproved::How { how: How::Elicitation });
}

#[tokio::test(start_paused = true)]
async fn one_yes_is_for_all_calls_of_a_plan_and_for_none_twice() {
    let policy = policy("");
    policy.approvals.ask(request(PLAN, &alice(), false)).unwrap();
    decide(&policy, &bob(), PLAN, true).unwrap();
    let leaves = || vec![leave(&policy, &alice()), leave(&policy, &alice())];
    let mut all = policy.approvals.clear_all(leaves(), PLAN, CONTENT).unwrap();
    assert_eq!(all.len(), 2);
    assert!(all.pop().unwrap().approved().is_none() && all.pop().unwrap().approved().is_some());
    assert_eq!(policy.approvals.clear_all(leaves(), PLAN, CONTENT).unwrap_err(), NotApproved::Used);
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_announced_once_and_plans_are_bounded() {
    let policy = policy("");
    assert_eq!(policy.approvals.ask(request(PLAN, &alice(), false)), Ok(true));
    assert_eq!(policy.approvals.ask(request(PLAN, &alice(), false)), Ok(false));
    for number in 1..MOST_EACH {
        policy.approvals.ask(request(&format!("{number}"), &alice(), false)).unwrap();
    }
    assert_eq!(policy.approvals.ask(request("more", &alice(), false)), Err(Full::Own));
    // Nor by a token that she gives out.
    let behind = Some(alice().account());
    let by_token =
        Request { account: crate::account::Account::Token(7), behind, ..request("more", &alice(), false) };
    assert_eq!(policy.approvals.ask(by_token), Err(Full::Own));
    // Nobody else is held up by it, until all have enough.
    for number in 0..MOST - MOST_EACH {
        let who = Principal::for_tests(2000 + (number / MOST_EACH) as u32, "x", &[]);
        policy.approvals.ask(request(&format!("other {number}"), &who, false)).unwrap();
    }
    assert_eq!(policy.approvals.ask(request("more", &dave(), false)), Err(Full::All));
    // What is over makes room, and the latest of it stays to be seen.
    tokio::time::advance(QUARTER).await;
    policy.approvals.ask(request("more", &dave(), false)).unwrap();
    let plans = policy.plans(&root());
    assert_eq!((plans.len(), plans[0].request.plan.as_str()), (MOST_RECENT, "more"));
    assert_eq!(policy.plans(&dave()).len(), 1);
}

#[test]
fn a_long_plan_is_cut_and_says_so() {
    let approvals = Approvals::default();
    let text = "ä".repeat(MOST_TEXT);
    approvals.ask(Request { text, ..request(PLAN, &alice(), false) }).unwrap();
    let shown = approvals.list(|_| true)[0].request.text.clone();
    assert!(shown.len() < MOST_TEXT + 200 && shown.contains("[cut here"), "{}", shown.len());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_answer_hears_of_it_and_of_the_time_that_is_over() {
    let policy = policy("approval=['destructive']\nself_approval=true");
    assert_eq!(policy.approvals.settled(PLAN).await, None, "nothing of that name waits");
    policy.approvals.ask(request(PLAN, &alice(), true)).unwrap();
    let heard = {
        let (approvals, plan) = (policy.approvals.clone(), PLAN);
        tokio::spawn(async move { approvals.settled(plan).await })
    };
    tokio::task::yield_now().await;
    // One that is given up is no answer.
    drop(policy.decide(&bob(), PLAN, CONTENT, true, How::Terminal).unwrap());
    tokio::task::yield_now().await;
    assert!(!heard.is_finished());
    decide(&policy, &bob(), PLAN, true).unwrap();
    assert!(matches!(heard.await.unwrap(), Some(Standing::Decided(decision)) if decision.yes));
    let other = "11112222333344445555666677778888";
    policy.approvals.ask(request(other, &alice(), true)).unwrap();
    let began = Instant::now();
    assert_eq!(policy.approvals.settled(other).await, Some(Standing::Expired));
    assert!(began.elapsed() >= QUARTER);
}

#[tokio::test(start_paused = true)]
async fn who_asked_takes_a_plan_back_once_it_is_recorded_and_nobody_else_does() {
    let policy = policy("");
    policy.approvals.ask(request(PLAN, &alice(), false)).unwrap();
    let withdraw = |who: &Principal| policy.approvals.withdraw(PLAN, who.account());
    assert!(withdraw(&bob()).is_none() && withdraw(&root()).is_none());
    // One that is not recorded is none.
    drop(withdraw(&alice()).unwrap());
    assert_eq!(policy.plans(&alice())[0].standing, Standing::Waiting);
    let begun = withdraw(&alice()).unwrap();
    assert_eq!(decide(&policy, &bob(), PLAN, true).unwrap_err(), Undecided::Deciding);
    begun.settle(9);
    assert_eq!(policy.plans(&alice())[0].standing, Standing::Withdrawn { receipt: 9 });
    assert_eq!(decide(&policy, &bob(), PLAN, true).unwrap_err(), Undecided::Withdrawn);
    assert_eq!(clear(&policy, &alice()).unwrap_err(), NotApproved::Withdrawn);
    assert!(withdraw(&alice()).is_none());
    // What has been answered is not taken back.
    policy.approvals.ask(request("other", &alice(), false)).unwrap();
    decide(&policy, &bob(), "other", true).unwrap();
    assert!(policy.approvals.withdraw("other", alice().account()).is_none());
}
