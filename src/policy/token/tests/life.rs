//! A token from its issue by its renewals to its end, over restarts.

use super::*;

#[test]
fn what_is_taken_back_is_so_at_once_and_after_a_restart() {
    let office = Office::new();
    let issued = office.issue(&root(), of("large")).unwrap();
    let held = office.shown(&issued.token).unwrap();
    let config = office.policy.rules.now();
    assert!(role(&config, &held).is_some());
    office.take_back(issued.record.id).unwrap();
    assert_eq!(office.shown(&issued.token).unwrap_err(), Rejected::Revoked);
    // What is under way by it has no role any more.
    assert!(role(&config, &held).is_none() && held.token().unwrap().revoked().is_cancelled());
    assert_eq!(office.renewed(&held, issued.record.id).err(), Some(NotIssued::Revoked));
    let office = office.again(ROLES);
    assert_eq!(office.shown(&issued.token).unwrap_err(), Rejected::Revoked);
}

#[test]
fn a_restart_keeps_what_was_given_out_and_without_its_number_or_key_nothing_opens() {
    let office = Office::new();
    let token = office.issue(&root(), of("large")).unwrap().token;
    let office = office.again(ROLES);
    assert!(office.shown(&token).is_ok());
    let records = office.dir.path().join("tokens/tokens.json");
    let kept = std::fs::read(&records).unwrap();
    for (damaged, kind) in [
        (&b"{"[..], "tokens_unreadable"),
        (b"", "tokens_unreadable"),
        (b"{\"version\":2,\"tokens\":[]}", "tokens_unreadable"),
    ] {
        std::fs::write(&records, damaged).unwrap();
        let fresh = Tokens::beside(&office.dir.path().join("ledger"));
        assert_eq!(office.runtime.block_on(fresh.present(&token, NODE)).unwrap_err().kind(), kind);
        assert!(fresh.all().is_err());
        // Once it is mended, it opens again.
        std::fs::write(&records, &kept).unwrap();
        assert!(office.runtime.block_on(fresh.present(&token, NODE)).is_ok());
    }
    std::fs::remove_file(&records).unwrap();
    let fresh = Tokens::beside(&office.dir.path().join("ledger"));
    assert_eq!(office.runtime.block_on(fresh.present(&token, NODE)).unwrap_err(), Rejected::Unknown);
    std::fs::write(&records, &kept).unwrap();
    std::fs::remove_file(office.dir.path().join("tokens/key.der")).unwrap();
    let fresh = Tokens::beside(&office.dir.path().join("ledger"));
    assert_eq!(office.runtime.block_on(fresh.present(&token, NODE)).unwrap_err(), Rejected::Signature);
}

#[test]
fn a_token_is_renewed_by_its_holder_inside_its_window_and_not_beyond() {
    let office = Office::new();
    let issued = office.issue(&root(), of("small")).unwrap();
    let id = issued.record.id;
    let holder = office.shown(&issued.token).unwrap();
    let renewed = office.renewed(&holder, id).unwrap();
    assert!(renewed.expires >= issued.record.expires && renewed.expires <= renewed.refresh_until);
    let again = office.renew(&holder, id).unwrap();
    assert_eq!(again.record.refreshed, 1);
    assert_ne!(claims(&again.token)["jti"], claims(&issued.token)["jti"]);
    assert_eq!(office.shown(&again.token).unwrap().account(), holder.account());
    assert!(office.shown(&issued.token).is_ok(), "the one before lasts as long as it would have");
    // Nobody else's hand.
    for (who, may) in [(root(), true), (alice(), false), (bob(), false), (carol(), false)] {
        assert_eq!(office.renewed(&who, id).is_ok(), may, "{who}");
    }
    let other = office.shown(&office.issue(&root(), of("small")).unwrap().token).unwrap();
    assert_eq!(office.renewed(&other, id).err(), Some(NotIssued::NoSuch));
    // Without a window.
    let wish = Wish { acts_as: of("small"), ttl_s: 900, window_s: 0, delay_s: 0 };
    let short = office.wish(&root(), wish).unwrap();
    let holder = office.shown(&short.token).unwrap();
    assert_eq!(office.renewed(&holder, short.record.id).err(), Some(NotIssued::Window));
}

#[test]
fn what_a_holder_was_given_stays_known_through_a_renewal_and_a_restart() {
    let office = Office::new();
    let issued = office.issue(&root(), of("small")).unwrap();
    let other = office.issue(&root(), of("small")).unwrap();
    let holder = office.shown(&issued.token).unwrap();
    holder.token().unwrap().taint().mark();
    let kept = || office.runtime.block_on(office.policy.tokens.kept_up());
    // A disk that does not take it is tried again.
    let in_the_way = office.dir.path().join("tokens/tokens.json.new");
    std::fs::create_dir(&in_the_way).unwrap();
    assert!(!kept() && !kept());
    std::fs::remove_dir(&in_the_way).unwrap();
    assert!(kept());
    let tainted = |office: &Office, token: &str| office.shown(token).unwrap().token().unwrap().taint().is();
    let again = office.renew(&holder, issued.record.id).unwrap();
    let office = office.again(ROLES);
    assert!(tainted(&office, &issued.token) && tainted(&office, &again.token));
    assert!(!tainted(&office, &other.token));
    // As the file was before it was kept.
    let records = office.dir.path().join("tokens/tokens.json");
    let text = std::fs::read_to_string(&records).unwrap().replace(",\"tainted\":true", "");
    std::fs::write(&records, text.replace(",\"tainted\":false", "")).unwrap();
    assert!(!tainted(&office.again(ROLES), &other.token));
}

#[test]
fn what_is_taken_back_while_the_disk_is_full_is_on_it_once_that_takes_it() {
    let taken_back_again = |office: &Office, id| office.take_back(id).unwrap();
    let meanwhile = |office: &Office, _| assert!(office.runtime.block_on(office.policy.tokens.kept_up()));
    for at_last in [&taken_back_again as &dyn Fn(&Office, TokenId), &meanwhile] {
        let office = Office::new();
        let issued = office.issue(&root(), of("small")).unwrap();
        let id = issued.record.id;
        let in_the_way = office.dir.path().join("tokens/tokens.json.new");
        std::fs::create_dir(&in_the_way).unwrap();
        // It opens nothing from now on, and who takes it back hears each time that the disk does not know.
        for _ in 0..2 {
            office.take_back(id).unwrap_err();
            assert_eq!(office.shown(&issued.token).unwrap_err(), Rejected::Revoked);
        }
        std::fs::remove_dir(&in_the_way).unwrap();
        at_last(&office, id);
        assert_eq!(office.again(ROLES).shown(&issued.token).unwrap_err(), Rejected::Revoked);
    }
}

#[test]
fn a_token_stands_as_long_as_the_latest_form_of_it_that_nobody_has_shown_yet() {
    let office = Office::new();
    let wish = Wish { acts_as: of("small"), ttl_s: 1, window_s: 3600, delay_s: 0 };
    let issued = office.wish(&root(), wish).unwrap();
    let holder = office.shown(&issued.token).unwrap();
    let mut record = office.renewed(&holder, issued.record.id).unwrap();
    record.expires = Timestamp::now() + std::time::Duration::from_secs(600);
    let page = office.runtime.block_on(office.policy.tokens.page());
    office.runtime.block_on(office.policy.tokens.renew(page, record, NODE)).unwrap();
    while office.shown(&issued.token).is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(office.shown(&issued.token).unwrap_err(), Rejected::Expired);
    assert!(office.policy.tokens.stands(issued.record.id));
    office.take_back(issued.record.id).unwrap();
    assert!(!office.policy.tokens.stands(issued.record.id));
}

#[test]
fn what_is_taken_back_while_it_is_renewed_stays_so() {
    let office = Office::new();
    let issued = office.issue(&root(), of("small")).unwrap();
    let holder = office.shown(&issued.token).unwrap();
    let (tokens, id) = (office.policy.tokens.clone(), issued.record.id);
    office.runtime.block_on(async {
        let page = tokens.page().await;
        let renewed = office.policy.renewed(&page, &holder, id).await.unwrap();
        // Whoever waits for the disk keeps nobody from showing a token.
        assert!(tokens.present(&issued.token, NODE).await.is_ok());
        // It holds from this moment on, though who writes has the page; and is written after them.
        let back = tokio::spawn({
            let tokens = tokens.clone();
            async move { tokens.take_back(id, "user:root".into()).await }
        });
        tokio::task::yield_now().await;
        assert!(holder.token().unwrap().revoked().is_cancelled());
        assert_eq!(tokens.renew(page, renewed, NODE).await.map(drop).unwrap_err(), NotIssued::Revoked);
        back.await.unwrap().unwrap();
    });
    let office = office.again(ROLES);
    assert_eq!(office.shown(&issued.token).unwrap_err(), Rejected::Revoked);
}

#[test]
fn a_token_is_renewed_so_often_and_what_is_counted_is_its_givers() {
    let office = Office::new();
    let [first, second] = [(); 2].map(|()| office.issue(&alice(), of("small")).unwrap());
    let may = |issued: &Issued| office.policy.may_renew(issued.record.id).map_err(|error| error.kind());
    assert!((0..6).all(|_| may(&first).is_ok()));
    assert_eq!((may(&first), may(&second)), (Err("rate"), Ok(())));
    // However many tokens somebody gives out, and whomever root names.
    let held = |issued: &Issued| office.shown(&issued.token).unwrap();
    let named = office.issue(&root(), as_user(&alice())).unwrap();
    for issued in [&first, &second, &named] {
        assert_eq!(held(issued).payer(), alice().account());
        assert_ne!(held(issued).account(), alice().account());
    }
    let of_root = held(&office.issue(&root(), of("small")).unwrap());
    assert_eq!(of_root.payer(), of_root.account());
}
