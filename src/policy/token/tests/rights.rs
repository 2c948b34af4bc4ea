//! Nobody gives out more than they have, or keeps it longer than they have it.

use super::*;

#[test]
fn nobody_gives_out_more_than_they_have() {
    let office = Office::new();
    let machine = Principal::Machine(crate::policy::Machine::for_tests(50, 120));
    let token = office.shown(&office.issue(&root(), of("large")).unwrap().token).unwrap();
    for (who, acts_as, refused) in [
        (root(), of("large"), None),
        (root(), of("small"), None),
        (root(), as_user(&alice()), None),
        (root(), of("none"), Some("no_such_role")),
        (root(), as_user(&carol()), Some("no_role")),
        (root(), as_user(&root()), Some("no_role")),
        (alice(), of("small"), None),
        (alice(), as_user(&alice()), None),
        (alice(), of("large"), Some("more_than_yours")),
        (alice(), of("none"), Some("more_than_yours")),
        (alice(), as_user(&bob()), Some("more_than_yours")),
        // Her number, and groups that she is not in.
        (
            alice(),
            Grant::User(Peer::given(1000, Some("alice".into()), vec![(0, None)])),
            Some("more_than_yours"),
        ),
        (bob(), of("small"), Some("more_than_yours")),
        (carol(), of("small"), Some("more_than_yours")),
        (carol(), as_user(&carol()), Some("no_role")),
        (machine, of("small"), Some("no_person")),
        (token, of("large"), Some("no_person")),
    ] {
        let issued = office.issue(&who, acts_as.clone()).map(drop).map_err(|error| error.kind());
        assert_eq!(issued.err(), refused, "{who} {acts_as}");
    }
    for (ttl_s, window_s, delay_s) in
        [(0, 0, 0), (MOST_TTL + 1, 0, 0), (1, MOST_WINDOW + 1, 0), (1, 0, u32::MAX)]
    {
        let wish = Wish { acts_as: of("small"), ttl_s, window_s, delay_s };
        assert_eq!(office.wish(&root(), wish).err(), Some(NotIssued::Span));
    }
}

#[test]
fn a_role_that_is_narrowed_or_lost_is_narrowed_or_lost_for_its_tokens() {
    let office = Office::new();
    let by_root = office.issue(&root(), of("small")).unwrap().token;
    let by_alice = office.issue(&alice(), of("small")).unwrap().token;
    let as_alice = office.issue(&root(), as_user(&alice())).unwrap().token;
    for token in [&by_root, &by_alice, &as_alice] {
        assert_eq!(office.role(token).as_deref(), Some("small"));
    }
    // Another daemon after it: alice is in another role now, and small has nobody.
    let roles =
        "[[role]]\nname='small'\nmembers=[]\n[[role]]\nname='least'\nmembers=['user:alice']\nexec='none'";
    let office = office.again(roles);
    assert_eq!(office.role(&by_root).as_deref(), Some("small"), "root's to give");
    assert_eq!(office.role(&by_alice), None, "no longer hers to give");
    assert_eq!(office.role(&as_alice).as_deref(), Some("least"));
    let office = office.again("[[role]]\nname='other'\nmembers=['user:alice']\nprofile='full'");
    assert_eq!((office.role(&by_root), office.role(&by_alice)), (None, None));
}

#[test]
fn who_gave_out_a_token_and_whom_it_acts_as_do_not_decide_about_what_it_asks() {
    let office = Office::new();
    for (issuer, acts_as, behind) in
        [(bob(), of("large"), Some(1001)), (root(), as_user(&bob()), Some(1001)), (root(), of("large"), None)]
    {
        let token = office.issue(&issuer, acts_as).unwrap().token;
        let who = office.shown(&token).unwrap();
        assert_eq!(who.behind(), behind.map(crate::account::Account::User), "{issuer}");
    }
}

#[test]
fn tokens_are_seen_and_taken_back_by_who_has_to_do_with_them() {
    let office = Office::new();
    let by_alice = office.issue(&alice(), of("small")).unwrap().record;
    let as_alice = office.issue(&root(), as_user(&alice())).unwrap().record;
    let other = office.issue(&root(), of("large")).unwrap();
    let holder = office.shown(&other.token).unwrap();
    for (who, sees) in [
        (root(), [true, true, true]),
        (bob(), [true, true, true]),
        (alice(), [true, true, false]),
        (carol(), [false, false, false]),
        (holder, [false, false, false]),
    ] {
        let seen = [&by_alice, &as_alice, &other.record]
            .map(|record| office.policy.token_of(&who, record.id).is_ok());
        assert_eq!(seen, sees, "{who}");
    }
}

#[test]
fn who_is_taken_out_of_a_group_or_is_no_more_takes_the_tokens_along() {
    let roles = "[[role]]\nname='ops'\nmembers=['group:ops']\n[[role]]\nname='rest'\nmembers=['user:dora']";
    let dora = |groups: &[(u32, &str)]| Principal::for_tests(1003, "dora", groups);
    let (inside, outside) = (dora(&[(1003, "dora"), (50, "ops")]), dora(&[(1003, "dora")]));
    let now_is = |office: &Office, who: Option<&Principal>| {
        let mut people = office.people.lock().unwrap();
        match who {
            Some(who) => people.insert(1003, who.peer().unwrap().clone()),
            None => people.remove(&1003),
        };
    };
    let office = Office::in_dir(tempfile::tempdir().unwrap(), roles);
    // In the group by the kernel's word for a process, and not by the node's accounts: that is for the process alone.
    now_is(&office, Some(&outside));
    assert_eq!(office.issue(&inside, of("ops")).err().map(|error| error.kind()), Some("more_than_yours"));
    now_is(&office, None);
    assert_eq!(office.issue(&inside, of("ops")).err().map(|error| error.kind()), Some("no_account"));
    now_is(&office, Some(&inside));
    let by_role = office.issue(&inside, of("ops")).unwrap();
    let as_user = office.issue(&inside, as_user(&inside)).unwrap();
    let roles_now = |office: &Office| [&by_role, &as_user].map(|issued| office.role(&issued.token));
    assert_eq!(roles_now(&office), [Some("ops".into()), Some("ops".into())]);
    for (who, found) in [
        (Some(outside.clone()), [None, Some("rest".to_owned())]),
        // The number is another's by now, who is in the group.
        (Some(Principal::for_tests(1003, "eve", &[(1003, "eve"), (50, "ops")])), [None, None]),
        (None, [None, None]),
    ] {
        now_is(&office, who.as_ref());
        // It is looked up by the first request that a daemon gets, and by every renewal.
        let fresh = Office::among(tempfile::tempdir().unwrap(), roles, office.people.clone());
        std::fs::create_dir_all(fresh.dir.path().join("tokens")).unwrap();
        for file in ["key.der", "tokens.json"] {
            let from = office.dir.path().join("tokens").join(file);
            std::fs::copy(from, fresh.dir.path().join("tokens").join(file)).unwrap();
        }
        assert_eq!(roles_now(&fresh), found, "{who:?}");
        let holder = fresh.shown(&by_role.token).unwrap();
        assert!(fresh.renewed(&holder, by_role.record.id).is_err(), "{who:?}");
    }
    // One that is in use hears of it by its renewal at the latest.
    let holder = office.shown(&as_user.token).unwrap();
    assert_eq!(
        office.renewed(&holder, as_user.record.id).err().map(|error| error.kind()),
        Some("no_account")
    );
    assert!(role(&office.policy.rules.now(), &holder).is_none());
}

#[test]
fn nobody_keeps_others_from_giving_out_tokens() {
    let office = Office::new();
    let wish = Wish { acts_as: of("small"), ttl_s: 900, window_s: MOST_WINDOW, delay_s: 0 };
    // As fast as one may, and then as many as one may.
    let mut ids: Vec<TokenId> = Vec::new();
    let refused = std::iter::repeat_with(|| office.wish(&alice(), wish.clone()))
        .find_map(|issued| issued.map(|issued| ids.push(issued.record.id)).err());
    assert_eq!(refused.map(|error| error.kind()), Some("rate"));
    let first = Record::clone(&office.policy.tokens.all().unwrap()[0]);
    let copy = |at: usize| Record { id: TokenId::for_tests(at as u64), ..first.clone() };
    let keep = |record: Record| {
        office.runtime.block_on(async {
            let page = office.policy.tokens.page().await;
            office.policy.tokens.issue(page, record, 0, NODE).await.map(|issued| issued.record.id)
        })
    };
    let full = (1..).map(|at| keep(copy(at)).map(|id| ids.push(id))).find_map(Result::err);
    assert_eq!((full, ids.len()), (Some(NotIssued::Own), 50));
    assert!(office.issue(&bob(), of("large")).is_ok() && office.issue(&root(), of("large")).is_ok());
    // The advice holds: what is taken back makes room at once; and of what was, no more is known than so much.
    for round in 0..2 {
        for id in std::mem::take(&mut ids) {
            office.take_back(id).unwrap();
        }
        ids.extend((0..50).map(|at| keep(copy(1000 * (round + 1) + at)).unwrap()));
    }
    let revoked =
        office.policy.tokens.all().unwrap().iter().filter(|record| record.revoked.is_some()).count();
    assert_eq!(revoked, 50);
    // What has expired is renewed no more, and takes no place.
    let short = Record { expires: Timestamp::now() - std::time::Duration::from_secs(1), ..copy(9000) };
    let other = Record { issuer: bob().peer().unwrap().clone(), ..short };
    keep(other.clone()).unwrap();
    keep(Record { id: TokenId::for_tests(9001), ..other }).unwrap();
    assert!(office.policy.tokens.find(TokenId::for_tests(9000)).unwrap().is_none());
}

#[test]
fn a_rate_is_the_same_one_however_many_tokens_somebody_gives_out() {
    let roles = "[[role]]\nname='small'\nmembers=['user:alice', 'user:bob']\nrate='3/h'";
    let office = Office::in_dir(tempfile::tempdir().unwrap(), roles);
    let runs = |who: &Principal| office.policy.exec(who, 101, crate::exec::wire::Mode::Inspect).is_ok();
    let hold = |issued: Issued| office.shown(&issued.token).unwrap();
    for _ in 0..3 {
        assert!(runs(&hold(office.issue(&alice(), of("small")).unwrap())));
    }
    assert!(!runs(&hold(office.issue(&alice(), of("small")).unwrap())));
    assert!(!runs(&hold(office.issue(&root(), as_user(&alice())).unwrap())) && !runs(&alice()));
    assert!(runs(&bob()) && runs(&hold(office.issue(&bob(), of("small")).unwrap())));
    assert!(runs(&hold(office.issue(&root(), of("small")).unwrap())), "root's hand, somebody else's token");
}
